//! The calls of groups and profiles, each as it should go and refused, against a scripted hub.

mod support;

use support::groups::*;
use support::*;
use tim_client::proto::conversation as wire;
use tim_client::proto::message::{NoticeOperation, to_vec};
use tim_client::proto::request::{
    BanMembers, ChangeOwner, DismissGroup, Done, GetGroupProfile, GroupMembers, GroupMembersResponse,
    HandleApplication, HandleInvitation, InviteMembers, JoinGroup, JoinGroupResponse, MembersResponse,
    QuitGroup, RemoveMembers, Request, SetMember, SetReceiveOption, UpdateGroup, UpdateUserProfile,
    UserProfiles, UserProfilesResponse,
};
use tim_client::proto::wire::List;
use tim_client::{
    ConversationId, Decision, ErrorCode, Event, GroupApplication, ImError, JoinOption, JoinStatus,
    MemberListOptions, MemberOutcome, MemberResult, ReceiveOption, Role, UpdateGroupProfile,
};

/// One call: the request that the hub must get and its answer, and then the same refused.
async fn asks<R: Request, T: std::fmt::Debug, F: Future<Output = Result<T, ImError>>>(
    hub: &mut HubEnd,
    call: impl Fn() -> F,
    expected: R,
    answer: R::Response<'_>,
) -> T {
    let script = async |hub: &mut HubEnd, refuse: bool| {
        let asked = hub.next_request().await;
        assert_eq!((asked.kind, asked.body.clone()), (R::KIND, to_vec(&expected)));
        if refuse {
            hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "no").await;
        } else {
            hub.answer(&asked, &answer).await;
        }
    };
    let (refused, ()) = tokio::join!(call(), script(hub, true));
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code, refused.text.as_str()),
        (ErrorCode::GROUP_PERMISSION_DENY, "no")
    );
    let (done, ()) = tokio::join!(call(), script(hub, false));
    done.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_has_no_answer_but_done() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let (hub, g, bob) = (&mut hub, group("g"), user("bob"));
    let quit = asks(hub, || client.quit_group(g), QuitGroup::new(g), Done).await;
    assert_eq!(quit.group_id, g);
    asks(hub, || client.dismiss_group(g), DismissGroup::new(g), Done).await;
    let change = ChangeOwner::new(g, bob);
    asks(hub, || client.change_group_owner(g, bob), change, Done).await;
    let remind = SetReceiveOption::new(g, ReceiveOption::DISCARD);
    let call = || client.set_message_remind_type(g, ReceiveOption::DISCARD);
    asks(hub, call, remind, Done).await;

    let set = SetMember::new(g, bob);
    let admin = set.with_role(Role::ADMIN);
    asks(
        hub,
        || client.set_group_member_role(g, bob, Role::ADMIN),
        admin,
        Done,
    )
    .await;
    let mute = set.with_mute_seconds(60);
    asks(hub, || client.set_group_member_mute_time(g, bob, 60), mute, Done).await;
    let card = set.with_name_card("Bobby");
    asks(
        hub,
        || client.set_group_member_name_card(g, bob, "Bobby"),
        card,
        Done,
    )
    .await;

    let update = UpdateGroupProfile {
        name: Some("new".to_owned()),
        mute_all: Some(true),
        join_option: Some(JoinOption::FREE_ACCESS),
        ..UpdateGroupProfile::default()
    };
    let expected = UpdateGroup::new(g)
        .with_name("new")
        .with_mute_all(true)
        .with_join_option(JoinOption::FREE_ACCESS);
    asks(
        hub,
        || client.update_group_profile(g, update.clone()),
        expected,
        Done,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn applications_and_invitations_are_decided() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(
        &[1],
        &by_hub(
            ConversationId::System,
            1,
            notice(NoticeOperation::JOIN_REQUESTED, "g"),
        ),
    )
    .await;
    let received = received(&mut events).await.remove(0);
    let told = GroupApplication::try_from(&received).unwrap();
    assert_eq!((told.group(), told.applicant()), (group("g"), user("bob")));
    let (hub, g) = (&mut hub, group("g"));
    let handle = HandleApplication::new(g, user("bob"), true)
        .with_message("welcome")
        .with_key(77);
    let call = || client.handle_group_application(told, Decision::Agree, "welcome");
    asks(hub, call, handle, Done).await;
    let handle = HandleApplication::new(g, user("bob"), false);
    let newest = GroupApplication::new(g, user("bob"));
    let call = || client.handle_group_application(newest, Decision::Reject, "");
    asks(hub, call, handle, Done).await;
    let handle = HandleInvitation::new(g, true).with_message("gladly");
    let call = || client.handle_group_invitation(g, Decision::Agree, "gladly");
    asks(hub, call, handle, Done).await;

    hub.deliver(
        &[2],
        &by_hub(ConversationId::System, 2, notice(NoticeOperation::INVITED, "g")),
    )
    .await;
    let other = support::received(&mut events).await.remove(0);
    let error = GroupApplication::try_from(&other).unwrap_err();
    assert_eq!(error.code, ErrorCode::GROUP_INVALID_PARAMETERS);
}

