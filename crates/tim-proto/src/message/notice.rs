//! What a group system notice carries.

use crate::open::open_newtype;
use crate::wire::wire;

open_newtype! {
    /// What a [`SystemNotice`] is about, in the web SDK's numbering. (The C API numbers the custom notice 16.)
    #[derive(PartialOrd, Ord)]
    pub struct NoticeOperation(u32) {
        /// Somebody applies to join. To the admins.
        JOIN_REQUESTED = 1, "JOIN_REQUESTED";
        /// The application was accepted. To the applicant.
        JOIN_ACCEPTED = 2, "JOIN_ACCEPTED";
        /// The application was refused. To the applicant.
        JOIN_REFUSED = 3, "JOIN_REFUSED";
        /// You were removed. To the removed member.
        KICKED_OUT = 4, "KICKED_OUT";
        /// The group is no more. To all.
        GROUP_DISMISSED = 5, "GROUP_DISMISSED";
        /// The group was created. To its creator.
        GROUP_CREATED = 6, "GROUP_CREATED";
        /// You were invited, and are a member already. To the invited.
        INVITED = 7, "INVITED";
        /// You left. To who left.
        QUIT = 8, "QUIT";
        /// You are an admin now. To the member.
        ADMIN_GRANTED = 9, "ADMIN_GRANTED";
        /// You are no admin any more. To the member.
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
        /// Sent by the application through REST; the text is in `user_defined_field`.
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

wire! {
    /// What the system tells one user about a group.
    ///
    /// ```
    /// use tim_proto::message::{NoticeOperation, SystemNotice};
    /// use tim_proto::render::Words;
    /// let notice = SystemNotice {
    ///     operation: NoticeOperation::JOIN_REQUESTED,
    ///     operator_id: "alice",
    ///     group_id: "@TGS#1",
    ///     ..SystemNotice::default()
    /// };
    /// let text = notice.text(Words::SEED).map(|text| text.to_string());
    /// assert_eq!(text.as_deref(), Some("alice 申请加入群组:@TGS#1")); // no name: the id
    /// ```
    #[derive(Debug, Default)]
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
}

impl<'a> SystemNotice<'a> {
    /// What to call the group: its name, or its id when the name is empty.
    #[must_use]
    pub const fn group_label(&self) -> &'a str {
        if self.group_name.is_empty() {
            self.group_id
        } else {
            self.group_name
        }
    }
}
