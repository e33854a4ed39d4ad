//! Joining, applying, inviting, and the decisions of applications and invitations.

use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::{InviteOption, JoinOption, JoinStatus, MemberResult, UserId};

use super::super::GroupResponse;
use super::super::rules::{Action, MAX_APPLICATIONS};
use super::super::tips::{NoticeText, Tip};
use super::super::view::{GroupView, NewRequest, Request, RequestKind, RowChange, Verdict};
use super::{Case, DecideError, Decision, Draft, Effects, Results, ViewResult, check_message, each_once};
use crate::Refused;

impl<V: GroupView> Case<'_, V> {
    pub(super) fn join(&self, message: &str) -> Decision<V> {
        check_message(message)?;
        if self.me.is_some() {
            return Ok(Effects::none(GroupResponse::Joined(JoinStatus::ALREADY_IN_GROUP)));
        }
        if !self.has_account(&self.actor)? {
            return Err(Refused::NoAccount(self.actor).into());
        }
        if !self.rules.is_stored {
            return Err(Refused::NotAllowed("members of an AVChatRoom are not stored").into());
        }
        match self.group.join_option {
            JoinOption::FREE_ACCESS => self.join_freely(),
            JoinOption::NEED_PERMISSION => self.apply(message),
            _ => Err(Refused::NotAllowed("this group takes no applications").into()),
        }
    }

    fn join_freely(&self) -> Decision<V> {
        self.check_can_join(&self.actor)?;
        let mut draft = self.effects();
        self.add(&mut draft, self.actor, &[self.actor]);
        // No manager has accepted the user, so the notice names the owner.
        draft.notice(self.actor, NoticeOperation::JOIN_ACCEPTED, self.group.owner, "");
        Ok(draft.respond(GroupResponse::Joined(JoinStatus::JOINED)))
    }

    fn apply(&self, message: &str) -> Decision<V> {
        let mut draft = self.effects();
        if !self.is_open(&self.actor, RequestKind::Application)? {
            self.check_groups_of(&self.actor)?;
            if self.applications_left()? == 0 {
                return Err(Refused::TooManyApplications {
                    max: MAX_APPLICATIONS,
                }
                .into());
            }
            let key = self.view.next_key().map_err(DecideError::View)?;
            self.ask_managers(&mut draft, self.actor, None, key, message)?;
        }
        Ok(draft.respond(GroupResponse::Joined(JoinStatus::WAIT_APPROVAL)))
    }

    /// How many more applications may be open.
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
        let text = NoticeText {
            message,
            key,
            ..NoticeText::default()
        };
        draft.notices(&self.managers()?, NoticeOperation::JOIN_REQUESTED, user, text);
        Ok(())
    }

    fn is_open(&self, user: &UserId, kind: RequestKind) -> ViewResult<bool, V> {
        Ok(self
            .request(user, kind)?
            .is_some_and(|request| request.verdict.is_none()))
    }

    /// Adds members, with the tip that `by` added them.
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
        check_message(message)?;
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
        // No second tip for an applicant who has become a member in another way.
        if accept && self.member(applicant)?.is_none() {
            self.check_can_join(applicant)?;
            self.add(&mut draft, self.actor, &[*applicant]);
            self.inviter.set(request.inviter);
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

    /// Decides an open request; `None` if the actor has made this decision before.
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
        check_message(reason)?;
        let my_role = self.may(Action::Invite)?;
        let how = match self.group.invite_option {
            InviteOption::FREE_ACCESS => Invitation::Adds,
            InviteOption::NEED_PERMISSION if my_role.is_manager() => Invitation::AsksUser,
            InviteOption::NEED_PERMISSION => Invitation::AsksManagers,
            _ => return Err(Refused::NotAllowed("this group takes no invitations").into()),
        };
        let mut draft = self.effects();
        let mut results = Results::default();
        let mut free_places = self.free_places();
        let mut left = self.applications_left()?;
        let mut key = self.view.next_key().map_err(DecideError::View)?;
        for user in each_once(users) {
            let result = if !self.has_account(&user)? {
                MemberResult::NOT_FOUND
            } else if self.member(&user)?.is_some() {
                MemberResult::ALREADY_MEMBER
            } else if free_places == 0 {
                MemberResult::FULL
            } else if !self.may_join_more(&user)? {
                MemberResult::NOT_ALLOWED
            } else {
                self.invite_one(&mut draft, how, user, (&mut key, &mut left), reason)?
            };
            if result == MemberResult::ADDED {
                free_places = free_places.saturating_sub(1);
            }
            results.push(user, result);
        }
        let added = results.with(MemberResult::ADDED);
        if !added.is_empty() {
            self.add(&mut draft, self.actor, &added);
            self.inviter.set(Some(self.actor));
            let text = NoticeText {
                message: reason,
                ..NoticeText::default()
            };
            draft.notices(&added, NoticeOperation::INVITED, self.actor, text);
        }
        Ok(draft.respond(results.response()))
    }

    fn invite_one(
        &self,
        draft: &mut Draft<'_>,
        how: Invitation,
        user: UserId,
        (key, left): (&mut u64, &mut u32),
        reason: &str,
    ) -> ViewResult<MemberResult, V> {
        match how {
            Invitation::Adds => return Ok(MemberResult::ADDED),
            Invitation::AsksUser if !self.is_open(&user, RequestKind::Invitation)? => {
                draft.row(RowChange::Ask(NewRequest {
                    user,
                    kind: RequestKind::Invitation,
                    key: *key,
                    inviter: Some(self.actor),
                }));
                let text = NoticeText {
                    message: reason,
                    key: *key,
                    ..NoticeText::default()
                };
                draft.notices(&[user], NoticeOperation::INVITE_REQUESTED, self.actor, text);
                *key = key.saturating_add(1);
            }
            Invitation::AsksManagers if !self.is_open(&user, RequestKind::Application)? => {
                if *left == 0 {
                    return Ok(MemberResult::FULL);
                }
                *left = left.saturating_sub(1);
                self.ask_managers(draft, user, Some(self.actor), *key, reason)?;
                *key = key.saturating_add(1);
            }
            Invitation::AsksUser | Invitation::AsksManagers => {}
        }
        Ok(how.result())
    }

    pub(super) fn handle_invitation(&self, accept: bool, message: &str) -> Decision<V> {
        check_message(message)?;
        let found = self.request(&self.actor, RequestKind::Invitation)?;
        let Some((request, inviter)) = found.and_then(|request| Some((request, request.inviter?))) else {
            return Err(Refused::NoSuchRequest(self.actor).into());
        };
        let Some(mut draft) = self.decided(&request, accept)? else {
            return Ok(Effects::none(GroupResponse::Done));
        };
        if accept && self.me.is_none() {
            self.check_can_join(&self.actor)?;
            self.add(&mut draft, inviter, &[self.actor]);
            self.inviter.set(Some(inviter));
            draft.notice(self.actor, NoticeOperation::JOIN_ACCEPTED, inviter, "");
        }
        let notice = if accept {
            NoticeOperation::INVITE_ACCEPTED
        } else {
            NoticeOperation::INVITE_REFUSED
        };
        draft.notice(inviter, notice, self.actor, message);
        Ok(draft.done())
    }
}

/// What an invitation does.
#[derive(Clone, Copy)]
enum Invitation {
    Adds,
    AsksUser,
    AsksManagers,
}

impl Invitation {
    const fn result(self) -> MemberResult {
        match self {
            Self::Adds => MemberResult::ADDED,
            Self::AsksUser => MemberResult::INVITED,
            Self::AsksManagers => MemberResult::WAIT_APPROVAL,
        }
    }
}
