//! What a decision needs to see, and what it says is to be done.

use tim_proto::{ReceiveOption, Role, UserId};

use super::tips::UserNames;
use super::{GroupResponse, GroupUpdate};
use crate::{Group, Membership, Restriction, SystemEntry};

/// One group, as it is inside the store's open transaction.
pub trait GroupView {
    /// Why the engine could not look.
    type Error;

    /// The group itself.
    ///
    /// # Errors
    /// The engine's, as for every call here.
    fn group(&self) -> Result<GroupState, Self::Error>;

    /// A user's standing; `None` for a non-member.
    ///
    /// # Errors
    /// The engine's.
    fn member(&self, user: &UserId) -> Result<Option<Membership>, Self::Error>;

    /// How many groups a user is in; `most` is as good as more.
    ///
    /// # Errors
    /// The engine's.
    fn groups_of(&self, user: &UserId, most: u32) -> Result<u32, Self::Error>;

    /// Whether there is an account of this name, other than the system's.
    ///
    /// # Errors
    /// The engine's.
    fn has_account(&self, user: &UserId) -> Result<bool, Self::Error>;

    /// How a user is called, in the group if the user is a member; empty without an account.
    ///
    /// # Errors
    /// The engine's.
    fn names(&self, user: &UserId) -> Result<UserNames, Self::Error>;

    /// The owner and the admins.
    ///
    /// # Errors
    /// The engine's.
    fn managers(&self) -> Result<Vec<UserId>, Self::Error>;

    /// Everybody.
    ///
    /// # Errors
    /// The engine's.
    fn members(&self) -> Result<Vec<UserId>, Self::Error>;

    /// Who is to own the group when `owner` leaves: the admin of longest standing, or else the member.
    ///
    /// # Errors
    /// The engine's.
    fn successor(&self, owner: &UserId) -> Result<Option<UserId>, Self::Error>;

    /// A user's newest application or invitation, open or decided.
    ///
    /// # Errors
    /// The engine's.
    fn request(&self, user: &UserId, kind: RequestKind) -> Result<Option<Request>, Self::Error>;

    /// How many applications to the group are open.
    ///
    /// # Errors
    /// The engine's.
    fn open_applications(&self) -> Result<u32, Self::Error>;

    /// A number that no application or invitation of the whole store has had.
    ///
    /// # Errors
    /// The engine's.
    fn next_key(&self) -> Result<u64, Self::Error>;

    /// What a user, member or not, may not do in the group.
    ///
    /// # Errors
    /// The engine's.
    fn restriction(&self, user: &UserId) -> Result<Restriction, Self::Error>;
}

/// What there is under a group's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupState {
    /// No group has had this id.
    Unknown,
    /// A group that is no more.
    Dismissed {
        /// Who ended it.
        by: UserId,
    },
    /// A group.
    Live(Box<LiveGroup>),
}

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGroup {
    /// Its profile.
    pub group: Group,
    /// Who handed it over last.
    pub former_owner: Option<UserId>,
}

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// The user wants to join, or a member wants it: an admin decides.
    Application,
    /// An admin wants the user to join: the user decides.
    Invitation,
}

/// An application or an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its number, the notice's `message_key`.
    pub key: u64,
    /// The member who invited; `None` for who applied for themselves.
    pub inviter: Option<UserId>,
    /// What became of it; `None` while it is open.
    pub verdict: Option<Verdict>,
}

/// How a request was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// By whom.
    pub by: UserId,
    /// Accepted?
    pub accepted: bool,
}

/// A request to be kept. It takes the place of the user's earlier one of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRequest {
    /// Who is to become a member.
    pub user: UserId,
    /// Who decides.
    pub kind: RequestKind,
    /// Its number.
    pub key: u64,
    /// The member who invited.
    pub inviter: Option<UserId>,
}

/// A change of what the store keeps of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// A new plain member, who sees the log from here on.
    Add(UserId),
    /// A member less.
    Remove(UserId),
    /// A member's role.
    Role(UserId, Role),
    /// Until when a member may not write, unix ms; 0 ends it. It outlives the membership.
    MutedUntil(UserId, u64),
    /// A member's name in this group.
    NameCard(UserId, String),
    /// How a member wants to be told.
    ReceiveOption(UserId, ReceiveOption),
    /// The group is this member's; the roles are changed apart.
    Owner(UserId),
    /// The profile.
    Profile(GroupUpdate),
    /// An application or an invitation.
    Ask(NewRequest),
    /// The request with this number is decided.
    Decide(u64, Verdict),
    /// What a user may not do in an AVChatRoom from now on.
    Restrict(UserId, Restriction),
    /// The group ends: members, requests and restrictions go, its id is kept.
    Dismiss {
        /// Who ends it.
        by: UserId,
    },
}

/// What comes of a command. The rows are changed first, so that who joins gets the tip, and who leaves does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// In this order.
    pub rows: Vec<RowChange>,
    /// Into the group's log.
    pub tips: Vec<SystemEntry>,
    /// Into users' system logs.
    pub notices: Vec<(UserId, SystemEntry)>,
    /// To those in an AVChatRoom now; not stored.
    pub live: Vec<SystemEntry>,
    /// To the actor.
    pub answer: GroupResponse,
}

impl Effects {
    /// Nothing changes.
    #[must_use]
    pub const fn none(answer: GroupResponse) -> Self {
        Self {
            rows: Vec::new(),
            tips: Vec::new(),
            notices: Vec::new(),
            live: Vec::new(),
            answer,
        }
    }
}
