//! The rules of offline push, as functions of a message, its receiver and a token.

use tim_proto::message::OfflinePush;
use tim_proto::render::placeholder;
use tim_proto::request::PushPlatform;
use tim_proto::{MessageKind, Payload, Words};

/// The longest text of a message that is shown, in bytes. A text that the sender has chosen for the notification is not cut.
const MAX_TEXT: usize = 1024;

/// A message, and how its receiver stands to it.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub(super) kind: MessageKind,
    pub(super) payload: Payload<'a>,
    /// What the sender has said of notifications.
    pub(super) options: Option<OfflinePush<'a>>,
    /// What the notification is called unless the sender says it: the sender's name, or the group's.
    pub(super) title: &'a str,
    /// The receiver has sent it, from whichever device.
    pub(super) is_own: bool,
    /// The receiver is kept out of the hub.
    pub(super) is_blocked: bool,
    /// The receiver has read it.
    pub(super) is_read: bool,
    pub(super) is_revoked: bool,
    /// It is one of another system.
    pub(super) is_imported: bool,
    /// It is for those who are online only.
    pub(super) is_online_only: bool,
    pub(super) is_too_old: bool,
    /// The receiver has a device online.
    pub(super) is_online: bool,
    /// The receiver wants to be notified of what comes in the conversation.
    pub(super) notifies: bool,
}

/// What is shown on every device, apart from what differs by its push service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) extension: String,
    ignores_ios_badge: bool,
    oppo_channel: Option<String>,
}

/// Why nobody is notified of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is no message of a user, or nobody is ever notified of it.
    NotMeant,
    /// The receiver may not see it now.
    Blocked,
    /// The receiver has it, or is about to.
    Online,
    Read,
    Revoked,
    TooOld,
    /// The sender or the receiver has switched it off.
    SwitchedOff,
    /// There is nothing to show.
    NoText,
}

/// Whether a receiver is notified of a message, and how.
pub(super) fn decide(candidate: &Candidate<'_>, words: Words) -> Result<Alert, Why> {
    let options = candidate.options.unwrap_or_default();
    let is_of_hub = matches!(candidate.kind.0, 32..64);
    if candidate.is_own || candidate.is_imported || candidate.is_online_only || is_of_hub {
        return Err(Why::NotMeant);
    }
    let reasons = [
        (candidate.is_blocked, Why::Blocked),
        (candidate.is_online, Why::Online),
        (candidate.is_revoked, Why::Revoked),
        (candidate.is_read, Why::Read),
        (candidate.is_too_old, Why::TooOld),
        (!candidate.notifies || options.disable_push, Why::SwitchedOff),
    ];
    if let Some((_, why)) = reasons.into_iter().find(|(holds, _)| *holds) {
        return Err(why);
    }
    let text = match given(options.description) {
        Some(description) => description.to_owned(),
        None => default_text(candidate.kind, &candidate.payload, words).ok_or(Why::NoText)?,
    };
    let extension = match (candidate.options, &candidate.payload) {
        (None, Payload::Custom(custom)) => custom.extension,
        _ => options.extension.unwrap_or_default(),
    };
    Ok(Alert {
        title: given(options.title).unwrap_or(candidate.title).to_owned(),
        text,
        extension: extension.to_owned(),
        ignores_ios_badge: options.ignore_ios_badge,
        oppo_channel: given(options.android_oppo_channel_id).map(str::to_owned),
    })
}

/// An empty text is none.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// What is shown of a message whose sender has said nothing else. A custom message means something to the application only, so its
/// description is shown, and nothing without one.
pub(super) fn default_text(kind: MessageKind, payload: &Payload<'_>, words: Words) -> Option<String> {
    match payload {
        Payload::Text(text) => Some(shortened(text.text)).filter(|text| !text.is_empty()),
        Payload::Custom(custom) => given(Some(custom.description)).map(shortened),
        _ if kind == MessageKind::CUSTOM => None,
        // A kind that this hub does not know is shown as what it does not know either.
        _ => Some(match placeholder(kind, words) {
            "" => placeholder(MessageKind::CUSTOM, words).to_owned(),
            text => text.to_owned(),
        }),
    }
}

/// As much of a text as is shown.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let ellipsis = "…";
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=MAX_TEXT - ellipsis.len())
        .rev()
        .find(fits)
        .unwrap_or_default();
    format!("{}{ellipsis}", text.get(..end).unwrap_or_default())
}

impl Alert {
    /// The number for the application's icon; `None` leaves it as it is.
    pub(super) fn badge(&self, platform: PushPlatform, unread: u64) -> Option<u64> {
        (platform != PushPlatform::IOS || !self.ignores_ios_badge).then_some(unread)
    }

    /// The channel, which only OPPO has.
    pub(super) fn channel(&self, platform: PushPlatform) -> Option<&str> {
        match platform {
            PushPlatform::OPPO => self.oppo_channel.as_deref(),
            _ => None,
        }
    }
}
