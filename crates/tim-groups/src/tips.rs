//! The words of a change: tips into the group's log, notices into its users' system logs.
//!
//! | happening | tip | notices |
//! |---|---|---|
//! | created | 1 | 6 to the creator, 7 to the members |
//! | joined freely | 1 | 2 to who joined |
//! | applied, or brought by a member who may only propose | - | 1 to owner and admins |
//! | application accepted | 1 | 2 to the applicant; if a member proposed them: 7 to them, 13 to that member |
//! | application refused | - | 3 to the applicant; if a member proposed them: 14 to that member only |
//! | invited, at once | 1 | 7 to the invited |
//! | invited, must agree | - | 12 to the invited |
//! | invitation accepted | 1 | 13 to the inviter, 2 to the invited |
//! | invitation refused | - | 14 to the inviter |
//! | left | 2 | 8 to who left |
//! | the owner of a Work group left | 2, 6 | 8 |
//! | removed | 3 | 4 to the removed |
//! | admin made, unmade | 4, 5 | 9, 10 to the member |
//! | profile, owner, options, mute all | 6 | - |
//! | member muted, name card | 7 | - |
//! | banned from an AVChatRoom | 10, live | 21 to the banned |
//! | let in again | 11, live | - |
//! | dismissed | - | 5 to all (in an AVChatRoom: live) |
//! | receive option | - | 20 to oneself |
//! | reclaimed | - | 11 to all (in an AVChatRoom: live) |
//! | told by the application | - | 255 |
//!
//! Notices 6, 8, 11 and 20, and 5 to who did it, do not count as unread; 20 does not show in the list either. 15
//! (read elsewhere) is not stored: the CONVERSATION push tells the user's other devices.

use bytes::Bytes;
use tim_proto::message::{Content, GroupChange, GroupTip, Muted, TipNames, to_vec};
use tim_proto::notice::{NoticeOperation, SystemNotice};
use tim_proto::tip::TipOperation;
use tim_proto::wire::{Encode, List, encoded_len};
use tim_proto::{ConversationId, GroupId, MessageId, MessageKind, Priority, UserId};

use super::rules::TypeRules;
use crate::{EntryFlags, SystemEntry};

/// How many users a tip names; the member list has them all.
pub const MAX_NAMED: usize = 100;

/// The most bytes of its users' names in a tip. Users whose names would exceed it are named by their ids only.
pub const MAX_NAMES: usize = 4096;

/// How a user is called and looks. What is unknown is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserNames {
    /// The nick.
    pub nick: String,
    /// The name in the group.
    pub name_card: String,
    /// The picture's address.
    pub avatar: String,
}

impl UserNames {
    fn on_wire(&self) -> TipNames<'_> {
        TipNames {
            nick: &self.nick,
            name_card: &self.name_card,
            avatar: &self.avatar,
        }
    }
}

/// Knows how users are called.
pub trait NameLookup {
    /// A user's names; empty if there are none.
    fn names_of(&self, user: &UserId) -> UserNames;
}

impl NameLookup for std::collections::BTreeMap<UserId, UserNames> {
    fn names_of(&self, user: &UserId) -> UserNames {
        self.get(user).cloned().unwrap_or_default()
    }
}

/// Writes the tips and notices of one change.
#[derive(Debug, Clone, Copy)]
pub struct Announcer<'a> {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: &'a str,
    /// Its type's rules.
    pub rules: &'a TypeRules,
    /// The second of the change.
    pub now_s: u64,
}

/// What a tip says.
#[derive(Debug, Clone, Copy)]
pub struct Tip<'a> {
    /// What happened.
    pub operation: TipOperation,
    /// Who did it.
    pub by: UserId,
    /// To whom.
    pub users: &'a [UserId],
    /// How many members there are now.
    pub members: u64,
    /// What of the profile changed.
    pub changes: &'a [GroupChange<'a>],
    /// Who was muted.
    pub muted: &'a [Muted],
    /// Why.
    pub reason: &'a str,
}

impl<'a> Tip<'a> {
    /// A tip without changes, mutes and a reason.
    #[must_use]
    pub const fn new(operation: TipOperation, by: UserId, users: &'a [UserId], members: u64) -> Self {
        Self {
            operation,
            by,
            users,
            members,
            changes: &[],
            muted: &[],
            reason: "",
        }
    }
}

