//! Announcements of changes: tips in the group's log, notices in users' system logs.
//!
//! | change | tip | notices |
//! |---|---|---|
//! | created | 1 | 6 to the creator, 7 to the members |
//! | joined freely | 1 | 2 to the user |
//! | applied, or proposed by a member | - | 1 to the managers |
//! | application accepted | 1 | 2 to the applicant; for a proposal: 7 to the user, 13 to the proposer |
//! | application refused | - | 3 to the applicant; for a proposal: 14 to the proposer only |
//! | invited, without consent | 1 | 7 to the invited users |
//! | invited, consent required | - | 12 to the invited users |
//! | invitation accepted | 1 | 13 to the inviter, 2 to the user |
//! | invitation refused | - | 14 to the inviter |
//! | left | 2 | 8 to the user |
//! | the owner of a Work group left | 2, 6 | 8 |
//! | removed | 3 | 4 to the removed users |
//! | admin appointed, dismissed | 4, 5 | 9, 10 to the member |
//! | profile, owner, options, mute all | 6 | - |
//! | member muted, name card | 7 | - |
//! | banned from an AVChatRoom | 10, live | 21 to the banned users |
//! | ban ended | 11, live | - |
//! | dismissed | - | 5 to all (in an AVChatRoom: live) |
//! | receive option | - | 20 to the actor |
//! | reclaimed | - | 11 to all (in an AVChatRoom: live) |
//! | notice of the application | - | 255 |
//!
//! Notices 6, 8, 11 and 20, and 5 to the actor, do not count as unread; 20 does not move the conversation up the list either.
//! Notice 15 (read on another device) is not stored: the CONVERSATION push carries it.

use bytes::Bytes;
use tim_proto::message::TipOperation;
use tim_proto::message::{Content, GroupChange, GroupTip, Muted, TipNames, to_vec};
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::wire::{Encode, List, encoded_len};
use tim_proto::{ConversationId, GroupId, MessageId, MessageKind, UserId};

use super::rules::TypeRules;
use crate::{EntryFlags, SystemEntry};

/// The most users that a tip names. The member list has all.
pub const MAX_NAMED: usize = 100;

/// The most bytes of names in a tip. The users whose names would exceed it appear with their ids only.
pub const MAX_NAMES: usize = 4096;

/// A user's names and picture. Unknown ones are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserNames {
    /// The nick.
    pub nick: String,
    /// The name card.
    pub name_card: String,
    /// The address of the picture.
    pub avatar: String,
}

impl UserNames {
    fn on_wire(&self) -> TipNames<'_> {
        TipNames::new()
            .with_nick(&self.nick)
            .with_name_card(&self.name_card)
            .with_avatar(&self.avatar)
    }
}

/// Finds the names of users.
pub trait NameLookup {
    /// A user's names; empty if unknown.
    fn names_of(&self, user: &UserId) -> UserNames;
}

impl NameLookup for std::collections::BTreeMap<UserId, UserNames> {
    fn names_of(&self, user: &UserId) -> UserNames {
        self.get(user).cloned().unwrap_or_default()
    }
}

/// Makes the tips and notices of one change.
#[derive(Debug, Clone, Copy)]
pub struct Announcer<'a> {
    /// The group.
    pub group: GroupId,
    /// The group's name.
    pub name: &'a str,
    /// The rules of its type.
    pub rules: &'a TypeRules,
    /// The time of the change, Unix time in seconds.
    pub now_s: u64,
}

/// The content of a tip.
#[derive(Debug, Clone, Copy)]
pub struct Tip<'a> {
    /// The operation.
    pub operation: TipOperation,
    /// The operator.
    pub by: UserId,
    /// The affected users.
    pub users: &'a [UserId],
    /// The member count after the change.
    pub members: u64,
    /// The changes of the profile.
    pub changes: &'a [GroupChange<'a>],
    /// The muted members.
    pub muted: &'a [Muted],
    /// The reason.
    pub reason: &'a str,
}

