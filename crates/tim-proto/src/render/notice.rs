//! Group system notices: what the system tells one user about a group, and its text.

use core::fmt;

use super::words::{Piece, Words};
use crate::message::{NoticeOperation, SystemNotice};

impl<'a> SystemNotice<'a> {
    /// The text to show, or `None` for an operation that has none, known or not: the same operations in every
    /// profile.
    #[must_use]
    pub fn text(&self, words: Words) -> Option<NoticeText<'a>> {
        let phrase = words.0.notices.get(place(self.operation)?)?;
        Some(NoticeText {
            phrase,
            words,
            operator_id: self.operator_id,
            group: self.group_label(),
        })
    }
}

/// The text of a notice; print it. From [`SystemNotice::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeText<'a> {
    phrase: &'static str,
    words: Words,
    operator_id: &'a str,
    group: &'a str,
}

impl NoticeText<'_> {
    /// Writes the text. What `Display` does, without the machinery of `core::fmt`, which a device need not link then.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        let mut first = true;
        for piece in self.words.pieces(self.phrase) {
            out.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Operator => self.words.person(self.operator_id, first),
                Piece::Group => self.group,
                Piece::Users => "",
            })?;
            first = false;
        }
        Ok(())
    }
}

impl fmt::Display for NoticeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// The phrases of a language, see [`Piece`]; [`place`] says which is whose.
pub(crate) type Phrases = [&'static str; 11];

/// Where an operation's phrase stands: the only place that decides which operations have a text.
const fn place(operation: NoticeOperation) -> Option<usize> {
    match operation.0 {
        1..=10 => Some(operation.0 as usize - 1),
        255 => Some(10),
        _ => None,
    }
}

pub(crate) static CHINESE: Phrases = [
    "@ 申请加入群组:#",
    "成功加入群组:#",
    "申请加入群组:#被拒绝",
    "被管理员@踢出群组:#",
    "群:# 已被@解散",
    "@创建群:#",
    "@邀请你加群:#",
    "你退出群组:#",
    "你被@设置为群:#的管理员",
    "你被@撤销群:#的管理员身份",
    "自定义群系统通知",
];

pub(crate) static ENGLISH: Phrases = [
    "@ applies to join the group #",
    "You joined the group #",
    "Your application to join the group # was refused",
    "@ removed you from the group #",
    "The group # was dismissed by @",
    "@ created the group #",
    "@ invited you to the group #",
    "You left the group #",
    "@ made you an admin of the group #",
    "@ withdrew your role as an admin of the group #",
    "Custom group system notice",
];
