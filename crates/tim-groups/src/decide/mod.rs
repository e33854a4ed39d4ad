//! Decisions: from a command and the state of the group to the effects. Nothing is written here.

mod administer;
mod change;
mod join;
mod leave;

use std::cell::{Cell, RefCell};

use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::message::{GroupChange, Muted};
use tim_proto::{MemberResult, Role, UserId};

use super::rules::{Action, MAX_MESSAGE, TypeRules, check_text};
use super::tips::{Announcer, NameLookup, NoticeText, Tip, UserNames};
use super::view::{Effects, GroupState, GroupView, Request, RequestKind, RowChange};
use super::{Authority, GroupAction, GroupCommand, GroupResponse};
use crate::{Group, GroupDelta, Membership, Refused};

/// Why a command has no effects.
#[derive(Debug)]
pub enum DecideError<E> {
    /// The rules refuse it.
    Refused(Refused),
    /// The view could not be read.
    View(E),
}

impl<E> From<Refused> for DecideError<E> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The effects of a command at this time (Unix time in milliseconds).
///
/// # Errors
/// [`DecideError`]; the group stays unchanged.
pub fn decide<V: GroupView>(
    view: &V,
    command: &GroupCommand,
    now_ms: u64,
) -> Result<Effects, DecideError<V::Error>> {
    let live = match view.group().map_err(DecideError::View)? {
        GroupState::Live(live) => live,
        // A repeated request.
        GroupState::Dismissed { by } if by == command.actor && ends(&command.action) => {
            return Ok(Effects::none(GroupResponse::Done));
        }
        GroupState::Unknown | GroupState::Dismissed { .. } => {
            return Err(Refused::NoSuchGroup(command.group).into());
        }
    };
    let case = Case {
        view,
        actor: command.actor,
        command,
        rules: TypeRules::of_stored(live.group.group_type)?,
        me: view.member(&command.actor).map_err(DecideError::View)?,
        former_owner: live.former_owner,
        group: live.group,
        now_ms,
        names_failed: RefCell::new(None),
        inviter: Cell::new(None),
    };
    let decided = case.decide();
    let Case {
        group,
        names_failed,
        inviter,
        ..
    } = case;
    match names_failed.into_inner() {
        Some(error) => Err(DecideError::View(error)),
        None => decided.map(|effects| {
            let delta = GroupDelta::of(group, &effects, inviter.get());
            Effects {
                delta: delta.map(Box::new),
                ..effects
            }
        }),
    }
}

const fn ends(action: &GroupAction) -> bool {
    matches!(
        action,
        GroupAction::Dismiss | GroupAction::Reclaim | GroupAction::Quit
    )
}

type Decision<V> = Result<Effects, DecideError<<V as GroupView>::Error>>;
type ViewResult<T, V> = Result<T, DecideError<<V as GroupView>::Error>>;

/// A command and what every decision reads.
struct Case<'a, V: GroupView> {
    view: &'a V,
    command: &'a GroupCommand,
    actor: UserId,
    rules: &'static TypeRules,
    group: Group,
    former_owner: Option<UserId>,
    /// The actor's membership.
    me: Option<Membership>,
    now_ms: u64,
    /// Why the names of a tip could not be read. The decision is void then.
    names_failed: RefCell<Option<V::Error>>,
    /// Who has invited or added those who become members.
    inviter: Cell<Option<UserId>>,
}

impl<V: GroupView> NameLookup for Case<'_, V> {
    fn names_of(&self, user: &UserId) -> UserNames {
        self.view.names(user).unwrap_or_else(|error| {
            *self.names_failed.borrow_mut() = Some(error);
            UserNames::default()
        })
    }
}

/// The names after the changes that are decided so far: a tip about a name card has the new one.
struct Changed<'a> {
    names: &'a dyn NameLookup,
    rows: &'a [RowChange],
}

impl NameLookup for Changed<'_> {
    fn names_of(&self, user: &UserId) -> UserNames {
        let mut named = self.names.names_of(user);
        for row in self.rows {
            if let RowChange::NameCard(whose, card) = row
                && whose == user
            {
                named.name_card.clone_from(card);
            }
        }
        named
    }
}

