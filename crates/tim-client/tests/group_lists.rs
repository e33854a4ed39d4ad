//! The list of groups as it changes, how often lists are told of, totals, mentions and live rooms, against a scripted hub.

mod support;

use std::time::Duration;

use support::groups::*;
use support::*;
use tim_client::proto::conversation as wire;
use tim_client::proto::message::NoticeOperation;
use tim_client::proto::message::TipOperation;
use tim_client::proto::message::{GroupChange, GroupTip, Mentions, Muted, Payload};
use tim_client::proto::request::{
    ConversationChange, ConversationsResponse, Done, GetGroupProfile, Groups, GroupsResponse, Send,
    SendResponse,
};
use tim_client::proto::wire::{FrameKind, List};
use tim_client::{
    AtKind, Client, ConversationId, ErrorCode, Event, EventKind, EventStream, GroupType, JoinOption,
    MENTION_ALL, ReceiveOption, Role, SendOptions, Status,
};

/// Asks for the groups and has the hub answer with these, on two pages.
async fn load(client: &Client, hub: &mut HubEnd, groups: &[wire::GroupProfile<'_>]) -> Vec<String> {
    let script = async {
        let asked = hub.next_request().await;
        assert_eq!(asked.request::<Groups<'_>>(), Groups::new());
        let first = GroupsResponse::new(List::from_slice(&groups[..1])).with_next(&[1]);
        hub.answer(&asked, &first).await;
        let asked = hub.next_request().await;
        assert_eq!(asked.request::<Groups<'_>>(), Groups::new().with_next(&[1]));
        let last = GroupsResponse::new(List::from_slice(&groups[1..])).with_completed(true);
        hub.answer(&asked, &last).await;
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
        let asked = hub.next_request().await;
        assert_eq!(
            asked.request::<GetGroupProfile>(),
            GetGroupProfile::new(group(id))
        );
        hub.answer(&asked, &profile(id, id)).await;
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
    let asked = hub.next_request().await;
    hub.fail(&asked, ErrorCode::GROUP_NOT_FOUND, "").await;
    hub.settle().await;
    let (list, ()) = tokio::join!(client.get_group_list(), async {
        let asked = hub.next_request().await;
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
        let asked = hub.next_request().await;
        let first = [profile("a", "A")];
        let page = GroupsResponse::new(List::from_slice(&first)).with_next(&[1]);
        hub.answer(&asked, &page).await;
        let asked = hub.next_request().await;
        let kicked = by_hub(
            ConversationId::System,
            1,
            notice(NoticeOperation::KICKED_OUT, "a"),
        );
        hub.deliver(&[1], &kicked).await;
        hub.settle().await;
        let page = GroupsResponse::new(List::default()).with_completed(true);
        hub.answer(&asked, &page).await;
        let asked = hub.next_request().await;
        assert_eq!(
            asked.request::<GetGroupProfile>(),
            GetGroupProfile::new(group("a"))
        );
        let gone = profile("a", "A").with_role(Role(0));
        hub.answer(&asked, &gone).await;
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
    Payload::GroupTip(
        GroupTip::new(operation, group("a"))
            .with_operator_id("bob")
            .with_users(List::from_slice(&["alice"]))
            .with_group_name("A")
            .with_member_count(9)
            .with_changes(List::from_slice(changes))
            .with_muted(List::from_slice(muted))
            .with_operator(Default::default())
            .with_names(Default::default()),
    )
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
    // The group was not on the list of conversations: its receive option is not known.
    let asked = hub.next_request().await;
    assert_eq!(asked.kind, FrameKind::CONVERSATIONS);
    let listed = [wire::Conversation::new(here).with_last_sequence(1)];
    let listed = ConversationsResponse::new(List::from_slice(&listed)).with_completed(true);
    hub.answer(&asked, &listed).await;
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

    let muted = [Muted::new(user("alice"), 60)];
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
    let asked = hub.next_request().await;
    assert_eq!(
        asked.request::<GetGroupProfile>(),
        GetGroupProfile::new(group("a"))
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
    wire::Conversation::new(id)
        .with_unread(unread)
        .with_last_sequence(10)
        .with_receive_option(option)
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
        let asked = hub.next_request().await;
        hub.answer(&asked, &Done).await;
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
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        let mentions = send.content.mentions().unwrap();
        assert!(mentions.all && mentions.users.iter().eq([user("bob")]));
        let stored = SendResponse::new(1, 2);
        hub.answer(&asked, &stored).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    sent.unwrap();
    hub.answer_list(&[listed(ConversationId::Group(g), 1, 0)]).await; // what the conversation is called
    let to_user = client
        .create_text_at_message(user("bob"), "@bob", &[user("bob")])
        .unwrap();
    assert!(
        to_user.at_user_list().is_empty(),
        "silently not sent (domain 3.4)"
    );

    let mut room = [0; 64];
    let users = [user("alice")];
    let mentions = Mentions::new()
        .with_users(List::from_slice(&users))
        .with_all(true);
    let at_me = text("bob", ConversationId::Group(g), 2, "@alice @all")
        .with_extensions(mentions.write(&mut room).unwrap());
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
    let change = ConversationChange::new(ConversationId::Group(g))
        .with_read_sequence(3)
        .with_counted(3);
    hub.push(FrameKind::CONVERSATION, &change).await;
    assert!(at(&mut events, 0).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_av_chat_room_is_not_asked_for_what_it_never_takes() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let room = client.create_text_message(group("live"), "hi").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        let mut live = profile("live", "Live");
        live.group_type = GroupType::AV_CHAT_ROOM;
        hub.answer(&asked, &live).await;
    };
    let (seen, ()) = tokio::join!(client.get_group_profile(group("live")), script);
    seen.unwrap();
    let refused = client.send_message(&room, SendOptions::online_only()).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::ONLINE_ONLY_NOT_ALLOWED);
    assert_eq!(room.status(), Status::UnSend);
    hub.settle().await; // nothing was sent (S91)
}
