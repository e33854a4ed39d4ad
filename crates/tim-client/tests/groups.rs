//! The calls of groups and profiles, and the list of groups as it changes, against a scripted hub.

mod support;

use std::time::Duration;

use support::*;
use tim_client::proto::conversation as wire;
use tim_client::proto::message::{Envelope, GroupChange, GroupTip, Mentions, Message, Muted, Payload};
use tim_client::proto::notice::{NoticeOperation, SystemNotice};
use tim_client::proto::request::{
    Answer, BanMembers, ChangeOwner, ConversationChange, GroupMembers, GroupMembersAnswer, Groups,
    GroupsAnswer, HandleApplication, HandleInvitation, JoinGroup, JoinGroupAnswer, MemberList, MembersAnswer,
    OneGroup, Request, SendAnswer, SetMember, SetReceiveOption, UpdateGroup, UpdateUserProfile, UserProfiles,
    UserProfilesAnswer,
};
use tim_client::proto::tip::TipOperation;
use tim_client::proto::wire::{FrameKind, List};
use tim_client::{
    AtKind, Client, ConversationId, Decision, ErrorCode, Event, EventKind, EventStream, GroupApplication,
    GroupId, GroupType, ImError, InviteOption, JoinOption, JoinStatus, MENTION_ALL, MemberListOptions,
    MemberOutcome, MemberResult, MessageId, ReceiveOption, Role, SendOptions, Status, UpdateGroupProfile,
    UserId,
};

fn group(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}

/// A group as the hub describes it to a plain member.
fn profile<'a>(id: &str, name: &'a str) -> wire::GroupProfile<'a> {
    wire::GroupProfile {
        id: group(id),
        group_type: GroupType::PUBLIC,
        name,
        introduction: "about",
        notification: "told",
        avatar: "pic",
        owner: user("owner"),
        member_count: 3,
        created: 7,
        role: Role::MEMBER,
        join_option: JoinOption::NEED_PERMISSION,
        invite_option: InviteOption::FREE_ACCESS,
        mute_all: false,
        max_members: 6000,
        receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
        muted_until: 0,
        name_card: "Ali",
    }
}

