//! Leaving, removing, banning, and dismissing.

use tim_proto::message::GroupChange;
use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::planted::{self, Fault};
use tim_proto::{MemberResult, Role, UserId};

use super::super::GroupResponse;
use super::super::rules::{Action, outranks};
use super::super::tips::{NoticeText, Tip};
use super::super::view::{GroupView, RowChange};
use super::{Case, DecideError, Decision, Draft, Effects, Results, ViewResult, check_message, each_once};
use crate::{EntryFlags, Refused, Restriction};

impl<V: GroupView> Case<'_, V> {
    pub(super) fn quit(&self) -> Decision<V> {
        let Some(me) = &self.me else {
            return Ok(Effects::none(GroupResponse::Done));
        };
        self.rules.may(Some(me.role), Action::Quit)?;
        let mut draft = self.effects();
        if me.role == Role::OWNER {
            let successor = self.view.successor(&self.actor).map_err(DecideError::View)?;
            let Some(successor) = successor else {
                draft.row(RowChange::Dismiss { by: self.actor });
                draft.notice(self.actor, NoticeOperation::QUIT, self.actor, "");
                return Ok(draft.done());
            };
            self.leave(&mut draft);
            draft.row(RowChange::Owner(successor));
            draft.row(RowChange::Role(successor, Role::OWNER));
            self.unmute(&mut draft, successor, self.member(&successor)?.as_ref());
            draft.profile_tip(self.actor, self.count(0, 1), &[GroupChange::Owner(successor)]);
        } else {
            self.leave(&mut draft);
        }
        draft.notice(self.actor, NoticeOperation::QUIT, self.actor, "");
        Ok(draft.done())
    }

    fn leave(&self, draft: &mut Draft<'_>) {
        draft.row(RowChange::Remove(self.actor));
        let users = [self.actor];
        draft.tip(&Tip::new(
            TipOperation::QUIT,
            self.actor,
            &users,
            self.count(0, 1),
        ));
    }

    pub(super) fn remove(&self, users: &[UserId], reason: &str) -> Decision<V> {
        check_message(reason)?;
        let my_role = self.may(Action::Remove)?;
        let mut draft = self.effects();
        let mut results = Results::default();
        for user in each_once(users) {
            let result = match self.member(&user)? {
                None => MemberResult::NOT_MEMBER,
                Some(member)
                    if outranks(my_role, member.role).is_err() && !planted::is(Fault::RankIgnored) =>
                {
                    MemberResult::NOT_ALLOWED
                }
                Some(_) => {
                    draft.row(RowChange::Remove(user));
                    MemberResult::REMOVED
                }
            };
            results.push(user, result);
        }
        let gone = results.with(MemberResult::REMOVED);
        if !gone.is_empty() {
            let tip = Tip::new(
                TipOperation::KICKED_OUT,
                self.actor,
                &gone,
                self.count(0, gone.len()),
            );
            draft.tip(&Tip { reason, ..tip });
            let text = NoticeText {
                message: reason,
                ..NoticeText::default()
            };
            draft.notices(&gone, NoticeOperation::KICKED_OUT, self.actor, text);
        }
        Ok(draft.respond(results.response()))
    }

    pub(super) fn ban(&self, users: &[UserId], seconds: u32, reason: &str) -> Decision<V> {
        check_message(reason)?;
        self.may(Action::Ban)?;
        let until_ms = until(self.now_ms, seconds);
        let mut draft = self.effects();
        let mut results = Results::default();
        for user in each_once(users) {
            results.push(user, self.ban_one(&mut draft, user, until_ms)?);
        }
        let done = results.with(MemberResult::REMOVED);
        if !done.is_empty() {
            let operation = if seconds > 0 {
                TipOperation::BAN_AV_CHAT_ROOM_MEMBER
            } else {
                TipOperation::UNBAN_AV_CHAT_ROOM_MEMBER
            };
            let tip = Tip::new(operation, self.actor, &done, self.count(0, 0));
            draft.tip(&Tip { reason, ..tip });
        }
        if seconds > 0 {
            let text = NoticeText {
                message: reason,
                ..NoticeText::default()
            };
            draft.notices(&done, NoticeOperation::BANNED, self.actor, text);
        }
        Ok(draft.respond(results.response()))
    }

    fn ban_one(&self, draft: &mut Draft<'_>, user: UserId, until_ms: u64) -> ViewResult<MemberResult, V> {
        if user == self.group.owner {
            return Ok(MemberResult::NOT_ALLOWED);
        }
        if !self.has_account(&user)? {
            return Ok(MemberResult::NOT_FOUND);
        }
        let before = self.view.restriction(&user).map_err(DecideError::View)?;
        if until_ms == 0 && before.banned_until_ms <= self.now_ms {
            return Ok(MemberResult::NOT_MEMBER);
        }
        let now = Restriction {
            banned_until_ms: until_ms,
            ..before
        };
        draft.row(RowChange::Restrict(user, now));
        Ok(MemberResult::REMOVED)
    }

    pub(super) fn dismiss(&self) -> Decision<V> {
        self.may(Action::Dismiss)?;
        if !self.is_administrator() && self.rules.dismissed_alone && self.group.member_count > 1 {
            return Err(
                Refused::NotAllowed("the owner ends a Work group by leaving as the last member").into(),
            );
        }
        let mut draft = self.effects();
        draft.row(RowChange::Dismiss { by: self.actor });
        self.announce_end(&mut draft, NoticeOperation::GROUP_DISMISSED)?;
        Ok(draft.done())
    }

    pub(super) fn reclaim(&self) -> Decision<V> {
        self.only_system()?;
        let mut draft = self.effects();
        draft.row(RowChange::Dismiss { by: self.actor });
        self.announce_end(&mut draft, NoticeOperation::GROUP_RECLAIMED)?;
        Ok(draft.done())
    }

    /// Notifies all members of the end of the group: in their system logs, or live in an AVChatRoom.
    fn announce_end(&self, draft: &mut Draft<'_>, operation: NoticeOperation) -> ViewResult<(), V> {
        if !self.rules.is_stored {
            let random = draft.next_random();
            let live = draft
                .announcer
                .notice(operation, self.actor, NoticeText::default(), random);
            draft.effects.live.push(live);
            return Ok(());
        }
        draft.notices(&self.members()?, operation, self.actor, NoticeText::default());
        for (user, notice) in &mut draft.effects.notices {
            if *user == self.actor {
                notice.flags |= EntryFlags::NO_UNREAD;
            }
        }
        Ok(())
    }
}

/// The end of a period of so many seconds from now; 0 for none.
pub(super) fn until(now_ms: u64, seconds: u32) -> u64 {
    match seconds {
        0 => 0,
        _ => now_ms.saturating_add(u64::from(seconds).saturating_mul(1000)),
    }
}
