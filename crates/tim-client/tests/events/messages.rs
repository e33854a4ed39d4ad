//! Messages, stubs and revocations, and what the lists say of them.

use super::support::*;
use super::*;
use tim_client::proto::message::{MessageFlags, to_vec};
use tim_client::proto::message::{Payload, Revocation};
use tim_client::proto::render::Revoker;
use tim_client::proto::request::{
    ConversationChange, FetchResponse, Gap, History, HistoryResponse, Send, SendResponse,
};
use tim_client::proto::wire::{Extensions, FrameKind, List};
use tim_client::{ConversationId, ErrorCode, Event, EventKind, Flow, GroupId, SendOptions, Status};

#[tokio::test(start_paused = true)]
async fn messages_that_come_together_make_one_event_in_order() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let group = ConversationId::Group(GroupId::new("g").unwrap());
    for (cursor, message) in [
        text("bob", c2c("alice"), 1, "one"),
        text("alice", c2c("carol"), 1, "from my other device"),
        text("bob", group, 9, "three"),
    ]
    .iter()
    .enumerate()
    {
        hub.session
            .deliver(&[cursor as u8 + 1], 0, message.to_encoded().as_bytes())
            .unwrap();
    }
    hub.flush().await;
    let messages = received(&mut events).await;
    assert_eq!(texts(&messages), ["one", "from my other device", "three"]);
    let conversations: Vec<_> = messages.iter().map(|m| (m.conversation_id(), m.flow())).collect();
    assert_eq!(
        conversations,
        [
            (c2c("bob"), Flow::In),
            (c2c("carol"), Flow::Out),
            (group, Flow::In)
        ]
    );
    assert!(messages.iter().all(|message| message.status() == Status::Success));
    // What the group and carol are called is asked.
    let known = [
        listed(group, 9, 1),
        listed(c2c("carol"), 1, 0),
        listed(c2c("bob"), 1, 1),
    ];
    hub.answer_list(&known).await;
    assert_eq!(
        event(&mut events, |event| match event {
            Event::ConversationListUpdated(list) if list.len() == 3 => Some(
                list.iter()
                    .map(|one| (one.id, one.unread_count))
                    .collect::<Vec<_>>()
            ),
            _ => None,
        })
        .await,
        [(group, 1), (c2c("carol"), 0), (c2c("bob"), 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_of_this_client_is_not_received_even_if_the_hub_delivers_it() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "mine").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        let mut echo = text("alice", c2c("bob"), 3, "mine");
        echo.id = send.content.id;
        hub.deliver(&[1], &echo).await;
        hub.deliver(&[2], &text("bob", c2c("alice"), 4, "other")).await;
        hub.answer(&asked, &SendResponse::new(3, 9)).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    sent.unwrap();
    assert_eq!(texts(&received(&mut events).await), ["other"]);
    assert_eq!((message.status(), message.sequence()), (Status::Success, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stub_is_fetched_before_what_stands_behind_it() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let whole = text("bob", c2c("alice"), 1, "a long story");
    hub.deliver(&[1], &stub(whole)).await;
    hub.deliver(&[2], &text("bob", c2c("alice"), 2, "next")).await;
    let payload = to_vec(&whole.payload);
    for piece in payload.chunks(8) {
        assert!(
            take_all(&mut events)
                .iter()
                .all(|event| event.kind() != EventKind::MessageReceived)
        );
        let asked = hub.next_request().await;
        let total = payload.len() as u32;
        hub.answer(&asked, &FetchResponse::new(total, piece)).await;
    }
    assert_eq!(texts(&received(&mut events).await), ["a long story", "next"]);
    // One that cannot be had is shown as what it is.
    hub.deliver(&[3], &stub(text("bob", c2c("alice"), 3, "gone")))
        .await;
    let asked = hub.next_request().await;
    hub.fail(&asked, ErrorCode::MESSAGE_NOT_FOUND, "").await;
    let messages = received(&mut events).await;
    assert!(messages[0].is_stub());
    assert_eq!(
        (messages[0].text(), messages[0].kind()),
        (None, tim_client::MessageKind::TEXT)
    );
}

#[tokio::test(start_paused = true)]
async fn a_revocation_shows_in_the_instance_that_is_held() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let message = text("bob", c2c("alice"), 1, "oops");
    hub.deliver(&[1], &message).await;
    let held = received(&mut events).await.remove(0);
    hub.deliver(&[2], &revocation(&message, 2)).await;
    let revoked = revoked(&mut events).await;
    assert!(revoked.len() == 1 && revoked[0].is_same(&held));
    assert!(held.is_revoked());
    assert_eq!((held.text(), held.kind()), (None, tim_client::MessageKind::TEXT));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_names_who_did_it_and_why_and_ones_own_words_stay_at_hand() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let group = ConversationId::Group("g".parse().unwrap());
    let mine = client.create_text_message(group, "my words").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        let stored = SendResponse::new(12, 1);
        hub.answer(&asked, &stored).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&mine, SendOptions::default()), script);
    sent.unwrap();
    let theirs = text("bob", group, 13, "their words");
    hub.deliver(&[1], &theirs).await;
    let theirs = received(&mut events).await.remove(0);
    for (sequence, message) in [(14, &mine), (15, &theirs)] {
        let view = message.view();
        let mut revocation = revocation(&view, sequence);
        revocation.payload = Payload::Revocation(
            Revocation::new(message.sequence(), message.id(), message.sender(), user("carol"))
                .with_reason("rude"),
        );
        revocation.envelope.from = user("carol");
        let name = b"\x45\x06\xe5\xbc\xa0\xe4\xb8\x89";
        revocation.extensions = Extensions::new(name).unwrap();
        hub.deliver(&[2], &revocation).await;
        let told = revoked(&mut events).await.remove(0);
        assert!(told.is_same(message));
        assert_eq!(
            (told.revoker(), told.revoker_name()),
            (Some(user("carol")), "张三")
        );
        assert_eq!(told.revoke_reason(), "rude");
        let view = told.view();
        let reads = Revoker::of(&view, &user("alice"));
        assert_eq!(reads, Revoker::Member("张三"), "not: you took it back");
    }
    assert_eq!(mine.text(), Some("my words"), "to be edited and sent anew");
    assert_eq!(theirs.text(), None);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_message_that_is_not_held_is_looked_up_in_the_history() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let message = text("bob", c2c("alice"), 1, "oops");
    hub.deliver(&[1], &revocation(&message, 30)).await;
    let newest = [text("bob", c2c("alice"), 20, "later")];
    let asked = hub.next_request().await;
    assert!(asked.request::<History<'_>>().conversation == c2c("bob"));
    let page = HistoryResponse::new(List::from_slice(&newest)).with_next(&[7]);
    hub.answer(&asked, &page).await;
    let asked = hub.next_request().await;
    assert!(asked.request::<History<'_>>().next == [7]);
    let older = [message];
    let page = HistoryResponse::new(List::from_slice(&older)).with_completed(true);
    hub.answer(&asked, &page).await;
    let found = revoked(&mut events).await.remove(0);
    assert_eq!(
        (found.text(), found.sequence(), found.is_revoked()),
        (None, 1, true),
        "whatever the hub says, it says nothing any more"
    );
    drop(found);

    // Not there any more: who, where and which is known all the same.
    hub.deliver(&[2], &revocation(&message, 31)).await;
    let asked = hub.next_request().await;
    let page = HistoryResponse::new(List::default()).with_completed(true);
    hub.answer(&asked, &page).await;
    let bare = revoked(&mut events).await.remove(0);
    assert_eq!(
        (bare.id(), bare.sequence(), bare.sender()),
        (message.id, 1, user("bob"))
    );
    assert_eq!(
        (bare.conversation_id(), bare.flow(), bare.text()),
        (c2c("bob"), Flow::In, None)
    );
}

#[tokio::test(start_paused = true)]
async fn unread_counts_what_is_stored_and_new_and_from_others() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let mut online_only = text("bob", c2c("alice"), 0, "now");
    online_only.envelope.flags = MessageFlags::ONLINE_ONLY;
    hub.deliver(&[], &online_only).await;
    assert_eq!(texts(&received(&mut events).await), ["now"]);
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "x")).await;
    assert_eq!(list(&mut events).await, [(c2c("bob"), 1)]);
    let mut quiet = text("bob", c2c("alice"), 2, "tip");
    quiet.envelope.flags = MessageFlags::NO_UNREAD;
    hub.deliver(&[2], &quiet).await;
    assert_eq!(list(&mut events).await, [(c2c("bob"), 1)]);

    // Read on another device.
    let change = ConversationChange::new(c2c("bob"))
        .with_read_sequence(3)
        .with_counted(3);
    hub.push(FrameKind::CONVERSATION, &change).await;
    assert_eq!(list(&mut events).await, [(c2c("bob"), 0)]);
    hub.deliver(&[3], &text("bob", c2c("alice"), 3, "read before it came"))
        .await;
    hub.deliver(&[4], &text("bob", c2c("alice"), 4, "new")).await;
    assert_eq!(list(&mut events).await, [(c2c("bob"), 1)]);
    // An older number says nothing any more; without a number the hub's list decides.
    let older = change.with_unread(5);
    hub.push(FrameKind::CONVERSATION, &older).await;
    let unknown = change.with_counted(0);
    hub.push(FrameKind::CONVERSATION, &unknown).await;
    hub.answer_list(&[]).await;
    assert_eq!(list(&mut events).await, []);
}

