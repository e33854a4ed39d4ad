//! Who may not write does not, as long as that lasts, whether the user leaves and comes back or not; who is banned does not come in; and
//! nobody does what the own role does not permit. The table of permissions is restated here.

use tim_session::proto::{GroupId, GroupType, JoinStatus, MemberResult, UserId};

use super::super::history::Returned;
use super::super::op::{Call, Plan};
use super::membership::group_of;
use super::model::{Called, Spoken, Watcher};
use super::{Invariant, Model, Violation};
use crate::simulator::history::Log;
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Restrictions;

const NAME: &str = "restrictions";

impl Invariant for Restrictions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        matches!(
            profile,
            Profile::Groups | Profile::Rooms | Profile::Clock | Profile::Mixed | Profile::Backend
        )
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        for message in model.messages.values() {
            // An application's server writes for whom it wants, member or not.
            if let Log::Group(group) = message.sent.log
                && !message.is_by_backend()
            {
                checked += writes(model, group, message)?;
            }
        }
        for call in model.calls.values().filter(|call| !call.device.is_backend()) {
            if let Some(group) = group_of(call.op) {
                checked += has_role(model, group, call)? + has_rank(model, group, call)?;
                checked += is_banned(model, group, call)?;
            }
        }
        Ok(checked)
    }
}

/// A restriction on a user by a call that certainly holds at some later time.
struct Held {
    /// Observation of the call's beginning.
    begun: usize,
    /// Observation of its return.
    from: usize,
    /// Until when, in virtual milliseconds.
    until_ms: u64,
}

impl Held {
    /// A restriction by a call that has returned, of so many seconds.
    fn new(model: &Model<'_>, call: &Called<'_>, seconds: u32) -> Option<Self> {
        let (from, _) = call.returned()?;
        // By the hub's clock, to which it rounds.
        let seconds = u64::from(seconds).saturating_sub(1);
        let held = !model.may_be_lost(Watcher::Device(call.device), from);
        held.then(|| Self {
            begun: call.begun,
            from,
            until_ms: model.at_ms(call.begun).saturating_add(seconds * 1000),
        })
    }

    /// Whether it holds from this observation to that one, as far as time is concerned.
    fn covers(&self, model: &Model<'_>, from: usize, to: usize) -> bool {
        self.from < from
            && model.at_ms(to) < self.until_ms
            && !model.clock_moved_between(self.begun, to)
            && !model.restored_between(self.begun, to)
    }
}

/// A message to a group that was sent for the first time after its sender was certainly forbidden to write is not accepted.
fn writes(model: &Model<'_>, group: GroupId, message: &Spoken<'_>) -> Result<u64, Violation> {
    let from = message.sent.from;
    // What the application's server has dropped was not written.
    let mark = message.sent.said.mark;
    let is_dropped = mark.is_some_and(|mark| model.may_be_dropped(mark));
    let mut accepted = message.accepted.iter();
    let accepted = accepted.find(|accepted| accepted.sequence > 0 || !is_dropped);
    let Some(accepted) = accepted.map(|accepted| accepted.at) else {
        // Counted if it was refused where it had to be.
        let ended = message
            .calls
            .iter()
            .filter_map(|call| model.calls.get(call)?.ended);
        let end = ended.map(|(at, _)| at).max();
        let forbidden = end.and_then(|end| forbids(model, group, from, message.begun, end));
        return Ok(u64::from(forbidden.is_some()));
    };
    // What is answered at once was passed on shortly before; what waited in the hub until then is checked again.
    let passed_on = message
        .device
        .filter(|_| message.calls.len() == 1)
        .and_then(|device| model.leaves_the_hub(device, message.begun, accepted))
        .map_or(message.begun, |at| at.max(message.begun));
    if let Some((at, why)) = forbids(model, group, from, passed_on, accepted) {
        let words = format!("{from} wrote in {group} and {why}");
        return Err(Violation::new(NAME, words).at(at).at([message.begun, accepted]));
    }
    Ok(1)
}