#[tokio::test(start_paused = true)]
async fn joining_tells_the_group_to_who_is_in() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let (g, request) = (group("g"), JoinGroup::new(group("g")).with_message("please"));
    let wait = JoinGroupResponse::new(JoinStatus::WAIT_APPROVAL);
    let waiting = asks(&mut hub, || client.join_group(g, "please"), request, wait).await;
    assert_eq!((waiting.status, waiting.group), (JoinStatus::WAIT_APPROVAL, None));

    let script = async {
        let asked = hub.next_request().await;
        let status = JoinStatus::JOINED;
        hub.answer(&asked, &JoinGroupResponse::new(status)).await;
        let asked = hub.next_request().await;
        assert_eq!(asked.request::<GetGroupProfile>(), GetGroupProfile::new(g));
        hub.answer(&asked, &profile("g", "Hikers")).await;
    };
    let (joined, ()) = tokio::join!(client.join_group(g, "please"), script);
    let joined = joined.unwrap();
    let found = joined.group.unwrap();
    assert_eq!(
        (joined.status, found.name.as_str()),
        (JoinStatus::JOINED, "Hikers")
    );
    assert_eq!(
        (found.name_card.as_str(), found.max_members, found.is_member()),
        ("Ali", 6000, true)
    );
}

#[tokio::test(start_paused = true)]
async fn members_are_brought_in_removed_and_banned_each_with_an_outcome() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let (hub, g) = (&mut hub, group("g"));
    let users = ["a", "b", "c", "d", "e", "f"].map(user);
    let outcome = |at: usize, result| MemberOutcome::new(users[at], result);
    let results = [
        outcome(0, MemberResult::ADDED),
        outcome(1, MemberResult::ALREADY_MEMBER),
        outcome(2, MemberResult::INVITED),
        outcome(3, MemberResult::WAIT_APPROVAL),
        outcome(4, MemberResult::NOT_FOUND),
        outcome(5, MemberResult(99)),
    ];
    let list = List::from_slice(&users);
    let answer = MembersResponse::new(List::from_slice(&results));
    let invite = InviteMembers::new(g, list);
    let added = asks(hub, || client.add_group_member(g, &users), invite, answer).await;
    assert_eq!((added.success, added.existed), (vec![users[0]], vec![users[1]]));
    assert_eq!(
        (added.waiting, added.failed),
        (results[2..4].to_vec(), results[4..].to_vec())
    );

    let results = [
        outcome(0, MemberResult::REMOVED),
        outcome(1, MemberResult::NOT_MEMBER),
    ];
    let answer = MembersResponse::new(List::from_slice(&results));
    let remove = RemoveMembers::new(g, list).with_reason("rude");
    let gone = asks(
        hub,
        || client.delete_group_member(g, &users, "rude"),
        remove,
        answer,
    )
    .await;
    assert_eq!((gone.removed, gone.failed), (vec![users[0]], vec![results[1]]));

    let bans = |seconds, reason| BanMembers::new(g, List::from_slice(&users), seconds).with_reason(reason);
    let call = || client.ban_group_member(g, &users, 60, "spam");
    let banned = asks(hub, call, bans(60, "spam"), answer).await;
    assert_eq!(
        (banned.success, banned.failed),
        (vec![users[0]], vec![results[1]])
    );
    asks(hub, || client.unban_group_member(g, &users), bans(0, ""), answer).await;
    let error = client.ban_group_member(g, &users, 0, "").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::GROUP_INVALID_PARAMETERS);
    hub.settle().await;
}