fn by_hub(to: ConversationId, sequence: u64, payload: Payload<'_>) -> Message<'_> {
    Message {
        envelope: Envelope {
            sequence,
            time: 1000,
            flags: 0,
            origin: 0,
            from: UserId::SYSTEM,
        },
        to,
        id: MessageId {
            sender: 0,
            client_time: 1000,
            random: sequence as u32,
        },
        ..text("x", to, sequence, "")
    }
    .with(payload)
}

trait With<'a> {
    fn with(self, payload: Payload<'a>) -> Message<'a>;
}

impl<'a> With<'a> for Message<'a> {
    fn with(mut self, payload: Payload<'a>) -> Message<'a> {
        self.payload = payload;
        self
    }
}

fn notice(operation: NoticeOperation, id: &'static str) -> Payload<'static> {
    Payload::SystemNotice(SystemNotice {
        operation,
        operator_id: "bob",
        group_id: id,
        message_key: 77,
        ..SystemNotice::default()
    })
}

/// One call: the request that the hub must get and its answer, and then the same refused.
async fn asks<T: std::fmt::Debug, F: Future<Output = Result<T, ImError>>>(
    hub: &mut HubEnd,
    call: impl Fn() -> F,
    expected: Request<'_>,
    answer: Answer<'_>,
) -> T {
    let script = async |hub: &mut HubEnd, refuse: bool| {
        let asked = hub.asked().await;
        assert_eq!(asked.request(), expected);
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
    let one = OneGroup { group: g };
    let quit = asks(
        hub,
        || client.quit_group(g),
        Request::QuitGroup(one),
        Answer::Done,
    )
    .await;
    assert_eq!(quit.group_id, g);
    asks(
        hub,
        || client.dismiss_group(g),
        Request::DismissGroup(one),
        Answer::Done,
    )
    .await;
    let change = Request::ChangeOwner(ChangeOwner { group: g, owner: bob });
    asks(hub, || client.change_group_owner(g, bob), change, Answer::Done).await;
    let remind = Request::SetReceiveOption(SetReceiveOption {
        group: g,
        option: ReceiveOption::DISCARD,
    });
    let call = || client.set_message_remind_type(g, ReceiveOption::DISCARD);
    asks(hub, call, remind, Answer::Done).await;

    let set = SetMember {
        group: g,
        user: bob,
        role: None,
        mute_seconds: None,
        name_card: None,
    };
    let admin = Request::SetMember(SetMember {
        role: Some(Role::ADMIN),
        ..set
    });
    asks(
        hub,
        || client.set_group_member_role(g, bob, Role::ADMIN),
        admin,
        Answer::Done,
    )
    .await;
    let mute = Request::SetMember(SetMember {
        mute_seconds: Some(60),
        ..set
    });
    asks(
        hub,
        || client.set_group_member_mute_time(g, bob, 60),
        mute,
        Answer::Done,
    )
    .await;
    let card = Request::SetMember(SetMember {
        name_card: Some("Bobby"),
        ..set
    });
    asks(
        hub,
        || client.set_group_member_name_card(g, bob, "Bobby"),
        card,
        Answer::Done,
    )
    .await;

    let update = UpdateGroupProfile {
        name: Some("new".to_owned()),
        mute_all: Some(true),
        join_option: Some(JoinOption::FREE_ACCESS),
        ..UpdateGroupProfile::default()
    };
    let expected = Request::UpdateGroup(UpdateGroup {
        name: Some("new"),
        mute_all: Some(true),
        join_option: Some(JoinOption::FREE_ACCESS),
        ..UpdateGroup::new(g)
    });
    asks(
        hub,
        || client.update_group_profile(g, update.clone()),
        expected,
        Answer::Done,
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
    let handle = HandleApplication {
        group: g,
        applicant: user("bob"),
        accept: true,
        message: "welcome",
        key: 77,
    };
    let call = || client.handle_group_application(told, Decision::Agree, "welcome");
    asks(hub, call, Request::HandleApplication(handle), Answer::Done).await;
    let handle = HandleApplication {
        accept: false,
        message: "",
        key: 0,
        ..handle
    };
    let newest = GroupApplication::new(g, user("bob"));
    let call = || client.handle_group_application(newest, Decision::Reject, "");
    asks(hub, call, Request::HandleApplication(handle), Answer::Done).await;
    let handle = HandleInvitation {
        group: g,
        accept: true,
        message: "gladly",
    };
    let call = || client.handle_group_invitation(g, Decision::Agree, "gladly");
    asks(hub, call, Request::HandleInvitation(handle), Answer::Done).await;

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
    let (g, request) = (
        group("g"),
        Request::JoinGroup(JoinGroup {
            group: group("g"),
            message: "please",
        }),
    );
    let wait = Answer::JoinGroup(JoinGroupAnswer {
        status: JoinStatus::WAIT_APPROVAL,
    });
    let waiting = asks(&mut hub, || client.join_group(g, "please"), request, wait).await;
    assert_eq!((waiting.status, waiting.group), (JoinStatus::WAIT_APPROVAL, None));

    let script = async {
        let asked = hub.asked().await;
        let status = JoinStatus::JOINED;
        hub.answer(&asked, &Answer::JoinGroup(JoinGroupAnswer { status }))
            .await;
        let asked = hub.asked().await;
        assert_eq!(asked.request(), Request::GroupProfile(OneGroup { group: g }));
        hub.answer(&asked, &Answer::GroupProfile(profile("g", "Hikers")))
            .await;
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
    let outcome = |at: usize, result| MemberOutcome {
        user: users[at],
        result,
    };
    let results = [
        outcome(0, MemberResult::ADDED),
        outcome(1, MemberResult::ALREADY_MEMBER),
        outcome(2, MemberResult::INVITED),
        outcome(3, MemberResult::WAIT_APPROVAL),
        outcome(4, MemberResult::NOT_FOUND),
        outcome(5, MemberResult(99)),
    ];
    let list = |reason| MemberList {
        group: g,
        users: List::from_slice(&users),
        reason,
    };
    let answer = Answer::Members(MembersAnswer {
        results: List::from_slice(&results),
    });
    let invite = Request::InviteMembers(list(""));
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
    let answer = Answer::Members(MembersAnswer {
        results: List::from_slice(&results),
    });
    let remove = Request::RemoveMembers(list("rude"));
    let gone = asks(
        hub,
        || client.delete_group_member(g, &users, "rude"),
        remove,
        answer,
    )
    .await;
    assert_eq!((gone.removed, gone.failed), (vec![users[0]], vec![results[1]]));

    let bans = |seconds, reason| {
        Request::BanMembers(BanMembers {
            group: g,
            users: List::from_slice(&users),
            seconds,
            reason,
        })
    };
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
    let page = GroupMembersAnswer {
        next: &[4, 2],
        completed: false,
        members: List::from_slice(&members),
    };
    let first = Request::GroupMembers(GroupMembers {
        group: g,
        next: &[],
        count: 2,
        role: Some(Role::MEMBER),
    });
    let mut options = MemberListOptions {
        role: Some(Role::MEMBER),
        count: 2,
        next: None,
    };
    let call = || client.get_group_member_list(g, options.clone());
    let found = asks(hub, call, first, Answer::GroupMembers(page)).await;
    let titles: Vec<_> = found.member_list.iter().map(|member| member.title()).collect();
    assert_eq!(titles, ["Bobby", "carol"]);
    options.next = found.next;
    let second = Request::GroupMembers(GroupMembers {
        group: g,
        next: &[4, 2],
        count: 2,
        role: Some(Role::MEMBER),
    });
    let last = GroupMembersAnswer {
        next: &[],
        completed: true,
        members: List::default(),
    };
    let call = || client.get_group_member_list(g, options.clone());
    let found = asks(hub, call, second, Answer::GroupMembers(last)).await;
    assert_eq!((found.member_list.len(), found.next), (0, None));
}

fn wire_member<'a>(
    name: &str,
    nick: &'a str,
    name_card: &'a str,
) -> tim_client::proto::request::GroupMember<'a> {
    tim_client::proto::request::GroupMember {
        user: user(name),
        role: Role::MEMBER,
        joined: 5,
        muted_until: 0,
        nick,
        avatar: "",
        name_card,
    }
}

#[tokio::test(start_paused = true)]
async fn profiles_of_groups_and_users() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let request = Request::GroupProfile(OneGroup { group: group("g") });
    let answer = Answer::GroupProfile(wire::GroupProfile {
        role: Role(0),
        ..profile("g", "Hikers")
    });
    let found = asks(&mut hub, || client.get_group_profile(group("g")), request, answer).await;
    assert!(!found.group.is_member() && found.group.introduction == "about");

    let me = [wire::UserProfile {
        id: user("alice"),
        nick: "Ali",
        avatar: "pic",
    }];
    let mine = [user("alice")];
    let request = Request::UserProfiles(UserProfiles {
        users: List::from_slice(&mine),
    });
    let answer = Answer::UserProfiles(UserProfilesAnswer {
        users: List::from_slice(&me),
    });
    let found = asks(&mut hub, || client.get_my_profile(), request, answer).await;
    assert_eq!(
        (found.profile.nick.as_str(), found.profile.avatar.as_str()),
        ("Ali", "pic")
    );
    let none = client.get_user_profile(&[]).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::GROUP_INVALID_PARAMETERS);

    let update = UpdateUserProfile {
        nick: Some("Ali"),
        avatar: None,
    };
    let script = async {
        let asked = hub.asked().await;
        assert_eq!(asked.request(), Request::UpdateUserProfile(update));
        hub.answer(&asked, &Answer::Done).await;
        let asked = hub.asked().await;
        hub.answer(&asked, &answer).await;
    };
    let (updated, ()) = tokio::join!(client.update_my_profile(Some("Ali"), None), script);
    let told = event(&mut events, |event| match event {
        Event::ProfileUpdated(profiles) => Some(profiles.clone()),
        _ => None,
    });
    assert_eq!(told.await, [updated.unwrap().profile]);

    let script = async {
        let asked = hub.asked().await;
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
            let asked = hub.asked().await;
            let Request::UserProfiles(wanted) = asked.request() else {
                panic!("{:?}", asked.request())
            };
            assert_eq!(wanted.users.len(), expected);
            let found: Vec<_> = wanted
                .users
                .iter()
                .map(|id| wire::UserProfile {
                    id,
                    nick: "",
                    avatar: "",
                })
                .collect();
            let users = List::from_slice(&found);
            hub.answer(&asked, &Answer::UserProfiles(UserProfilesAnswer { users }))
                .await;
        }
    };
    let (found, ()) = tokio::join!(client.get_user_profile(&users), script);
    let found: Vec<_> = found.unwrap().profiles.iter().map(|user| user.id).collect();
    assert_eq!(found, users);
}