/// Why a user may certainly not write in a group between two observations.
fn forbids(
    model: &Model<'_>,
    group: GroupId,
    user: UserId,
    begun: usize,
    ended: usize,
) -> Option<(Option<usize>, &'static str)> {
    if !model.may_be_in(group, user, begun, ended) {
        return Some((None, "is not a member"));
    }
    let calls = || model.group_calls(group);
    let mutes = calls().filter(|call| matches!(call.op, Call::Mute(_, whom, _) if Plan::user(*whom) == user));
    for call in mutes.clone() {
        let Call::Mute(_, _, seconds) = call.op else {
            continue;
        };
        let Some(held) = Held::new(model, call, *seconds) else {
            continue;
        };
        // Another mute may have replaced it; a new owner is not muted.
        let replaced = mutes
            .clone()
            .any(|other| other.begun != call.begun && other.may_act_after(call.begun))
            || calls().any(|other| makes_owner(model, group, other, user) && other.may_act_after(call.begun));
        if !replaced && held.covers(model, begun, ended) {
            return Some((Some(call.begun), "is muted"));
        }
    }
    let mute_alls = calls().filter(|call| matches!(call.op, Call::MuteAll(..)));
    for call in mute_alls
        .clone()
        .filter(|call| matches!(call.op, Call::MuteAll(_, true)))
    {
        let Some(held) = Held::new(model, call, u32::MAX) else {
            continue;
        };
        let replaced = mute_alls
            .clone()
            .any(|other| matches!(other.op, Call::MuteAll(_, false)) && other.may_act_after(call.begun));
        if !replaced && !model.may_manage(group, user, ended) && held.covers(model, begun, ended) {
            return Some((Some(call.begun), "all members are muted"));
        }
    }
    None
}

/// Whether a call may make a user the owner.
fn makes_owner(model: &Model<'_>, group: GroupId, call: &Called<'_>, user: UserId) -> bool {
    match call.op {
        Call::ChangeOwner(_, to) => Plan::user(*to) == user,
        Call::Quit(_) => model.group_type(&group) == Some(GroupType::WORK),
        _ => false,
    }
}

/// Nobody joins a room while banned from it.
fn is_banned(model: &Model<'_>, group: GroupId, join: &Called<'_>) -> Result<u64, Violation> {
    let (Call::Join(_), Some((ended, _))) = (join.op, join.ended) else {
        return Ok(0);
    };
    let user = join.device.user_id();
    let names = |users: &[u8]| users.iter().any(|number| Plan::user(*number) == user);
    let bans = || {
        model.group_calls(group).filter(|call| match call.op {
            Call::Ban(_, users, _) | Call::Unban(_, users) => names(users),
            _ => false,
        })
    };
    let mut checked = 0;
    for ban in bans() {
        let (Call::Ban(_, _, seconds), Some((_, Returned::Outcomes(outcomes)))) = (ban.op, ban.returned())
        else {
            continue;
        };
        let Some(held) = Held::new(model, ban, *seconds) else {
            continue;
        };
        let replaced = bans().any(|other| other.begun != ban.begun && other.may_act_after(ban.begun));
        let done = outcomes.contains(&(user, u32::from(MemberResult::REMOVED.0)));
        if !done || replaced || !held.covers(model, join.begun, ended) {
            continue;
        }
        checked += 1;
        let joined = u32::from(JoinStatus::JOINED.0);
        if matches!(join.returned(), Some((_, Returned::Joined(status))) if *status == joined) {
            let words = format!("{user} joined {group} and is banned");
            return Err(Violation::new(NAME, words).at([ban.begun, held.from, join.begun, ended]));
        }
    }
    Ok(checked)
}

/// The role that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Member,
    Manager,
    Owner,
    /// Not possible in groups of this type.
    Impossible,
}

