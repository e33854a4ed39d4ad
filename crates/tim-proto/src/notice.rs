//! Group system notices: what the system tells one user about a group, and its text (S146 to S161).

use core::fmt;

use crate::open::open_newtype;
use crate::words::Piece::{Colon, Group, Operator, Text};
use crate::words::{Phrase, Piece, Words};

open_newtype! {
    /// What a [`SystemNotice`] is about (S148), in the web SDK's numbering. (The C API numbers the custom notice 16.)
    #[derive(PartialOrd, Ord)]
    pub struct NoticeOperation(u32) {
        /// Somebody applies to join (S149). To the admins.
        JOIN_REQUESTED = 1, "JOIN_REQUESTED";
        /// The application was accepted (S150). To the applicant.
        JOIN_ACCEPTED = 2, "JOIN_ACCEPTED";
        /// The application was refused (S151). To the applicant.
        JOIN_REFUSED = 3, "JOIN_REFUSED";
        /// You were removed (S152). To the removed member.
        KICKED_OUT = 4, "KICKED_OUT";
        /// The group is no more (S153). To all.
        GROUP_DISMISSED = 5, "GROUP_DISMISSED";
        /// The group was created (S154). To its creator.
        GROUP_CREATED = 6, "GROUP_CREATED";
        /// You were invited, and are a member already (S155). To the invited.
        INVITED = 7, "INVITED";
        /// You left (S156). To who left.
        QUIT = 8, "QUIT";
        /// You are an admin now (S157). To the member.
        ADMIN_GRANTED = 9, "ADMIN_GRANTED";
        /// You are no admin any more (S158). To the member.
        ADMIN_WITHDRAWN = 10, "ADMIN_WITHDRAWN";
        /// The group was reclaimed by the service. To all, not shown.
        GROUP_RECLAIMED = 11, "GROUP_RECLAIMED";
        /// You are invited and must agree first. To the invited.
        INVITE_REQUESTED = 12, "INVITE_REQUESTED";
        /// The invitation was accepted. To the inviter.
        INVITE_ACCEPTED = 13, "INVITE_ACCEPTED";
        /// The invitation was refused. To the inviter.
        INVITE_REFUSED = 14, "INVITE_REFUSED";
        /// The read position was moved by another device of the account.
        READ_SYNCED = 15, "READ_SYNCED";
        /// A topic was created in a community.
        TOPIC_CREATED = 17, "TOPIC_CREATED";
        /// A topic was deleted in a community.
        TOPIC_DELETED = 18, "TOPIC_DELETED";
        /// The option how to be told of messages was changed by another device of the account.
        RECEIVE_OPTION_SYNCED = 20, "RECEIVE_OPTION_SYNCED";
        /// You were banned from an AVChatRoom. To the member.
        BANNED = 21, "BANNED";
        /// Sent by the application through REST (S159); the text is in `user_defined_field`.
        CUSTOM = 255, "CUSTOM";
    }
}

impl NoticeOperation {
    /// No operation: what a reader makes of a number that is missing or none of an operation's. It has no text.
    pub const NONE: Self = Self(0);
}

impl Default for NoticeOperation {
    fn default() -> Self {
        Self::NONE
    }
}

/// What the system tells one user about a group (S161).
///
/// ```
/// use tim_proto::notice::{NoticeOperation, SystemNotice};
/// use tim_proto::words::Words;
/// let notice = SystemNotice {
///     operation: NoticeOperation::JOIN_REQUESTED,
///     operator_id: "alice",
///     group_id: "@TGS#1",
///     ..SystemNotice::default()
/// };
/// let text = notice.text(Words::SEED).map(|text| text.to_string());
/// assert_eq!(text.as_deref(), Some("alice 申请加入群组:@TGS#1")); // no name: the id (S147)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SystemNotice<'a> {
    /// What happened.
    pub operation: NoticeOperation,
    /// Who did it; empty when unknown.
    pub operator_id: &'a str,
    /// Which group.
    pub group_id: &'a str,
    /// The group's name; may be empty.
    pub group_name: &'a str,
    /// What was said with it, such as the words of an application (`RemarkInfo` in REST).
    pub handle_message: &'a str,
    /// The token with which an application is answered.
    pub authentication: &'a str,
    /// The notice's key, with which an application is answered.
    pub message_key: u64,
    /// The content of a custom notice.
    pub user_defined_field: &'a str,
}

