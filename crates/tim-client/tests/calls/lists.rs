//! Revoking, history, conversations and groups.

use super::support::*;
use super::*;
use tim_client::proto::conversation as wire;
use tim_client::proto::message::{MessageFlags, to_vec};
use tim_client::proto::request::{
    CreateGroupResponse, DeleteConversation, Fetch, FetchResponse, GetConversationProfile, History,
    HistoryResponse, MarkRead, MarkReadResponse, Revoke, RevokeResponse,
};
use tim_client::proto::wire::List;
use tim_client::{CreateGroup, ErrorCode, Event, Flow, GroupId, GroupType, SendOptions};

#[tokio::test(start_paused = true)]
async fn a_sent_message_is_revoked_once() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    assert_eq!(
        client.revoke_message(&message).await.unwrap_err().code,
        ErrorCode::MESSAGE_NOT_SENT
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.answer(&asked, &STORED).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    sent.unwrap();
    hub.answer_list(&[listed(c2c("bob"), 12, 0)]).await; // what the new conversation is called
    let passed_on = client.create_text_message(user("bob"), "now").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        hub.answer(&asked, &PASSED_ON).await;
    };
    let options = SendOptions {
        online_user_only: true,
        ..SendOptions::default()
    };
    let (sent, ()) = tokio::join!(client.send_message(&passed_on, options), script);
    sent.unwrap();
    assert_eq!(
        client.revoke_message(&passed_on).await.unwrap_err().code,
        ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG,
        "it was sent, but is stored nowhere"
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::MSG_REVOKE_TIME_LIMIT, "").await;
    };
    let (revoked, ()) = tokio::join!(client.revoke_message(&message), script);
    assert_eq!(
        (revoked.unwrap_err().code, message.is_revoked()),
        (ErrorCode::MSG_REVOKE_TIME_LIMIT, false)
    );
    let script = async {
        let asked = hub.next_request().await;
        let revoke: Revoke<'_> = asked.request();
        assert_eq!(
            (revoke.conversation, revoke.sequence, revoke.message),
            (c2c("bob"), 12, message.id())
        );
        hub.answer(&asked, &RevokeResponse::new(13)).await;
    };
    let (revoked, ()) = tokio::join!(client.revoke_message(&message), script);
    assert!(revoked.unwrap().message.is_revoked() && message.is_revoked());
    assert_eq!(
        (message.revoker(), message.text()),
        (Some(user("alice")), Some("x"))
    );
    assert_eq!(
        client.revoke_message(&message).await.unwrap_err().code,
        ErrorCode::ALREADY_REVOKED
    );
}