fn needs(call: &Call, group_type: GroupType, by: UserId) -> Needs {
    let (is_room, is_work) = (
        group_type == GroupType::AV_CHAT_ROOM,
        group_type == GroupType::WORK,
    );
    match call {
        Call::SetAdmin(..) if is_room || is_work => Needs::Impossible,
        Call::ChangeOwner(..) | Call::Remove(..) | Call::AnswerApplication(..) if is_room => {
            Needs::Impossible
        }
        Call::Ban(..) | Call::Unban(..) if !is_room => Needs::Impossible,
        Call::SetJoinOption(..) if !matches!(group_type, GroupType::PUBLIC | GroupType::COMMUNITY) => {
            Needs::Impossible
        }
        Call::ReceiveOption(..) | Call::Invite(..) | Call::NameCard(..) if is_room => Needs::Impossible,
        Call::Remove(..) if is_work => Needs::Owner,
        Call::Rename(..) if is_work => Needs::Member,
        Call::SetAdmin(..)
        | Call::ChangeOwner(..)
        | Call::Dismiss(_)
        | Call::Ban(..)
        | Call::Unban(..)
        | Call::SetJoinOption(..) => Needs::Owner,
        Call::Mute(..)
        | Call::MuteAll(..)
        | Call::Remove(..)
        | Call::AnswerApplication(..)
        | Call::Rename(..) => Needs::Manager,
        Call::NameCard(_, whom, _) if Plan::user(*whom) != by => Needs::Manager,
        Call::NameCard(..) | Call::ReceiveOption(..) | Call::Invite(..) => Needs::Member,
        _ => Needs::Nothing,
    }
}

/// An operation that succeeded was permitted.
fn has_role(model: &Model<'_>, group: GroupId, call: &Called<'_>) -> Result<u64, Violation> {
    let (Some((ended, _)), Some(group_type)) = (call.returned(), model.group_type(&group)) else {
        return Ok(0);
    };
    let user = call.device.user_id();
    let allowed = match needs(call.op, group_type, user) {
        Needs::Nothing => return Ok(0),
        Needs::Impossible => false,
        Needs::Member => model.may_be_in(group, user, call.begun, ended),
        Needs::Manager => model.may_manage(group, user, ended),
        Needs::Owner => model.may_own(group, user, ended),
    };
    if allowed {
        return Ok(1);
    }
    let words = format!("{user} may not do {:?} in {group}", call.op);
    Err(Violation::new(NAME, words).at([call.begun, ended]))
}

/// Who was acted on had a lower rank.
fn has_rank(model: &Model<'_>, group: GroupId, call: &Called<'_>) -> Result<u64, Violation> {
    let Some((ended, returned)) = call.returned() else {
        return Ok(0);
    };
    let by = call.device.user_id();
    let done = |user: UserId| match returned {
        Returned::Outcomes(outcomes) => outcomes.contains(&(user, u32::from(MemberResult::REMOVED.0))),
        _ => true,
    };
    let numbers: &[u8] = match call.op {
        Call::Mute(_, whom, _) | Call::NameCard(_, whom, _) => std::slice::from_ref(whom),
        Call::Remove(_, users) => users,
        _ => return Ok(0),
    };
    let users = numbers.iter().map(|number| Plan::user(*number));
    let mut checked = 0;
    for user in users.filter(|user| *user != by && done(*user)) {
        checked += 1;
        let owns = certainly_owns(model, group, user, call.begun, ended);
        let manages = || certainly_manages(model, group, user, call.begun, ended);
        if owns || manages() && !model.may_own(group, by, ended) {
            let words = format!("{by} does not outrank {user}, and did {:?} in {group}", call.op);
            return Err(Violation::new(NAME, words).at([call.begun, ended]));
        }
    }
    Ok(checked)
}