/// Asks for the groups and has the hub answer with these, on two pages.
async fn load(client: &Client, hub: &mut HubEnd, groups: &[wire::GroupProfile<'_>]) -> Vec<String> {
    let script = async {
        let asked = hub.asked().await;
        assert_eq!(asked.request(), Request::Groups(Groups { next: &[], count: 0 }));
        let first = GroupsAnswer {
            next: &[1],
            completed: false,
            groups: List::from_slice(&groups[..1]),
        };
        hub.answer(&asked, &Answer::Groups(first)).await;
        let asked = hub.asked().await;
        assert_eq!(asked.request(), Request::Groups(Groups { next: &[1], count: 0 }));
        let last = GroupsAnswer {
            next: &[],
            completed: true,
            groups: List::from_slice(&groups[1..]),
        };
        hub.answer(&asked, &Answer::Groups(last)).await;
    };
    let (list, ()) = tokio::join!(client.get_group_list(), script);
    let list = list.unwrap().group_list;
    list.iter().map(|group| group.id.to_string()).collect()
}

/// The groups of the next GROUP_LIST_UPDATED, with the role in each.
async fn groups(events: &mut EventStream) -> Vec<(String, Role)> {
    event(events, |event| match event {
        Event::GroupListUpdated(list) => Some(list.clone()),
        _ => None,
    })
    .await
    .iter()
    .map(|group| (group.id.to_string(), group.role))
    .collect()
}

#[tokio::test(start_paused = true)]
async fn the_list_of_groups_follows_the_notices() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let listed = load(&client, &mut hub, &[profile("a", "A"), profile("b", "B")]).await;
    assert_eq!(listed, ["a", "b"]);
    let in_group = |id: &str, role| (id.to_owned(), role);
    let (member, admin) = (Role::MEMBER, Role::ADMIN);
    assert_eq!(
        groups(&mut events).await,
        [in_group("a", member), in_group("b", member)]
    );

    let mut sequence = 0;
    let mut next = |operation, id| {
        sequence += 1;
        by_hub(ConversationId::System, sequence, notice(operation, id))
    };
    hub.deliver(&[1], &next(NoticeOperation::ADMIN_GRANTED, "a"))
        .await;
    assert_eq!(groups(&mut events).await[0], in_group("a", admin));
    hub.deliver(&[2], &next(NoticeOperation::ADMIN_WITHDRAWN, "a"))
        .await;
    assert_eq!(groups(&mut events).await[0], in_group("a", member));
    for (added, id) in [
        (NoticeOperation::JOIN_ACCEPTED, "c"),
        (NoticeOperation::INVITED, "d"),
        (NoticeOperation::GROUP_CREATED, "e"),
    ] {
        hub.deliver(&[3], &next(added, id)).await;
        let asked = hub.asked().await;
        assert_eq!(
            asked.request(),
            Request::GroupProfile(OneGroup { group: group(id) })
        );
        hub.answer(&asked, &Answer::GroupProfile(profile(id, id))).await;
        assert_eq!(groups(&mut events).await.last(), Some(&in_group(id, member)));
    }
    for (removed, id) in [
        (NoticeOperation::KICKED_OUT, "a"),
        (NoticeOperation::GROUP_DISMISSED, "b"),
        (NoticeOperation::QUIT, "c"),
        (NoticeOperation::GROUP_RECLAIMED, "d"),
    ] {
        hub.deliver(&[4], &next(removed, id)).await;
        assert!(
            groups(&mut events).await.iter().all(|(left, _)| left != id),
            "{id}"
        );
    }
    // Added, and gone before the hub could say more.
    hub.deliver(&[5], &next(NoticeOperation::INVITED, "f")).await;
    let asked = hub.asked().await;
    hub.fail(&asked, ErrorCode::GROUP_NOT_FOUND, "").await;
    hub.settle().await;
    let (list, ()) = tokio::join!(client.get_group_list(), async {
        let asked = hub.asked().await;
        hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "").await;
    });
    assert_eq!(list.unwrap_err().code, ErrorCode::GROUP_PERMISSION_DENY);
    hub.deliver(&[6], &next(NoticeOperation::ADMIN_GRANTED, "e"))
        .await;
    assert_eq!(groups(&mut events).await, [in_group("e", admin)]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_between_two_pages_of_the_list_is_not_lost() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let script = async {
        let asked = hub.asked().await;
        let first = [profile("a", "A")];
        let page = GroupsAnswer {
            next: &[1],
            completed: false,
            groups: List::from_slice(&first),
        };
        hub.answer(&asked, &Answer::Groups(page)).await;
        let asked = hub.asked().await;
        let kicked = by_hub(
            ConversationId::System,
            1,
            notice(NoticeOperation::KICKED_OUT, "a"),
        );
        hub.deliver(&[1], &kicked).await;
        hub.settle().await;
        let page = GroupsAnswer {
            next: &[],
            completed: true,
            groups: List::default(),
        };
        hub.answer(&asked, &Answer::Groups(page)).await;
        let asked = hub.asked().await;
        assert_eq!(
            asked.request(),
            Request::GroupProfile(OneGroup { group: group("a") })
        );
        let gone = wire::GroupProfile {
            role: Role(0),
            ..profile("a", "A")
        };
        hub.answer(&asked, &Answer::GroupProfile(gone)).await;
    };
    let (list, ()) = tokio::join!(client.get_group_list(), script);
    assert_eq!(list.unwrap().group_list.len(), 1, "as the hub had it");
    event(&mut events, |event| match event {
        Event::GroupListUpdated(list) if list.is_empty() => Some(()),
        _ => None,
    })
    .await;
}

