//! How far a device has been served, and what it is handed next.
//!
//! While the device *catches up*, deliveries are read from the log only. Once a reading finds nothing more, the live ones
//! continue from there; those that have been read already are skipped by their change number. A reading during which live
//! deliveries were dropped is followed by another one.

use std::collections::VecDeque;
use std::sync::Arc;

use tim_proto::planted::{self, Fault};
use tim_proto::request::Gap;
use tim_proto::wire::FrameKind;
use tim_session::{DeliverError, GrowBuffer, HubSession, SendError};
use tim_store::{ChangeEntry, Changes, ChangesRequest, Epochs, ResumePoint};

use crate::delivery::{Mark, Withdrawals};
use crate::device::{Delivery, Device, Mailbox, origin_of};
use crate::encoding;
use crate::merges::{HeldBytes, Merges};
use crate::metrics::Metrics;

/// After how many of its own messages a device is told how far it has been served.
const MAX_UNREPORTED: u32 = 256;
/// How many live deliveries are handed over before others may put more into the mailbox.
const MAX_AT_ONCE: usize = 16;
/// The most bytes of entries that one reading of the log brings.
const CATCH_UP_BYTES: usize = 256 * 1024;
/// The most entries that one reading of the log brings.
const CATCH_UP_ENTRIES: usize = 256;
/// So many entries are read, and so many bytes more, though the window is smaller: a reading costs much more than an entry.
const AHEAD_ENTRIES: usize = 64;
const AHEAD_BYTES: usize = 16 * 1024;
/// Bytes that are read for each entry that the window allows.
const WINDOW_BYTES: usize = 4 * 1024;

type Session = HubSession<GrowBuffer>;

/// How far a device has been served.
pub(super) struct DeliveryState {
    device: Arc<Device>,
    epochs: Arc<Epochs>,
    /// The last change that was handed over or skipped.
    cursor: u64,
    /// The newest change that the device knows of: the answers to its own requests may be ahead of the cursor.
    known: u64,
    /// The newest change that the cursors which were sent to the device cover.
    told: u64,
    /// The log is being read; live deliveries wait.
    is_catching_up: bool,
    /// Live deliveries were dropped since the last reading of the log began, which may have come before them.
    is_outdated: bool,
    /// The store was restored from an older copy than the device has seen, and the device has not been told yet.
    is_restored: bool,
    /// The last reading found more than could be handed over.
    has_more: bool,
    /// The device has been told that it has everything.
    is_synced: bool,
    /// How many of the device's own messages the cursor has passed since the device was told of it.
    unreported: u32,
    /// What was read and not handed over yet.
    ahead: Option<Box<Ahead>>,
}

/// What was read from the log and waits for the window.
struct Ahead {
    entries: VecDeque<ChangeEntry>,
    mark: Mark,
    /// As in [`Changes`].
    more: bool,
    cursor: u64,
    held: Option<HeldBytes>,
}

impl Ahead {
    /// Whether it may be held.
    fn is_held(&mut self, merges: &Arc<Merges>) -> bool {
        if self.held.is_none() {
            let bytes = self.entries.iter().map(|change| change.entry.content.len());
            let bytes = bytes.sum::<usize>() + self.entries.len() * size_of::<ChangeEntry>();
            self.held = merges.hold(bytes);
        }
        self.held.is_some()
    }
}

impl DeliveryState {
    pub(super) const fn new(device: Arc<Device>, epochs: Arc<Epochs>, start: ResumePoint) -> Self {
        Self {
            device,
            epochs,
            cursor: start.change,
            known: start.known,
            told: start.known,
            is_catching_up: true,
            is_outdated: false,
            is_restored: start.restored,
            has_more: false,
            is_synced: false,
            unreported: 0,
            ahead: None,
        }
    }

    pub(super) const fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Live deliveries were dropped: the log has them.
    pub(super) const fn catch_up(&mut self) {
        self.is_catching_up = true;
        self.is_outdated = true;
    }