/// Whether a user who has made a group is certainly still its owner between two observations.
fn certainly_owns(model: &Model<'_>, group: GroupId, user: UserId, begun: usize, ended: usize) -> bool {
    let creates = |call: &&Called<'_>| matches!(call.op, Call::CreateGroup { .. });
    let ends = |call: &Called<'_>| match call.op {
        Call::ChangeOwner(..) | Call::Dismiss(_) => true,
        Call::Quit(_) => call.device.user_id() == user,
        _ => false,
    };
    model
        .group_calls(group)
        .filter(creates)
        .any(|create| create.device.user_id() == user && lasts(model, group, create, begun, ended, ends))
}

/// Whether somebody who was made an admin certainly is one between two observations, or the owner.
fn certainly_manages(model: &Model<'_>, group: GroupId, user: UserId, begun: usize, ended: usize) -> bool {
    let appoints =
        |call: &&Called<'_>| matches!(call.op, Call::SetAdmin(_, to, true) if Plan::user(*to) == user);
    let ends = |call: &Called<'_>| match call.op {
        Call::SetAdmin(_, to, false) => Plan::user(*to) == user,
        Call::Remove(_, users) => users.iter().any(|number| Plan::user(*number) == user),
        Call::Quit(_) => call.device.user_id() == user,
        Call::ChangeOwner(..) | Call::Dismiss(_) => true,
        _ => false,
    };
    model
        .group_calls(group)
        .filter(appoints)
        .any(|appoint| lasts(model, group, appoint, begun, ended, ends))
}