impl<V: GroupView> Case<'_, V> {
    fn decide(&self) -> Decision<V> {
        match &self.command.action {
            GroupAction::Join { message } => self.join(message),
            GroupAction::Quit => self.quit(),
            GroupAction::HandleApplication {
                applicant,
                accept,
                message,
                key,
            } => self.handle_application(applicant, *accept, message, *key),
            GroupAction::Invite { users, reason } => self.invite(users, reason),
            GroupAction::HandleInvitation { accept, message } => self.handle_invitation(*accept, message),
            GroupAction::Remove { users, reason } => self.remove(users, reason),
            GroupAction::SetMember {
                user,
                role,
                mute_seconds,
                name_card,
            } => self.set_member(user, *role, *mute_seconds, name_card.as_deref()),
            GroupAction::ChangeOwner { owner } => self.change_owner(owner),
            GroupAction::Update(update) => self.update(update),
            GroupAction::Dismiss => self.dismiss(),
            GroupAction::SetReceiveOption { option } => self.set_receive_option(*option),
            GroupAction::Ban {
                users,
                seconds,
                reason,
            } => self.ban(users, *seconds, reason),
            GroupAction::Add { members } => self.add_members(members),
            GroupAction::MuteMembers { users, seconds } => self.mute_members(users, *seconds),
            GroupAction::Edit(edit) => self.edit_member(edit),
            GroupAction::SetAttributes { clear, changes } => self.set_attributes(*clear, changes),
            GroupAction::Reclaim => self.reclaim(),
            GroupAction::Notify { users, text } => self.notify(users, text),
        }
    }

    fn is_administrator(&self) -> bool {
        self.command.authority == Authority::Administrator
    }

    /// The actor's membership, if it permits the action.
    fn my(&self, action: Action) -> Result<&Membership, Refused> {
        let me = self.me.as_ref().ok_or(Refused::NotParticipant(self.actor))?;
        self.rules.may(Some(me.role), action)?;
        Ok(me)
    }

    /// The rank with which the actor acts, if it permits the action: that of the actor's role, or for an administrator the owner's.
    fn may(&self, action: Action) -> Result<Role, Refused> {
        if self.is_administrator() {
            return self.rules.administrator_may(action).map(|()| Role::OWNER);
        }
        self.my(action).map(|me| me.role)
    }

    /// Checks that the actor is a member, or an administrator.
    fn is_involved(&self) -> Result<(), Refused> {
        match self.me.is_some() || self.is_administrator() {
            true => Ok(()),
            false => Err(Refused::NotParticipant(self.actor)),
        }
    }

    fn only_administrator(&self) -> Result<(), Refused> {
        match self.is_administrator() {
            true => Ok(()),
            false => Err(Refused::NotAllowed(
                "only an administrator of the application may do this",
            )),
        }
    }

    fn only_system(&self) -> Result<(), Refused> {
        if self.actor == UserId::SYSTEM {
            Ok(())
        } else {
            Err(Refused::NotAllowed("only the application's server may do this"))
        }
    }

    fn member(&self, user: &UserId) -> ViewResult<Option<Membership>, V> {
        self.view.member(user).map_err(DecideError::View)
    }

    fn has_account(&self, user: &UserId) -> ViewResult<bool, V> {
        self.view.has_account(user).map_err(DecideError::View)
    }

    fn managers(&self) -> ViewResult<Vec<UserId>, V> {
        self.view.managers().map_err(DecideError::View)
    }

    fn members(&self) -> ViewResult<Vec<UserId>, V> {
        self.view.members().map_err(DecideError::View)
    }

    fn request(&self, user: &UserId, kind: RequestKind) -> ViewResult<Option<Request>, V> {
        self.view.request(user, kind).map_err(DecideError::View)
    }

    /// The membership of the user that the request is about.
    fn target(&self, user: &UserId) -> ViewResult<Membership, V> {
        match self.member(user)? {
            Some(member) => Ok(member),
            None if self.has_account(user)? => Err(Refused::NotMember(*user).into()),
            None => Err(Refused::NoAccount(*user).into()),
        }
    }

    /// How many more members the group may have.
    fn free_places(&self) -> u64 {
        let ceiling = self.ceiling().map_or(u64::MAX, u64::from);
        ceiling.saturating_sub(self.group.member_count)
    }

    fn full(&self) -> Refused {
        Refused::Full {
            max: self.ceiling().unwrap_or(u32::MAX),
        }
    }

    fn ceiling(&self) -> Option<u32> {
        self.rules
            .ceiling_of(&self.command.policy, self.group.max_members)
    }

    /// Whether the user may be in one more group.
    fn may_join_more(&self, user: &UserId) -> ViewResult<bool, V> {
        let max = self.command.policy.max_groups;
        Ok(self.view.groups_of(user, max).map_err(DecideError::View)? < max)
    }

    /// Checks that the group may have one more member, and the user be in one more group.
    fn check_can_join(&self, user: &UserId) -> ViewResult<(), V> {
        if self.free_places() == 0 {
            return Err(self.full().into());
        }
        self.check_groups_of(user)
    }

    fn check_groups_of(&self, user: &UserId) -> ViewResult<(), V> {
        if self.may_join_more(user)? {
            return Ok(());
        }
        let max = self.command.policy.max_groups;
        Err(Refused::TooManyGroups { user: *user, max }.into())
    }

    /// The member count for a tip, `more` and `less` than now.
    fn count(&self, more: usize, less: usize) -> u64 {
        let now = if self.rules.is_stored {
            self.group.member_count
        } else {
            u64::from(self.command.live_members)
        };
        now.saturating_add(more as u64).saturating_sub(less as u64)
    }

    fn effects(&self) -> Draft<'_> {
        self.effects_named(&self.group.name)
    }

    /// For a change of the group's name: the tip has the new one.
    fn effects_named<'b>(&'b self, name: &'b str) -> Draft<'b> {
        Draft {
            names: self,
            announcer: Announcer {
                group: self.command.group,
                name,
                rules: self.rules,
                now_s: self.now_ms / 1000,
            },
            random: self.command.random,
            is_silent: self.command.silent && self.is_administrator(),
            effects: Effects::none(GroupResponse::Done),
        }
    }
}

