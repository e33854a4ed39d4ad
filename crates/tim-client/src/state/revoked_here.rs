//! Revocations by calls of this client whose deliveries have not come yet: the application knows of them, and no event tells
//! it again.

use std::collections::VecDeque;

use tim_proto::ConversationId;

/// How many are remembered. One that is forgotten is told again.
const MAX_REMEMBERED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct RevokedHere(VecDeque<(ConversationId, u64)>);

impl RevokedHere {
    /// A call was answered: the entry `sequence` is the revocation.
    pub(super) fn answered(&mut self, conversation: ConversationId, sequence: u64) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((conversation, sequence));
    }

    /// The entry was delivered. Returns whether a call has told the application of it.
    pub(super) fn delivered(&mut self, conversation: ConversationId, sequence: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| *entry != (conversation, sequence));
        self.0.len() != before
    }

    /// The hub's store was restored: the sequences belong to other entries now.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
