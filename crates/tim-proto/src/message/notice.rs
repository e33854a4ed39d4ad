//! The content of a group system notice.

use crate::open::open_newtype;
use crate::wire::wire;

open_newtype! {
    /// The subject of a [`SystemNotice`], in the web SDK's numbering. (The C API numbers the custom notice 16.)
    #[derive(PartialOrd, Ord)]
    pub struct NoticeOperation(u32) {
        /// A user applied to join. Sent to the admins.
        JOIN_REQUESTED = 1, "JOIN_REQUESTED";
        /// The application was accepted. Sent to the applicant.
        JOIN_ACCEPTED = 2, "JOIN_ACCEPTED";
        /// The application was refused. Sent to the applicant.
        JOIN_REFUSED = 3, "JOIN_REFUSED";
        /// A member was removed. Sent to that member.
        KICKED_OUT = 4, "KICKED_OUT";
        /// The group was dismissed. Sent to all members.
        GROUP_DISMISSED = 5, "GROUP_DISMISSED";
        /// The group was created. Sent to its creator.
        GROUP_CREATED = 6, "GROUP_CREATED";
        /// A user was invited and is already a member. Sent to that user.
        INVITED = 7, "INVITED";
        /// A member left. Sent to that member.
        QUIT = 8, "QUIT";
        /// A member became an admin. Sent to that member.
        ADMIN_GRANTED = 9, "ADMIN_GRANTED";
        /// A member is no longer an admin. Sent to that member.
        ADMIN_WITHDRAWN = 10, "ADMIN_WITHDRAWN";
        /// The service reclaimed the group. Sent to all members, but not displayed.
        GROUP_RECLAIMED = 11, "GROUP_RECLAIMED";
        /// A user is invited and must accept before becoming a member. Sent to that user.
        INVITE_REQUESTED = 12, "INVITE_REQUESTED";
        /// The invitation was accepted. Sent to the inviter.
        INVITE_ACCEPTED = 13, "INVITE_ACCEPTED";
        /// The invitation was refused. Sent to the inviter.
        INVITE_REFUSED = 14, "INVITE_REFUSED";
        /// Another device of the account moved the read position.
        READ_SYNCED = 15, "READ_SYNCED";
        /// A topic was created in a community.
        TOPIC_CREATED = 17, "TOPIC_CREATED";
        /// A topic was deleted in a community.
        TOPIC_DELETED = 18, "TOPIC_DELETED";
        /// Another device of the account changed the receive option.
        RECEIVE_OPTION_SYNCED = 20, "RECEIVE_OPTION_SYNCED";
        /// A member was banned from an AVChatRoom. Sent to that member.
        BANNED = 21, "BANNED";
        /// A custom notice sent through REST. The text is in `user_defined_field`.
        CUSTOM = 255, "CUSTOM";
    }
}

impl NoticeOperation {
    /// No operation. Decoders use it if the number is missing or is not that of an operation. It has no text.
    pub const NONE: Self = Self(0);
}

impl Default for NoticeOperation {
    fn default() -> Self {
        Self::NONE
    }
}

wire! {
    /// A notice from the system to one user about a group.
    ///
    /// ```
    /// use tim_proto::message::{NoticeOperation, SystemNotice};
    /// use tim_proto::render::Words;
    /// let notice = SystemNotice::new(NoticeOperation::JOIN_REQUESTED)
    ///     .with_operator_id("alice")
    ///     .with_group_id("@TGS#1");
    /// let text = notice.text(Words::SEED).map(|text| text.to_string());
    /// assert_eq!(text.as_deref(), Some("alice 申请加入群组:@TGS#1")); // no name: the id
    /// ```
    #[derive(Debug, Default)]
    pub struct SystemNotice<'a> {
        /// The operation.
        pub operation: NoticeOperation,
        /// The user who performed the operation; empty if unknown.
        pub operator_id: &'a str = "" => with_operator_id,
        /// The group.
        pub group_id: &'a str = "" => with_group_id,
        /// The group's name; may be empty.
        pub group_name: &'a str = "" => with_group_name,
        /// The accompanying text, such as the reason given in an application (`RemarkInfo` in REST).
        pub handle_message: &'a str = "" => with_handle_message,
        /// The token required to respond to an application.
        pub authentication: &'a str = "" => with_authentication,
        /// The key of the notice, required to respond to an application.
        pub message_key: u64 = 0 => with_message_key,
        /// The content of a custom notice.
        pub user_defined_field: &'a str = "" => with_user_defined_field,
    }
}

impl<'a> SystemNotice<'a> {
    /// The group's display name: its name, or its id if the name is empty.
    #[must_use]
    pub const fn group_label(&self) -> &'a str {
        if self.group_name.is_empty() {
            self.group_id
        } else {
            self.group_name
        }
    }
}
