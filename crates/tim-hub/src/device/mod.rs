//! A device that is logged in: its identity, and the mailbox through which everything reaches its connection.

mod delivery;
mod mailbox;
mod responder;

pub(crate) use delivery::{Delivery, origin_of};
pub(crate) use mailbox::{Mailbox, Response};
pub(crate) use responder::Responder;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tim_proto::request::ConversationChange;
use tim_proto::{ErrorCode, UserId};

use crate::threads::lock;
use crate::wakeups;

/// Which login of a device this is: the numbers that tell a late LOGIN from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LoginId {
    pub(crate) session: u64,
    pub(crate) attempt: u32,
}

impl LoginId {
    /// Whether the same session has logged in with this since, so that `other` comes late.
    pub(crate) const fn is_newer_than(&self, other: &Self) -> bool {
        self.session == other.session && self.attempt >= other.attempt
    }
}

/// A device that is logged in.
#[derive(Debug)]
pub(crate) struct Device {
    user: UserId,
    number: u64,
    login: LoginId,
    /// When the UserSig was issued with which it has logged in, Unix time in seconds.
    issued_s: u64,
    /// What the client context has cached of the user and the user's groups is out of date.
    stale: AtomicBool,
    /// The session has ended, or is about to.
    left: AtomicBool,
    /// The bytes that wait for it, as its connection has reported them.
    backlog: AtomicU32,
    /// Its connection is to break off, as too much waits there.
    cut: AtomicBool,
    mailbox: Mutex<Mailbox>,
}

// Each connection has one while a device is logged in.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Device>() <= 128);

impl Device {
    /// A device whose mailbox holds at most `max_live` live deliveries.
    pub(crate) fn new(user: UserId, number: u64, max_live: usize) -> Self {
        Self {
            user,
            number,
            login: LoginId::default(),
            issued_s: 0,
            stale: AtomicBool::new(false),
            left: AtomicBool::new(false),
            backlog: AtomicU32::new(0),
            cut: AtomicBool::new(false),
            mailbox: Mutex::new(Mailbox::new(max_live)),
        }
    }

    /// The same device, with the numbers of its login.
    pub(crate) fn with_login(self, login: LoginId) -> Self {
        Self { login, ..self }
    }

    /// The same device, with the time at which its UserSig was issued.
    pub(crate) fn with_issued_s(self, issued_s: u64) -> Self {
        Self { issued_s, ..self }
    }

    pub(crate) const fn issued_s(&self) -> u64 {
        self.issued_s
    }

    pub(crate) const fn user(&self) -> UserId {
        self.user
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is the device with this number of this user; no device has the number 0.
    pub(crate) fn has_sent(&self, sender: UserId, origin: u64) -> bool {
        origin != 0 && origin == self.number && sender == self.user
    }

    pub(crate) const fn login(&self) -> &LoginId {
        &self.login
    }

    /// The mailbox, for the device's connection.
    pub(crate) fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }

    /// Hands over the response to a request.
    pub(crate) fn respond(&self, response: Response) {
        self.put(|mailbox| mailbox.respond(response));
    }

    /// Hands over a delivery, unless the device sent the message itself. Whether one that is not stored was dropped for lack of
    /// capacity.
    pub(crate) fn deliver(&self, delivery: &Arc<Delivery>) -> bool {
        if delivery.is_live_only() && delivery.is_from(self) {
            return false;
        }
        let (is_dropped, is_filling) = self.put(|mailbox| (mailbox.deliver(delivery), mailbox.is_filling()));
        if is_filling {
            wakeups::wake_now();
        }
        is_dropped
    }

    /// Hands over a change of the user's own state of a conversation.
    pub(crate) fn change(&self, change: ConversationChange) {
        self.put(|mailbox| mailbox.change(change));
    }

    /// Ends the session.
    pub(crate) fn close(&self, reason: ErrorCode) {
        self.leave();
        self.put(|mailbox| mailbox.close(reason));
    }

    /// Ends the session, because it may have missed what the store has. The client logs in again and reads on from the log.
    pub(crate) fn begin_again(&self) {
        self.leave();
        self.put(|mailbox| {
            mailbox.fall_behind();
            mailbox.close(ErrorCode::STORAGE_FAILED);
        });
    }

    /// The bytes that wait for it, as they were reported last.
    pub(crate) const fn backlog(&self) -> &AtomicU32 {
        &self.backlog
    }

    /// Gives up what waits for it: the live deliveries if they are most of it, else the connection.
    pub(crate) fn shed(&self) {
        self.put(|mailbox| {
            if mailbox.live_bytes() < self.backlog.load(Ordering::Relaxed) as usize / 2 {
                self.cut.store(true, Ordering::Release);
            }
            mailbox.shed();
        });
    }

    /// Drops the deliveries that wait for it: its session is over.
    pub(crate) fn forget_deliveries(&self) {
        self.mailbox().shed();
    }

