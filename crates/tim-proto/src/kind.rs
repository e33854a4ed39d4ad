//! Open enumerations under the SDK's names: kinds of message, priorities, group types, roles, options.

use core::cmp::Ordering;

use crate::open::open_newtype;

open_newtype! {
    /// The kind of a message. Applications can send seven kinds; tips, notices and revocations are made by the hub.
    ///
    /// Together with the conversation's type this tells the four kinds of pushed message apart: C2C, group, group tip
    /// and group system notice.
    ///
    /// ```
    /// use tim_proto::kind::MessageKind;
    /// assert_eq!(MessageKind::TEXT.to_string(), "TIMTextElem");
    /// assert_eq!(MessageKind(4711).to_string(), "4711"); // from a newer peer: carried on as it is
    /// assert_eq!("4711".parse(), Ok(MessageKind(4711)));
    /// ```
    #[derive(PartialOrd, Ord)]
    pub struct MessageKind(u16) {
        /// Text.
        TEXT = 1, "TIMTextElem";
        /// A picture.
        IMAGE = 2, "TIMImageElem";
        /// A sound recording.
        AUDIO = 3, "TIMSoundElem";
        /// A short video.
        VIDEO = 4, "TIMVideoFileElem";
        /// A file of any type.
        FILE = 5, "TIMFileElem";
        /// What the application defines.
        CUSTOM = 6, "TIMCustomElem";
        /// A face (sticker) of the application's own set.
        FACE = 7, "TIMFaceElem";
        /// A place. Received, never made here.
        LOCATION = 8, "TIMLocationElem";
        /// Several messages forwarded as one. Received, never made here.
        MERGER = 9, "TIMRelayElem";
        /// The hub tells a group's members what happened in it.
        GROUP_TIP = 32, "TIMGroupTipElem";
        /// The system tells one user something about a group.
        GROUP_SYSTEM_NOTICE = 33, "TIMGroupSystemNoticeElem";
        /// A log entry saying that an earlier message was revoked. This project's own: the SDK has no such kind.
        REVOCATION = 34, "Revocation";
    }
}

impl MessageKind {
    /// The SDK's tag (`TIMTextElem`, …), if the SDK has this kind.
    #[must_use]
    pub const fn sdk_name(self) -> Option<&'static str> {
        match self {
            Self::REVOCATION => None,
            other => other.name(),
        }
    }

    /// The kind with this SDK tag.
    #[must_use]
    pub fn from_sdk_name(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|kind| kind.sdk_name().is_some())
    }

    /// Whether an application can create and send it.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(
            self,
            Self::TEXT | Self::IMAGE | Self::AUDIO | Self::VIDEO | Self::FILE | Self::CUSTOM | Self::FACE
        )
    }
}

open_newtype! {
    /// The priority of a message in a group that exceeds its rate; without effect in C2C.
    ///
    /// Ordered by urgency: what compares greater is delivered first and dropped last. A number without a name ranks
    /// with [`Priority::NORMAL`], so nobody gets ahead by inventing one.
    ///
    /// ```
    /// use tim_proto::kind::Priority;
    /// assert!(Priority::HIGH > Priority::NORMAL && Priority::LOW > Priority::LOWEST);
    /// assert_eq!("Lowest".parse(), Ok(Priority::LOWEST));
    /// assert!("Urgent".parse::<Priority>().is_err());
    /// assert_eq!(Priority::default(), Priority::NORMAL);
    /// ```
    pub struct Priority(u8) {
        /// Delivered before all others.
        HIGH = 1, "High";
        /// The default.
        NORMAL = 2, "Normal";
        /// Dropped before normal ones.
        LOW = 3, "Low";
        /// Dropped first.
        LOWEST = 4, "Lowest";
    }
}

/// The priority is not one of the four named ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no priority {0}; use High (1), Normal (2), Low (3) or Lowest (4)")]
pub struct UnknownPriority(pub u8);

impl Priority {
    /// 3 for the most urgent, 0 for the least. Unnamed priorities rank as normal.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::HIGH => 3,
            Self::LOW => 1,
            Self::LOWEST => 0,
            _ => 2,
        }
    }

    /// The priority itself, if it is one of the four: the check for what a caller asks for. What arrives from a
    /// peer is carried on unchecked.
    ///
    /// # Errors
    /// [`UnknownPriority`]: the caller's value is at fault.
    pub const fn checked(self) -> Result<Self, UnknownPriority> {
        if self.is_known() {
            Ok(self)
        } else {
            Err(UnknownPriority(self.0))
        }
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        // The number breaks ties among the unnamed, to agree with `Eq`.
        self.rank().cmp(&other.rank()).then(other.0.cmp(&self.0))
    }
}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

