//! What only an administrator of the application does to a group and its members.

use tim_proto::message::Muted;
use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::{MemberResult, Role, UserId};

use super::super::rules::{Action, MAX_NAME_CARD, check_name, outranks};
use super::super::tips::{NoticeText, Tip};
use super::super::view::{GroupView, RowChange};
use super::change::appointed;
use super::leave::until;
use super::{Case, DecideError, Decision, Draft, Effects, Results, ViewResult, each_once};
use crate::{
    Field, FieldChange, FieldScope, GroupResponse, MemberEdit, Membership, NewMember, Refused, Restriction,
};

impl<V: GroupView> Case<'_, V> {
    pub(super) fn add_members(&self, members: &[NewMember]) -> Decision<V> {
        self.only_administrator()?;
        self.may(Action::Add)?;
        let mut draft = self.effects();
        let mut results = Results::default();
        let mut free_places = self.free_places();
        let mut admins = self.free_admins()?;
        let mut seen = std::collections::BTreeSet::new();
        for new in members.iter().filter(|new| seen.insert(new.user)) {
            let result = self.addition(new, free_places, admins)?;
            if result == MemberResult::ADDED {
                free_places = free_places.saturating_sub(1);
                admins = admins.saturating_sub(usize::from(new.role == Role::ADMIN));
                draft.row(match new.role == Role::MEMBER && new.joined_ms.is_none() {
                    true => RowChange::Add(new.user),
                    false => RowChange::AddAs(*new),
                });
            }
            results.push(new.user, result);
        }
        let added = results.with(MemberResult::ADDED);
        if !added.is_empty() {
            self.inviter.set(Some(self.actor));
            let count = self.count(added.len(), 0);
            draft.tip(&Tip::new(TipOperation::JOIN, self.actor, &added, count));
            draft.notices(
                &added,
                NoticeOperation::INVITED,
                self.actor,
                NoticeText::default(),
            );
        }
        Ok(draft.respond(results.response()))
    }

    /// How many more admins the group may have.
    fn free_admins(&self) -> ViewResult<usize, V> {
        if self.rules.administrator_may(Action::SetRole).is_err() {
            return Ok(0);
        }
        let owners = usize::from(self.group.owner != UserId::SYSTEM);
        let admins = self.managers()?.len().saturating_sub(owners);
        Ok((self.command.policy.max_admins as usize).saturating_sub(admins))
    }

    fn addition(&self, new: &NewMember, free_places: u64, admins: usize) -> ViewResult<MemberResult, V> {
        appointed(new.role)?;
        let since = self.group.created_ms..=self.now_ms;
        Ok(if !self.has_account(&new.user)? {
            MemberResult::NOT_FOUND
        } else if self.member(&new.user)?.is_some() {
            MemberResult::ALREADY_MEMBER
        } else if free_places == 0 {
            MemberResult::FULL
        } else if (new.role == Role::ADMIN && admins == 0)
            || new.joined_ms.is_some_and(|joined_ms| !since.contains(&joined_ms))
            || !self.may_join_more(&new.user)?
        {
            MemberResult::NOT_ALLOWED
        } else {
            MemberResult::ADDED
        })
    }

    pub(super) fn mute_members(&self, users: &[UserId], seconds: u32) -> Decision<V> {
        self.only_administrator()?;
        self.may(Action::Mute)?;
        let until_ms = until(self.now_ms, seconds);
        let mut draft = self.effects();
        let mut muted = Vec::new();
        for user in each_once(users) {
            if self.mute(&mut draft, user, until_ms)? {
                muted.push(user);
            }
        }
        if !muted.is_empty() {
            let list: Vec<Muted> = muted.iter().map(|user| Muted::new(*user, seconds)).collect();
            let tip = Tip::new(
                TipOperation::MEMBER_PROFILE_UPDATED,
                self.actor,
                &muted,
                self.count(0, 0),
            );
            let named = list.len().min(super::super::tips::MAX_NAMED);
            draft.tip(&Tip {
                muted: list.get(..named).unwrap_or(&list),
                ..tip
            });
        }
        Ok(draft.done())
    }

    /// Whether this changes anything.
    fn mute(&self, draft: &mut Draft<'_>, user: UserId, until_ms: u64) -> ViewResult<bool, V> {
        let before = if self.rules.is_stored {
            let member = self.target(&user)?;
            outranks(Role::OWNER, member.role)?;
            member.muted_until_ms
        } else {
            if user == self.group.owner {
                return Err(Refused::NotAllowed("the owner cannot be muted").into());
            }
            if !self.has_account(&user)? {
                return Err(Refused::NoAccount(user).into());
            }
            let before = self.view.restriction(&user).map_err(DecideError::View)?;
            let now = Restriction {
                muted_until_ms: until_ms,
                ..before
            };
            if until_ms > 0 || before.muted_until_ms > self.now_ms {
                draft.row(RowChange::Restrict(user, now));
            }
            before.muted_until_ms
        };
        let changes = until_ms > 0 || before > self.now_ms;
        if changes && self.rules.is_stored {
            draft.row(RowChange::MutedUntil(user, until_ms));
        }
        Ok(changes)
    }

    pub(super) fn edit_member(&self, edit: &MemberEdit) -> Decision<V> {
        self.only_administrator()?;
        if !self.rules.is_stored {
            return self.mute_in_av_chat_room(edit);
        }
        let role = edit.role.map(appointed).transpose()?;
        check_name(
            "name card",
            edit.name_card.as_deref().unwrap_or(""),
            MAX_NAME_CARD,
        )?;
        self.may_edit(edit)?;
        let member = self.target(&edit.user)?;
        if (role.is_some_and(|role| role != member.role)) || edit.mute_seconds.is_some() {
            outranks(Role::OWNER, member.role)?;
        }
        let fields = self.changed_fields(FieldScope::Member(edit.user), &edit.fields)?;

        let mut draft = self.effects();
        if let Some(role) = role.filter(|role| *role != member.role) {
            self.appoint(&mut draft, edit.user, role)?;
        }
        self.edit_shown(&mut draft, edit, &member);
        if let Some(option) = edit
            .receive_option
            .filter(|option| *option != member.receive_option)
        {
            draft.row(RowChange::ReceiveOption(edit.user, option));
            let text = NoticeText {
                custom: option.name().unwrap_or(""),
                ..NoticeText::default()
            };
            let operation = NoticeOperation::RECEIVE_OPTION_SYNCED;
            draft.notices(&[edit.user], operation, self.actor, text);
        }
        if let Some(fields) = fields {
            draft.row(RowChange::Fields(FieldScope::Member(edit.user), fields));
        }
        Ok(draft.done())
    }

    fn may_edit(&self, edit: &MemberEdit) -> Result<(), Refused> {
        self.may(Action::EditMember)?;
        if edit.role == Some(Role::ADMIN) {
            self.may(Action::SetRole)?;
        }
        if edit.mute_seconds.is_some() {
            self.may(Action::Mute)?;
        }
        match edit.receive_option {
            Some(option) if option.name().is_none() => Err(Refused::BadValue("unknown receive option")),
            _ => Ok(()),
        }
    }

    /// The mute and the name card, of which one tip tells.
    fn edit_shown(&self, draft: &mut Draft<'_>, edit: &MemberEdit, member: &Membership) {
        let user = edit.user;
        let muted = edit
            .mute_seconds
            .filter(|seconds| *seconds > 0 || member.muted_until_ms > self.now_ms);
        if let Some(seconds) = muted {
            draft.row(RowChange::MutedUntil(user, until(self.now_ms, seconds)));
        }
        let card = edit.name_card.as_ref().filter(|card| **card != member.name_card);
        if let Some(card) = card {
            draft.row(RowChange::NameCard(user, card.clone()));
        }
        if muted.is_some() || card.is_some() {
            let muted = muted.map(|seconds| Muted::new(user, seconds));
            draft.member_tip(self.actor, user, self.count(0, 0), muted.as_slice());
        }
    }

    /// Of the users in an AVChatRoom nothing but mutes is stored.
    fn mute_in_av_chat_room(&self, edit: &MemberEdit) -> Decision<V> {
        let MemberEdit {
            user, mute_seconds, ..
        } = edit;
        let only_mutes = MemberEdit {
            mute_seconds: *mute_seconds,
            ..MemberEdit::new(*user)
        };
        match mute_seconds {
            Some(seconds) if *edit == only_mutes => self.mute_members(&[*user], *seconds),
            _ => Err(Refused::NotAllowed("members of an AVChatRoom are not stored").into()),
        }
    }

    pub(super) fn set_attributes(&self, clear: bool, changes: &[FieldChange]) -> Decision<V> {
        self.only_administrator()?;
        self.may(Action::SetAttributes)?;
        let scope = FieldScope::Attributes;
        let before = self.view.fields(&scope).map_err(DecideError::View)?;
        let kept = if clear { Vec::new() } else { before.clone() };
        let after = scope.changed(kept, changes)?;
        if after == before {
            return Ok(Effects::none(GroupResponse::Done));
        }
        let mut draft = self.effects();
        draft.row(RowChange::Fields(scope, after));
        Ok(draft.done())
    }

    /// The fields after these changes; `None` if they change nothing.
    pub(super) fn changed_fields(
        &self,
        scope: FieldScope,
        changes: &[FieldChange],
    ) -> ViewResult<Option<Vec<Field>>, V> {
        if changes.is_empty() {
            return Ok(None);
        }
        let before = self.view.fields(&scope).map_err(DecideError::View)?;
        let after = scope.changed(before.clone(), changes)?;
        Ok((after != before).then_some(after))
    }
}
