//! How many messages of a conversation are unread: the one rule for it, for everybody who shows such a number.
//!
//! Only the hub can count what a device was never sent, and only the device knows what it has been sent since the hub
//! counted. So each number of the hub's says up to which sequence it has *counted*, and the number to show is
//!
//! > the hub's number, plus the entries that were delivered behind `counted` and count, minus those that were revoked
//! > there.
//!
//! An entry counts if it is stored, is not flagged [`NO_UNREAD`](MessageFlags::NO_UNREAD), is no revocation, and is not the
//! user's own. A revocation behind `counted` takes one off if its message lies behind the read mark, was counted and is
//! not the user's own. In a group that counts nothing the hub's number is 0, and stays so.
//!
//! Numbers arrive in any order: in answers, in pushes, before or behind the deliveries that they have counted. Of two
//! numbers the newer one is that with the higher `counted`, and of two with the same `counted` that with the higher read
//! mark: neither ever falls. An older number never takes the place of a newer one.
//!
//! ```
//! use tim_proto::unread::{HubCount, Taken, UnreadCount};
//! let mut unread = UnreadCount::<8>::new(HubCount { unread: 1, counted: 5, read: 4 });
//! unread.arrived(6);
//! unread.arrived(7);
//! assert_eq!(unread.count(), 3);
//! // Meanwhile the user has read everything up to 6, which is what the hub had then; 7 was under way.
//! assert_eq!(unread.take(HubCount { unread: 0, counted: 6, read: 6 }), Taken::Newer);
//! assert_eq!(unread.count(), 1);
//! assert_eq!(unread.take(HubCount { unread: 2, counted: 6, read: 4 }), Taken::Older);
//! ```

use crate::message::{Envelope, Message, MessageFlags, Payload};
use crate::{MessageKind, UserId, conversation, request};

/// What the hub has counted in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubCount {
    /// How many are unread.
    pub unread: u32,
    /// Up to which sequence it has counted.
    pub counted: u64,
    /// Up to where the user had read then.
    pub read: u64,
}

impl From<&conversation::Conversation<'_>> for HubCount {
    fn from(listed: &conversation::Conversation<'_>) -> Self {
        Self {
            unread: listed.unread,
            counted: listed.last_sequence,
            read: listed.read_sequence,
        }
    }
}

impl From<&request::MarkReadResponse> for HubCount {
    fn from(answer: &request::MarkReadResponse) -> Self {
        Self {
            unread: answer.unread,
            counted: answer.counted,
            read: answer.read_sequence,
        }
    }
}

impl From<&request::ConversationChange> for HubCount {
    fn from(change: &request::ConversationChange) -> Self {
        Self {
            unread: change.unread,
            counted: change.counted,
            read: change.read_sequence,
        }
    }
}

/// What became of a number of the hub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts from now on.
    Newer,
    /// There is a newer one already.
    Older,
    /// It is newer, but what was delivered behind it is not remembered one by one any more: the hub must be asked again.
    /// What is shown stays as it is until then.
    Unclear,
}

/// What an entry behind the hub's number does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Behind {
    sequence: u64,
    /// The sequence of the message that it revokes; 0 if it is one that counts. Its own if it had been revoked before it
    /// was delivered: it does not count, and its revocation, which is still to come, takes nothing off.
    revokes: u64,
}

impl Behind {
    const fn was_revoked(self) -> bool {
        self.revokes == self.sequence
    }
}

/// The unread messages of one conversation. It remembers `N` entries behind the hub's number one by one, and adds older
/// ones up.
#[derive(Debug, Clone, Copy)]
pub struct UnreadCount<const N: usize> {
    /// The hub's number, with what has been added up.
    base: HubCount,
    /// Up to which sequence the hub had counted.
    from_hub: u64,
    /// An entry was added up that had been revoked, and its revocation has not come.
    unclear: bool,
    /// In the order of their sequences.
    behind: [Behind; N],
    len: usize,
}

impl<const N: usize> UnreadCount<N> {
    /// Begins with a number of the hub's.
    #[must_use]
    pub const fn new(hub: HubCount) -> Self {
        Self {
            base: hub,
            from_hub: hub.counted,
            unclear: false,
            behind: [Behind {
                sequence: 0,
                revokes: 0,
            }; N],
            len: 0,
        }
    }

    /// How many messages are unread.
    #[must_use]
    pub fn count(&self) -> u32 {
        let (mut base, mut arrived) = (self.base.unread, 0_u32);
        for entry in self.behind() {
            if entry.revokes == 0 {
                arrived = arrived.saturating_add(1);
            } else if self.takes_off_base(entry) {
                base = base.saturating_sub(1);
            } else if self.remembers(entry.revokes) {
                arrived = arrived.saturating_sub(1);
            }
        }
        base.saturating_add(arrived)
    }

    /// The hub's number, with what has been added up behind it.
    #[must_use]
    pub const fn hub(&self) -> HubCount {
        self.base
    }

    /// Up to where the user has read.
    #[must_use]
    pub const fn read_sequence(&self) -> u64 {
        self.base.read
    }