impl<'a> SystemNotice<'a> {
    /// What to call the group: its name, or its id when the name is empty (S147).
    #[must_use]
    pub const fn group_label(&self) -> &'a str {
        if self.group_name.is_empty() {
            self.group_id
        } else {
            self.group_name
        }
    }

    /// The text to show, or `None` for an operation that has none, known or not (S160): the same operations in every
    /// profile.
    #[must_use]
    pub fn text(&self, words: Words) -> Option<NoticeText<'a>> {
        let phrase = phrase(self.operation)?;
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
    phrase: &'static Phrase,
    words: Words,
    operator_id: &'a str,
    group: &'a str,
}

impl fmt::Display for NoticeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phrase.write(self.words, f, |f, gap| match gap {
            Operator => f.write_str(self.operator_id),
            Group => f.write_str(self.group),
            _ => Ok(()),
        })
    }
}

/// The words for an operation: the only place that decides which operations have a text.
const fn phrase(operation: NoticeOperation) -> Option<&'static Phrase> {
    Some(match operation {
        NoticeOperation::JOIN_REQUESTED => &JOIN_REQUESTED,
        NoticeOperation::JOIN_ACCEPTED => &JOIN_ACCEPTED,
        NoticeOperation::JOIN_REFUSED => &JOIN_REFUSED,
        NoticeOperation::KICKED_OUT => &KICKED_OUT,
        NoticeOperation::GROUP_DISMISSED => &GROUP_DISMISSED,
        NoticeOperation::GROUP_CREATED => &GROUP_CREATED,
        NoticeOperation::INVITED => &INVITED,
        NoticeOperation::QUIT => &QUIT,
        NoticeOperation::ADMIN_GRANTED => &ADMIN_GRANTED,
        NoticeOperation::ADMIN_WITHDRAWN => &ADMIN_WITHDRAWN,
        NoticeOperation::CUSTOM => &CUSTOM,
        _ => return None,
    })
}

const fn say(chinese: &'static [Piece], english: &'static [Piece]) -> Phrase {
    Phrase { chinese, english }
}

static JOIN_REQUESTED: Phrase = say(
    &[Operator, Text(" 申请加入群组"), Colon, Group],
    &[Operator, Text(" applies to join the group "), Group],
);
static JOIN_ACCEPTED: Phrase = say(
    &[Text("成功加入群组"), Colon, Group],
    &[Text("You joined the group "), Group],
);
static JOIN_REFUSED: Phrase = say(
    &[Text("申请加入群组"), Colon, Group, Text("被拒绝")],
    &[
        Text("Your application to join the group "),
        Group,
        Text(" was refused"),
    ],
);
static KICKED_OUT: Phrase = say(
    &[Text("被管理员"), Operator, Text("踢出群组"), Colon, Group],
    &[
        Text("The admin "),
        Operator,
        Text(" removed you from the group "),
        Group,
    ],
);
static GROUP_DISMISSED: Phrase = say(
    &[Text("群"), Colon, Group, Text(" 已被"), Operator, Text("解散")],
    &[Text("The group "), Group, Text(" was dismissed by "), Operator],
);
static GROUP_CREATED: Phrase = say(
    &[Operator, Text("创建群"), Colon, Group],
    &[Operator, Text(" created the group "), Group],
);
static INVITED: Phrase = say(
    &[Operator, Text("邀请你加群"), Colon, Group],
    &[Operator, Text(" invited you to the group "), Group],
);
static QUIT: Phrase = say(
    &[Text("你退出群组"), Colon, Group],
    &[Text("You left the group "), Group],
);
static ADMIN_GRANTED: Phrase = say(
    &[
        Text("你被"),
        Operator,
        Text("设置为群"),
        Colon,
        Group,
        Text("的管理员"),
    ],
    &[Operator, Text(" made you an admin of the group "), Group],
);
static ADMIN_WITHDRAWN: Phrase = say(
    &[
        Text("你被"),
        Operator,
        Text("撤销群"),
        Colon,
        Group,
        Text("的管理员身份"),
    ],
    &[
        Operator,
        Text(" withdrew your role as an admin of the group "),
        Group,
    ],
);
static CUSTOM: Phrase = say(&[Text("自定义群系统通知")], &[Text("Custom group system notice")]);
