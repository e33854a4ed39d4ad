//! Any history of a group, with random commands of random users, beside a model that reads the tables for itself.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tim_groups::{GroupAction, GroupPolicy, GroupResponse, GroupUpdate, NewGroup, NewMember, create};
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

use super::group_model_state::{Answer, Asked, MAX_ADMINS, MAX_MEMBERS, Model, Rank, USERS, Update};
use super::{World, text};
use crate::{EntryFlags, LogKey, Purge, Refused, Write, Written};

/// What may happen: who does what to whom.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Join,
    Quit,
    HandleApplication(usize, bool),
    Invite(Vec<usize>),
    HandleInvitation(bool),
    Remove(Vec<usize>),
    SetAdmin(usize, bool),
    Mute(usize, u32),
    Card(usize, u8),
    ChangeOwner(usize),
    Update(Update),
    Dismiss,
    Receive(u8),
    Announce,
    Say(Vec<usize>, bool),
    Read(usize),
    /// An administrator adds users, silently or not.
    Add(Vec<usize>, bool),
    /// An administrator removes users.
    Kick(Vec<usize>, bool),
    /// An administrator sets an unread count.
    Unread(usize, usize),
    Wait(u64),
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..USERS;
    let users = || proptest::collection::vec(0..USERS, 1..4);
    let update = prop_oneof![
        (0..3u8).prop_map(Update::Name),
        (1..4u8).prop_map(Update::Join),
        (1..4u8).prop_map(Update::Invite),
        any::<bool>().prop_map(Update::MuteAll),
    ];
    prop_oneof![
        7 => Just(Step::Join),
        4 => Just(Step::Quit),
        5 => (user(), any::<bool>()).prop_map(|(user, accept)| Step::HandleApplication(user, accept)),
        6 => users().prop_map(Step::Invite),
        4 => proptest::bool::weighted(0.7).prop_map(Step::HandleInvitation),
        3 => users().prop_map(Step::Remove),
        5 => (user(), any::<bool>()).prop_map(|(user, admin)| Step::SetAdmin(user, admin)),
        4 => (user(), prop_oneof![Just(0), Just(60), Just(6000)]).prop_map(|(user, seconds)| Step::Mute(user, seconds)),
        2 => (user(), 0..3u8).prop_map(|(user, card)| Step::Card(user, card)),
        1 => user().prop_map(Step::ChangeOwner),
        5 => update.prop_map(Step::Update),
        1 => proptest::bool::weighted(0.3).prop_map(|end| if end { Step::Dismiss } else { Step::Announce }),
        1 => (1..4u8).prop_map(Step::Receive),
        8 => (proptest::collection::vec(0..USERS, 0..3), proptest::bool::weighted(0.2))
            .prop_map(|(mentions, all)| Step::Say(mentions, all)),
        3 => (0..40usize).prop_map(Step::Read),
        2 => (users(), any::<bool>()).prop_map(|(users, silent)| Step::Add(users, silent)),
        1 => (users(), any::<bool>()).prop_map(|(users, silent)| Step::Kick(users, silent)),
        2 => (user(), 0..6usize).prop_map(|(user, unread)| Step::Unread(user, unread)),
        1 => (1..100u64).prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

/// Mostly the owner acts, so that enough is allowed.
fn act() -> impl Strategy<Value = (Option<usize>, Step)> {
    (proptest::option::weighted(0.6, 0..USERS), step())
}

pub fn any_life_of_a_group_agrees_with_the_model(world: &mut World) {
    world.policy = GroupPolicy {
        max_members: MAX_MEMBERS as u32,
        max_community: MAX_MEMBERS as u32,
        max_admins: MAX_ADMINS as u32,
        ..GroupPolicy::default()
    };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if asked { Config::default().cases } else { 16 };
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let kinds = [
        GroupType::WORK,
        GroupType::PUBLIC,
        GroupType::MEETING,
        GroupType::COMMUNITY,
    ];
    let world = std::cell::RefCell::new(world);
    let case = std::cell::Cell::new(0);
    let life = (
        proptest::sample::select(kinds.to_vec()),
        proptest::collection::vec(act(), 1..60),
    );
    runner
        .run(&life, |(kind, steps)| {
            let world = &mut **world.borrow_mut();
            case.set(case.get() + 1);
            let mut model = begin(world, case.get(), kind);
            compare(world, &model);
            for (actor, step) in steps {
                let (actor, step) = aimed(&model, actor, step);
                step_both(world, &mut model, actor, &step);
            }
            Ok(())
        })
        .unwrap();
}

/// An answer goes to somebody who waits for one, if there is somebody, and comes from who was asked.
fn aimed(model: &Model, actor: Option<usize>, step: Step) -> (usize, Step) {
    let pick = |waiting: Vec<usize>, number: usize| waiting.get(number % waiting.len().max(1)).copied();
    match (step, actor) {
        (Step::HandleApplication(user, accept), _) => {
            let user = pick(model.waiting(Asked::TheManagers), user).unwrap_or(user);
            (
                actor.unwrap_or(model.owner),
                Step::HandleApplication(user, accept),
            )
        }
        (Step::HandleInvitation(accept), None) => {
            let actor = pick(model.waiting(Asked::TheUser), model.log.len()).unwrap_or(model.owner);
            (actor, Step::HandleInvitation(accept))
        }
        (Step::Join, None) => {
            let outside = || (0..USERS).filter(|user| !model.members.contains_key(user));
            // Above all somebody who was muted before leaving.
            let muted = outside().find(|user| model.muted_until(*user) > 0);
            let actor = muted.or_else(|| pick(outside().collect(), model.log.len()));
            (actor.unwrap_or(model.owner), Step::Join)
        }
        (Step::Quit, None) => {
            let muted = model.members.keys().find(|user| model.muted_until(**user) > 0);
            (muted.copied().unwrap_or(model.owner), Step::Quit)
        }
        (Step::SetAdmin(user, false), _) => {
            let mut admins = model.managers().into_iter().filter(|user| *user != model.owner);
            let user = admins.next_back().unwrap_or(user);
            (actor.unwrap_or(model.owner), Step::SetAdmin(user, false))
        }
        (Step::Invite(users), Some(_)) => {
            let member = model.members.keys().next_back().copied();
            (member.unwrap_or(0), Step::Invite(users))
        }
        (step, actor) => (actor.unwrap_or(model.owner), step),
    }
}

pub(super) fn step_both(world: &mut World, model: &mut Model, actor: usize, step: &Step) {
    if let Some(expected) = foresee(world, model, actor, step) {
        let found = apply(world, model, actor, step);
        assert_eq!(found, expected, "{step:?} by user {actor}");
    }
    compare(world, model);
}

pub(super) fn begin(world: &mut World, case: usize, group_type: GroupType) -> Model {
    let users: Vec<UserId> = (0..USERS)
        .map(|n| world.user(&format!("case{case}-user{n}")))
        .collect();
    let group = GroupId::new(&format!("case{case}")).unwrap();
    let wish = NewGroup {
        name: "name0".to_owned(),
        members: users[1..3].to_vec(),
        random: 1,
        ..NewGroup::new(group, group_type, users[0])
    };
    let new = create(
        wish,
        &world.policy,
        world.now_ms,
        &std::collections::BTreeMap::new(),
    )
    .unwrap();
    world.write(Write::CreateGroup(Box::new(new))).unwrap();
    Model::new(users, group, group_type, world.now_ms)
}

/// What the model says; `None` if nobody is asked.
fn foresee(world: &mut World, model: &mut Model, actor: usize, step: &Step) -> Option<Answer> {
    Some(match step {
        Step::Join => model.join(actor),
        Step::Quit => model.quit(actor),
        Step::HandleApplication(user, accept) => model.handle_application(actor, *user, *accept),
        Step::Invite(users) => model.invite(actor, users),
        Step::HandleInvitation(accept) => model.handle_invitation(actor, *accept),
        Step::Remove(users) => model.remove(actor, users),
        Step::SetAdmin(user, admin) => model.set_admin(actor, *user, *admin),
        Step::Mute(user, seconds) => model.mute(actor, *user, *seconds),
        Step::Card(user, card) => model.set_card(actor, *user, *card),
        Step::ChangeOwner(user) => model.change_owner(actor, *user),
        Step::Update(what) => model.update(actor, *what),
        Step::Dismiss => model.dismiss(actor),
        Step::Receive(option) => model.receive(actor, *option),
        Step::Announce => model.announce(),
        Step::Say(mentions, all) => model.say(actor, mentions, *all),
        Step::Read(upto) => model.read(actor, *upto),
        Step::Add(users, silent) => model.add(actor, users, *silent),
        Step::Kick(users, silent) => model.kick(actor, users, *silent),
        Step::Unread(user, unread) => model.set_unread(*user, *unread),
        Step::Wait(seconds) => {
            world.now_ms += seconds * 1000;
            model.now_ms = world.now_ms;
            return None;
        }
        Step::Purge => {
            // Of messages nothing is old: only restrictions that are over go.
            let purge = Purge {
                older_than_ms: 0,
                forget_ids_before_ms: 0,
                over_before_ms: world.now_ms,
                budget: 100,
                ..Purge::NONE
            };
            world.write(Write::Purge(purge)).unwrap();
            return None;
        }
    })
}

fn apply(world: &mut World, model: &Model, actor: usize, step: &Step) -> Answer {
    let log = LogKey::Group(model.group);
    let user = model.users[actor];
    let write = match step {
        Step::Say(mentions, all) => {
            let mut append = world.message(log, user, "x");
            append.mentions = mentions.iter().map(|user| model.users[*user]).collect();
            append.mention_all = *all;
            Write::Append(append)
        }
        Step::Read(upto) => Write::MarkRead {
            user,
            log,
            upto: Some(*upto as u64),
        },
        Step::Add(_, silent) | Step::Kick(_, silent) => {
            world.administer(model.group, user, *silent, action(model, step))
        }
        Step::Unread(user, unread) => Write::SetUnread {
            user: model.users[*user],
            group: model.group,
            unread: *unread as u64,
        },
        Step::Announce => world.command(model.group, UserId::SYSTEM, action(model, step)),
        _ => world.command(model.group, user, action(model, step)),
    };
    match world.write(write) {
        Ok(Written::Stored(_)) => Ok("stored".to_owned()),
        Ok(Written::Read { unread, .. }) => Ok(format!("read {unread}")),
        Ok(Written::GroupChanged(changed)) => Ok(match changed.response {
            GroupResponse::Joined(status) => status.name().unwrap().to_owned(),
            GroupResponse::Members(results) => {
                let names: Vec<_> = results.iter().map(|(_, result)| result.name().unwrap()).collect();
                names.join(",")
            }
            _ => "done".to_owned(),
        }),
        Ok(other) => panic!("{other:?}"),
        Err(refused) => Err(Refused::code(&refused).0),
    }
}

fn action(model: &Model, step: &Step) -> GroupAction {
    let named = |users: &[usize]| users.iter().map(|user| model.users[*user]).collect();
    let set = |user: usize, role, mute_seconds, name_card| GroupAction::SetMember {
        user: model.users[user],
        role,
        mute_seconds,
        name_card,
    };
    match step {
        Step::Join => GroupAction::Join {
            message: "please".to_owned(),
        },
        Step::Quit => GroupAction::Quit,
        Step::HandleApplication(user, accept) => GroupAction::HandleApplication {
            applicant: model.users[*user],
            accept: *accept,
            message: "ok".to_owned(),
            key: 0,
        },
        Step::Invite(users) => GroupAction::Invite {
            users: named(users),
            reason: "come".to_owned(),
        },
        Step::HandleInvitation(accept) => GroupAction::HandleInvitation {
            accept: *accept,
            message: "ok".to_owned(),
        },
        Step::Remove(users) => GroupAction::Remove {
            users: named(users),
            reason: "bye".to_owned(),
        },
        Step::SetAdmin(user, admin) => set(
            *user,
            Some(if *admin { Role::ADMIN } else { Role::MEMBER }),
            None,
            None,
        ),
        Step::Mute(user, seconds) => set(*user, None, Some(*seconds), None),
        Step::Card(user, card) => set(*user, None, None, Some(card_name(*card))),
        Step::ChangeOwner(user) => GroupAction::ChangeOwner {
            owner: model.users[*user],
        },
        Step::Update(what) => GroupAction::Update(update(*what)),
        Step::Dismiss => GroupAction::Dismiss,
        Step::Receive(option) => GroupAction::SetReceiveOption {
            option: ReceiveOption(*option),
        },
        Step::Announce => GroupAction::Notify {
            users: Vec::new(),
            text: "news".to_owned(),
        },
        Step::Add(users, _) => GroupAction::Add {
            members: users
                .iter()
                .map(|user| NewMember::new(model.users[*user]))
                .collect(),
        },
        Step::Kick(users, _) => GroupAction::Remove {
            users: named(users),
            reason: "bye".to_owned(),
        },
        Step::Say(..) | Step::Read(_) | Step::Unread(..) | Step::Wait(_) | Step::Purge => {
            panic!("no command")
        }
    }
}

fn update(what: Update) -> GroupUpdate {
    let none = GroupUpdate::default();
    match what {
        Update::Name(name) => GroupUpdate {
            name: Some(format!("name{name}")),
            ..none
        },
        Update::Join(option) => GroupUpdate {
            join_option: Some(JoinOption(option)),
            ..none
        },
        Update::Invite(option) => GroupUpdate {
            invite_option: Some(InviteOption(option)),
            ..none
        },
        Update::MuteAll(mute) => GroupUpdate {
            mute_all: Some(mute),
            ..none
        },
    }
}

fn card_name(card: u8) -> String {
    match card {
        0 => String::new(),
        card => format!("card{card}"),
    }
}

fn compare(world: &World, model: &Model) {
    compare_group(world, model);
    let log = LogKey::Group(model.group);
    for (user, id) in model.users.iter().enumerate() {
        compare_inbox(world, model, user);
        let found = world.reader().conversation(id, &log).unwrap();
        assert_eq!(found.is_some(), model.members.contains_key(&user));
        let listed = world.list(id).contains(&log);
        let Some(found) = found else {
            assert!(!listed, "a group that one is not in is not listed");
            continue;
        };
        assert_eq!(found.unread, model.unread(user) as u64, "unread of user {user}");
        assert_eq!(found.read_sequence, model.members[&user].read as u64);
        assert_eq!(listed, model.log.len() > model.members[&user].joined_at);
        let at: Vec<_> = found
            .at
            .iter()
            .map(|at| (at.sequence, at.from, at.kind.0))
            .collect();
        let expected = model.at(user).into_iter();
        let expected: Vec<_> = expected
            .map(|(at, from, kind)| (at as u64, model.users[from], kind))
            .collect();
        assert_eq!(at, expected, "who mentioned user {user}");
    }
    let lines = world.page(log, None, 1000).entries;
    if model.ended_by.is_some() {
        assert!(lines.is_empty(), "nobody reads a group that is no more");
    } else {
        let found: Vec<_> = lines.iter().map(|entry| (text(entry), entry.flags)).collect();
        let expected: Vec<_> = model
            .log
            .iter()
            .map(|line| (line.text.clone(), line.flags))
            .collect();
        assert_eq!(found, expected);
    }
}

fn compare_group(world: &World, model: &Model) {
    let found = world.reader().group(&model.group).unwrap();
    if model.ended_by.is_some() {
        assert_eq!(found, None);
        assert!(world.members(&model.group).is_empty());
        return;
    }
    let found = found.unwrap();
    assert_eq!(
        (found.owner, found.name),
        (model.users[model.owner], format!("name{}", model.name))
    );
    assert_eq!(
        (found.join_option.0, found.invite_option.0),
        (model.join, model.invite)
    );
    assert_eq!(
        (found.mute_all, found.member_count),
        (model.mute_all, model.members.len() as u64)
    );

    let mut expected: Vec<_> = model.members.iter().collect();
    expected.sort_by_key(|(user, member)| (member.joined_ms, **user));
    let members = world.members(&model.group);
    assert_eq!(members.len(), expected.len());
    for (found, (user, member)) in members.iter().zip(expected) {
        let standing = &found.membership;
        assert_eq!(found.account.user, model.users[*user]);
        let expected_role = match member.rank {
            Rank::Owner => Role::OWNER,
            Rank::Admin => Role::ADMIN,
            Rank::Member => Role::MEMBER,
        };
        assert_eq!(
            (standing.role, standing.joined_ms),
            (expected_role, member.joined_ms)
        );
        assert_eq!(standing.joined_at, member.joined_at as u64);
        let until = standing.muted_until_ms;
        let until = if until > world.now_ms { until } else { 0 };
        assert_eq!(until, model.muted_until(*user), "mute of user {user}");
        assert_eq!(standing.receive_option.0, member.receive);
        assert_eq!(standing.name_card, card_name(member.card));
    }
}

fn compare_inbox(world: &World, model: &Model, user: usize) {
    let log = LogKey::System(model.users[user]);
    let entries = world.page(log, None, 1000).entries;
    let found: Vec<_> = entries.iter().map(|entry| (text(entry), entry.flags)).collect();
    assert_eq!(found, model.inbox[user], "notices of user {user}");
    let counted = found
        .iter()
        .filter(|(_, flags)| !flags.contains(EntryFlags::NO_UNREAD))
        .count();
    let conversation = world.reader().conversation(&model.users[user], &log).unwrap();
    assert_eq!(conversation.map_or(0, |one| one.unread), counted as u64);
}