/// Effects under construction. Each tip, and each notice with its receivers, takes the next random number.
struct Draft<'a> {
    names: &'a dyn NameLookup,
    announcer: Announcer<'a>,
    random: u32,
    /// Nobody is told.
    is_silent: bool,
    effects: Effects,
}

impl Draft<'_> {
    fn row(&mut self, change: RowChange) {
        self.effects.rows.push(change);
    }

    fn next_random(&mut self) -> u32 {
        let random = self.random;
        self.random = random.wrapping_add(1);
        random
    }

    fn tip(&mut self, tip: &Tip<'_>) {
        if self.is_silent {
            return;
        }
        let random = self.next_random();
        let names = Changed {
            names: self.names,
            rows: &self.effects.rows,
        };
        let entry = self.announcer.tip(tip, random, &names);
        if self.announcer.rules.is_stored {
            self.effects.tips.push(entry);
        } else {
            self.effects.live.push(entry);
        }
    }

    fn profile_tip(&mut self, by: UserId, members: u64, changes: &[GroupChange<'_>]) {
        let tip = Tip::new(TipOperation::GROUP_PROFILE_UPDATED, by, &[], members);
        self.tip(&Tip { changes, ..tip });
    }

    fn member_tip(&mut self, by: UserId, user: UserId, members: u64, muted: &[Muted]) {
        let users = [user];
        let tip = Tip::new(TipOperation::MEMBER_PROFILE_UPDATED, by, &users, members);
        self.tip(&Tip { muted, ..tip });
    }

    /// The same notice to all of these.
    fn notices(&mut self, to: &[UserId], operation: NoticeOperation, by: UserId, text: NoticeText<'_>) {
        if to.is_empty() || self.is_silent {
            return;
        }
        let random = self.next_random();
        let notice = self.announcer.notice(operation, by, text, random);
        self.effects
            .notices
            .extend(to.iter().map(|user| (*user, notice.clone())));
    }

    fn notice(&mut self, to: UserId, operation: NoticeOperation, by: UserId, message: &str) {
        let text = NoticeText {
            message,
            ..NoticeText::default()
        };
        self.notices(&[to], operation, by, text);
    }

    fn respond(mut self, response: GroupResponse) -> Effects {
        self.effects.response = response;
        self.effects
    }

    fn done(self) -> Effects {
        self.effects
    }
}

/// The result for each user of a list.
#[derive(Default)]
struct Results(Vec<(UserId, MemberResult)>);

impl Results {
    fn response(self) -> GroupResponse {
        GroupResponse::Members(self.0)
    }

    fn push(&mut self, user: UserId, result: MemberResult) {
        self.0.push((user, result));
    }

    /// The users with this result.
    fn with(&self, result: MemberResult) -> Vec<UserId> {
        let named = self.0.iter().filter(|(_, got)| *got == result);
        named.map(|(user, _)| *user).collect()
    }
}

/// The users without duplicates, in their order.
fn each_once(users: &[UserId]) -> Vec<UserId> {
    let mut seen = std::collections::BTreeSet::new();
    users.iter().copied().filter(|user| seen.insert(*user)).collect()
}

fn check_message(text: &str) -> Result<(), Refused> {
    check_text("message", text, MAX_MESSAGE)
}
