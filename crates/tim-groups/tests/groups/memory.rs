//! Groups in memory: a view for decisions, and the effects applied to it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use tim_groups::rules::{Sender, TypeRules};
use tim_groups::suite::Host;
use tim_groups::tips::UserNames;
use tim_groups::{
    Authority, DecideError, Effects, Field, FieldScope, Group, GroupAction, GroupCommand, GroupPolicy,
    GroupResponse, GroupState, GroupUpdate, GroupView, LiveGroup, Membership, NewGroup, Refused, Request,
    RequestKind, Restriction, RowChange, create, decide,
};
use tim_proto::{GroupId, ReceiveOption, Role, UserId};

pub(crate) const NOW_MS: u64 = 1_705_307_415_000;

/// Accounts and groups.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) policy: GroupPolicy,
    accounts: BTreeSet<UserId>,
    groups: BTreeMap<GroupId, Data>,
    last_key: u64,
    joined: u64,
}

#[derive(Debug)]
struct Data {
    group: Group,
    former_owner: Option<UserId>,
    dismissed_by: Option<UserId>,
    members: BTreeMap<UserId, Membership>,
    requests: BTreeMap<(UserId, RequestKind), Request>,
    restrictions: BTreeMap<UserId, Restriction>,
    fields: BTreeMap<FieldScope, Vec<Field>>,
}

struct View<'a>(&'a Memory, GroupId);

impl View<'_> {
    fn data(&self) -> Option<&Data> {
        self.0
            .groups
            .get(&self.1)
            .filter(|data| data.dismissed_by.is_none())
    }

    /// The members with this role, or all of them, in the order in which they joined.
    fn in_order(&self, keep: impl Fn(Role) -> bool) -> Vec<UserId> {
        let members = self.data().into_iter().flat_map(|data| &data.members);
        let mut kept: Vec<_> = members.filter(|(_, member)| keep(member.role)).collect();
        kept.sort_by_key(|(_, member)| member.joined_ms);
        kept.into_iter().map(|(user, _)| *user).collect()
    }
}

type Found<T> = Result<T, Infallible>;

impl GroupView for View<'_> {
    type Error = Infallible;

    fn group(&self) -> Found<GroupState> {
        Ok(match (self.data(), self.0.groups.get(&self.1)) {
            (Some(data), _) => GroupState::Live(Box::new(LiveGroup {
                group: Group {
                    member_count: data.members.len() as u64,
                    ..data.group.clone()
                },
                former_owner: data.former_owner,
            })),
            (None, Some(data)) => GroupState::Dismissed {
                by: data.dismissed_by.unwrap(),
            },
            (None, None) => GroupState::Unknown,
        })
    }

    fn member(&self, user: &UserId) -> Found<Option<Membership>> {
        Ok(self.data().and_then(|data| data.members.get(user).cloned()))
    }

    fn groups_of(&self, user: &UserId, most: u32) -> Found<u32> {
        let groups = self.0.groups.values();
        let count = groups.filter(|data| data.members.contains_key(user)).count();
        Ok(u32::try_from(count).unwrap().min(most))
    }

    fn has_account(&self, user: &UserId) -> Found<bool> {
        Ok(self.0.accounts.contains(user))
    }

    fn names(&self, user: &UserId) -> Found<UserNames> {
        Ok(UserNames {
            name_card: self
                .member(user)?
                .map_or_else(String::new, |member| member.name_card),
            ..UserNames::default()
        })
    }

    fn managers(&self) -> Found<Vec<UserId>> {
        Ok(self.in_order(Role::is_manager))
    }

    fn members(&self) -> Found<Vec<UserId>> {
        Ok(self.in_order(|_| true))
    }

    fn successor(&self, owner: &UserId) -> Found<Option<UserId>> {
        let admins = self.in_order(|role| role == Role::ADMIN);
        let members = self.in_order(|_| true);
        Ok(admins.into_iter().chain(members).find(|user| user != owner))
    }

    fn request(&self, user: &UserId, kind: RequestKind) -> Found<Option<Request>> {
        Ok(self
            .data()
            .and_then(|data| data.requests.get(&(*user, kind)).copied()))
    }

    fn open_applications(&self) -> Found<u32> {
        let requests = self.data().into_iter().flat_map(|data| &data.requests);
        let open =
            requests.filter(|((_, kind), it)| *kind == RequestKind::Application && it.verdict.is_none());
        Ok(u32::try_from(open.count()).unwrap())
    }

    fn next_key(&self) -> Found<u64> {
        Ok(self.0.last_key + 1)
    }

    fn fields(&self, of: &FieldScope) -> Found<Vec<Field>> {
        let fields = self.data().and_then(|data| data.fields.get(of));
        Ok(fields.cloned().unwrap_or_default())
    }

    fn restriction(&self, user: &UserId) -> Found<Restriction> {
        let restriction = self.data().and_then(|data| data.restrictions.get(user));
        Ok(restriction.copied().unwrap_or_default())
    }
}