open_newtype! {
    /// The type of a group. The names are the SDK's; `Work` and `Meeting`, the later words for two of them, parse too.
    #[derive(PartialOrd, Ord)]
    pub struct GroupType(u8) {
        /// Members join by invitation only (later called Work).
        PRIVATE = 1, "Private" | "Work";
        /// Anybody may apply; an admin decides.
        PUBLIC = 2, "Public";
        /// Anybody may join and leave (later called Meeting).
        CHAT_ROOM = 3, "ChatRoom" | "Meeting";
        /// A live audience of any size. Nothing is stored, so messages for online users only are refused.
        AV_CHAT_ROOM = 4, "AVChatRoom";
        /// A very large group.
        COMMUNITY = 5, "Community";
    }
}

impl GroupType {
    /// The SDK's later name of [`GroupType::PRIVATE`].
    pub const WORK: Self = Self::PRIVATE;
    /// The SDK's later name of [`GroupType::CHAT_ROOM`].
    pub const MEETING: Self = Self::CHAT_ROOM;
}

open_newtype! {
    /// The role of a member in a group. Roles have no order: an unknown role must not outrank others.
    pub struct Role(u8) {
        /// The owner.
        OWNER = 1, "Owner";
        /// An admin, appointed by the owner.
        ADMIN = 2, "Admin";
        /// A plain member.
        MEMBER = 3, "Member";
    }
}

impl Role {
    /// Whether the role may manage the group: owners and admins, and no role that is unknown here.
    #[must_use]
    pub const fn is_manager(self) -> bool {
        matches!(self, Self::OWNER | Self::ADMIN)
    }
}

open_newtype! {
    /// Who may join a group by applying (`joinOption`).
    #[derive(PartialOrd, Ord)]
    pub struct JoinOption(u8) {
        /// Everybody.
        FREE_ACCESS = 1, "FreeAccess";
        /// Users whose application the owner or an admin accepts.
        NEED_PERMISSION = 2, "NeedPermission";
        /// Nobody: only by invitation.
        DISABLE_APPLY = 3, "DisableApply";
    }
}

open_newtype! {
    /// Whether members may invite users into a group (`inviteOption`).
    #[derive(PartialOrd, Ord)]
    pub struct InviteOption(u8) {
        /// Everybody, at once.
        FREE_ACCESS = 1, "FreeAccess";
        /// After the invited user, or the owner or an admin, has agreed.
        NEED_PERMISSION = 2, "NeedPermission";
        /// Nobody.
        DISABLE_INVITE = 3, "DisableInvite";
    }
}

impl JoinOption {
    /// The default of the group's type. Only in requests.
    pub const AS_USUAL: Self = Self(0);
}

impl InviteOption {
    /// The default of the group's type. Only in requests.
    pub const AS_USUAL: Self = Self(0);
}

open_newtype! {
    /// The result of a request to join a group.
    #[derive(PartialOrd, Ord)]
    pub struct JoinStatus(u8) {
        /// The user is a member now.
        JOINED = 1, "JoinedSuccess";
        /// The user was a member already.
        ALREADY_IN_GROUP = 2, "AlreadyInGroup";
        /// The owner or an admin has to agree first.
        WAIT_APPROVAL = 3, "WaitAdminApproval";
    }
}

open_newtype! {
    /// The result for one user of a request to invite, remove or ban several.
    #[derive(PartialOrd, Ord)]
    pub struct MemberResult(u8) {
        /// Is a member now.
        ADDED = 1, "Added";
        /// Was a member before.
        ALREADY_MEMBER = 2, "AlreadyMember";
        /// There is no such user.
        NOT_FOUND = 3, "NotFound";
        /// Was invited, and has to agree first.
        INVITED = 4, "Invited";
        /// The owner or an admin has to agree first.
        WAIT_APPROVAL = 5, "WaitAdminApproval";
        /// The group has no place left.
        FULL = 6, "Full";
        /// Was removed, banned or unbanned, as requested.
        REMOVED = 7, "Removed";
        /// Was not a member.
        NOT_MEMBER = 8, "NotMember";
        /// The requester lacks the permission, or the user is in too many groups.
        NOT_ALLOWED = 9, "NotAllowed";
    }
}

open_newtype! {
    /// A user's receive option for a group's messages (`messageRemindType`).
    #[derive(PartialOrd, Ord)]
    pub struct ReceiveOption(u8) {
        /// With a notification. The default.
        ACCEPT_AND_NOTIFY = 1, "AcceptAndNotify";
        /// Without one.
        ACCEPT_NOT_NOTIFY = 2, "AcceptNotNotify";
        /// Not at all.
        DISCARD = 3, "Discard";
    }
}

impl Default for ReceiveOption {
    fn default() -> Self {
        Self::ACCEPT_AND_NOTIFY
    }
}

open_newtype! {
    /// How a message mentions its reader (`atTypeArray`).
    #[derive(PartialOrd, Ord)]
    pub struct AtKind(u8) {
        /// The reader.
        AT_ME = 1, "CONV_AT_ME";
        /// Everybody in the group.
        AT_ALL = 2, "CONV_AT_ALL";
        /// Everybody, and the reader by name.
        AT_ALL_AT_ME = 3, "CONV_AT_ALL_AT_ME";
    }
}