    /// Hands over the next live deliveries, while so many bytes can be queued; whether any was. Others wait for the mailbox
    /// meanwhile, so not too many.
    pub(super) fn deliver_live(
        &mut self,
        session: &mut Session,
        mailbox: &mut Mailbox,
        least_capacity: usize,
        metrics: &Metrics,
    ) -> bool {
        let mut delivered = 0;
        for _ in 0..MAX_AT_ONCE {
            if !session.is_online() || session.outgoing_capacity() < least_capacity {
                break;
            }
            let Some(delivery) = self.next_live(mailbox) else {
                self.report_own_messages(session);
                break;
            };
            if self.hand_over(session, &delivery).is_err() {
                mailbox.put_back(delivery);
                break;
            }
            self.note_handed_over(delivery.change());
            delivered += 1;
        }
        if delivered > 0 {
            metrics.deliveries.add(delivered);
        }
        delivered > 0
    }

    /// A delivery has its cursor; one that is not stored, whose change is 0, has none.
    fn note_handed_over(&mut self, change: u64) {
        self.cursor = self.cursor.max(change);
        if change > 0 {
            self.told = self.told.max(self.known).max(change);
        }
    }

    /// The next live delivery that the device has not been handed from the log.
    fn next_live(&mut self, mailbox: &mut Mailbox) -> Option<Arc<Delivery>> {
        if self.is_catching_up && !planted::is(Fault::LiveOvertakesLog) {
            return None;
        }
        while let Some(delivery) = mailbox.next_live() {
            if delivery.change() > self.cursor && delivery.is_from(&self.device) {
                self.cursor = delivery.change();
                self.unreported += 1;
            } else if delivery.is_live_only() || delivery.change() > self.cursor {
                return Some(delivery);
            }
        }
        None
    }

    /// The device is about to be answered that this change is stored; 0 if none is. Its cursor names the change first, so that the
    /// device is told if a restored store does not have it. While the device has not been told that it has everything, the cursors
    /// of its next deliveries do.
    ///
    /// `newest` is the newest change of all answers that are at hand. They are stored too, so the cursor names it, and the answers
    /// behind this one need no other.
    pub(super) fn note_answered(&mut self, session: &mut Session, change: u64, newest: u64) {
        if change > self.told && !planted::is(Fault::AnswerAheadOfCursor) {
            self.known = self.known.max(newest);
            if self.is_synced {
                self.report_cursor(session);
            }
        }
    }

    /// Tells the device how far it has been served, so that its next login does not go through its own messages again.
    fn report_own_messages(&mut self, session: &mut Session) {
        if self.unreported >= MAX_UNREPORTED && self.is_synced {
            self.report_cursor(session);
        }
    }

    fn report_cursor(&mut self, session: &mut Session) -> bool {
        let cursor = self.epochs.cursor_knowing(self.cursor, self.known).to_bytes();
        let is_sent = session.synced(cursor.as_ref()).is_ok();
        if is_sent {
            self.told = self.cursor.max(self.known);
            self.unreported = 0;
        }
        is_sent
    }

    /// What to read from the log next, as far as the client's window allows; `None` if nothing is to be read now.
    pub(super) fn next_reading(&mut self, session: &mut Session) -> Option<ChangesRequest> {
        let window = session.window_capacity();
        // Wait until half of the window is free. A client that has not been told yet that it has everything is told so without a
        // window too.
        let is_enough = window * 2 >= session.window() && window > 0;
        if !self.is_catching_up || !session.is_online() || (!is_enough && (self.is_synced || self.has_more)) {
            return None;
        }
        if self.is_restored {
            session.push(FrameKind::GAP, &Gap::RESTORED).ok()?;
            self.is_restored = false;
        }
        self.is_outdated = false;
        Some(ChangesRequest {
            user: self.device.user(),
            cursor: self.cursor,
            limit: window.clamp(AHEAD_ENTRIES, CATCH_UP_ENTRIES),
            max_bytes: (AHEAD_BYTES + window.saturating_mul(WINDOW_BYTES))
                .min(CATCH_UP_BYTES)
                .min(session.outgoing_capacity() / 2),
        })
    }

