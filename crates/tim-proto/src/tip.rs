//! Group tips: what the hub tells a group's members about it, and its text (S162 to S170).

use core::fmt;

use crate::kind::MessageKind;
use crate::open::open_newtype;
use crate::placeholder::placeholder;
use crate::words::Piece::{Colon, Comma, Operator, Text, Users};
use crate::words::{Phrase, Piece, Words};

open_newtype! {
    /// What a group tip is about, in the web SDK's numbering and names. (The native SDKs number differently.)
    #[derive(PartialOrd, Ord)]
    pub struct TipOperation(u32) {
        /// Members joined (S163).
        JOIN = 1, "GRP_TIP_MBR_JOIN";
        /// Members left (S164).
        QUIT = 2, "GRP_TIP_MBR_QUIT";
        /// Members were removed (S165).
        KICKED_OUT = 3, "GRP_TIP_MBR_KICKED_OUT";
        /// Members became admins (S166).
        SET_ADMIN = 4, "GRP_TIP_MBR_SET_ADMIN";
        /// Admins became plain members (S167).
        CANCELED_ADMIN = 5, "GRP_TIP_MBR_CANCELED_ADMIN";
        /// The group's profile changed.
        GROUP_PROFILE_UPDATED = 6, "GRP_TIP_GRP_PROFILE_UPDATED";
        /// A member's profile changed.
        MEMBER_PROFILE_UPDATED = 7, "GRP_TIP_MBR_PROFILE_UPDATED";
        /// Members were banned from an AVChatRoom.
        BAN_AV_CHAT_ROOM_MEMBER = 10, "GRP_TIP_BAN_AVCHATROOM_MEMBER";
        /// Members may enter the AVChatRoom again.
        UNBAN_AV_CHAT_ROOM_MEMBER = 11, "GRP_TIP_UNBAN_AVCHATROOM_MEMBER";
    }
}

impl TipOperation {
    /// No operation: what a reader makes of a number that is missing or none of an operation's.
    pub const NONE: Self = Self(0);
}

impl Default for TipOperation {
    fn default() -> Self {
        Self::NONE
    }
}

/// The text of a group tip. Operations without words of their own, known or not, give the placeholder (S168).
///
/// `users` can be any list that can be walked again: ids, strings, or a list inside a received frame. The ids are joined
/// with an ASCII comma in every profile (S169).
///
/// ```
/// use tim_proto::tip::{TipOperation, tip_text};
/// use tim_proto::words::Words;
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

/// The text of a group tip; print it. From [`tip_text`].
#[derive(Debug, Clone)]
pub struct TipText<'a, I> {
    operation: TipOperation,
    operator_id: &'a str,
    users: I,
    words: Words,
}

impl<I> fmt::Display for TipText<'_, I>
where
    I: Iterator + Clone,
    I::Item: AsRef<str>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(phrase) = phrase(self.operation) else {
            return f.write_str(placeholder(MessageKind::GROUP_TIP, self.words));
        };
        phrase.write(self.words, f, |f, gap| match gap {
            Operator => f.write_str(self.operator_id),
            Users => write_list(f, self.users.clone()),
            _ => Ok(()),
        })
    }
}

fn write_list<I>(f: &mut fmt::Formatter<'_>, users: I) -> fmt::Result
where
    I: Iterator,
    I::Item: AsRef<str>,
{
    for (position, user) in users.enumerate() {
        if position > 0 {
            f.write_str(",")?;
        }
        f.write_str(user.as_ref())?;
    }
    Ok(())
}

/// The words for an operation: the only place that decides which operations have words of their own.
const fn phrase(operation: TipOperation) -> Option<&'static Phrase> {
    Some(match operation {
        TipOperation::JOIN => &JOIN,
        TipOperation::QUIT => &QUIT,
        TipOperation::KICKED_OUT => &KICKED_OUT,
        TipOperation::SET_ADMIN => &SET_ADMIN,
        TipOperation::CANCELED_ADMIN => &CANCELED_ADMIN,
        _ => return None,
    })
}

const MEMBERS: Piece = Text("群成员");

static JOIN: Phrase = Phrase {
    chinese: &[MEMBERS, Colon, Users, Comma, Text("加入群组")],
    english: &[Text("Joined the group: "), Users],
};
static QUIT: Phrase = Phrase {
    chinese: &[MEMBERS, Colon, Users, Comma, Text("退出群组")],
    english: &[Text("Left the group: "), Users],
};
static KICKED_OUT: Phrase = Phrase {
    chinese: &[
        MEMBERS,
        Colon,
        Users,
        Comma,
        Text("被"),
        Operator,
        Text("踢出群组"),
    ],
    english: &[Text("Removed from the group by "), Operator, Text(": "), Users],
};
static SET_ADMIN: Phrase = Phrase {
    chinese: &[MEMBERS, Colon, Users, Comma, Text("成为管理员")],
    english: &[Text("Now an admin of the group: "), Users],
};
static CANCELED_ADMIN: Phrase = Phrase {
    chinese: &[MEMBERS, Colon, Users, Comma, Text("被撤销管理员")],
    english: &[Text("No longer an admin of the group: "), Users],
};
