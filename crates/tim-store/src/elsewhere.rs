//! Several hubs on one database: what the others have written, and the bus between them.

use bytes::Bytes;
use tim_groups::{GroupAction, GroupResponse};
use tim_proto::request::PushPlatform;
use tim_proto::{GroupId, MemberResult, UserId};

use super::{LogKey, Published, PurgedLog, Write, Written};

/// What another hub has written to the database, in the order of its commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// An entry, or a change of a group's members.
    Published(Published),
    /// Something else of which hubs keep a copy in memory.
    Changed(Change),
    /// Commits are missing here. Everybody has to begin again, from the store.
    Missed,
}

/// A change of which other hubs are told. Entries, and changes of who is in a group, are [`Published`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A user's own state of a conversation has changed. The numbers are those of [`Written::Read`].
    Read {
        /// The user.
        user: UserId,
        /// The log.
        log: LogKey,
        /// The last sequence that is read.
        read_sequence: u64,
        /// The unread count.
        unread: u64,
        /// The head of the log at that moment.
        counted: u64,
        /// The conversation is hidden in the user's list up to this sequence.
        deleted_through: u64,
    },
    /// The sessions of a user are over: all of them, or those whose UserSigs were issued before this time, in Unix seconds.
    Sessions {
        /// The user.
        user: UserId,
        /// The time.
        before_s: Option<u64>,
    },
    /// The names of a user.
    User(UserId),
    /// What members of a group may do.
    Permissions(GroupId),
    /// These users were banned from a group, and are not in it any more.
    Banned(GroupId, Vec<UserId>),
    /// The group is dismissed.
    Dismissed(GroupId),
    /// The unread counts of all members of a group.
    Counts(GroupId),
    /// Old entries were removed.
    Purged(PurgedLog),
    /// A user has registered a token of a push service, and was notified through this change.
    Push {
        /// The user.
        user: UserId,
        /// The push service.
        platform: PushPlatform,
        /// The change.
        pushed: u64,
    },
}

impl Change {
    /// What other hubs are told of a write that was applied, besides what it has published.
    pub fn of(write: &Write, written: &Written) -> Vec<Self> {
        match (write, written) {
            (Write::WithAccounts { write, .. }, _) => Self::of(write, written),
            (
                Write::MarkRead { user, log, .. } | Write::DeleteConversation { user, log },
                Written::Read { .. },
            ) => Self::read(*user, *log, written),
            (Write::SetUnread { user, group, .. }, Written::Read { .. }) => {
                Self::read(*user, LogKey::Group(*group), written)
            }
            (Write::VoidUserSigs { user, before_s }, _) => vec![Self::Sessions {
                user: *user,
                before_s: Some(*before_s),
            }],
            (Write::DeleteAccount { user, before_s }, _) => {
                let before_s = Some(*before_s);
                vec![
                    Self::User(*user),
                    Self::Sessions {
                        user: *user,
                        before_s,
                    },
                ]
            }
            (
                Write::Block {
                    user,
                    is_blocked: true,
                },
                _,
            ) => vec![Self::Sessions {
                user: *user,
                before_s: None,
            }],
            (Write::SetUserProfile { user, .. }, _) => vec![Self::User(*user)],
            (Write::ChangeGroup(command), Written::GroupChanged(changed)) => {
                let mut changes = vec![Self::Permissions(command.group)];
                match (&command.action, &changed.response) {
                    (GroupAction::Ban { .. }, GroupResponse::Members(results)) => {
                        let gone = results
                            .iter()
                            .filter(|(_, result)| *result == MemberResult::REMOVED);
                        let gone = gone.map(|(user, _)| *user).collect();
                        changes.push(Self::Banned(command.group, gone));
                    }
                    (GroupAction::Dismiss | GroupAction::Reclaim, _) => {
                        changes.push(Self::Dismissed(command.group));
                    }
                    _ => {}
                }
                changes
            }
            (Write::ImportMessages(import), Written::Imported(_)) => vec![Self::Counts(import.group)],
            (Write::Purge(_), Written::Purged { logs, .. }) => {
                logs.iter().copied().map(Self::Purged).collect()
            }
            (Write::RegisterPush(register), Written::PushRegistered { pushed }) => vec![Self::Push {
                user: register.user,
                platform: register.platform,
                pushed: *pushed,
            }],
            _ => Vec::new(),
        }
    }

    fn read(user: UserId, log: LogKey, written: &Written) -> Vec<Self> {
        match *written {
            Written::Read {
                read_sequence,
                unread,
                counted,
                deleted_through,
            } if counted > 0 => vec![Self::Read {
                user,
                log,
                read_sequence,
                unread,
                counted,
                deleted_through,
            }],
            _ => Vec::new(),
        }
    }
}

/// What comes over a [`Bus`].
#[derive(Debug)]
pub enum BusEvent<'a> {
    /// Another hub may have written to the database.
    Wrote,
    /// Another hub, which has this number, says something to all others.
    Message {
        /// The hub.
        from: u64,
        /// What it says.
        message: &'a [u8],
    },
    /// The hubs that there are now, this one included.
    Hubs {
        /// This one.
        own: u64,
        /// The other ones, the oldest first.
        others: &'a [u64],
    },
    /// What was sent before may be lost.
    Connected,
}

/// What takes the events of a [`Bus`].
pub type BusReceiver = Box<dyn Fn(BusEvent<'_>) + Send + Sync>;

/// Between the hubs on one database. What is sent over it may be lost, come twice, or come late: that may cost time, or a message that is
/// not stored, but none that is.
pub trait Bus: Send + Sync {
    /// From now on, what comes is handed to this function, one after another, which does not block.
    fn receive(&self, receive: BusReceiver);

    /// Sends to all other hubs, if there are any. False if it is too long, or too much waits.
    fn send(&self, message: Bytes) -> bool;
}
