//! Commands: the changes that can be requested of an existing group, and their results.

use super::fields::FieldChange;
use tim_proto::{GroupId, InviteOption, JoinOption, JoinStatus, MemberResult, ReceiveOption, Role, UserId};

/// A request to change a group.
#[derive(Debug, Clone)]
pub struct GroupCommand {
    /// The group.
    pub group: GroupId,
    /// The user who makes the request; [`UserId::SYSTEM`] for the application's server.
    pub actor: UserId,
    /// The random number of the first tip's or notice's id; the others take the numbers after it.
    pub random: u32,
    /// Whose rights the actor has.
    pub authority: Authority,
    /// Whether nobody is told: no tip, no notice. Only an administrator's additions and removals of members can be silent.
    pub silent: bool,
    /// The limits in force.
    pub policy: GroupPolicy,
    /// How many users an AVChatRoom has after the action. Its members are not stored, so its tips take the number from here.
    pub live_members: u32,
    /// The change.
    pub action: GroupAction,
}

/// Whose rights the actor of a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authority {
    /// Those of the actor's role in the group.
    #[default]
    Role,
    /// Those of an administrator of the application, who need not be a member: [`administrator_may`](crate::rules::TypeRules::administrator_may).
    Administrator,
}

/// Limits set by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPolicy {
    /// The most members of a Work, Public or Meeting group.
    pub max_members: u32,
    /// The most members of a Community.
    pub max_community: u32,
    /// The most admins of a group, the owner not among them.
    pub max_admins: u32,
    /// The most groups that a user may be in. AVChatRooms count for their owner only.
    pub max_groups: u32,
}

impl Default for GroupPolicy {
    /// 6,000 members, 100,000 in a Community, 10 admins, 1,000 groups of a user.
    fn default() -> Self {
        Self {
            max_members: 6_000,
            max_community: 100_000,
            max_admins: 10,
            max_groups: 1_000,
        }
    }
}

/// A change. Each is idempotent: repeated after it was applied, it has the same result and changes nothing.
#[derive(Debug, Clone)]
pub enum GroupAction {
    /// The actor joins, or applies where the group's join option requires it. Result: [`GroupResponse::Joined`].
    Join {
        /// A message for the managers.
        message: String,
    },
    /// The actor leaves.
    Quit,
    /// Accepts or refuses an application.
    HandleApplication {
        /// The applicant.
        applicant: UserId,
        /// Whether it is accepted.
        accept: bool,
        /// A message for the applicant.
        message: String,
        /// The `message_key` of the notice about the application; 0 for the applicant's newest.
        key: u64,
    },
    /// Invites users. Result: [`GroupResponse::Members`].
    Invite {
        /// The users; duplicates are ignored.
        users: Vec<UserId>,
        /// The reason.
        reason: String,
    },
    /// The actor accepts or refuses an invitation.
    HandleInvitation {
        /// Whether it is accepted.
        accept: bool,
        /// A message for the inviter.
        message: String,
    },
    /// Removes members. Result: [`GroupResponse::Members`].
    Remove {
        /// The users; duplicates are ignored.
        users: Vec<UserId>,
        /// The reason.
        reason: String,
    },
    /// Changes a member. Absent fields stay unchanged; either all changes are applied or none.
    SetMember {
        /// The member, possibly the actor.
        user: UserId,
        /// [`Role::ADMIN`] or [`Role::MEMBER`].
        role: Option<Role>,
        /// Mutes the member for so many seconds; 0 ends the mute.
        mute_seconds: Option<u32>,
        /// The name shown in this group.
        name_card: Option<String>,
    },
    /// Hands the group over to another member; the owner before becomes an ordinary member.
    ChangeOwner {
        /// The new owner.
        owner: UserId,
    },
    /// Changes the group's profile and options.
    Update(GroupUpdate),
    /// Dismisses the group.
    Dismiss,
    /// Sets the actor's receive option.
    SetReceiveOption {
        /// The option.
        option: ReceiveOption,
    },
    /// Bans users from an AVChatRoom. Result: [`GroupResponse::Members`].
    Ban {
        /// The users.
        users: Vec<UserId>,
        /// The duration of the ban; 0 ends it.
        seconds: u32,
        /// The reason.
        reason: String,
    },
    /// Adds users, or those of them who are not members, without anybody's consent. Only for an administrator. Result:
    /// [`GroupResponse::Members`].
    Add {
        /// The users; of duplicates the first counts.
        members: Vec<NewMember>,
    },
    /// Mutes members for so many seconds; 0 ends the mutes. Either all of them or none. Only for an administrator.
    MuteMembers {
        /// The members; in an AVChatRoom any users.
        users: Vec<UserId>,
        /// The duration.
        seconds: u32,
    },
    /// Changes a member. Either all changes are applied or none. Only for an administrator.
    Edit(Box<MemberEdit>),
    /// Changes the attributes of the group. Only for an administrator.
    SetAttributes {
        /// Whether those that it has are removed first.
        clear: bool,
        /// The changes.
        changes: Vec<FieldChange>,
    },
    /// Reclaims the group in the service's name (notice 11). Only for [`UserId::SYSTEM`].
    Reclaim,
    /// Sends members a notice of the application (notice 255). Only for [`UserId::SYSTEM`] and administrators.
    Notify {
        /// The members; empty for all. Users who are not members are skipped.
        users: Vec<UserId>,
        /// The text.
        text: String,
    },
}

