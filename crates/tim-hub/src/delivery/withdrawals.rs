//! What devices may no longer be handed though it was read for them: what was revoked or removed, and groups that they have left.
//!
//! A device that catches up with a small window is read more than it can take. What waits has a *mark* of when it was read. Before more
//! of it is handed over, what was withdrawn since is compared with it. Withdrawals are noted before anybody is told of them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tim_proto::UserId;
use tim_store::{ChangeEntry, LogKey, Published, PurgedLog};

use crate::threads::lock;

/// How many withdrawals are known. What has waited for longer counts as withdrawn.
const MAX_KNOWN: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Withdrawals {
    count: AtomicU64,
    recent: Mutex<VecDeque<Withdrawn>>,
}

#[derive(Debug, Clone, Copy)]
enum Withdrawn {
    /// The message with this change was revoked.
    Message(u64),
    /// The entries of a log up to this sequence were removed.
    Upto(LogKey, u64),
    /// A user has left a group; all have, if none is named.
    Group(LogKey, Option<UserId>),
}

impl Withdrawn {
    fn concerns(&self, user: &UserId, waiting: &ChangeEntry) -> bool {
        match self {
            Self::Message(change) => waiting.entry.change == *change,
            Self::Upto(log, through) => waiting.log == *log && waiting.entry.sequence <= *through,
            Self::Group(log, left) => waiting.log == *log && left.is_none_or(|left| left == *user),
        }
    }
}

/// A place among the withdrawals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl Withdrawals {
    /// The mark of what is read from now on.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.count.load(Ordering::Acquire))
    }

    /// These entries are durable and about to be answered.
    pub(crate) fn committed(&self, published: &[Published]) {
        let revoked = published.iter().filter_map(|entry| entry.revoked.as_deref());
        self.add(revoked.map(|revoked| Withdrawn::Message(revoked.change)));
        for roster in published.iter().filter_map(|entry| entry.roster.as_deref()) {
            let log = LogKey::Group(roster.group);
            let left = roster.left.iter().map(|user| Withdrawn::Group(log, Some(*user)));
            self.add(left.chain(roster.dismissed.then_some(Withdrawn::Group(log, None))));
        }
    }

    /// Retention has removed old entries.
    pub(crate) fn purged(&self, logs: &[PurgedLog]) {
        self.add(
            logs.iter()
                .map(|purged| Withdrawn::Upto(purged.log, purged.through)),
        );
    }

    fn add(&self, withdrawn: impl Iterator<Item = Withdrawn>) {
        let mut withdrawn = withdrawn.peekable();
        if withdrawn.peek().is_none() {
            return;
        }
        let mut recent = lock(&self.recent);
        for one in withdrawn {
            if recent.len() == MAX_KNOWN {
                recent.pop_front();
            }
            recent.push_back(one);
            self.count.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether something of what waits for a user was withdrawn after the mark, which moves if not.
    pub(crate) fn concern<'a>(
        &self,
        mark: &mut Mark,
        user: &UserId,
        waiting: impl Iterator<Item = &'a ChangeEntry> + Clone,
    ) -> bool {
        if self.count.load(Ordering::Acquire) == mark.0 {
            return false;
        }
        let Some(new) = self.since(mark) else { return true };
        // Without the lock, for which commits wait.
        waiting
            .into_iter()
            .any(|entry| new.iter().any(|withdrawn| withdrawn.concerns(user, entry)))
    }

    /// What was withdrawn after the mark, which moves; `None` if that is more than is known.
    fn since(&self, mark: &mut Mark) -> Option<Vec<Withdrawn>> {
        let recent = lock(&self.recent);
        let count = self.count.load(Ordering::Acquire);
        let new = usize::try_from(count.saturating_sub(mark.0)).unwrap_or(usize::MAX);
        mark.0 = count;
        let known = recent.len().checked_sub(new)?;
        Some(recent.range(known..).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_proto::{GroupId, MessageId, MessageKind};
    use tim_store::{Entry, EntryFlags, RosterChange};

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn entry(change: u64, sequence: u64) -> Entry {
        Entry {
            sequence,
            change,
            time_ms: 1,
            sender: user("bob"),
            id: MessageId::default(),
            origin: 0,
            flags: EntryFlags::NONE,
            kind: MessageKind::TEXT,
            content: bytes::Bytes::new(),
        }
    }

    fn published(log: LogKey) -> Published {
        Published {
            log,
            entry: Some(entry(100, 100)),
            roster: None,
            revoked: None,
        }
    }

    #[test]
    fn what_was_withdrawn_after_the_mark_concerns_what_waits() {
        let withdrawals = Withdrawals::default();
        let (alice, carol) = (user("alice"), user("carol"));
        let group = GroupId::new("crew").unwrap();
        let (talk, crew) = (LogKey::c2c(alice, user("bob")), LogKey::Group(group));
        let waiting = [(talk, 7, 3), (crew, 8, 5)].map(|(log, change, sequence)| ChangeEntry {
            log,
            entry: entry(change, sequence),
        });
        let concern = |mark: &mut Mark| withdrawals.concern(mark, &alice, waiting.iter());

        let mut mark = withdrawals.mark();
        assert!(!concern(&mut mark));
        let revoke = |change| {
            let revoked = Some(Box::new(entry(change, 1)));
            withdrawals.committed(&[Published {
                revoked,
                ..published(talk)
            }]);
        };
        revoke(9);
        assert!(!concern(&mut mark), "another message");
        revoke(7);
        assert!(concern(&mut mark));
        assert!(!concern(&mut mark), "what is read again comes after it");

        let through = |log, through| PurgedLog {
            log,
            through,
            last: false,
        };
        withdrawals.purged(&[through(talk, 2), through(crew, 4)]);
        assert!(!concern(&mut mark));
        withdrawals.purged(&[through(talk, 3)]);
        assert!(concern(&mut mark));

        let leave = |left: Vec<UserId>, dismissed| {
            let mut roster = RosterChange::of(group);
            (roster.left, roster.dismissed) = (left, dismissed);
            let roster = Some(Box::new(roster));
            withdrawals.committed(&[Published {
                roster,
                ..published(LogKey::System(carol))
            }]);
        };
        leave(vec![carol], false);
        assert!(!concern(&mut mark), "another user");
        leave(vec![carol, alice], false);
        assert!(concern(&mut mark));
        leave(Vec::new(), true);
        assert!(concern(&mut mark));
    }

    #[test]
    fn what_has_waited_for_too_long_counts_as_withdrawn() {
        let withdrawals = Withdrawals::default();
        let mut mark = withdrawals.mark();
        let alice = user("alice");
        let other = PurgedLog {
            log: LogKey::System(alice),
            through: 1,
            last: true,
        };
        withdrawals.purged(&vec![other; MAX_KNOWN]);
        assert!(!withdrawals.concern(&mut mark, &alice, [].iter()));
        withdrawals.purged(&vec![other; MAX_KNOWN + 1]);
        assert!(withdrawals.concern(&mut mark, &alice, [].iter()));
    }
}