/// Whether what a call did was certainly done before an observation and holds until another one: no call that ends it may have had an
/// effect since.
fn lasts(
    model: &Model<'_>,
    group: GroupId,
    call: &Called<'_>,
    begun: usize,
    ended: usize,
    ends: impl Fn(&Called<'_>) -> bool,
) -> bool {
    let Some((done, _)) = call.returned().filter(|(done, _)| *done < begun) else {
        return false;
    };
    let mut others = model.group_calls(group);
    let is_over = others.any(|other| ends(other) && other.begun < ended && other.may_act_after(call.begun));
    !is_over && !model.may_be_lost(Watcher::Device(call.device), done) && !model.restored_between(done, ended)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::What;
    use crate::simulator::op::{LinkFault, Target};

    fn done(run: &mut MadeUp, user: u8, call: Call) {
        let call = run.call(user, call);
        run.returns(call, Returned::Done);
    }

    /// A public group of user 0 with users 1 and 2.
    fn group() -> MadeUp {
        let mut run = MadeUp::new();
        run.create(0, &[1, 2]);
        run
    }

    fn writes(run: &mut MadeUp, user: u8) {
        let sent = run.send(user, Target::Group(0));
        run.accept(sent, 9);
    }

    #[test]
    fn a_muted_member_writes() {
        let mut run = group();
        writes(&mut run, 1);
        done(&mut run, 0, Call::Mute(0, 1, 60));
        assert!(passes(&Restrictions, &run) > 0);
        let mut lifted = run.clone();
        done(&mut lifted, 0, Call::Mute(0, 1, 0));
        writes(&mut lifted, 1);
        passes(&Restrictions, &lifted);
        // Also after leaving and coming back.
        run.quit(1, 2);
        run.join(1, 3);
        let mut later = run.clone();
        later.pass(61_000);
        writes(&mut later, 1);
        passes(&Restrictions, &later);
        writes(&mut run, 1);
        violates(&Restrictions, &run, "is muted");
    }

    #[test]
    fn a_plain_member_writes_while_all_are_muted() {
        let mut run = group();
        done(&mut run, 0, Call::MuteAll(0, true));
        writes(&mut run, 0);
        passes(&Restrictions, &run);
        let mut admin = run.clone();
        done(&mut admin, 0, Call::SetAdmin(0, 1, true));
        writes(&mut admin, 1);
        passes(&Restrictions, &admin);
        writes(&mut run, 1);
        violates(&Restrictions, &run, "all members are muted");
    }

    #[test]
    fn who_is_not_a_member_writes() {
        let mut run = group();
        run.quit(2, 2);
        let mut back = run.clone();
        back.join(2, 3);
        writes(&mut back, 2);
        passes(&Restrictions, &back);
        writes(&mut run, 2);
        violates(&Restrictions, &run, "is not a member");
    }

    #[test]
    fn a_banned_user_joins_a_room() {
        let mut run = MadeUp::new();
        let call = run.call(
            0,
            Call::CreateGroup {
                group: 1,
                members: vec![],
                join: 0,
                invite: 0,
            },
        );
        run.returns(call, Returned::Done);
        let call = run.call(0, Call::Ban(1, vec![1], 60));
        run.returns(call, Returned::Outcomes(vec![(Plan::user(1), 7)]));
        let mut refused = run.clone();
        let call = refused.call(1, Call::Join(1));
        refused.fail(call, 10015, false);
        assert!(passes(&Restrictions, &refused) > 0);
        let call = run.call(1, Call::Join(1));
        run.returns(call, Returned::Joined(1));
        violates(&Restrictions, &run, "is banned");
    }

    #[test]
    fn somebody_does_what_the_role_does_not_permit() {
        let mut run = group();
        let mut admin = run.clone();
        done(&mut admin, 0, Call::SetAdmin(0, 1, true));
        done(&mut admin, 1, Call::MuteAll(0, true));
        passes(&Restrictions, &admin);
        done(&mut admin, 1, Call::Dismiss(0));
        violates(&Restrictions, &admin, "may not do Dismiss");
        done(&mut run, 1, Call::MuteAll(0, true));
        violates(&Restrictions, &run, "may not do MuteAll");
    }

    #[test]
    fn somebody_acts_on_a_superior() {
        let mut run = group();
        done(&mut run, 0, Call::SetAdmin(0, 1, true));
        done(&mut run, 1, Call::Mute(0, 2, 60));
        assert!(passes(&Restrictions, &run) > 0);
        let mut on_owner = run.clone();
        done(&mut on_owner, 1, Call::Mute(0, 0, 60));
        violates(&Restrictions, &on_owner, "does not outrank");
        // Who was the owner may be outranked once the group was passed on.
        let mut passed_on = run.clone();
        done(&mut passed_on, 0, Call::ChangeOwner(0, 1));
        done(&mut passed_on, 1, Call::Mute(0, 0, 60));
        passes(&Restrictions, &passed_on);
        done(&mut run, 0, Call::SetAdmin(0, 2, true));
        let mut demoted = run.clone();
        done(&mut demoted, 0, Call::SetAdmin(0, 2, false));
        done(&mut demoted, 1, Call::NameCard(0, 2, 1));
        passes(&Restrictions, &demoted);
        done(&mut run, 0, Call::NameCard(0, 2, 1));
        passes(&Restrictions, &run);
        done(&mut run, 1, Call::NameCard(0, 2, 1));
        violates(&Restrictions, &run, "does not outrank");
    }

    #[test]
    fn what_waited_is_passed_on_after_its_sender_was_muted() {
        let mut run = group();
        let sent = run.send(1, Target::Group(0));
        done(&mut run, 0, Call::Mute(0, 1, 60));
        let mut at_once = run.clone();
        at_once.accept(sent, 9);
        passes(&Restrictions, &at_once);
        let mut cut = run.clone();
        cut.push(Some(device(1)), What::LinkFault(LinkFault::Cut));
        for run in [&mut run, &mut cut] {
            run.pass(1_000);
            // Something is observed between, from which on it was certainly forbidden.
            run.push(None, What::RestBegins);
            run.pass(200);
            run.accept(sent, 9);
        }
        passes(&Restrictions, &cut);
        violates(&Restrictions, &run, "is muted");
    }
}