#[tokio::test(start_paused = true)]
async fn members_are_listed_in_pages() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let (hub, g) = (&mut hub, group("g"));
    let members = [wire_member("bob", "Bob", "Bobby"), wire_member("carol", "", "")];
    let page = GroupMembersResponse::new(List::from_slice(&members)).with_next(&[4, 2]);
    let first = GroupMembers::new(g).with_count(2).with_role(Role::MEMBER);
    let mut options = MemberListOptions {
        role: Some(Role::MEMBER),
        count: 2,
        next: None,
    };
    let call = || client.get_group_member_list(g, options.clone());
    let found = asks(hub, call, first, page).await;
    let titles: Vec<_> = found.member_list.iter().map(|member| member.title()).collect();
    assert_eq!(titles, ["Bobby", "carol"]);
    options.next = found.next;
    let second = GroupMembers::new(g)
        .with_next(&[4, 2])
        .with_count(2)
        .with_role(Role::MEMBER);
    let last = GroupMembersResponse::new(List::default()).with_completed(true);
    let call = || client.get_group_member_list(g, options.clone());
    let found = asks(hub, call, second, last).await;
    assert_eq!((found.member_list.len(), found.next), (0, None));
}

fn wire_member<'a>(
    name: &str,
    nick: &'a str,
    name_card: &'a str,
) -> tim_client::proto::request::GroupMember<'a> {
    tim_client::proto::request::GroupMember::new(user(name), Role::MEMBER)
        .with_joined(5)
        .with_nick(nick)
        .with_name_card(name_card)
}

#[tokio::test(start_paused = true)]
async fn profiles_of_groups_and_users() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let request = GetGroupProfile::new(group("g"));
    let answer = profile("g", "Hikers").with_role(Role(0));
    let found = asks(&mut hub, || client.get_group_profile(group("g")), request, answer).await;
    assert!(!found.group.is_member() && found.group.introduction == "about");

    let me = [wire::UserProfile::new(user("alice"))
        .with_nick("Ali")
        .with_avatar("pic")];
    let mine = [user("alice")];
    let request = UserProfiles::new(List::from_slice(&mine));
    let answer = UserProfilesResponse::new(List::from_slice(&me));
    let found = asks(&mut hub, || client.get_my_profile(), request, answer).await;
    assert_eq!(
        (found.profile.nick.as_str(), found.profile.avatar.as_str()),
        ("Ali", "pic")
    );
    let none = client.get_user_profile(&[]).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::GROUP_INVALID_PARAMETERS);

    let update = UpdateUserProfile::new().with_nick("Ali");
    let script = async {
        let asked = hub.next_request().await;
        assert_eq!(asked.request::<UpdateUserProfile<'_>>(), update);
        hub.answer(&asked, &Done).await;
        let asked = hub.next_request().await;
        hub.answer(&asked, &answer).await;
    };
    let (updated, ()) = tokio::join!(client.update_my_profile(Some("Ali"), None), script);
    let told = event(&mut events, |event| match event {
        Event::ProfileUpdated(profiles) => Some(profiles.clone()),
        _ => None,
    });
    assert_eq!(told.await, [updated.unwrap().profile]);

    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::GROUP_INVALID_PARAMETERS, "too long")
            .await;
    };
    let (refused, ()) = tokio::join!(client.update_my_profile(None, Some("x")), script);
    assert_eq!(refused.unwrap_err().text, "too long");
}

#[tokio::test(start_paused = true)]
async fn more_users_than_one_request_takes_are_looked_up_in_several() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let users: Vec<_> = (0..150).map(|number| user(&format!("u{number}"))).collect();
    let script = async {
        for expected in [100, 50] {
            let asked = hub.next_request().await;
            let wanted: UserProfiles<'_> = asked.request();
            assert_eq!(wanted.users.len(), expected);
            let found: Vec<_> = wanted.users.iter().map(wire::UserProfile::new).collect();
            let users = List::from_slice(&found);
            hub.answer(&asked, &UserProfilesResponse::new(users)).await;
        }
    };
    let (found, ()) = tokio::join!(client.get_user_profile(&users), script);
    let found: Vec<_> = found.unwrap().profiles.iter().map(|user| user.id).collect();
    assert_eq!(found, users);
}
