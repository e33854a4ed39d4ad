//! Changes that leave the members as they are: roles, mutes, name cards, the owner, the profile, receive options.

use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::message::{GroupChange, Muted};
use tim_proto::planted::{self, Fault};
use tim_proto::{ReceiveOption, Role, UserId};

use super::super::create::{check_texts, known_invite, known_join};
use super::super::rules::{Action, MAX_NAME_CARD, MAX_NOTICE, check_name, check_text, outranks};
use super::super::tips::{NoticeText, Tip};
use super::super::view::{GroupView, RowChange};
use super::super::{GroupResponse, GroupUpdate};
use super::leave::until;
use super::{Case, DecideError, Decision, Draft, Effects, ViewResult};
use crate::{FieldScope, Membership, Refused, Restriction};

impl<V: GroupView> Case<'_, V> {
    pub(super) fn set_member(
        &self,
        user: &UserId,
        new_role: Option<Role>,
        mute_seconds: Option<u32>,
        name_card: Option<&str>,
    ) -> Decision<V> {
        if !self.rules.is_stored {
            return self.set_in_av_chat_room(user, new_role, mute_seconds, name_card);
        }
        let new_role = new_role.map(appointed).transpose()?;
        check_name("name card", name_card.unwrap_or(""), MAX_NAME_CARD)?;
        self.may_set(*user, new_role, mute_seconds, name_card)?;
        let member = self.target(user)?;
        self.may_set_this(*user, &member, new_role, mute_seconds, name_card)?;

        let mut draft = self.effects();
        if let Some(new_role) = new_role.filter(|new_role| *new_role != member.role) {
            self.appoint(&mut draft, *user, new_role)?;
        }
        let muted = mute_seconds.filter(|seconds| *seconds > 0 || member.muted_until_ms > self.now_ms);
        if let Some(seconds) = muted {
            draft.row(RowChange::MutedUntil(*user, until(self.now_ms, seconds)));
        }
        let card = name_card.filter(|card| *card != member.name_card);
        if let Some(card) = card {
            draft.row(RowChange::NameCard(*user, card.to_owned()));
        }
        if muted.is_some() || card.is_some() {
            let muted = muted.map(|seconds| Muted::new(*user, seconds));
            draft.member_tip(self.actor, *user, self.count(0, 0), muted.as_slice());
        }
        Ok(draft.done())
    }

    /// Whether the actor may set these fields of any member.
    fn may_set(
        &self,
        user: UserId,
        new_role: Option<Role>,
        mute_seconds: Option<u32>,
        name_card: Option<&str>,
    ) -> Result<(), Refused> {
        if new_role.is_some() {
            self.may(Action::SetRole)?;
        }
        if mute_seconds.is_some() {
            self.may(Action::Mute)?;
        }
        if name_card.is_some() {
            let own = user == self.actor && self.me.is_some();
            self.may(if own {
                Action::OwnNameCard
            } else {
                Action::OthersNameCard
            })?;
        }
        self.is_involved()
    }

    /// Whether the actor may set these fields of this member.
    fn may_set_this(
        &self,
        user: UserId,
        member: &Membership,
        new_role: Option<Role>,
        mute_seconds: Option<u32>,
        name_card: Option<&str>,
    ) -> Result<(), Refused> {
        // An administrator gives everybody a name card.
        let own_card = name_card.is_none() || user == self.actor || self.is_administrator();
        if new_role.is_none() && mute_seconds.is_none() && own_card {
            return Ok(());
        }
        let mine = match self.is_administrator() {
            true => Role::OWNER,
            false => self.me.as_ref().map_or(Role::MEMBER, |me| me.role),
        };
        if planted::is(Fault::RankIgnored) {
            return Ok(());
        }
        outranks(mine, member.role)
    }

    pub(super) fn appoint(&self, draft: &mut Draft<'_>, user: UserId, new_role: Role) -> ViewResult<(), V> {
        let (tip, notice) = if new_role == Role::ADMIN {
            // The owner is one of the managers.
            let admins = self.managers()?.len().saturating_sub(1);
            if admins >= self.command.policy.max_admins as usize {
                return Err(Refused::NotAllowed("the group has its largest number of admins").into());
            }
            (TipOperation::SET_ADMIN, NoticeOperation::ADMIN_GRANTED)
        } else {
            (TipOperation::CANCELED_ADMIN, NoticeOperation::ADMIN_WITHDRAWN)
        };
        draft.row(RowChange::Role(user, new_role));
        draft.tip(&Tip::new(tip, self.actor, &[user], self.count(0, 0)));
        draft.notice(user, notice, self.actor, "");
        Ok(())
    }

    /// In an AVChatRoom members can only be muted.
    fn set_in_av_chat_room(
        &self,
        user: &UserId,
        new_role: Option<Role>,
        mute_seconds: Option<u32>,
        name_card: Option<&str>,
    ) -> Decision<V> {
        if new_role.is_some() {
            self.may(Action::SetRole)?;
        }
        if name_card.is_some() {
            self.may(Action::OwnNameCard)?;
        }
        self.may(Action::Mute)?;
        if *user == self.group.owner {
            return Err(Refused::NotAllowed("the owner cannot be muted").into());
        }
        if !self.has_account(user)? {
            return Err(Refused::NoAccount(*user).into());
        }
        let mut draft = self.effects();
        let before = self.view.restriction(user).map_err(DecideError::View)?;
        let muted = mute_seconds.filter(|seconds| *seconds > 0 || before.muted_until_ms > self.now_ms);
        if let Some(seconds) = muted {
            let now = Restriction {
                muted_until_ms: until(self.now_ms, seconds),
                ..before
            };
            draft.row(RowChange::Restrict(*user, now));
            let muted = Muted::new(*user, seconds);
            draft.member_tip(self.actor, *user, self.count(0, 0), &[muted]);
        }
        Ok(draft.done())
    }

    pub(super) fn change_owner(&self, owner: &UserId) -> Decision<V> {
        // A repeated request: the actor was the owner until the first one was applied.
        if self.me.is_some() && self.former_owner == Some(self.actor) && self.group.owner == *owner {
            return Ok(Effects::none(GroupResponse::Done));
        }
        self.may(Action::ChangeOwner)?;
        let before = self.group.owner;
        if *owner == before {
            return Ok(Effects::none(GroupResponse::Done));
        }
        let member = self.target(owner)?;
        let mut draft = self.effects();
        draft.row(RowChange::Owner(*owner));
        if before != UserId::SYSTEM {
            draft.row(RowChange::Role(before, Role::MEMBER));
        }
        draft.row(RowChange::Role(*owner, Role::OWNER));
        self.unmute(&mut draft, *owner, Some(&member));
        draft.profile_tip(self.actor, self.count(0, 0), &[GroupChange::Owner(*owner)]);
        Ok(draft.done())
    }

    /// Ends a new owner's mute. Nobody could end it later, because only lower roles can be changed.
    pub(super) fn unmute(&self, draft: &mut Draft<'_>, owner: UserId, member: Option<&Membership>) {
        if member.is_some_and(|member| member.muted_until_ms > self.now_ms) {
            draft.row(RowChange::MutedUntil(owner, 0));
        }
    }

    pub(super) fn update(&self, update: &GroupUpdate) -> Decision<V> {
        self.may_update(update)?;
        check_texts(update)?;
        update.join_option.map(known_join).transpose()?;
        update.invite_option.map(known_invite).transpose()?;
        let fields = self.changed_fields(FieldScope::Group, &update.fields)?;

        let new = self.changed(update);
        let changes = changes(&new);
        let mut draft = self.effects_named(new.name.as_deref().unwrap_or(&self.group.name));
        // Of a largest number of members and of fields no tip tells.
        if !changes.is_empty() {
            draft.profile_tip(self.actor, self.count(0, 0), &changes);
        }
        if !changes.is_empty() || new.max_members.is_some() {
            draft.row(RowChange::Profile(new.clone()));
        }
        if let Some(fields) = fields {
            draft.row(RowChange::Fields(FieldScope::Group, fields));
        }
        Ok(draft.done())
    }

    fn may_update(&self, update: &GroupUpdate) -> Result<(), Refused> {
        let texts = [
            &update.name,
            &update.introduction,
            &update.notification,
            &update.avatar,
        ];
        let asked = [
            (texts.iter().any(|text| text.is_some()), Action::UpdateProfile),
            (update.join_option.is_some(), Action::SetJoinOption),
            (update.invite_option.is_some(), Action::SetInviteOption),
            (update.mute_all.is_some(), Action::MuteAll),
        ];
        for (is_asked, action) in asked {
            if is_asked {
                self.may(action)?;
            }
        }
        if update.max_members.is_some() || !update.fields.is_empty() {
            self.only_administrator()?;
        }
        self.is_involved()
    }

    /// The part of the update that changes something.
    fn changed(&self, update: &GroupUpdate) -> GroupUpdate {
        let group = &self.group;
        let other = |new: &Option<String>, old: &String| new.clone().filter(|new| new != old);
        GroupUpdate {
            name: other(&update.name, &group.name),
            introduction: other(&update.introduction, &group.introduction),
            notification: other(&update.notification, &group.notification),
            avatar: other(&update.avatar, &group.avatar),
            join_option: update.join_option.filter(|new| *new != group.join_option),
            invite_option: update.invite_option.filter(|new| *new != group.invite_option),
            mute_all: update.mute_all.filter(|new| *new != group.mute_all),
            max_members: update.max_members.filter(|new| *new != group.max_members),
            // They are rows of their own.
            fields: Vec::new(),
        }
    }

    pub(super) fn set_receive_option(&self, option: ReceiveOption) -> Decision<V> {
        let me = self.my(Action::SetReceiveOption)?;
        let Some(name) = option.name() else {
            return Err(Refused::BadValue("unknown receive option").into());
        };
        if me.receive_option == option {
            return Ok(Effects::none(GroupResponse::Done));
        }
        let mut draft = self.effects();
        draft.row(RowChange::ReceiveOption(self.actor, option));
        let text = NoticeText {
            custom: name,
            ..NoticeText::default()
        };
        draft.notices(
            &[self.actor],
            NoticeOperation::RECEIVE_OPTION_SYNCED,
            self.actor,
            text,
        );
        Ok(draft.done())
    }

    pub(super) fn notify(&self, users: &[UserId], custom: &str) -> Decision<V> {
        if !self.is_administrator() {
            self.only_system()?;
        }
        check_text("notice", custom, MAX_NOTICE)?;
        let mut to = Vec::new();
        if users.is_empty() {
            to = self.members()?;
        }
        for user in super::each_once(users) {
            if self.member(&user)?.is_some() {
                to.push(user);
            }
        }
        let text = NoticeText {
            custom,
            ..NoticeText::default()
        };
        let mut draft = self.effects();
        draft.notices(&to, NoticeOperation::CUSTOM, self.actor, text);
        Ok(draft.done())
    }
}

/// A role that a member can be given.
pub(super) fn appointed(wanted: Role) -> Result<Role, Refused> {
    match wanted {
        Role::ADMIN | Role::MEMBER => Ok(wanted),
        _ => Err(Refused::BadValue("the role must be Admin or Member")),
    }
}

/// The update as the tip says it.
fn changes(update: &GroupUpdate) -> Vec<GroupChange<'_>> {
    let texts = [
        update.name.as_deref().map(GroupChange::Name),
        update.introduction.as_deref().map(GroupChange::Introduction),
        update.notification.as_deref().map(GroupChange::Notification),
        update.avatar.as_deref().map(GroupChange::Avatar),
        update.join_option.map(GroupChange::JoinOption),
        update.invite_option.map(GroupChange::InviteOption),
        update.mute_all.map(GroupChange::MuteAll),
    ];
    texts.into_iter().flatten().collect()
}
