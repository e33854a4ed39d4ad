//! The text of group tips, which inform a group's members of changes to the group.

use core::fmt;

use super::placeholder;
use super::words::{Piece, Words};
use crate::message::TipOperation;

/// The text of a group tip. Operations that are unknown or have no text of their own yield the placeholder.
///
/// `users` can be any list that can be iterated repeatedly: ids, strings, or a list in a received frame. The ids are
/// separated by ASCII commas in every profile.
///
/// ```
/// use tim_proto::message::TipOperation;
/// use tim_proto::render::tip_text;
/// use tim_proto::render::Words;
/// let text = tip_text(TipOperation::JOIN, "", ["alice", "bob"], Words::SEED);
/// assert_eq!(text.to_string(), "群成员:alice,bob,加入群组");
/// ```
pub fn tip_text<I>(
    operation: TipOperation,
    operator_id: &str,
    users: I,
    words: Words,
) -> TipText<'_, I::IntoIter>
where
    I: IntoIterator,
    I::IntoIter: Clone,
    I::Item: AsRef<str>,
{
    TipText {
        operation,
        operator_id,
        users: users.into_iter(),
        words,
    }
}

/// The text of a group tip. Implements `Display`. Created by [`tip_text`].
#[derive(Debug, Clone)]
pub struct TipText<'a, I> {
    operation: TipOperation,
    operator_id: &'a str,
    users: I,
    words: Words,
}

impl<I> TipText<'_, I>
where
    I: Iterator + Clone,
    I::Item: AsRef<str>,
{
    /// Writes the text to `out`. The output is the same as with `Display`, but `core::fmt`'s formatting code need not
    /// be linked.
    ///
    /// # Errors
    /// Returns the errors of `out`.
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        for piece in self.words.pieces(phrase(self.operation, self.words)) {
            match piece {
                Piece::Text(text) => out.write_str(text)?,
                // No phrase begins with the operator.
                Piece::Operator => out.write_str(self.words.person(self.operator_id, false))?,
                Piece::Users => write_list(out, self.users.clone())?,
                Piece::Group => {}
            }
        }
        Ok(())
    }
}

impl<I> fmt::Display for TipText<'_, I>
where
    I: Iterator + Clone,
    I::Item: AsRef<str>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

fn write_list<W, I>(out: &mut W, users: I) -> fmt::Result
where
    W: fmt::Write + ?Sized,
    I: Iterator,
    I::Item: AsRef<str>,
{
    let mut separator = "";
    for user in users {
        out.write_str(separator)?;
        out.write_str(user.as_ref())?;
        separator = ",";
    }
    Ok(())
}

/// The phrases of a language in the format of [`Piece`]: those of [`TipOperation::JOIN`] and the operations that
/// follow it, then the phrase for all other operations.
pub(crate) type Phrases = [&'static str; 6];

/// The phrase for an operation. This function alone determines which operations have a phrase of their own.
fn phrase(operation: TipOperation, words: Words) -> &'static str {
    let [.., placeholder] = words.0.tips;
    let place = operation.0.wrapping_sub(TipOperation::JOIN.0) as usize;
    words.0.tips.get(place).unwrap_or(placeholder)
}

pub(crate) static CHINESE: Phrases = [
    "群成员:*,加入群组",
    "群成员:*,退出群组",
    "群成员:*,被@踢出群组",
    "群成员:*,成为管理员",
    "群成员:*,被撤销管理员",
    placeholder::CHINESE_TIP,
];

pub(crate) static ENGLISH: Phrases = [
    "Joined the group: *",
    "Left the group: *",
    "Removed from the group by @: *",
    "Now an admin of the group: *",
    "No longer an admin of the group: *",
    placeholder::ENGLISH_TIP,
];