impl Memory {
    /// The effects of a change, which are applied.
    pub(crate) fn apply(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<Effects, Refused> {
        let command = self.command(group, actor, action);
        self.apply_command(&command)
    }

    /// A command in the actor's own right.
    pub(crate) fn command(&self, group: GroupId, actor: UserId, action: GroupAction) -> GroupCommand {
        GroupCommand {
            group,
            actor,
            random: 1,
            authority: Authority::Role,
            silent: false,
            policy: self.policy,
            live_members: 0,
            action,
        }
    }

    /// The effects of a change by an administrator.
    pub(crate) fn administer(&mut self, group: GroupId, action: GroupAction) -> Result<Effects, Refused> {
        let command = GroupCommand {
            authority: Authority::Administrator,
            ..self.command(group, UserId::new("operator").unwrap(), action)
        };
        self.apply_command(&command)
    }

    pub(crate) fn apply_command(&mut self, command: &GroupCommand) -> Result<Effects, Refused> {
        let group = command.group;
        let effects = match decide(&View(self, group), command, NOW_MS) {
            Ok(effects) => effects,
            Err(DecideError::Refused(refused)) => return Err(refused),
            Err(DecideError::View(never)) => match never {},
        };
        for row in effects.rows.clone() {
            self.change_row(group, row);
        }
        Ok(effects)
    }

    pub(crate) fn role(&self, group: GroupId, user: UserId) -> Option<Role> {
        View(self, group).member(&user).unwrap().map(|member| member.role)
    }

    fn joined(&mut self, role: Role) -> Membership {
        self.joined += 1;
        Membership {
            role,
            joined_ms: self.joined,
            joined_at: 0,
            muted_until_ms: 0,
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            name_card: String::new(),
        }
    }

    fn change_row(&mut self, group: GroupId, row: RowChange) {
        let new_member = match &row {
            RowChange::Add(_) => Some(self.joined(Role::MEMBER)),
            RowChange::AddAs(new) => Some(self.joined(new.role)),
            _ => None,
        };
        if let RowChange::Ask(request) = &row {
            self.last_key = request.key;
        }
        let data = self.groups.get_mut(&group).unwrap();
        let members = &mut data.members;
        match row {
            RowChange::Add(user) => drop(members.insert(user, new_member.unwrap())),
            RowChange::AddAs(new) => drop(members.insert(new.user, new_member.unwrap())),
            RowChange::Remove(user) => {
                data.fields.remove(&FieldScope::Member(user));
                drop(members.remove(&user));
            }
            RowChange::Fields(scope, fields) => drop(data.fields.insert(scope, fields)),
            RowChange::Role(user, role) => {
                if let Some(member) = members.get_mut(&user) {
                    member.role = role;
                }
            }
            RowChange::MutedUntil(user, until) => members.get_mut(&user).unwrap().muted_until_ms = until,
            RowChange::NameCard(user, card) => members.get_mut(&user).unwrap().name_card = card,
            RowChange::ReceiveOption(user, option) => members.get_mut(&user).unwrap().receive_option = option,
            RowChange::Owner(owner) => {
                data.former_owner = Some(std::mem::replace(&mut data.group.owner, owner));
            }
            RowChange::Profile(update) => update_profile(&mut data.group, update),
            RowChange::Ask(new) => {
                let request = Request {
                    key: new.key,
                    inviter: new.inviter,
                    verdict: None,
                };
                data.requests.insert((new.user, new.kind), request);
            }
            RowChange::Decide(key, verdict) => {
                let mut requests = data.requests.values_mut();
                requests.find(|request| request.key == key).unwrap().verdict = Some(verdict);
            }
            RowChange::Restrict(user, restriction) => drop(data.restrictions.insert(user, restriction)),
            RowChange::Dismiss { by } => {
                data.dismissed_by = Some(by);
                members.clear();
                data.requests.clear();
            }
        }
    }
}

fn update_profile(group: &mut Group, update: GroupUpdate) {
    let set = |old: &mut String, new: Option<String>| *old = new.unwrap_or_else(|| std::mem::take(old));
    set(&mut group.name, update.name);
    set(&mut group.introduction, update.introduction);
    set(&mut group.notification, update.notification);
    set(&mut group.avatar, update.avatar);
    group.join_option = update.join_option.unwrap_or(group.join_option);
    group.invite_option = update.invite_option.unwrap_or(group.invite_option);
    group.mute_all = update.mute_all.unwrap_or(group.mute_all);
    group.max_members = update.max_members.unwrap_or(group.max_members);
}

impl Host for Memory {
    fn user(&mut self, name: &str) -> UserId {
        let user = UserId::new(name).unwrap();
        self.accounts.insert(user);
        user
    }