    /// Whether its connection is to break off.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The session has ended, or is about to: what is answered from here on reaches nobody.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether the session has ended, or is about to.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The application is asked about a request of it, or is not any more.
    #[cfg(feature = "outgoing")]
    pub(crate) fn set_asking(&self, is_asking: bool) {
        self.mailbox().set_asking(is_asking);
    }

    /// What is cached of the user, or of a group of the user's, is out of date.
    pub(crate) fn invalidate(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Whether what is cached has to be read again. To be called before the cache is used: what is read after that is
    /// current, or the next call returns `true`.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    fn put<T>(&self, put: impl FnOnce(&mut Mailbox) -> T) -> T {
        let (result, waker) = {
            let mut mailbox = self.mailbox();
            (put(&mut mailbox), mailbox.take_waker())
        };
        wakeups::wake(waker);
        result
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tim_proto::Priority;

    use super::*;

    fn delivery(change: u64, priority: Priority) -> Arc<Delivery> {
        Arc::new(match change {
            0 => Delivery::live(UserId::SYSTEM, 0, priority, Bytes::new()),
            _ => Delivery::stored(change, UserId::SYSTEM, 0, Bytes::new()),
        })
    }

    fn waiting(device: &Device) -> Vec<(u64, Priority)> {
        let mut mailbox = device.mailbox();
        let taken = std::iter::from_fn(|| mailbox.next_live());
        taken
            .map(|delivery| (delivery.change(), delivery.priority()))
            .collect()
    }

    #[test]
    fn of_what_is_not_stored_the_least_urgent_is_dropped_first_and_the_order_stays() {
        let device = Device::new(UserId::SYSTEM, 1, 4);
        assert!(device.mailbox().take_behind());
        let [lowest, low, normal, high] = [Priority::LOWEST, Priority::LOW, Priority::NORMAL, Priority::HIGH];
        for priority in [low, lowest, normal, lowest] {
            device.deliver(&delivery(0, priority));
        }
        device.deliver(&delivery(0, lowest)); // full, and nothing less urgent
        device.deliver(&delivery(0, high));
        device.deliver(&delivery(0, low));
        device.deliver(&delivery(0, low)); // nothing less urgent any more
        let left = [low, normal, high, low].map(|priority| (0, priority));
        assert_eq!(waiting(&device), left);
        assert!(!device.mailbox().take_behind());
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_connection_is_woken_before_its_mailbox_is_full() {
        let device = Device::new(UserId::SYSTEM, 1, 64);
        let woken = Arc::<Woken>::default();
        let register = || device.mailbox().register(&Arc::clone(&woken).into());
        let times = || woken.0.load(Ordering::SeqCst);
        assert!(device.mailbox().take_behind());
        wakeups::together(|| {
            for round in 0..10 {
                register();
                for change in 1..=8 {
                    assert_eq!(times(), round, "together");
                    device.deliver(&delivery(round as u64 * 8 + change, Priority::NORMAL));
                }
                assert_eq!(times(), round + 1);
                assert_eq!(waiting(&device).len(), 8);
            }
        });
        assert!(!device.mailbox().take_behind());
        assert_eq!(times(), 10);
    }

    #[test]
    fn of_two_changes_of_a_conversation_the_newer_state_waits() {
        let device = Device::new(UserId::SYSTEM, 1, 2);
        let change = |counted, read, unread, through| {
            ConversationChange::new(tim_proto::ConversationId::System)
                .with_counted(counted)
                .with_read_sequence(read)
                .with_unread(unread)
                .with_deleted_through(through)
        };
        let waits = |changes: &[ConversationChange]| {
            changes.iter().for_each(|change| device.change(*change));
            let mut mailbox = device.mailbox();
            let waiting = mailbox.next_change();
            assert_eq!(mailbox.next_change(), None);
            waiting
        };
        // What retention has removed, counted before the user had read.
        let [read, removed] = [change(5, 5, 0, 0), change(5, 2, 1, 0)];
        assert_eq!(waits(&[read, removed]), Some(read));
        assert_eq!(waits(&[removed, read]), Some(read));
        assert_eq!(waits(&[removed, change(5, 2, 0, 0)]), Some(change(5, 2, 0, 0)));
        // Off the list it is in any case.
        assert_eq!(waits(&[read, change(5, 2, 0, 4)]), Some(change(5, 5, 0, 4)));
        // Without a number the list is asked for, whatever comes behind.
        let unknown = change(0, 0, 0, 0);
        assert_eq!(waits(&[unknown, read]), Some(unknown));
        assert_eq!(waits(&[read, unknown]), Some(unknown));
    }

    #[test]
    fn what_is_stored_displaces_nothing_and_is_read_from_the_log_later() {
        let device = Device::new(UserId::SYSTEM, 1, 2);
        assert!(device.mailbox().take_behind());
        device.deliver(&delivery(1, Priority::NORMAL));
        device.deliver(&delivery(0, Priority::LOWEST));
        device.deliver(&delivery(2, Priority::NORMAL));
        assert!(device.mailbox().take_behind());
        assert_eq!(waiting(&device), [(0, Priority::LOWEST)]);
    }
}
