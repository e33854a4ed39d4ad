//! What an application's own server asks the hub for.

use super::{Body, Call, DeviceRef, Plan};

/// A call of an application's server that devices do not have, by the REST interface or the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Sends a message to users: `sendmsg` to one, `batchsendmsg` to several.
    Send {
        /// In whose name.
        from: u8,
        /// To whom, each apart.
        to: Vec<u8>,
        /// What.
        body: Body,
        /// Only to those online.
        online_only: bool,
        /// Of one that is not stored: whether the sender's devices get it (`SyncOtherMachine`).
        to_sender: bool,
    },
    /// Stores a message of another system.
    Import {
        /// Its sender.
        from: u8,
        /// Its receiver.
        to: u8,
        /// What it says.
        body: Body,
        /// Whether it counts as unread.
        counts: bool,
    },
    /// Sends a message to a group.
    SendGroup {
        /// The group.
        group: u8,
        /// In whose name; `None`: in that of the administrator.
        from: Option<u8>,
        /// What.
        body: Body,
    },
    /// Revokes the n-th newest message that the server has sent to one user.
    Withdraw(u16),
    /// Revokes the n-th newest message that the server has sent to a group.
    Recall(u16),
    /// Marks the conversation of the first user with the second one as read.
    SetRead(u8, u8),
    /// Ends a user's sessions, and makes the UserSigs void.
    Kick(u8),
    /// Keeps a user out, or lets the user in again.
    Block(u8, bool),
    /// Deletes an account.
    Delete(u8),
    /// Makes an account, or opens a deleted one again.
    ImportAccount(u8),
    /// Creates a group.
    CreateGroup {
        /// Its number; the population says its type.
        group: u8,
        /// Its owner.
        owner: u8,
        /// The other members.
        members: Vec<u8>,
    },
}

/// The administrator in whose name an application's server calls.
pub const ADMINISTRATOR: &str = "administrator";

impl DeviceRef {
    /// Stands for the application's server where something is observed at a device.
    pub const BACKEND: Self = Self::new(u8::MAX, 0);

    /// Whether it is the application's server.
    #[must_use]
    pub const fn is_backend(self) -> bool {
        self.user == u8::MAX
    }
}

impl Call {
    /// The user whom a call of an application's server keeps out, and the sessions of whom it ends.
    #[must_use]
    pub fn ends_sessions_of(&self) -> Option<tim_session::proto::UserId> {
        match self {
            Self::Rest(Rest::Kick(user) | Rest::Block(user, true) | Rest::Delete(user)) => {
                Some(Plan::user(*user))
            }
            _ => None,
        }
    }
}
