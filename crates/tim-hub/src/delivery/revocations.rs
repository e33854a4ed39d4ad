//! Revocations of messages that are on their way to devices: what waits in mailboxes is replaced, so that nobody gets the
//! content after the revocation was answered.
//!
//! A delivery is shared by all mailboxes, so it suffices to find it, by its change number, for as long as a mailbox holds it.
//! A revocation is noted on the writer's thread before its answer, and so maybe before the fan-out has come to the message;
//! then it is kept until the fan-out comes to the revocation, which is behind the message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use tim_proto::planted::{self, Fault};

use crate::device::Delivery;
use crate::encoding;
use crate::threads::lock;
use tim_store::{Entry, Published};

/// The least number of deliveries that is worth a sweep.
const FIRST_SWEEP: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Revocations(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    /// What mailboxes may hold, by change number.
    handed_out: HashMap<u64, Weak<Delivery>>,
    sweep_at: usize,
    /// Revoked messages as they are now, by change number, until the fan-out has passed their revocations.
    revoked: HashMap<u64, Bytes>,
}

impl Revocations {
    /// These entries are durable and about to be answered.
    pub(crate) fn committed(&self, published: &[Published]) {
        if planted::is(Fault::RevocationMissesMailboxes) {
            return;
        }
        for entry in published.iter().filter_map(|it| it.revoked.as_deref()) {
            let message = encoding::message(entry);
            let mut tables = lock(&self.0);
            match tables.handed_out.get(&entry.change).and_then(Weak::upgrade) {
                Some(delivery) => delivery.revoke(message),
                None => {
                    tables.revoked.insert(entry.change, message);
                }
            }
        }
    }

    /// A stored message is about to be delivered.
    pub(crate) fn hand_out(&self, delivery: &Arc<Delivery>) {
        let mut tables = lock(&self.0);
        if let Some(message) = tables.revoked.get(&delivery.change()) {
            delivery.revoke(message.clone());
            return;
        }
        if tables.handed_out.len() >= tables.sweep_at.max(FIRST_SWEEP) {
            tables.handed_out.retain(|_, held| held.strong_count() > 0);
            tables.sweep_at = tables.handed_out.len().saturating_mul(2);
        }
        tables
            .handed_out
            .insert(delivery.change(), Arc::downgrade(delivery));
    }

    /// The fan-out has come to the revocation of this message.
    pub(crate) fn passed(&self, revoked: &Entry) {
        lock(&self.0).revoked.remove(&revoked.change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_proto::{MessageId, MessageKind, UserId};
    use tim_store::{EntryFlags, LogKey};

    fn message(change: u64, content: &'static [u8]) -> Entry {
        Entry {
            sequence: change,
            change,
            time_ms: 1,
            sender: UserId::SYSTEM,
            id: MessageId::default(),
            origin: 0,
            flags: EntryFlags::NONE,
            kind: MessageKind::TEXT,
            content: Bytes::from_static(content),
        }
    }

    fn revocation_of(message: &Entry, change: u64) -> Published {
        let revoked = Entry {
            flags: EntryFlags::REVOKED,
            content: Bytes::new(),
            ..message.clone()
        };
        Published {
            log: LogKey::System(UserId::SYSTEM),
            entry: Some(self::message(change, b"")),
            roster: None,
            revoked: Some(Box::new(revoked)),
        }
    }

    fn says(delivery: &Delivery, text: &[u8]) -> bool {
        delivery.message().ends_with(text)
    }

    #[test]
    fn what_waits_is_replaced_whether_the_fan_out_comes_before_or_after() {
        let revocations = Revocations::default();
        let [early, late, other] =
            [1, 2, 3].map(|change| Arc::new(Delivery::of(&message(change, b"secret"))));
        revocations.hand_out(&early);
        revocations.hand_out(&other);
        let revoked = [(1, 4), (2, 5)].map(|(of, change)| revocation_of(&message(of, b"secret"), change));
        revocations.committed(&revoked);
        assert!(!says(&early, b"secret"));
        revocations.hand_out(&late);
        assert!(!says(&late, b"secret"));
        assert!(says(&other, b"secret"));
        for published in &revoked {
            revocations.passed(published.revoked.as_deref().unwrap());
        }
        assert!(
            lock(&revocations.0).revoked.is_empty(),
            "nothing is kept for ever"
        );
    }

    #[test]
    fn deliveries_that_no_mailbox_holds_are_forgotten() {
        let revocations = Revocations::default();
        for change in 1..10 * FIRST_SWEEP as u64 {
            revocations.hand_out(&Arc::new(Delivery::of(&message(change, b""))));
        }
        assert!(lock(&revocations.0).handed_out.len() <= FIRST_SWEEP);
    }
}