#[tokio::test(start_paused = true)]
async fn history_is_paged_to_its_end_and_gives_the_instances_that_are_held() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 2, "two")).await;
    let held = received(&mut events).await.remove(0);
    hub.answer_list(&[listed(c2c("bob"), 2, 0)]).await; // up to where it is read

    let script = async {
        let asked = hub.next_request().await;
        let history: History<'_> = asked.request();
        assert_eq!(
            (history.conversation, history.next, history.count),
            (c2c("bob"), &[][..], 15)
        );
        let mut two = text("bob", c2c("alice"), 2, "two");
        two.envelope.flags |= MessageFlags::REVOKED;
        let page = [text("alice", c2c("bob"), 1, "one"), two];
        let messages = List::from_slice(&page);
        hub.answer(&asked, &HistoryResponse::new(messages).with_next(&[0xab, 1]))
            .await;
        let asked = hub.next_request().await;
        let history: History<'_> = asked.request();
        assert_eq!((history.next, history.count), (&[0xab, 1][..], 3));
        let end = HistoryResponse::new(List::default()).with_completed(true);
        hub.answer(&asked, &end).await;
    };
    let walk = async {
        let page = client.get_message_list(user("bob"), None, 99).await.unwrap();
        let shown: Vec<_> = page
            .message_list
            .iter()
            .map(|m| (m.text().unwrap(), m.flow()))
            .collect();
        assert_eq!(shown, [("one", Flow::Out), ("two", Flow::In)]);
        assert!(page.message_list[1].is_same(&held) && held.is_revoked());
        let next = page.next_req_message_id;
        assert_eq!((page.is_completed, next.to_string().as_str()), (false, "ab01"));
        assert_eq!(next.to_string().parse().as_ref(), Ok(&next));
        client
            .get_message_list(user("bob"), Some(&next), 3)
            .await
            .unwrap()
    };
    let (page, ()) = tokio::join!(walk, script);
    assert!(page.is_completed && page.message_list.is_empty());
    // Behind the end there is nothing, and the hub is not even asked (S178).
    let page = client
        .get_message_list(user("bob"), Some(&page.next_req_message_id), None)
        .await
        .unwrap();
    assert!(page.is_completed && page.message_list.is_empty());

    assert_eq!(
        client
            .get_message_list(user("bob"), None, 0)
            .await
            .unwrap_err()
            .code,
        ErrorCode::GROUP_INVALID_PARAMETERS
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "").await;
    };
    let (page, ()) = tokio::join!(
        client.get_message_list(GroupId::new("g").unwrap(), None, None),
        script
    );
    assert_eq!(page.unwrap_err().code, ErrorCode::GROUP_PERMISSION_DENY);
    for bad in ["", "a", "zz", "END", "AB"] {
        assert!(bad.parse::<tim_client::NextReqMessageId>().is_err(), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn stubs_in_the_history_are_fetched_in_pieces() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let whole = text("bob", c2c("alice"), 4, "a long story");
    let payload = to_vec(&whole.payload);
    let script = async {
        let asked = hub.next_request().await;
        let page = [stub(whole)];
        let messages = List::from_slice(&page);
        hub.answer(&asked, &HistoryResponse::new(messages).with_completed(true))
            .await;
        for piece in payload.chunks(5) {
            let asked = hub.next_request().await;
            let fetch: Fetch = asked.request();
            assert_eq!((fetch.conversation, fetch.sequence), (c2c("bob"), 4));
            assert!(payload[fetch.offset as usize..].starts_with(piece));
            let total = payload.len() as u32;
            hub.answer(&asked, &FetchResponse::new(total, piece)).await;
        }
    };
    let (page, ()) = tokio::join!(client.get_message_list(user("bob"), None, None), script);
    let message = &page.unwrap().message_list[0];
    assert_eq!((message.text(), message.is_stub()), (Some("a long story"), false));
    client.fetch_message(message).await.unwrap(); // nothing to do
}

#[tokio::test(start_paused = true)]
async fn reading_and_deleting_change_the_list() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "hi")).await;
    let list = next_list(&mut events).await;
    assert_eq!((list[0].id, list[0].unread_count), (c2c("bob"), 1));

    let script = async {
        let asked = hub.next_request().await;
        let read: MarkRead = asked.request();
        assert_eq!((read.conversation, read.sequence), (c2c("bob"), 0));
        hub.answer(&asked, &MarkReadResponse::new(1).with_counted(1))
            .await;
    };
    let (read, ()) = tokio::join!(client.set_message_read(user("bob")), script);
    assert_eq!(read.unwrap().unread_count, 0);
    assert_eq!(next_list(&mut events).await[0].unread_count, 0);

    let script = async {
        let asked = hub.next_request().await;
        assert!(asked.request::<DeleteConversation>().conversation == c2c("bob"));
        let deleted = MarkReadResponse::new(1).with_counted(1);
        hub.answer(&asked, &deleted).await;
    };
    let (deleted, ()) = tokio::join!(client.delete_conversation(user("bob")), script);
    assert_eq!(deleted.unwrap().conversation_id, c2c("bob"));
    assert!(next_list(&mut events).await.is_empty());

    let script = async {
        for _ in 0..2 {
            let asked = hub.next_request().await;
            hub.fail(&asked, ErrorCode::CONVERSATION_NOT_FOUND, "").await;
        }
    };
    let (read, deleted, ()) = tokio::join!(
        client.set_message_read(user("eve")),
        client.delete_conversation(user("eve")),
        script
    );
    assert_eq!(read.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
    assert_eq!(deleted.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
}

async fn next_list(events: &mut tim_client::EventStream) -> Vec<std::sync::Arc<tim_client::Conversation>> {
    event(events, |event| match event {
        Event::ConversationListUpdated(list) => Some(list.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_list_and_a_profile_come_from_the_hub() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let last = text("bob", c2c("alice"), 3, "hi").to_encoded();
    let bob = wire::Conversation::new(c2c("bob"))
        .with_unread(2)
        .with_read_sequence(1)
        .with_last_sequence(3)
        .with_name("Bob")
        .with_last_message(last.as_bytes())
        .with_receive_option(tim_client::proto::ReceiveOption::ACCEPT_AND_NOTIFY);
    let entries = [bob];
    let (list, ()) = tokio::join!(client.get_conversation_list(), hub.answer_list(&entries));
    let list = list.unwrap();
    let entry = &list.conversation_list[0];
    assert_eq!(
        (entry.id, entry.unread_count, entry.title()),
        (c2c("bob"), 2, "Bob")
    );
    assert_eq!(entry.last_message.as_ref().unwrap().text(), Some("hi"));
    assert!(!list.is_truncated);

    let script = async {
        let asked = hub.next_request().await;
        assert!(asked.request::<GetConversationProfile>().conversation == c2c("bob"));
        let profile = wire::ConversationProfile::new(bob).with_user(
            wire::UserProfile::new(user("bob"))
                .with_nick("Bobby")
                .with_avatar("b.png"),
        );
        hub.answer(&asked, &profile).await;
    };
    let (profile, ()) = tokio::join!(client.get_conversation_profile(user("bob")), script);
    let profile = profile.unwrap().conversation;
    assert_eq!(
        (profile.user.unwrap().nick.as_str(), profile.group),
        ("Bobby", None)
    );

    let script = async {
        for _ in 0..2 {
            let asked = hub.next_request().await;
            hub.fail(&asked, ErrorCode::CONVERSATION_NOT_FOUND, "").await;
        }
    };
    let (list, profile, ()) = tokio::join!(
        client.get_conversation_list(),
        client.get_conversation_profile(user("eve")),
        script
    );
    assert_eq!(list.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
    assert_eq!(profile.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_made_with_its_members() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let wanted = CreateGroup {
        members: vec![user("bob"), user("carol")],
        introduction: "about".into(),
        ..CreateGroup::new(GroupType::PUBLIC, "Friends")
    };
    let script = async {
        let asked = hub.next_request().await;
        let group: tim_client::proto::request::CreateGroup<'_> = asked.request();
        assert_eq!(
            (group.group, group.name, group.introduction),
            (None, "Friends", "about")
        );
        assert_eq!(
            group.members.iter().collect::<Vec<_>>(),
            [user("bob"), user("carol")]
        );
        let group = GroupId::new("@TGS#1").unwrap();
        hub.answer(&asked, &CreateGroupResponse::new(group)).await;
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::GROUP_GROUPID_IN_USED, "").await;
    };
    let calls = async {
        (
            client.create_group(wanted.clone()).await,
            client.create_group(wanted.clone()).await,
        )
    };
    let ((made, refused), ()) = tokio::join!(calls, script);
    assert_eq!(made.unwrap().group_id.as_str(), "@TGS#1");
    assert_eq!(refused.unwrap_err().code, ErrorCode::GROUP_GROUPID_IN_USED);
}
