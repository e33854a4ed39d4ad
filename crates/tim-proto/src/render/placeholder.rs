//! What a conversation list shows of its last message when that is no text: `[图片]` or `[Image]`.

use crate::kind::MessageKind;
use crate::render::Words;

/// The placeholder for a kind, in the vendor's words. Empty for text (which stands for itself, see
/// [`last_message_text`]) and for every kind without one.
///
/// ```
/// use tim_proto::kind::MessageKind;
/// use tim_proto::render::placeholder;
/// use tim_proto::render::Words;
/// assert_eq!(placeholder(MessageKind::IMAGE, Words::SEED), "[图片]");
/// assert_eq!(placeholder(MessageKind(4711), Words::SEED), "");
/// ```
#[must_use]
pub const fn placeholder(kind: MessageKind, words: Words) -> &'static str {
    let [
        image,
        location,
        audio,
        video,
        file,
        custom,
        tip,
        notice,
        face,
        merger,
    ] = words.0.placeholders;
    match kind {
        MessageKind::IMAGE => image,
        MessageKind::LOCATION => location,
        MessageKind::AUDIO => audio,
        MessageKind::VIDEO => video,
        MessageKind::FILE => file,
        MessageKind::CUSTOM => custom,
        MessageKind::GROUP_TIP => tip,
        MessageKind::GROUP_SYSTEM_NOTICE => notice,
        MessageKind::FACE => face,
        MessageKind::MERGER => merger,
        _ => "",
    }
}

/// The placeholders of a language, in the order in which [`placeholder`] takes them apart.
pub(crate) type Placeholders = [&'static str; 10];

/// What stands for a tip that has no words of its own, too.
pub(crate) const CHINESE_TIP: &str = "[群提示消息]";
/// The same in English.
pub(crate) const ENGLISH_TIP: &str = "[Group Notification]";

pub(crate) static CHINESE: Placeholders = [
    "[图片]",
    "[位置]",
    "[语音]",
    "[视频]",
    "[文件]",
    "[自定义消息]",
    CHINESE_TIP,
    "[群系统通知]",
    "[动画表情]",
    "[聊天记录]",
];

pub(crate) static ENGLISH: Placeholders = [
    "[Image]",
    "[Location]",
    "[Voice]",
    "[Video]",
    "[File]",
    "[Custom Messages]",
    ENGLISH_TIP,
    "[Group System Message]",
    "[Animated Sticker]",
    "[Chat Record]",
];

/// What a conversation list shows for its last message: `text` itself if it is a text message, else the kind's
/// placeholder. A revoked message has [`revoked_text`](crate::render::revoked_text) instead.
#[must_use]
pub const fn last_message_text(kind: MessageKind, text: &str, words: Words) -> &str {
    match kind {
        MessageKind::TEXT => text,
        other => placeholder(other, words),
    }
}