fn tip<'a>(operation: TipOperation, changes: &'a [GroupChange<'a>], muted: &'a [Muted]) -> Payload<'a> {
    Payload::GroupTip(GroupTip {
        operation,
        operator_id: "bob",
        users: List::from_slice(&["alice"]),
        group_id: group("a"),
        group_name: "A",
        member_count: 9,
        changes: List::from_slice(changes),
        muted: List::from_slice(muted),
        reason: "",
    })
}

#[tokio::test(start_paused = true)]
async fn the_list_of_groups_follows_the_tips() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    load(&client, &mut hub, &[profile("a", "A"), profile("b", "B")]).await;
    let here = ConversationId::Group(group("a"));
    let changes = [
        GroupChange::Name("new"),
        GroupChange::Owner(user("alice")),
        GroupChange::MuteAll(true),
        GroupChange::JoinOption(JoinOption::DISABLE_APPLY),
    ];
    let update = tip(TipOperation::GROUP_PROFILE_UPDATED, &changes, &[]);
    hub.deliver(&[1], &by_hub(here, 1, update)).await;
    let list = |events: &mut EventStream| {
        let mut found = None;
        while let Some(event) = poll(events) {
            if let Event::GroupListUpdated(list) = event {
                found = Some(list[0].clone());
            }
        }
        found
    };
    hub.settle().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    hub.settle().await;
    let found = list(&mut events).unwrap();
    assert_eq!(
        (found.name.as_str(), found.role, found.member_count),
        ("new", Role::OWNER, 9)
    );
    assert!(found.mute_all && found.join_option == JoinOption::DISABLE_APPLY);

    let muted = [Muted {
        user: user("alice"),
        seconds: 60,
    }];
    hub.deliver(
        &[2],
        &by_hub(here, 2, tip(TipOperation::MEMBER_PROFILE_UPDATED, &[], &muted)),
    )
    .await;
    hub.settle().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    hub.settle().await;
    assert_eq!(list(&mut events).unwrap().muted_until, 1060);
    // A name card is not in the tip.
    hub.deliver(
        &[3],
        &by_hub(here, 3, tip(TipOperation::MEMBER_PROFILE_UPDATED, &[], &[])),
    )
    .await;
    let asked = hub.asked().await;
    assert_eq!(
        asked.request(),
        Request::GroupProfile(OneGroup { group: group("a") })
    );
    hub.fail(&asked, ErrorCode::NETWORK_ERROR, "").await;
    hub.settle().await;
}