    /// Up to which sequence everything is in the number: the hub's, or what has been added up behind it.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.base.counted
    }

    /// Whether the hub must be asked for its number, as [`Taken::Unclear`] says it for a number that came. What is shown is
    /// not too low.
    #[must_use]
    pub const fn is_unclear(&self) -> bool {
        self.unclear
    }

    /// A number of the hub's.
    pub fn take(&mut self, fresh: HubCount) -> Taken {
        if fresh.counted < self.base.counted && fresh.counted >= self.from_hub && fresh.read > self.base.read
        {
            return Taken::Unclear;
        }
        if (fresh.counted, fresh.read) < (self.base.counted, self.base.read) {
            return Taken::Older;
        }
        self.begin_at(fresh);
        Taken::Newer
    }

    /// A number of the hub's that counts whether it is newer or not: the first one of a new login, since the store may have
    /// been restored meanwhile.
    pub fn restart(&mut self, fresh: HubCount) -> Taken {
        let lost = fresh.counted < self.base.counted && self.base.counted > self.from_hub;
        self.begin_at(fresh);
        if lost { Taken::Unclear } else { Taken::Newer }
    }

    fn begin_at(&mut self, fresh: HubCount) {
        self.base = fresh;
        self.from_hub = fresh.counted;
        self.unclear = false;
        self.forget_through(fresh.counted);
    }

    /// An entry of the conversation was delivered to `me`: a message, a tip, a notice or a revocation.
    pub fn deliver(&mut self, entry: &Message<'_>, me: &UserId) {
        let sequence = entry.envelope.sequence;
        if let Payload::Revocation(revocation) = &entry.payload {
            if revocation.sender != *me {
                self.revoked(sequence, revocation.sequence);
            }
        } else if entry.payload.kind() != MessageKind::REVOCATION && counts(&entry.envelope, me) {
            let was_revoked = entry.envelope.flags.contains(MessageFlags::REVOKED);
            let revokes = if was_revoked { sequence } else { 0 };
            self.note(Behind { sequence, revokes });
        }
    }

    /// An entry that counts was delivered.
    pub fn arrived(&mut self, sequence: u64) {
        self.note(Behind { sequence, revokes: 0 });
    }

    /// The entry `sequence` revokes `message`, which is not the user's own.
    pub fn revoked(&mut self, sequence: u64, message: u64) {
        if message > 0 && message < sequence {
            self.note(Behind {
                sequence,
                revokes: message,
            });
        }
    }

    fn note(&mut self, new: Behind) {
        let known = self.behind().any(|known| known.sequence == new.sequence);
        if known || new.sequence <= self.base.counted {
            return; // counted already, or not stored
        }
        if self.len >= N {
            self.add_up(new);
            if new.sequence <= self.base.counted {
                return;
            }
        }
        let at = self
            .behind()
            .filter(|known| known.sequence < new.sequence)
            .count();
        let mut carried = new;
        let moved = self.behind.iter_mut().take(self.len.saturating_add(1)).skip(at);
        moved.for_each(|slot| core::mem::swap(slot, &mut carried));
        self.len = self.len.saturating_add(1).min(N);
    }

    /// Makes room: the oldest entry goes into the number, be it the new one.
    fn add_up(&mut self, new: Behind) {
        let oldest = self.behind().next().copied();
        let oldest = oldest
            .filter(|oldest| oldest.sequence < new.sequence)
            .unwrap_or(new);
        if oldest.revokes == 0 {
            self.base.unread = self.base.unread.saturating_add(1);
        } else if oldest.was_revoked() {
            let revocation = |entry: &Behind| entry.revokes == oldest.sequence && !entry.was_revoked();
            if self.behind().any(revocation) {
                self.base.unread = self.base.unread.saturating_add(1); // which its revocation takes off
            } else {
                self.unclear = true;
            }
        } else if self.takes_off_base(&oldest) {
            self.base.unread = self.base.unread.saturating_sub(1);
        }
        self.base.counted = oldest.sequence;
        self.forget_through(oldest.sequence);
    }

    /// Whether a revocation takes one off the number itself. One whose message may have come revoked does not.
    const fn takes_off_base(&self, entry: &Behind) -> bool {
        let is_in = entry.revokes > self.base.read && entry.revokes <= self.base.counted;
        is_in && !(self.unclear && entry.revokes > self.from_hub)
    }

    fn forget_through(&mut self, counted: u64) {
        let (mut kept, len) = (0_usize, self.len);
        for at in 0..len {
            let entry = self.behind.get(at).copied().unwrap_or_default();
            if entry.sequence > counted
                && let Some(slot) = self.behind.get_mut(kept)
            {
                *slot = entry;
                kept = kept.saturating_add(1);
            }
        }
        self.len = kept;
    }

    fn behind(&self) -> impl Iterator<Item = &Behind> {
        self.behind.iter().take(self.len)
    }

    fn remembers(&self, sequence: u64) -> bool {
        self.behind()
            .any(|entry| entry.revokes == 0 && entry.sequence == sequence)
    }
}

/// Whether an entry that is no revocation counts as unread for `me`, when it is stored.
#[must_use]
pub fn counts(envelope: &Envelope, me: &UserId) -> bool {
    envelope.sequence > 0
        && !envelope
            .flags
            .intersects(MessageFlags::NO_UNREAD | MessageFlags::ONLINE_ONLY)
        && envelope.from != *me
}
