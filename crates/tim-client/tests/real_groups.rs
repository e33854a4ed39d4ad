//! Groups against the real hub, over connections in memory: each call as it should go, and refused.

#[path = "support/person.rs"]
mod person;
#[path = "support/world.rs"]
mod world;

use person::Person;
use tim_client::proto::message::NoticeOperation;
use tim_client::proto::message::TipOperation;
use tim_client::{
    AtKind, ConversationId, Decision, Event, GroupApplication, GroupId, GroupType, ImError, JoinOption,
    JoinStatus, MENTION_ALL, MemberListOptions, MemberResult, Payload, ReceiveOption, Role, SendOptions,
    UpdateGroupProfile,
};
use tim_testkit::user;
use world::World;

fn code<T>(result: Result<T, ImError>) -> Option<u32> {
    result.err().map(|error| error.code.0)
}

async fn three(world: &World) -> (Person, Person, Person) {
    (
        Person::new(world, "alice").await,
        Person::new(world, "bob").await,
        Person::new(world, "carol").await,
    )
}

#[tokio::test]
async fn applications_are_refused_accepted_and_decided_once() {
    let world = World::new();
    let (mut alice, mut bob, carol) = three(&world).await;
    let group = alice.makes("choir", GroupType::PUBLIC, &[]).await;
    assert_eq!(
        code(bob.client.join_group(GroupId::new("none").unwrap(), "").await),
        Some(10_010)
    );
    for (decision, told) in [
        (Decision::Reject, NoticeOperation::JOIN_REFUSED),
        (Decision::Agree, NoticeOperation::JOIN_ACCEPTED),
    ] {
        let asked = bob.client.join_group(group, "please").await.unwrap();
        assert_eq!((asked.status, asked.group), (JoinStatus::WAIT_APPROVAL, None));
        let notice = alice.notice(NoticeOperation::JOIN_REQUESTED).await;
        let application = GroupApplication::try_from(&notice).unwrap();
        assert_eq!(application.applicant(), user("bob"));
        let by_other = carol
            .client
            .handle_group_application(application, decision, "")
            .await;
        assert_eq!(code(by_other), Some(10_007));
        let decided = alice
            .client
            .handle_group_application(application, decision, "so")
            .await;
        assert_eq!(decided.unwrap().group_id, group);
        bob.notice(told).await;
    }
    assert_eq!(bob.tip(TipOperation::JOIN).await, ["bob"]);
    let never = GroupApplication::new(group, user("carol"));
    let unasked = alice
        .client
        .handle_group_application(never, Decision::Agree, "")
        .await;
    assert_eq!(code(unasked), Some(10_004));
    let again = bob.client.join_group(group, "").await.unwrap();
    assert_eq!(again.status, JoinStatus::ALREADY_IN_GROUP);
    assert_eq!(again.group.unwrap().role, Role::MEMBER);
    world.end().await;
}

#[tokio::test]
async fn invitations_are_answered_by_the_invited() {
    let world = World::new();
    let (mut alice, mut bob, _carol) = three(&world).await;
    let group = alice.makes("choir", GroupType::PUBLIC, &[]).await;
    let none = bob
        .client
        .handle_group_invitation(group, Decision::Agree, "")
        .await;
    assert_eq!(code(none), Some(10_004));
    assert_eq!(
        code(bob.client.add_group_member(group, &[user("carol")]).await),
        Some(10_007)
    );
    for (decision, told) in [
        (Decision::Reject, NoticeOperation::INVITE_REFUSED),
        (Decision::Agree, NoticeOperation::INVITE_ACCEPTED),
    ] {
        let asked = alice
            .client
            .add_group_member(group, &[user("bob")])
            .await
            .unwrap();
        assert_eq!(asked.waiting[0].result, MemberResult::INVITED);
        bob.notice(NoticeOperation::INVITE_REQUESTED).await;
        bob.client
            .handle_group_invitation(group, decision, "")
            .await
            .unwrap();
        alice.notice(told).await;
    }
    bob.notice(NoticeOperation::JOIN_ACCEPTED).await;
    // A plain member only proposes.
    let proposed = bob
        .client
        .add_group_member(group, &[user("carol"), user("alice")])
        .await
        .unwrap();
    assert_eq!(proposed.waiting[0].result, MemberResult::WAIT_APPROVAL);
    assert_eq!(proposed.existed, [user("alice")]);
    world.end().await;
}

