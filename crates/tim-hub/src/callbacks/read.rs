//! What the application is told of conversations that are read.

use serde_json::{Map, Value};
use tim_proto::{ConversationId, UserId};
use tim_store::LogKey;

use super::{CallbackCommand, Callbacks, Platform};

/// What the application is told of a one-to-one conversation that is about to be marked as read.
#[derive(Debug)]
pub(crate) struct AfterRead {
    callbacks: Callbacks,
    platform: Platform,
    body: Map<String, Value>,
}

impl AfterRead {
    /// For a user who marks a conversation as read, if the application wants to be told.
    pub(crate) fn new(
        callbacks: &Callbacks,
        (user, platform): (UserId, Platform),
        log: &LogKey,
        now_ms: u64,
    ) -> Option<Self> {
        let command = CallbackCommand::AfterRead;
        let Some(ConversationId::C2c(peer)) = log.seen_by(&user).filter(|_| callbacks.wants(command)) else {
            return None;
        };
        Some(Self {
            callbacks: callbacks.clone(),
            platform,
            body: command.body([
                ("Report_Account", user.as_str().into()),
                ("Peer_Account", peer.as_str().into()),
                ("LastReadTime", (now_ms / 1000).into()),
            ]),
        })
    }

    /// It was.
    pub(crate) fn read(self) {
        self.callbacks
            .tell(CallbackCommand::AfterRead, self.platform, self.body);
    }
}