impl<'a> Tip<'a> {
    /// A tip without changes, mutes and reason.
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

/// The texts of a notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoticeText<'a> {
    /// The message of the operator.
    pub message: &'a str,
    /// The number of the application or invitation that the notice is about.
    pub key: u64,
    /// The application's own text.
    pub custom: &'a str,
}

impl Announcer<'_> {
    /// A tip. `random` is the random number of its id.
    #[must_use]
    pub fn tip(&self, tip: &Tip<'_>, random: u32, names: &dyn NameLookup) -> SystemEntry {
        let named: Vec<&str> = tip.users.iter().take(MAX_NAMED).map(UserId::as_str).collect();
        let operator = names.names_of(&tip.by);
        let of_users = names_within(MAX_NAMES, tip.users.iter().take(MAX_NAMED), names);
        let of_users: Vec<TipNames<'_>> = of_users.iter().map(UserNames::on_wire).collect();
        let payload = GroupTip::new(tip.operation, self.group)
            .with_operator_id(tip.by.as_str())
            .with_users(List::from_slice(&named))
            .with_group_name(self.name)
            .with_member_count(u32::try_from(tip.members).unwrap_or(u32::MAX))
            .with_changes(List::from_slice(tip.changes))
            .with_muted(List::from_slice(tip.muted))
            .with_reason(tip.reason)
            .with_operator(operator.on_wire())
            .with_names(List::from_slice(&of_users));
        let quiet = if self.rules.counts_unread {
            EntryFlags::NONE
        } else {
            EntryFlags::NO_UNREAD
        };
        let to = ConversationId::Group(self.group);
        self.entry(to, MessageKind::GROUP_TIP, &payload, quiet, random)
    }

    /// A notice, the same for all its receivers. `random` is the random number of its id.
    #[must_use]
    pub fn notice(
        &self,
        operation: NoticeOperation,
        by: UserId,
        text: NoticeText<'_>,
        random: u32,
    ) -> SystemEntry {
        let payload = SystemNotice::new(operation)
            .with_operator_id(by.as_str())
            .with_group_id(self.group.as_str())
            .with_group_name(self.name)
            .with_handle_message(text.message)
            .with_message_key(text.key)
            .with_user_defined_field(text.custom);
        let kind = MessageKind::GROUP_SYSTEM_NOTICE;
        self.entry(
            ConversationId::System,
            kind,
            &payload,
            notice_flags(operation),
            random,
        )
    }

    fn entry<T: Encode>(
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

/// The names of the first users, as many as fit into `max` bytes, without trailing empty ones.
fn names_within<'a>(
    max: usize,
    users: impl Iterator<Item = &'a UserId>,
    names: &dyn NameLookup,
) -> Vec<UserNames> {
    let mut free = max;
    let mut found = Vec::new();
    for user in users {
        let named = names.names_of(user);
        let Some(rest) = free.checked_sub(encoded_len(&named.on_wire())) else {
            break;
        };
        free = rest;
        found.push(named);
    }
    let last = found.iter().rposition(|named| *named != UserNames::default());
    found.truncate(last.map_or(0, |last| last.saturating_add(1)));
    found
}

/// The flags of a notice. Some notices are for programs, not for readers.
fn notice_flags(operation: NoticeOperation) -> EntryFlags {
    match operation {
        NoticeOperation::GROUP_CREATED | NoticeOperation::QUIT | NoticeOperation::GROUP_RECLAIMED => {
            EntryFlags::NO_UNREAD
        }
        NoticeOperation::RECEIVE_OPTION_SYNCED => EntryFlags::NO_UNREAD | EntryFlags::NO_LAST,
        _ => EntryFlags::NONE,
    }
}

/// The content of a message that the hub writes, without extensions.
#[must_use]
pub fn content<T: Encode>(to: ConversationId, id: MessageId, kind: MessageKind, payload: &T) -> Bytes {
    let payload = to_vec(payload);
    let content = Content::new(to, id, kind, &payload);
    to_vec(&content).into()
}
