//! The text of group system notices, which the system sends to one user about a group.

use core::fmt;

use super::words::{Piece, Words};
use crate::message::{NoticeOperation, SystemNotice};

impl<'a> SystemNotice<'a> {
    /// The text to display, or `None` if the operation is unknown or has no text. All profiles have texts for the
    /// same operations.
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

/// The text of a notice. Implements `Display`. Created by [`SystemNotice::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeText<'a> {
    phrase: &'static str,
    words: Words,
    operator_id: &'a str,
    group: &'a str,
}

impl NoticeText<'_> {
    /// Writes the text to `out`. The output is the same as with `Display`, but `core::fmt`'s formatting code need not
    /// be linked.
    ///
    /// # Errors
    /// Returns the errors of `out`.
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

/// The phrases of a language in the format of [`Piece`], indexed by [`place`].
pub(crate) type Phrases = [&'static str; 11];

/// The index of an operation's phrase. This function alone determines which operations have a text.
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
