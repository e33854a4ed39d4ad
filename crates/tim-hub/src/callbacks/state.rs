//! What the application is told of who is online, and of messages that are taken back.

use serde_json::{Map, Value};
use tim_proto::{ConversationId, GroupType, UserId};
use tim_store::{Entry, LogKey};

use super::{CallbackCommand, Callbacks, Platform};
use crate::msg_key::MsgKey;

/// How a device comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateChange {
    Login,
    /// Its user has logged out, or was logged out.
    Logout,
    /// Its connection has ended.
    Disconnect,
    /// It has fallen silent.
    TimeOut,
}

impl Callbacks {
    /// Tells that a device has come or gone.
    pub(crate) fn state(&self, user: UserId, change: StateChange, now_ms: u64) {
        let command = CallbackCommand::StateChange;
        if !self.wants(command) {
            return;
        }
        let (action, reason) = match change {
            StateChange::Login => ("Login", "Register"),
            StateChange::Logout => ("Logout", "Unregister"),
            StateChange::Disconnect => ("Disconnect", "LinkClose"),
            StateChange::TimeOut => ("Disconnect", "TimeOut"),
        };
        let info = [
            ("Action", action),
            ("To_Account", user.as_str()),
            ("Reason", reason),
        ];
        let info = info.map(|(name, value)| (name.to_owned(), value.into()));
        let body = command.body([
            ("EventTime", now_ms.into()),
            ("Info", Value::Object(Map::from_iter(info))),
        ]);
        self.tell(command, Platform::Device, body);
    }
}

/// What the application is told of a message that is taken back.
#[derive(Debug)]
pub(crate) struct AfterRevoke {
    callbacks: Callbacks,
    command: CallbackCommand,
    platform: Platform,
    body: Map<String, Value>,
}

impl AfterRevoke {
    /// The command for a log.
    pub(crate) const fn command(log: &LogKey) -> CallbackCommand {
        match log {
            LogKey::Group(_) => CallbackCommand::AfterRecall,
            _ => CallbackCommand::AfterWithdraw,
        }
    }

    /// For a message that is about to be taken back, if the application wants to be told. The type is that of a group.
    pub(crate) fn new(
        callbacks: &Callbacks,
        (log, group_type): (&LogKey, GroupType),
        message: &Entry,
        (operator, platform): (UserId, Platform),
        now_ms: u64,
    ) -> Option<Self> {
        let command = Self::command(log);
        if !callbacks.wants(command) {
            return None;
        }
        let body = match (log, log.seen_by(&message.sender)) {
            (LogKey::Group(group), _) => {
                let sequence = ("MsgSeq".to_owned(), message.sequence.into());
                command.body([
                    ("Operator_Account", operator.as_str().into()),
                    ("GroupId", group.as_str().into()),
                    ("Type", group_type.name().unwrap_or_default().into()),
                    (
                        "MsgSeqList",
                        [Value::Object(Map::from_iter([sequence]))].into_iter().collect(),
                    ),
                    ("EventTime", now_ms.into()),
                ])
            }
            (_, Some(ConversationId::C2c(peer))) => command.body([
                ("From_Account", message.sender.as_str().into()),
                ("To_Account", peer.as_str().into()),
                ("MsgKey", MsgKey::of(message).to_string().into()),
            ]),
            _ => return None,
        };
        Some(Self {
            callbacks: callbacks.clone(),
            command,
            platform,
            body,
        })
    }

    /// It was taken back.
    pub(crate) fn revoked(self) {
        self.callbacks.tell(self.command, self.platform, self.body);
    }
}