#[tokio::test(start_paused = true)]
async fn sdk_ready_comes_behind_the_messages_that_were_waiting() {
    let (client, mut listener) = alice(|builder| builder);
    let mut events = client.events();
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    let mut hub = accept(&mut listener).await;
    hub.login().await;
    hub.welcome();
    for sequence in [1, 2] {
        let waiting = text("bob", c2c("alice"), sequence, "waiting").to_encoded();
        hub.session
            .deliver(&[sequence as u8], 0, waiting.as_bytes())
            .unwrap();
    }
    hub.synced().await; // in one piece with what comes before it
    login.await.unwrap().unwrap();
    client.wait_until_ready().await.unwrap();
    let kinds: Vec<_> = take_all(&mut events).iter().map(Event::kind).collect();
    let told = [EventKind::MessageReceived, EventKind::SdkReady];
    let kinds: Vec<_> = kinds.into_iter().filter(|kind| told.contains(kind)).collect();
    assert_eq!(kinds, told);
}

#[tokio::test(start_paused = true)]
async fn lists_are_told_of_only_when_they_say_something_new() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "x")).await;
    assert_eq!(list(&mut events).await, [(c2c("bob"), 1)]);
    let change = ConversationChange::new(c2c("bob"))
        .with_read_sequence(1)
        .with_counted(1)
        .with_deleted_through(1);
    let mut online_only = text("bob", c2c("alice"), 0, "now");
    online_only.envelope.flags = MessageFlags::ONLINE_ONLY;
    let in_room = text(
        "bob",
        ConversationId::Group(GroupId::new("live").unwrap()),
        0,
        "hi",
    );
    let mut told = Vec::new();
    for _ in 0..2 {
        // For those online only, of a room, and then deleted (which is told twice).
        hub.deliver(&[], &online_only).await;
        hub.deliver(&[], &in_room).await;
        hub.push(FrameKind::CONVERSATION, &change).await;
        hub.settle().await;
        tokio::time::advance(A_SECOND).await;
        hub.settle().await;
        told.extend(take_all(&mut events).iter().map(Event::kind));
    }
    let lists = |told: &[EventKind]| {
        let is_list = |kind: &&EventKind| {
            matches!(
                kind,
                EventKind::ConversationListUpdated | EventKind::TotalUnreadMessageCountUpdated
            )
        };
        told.iter().filter(is_list).copied().collect::<Vec<_>>()
    };
    assert_eq!(
        lists(&told),
        [
            EventKind::TotalUnreadMessageCountUpdated,
            EventKind::ConversationListUpdated
        ],
        "none is unread, and the list is empty"
    );

    // What waits for its second is not told of a client that is not ready any more.
    hub.deliver(&[2], &text("bob", c2c("alice"), 2, "y")).await;
    hub.settle().await;
    hub.deliver(&[3], &text("bob", c2c("alice"), 3, "z")).await;
    hub.settle().await;
    drop((hub, take_all(&mut events)));
    client.logout().await.unwrap();
    tokio::time::sleep(2 * A_SECOND).await;
    let told: Vec<_> = take_all(&mut events).iter().map(Event::kind).collect();
    assert_eq!(lists(&told), []);
    assert!(told.contains(&EventKind::SdkNotReady));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_told_in_its_place() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let gap = Gap::new(c2c("bob"), 2, 4);
    hub.session
        .deliver(
            &[1],
            0,
            text("bob", c2c("alice"), 1, "one").to_encoded().as_bytes(),
        )
        .unwrap();
    hub.session.push(FrameKind::GAP, &gap).unwrap();
    hub.session
        .deliver(
            &[2],
            0,
            text("bob", c2c("alice"), 5, "five").to_encoded().as_bytes(),
        )
        .unwrap();
    hub.flush().await;
    hub.answer_list(&[]).await; // what was lost may have been unread
    hub.settle().await;
    let kinds: Vec<_> = take_all(&mut events).iter().map(Event::kind).collect();
    let received = EventKind::MessageReceived;
    assert_eq!(
        kinds[..4],
        [
            EventKind::TotalUnreadMessageCountUpdated,
            received,
            EventKind::Gap,
            received,
        ]
    );
}
