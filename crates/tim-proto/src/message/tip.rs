//! What a group tip carries.

use crate::tip::TipOperation;
use crate::wire::{Decode, Encode, List, Reader, Writer, wire};
use crate::{GroupId, InviteOption, JoinOption, UserId};

/// Something happened in a group (S162-S170).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupTip<'a> {
    /// What happened.
    pub operation: TipOperation,
    /// Who did it.
    pub operator_id: &'a str,
    /// To whom.
    pub users: List<'a, &'a str>,
    /// In which group.
    pub group_id: GroupId,
    /// That group's name.
    pub group_name: &'a str,
    /// How many members it has now.
    pub member_count: u32,
    /// What changed in the group's profile, for [`TipOperation::GROUP_PROFILE_UPDATED`] (`newGroupProfile`).
    pub changes: List<'a, GroupChange<'a>>,
    /// Who may not write for how long, for [`TipOperation::MEMBER_PROFILE_UPDATED`]; empty if that was not it.
    pub muted: List<'a, Muted>,
    /// Why, if that was said when members were removed or banned.
    pub reason: &'a str,
}
wire!(GroupTip<'a> {
    operation,
    operator_id,
    users,
    group_id,
    group_name,
    member_count,
    changes,
    muted,
    reason,
});

impl<'a> GroupTip<'a> {
    /// What a person reads (S163-S169).
    #[must_use]
    pub fn text(&self, words: crate::Words) -> crate::tip::TipText<'a, crate::wire::ListIter<'a, &'a str>> {
        crate::tip::tip_text(self.operation, self.operator_id, self.users.iter(), words)
    }
}

wire!(TipOperation(..));

/// For how long a member may not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Muted {
    /// Who.
    pub user: UserId,
    /// How many seconds; 0 if they may again.
    pub seconds: u32,
}
wire!(Muted { user, seconds });

/// One thing that changed in a group's profile. On the wire a number that says what, then the new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupChange<'a> {
    /// 1: its name.
    Name(&'a str),
    /// 2: what it is about.
    Introduction(&'a str),
    /// 3: what its members are told.
    Notification(&'a str),
    /// 4: where its picture is.
    Avatar(&'a str),
    /// 5: who owns it.
    Owner(UserId),
    /// 6: who may join by asking.
    JoinOption(JoinOption),
    /// 7: whom members may bring in.
    InviteOption(InviteOption),
    /// 8: whether nobody but owner and admins may write.
    MuteAll(bool),
    /// Something that this version does not know, with the value as bytes.
    Unknown(u32, &'a [u8]),
}

impl Encode for GroupChange<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        let mut put = |what: u32, value: &dyn Encode| {
            what.encode(writer);
            value.encode(writer);
        };
        match self {
            Self::Name(text) => put(1, text),
            Self::Introduction(text) => put(2, text),
            Self::Notification(text) => put(3, text),
            Self::Avatar(text) => put(4, text),
            Self::Owner(user) => put(5, user),
            Self::JoinOption(option) => put(6, option),
            Self::InviteOption(option) => put(7, option),
            Self::MuteAll(mute) => put(8, mute),
            Self::Unknown(what, value) => {
                what.encode(writer);
                writer.put(value);
            }
        }
    }
}

impl<'a> Decode<'a> for GroupChange<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        match u32::read(reader) {
            1 => Self::Name(reader.take_str()),
            2 => Self::Introduction(reader.take_str()),
            3 => Self::Notification(reader.take_str()),
            4 => Self::Avatar(reader.take_str()),
            5 => Self::Owner(UserId::read(reader)),
            6 => Self::JoinOption(JoinOption::read(reader)),
            7 => Self::InviteOption(InviteOption::read(reader)),
            8 => Self::MuteAll(bool::read(reader)),
            what => Self::Unknown(what, reader.take_rest()),
        }
    }
}
