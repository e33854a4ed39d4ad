//! Counts the unread messages of a conversation. Every component that displays such a number uses this rule.
//!
//! Only the hub can count the messages that were never sent to a device, and only the device knows which messages it
//! received after the hub counted. Each count from the hub therefore names the sequence through which it is valid,
//! `counted`. The number to display is
//!
//! > the hub's count, plus the countable entries delivered after `counted`, minus the messages revoked by entries
//! > after `counted`.
//!
//! An entry is countable if it is stored, is not flagged [`NO_UNREAD`](MessageFlags::NO_UNREAD), is not a revocation
//! and was not sent by the user. A revocation after `counted` subtracts one if its message is after the read
//! position, was counted and was not sent by the user. In a group without unread counts the hub's count is always 0.
//!
//! Counts can arrive in any order: in responses and in pushes, before or after the deliveries that they include. The
//! count with the higher `counted` is newer; if both are equal, the count with the higher read position is newer.
//! Neither value ever decreases. An older count never replaces a newer one.
//!
//! ```
//! use tim_proto::unread::{HubCount, Taken, UnreadCount};
//! let mut unread = UnreadCount::<8>::new(HubCount { unread: 1, counted: 5, read: 4 });
//! unread.arrived(6);
//! unread.arrived(7);
//! assert_eq!(unread.count(), 3);
//! // The user has read through 6, the last entry that the hub had then; 7 was still in transit.
//! assert_eq!(unread.take(HubCount { unread: 0, counted: 6, read: 6 }), Taken::Newer);
//! assert_eq!(unread.count(), 1);
//! assert_eq!(unread.take(HubCount { unread: 2, counted: 6, read: 4 }), Taken::Older);
//! ```

use crate::message::{Envelope, Message, MessageFlags, Payload};
use crate::{MessageKind, UserId, conversation, request};

/// The hub's unread count of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubCount {
    /// The number of unread messages.
    pub unread: u32,
    /// The sequence through which the hub has counted.
    pub counted: u64,
    /// The read position at that time.
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

/// The result of applying a count from the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The count was newer and was applied.
    Newer,
    /// The count was older than the current one and was ignored.
    Older,
    /// The count is newer, but some entries delivered after it are no longer tracked individually. Request a new
    /// count from the hub. The displayed number stays unchanged until then.
    Unclear,
}

/// The effect of an entry after `counted` on the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Behind {
    sequence: u64,
    /// The sequence of the message that this entry revokes, or 0 if the entry is countable. The entry's own sequence
    /// if the message was revoked before it was delivered: it does not count, and its revocation, which arrives
    /// later, subtracts nothing.
    revokes: u64,
}

impl Behind {
    const fn was_revoked(self) -> bool {
        self.revokes == self.sequence
    }
}

/// The unread count of one conversation. The counter tracks up to `N` entries after the hub's count individually and
/// folds older ones into the count.
#[derive(Debug, Clone, Copy)]
pub struct UnreadCount<const N: usize> {
    /// The hub's count, including the folded entries.
    base: HubCount,
    /// The sequence through which the hub itself counted.
    from_hub: u64,
    /// An entry that had been revoked before delivery was folded, and its revocation has not arrived.
    unclear: bool,
    /// Sorted by sequence.
    behind: [Behind; N],
    len: usize,
}

impl<const N: usize> UnreadCount<N> {
    /// Creates a counter that starts from a count of the hub.
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

    /// The number of unread messages.
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

    /// The hub's count, including the later entries that were folded into it.
    #[must_use]
    pub const fn hub(&self) -> HubCount {
        self.base
    }

    /// The user's read position.
    #[must_use]
    pub const fn read_sequence(&self) -> u64 {
        self.base.read
    }

    /// The sequence through which all entries are included in [`hub`](Self::hub): the sequence of the hub's count, or
    /// that of the last folded entry.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.base.counted
    }

    /// Whether a new count must be requested from the hub, as for [`Taken::Unclear`]. The displayed number is never
    /// too low.
    #[must_use]
    pub const fn is_unclear(&self) -> bool {
        self.unclear
    }

    /// Applies a count from the hub.
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

    /// Applies a count from the hub unconditionally. Use it for the first count after a login, because the store may
    /// have been restored in the meantime.
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

    /// Records the delivery of an entry to `me`: a message, tip, notice or revocation.
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

    /// Records the delivery of a countable entry.
    pub fn arrived(&mut self, sequence: u64) {
        self.note(Behind { sequence, revokes: 0 });
    }

    /// Records that the entry `sequence` revokes `message`, which was not sent by the user.
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
            return; // already counted, or not stored
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

    /// Frees a slot: folds the oldest entry, which may be `new`, into the count.
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
                self.base.unread = self.base.unread.saturating_add(1); // subtracted by its revocation
            } else {
                self.unclear = true;
            }
        } else if self.takes_off_base(&oldest) {
            self.base.unread = self.base.unread.saturating_sub(1);
        }
        self.base.counted = oldest.sequence;
        self.forget_through(oldest.sequence);
    }

    /// Whether a revocation decrements the hub's count itself. It does not if its message may have been revoked
    /// before delivery.
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

/// Whether an entry that is not a revocation counts as unread for `me`. Entries that are not stored do not.
#[must_use]
pub fn counts(envelope: &Envelope, me: &UserId) -> bool {
    envelope.sequence > 0
        && !envelope
            .flags
            .intersects(MessageFlags::NO_UNREAD | MessageFlags::ONLINE_ONLY)
        && envelope.from != *me
}