/// What a notice says beside what happened and who did it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoticeText<'a> {
    /// The words that came with it.
    pub message: &'a str,
    /// The number of the application or invitation.
    pub key: u64,
    /// The application's own text.
    pub custom: &'a str,
}

impl Announcer<'_> {
    /// A tip, with this random number in its id.
    #[must_use]
    pub fn tip(&self, tip: &Tip<'_>, random: u32, book: &dyn NameLookup) -> SystemEntry {
        let named: Vec<&str> = tip.users.iter().take(MAX_NAMED).map(UserId::as_str).collect();
        let operator = book.names_of(&tip.by);
        let names = names_within(MAX_NAMES, tip.users.iter().take(MAX_NAMED), book);
        let names: Vec<TipNames<'_>> = names.iter().map(UserNames::on_wire).collect();
        let payload = GroupTip {
            operation: tip.operation,
            operator_id: tip.by.as_str(),
            users: List::from_slice(&named),
            group_id: self.group,
            group_name: self.name,
            member_count: u32::try_from(tip.members).unwrap_or(u32::MAX),
            changes: List::from_slice(tip.changes),
            muted: List::from_slice(tip.muted),
            reason: tip.reason,
            operator: operator.on_wire(),
            names: List::from_slice(&names),
        };
        let quiet = if self.rules.counts_unread {
            EntryFlags::NONE
        } else {
            EntryFlags::NO_UNREAD
        };
        let to = ConversationId::Group(self.group);
        self.prepared(to, MessageKind::GROUP_TIP, &payload, quiet, random)
    }

    /// A notice, with this random number in its id: the same bytes for whoever gets it.
    #[must_use]
    pub fn notice(
        &self,
        operation: NoticeOperation,
        by: UserId,
        said: NoticeText<'_>,
        random: u32,
    ) -> SystemEntry {
        let payload = SystemNotice {
            operation,
            operator_id: by.as_str(),
            group_id: self.group.as_str(),
            group_name: self.name,
            handle_message: said.message,
            authentication: "",
            message_key: said.key,
            user_defined_field: said.custom,
        };
        let kind = MessageKind::GROUP_SYSTEM_NOTICE;
        self.prepared(
            ConversationId::System,
            kind,
            &payload,
            quietness(operation),
            random,
        )
    }

    fn prepared<T: Encode>(
        &self,
        to: ConversationId,
        kind: MessageKind,
        payload: &T,
        flags: EntryFlags,
        random: u32,
    ) -> SystemEntry {
        let id = MessageId {
            sender: 0,
            client_time: self.now_s,
            random,
        };
        SystemEntry {
            client_time: self.now_s,
            random,
            kind,
            flags,
            content: content(to, id, kind, payload),
        }
    }
}

/// The names of the first users, up to the last one who has any and as many as fit into `max` bytes.
fn names_within<'a>(
    max: usize,
    users: impl Iterator<Item = &'a UserId>,
    book: &dyn NameLookup,
) -> Vec<UserNames> {
    let mut room = max;
    let mut names = Vec::new();
    for user in users {
        let named = book.names_of(user);
        let Some(left) = room.checked_sub(encoded_len(&named.on_wire())) else {
            break;
        };
        room = left;
        names.push(named);
    }
    let last = names.iter().rposition(|named| *named != UserNames::default());
    names.truncate(last.map_or(0, |last| last.saturating_add(1)));
    names
}

/// The flags of a notice: some are only for the programs that read them.
fn quietness(operation: NoticeOperation) -> EntryFlags {
    match operation {
        NoticeOperation::GROUP_CREATED | NoticeOperation::QUIT | NoticeOperation::GROUP_RECLAIMED => {
            EntryFlags::NO_UNREAD
        }
        NoticeOperation::RECEIVE_OPTION_SYNCED => EntryFlags::NO_UNREAD | EntryFlags::NO_LAST,
        _ => EntryFlags::NONE,
    }
}

/// The content of a message that the hub writes itself.
#[must_use]
pub fn content<T: Encode>(to: ConversationId, id: MessageId, kind: MessageKind, payload: &T) -> Bytes {
    let payload = to_vec(payload);
    let content = Content {
        to,
        id,
        client_sequence: 0,
        priority: Priority::default(),
        kind,
        payload: &payload,
        extensions: Default::default(),
    };
    to_vec(&content).into()
}
