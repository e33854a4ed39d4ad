//! Who may have been in a group, in which role, and when.

use tim_session::proto::{GroupId, GroupType, MemberResult, UserId};

use super::Model;
use super::model::{Called, Period, Watcher};
use crate::simulator::history::{Log, Returned};
use crate::simulator::op::{Call, Plan, Rest};

impl<'a> Model<'a> {
    /// The type of a group.
    pub(super) fn group_type(&self, group: &GroupId) -> Option<GroupType> {
        let groups = &self.history.plan.population.groups;
        let number = (0..)
            .zip(groups)
            .find(|(number, _)| Plan::group(*number) == *group)?;
        Some(*number.1)
    }

    /// Whether a log is that of a room, of which nothing is stored.
    pub(super) fn is_room(&self, log: &Log) -> bool {
        matches!(log, Log::Group(group) if self.group_type(group) == Some(GroupType::AV_CHAT_ROOM))
    }

    /// Whether somebody may have dismissed a group: the log is gone with it.
    pub(super) fn may_be_dismissed(&self, group: &GroupId) -> bool {
        self.calls.values().any(|call| match call.op {
            Call::Dismiss(number) | Call::Quit(number) => {
                Plan::group(*number) == *group && !call.certainly_failed()
            }
            _ => false,
        })
    }

    /// The calls about a group, with what they do.
    pub(super) fn group_calls(&self, group: GroupId) -> impl Iterator<Item = &Called<'a>> + Clone {
        let about = move |call: &&Called<'a>| group_of(call.op) == Some(group);
        self.calls.values().filter(about)
    }

    /// Whether a call may make a user a member.
    pub(super) fn lets_in(call: &Called<'_>, user: UserId) -> bool {
        let is_user = |number: &u8| Plan::user(*number) == user;
        let is_caller = call.device.user_id() == user;
        match call.op {
            Call::CreateGroup { members, .. } => is_caller || members.iter().any(is_user),
            Call::Rest(Rest::CreateGroup { owner, members, .. }) => {
                is_user(owner) || members.iter().any(is_user)
            }
            Call::Join(_) | Call::AnswerInvitation(_, true) => is_caller,
            Call::Invite(_, users) => users.iter().any(is_user),
            // The applicant may be another one than the step names: the newest of the notices that the device has.
            Call::AnswerApplication(_, _, true) => true,
            _ => false,
        }
    }

    /// Whether a user may have been in a group at some time between two observations: somebody may have let the user in, and since
    /// nobody has certainly removed the user.
    pub(super) fn may_be_in(&self, group: GroupId, user: UserId, from: usize, to: usize) -> bool {
        let entries = || {
            self.group_calls(group)
                .filter(|call| call.begun < to && !call.certainly_failed() && Self::lets_in(call, user))
        };
        let Some(out) = self.certainly_out(group, user, from) else {
            return entries().next().is_some();
        };
        entries().any(|call| call.may_act_after(out))
    }

    /// The beginning of the last call before an observation that certainly removed a user from a group.
    fn certainly_out(&self, group: GroupId, user: UserId, before: usize) -> Option<usize> {
        let removes = |call: &&Called<'a>| {
            let Some((at, returned)) = call.returned().filter(|(at, _)| *at < before) else {
                return false;
            };
            let removed = || match returned {
                Returned::Outcomes(outcomes) => {
                    outcomes.contains(&(user, u32::from(MemberResult::REMOVED.0)))
                }
                _ => false,
            };
            let out = match call.op {
                Call::Quit(_) => call.device.user_id() == user,
                // By the application's server: whoever was a member is none any more.
                Call::Remove(_, users) if matches!(returned, Returned::Done) => {
                    users.iter().any(|number| Plan::user(*number) == user)
                }
                Call::Remove(..) => removed(),
                Call::Ban(_, _, seconds) => *seconds > 0 && removed(),
                Call::Dismiss(_) => true,
                _ => false,
            };
            out && !self.may_be_lost(Watcher::Device(call.device), at)
        };
        self.group_calls(group)
            .filter(removes)
            .map(|call| call.begun)
            .max()
    }

    /// Whether a user may have had the role of an owner of a group before an observation.
    pub(super) fn may_own(&self, group: GroupId, user: UserId, before: usize) -> bool {
        let is_work = self.group_type(&group) == Some(GroupType::WORK);
        self.group_calls(group)
            .filter(|call| call.begun < before && !call.certainly_failed())
            .any(|call| match call.op {
                Call::CreateGroup { .. } => call.device.user_id() == user,
                Call::Rest(Rest::CreateGroup { owner, .. }) => Plan::user(*owner) == user,
                Call::ChangeOwner(_, to) => Plan::user(*to) == user,
                Call::Quit(_) => is_work,
                _ => false,
            })
    }

    /// Whether a user may have been an admin or the owner of a group before an observation.
    pub(super) fn may_manage(&self, group: GroupId, user: UserId, before: usize) -> bool {
        self.may_own(group, user, before)
            || self
                .group_calls(group)
                .filter(|call| call.begun < before && !call.certainly_failed())
                .any(|call| matches!(call.op, Call::SetAdmin(_, to, true) if Plan::user(*to) == user))
    }

    /// When a user was a member, by the tips of the group; `None` if not all of them are known.
    pub(super) fn periods(&self, group: GroupId, user: UserId) -> Option<&[Period]> {
        if !self.whole.contains(&group) {
            return None;
        }
        Some(self.periods.get(&(group, user)).map_or(&[], Vec::as_slice))
    }

    /// Behind which entry of a group the present membership of a user begins, by the tips that are known.
    pub(super) fn joined_behind(&self, group: GroupId, user: UserId) -> Option<u64> {
        let last = self.periods.get(&(group, user))?.last()?;
        (last.through == u64::MAX).then_some(last.after)
    }
}

/// The group that a call is about.
pub(super) fn group_of(call: &Call) -> Option<GroupId> {
    match call {
        Call::CreateGroup { group, .. }
        | Call::Rest(Rest::CreateGroup { group, .. })
        | Call::Join(group)
        | Call::Quit(group)
        | Call::Invite(group, _)
        | Call::Remove(group, _)
        | Call::SetAdmin(group, ..)
        | Call::Mute(group, ..)
        | Call::MuteAll(group, _)
        | Call::Ban(group, ..)
        | Call::Unban(group, _)
        | Call::ChangeOwner(group, _)
        | Call::Rename(group, _)
        | Call::SetJoinOption(group, _)
        | Call::Dismiss(group)
        | Call::AnswerApplication(group, ..)
        | Call::AnswerInvitation(group, _)
        | Call::NameCard(group, ..)
        | Call::ReceiveOption(group, _)
        | Call::GroupProfile(group)
        | Call::Members(group) => Some(Plan::group(*group)),
        _ => None,
    }
}
