//! Sending again: under another id, after a refusal that passes.

use std::time::Duration;

use super::support::*;
use super::*;
use tim_client::proto::message::{MessageFlags, tags, to_vec};
use tim_client::proto::request::{Failure, HistoryResponse, Send};
use tim_client::proto::wire::{Extension, Extensions, List};
use tim_client::{ErrorCode, SendOptions, Status};

/// Takes the next SEND, refuses its id or stores it, and says which id it was.
async fn take_send(hub: &mut HubEnd, refuse: bool) -> tim_client::MessageId {
    let asked = asked_beside_lists(hub).await;
    let send: Send<'_> = asked.request();
    let id = send.content.id;
    match refuse {
        true => hub.fail(&asked, ErrorCode::MESSAGE_ID_REUSED, "").await,
        false => hub.answer(&asked, &STORED).await,
    }
    id
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_id_is_used_is_sent_under_another_one_by_itself() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "FIRE").unwrap();
    let first = message.id();
    // The message that has the id comes from another device while this one is under way.
    let mut other = text("alice", c2c("bob"), 9, "all is well");
    other.id = first;
    let script = async {
        hub.deliver(&[1], &other).await;
        let ids = [
            take_send(&mut hub, true).await,
            take_send(&mut hub, true).await,
            take_send(&mut hub, false).await,
        ];
        assert_eq!(ids[0], first);
        assert_eq!(ids[1], first.successor(DEVICE));
        assert_eq!(ids[2], ids[1].successor(DEVICE));
        ids[2]
    };
    let (sent, last) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert!(sent.unwrap().message.is_same(&message));
    assert_eq!((message.id(), message.status()), (last, Status::Success));
    assert_eq!(message.view().id, last);
    let received = received(&mut events).await;
    assert_eq!(
        (received[0].text(), received[0].id()),
        (Some("all is well"), first)
    );
    // What the hub shows under the new id is this instance.
    let mut shown = text("alice", c2c("bob"), 10, "FIRE");
    shown.id = last;
    let page = async {
        let asked = asked_beside_lists(&mut hub).await;
        let messages = [shown];
        let answer = HistoryResponse::new(List::from_slice(&messages)).with_completed(true);
        hub.answer(&asked, &answer).await;
    };
    let (page, ()) = tokio::join!(client.get_message_list(user("bob"), None, None), page);
    assert!(page.unwrap().message_list[0].is_same(&message));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_refuses_every_id_is_not_asked_for_ever() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let script = async {
        for _ in 0..4 {
            take_send(&mut hub, true).await;
        }
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::MESSAGE_ID_REUSED);
    assert_eq!(message.status(), Status::Fail);
    // Later it may go.
    let (sent, _) = tokio::join!(client.resend_message(&message), take_send(&mut hub, false));
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_count_of_messages_has_ten_digits_and_ids_differ() {
    let (client, _events, _hub, _listener) = alice_online().await;
    let made: Vec<_> = (0..1000)
        .map(|_| client.create_text_message(user("bob"), "x").unwrap())
        .collect();
    let first = made[0].view().client_sequence;
    for (message, sequence) in made.iter().zip(first..) {
        assert_eq!(message.view().client_sequence, sequence);
        assert_eq!(sequence.to_string().len(), 10);
        assert!(u32::try_from(sequence).is_ok());
    }
    let ids: std::collections::HashSet<_> = made.iter().map(tim_client::Message::id).collect();
    assert_eq!(ids.len(), 1000);
}

