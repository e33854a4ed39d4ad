//! What a conversation list shows of its last message when that is no text: `[图片]` or `[Image]`.

use crate::kind::MessageKind;
use crate::words::Words;

/// The placeholder for a kind, in the vendor's words. Empty for text (which stands for itself, see
/// [`last_message_text`]) and for every kind without one.
///
/// ```
/// use tim_proto::kind::MessageKind;
/// use tim_proto::placeholder::placeholder;
/// use tim_proto::words::Words;
/// assert_eq!(placeholder(MessageKind::IMAGE, Words::SEED), "[图片]");
/// assert_eq!(placeholder(MessageKind(4711), Words::SEED), "");
/// ```
#[must_use]
pub const fn placeholder(kind: MessageKind, words: Words) -> &'static str {
    match kind {
        MessageKind::IMAGE => words.pick("[图片]", "[Image]"),
        MessageKind::LOCATION => words.pick("[位置]", "[Location]"),
        MessageKind::AUDIO => words.pick("[语音]", "[Voice]"),
        MessageKind::VIDEO => words.pick("[视频]", "[Video]"),
        MessageKind::FILE => words.pick("[文件]", "[File]"),
        MessageKind::CUSTOM => words.pick("[自定义消息]", "[Custom Messages]"),
        MessageKind::GROUP_TIP => words.pick("[群提示消息]", "[Group Notification]"),
        MessageKind::GROUP_SYSTEM_NOTICE => words.pick("[群系统通知]", "[Group System Message]"),
        MessageKind::FACE => words.pick("[动画表情]", "[Animated Sticker]"),
        MessageKind::MERGER => words.pick("[聊天记录]", "[Chat Record]"),
        _ => "",
    }
}

/// What a conversation list shows for its last message: `text` itself if it is a text message, else the kind's
/// placeholder. A revoked message has [`revoked_text`](crate::revoked::revoked_text) instead.
#[must_use]
pub const fn last_message_text(kind: MessageKind, text: &str, words: Words) -> &str {
    match kind {
        MessageKind::TEXT => text,
        other => placeholder(other, words),
    }
}