    fn create(&mut self, new: NewGroup) -> Result<(), Refused> {
        let new = create(new, &self.policy, NOW_MS, &BTreeMap::new())?.group;
        let mut members = BTreeMap::from([(new.owner, self.joined(Role::OWNER))]);
        for user in new.members {
            members.insert(user, self.joined(Role::MEMBER));
        }
        let group = Group {
            group: new.group,
            group_type: new.group_type,
            owner: new.owner,
            name: new.name,
            introduction: new.introduction,
            notification: new.notification,
            avatar: new.avatar,
            created_ms: NOW_MS,
            member_count: members.len() as u64,
            join_option: new.join_option,
            invite_option: new.invite_option,
            mute_all: false,
            max_members: new.max_members,
        };
        let data = Data {
            group,
            former_owner: None,
            dismissed_by: None,
            members,
            requests: BTreeMap::new(),
            restrictions: BTreeMap::new(),
            fields: BTreeMap::from([(FieldScope::Group, new.fields)]),
        };
        self.groups.insert(new.group, data);
        Ok(())
    }

    fn change(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<GroupResponse, Refused> {
        self.apply(group, actor, action).map(|effects| effects.response)
    }

    fn send(&mut self, group: GroupId, sender: UserId, mention_all: bool) -> Result<(), Refused> {
        let data = &self.groups[&group];
        let member = data.members.get(&sender).ok_or(Refused::NotParticipant(sender))?;
        let sender = Sender {
            role: member.role,
            muted_until_ms: member.muted_until_ms,
            mute_all: data.group.mute_all,
        };
        TypeRules::of_stored(data.group.group_type)?.may_send(&sender, mention_all, NOW_MS)
    }

    fn revoke(&mut self, group: GroupId, sender: UserId, by: UserId) -> Result<(), Refused> {
        let data = &self.groups[&group];
        let rules = TypeRules::of_stored(data.group.group_type)?;
        if !rules.is_stored {
            return Err(Refused::NotStored);
        }
        let revoker = data.members.get(&by).ok_or(Refused::NotParticipant(by))?;
        if sender == by {
            return Ok(());
        }
        rules.may_revoke(revoker.role, data.members.get(&sender).map(|member| member.role))
    }

    fn state(&self, group: GroupId) -> String {
        format!("{:?}", self.groups[&group])
    }
}
