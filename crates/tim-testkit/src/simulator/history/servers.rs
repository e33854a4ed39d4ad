//! What the servers of others see, which the hub calls.

use tim_session::proto::message::{Payload, Text, to_vec};
use tim_session::proto::request::PushPlatform;
use tim_session::proto::{GroupId, MessageId, MessageKind, UserId};

use super::{Log, Mark, Said};
use crate::simulator::op::Server;

/// What the application's server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The number of the question, unique in the run.
    pub number: u32,
    /// `CallbackCommand`.
    pub command: String,
    /// The message that it is about.
    pub mark: Option<Mark>,
    /// Who does it.
    pub by: Option<UserId>,
    /// In which group.
    pub group: Option<GroupId>,
    /// What it answers.
    pub verdict: Verdict,
    /// After how many milliseconds; `None`: never.
    pub after_ms: Option<u64>,
}

/// What the application's server decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Allow,
    /// It is done with another content.
    Change(Said),
    /// It is done without these users.
    Without(Vec<UserId>),
    /// It is refused, and whoever does it is told this code.
    Refuse(u32),
    /// The message is dropped, and its sender is told that it was sent.
    Drop,
    /// What it answers is no answer.
    Useless,
}

/// What the application's server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `CallbackCommand`.
    pub command: String,
    /// The message that it is about.
    pub mark: Option<Mark>,
    /// Its log, and its sequence; 0 if it is not stored.
    pub place: Option<(Log, u64)>,
    /// Why it was not stored; 0 if it was.
    pub result: u64,
    /// Whether it is for those online only.
    pub online_only: bool,
    /// Who has done it.
    pub by: Option<UserId>,
    /// In which group.
    pub group: Option<GroupId>,
    /// `Action` of a change of state.
    pub action: String,
    /// After how many virtual milliseconds it answers; `None` if never.
    pub after_ms: Option<u64>,
}

/// What a sink gets, and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// The sink.
    pub sink: Server,
    /// The id of the notification.
    pub id: String,
    /// Who is notified.
    pub user: UserId,
    /// The push service.
    pub platform: PushPlatform,
    /// The token.
    pub token: String,
    /// The log of the message, and its sequence.
    pub place: (Log, u64),
    /// The message.
    pub message: MessageId,
    /// Its sender.
    pub sender: UserId,
    /// The mark in the text.
    pub mark: Option<Mark>,
    /// Whether the text is one that the application's server has put in the place of another.
    pub is_changed: bool,
    /// What it answers.
    pub answer: SinkAnswer,
    /// After how many milliseconds; `None`: never.
    pub after_ms: Option<u64>,
}

/// What a sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkAnswer {
    /// It has taken the notification.
    Taken,
    /// It never takes it.
    Refused,
    /// There is no such token.
    TokenUnknown,
    /// It does not take it now.
    NotTaken,
    /// It takes nothing now.
    Unavailable,
}

impl SinkAnswer {
    /// Whether the notification needs not be sent again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Taken | Self::Refused | Self::TokenUnknown)
    }
}

/// What tells the text of a message that the application's server has changed.
const CHANGED: &str = "changed ";

/// The text that the application's server puts in the place of a message.
#[must_use]
pub fn changed_text(mark: Mark, variant: u64) -> String {
    format!("{}{CHANGED}{variant}", mark.text())
}

/// The content with that text.
#[must_use]
pub fn changed(mark: Mark, variant: u64) -> Said {
    let text = changed_text(mark, variant);
    let payload = Payload::from(Text::new(&text));
    Said::of(MessageKind::TEXT, &to_vec(&payload))
}

/// Whether this is such a text.
#[must_use]
pub fn is_changed(text: &str) -> bool {
    text.contains(CHANGED)
}