fn poll(events: &mut EventStream) -> Option<Event> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match events.poll_next_event(&mut context) {
        std::task::Poll::Ready(event) => event,
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_told_at_once_and_then_once_a_second() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    load(&client, &mut hub, &[profile("a", "A"), profile("b", "B")]).await;
    let mut told = Vec::new();
    let begin = tokio::time::Instant::now();
    // For three seconds, a message and a change of role every 100 ms.
    for step in 1..=30u64 {
        let operation = match step % 2 {
            0 => NoticeOperation::ADMIN_WITHDRAWN,
            _ => NoticeOperation::ADMIN_GRANTED,
        };
        let notice = by_hub(ConversationId::System, step, notice(operation, "a"));
        hub.deliver(&[1], &notice).await;
        hub.settle().await;
        while let Some(event) = poll(&mut events) {
            told.push((event.kind(), begin.elapsed().as_millis() / 100));
        }
        tokio::time::advance(Duration::from_millis(99)).await;
    }
    for kind in [EventKind::GroupListUpdated, EventKind::ConversationListUpdated] {
        let times: Vec<_> = told
            .iter()
            .filter(|(it, _)| *it == kind)
            .map(|(_, at)| *at)
            .collect();
        assert_eq!(times, [0, 10, 20], "{kind:?}");
    }
    let received = told
        .iter()
        .filter(|(kind, _)| *kind == EventKind::MessageReceived);
    assert_eq!(received.count(), 30, "messages are never kept back");
}