    /// Takes what was read from the log, to be handed over as the window allows. Whether the gaps in it, which come first, found
    /// capacity; if not, it is read again later.
    pub(super) fn take(&mut self, session: &mut Session, changes: Changes, mark: Mark) -> bool {
        self.has_more = true; // unless the end is reached
        for gap in &changes.gaps {
            let Some(conversation) = gap.log.seen_by(&self.device.user()) else {
                continue;
            };
            if planted::is(Fault::GapSwallowed) {
                continue;
            }
            let body = Gap::new(conversation, gap.from, gap.to);
            if session.push(FrameKind::GAP, &body).is_err() {
                return false;
            }
        }
        self.ahead = Some(Box::new(Ahead {
            entries: changes.entries.into(),
            mark,
            more: changes.more,
            cursor: changes.cursor,
            held: None,
        }));
        true
    }

    /// Whether something that was read waits to be handed over. It is forgotten, and read again, if some of it was withdrawn.
    pub(super) fn has_ahead(&mut self, withdrawals: &Withdrawals) -> bool {
        let user = self.device.user();
        let is_withdrawn = self
            .ahead
            .as_mut()
            .is_some_and(|ahead| withdrawals.concern(&mut ahead.mark, &user, ahead.entries.iter()));
        if is_withdrawn && !planted::is(Fault::RevocationMissesMailboxes) {
            self.ahead = None;
        }
        self.ahead.is_some()
    }

    /// Hands over what was read, as far as the window allows; whether anything was.
    pub(super) fn deliver_ahead(
        &mut self,
        session: &mut Session,
        merges: &Arc<Merges>,
        metrics: &Metrics,
    ) -> bool {
        let Some(mut ahead) = self.ahead.take() else {
            return false;
        };
        let start = self.cursor;
        while let Some(change) = ahead.entries.front() {
            let entry = &change.entry;
            if self.device.has_sent(entry.sender, origin_of(entry)) {
                self.unreported += 1;
            } else if has_window(session) && self.hand_over(session, &Delivery::of(entry)).is_ok() {
                self.note_handed_over(entry.change);
                metrics.deliveries.add(1);
                self.unreported = 0;
            } else if planted::is(Fault::CursorSkipsUndelivered) {
                break;
            } else {
                if ahead.is_held(merges) {
                    self.ahead = Some(ahead);
                }
                return self.cursor != start;
            }
            self.cursor = entry.change;
            ahead.entries.pop_front();
        }
        self.cursor = self.cursor.max(ahead.cursor);
        self.has_more = ahead.more;
        if !ahead.more {
            self.is_synced = self.is_synced || self.report_cursor(session);
            self.is_catching_up = self.is_outdated || !self.is_synced;
        }
        true
    }

    /// Delivers a message. A client that cannot take it whole gets a tip without names, or else its stub.
    fn hand_over(&self, session: &mut Session, delivery: &Delivery) -> Result<(), DeliverError> {
        let (change, message) = (delivery.change(), delivery.message());
        let cursor = (change > 0).then(|| self.epochs.cursor_knowing(change, self.known).to_bytes());
        let cursor = cursor.as_ref().map_or(&[][..], AsRef::as_ref);
        let (user, device) = (self.device.user(), self.device.number());
        match session.deliver_to(&user, device, cursor, 0, message) {
            Err(DeliverError::Send(SendError::TooLarge { .. })) => {}
            delivered => return delivered,
        }
        let nameless = encoding::nameless_tip(message).map(|tip| (tip, 0));
        for shorter in [nameless, encoding::stub(message), encoding::bare_stub(message)] {
            let Some((stub, payload_len)) = shorter else {
                continue;
            };
            match session.deliver_to(&user, device, cursor, payload_len, &stub) {
                Err(DeliverError::Send(SendError::TooLarge { .. })) => {}
                delivered => return delivered,
            }
        }
        // Unreachable, so nothing is skipped in silence here. The last of the three fits: a session comes online only with a
        // client that takes frames of `LEAST_MAX_FRAME` bytes, and a stub without extensions has a bounded length that is less,
        // see `encoding::tests::the_longest_stub_fits_into_the_smallest_frame`. It can be made of every message: the hub decoded
        // its content before it took it, or wrote it itself.
        Ok(())
    }
}

/// Whether the client takes another delivery. An entry is encoded for each attempt.
fn has_window(session: &Session) -> bool {
    session.window_capacity() > 0 || planted::is(Fault::WindowUnchecked)
}
