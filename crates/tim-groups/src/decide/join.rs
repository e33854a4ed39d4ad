//! Coming in: joining, applying, inviting, and the answers to it.

use tim_proto::notice::NoticeOperation;
use tim_proto::tip::TipOperation;
use tim_proto::{InviteOption, JoinOption, JoinStatus, MemberResult, UserId};

use super::super::GroupResponse;
use super::super::rules::{Action, MAX_APPLICATIONS};
use super::super::tips::{NoticeText, Tip};
use super::super::view::{GroupView, NewRequest, Request, RequestKind, RowChange, Verdict};
use super::{Case, DecideError, Decision, Draft, Effects, Outcomes, ViewResult, check_words, each_once};
use crate::Refused;

impl<V: GroupView> Case<'_, V> {
    pub(super) fn join(&self, message: &str) -> Decision<V> {
        check_words(message)?;
        if self.me.is_some() {
            return Ok(Effects::none(GroupResponse::Joined(JoinStatus::ALREADY_IN_GROUP)));
        }
        if !self.has_account(&self.actor)? {
            return Err(Refused::NoAccount(self.actor).into());
        }
        if !self.rules.is_stored {
            return Err(Refused::NotAllowed("who is in an AVChatRoom is not stored").into());
        }
        match self.group.join_option {
            JoinOption::FREE_ACCESS => self.join_freely(),
            JoinOption::NEED_PERMISSION => self.apply(message),
            _ => Err(Refused::NotAllowed("nobody may apply to join this group").into()),
        }
    }

    fn join_freely(&self) -> Decision<V> {
        self.may_come_in(&self.actor)?;
        let mut draft = self.effects();
        self.add(&mut draft, self.actor, &[self.actor]);
        // Nobody has let them in; the words name the owner.
        draft.notice(self.actor, NoticeOperation::JOIN_ACCEPTED, self.group.owner, "");
        Ok(draft.answer(GroupResponse::Joined(JoinStatus::JOINED)))
    }

    fn apply(&self, message: &str) -> Decision<V> {
        let mut draft = self.effects();
        if !self.is_open(&self.actor, RequestKind::Application)? {
            self.may_be_in_more(&self.actor)?;
            if self.applications_left()? == 0 {
                return Err(Refused::TooManyApplications {
                    max: MAX_APPLICATIONS,
                }
                .into());
            }
            let key = self.view.next_key().map_err(DecideError::View)?;
            self.ask_managers(&mut draft, self.actor, None, key, message)?;
        }
        Ok(draft.answer(GroupResponse::Joined(JoinStatus::WAIT_APPROVAL)))
    }

    /// How many more may apply.
    fn applications_left(&self) -> ViewResult<u32, V> {
        let open = self.view.open_applications().map_err(DecideError::View)?;
        Ok(MAX_APPLICATIONS.saturating_sub(open))
    }

    fn ask_managers(
        &self,
        draft: &mut Draft<'_>,
        user: UserId,
        inviter: Option<UserId>,
        key: u64,
        message: &str,
    ) -> ViewResult<(), V> {
        draft.row(RowChange::Ask(NewRequest {
            user,
            kind: RequestKind::Application,
            key,
            inviter,
        }));
        let said = NoticeText {
            message,
            key,
            ..NoticeText::default()
        };
        draft.notices(&self.managers()?, NoticeOperation::JOIN_REQUESTED, user, said);
        Ok(())
    }

    fn is_open(&self, user: &UserId, kind: RequestKind) -> ViewResult<bool, V> {
        Ok(self
            .request(user, kind)?
            .is_some_and(|request| request.verdict.is_none()))
    }

    /// New members, with the tip; `by` brought them in.
    fn add(&self, draft: &mut Draft<'_>, by: UserId, users: &[UserId]) {
        for user in users {
            draft.row(RowChange::Add(*user));
        }
        draft.tip(&Tip::new(
            TipOperation::JOIN,
            by,
            users,
            self.count(users.len(), 0),
        ));
    }

    pub(super) fn handle_application(
        &self,
        applicant: &UserId,
        accept: bool,
        message: &str,
        key: u64,
    ) -> Decision<V> {
        check_words(message)?;
        self.may(Action::HandleApplication)?;
        let Some(request) = self.request(applicant, RequestKind::Application)? else {
            return Err(Refused::NoSuchRequest(*applicant).into());
        };
        if key != 0 && key != request.key {
            return Err(Refused::AlreadyHandled.into());
        }
        let Some(mut draft) = self.decided(&request, accept)? else {
            return Ok(Effects::none(GroupResponse::Done));
        };
        // Who came in by another way meanwhile needs no second tip.
        if accept && self.member(applicant)?.is_none() {
            self.may_come_in(applicant)?;
            self.add(&mut draft, self.actor, &[*applicant]);
            let (by, notice) = match request.inviter {
                Some(inviter) => (inviter, NoticeOperation::INVITED),
                None => (self.actor, NoticeOperation::JOIN_ACCEPTED),
            };
            draft.notice(*applicant, notice, by, message);
        }
        match (request.inviter, accept) {
            (Some(inviter), true) => {
                draft.notice(inviter, NoticeOperation::INVITE_ACCEPTED, *applicant, message);
            }
            (Some(inviter), false) => {
                draft.notice(inviter, NoticeOperation::INVITE_REFUSED, *applicant, message);
            }
            (None, false) => draft.notice(*applicant, NoticeOperation::JOIN_REFUSED, self.actor, message),
            (None, true) => {}
        }
        Ok(draft.done())
    }

    /// The actor decides an open request; `None` if the actor had decided it so before.
    fn decided(&self, request: &Request, accepted: bool) -> Result<Option<Draft<'_>>, Refused> {
        let verdict = Verdict {
            by: self.actor,
            accepted,
        };
        match request.verdict {
            Some(before) if before == verdict => Ok(None),
            Some(_) => Err(Refused::AlreadyHandled),
            None => {
                let mut draft = self.effects();
                draft.row(RowChange::Decide(request.key, verdict));
                Ok(Some(draft))
            }
        }
    }

    pub(super) fn invite(&self, users: &[UserId], reason: &str) -> Decision<V> {
        check_words(reason)?;
        let me = self.may(Action::Invite)?;
        let how = match self.group.invite_option {
            InviteOption::FREE_ACCESS => How::AtOnce,
            InviteOption::NEED_PERMISSION if me.role.is_manager() => How::IfTheyAgree,
            InviteOption::NEED_PERMISSION => How::IfManagersAgree,
            _ => return Err(Refused::NotAllowed("nobody is invited to this group").into()),
        };
        let mut draft = self.effects();
        let mut outcomes = Outcomes::default();
        let mut room = self.room();
        let mut left = self.applications_left()?;
        let mut key = self.view.next_key().map_err(DecideError::View)?;
        for user in each_once(users) {
            let result = if !self.has_account(&user)? {
                MemberResult::NOT_FOUND
            } else if self.member(&user)?.is_some() {
                MemberResult::ALREADY_MEMBER
            } else if room == 0 {
                MemberResult::FULL
            } else if !self.has_room(&user)? {
                MemberResult::NOT_ALLOWED
            } else {
                self.invite_one(&mut draft, how, user, (&mut key, &mut left), reason)?
            };
            if result == MemberResult::ADDED {
                room = room.saturating_sub(1);
            }
            outcomes.push(user, result);
        }
        let added = outcomes.with(MemberResult::ADDED);
        if !added.is_empty() {
            self.add(&mut draft, self.actor, &added);
            let said = NoticeText {
                message: reason,
                ..NoticeText::default()
            };
            draft.notices(&added, NoticeOperation::INVITED, self.actor, said);
        }
        Ok(draft.answer(outcomes.answer()))
    }

    fn invite_one(
        &self,
        draft: &mut Draft<'_>,
        how: How,
        user: UserId,
        (key, left): (&mut u64, &mut u32),
        reason: &str,
    ) -> ViewResult<MemberResult, V> {
        match how {
            How::AtOnce => return Ok(MemberResult::ADDED),
            How::IfTheyAgree if !self.is_open(&user, RequestKind::Invitation)? => {
                draft.row(RowChange::Ask(NewRequest {
                    user,
                    kind: RequestKind::Invitation,
                    key: *key,
                    inviter: Some(self.actor),
                }));
                let said = NoticeText {
                    message: reason,
                    key: *key,
                    ..NoticeText::default()
                };
                draft.notices(&[user], NoticeOperation::INVITE_REQUESTED, self.actor, said);
                *key = key.saturating_add(1);
            }
            How::IfManagersAgree if !self.is_open(&user, RequestKind::Application)? => {
                if *left == 0 {
                    return Ok(MemberResult::FULL);
                }
                *left = left.saturating_sub(1);
                self.ask_managers(draft, user, Some(self.actor), *key, reason)?;
                *key = key.saturating_add(1);
            }
            How::IfTheyAgree | How::IfManagersAgree => {}
        }
        Ok(how.waiting())
    }

    pub(super) fn handle_invitation(&self, accept: bool, message: &str) -> Decision<V> {
        check_words(message)?;
        let found = self.request(&self.actor, RequestKind::Invitation)?;
        let Some((request, inviter)) = found.and_then(|request| Some((request, request.inviter?))) else {
            return Err(Refused::NoSuchRequest(self.actor).into());
        };
        let Some(mut draft) = self.decided(&request, accept)? else {
            return Ok(Effects::none(GroupResponse::Done));
        };
        if accept && self.me.is_none() {
            self.may_come_in(&self.actor)?;
            self.add(&mut draft, inviter, &[self.actor]);
            draft.notice(self.actor, NoticeOperation::JOIN_ACCEPTED, inviter, "");
        }
        let told = if accept {
            NoticeOperation::INVITE_ACCEPTED
        } else {
            NoticeOperation::INVITE_REFUSED
        };
        draft.notice(inviter, told, self.actor, message);
        Ok(draft.done())
    }
}

/// What an invitation is.
#[derive(Clone, Copy)]
enum How {
    AtOnce,
    IfTheyAgree,
    IfManagersAgree,
}

impl How {
    const fn waiting(self) -> MemberResult {
        match self {
            Self::AtOnce => MemberResult::ADDED,
            Self::IfTheyAgree => MemberResult::INVITED,
            Self::IfManagersAgree => MemberResult::WAIT_APPROVAL,
        }
    }
}
