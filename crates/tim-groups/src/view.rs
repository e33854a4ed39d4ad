//! What a decision reads ([`GroupView`]) and what it results in ([`Effects`]).

use tim_proto::{ReceiveOption, Role, UserId};

use super::fields::{Field, FieldScope};
use super::tips::UserNames;
use super::{GroupDelta, GroupResponse, GroupUpdate, NewMember};
use crate::{Group, Membership, Restriction, SystemEntry};

/// One group, as the store's open transaction sees it.
pub trait GroupView {
    /// The engine's read error.
    type Error;

    /// The group itself.
    ///
    /// # Errors
    /// The engine's, as for every call here.
    fn group(&self) -> Result<GroupState, Self::Error>;

    /// A user's membership; `None` for a non-member.
    ///
    /// # Errors
    /// The engine's.
    fn member(&self, user: &UserId) -> Result<Option<Membership>, Self::Error>;

    /// The number of groups that a user is in. The engine may stop counting at `most`.
    ///
    /// # Errors
    /// The engine's.
    fn groups_of(&self, user: &UserId, most: u32) -> Result<u32, Self::Error>;

    /// Whether the user has an account. The system has none.
    ///
    /// # Errors
    /// The engine's.
    fn has_account(&self, user: &UserId) -> Result<bool, Self::Error>;

    /// A user's names, with the name card of a member; empty without an account.
    ///
    /// # Errors
    /// The engine's.
    fn names(&self, user: &UserId) -> Result<UserNames, Self::Error>;

    /// The owner and the admins.
    ///
    /// # Errors
    /// The engine's.
    fn managers(&self) -> Result<Vec<UserId>, Self::Error>;

    /// All members.
    ///
    /// # Errors
    /// The engine's.
    fn members(&self) -> Result<Vec<UserId>, Self::Error>;

    /// The next owner when `owner` leaves: the earliest admin, or else the earliest member.
    ///
    /// # Errors
    /// The engine's.
    fn successor(&self, owner: &UserId) -> Result<Option<UserId>, Self::Error>;

    /// A user's newest request of this kind, open or decided.
    ///
    /// # Errors
    /// The engine's.
    fn request(&self, user: &UserId, kind: RequestKind) -> Result<Option<Request>, Self::Error>;

    /// The number of open applications to the group.
    ///
    /// # Errors
    /// The engine's.
    fn open_applications(&self) -> Result<u32, Self::Error>;

    /// A number that no request in the whole store has had.
    ///
    /// # Errors
    /// The engine's.
    fn next_key(&self) -> Result<u64, Self::Error>;

    /// The fields of the group, of a member, or its attributes; none of a user who is not a member.
    ///
    /// # Errors
    /// The engine's.
    fn fields(&self, of: &FieldScope) -> Result<Vec<Field>, Self::Error>;

    /// The restriction of a user, who need not be a member.
    ///
    /// # Errors
    /// The engine's.
    fn restriction(&self, user: &UserId) -> Result<Restriction, Self::Error>;
}

/// What exists under a group id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupState {
    /// No group has had this id.
    Unknown,
    /// The group was dismissed.
    Dismissed {
        /// Who dismissed it.
        by: UserId,
    },
    /// The group exists.
    Live(Box<LiveGroup>),
}

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGroup {
    /// The group.
    pub group: Group,
    /// The owner before this one.
    pub former_owner: Option<UserId>,
}

/// Who decides a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// A user applied, or a member proposed a user: a manager decides.
    Application,
    /// A manager invited a user: the user decides.
    Invitation,
}

/// An application or an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its number, the notice's `message_key`.
    pub key: u64,
    /// The member who proposed or invited the user; `None` for the user's own application.
    pub inviter: Option<UserId>,
    /// The decision; `None` while the request is open.
    pub verdict: Option<Verdict>,
}

/// The decision of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Who decided.
    pub by: UserId,
    /// Whether the request was accepted.
    pub accepted: bool,
}

/// A new request. It replaces the user's earlier one of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRequest {
    /// The prospective member.
    pub user: UserId,
    /// The kind, which says who decides.
    pub kind: RequestKind,
    /// Its number.
    pub key: u64,
    /// The member who proposed or invited the user.
    pub inviter: Option<UserId>,
}

/// A change of the group's stored data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Adds an ordinary member, who sees the log from here on. A mute that outlived an earlier membership applies again. Open
    /// requests of the user count as accepted: they must not let the user in again after leaving.
    Add(UserId),
    /// Adds a member as an administrator says, in the same way.
    AddAs(NewMember),
    /// Removes a member, and the member's fields.
    Remove(UserId),
    /// Sets a member's role.
    Role(UserId, Role),
    /// Sets the end of a member's mute (Unix time in milliseconds); 0 ends it. The mute outlives the membership.
    MutedUntil(UserId, u64),
    /// Sets a member's name card.
    NameCard(UserId, String),
    /// Sets a member's receive option.
    ReceiveOption(UserId, ReceiveOption),
    /// Sets the owner. The roles are changed separately.
    Owner(UserId),
    /// Changes the profile.
    Profile(GroupUpdate),
    /// Replaces the fields of the group, of a member, or its attributes.
    Fields(FieldScope, Vec<Field>),
    /// Stores a request.
    Ask(NewRequest),
    /// Decides the request with this number.
    Decide(u64, Verdict),
    /// Sets the restriction of a user in an AVChatRoom.
    Restrict(UserId, Restriction),
    /// Ends the group: members, requests, restrictions, fields and attributes are deleted, and the log is no longer readable. The group id and the
    /// message ids stay taken.
    Dismiss {
        /// Who dismisses it.
        by: UserId,
    },
}

/// The effects of a command. The rows change before the tips are appended: users who join get the tip, users who leave do
/// not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// Changes of stored data, in this order.
    pub rows: Vec<RowChange>,
    /// Tips for the group's log.
    pub tips: Vec<SystemEntry>,
    /// Notices for users' system logs.
    pub notices: Vec<(UserId, SystemEntry)>,
    /// Entries for the users who are in an AVChatRoom now; they are not stored.
    pub live: Vec<SystemEntry>,
    /// What all this changes; `None` if it is nothing.
    pub delta: Option<Box<GroupDelta>>,
    /// The result for the actor.
    pub response: GroupResponse,
}

impl Effects {
    /// No change.
    #[must_use]
    pub const fn none(response: GroupResponse) -> Self {
        Self {
            rows: Vec::new(),
            tips: Vec::new(),
            notices: Vec::new(),
            live: Vec::new(),
            delta: None,
            response,
        }
    }
}
