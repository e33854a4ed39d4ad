//! Placeholders that a conversation list displays for last messages other than text: `[图片]` or `[Image]`.

use crate::kind::MessageKind;
use crate::render::Words;

/// The vendor's placeholder for a kind. Empty for text, which is displayed itself (see [`last_message_text`]), and
/// for kinds without a placeholder.
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

/// The placeholders of a language, in the order in which [`placeholder`] destructures them.
pub(crate) type Placeholders = [&'static str; 10];

/// The Chinese placeholder for tips, also used for tips without a text of their own.
pub(crate) const CHINESE_TIP: &str = "[群提示消息]";
/// The English counterpart of [`CHINESE_TIP`].
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

/// The text that a conversation list displays for its last message: `text` for a text message, otherwise the
/// placeholder of the kind. For revoked messages, use [`revoked_text`](crate::render::revoked_text).
#[must_use]
pub const fn last_message_text(kind: MessageKind, text: &str, words: Words) -> &str {
    match kind {
        MessageKind::TEXT => text,
        other => placeholder(other, words),
    }
}