fn in_list<'a>(id: ConversationId, unread: u32, option: ReceiveOption) -> wire::Conversation<'a> {
    wire::Conversation {
        id,
        unread,
        read_sequence: 0,
        last_sequence: 10,
        name: "",
        avatar: "",
        group_type: GroupType(0),
        last_message: None,
        receive_option: option,
        at: List::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_total_leaves_out_the_system_and_groups_that_do_not_notify() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let (g, h) = (
        ConversationId::Group(group("g")),
        ConversationId::Group(group("h")),
    );
    let list = [
        in_list(c2c("bob"), 1, ReceiveOption::ACCEPT_AND_NOTIFY),
        in_list(g, 20, ReceiveOption::ACCEPT_NOT_NOTIFY),
        in_list(ConversationId::System, 300, ReceiveOption::ACCEPT_AND_NOTIFY),
        in_list(h, 4000, ReceiveOption::ACCEPT_AND_NOTIFY),
    ];
    let (listed, ()) = tokio::join!(client.get_conversation_list(), hub.answer_list(&list));
    assert_eq!(listed.unwrap().conversation_list.len(), 4);
    let total = async |events: &mut EventStream| {
        event(events, |event| match event {
            Event::TotalUnreadMessageCountUpdated(count) => Some(*count),
            _ => None,
        })
        .await
    };
    assert_eq!(total(&mut events).await, 4001);
    assert_eq!(client.get_total_unread_message_count(), 4001);
    let script = async {
        let asked = hub.asked().await;
        hub.answer(&asked, &Answer::Done).await;
    };
    let (set, ()) = tokio::join!(
        client.set_message_remind_type(group("h"), ReceiveOption::DISCARD),
        script
    );
    set.unwrap();
    assert_eq!(total(&mut events).await, 1);
    assert_eq!(client.get_total_unread_message_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn mentions_travel_and_show_in_the_conversation_until_read() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let g = group("g");
    let message = client
        .create_text_at_message(g, "@bob @all", &[user("bob"), MENTION_ALL])
        .unwrap();
    assert_eq!(message.at_user_list(), [user("bob"), MENTION_ALL]);
    assert_eq!(message.mentions(&user("carol")), Some(AtKind::AT_ALL));
    let script = async {
        let asked = hub.asked().await;
        let Request::Send(send) = asked.request() else {
            panic!("{:?}", asked.request())
        };
        let mentions = send.content.mentions().unwrap();
        assert!(mentions.all && mentions.users.iter().eq([user("bob")]));
        let stored = SendAnswer {
            sequence: 1,
            time: 2,
            duplicate: false,
        };
        hub.answer(&asked, &Answer::Send(stored)).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    sent.unwrap();
    let to_user = client
        .create_text_at_message(user("bob"), "@bob", &[user("bob")])
        .unwrap();
    assert!(
        to_user.at_user_list().is_empty(),
        "silently not sent (domain 3.4)"
    );

    let mut room = [0; 64];
    let users = [user("alice")];
    let mentions = Mentions {
        users: List::from_slice(&users),
        all: true,
    };
    let at_me = Message {
        extensions: mentions.write(&mut room).unwrap(),
        ..text("bob", ConversationId::Group(g), 2, "@alice @all")
    };
    hub.deliver(&[1], &at_me).await;
    hub.deliver(&[2], &text("bob", ConversationId::Group(g), 3, "nobody"))
        .await;
    let received = received(&mut events).await.remove(0);
    assert_eq!(received.at_user_list(), [user("alice"), MENTION_ALL]);
    let at = async |events: &mut EventStream, unread| {
        event(events, |event| match event {
            Event::ConversationListUpdated(list) if list[0].unread_count == unread => {
                Some(list[0].group_at_info_list.clone())
            }
            _ => None,
        })
        .await
    };
    let found = at(&mut events, 2).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].sequence, found[0].from, found[0].kind),
        (2, user("bob"), AtKind::AT_ALL_AT_ME)
    );
    let change = ConversationChange {
        conversation: ConversationId::Group(g),
        unread: 0,
        read_sequence: 3,
        deleted: false,
    };
    hub.push(FrameKind::CONVERSATION, &change).await;
    assert!(at(&mut events, 0).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_av_chat_room_is_not_asked_for_what_it_never_takes() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let room = client.create_text_message(group("live"), "hi").unwrap();
    let script = async {
        let asked = hub.asked().await;
        let live = wire::GroupProfile {
            group_type: GroupType::AV_CHAT_ROOM,
            ..profile("live", "Live")
        };
        hub.answer(&asked, &Answer::GroupProfile(live)).await;
    };
    let (seen, ()) = tokio::join!(client.get_group_profile(group("live")), script);
    seen.unwrap();
    let refused = client.send_message(&room, SendOptions::online_only()).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::ONLINE_ONLY_NOT_ALLOWED);
    assert_eq!(room.status(), Status::UnSend);
    hub.settle().await; // nothing was sent (S91)
}