#[tokio::test]
async fn members_are_managed_by_those_who_may() {
    let world = World::new();
    let (mut alice, mut bob, mut carol) = three(&world).await;
    let group = alice.makes("g", GroupType::COMMUNITY, &["bob", "carol"]).await;
    let (b, c) = (user("bob"), user("carol"));
    assert_eq!(
        code(bob.client.set_group_member_role(group, c, Role::ADMIN).await),
        Some(10_007)
    );
    alice
        .client
        .set_group_member_role(group, b, Role::ADMIN)
        .await
        .unwrap();
    bob.notice(NoticeOperation::ADMIN_GRANTED).await;
    assert_eq!(carol.tip(TipOperation::SET_ADMIN).await, ["bob"]);

    bob.client.set_group_member_mute_time(group, c, 60).await.unwrap();
    assert_eq!(code(carol.says(group, "x", &[]).await), Some(10_017));
    assert_eq!(
        code(
            bob.client
                .set_group_member_mute_time(group, user("alice"), 60)
                .await
        ),
        Some(10_007)
    );
    bob.client.set_group_member_mute_time(group, c, 0).await.unwrap();
    carol.says(group, "free", &[]).await.unwrap();

    carol
        .client
        .set_group_member_name_card(group, c, "CC")
        .await
        .unwrap();
    assert_eq!(
        code(carol.client.set_group_member_name_card(group, b, "BB").await),
        Some(10_007)
    );
    carol.client.update_my_profile(Some("Caro"), None).await.unwrap();
    carol.says(group, "who am I", &[]).await.unwrap();
    let said = alice.text("who am I").await;
    assert_eq!((said.name_card(), said.nick()), ("CC", "Caro"));

    let page = MemberListOptions {
        count: 2,
        ..MemberListOptions::default()
    };
    let first = bob
        .client
        .get_group_member_list(group, page.clone())
        .await
        .unwrap();
    assert!(first.member_list.len() == 2 && first.next.is_some());
    let rest = MemberListOptions {
        next: first.next,
        ..page
    };
    let second = bob.client.get_group_member_list(group, rest).await.unwrap();
    assert!(second.next.is_none());
    let mut all: Vec<_> = [first.member_list, second.member_list]
        .concat()
        .iter()
        .map(|member| (member.user.to_string(), member.role, member.title().to_owned()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        all,
        [
            ("alice", Role::OWNER, "alice"),
            ("bob", Role::ADMIN, "bob"),
            ("carol", Role::MEMBER, "CC")
        ]
        .map(|(name, role, title)| (name.to_owned(), role, title.to_owned()))
    );

    alice
        .client
        .set_group_member_role(group, b, Role::MEMBER)
        .await
        .unwrap();
    bob.notice(NoticeOperation::ADMIN_WITHDRAWN).await;
    assert_eq!(
        code(bob.client.delete_group_member(group, &[c], "").await),
        Some(10_007)
    );
    let gone = alice
        .client
        .delete_group_member(group, &[c, user("dave")], "rude")
        .await
        .unwrap();
    assert_eq!(
        (gone.removed, gone.failed[0].result),
        (vec![c], MemberResult::NOT_MEMBER)
    );
    carol.notice(NoticeOperation::KICKED_OUT).await;
    let unseen = carol
        .client
        .get_group_member_list(group, MemberListOptions::default())
        .await;
    assert_eq!(code(unseen), Some(10_007));
    world.end().await;
}

#[tokio::test]
async fn a_group_is_changed_handed_over_left_and_ended() {
    let world = World::new();
    let (mut alice, mut bob, mut carol) = three(&world).await;
    let group = alice.makes("g", GroupType::PUBLIC, &["bob", "carol"]).await;
    let update = UpdateGroupProfile {
        name: Some("new".to_owned()),
        mute_all: Some(true),
        join_option: Some(JoinOption::FREE_ACCESS),
        ..UpdateGroupProfile::default()
    };
    assert_eq!(
        code(bob.client.update_group_profile(group, update.clone()).await),
        Some(10_007)
    );
    alice.client.update_group_profile(group, update).await.unwrap();
    bob.tip(TipOperation::GROUP_PROFILE_UPDATED).await;
    assert_eq!(code(bob.says(group, "x", &[]).await), Some(10_017));
    let found = bob.client.get_group_profile(group).await.unwrap().group;
    assert_eq!(
        (found.name.as_str(), found.mute_all, found.join_option, found.role),
        ("new", true, JoinOption::FREE_ACCESS, Role::MEMBER)
    );

    assert_eq!(code(alice.client.quit_group(group).await), Some(10_009));
    assert_eq!(
        code(bob.client.change_group_owner(group, user("bob")).await),
        Some(10_007)
    );
    assert_eq!(
        code(alice.client.change_group_owner(group, user("dave")).await),
        Some(10_019)
    );
    alice.client.change_group_owner(group, user("bob")).await.unwrap();
    assert_eq!(code(alice.client.dismiss_group(group).await), Some(10_007));
    alice.client.quit_group(group).await.unwrap();
    alice.notice(NoticeOperation::QUIT).await;
    assert_eq!(carol.tip(TipOperation::QUIT).await, ["alice"]);
    bob.client.dismiss_group(group).await.unwrap();
    bob.client.dismiss_group(group).await.unwrap();
    carol.notice(NoticeOperation::GROUP_DISMISSED).await;
    assert_eq!(code(carol.says(group, "x", &[]).await), Some(10_010));
    assert_eq!(code(carol.client.quit_group(group).await), Some(10_010));
    assert_eq!(code(carol.client.get_group_profile(group).await), Some(10_010));
    world.end().await;
}

#[tokio::test]
async fn the_list_of_groups_follows_a_life() {
    let world = World::new();
    let (alice, mut bob, _carol) = three(&world).await;
    assert!(bob.client.get_group_list().await.unwrap().group_list.is_empty());
    let expect = async |bob: &mut Person, wanted: &[(&str, Role)]| loop {
        if let Some(Event::GroupListUpdated(list)) = world::in_time(bob.events.next()).await {
            let mut found: Vec<_> = list.iter().map(|it| (it.id.to_string(), it.role)).collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            let wanted = wanted.iter().map(|(id, role)| ((*id).to_owned(), *role));
            if found == wanted.collect::<Vec<_>>() {
                return;
            }
        }
    };
    let g = alice.makes("g", GroupType::PUBLIC, &["bob"]).await;
    expect(&mut bob, &[("g", Role::MEMBER)]).await;
    alice
        .client
        .set_group_member_role(g, user("bob"), Role::ADMIN)
        .await
        .unwrap();
    expect(&mut bob, &[("g", Role::ADMIN)]).await;
    bob.makes("h", GroupType::WORK, &[]).await;
    expect(&mut bob, &[("g", Role::ADMIN), ("h", Role::OWNER)]).await;
    let listed = bob.client.get_group_list().await.unwrap().group_list;
    assert_eq!(listed.len(), 2);
    alice.client.dismiss_group(g).await.unwrap();
    expect(&mut bob, &[("h", Role::OWNER)]).await;
    bob.client.quit_group(GroupId::new("h").unwrap()).await.unwrap();
    expect(&mut bob, &[]).await;
    world.end().await;
}

#[tokio::test]
async fn mentions_and_remind_types_show_in_the_list() {
    let world = World::new();
    let (alice, mut bob, carol) = three(&world).await;
    let group = alice.makes("g", GroupType::PUBLIC, &["bob", "carol"]).await;
    alice.says(group, "one", &[user("bob")]).await.unwrap();
    alice
        .says(group, "two", &[user("bob"), MENTION_ALL])
        .await
        .unwrap();
    assert_eq!(code(carol.says(group, "all", &[MENTION_ALL]).await), Some(10_007));
    let said = bob.text("two").await;
    assert_eq!(said.at_user_list(), [user("bob"), MENTION_ALL]);
    let here = ConversationId::Group(group);
    let shown = async |bob: &Person| {
        let list = bob
            .client
            .get_conversation_list()
            .await
            .unwrap()
            .conversation_list;
        let found = list.iter().find(|it| it.id == here).unwrap();
        let kinds: Vec<_> = found.group_at_info_list.iter().map(|at| at.kind).collect();
        (kinds, found.message_remind_type, found.unread_count)
    };
    let usual = ReceiveOption::ACCEPT_AND_NOTIFY;
    let at = vec![AtKind::AT_ME, AtKind::AT_ALL_AT_ME];
    assert_eq!(shown(&bob).await, (at, usual, 3));
    assert_eq!(bob.client.get_total_unread_message_count(), 3);
    let quiet = ReceiveOption::ACCEPT_NOT_NOTIFY;
    bob.client.set_message_remind_type(group, quiet).await.unwrap();
    let elsewhere = GroupId::new("none").unwrap();
    assert_eq!(
        code(bob.client.set_message_remind_type(elsewhere, quiet).await),
        Some(10_010)
    );
    bob.client.set_message_read(here).await.unwrap();
    assert_eq!(shown(&bob).await, (vec![], quiet, 0));
    assert_eq!(
        bob.client
            .get_group_profile(group)
            .await
            .unwrap()
            .group
            .message_remind_type,
        quiet
    );
    alice.says(group, "three", &[]).await.unwrap();
    bob.text("three").await;
    assert_eq!(
        (shown(&bob).await.2, bob.client.get_total_unread_message_count()),
        (1, 0)
    );
    world.end().await;
}

#[tokio::test]
async fn an_av_chat_room_is_live_only_and_bans() {
    let world = World::new();
    let (mut alice, mut bob, _carol) = three(&world).await;
    let room = alice.makes("live", GroupType::AV_CHAT_ROOM, &[]).await;
    assert_eq!(
        bob.client.join_group(room, "").await.unwrap().status,
        JoinStatus::JOINED
    );
    alice.says(room, "hi", &[]).await.unwrap();
    assert_eq!(bob.text("hi").await.sequence(), 0);
    let page = bob.client.get_message_list(room, None, None).await.unwrap();
    assert!(page.message_list.is_empty() && page.is_completed);
    assert_eq!(
        code(bob.client.ban_group_member(room, &[user("alice")], 60, "").await),
        Some(10_007)
    );
    let banned = alice
        .client
        .ban_group_member(room, &[user("bob")], 60, "spam")
        .await
        .unwrap();
    assert_eq!(banned.success, [user("bob")]);
    bob.notice(NoticeOperation::BANNED).await;
    assert_eq!(code(bob.client.join_group(room, "").await), Some(10_007));
    assert_eq!(code(bob.says(room, "x", &[]).await), Some(10_007));
    let freed = alice
        .client
        .unban_group_member(room, &[user("bob")])
        .await
        .unwrap();
    assert_eq!(freed.success, [user("bob")]);
    assert_eq!(
        code(bob.client.unban_group_member(room, &[user("bob")]).await),
        Some(10_007)
    );
    bob.client.join_group(room, "").await.unwrap();
    alice.client.dismiss_group(room).await.unwrap();
    for person in [&mut alice, &mut bob] {
        person.notice(NoticeOperation::GROUP_DISMISSED).await;
    }
    // Whoever heard of it live does not hear of it again.
    let last = bob.client.create_text_message(user("alice"), "last").unwrap();
    bob.client
        .send_message(&last, SendOptions::default())
        .await
        .unwrap();
    alice.text("last").await;
    let notices = alice.inbox.iter().filter(|message| {
        matches!(message.payload(), Payload::SystemNotice(notice)
            if notice.operation == NoticeOperation::GROUP_DISMISSED)
    });
    assert_eq!(notices.count(), 0);
    world.end().await;
}

#[tokio::test]
async fn profiles_are_changed_and_looked_up() {
    let world = World::new();
    let (alice, bob, _carol) = three(&world).await;
    let mine = alice
        .client
        .update_my_profile(Some("Ali"), Some("pic"))
        .await
        .unwrap()
        .profile;
    assert_eq!((mine.nick.as_str(), mine.avatar.as_str()), ("Ali", "pic"));
    let too_long = "x".repeat(10_000);
    assert!(code(alice.client.update_my_profile(Some(&too_long), None).await).is_some());
    let wanted = [user("nobody-here"), user("alice"), user("bob")];
    let found = bob.client.get_user_profile(&wanted).await.unwrap().profiles;
    let found: Vec<_> = found.iter().map(|it| (it.id, it.nick.as_str())).collect();
    assert_eq!(found, [(user("alice"), "Ali"), (user("bob"), "")]);
    assert_eq!(alice.client.get_my_profile().await.unwrap().profile, mine);
    world.end().await;
}
