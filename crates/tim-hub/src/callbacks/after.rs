//! What the application is told after a message was stored.

use bytes::Bytes;
use tim_proto::message::Content;
use tim_proto::planted::{self, Fault};
use tim_proto::wire::decode_body;
use tim_proto::{ConversationId, GroupType, UserId};
use tim_store::Stored;

use super::client::Callbacks;
use super::message::About;
use super::{CallbackCommand, Platform};

/// Who sends a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) user: UserId,
    /// Who has the user send it: the user, or an administrator.
    pub(crate) operator: UserId,
    pub(crate) platform: Platform,
}

impl Sender {
    /// A user who sends from a device.
    pub(crate) const fn device(user: UserId) -> Self {
        Self {
            user,
            operator: user,
            platform: Platform::Device,
        }
    }
}

/// What the application is told after a message was stored, once it is known where.
#[derive(Debug, Clone)]
pub(crate) struct AfterSend {
    callbacks: Callbacks,
    command: CallbackCommand,
    sender: Sender,
    /// As its sender has encoded it, or a callback has changed it.
    content: Bytes,
    group_type: GroupType,
    online_only: bool,
    /// When it came.
    now_ms: u64,
}

impl AfterSend {
    /// For a message that is about to be stored or passed on, if the application wants to be told.
    pub(crate) fn new(
        callbacks: &Callbacks,
        sender: Sender,
        to: ConversationId,
        content: &[u8],
        group_type: GroupType,
        online_only: bool,
        now_ms: u64,
    ) -> Option<Box<Self>> {
        let command = match to {
            ConversationId::Group(_) => CallbackCommand::AfterGroup,
            _ => CallbackCommand::AfterC2c,
        };
        callbacks.wants(command).then(|| {
            Box::new(Self {
                callbacks: callbacks.clone(),
                command,
                sender,
                content: Bytes::copy_from_slice(content),
                group_type,
                online_only,
                now_ms,
            })
        })
    }

    /// It was stored here, or passed on at this time.
    pub(crate) fn stored(&self, at: Stored) {
        self.tell(at, 0, "send msg succeed");
    }

    /// It was not. The vendor tells of that for one-to-one messages only.
    pub(crate) fn refused(&self, code: u32, text: &str) {
        if self.command == CallbackCommand::AfterC2c {
            let nowhere = Stored {
                sequence: 0,
                change: 0,
                time_ms: self.now_ms,
            };
            self.tell(nowhere, code, text);
        }
    }

    fn tell(&self, at: Stored, result: u32, info: &str) {
        if self.command == CallbackCommand::AfterGroup && planted::is(Fault::GroupsUntold) {
            return;
        }
        let Ok(content) = decode_body::<Content<'_>>(&self.content) else {
            return;
        };
        let about = About {
            sender: self.sender,
            content: &content,
            sequence: match at.sequence {
                0 => content.client_sequence,
                stored => stored,
            },
            group_type: self.group_type.name().unwrap_or_default(),
            online_only: self.online_only,
            now_ms: at.time_ms,
        };
        let mut body = about.body(self.command);
        match self.command {
            CallbackCommand::AfterGroup => {
                body.insert("MsgSeq".to_owned(), at.sequence.into());
                body.insert("MsgTime".to_owned(), (at.time_ms / 1000).into());
            }
            _ => {
                body.insert("SendMsgResult".to_owned(), result.into());
                body.insert("ErrorInfo".to_owned(), info.into());
            }
        }
        self.callbacks.tell(self.command, self.sender.platform, body);
    }
}