/// Refuses as often as it is asked, `times` at most, and then stores; says how often it refused, and at what moments it
/// was asked.
async fn refuse_then_store(hub: &mut HubEnd, failure: Failure<'_>, times: usize) -> Vec<Duration> {
    let start = tokio::time::Instant::now();
    let (mut moments, mut first) = (Vec::new(), None);
    loop {
        let asked = asked_beside_lists(hub).await;
        moments.push(start.elapsed());
        let send: Send<'_> = asked.request();
        assert_eq!(
            *first.get_or_insert(send.content.id),
            send.content.id,
            "one id for all"
        );
        if moments.len() > times {
            hub.answer(&asked, &STORED).await;
            return moments;
        }
        hub.fail_with(&asked, &failure).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_pass_are_waited_out_as_long_as_the_hub_says_if_that_is_wanted() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let soon = Failure::new(ErrorCode::RATE_LIMITED, "").with_retry_after_ms(700);
    // Without the wish the refusal is told, and says when.
    let script = async {
        let asked = hub.next_request().await;
        hub.fail_with(&asked, &soon).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().retry_after(), Some(Duration::from_millis(700)));
    // With it, the same instance goes again and again, never before its time.
    let patient = SendOptions::default().retry_for(Duration::from_secs(10));
    let (sent, moments) = tokio::join!(
        client.send_message(&message, patient.clone()),
        refuse_then_store(&mut hub, soon, 3)
    );
    sent.unwrap();
    assert_eq!((message.status(), message.is_resend()), (Status::Success, false));
    assert_eq!(moments.len(), 4);
    for pair in moments.windows(2) {
        let wait = pair[1] - pair[0];
        assert!(wait >= Duration::from_millis(700), "{moments:?}");
        assert!(wait < Duration::from_millis(710), "{moments:?}");
    }
    // Untold, the waits grow.
    let message = client.create_text_message(user("bob"), "y").unwrap();
    let untold = Failure::new(ErrorCode::STORAGE_FAILED, "");
    let (sent, moments) = tokio::join!(
        client.send_message(&message, patient),
        refuse_then_store(&mut hub, untold, 5)
    );
    sent.unwrap();
    assert!(moments[5] - moments[4] > moments[2] - moments[1], "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_is_what_the_sender_wrote_and_not_what_the_hub_added() {
    for revoked in [false, true] {
        let (client, _events, mut hub, _listener) = alice_online().await;
        let message = client.create_text_message(user("bob"), "x").unwrap();
        let kept = message.to_bytes();
        drop(message);
        let message = client.restore_message(&kept).unwrap();
        let patient = SendOptions::default().retry_for(Duration::from_secs(10));
        let script = async {
            let asked = asked_beside_lists(&mut hub).await;
            let first: Send<'_> = asked.request();
            // The hub has the message, for an earlier answer was lost, and shows it before it answers.
            let page = tokio::spawn({
                let client = client.clone();
                async move { client.get_message_list(user("bob"), None, None).await.map(drop) }
            });
            let history = asked_beside_lists(&mut hub).await;
            let more = match revoked {
                false => to_vec(&Extension::new(tags::NICK, b"Alice")),
                true => to_vec(&Extension::new(tags::REVOKER, b"alice")),
            };
            let mut shown = text("alice", c2c("bob"), 12, "x");
            shown.id = first.content.id;
            shown.envelope.origin = DEVICE;
            shown.extensions = Extensions::new(&more).unwrap();
            if revoked {
                shown.envelope.flags |= MessageFlags::REVOKED;
            }
            let shown = [shown];
            let messages = List::from_slice(&shown);
            let answer = HistoryResponse::new(messages).with_completed(true);
            hub.answer(&history, &answer).await;
            page.await.unwrap().unwrap();
            let kept = message.to_bytes();
            hub.fail(&asked, ErrorCode::RATE_LIMITED, "").await;
            let again = asked_beside_lists(&mut hub).await;
            assert_eq!((again.kind, &again.body), (asked.kind, &asked.body));
            let answer = STORED.with_duplicate(true);
            hub.answer(&again, &answer).await;
            kept
        };
        let (sent, kept) = tokio::join!(client.send_message(&message, patient), script);
        sent.unwrap();
        assert_eq!(
            (message.status(), message.is_revoked()),
            (Status::Success, revoked)
        );
        // Kept while it was being sent: what is left of a revoked message is not sent as a new one.
        if revoked {
            let (restarted, _events, _hub, _listener) = alice_online().await;
            let back = restarted.restore_message(&kept).unwrap();
            assert_eq!((back.status(), back.is_revoked()), (Status::Fail, true));
            let error = restarted.resend_message(&back).await.unwrap_err();
            assert_eq!(
                (error.code, back.is_resend()),
                (ErrorCode::INVALID_OPERATION, false)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_out_refusals_has_an_end_and_is_not_for_those_that_stay() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let patient = SendOptions::default().retry_for(Duration::from_secs(10));
    let message = client.create_text_message(user("bob"), "x").unwrap();
    // A second try after 7 s, and none after 14.
    let script = async {
        for _ in 0..2 {
            let asked = asked_beside_lists(&mut hub).await;
            assert!(!message.is_resend() && message.status() == Status::UnSend);
            let failure = Failure::new(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT, "").with_retry_after_ms(7_000);
            hub.fail_with(&asked, &failure).await;
        }
    };
    let start = tokio::time::Instant::now();
    let (sent, ()) = tokio::join!(client.send_message(&message, patient.clone()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT);
    assert_eq!((message.status(), start.elapsed().as_secs()), (Status::Fail, 7));
    // If it is not known what became of an attempt before, a refusal for the moment does not say that it was not stored.
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let codes = [ErrorCode::OUTCOME_UNKNOWN, ErrorCode::STORAGE_FULL];
    let script = async {
        for code in codes {
            let asked = asked_beside_lists(&mut hub).await;
            let failure = Failure::new(code, "").with_retry_after_ms(7_000);
            hub.fail_with(&asked, &failure).await;
        }
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, patient.clone()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::OUTCOME_UNKNOWN);
    // What nobody's waiting cures is told at once.
    let message = client.create_text_message(user("bob"), "y").unwrap();
    let script = async {
        let asked = asked_beside_lists(&mut hub).await;
        hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "").await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, patient.clone()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::GROUP_PERMISSION_DENY);
    // Who stops waiting leaves a message that can be sent again.
    let message = client.create_text_message(user("bob"), "z").unwrap();
    let sending = client.send_message(&message, patient);
    let script = async {
        let asked = asked_beside_lists(&mut hub).await;
        hub.fail_with(
            &asked,
            &Failure::new(ErrorCode::RATE_LIMITED, "").with_retry_after_ms(5_000),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(message.status(), Status::UnSend);
    };
    tokio::select! {
        biased;
        _ = sending => panic!("it waits"),
        () = script => {}
    }
    assert_eq!(message.status(), Status::Fail);
    hub.settle().await;
}
