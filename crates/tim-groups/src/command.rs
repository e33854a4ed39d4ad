//! What may be asked of a group that exists.

use tim_proto::{GroupId, InviteOption, JoinOption, JoinStatus, MemberResult, ReceiveOption, Role, UserId};

/// Somebody wants to change a group.
#[derive(Debug, Clone)]
pub struct GroupCommand {
    /// Which group.
    pub group: GroupId,
    /// Who: [`UserId::SYSTEM`] for what the application's server asks.
    pub actor: UserId,
    /// A random number, for the ids of the tips and notices: as many numbers from it on as there are of them.
    pub random: u32,
    /// The ceilings.
    pub policy: GroupPolicy,
    /// How many are in the room when the action is done, for the tips of an AVChatRoom, whose members are not stored.
    pub live_members: u32,
    /// What.
    pub action: GroupAction,
}

/// The ceilings that the operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPolicy {
    /// The most members of a Work, Public or Meeting group.
    pub max_members: u32,
    /// The most members of a Community.
    pub max_community: u32,
    /// The most admins of a group, the owner not among them.
    pub max_admins: u32,
    /// The most groups that a user may be in: those of all types whose members are stored, and one's own AVChatRooms.
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

/// What is asked for. Asked again after it was done, each is answered as the first time and changes nothing.
#[derive(Debug, Clone)]
pub enum GroupAction {
    /// Let me in, or take my application. Answer: [`GroupResponse::Joined`].
    Join {
        /// What those who decide are to read.
        message: String,
    },
    /// I leave.
    Quit,
    /// An application is accepted or refused.
    HandleApplication {
        /// Whose.
        applicant: UserId,
        /// Accepted?
        accept: bool,
        /// What the applicant is to read.
        message: String,
        /// The `message_key` of the notice that told of it; 0 for the applicant's newest.
        key: u64,
    },
    /// These users are to be members. Answer: [`GroupResponse::Members`].
    Invite {
        /// Whom; of one named twice the first counts.
        users: Vec<UserId>,
        /// Why.
        reason: String,
    },
    /// The actor's invitation is accepted or refused.
    HandleInvitation {
        /// Accepted?
        accept: bool,
        /// What the inviter is to read.
        message: String,
    },
    /// These are to be members no more. Answer: [`GroupResponse::Members`].
    Remove {
        /// Whom; of one named twice the first counts.
        users: Vec<UserId>,
        /// Why.
        reason: String,
    },
    /// A member is to be like this. What is absent stays. All of it is done or nothing.
    SetMember {
        /// Who; may be the actor.
        user: UserId,
        /// [`Role::ADMIN`] or [`Role::MEMBER`].
        role: Option<Role>,
        /// For how many seconds the member may not write; 0 ends that.
        mute_seconds: Option<u32>,
        /// The name shown in this group.
        name_card: Option<String>,
    },
    /// Another member is to own the group; the actor becomes a plain member.
    ChangeOwner {
        /// Who.
        owner: UserId,
    },
    /// The group is to be like this.
    Update(GroupUpdate),
    /// The group is to be no more.
    Dismiss,
    /// How the actor wants to be told of messages.
    SetReceiveOption {
        /// How.
        option: ReceiveOption,
    },
    /// These stay out of an AVChatRoom for a while. Answer: [`GroupResponse::Members`].
    Ban {
        /// Whom.
        users: Vec<UserId>,
        /// For how long; 0 lets them in again.
        seconds: u32,
        /// Why.
        reason: String,
    },
    /// The service takes the group back (notice 11). Only for [`UserId::SYSTEM`].
    Reclaim,
    /// The application tells members something (notice 255, S159). Only for [`UserId::SYSTEM`].
    Notify {
        /// Whom; empty is all members. Who is no member is left out.
        users: Vec<UserId>,
        /// What.
        text: String,
    },
}

/// How a group is to be. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    /// The shown name.
    pub name: Option<String>,
    /// What it is about.
    pub introduction: Option<String>,
    /// What its members are told.
    pub notification: Option<String>,
    /// The picture's address.
    pub avatar: Option<String>,
    /// Who may join by asking.
    pub join_option: Option<JoinOption>,
    /// Whom members may bring in.
    pub invite_option: Option<InviteOption>,
    /// Whether only the owner and admins may write.
    pub mute_all: Option<bool>,
}

/// What the actor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupResponse {
    /// It is so now.
    Done,
    /// To who wanted to join.
    Joined(JoinStatus),
    /// What became of each user, in the order asked for.
    Members(Vec<(UserId, MemberResult)>),
}