/// Changes of a group's profile and options. Absent fields stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    /// The shown name.
    pub name: Option<String>,
    /// The introduction.
    pub introduction: Option<String>,
    /// The notification to members.
    pub notification: Option<String>,
    /// The picture's address.
    pub avatar: Option<String>,
    /// Who may join on request.
    pub join_option: Option<JoinOption>,
    /// Whom members may invite.
    pub invite_option: Option<InviteOption>,
    /// Whether all members except the managers are muted.
    pub mute_all: Option<bool>,
    /// The most members; 0 for as many as the type allows. Only for an administrator.
    pub max_members: Option<u32>,
    /// Changes of the group's own fields. Only for an administrator.
    pub fields: Vec<FieldChange>,
}

/// A member whom an administrator adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMember {
    /// The user.
    pub user: UserId,
    /// [`Role::ADMIN`] or [`Role::MEMBER`].
    pub role: Role,
    /// When the user is said to have joined, Unix time in milliseconds; `None` for now.
    pub joined_ms: Option<u64>,
}

impl NewMember {
    /// An ordinary member, from now on.
    #[must_use]
    pub const fn new(user: UserId) -> Self {
        Self {
            user,
            role: Role::MEMBER,
            joined_ms: None,
        }
    }
}

/// Changes of a member. Absent fields stay unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberEdit {
    /// The member.
    pub user: UserId,
    /// [`Role::ADMIN`] or [`Role::MEMBER`].
    pub role: Option<Role>,
    /// Mutes the member for so many seconds; 0 ends the mute.
    pub mute_seconds: Option<u32>,
    /// The name shown in this group.
    pub name_card: Option<String>,
    /// How the member receives messages.
    pub receive_option: Option<ReceiveOption>,
    /// Changes of the member's own fields.
    pub fields: Vec<FieldChange>,
}

impl MemberEdit {
    /// No change.
    #[must_use]
    pub const fn new(user: UserId) -> Self {
        Self {
            user,
            role: None,
            mute_seconds: None,
            name_card: None,
            receive_option: None,
            fields: Vec::new(),
        }
    }
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupResponse {
    /// The change is in effect.
    Done,
    /// The result of [`GroupAction::Join`].
    Joined(JoinStatus),
    /// The result for each user, in the order of the request.
    Members(Vec<(UserId, MemberResult)>),
}
