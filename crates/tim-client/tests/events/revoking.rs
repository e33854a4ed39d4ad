//! What this client revokes itself: the application is told once, by the call or by the event, in whichever order response and
//! delivery come.

use super::support::*;
use super::*;
use tim_client::proto::request::{History, HistoryResponse, Revoke, RevokeResponse};
use tim_client::proto::wire::List;
use tim_client::{Client, ErrorCode, ImError, SendMessageResponse};

/// A message of alice's that her application holds.
async fn held(events: &mut EventStream, hub: &mut HubEnd) -> (Message<'static>, tim_client::Message) {
    let message = text("alice", c2c("bob"), 1, "oops");
    hub.deliver(&[1], &message).await;
    hub.answer_list(&[listed(c2c("bob"), 1, 0)]).await;
    (message, received(events).await.remove(0))
}

/// The revocation of a message by alice's device.
fn own_revocation<'a>(of: &Message<'_>, sequence: u64) -> Message<'a> {
    let mut revocation = revocation(of, sequence);
    revocation.envelope.origin = DEVICE;
    revocation
}

fn is_revoked(events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, Event::MessageRevoked(_)))
}

/// Alice revokes, and the hub does `script` meanwhile.
async fn revoke(
    client: &Client,
    message: &tim_client::Message,
    script: impl Future<Output = ()>,
) -> Result<SendMessageResponse, ImError> {
    tokio::join!(client.revoke_message(message), script).0
}

#[tokio::test(start_paused = true)]
async fn the_response_tells_and_the_delivery_behind_it_is_silent() {
    for keeps in [true, false] {
        let (client, mut events, mut hub, _listener) = alice_online().await;
        let (message, held) = held(&mut events, &mut hub).await;
        let script = async {
            let asked = hub.next_request().await;
            hub.answer(&asked, &RevokeResponse::new(2)).await;
        };
        revoke(&client, &held, script).await.unwrap();
        assert!(held.is_revoked());
        let held = Some(held).filter(|_| keeps);
        hub.deliver(&[2], &own_revocation(&message, 2)).await;
        hub.settle().await; // nothing is looked up
        assert!(!is_revoked(&take_all(&mut events)), "the call has told");
        assert_eq!(client.cursor(), [2], "it is done with");
        drop(held);
        // The next one is of nobody here.
        hub.deliver(&[3], &own_revocation(&message, 3)).await;
        if !keeps {
            let asked = hub.next_request().await;
            let page = [message];
            let page = HistoryResponse::new(List::from_slice(&page)).with_completed(true);
            hub.answer(&asked, &page).await;
        }
        assert_eq!(revoked(&mut events).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_delivery_comes_first_and_the_call_tells_whatever_is_answered() {
    for answer in [Ok(()), Err(ErrorCode::OUTCOME_UNKNOWN)] {
        let (client, mut events, mut hub, _listener) = alice_online().await;
        let (message, held) = held(&mut events, &mut hub).await;
        let script = async {
            let asked = hub.next_request().await;
            hub.deliver(&[2], &own_revocation(&message, 2)).await;
            hub.settle().await;
            assert!(!is_revoked(&take_all(&mut events)));
            assert_eq!(client.cursor(), [1], "nobody has been told");
            match answer {
                Ok(()) => hub.answer(&asked, &RevokeResponse::new(2)).await,
                Err(code) => hub.fail(&asked, code, "").await,
            }
        };
        revoke(&client, &held, script).await.unwrap();
        assert!(held.is_revoked());
        hub.settle().await;
        assert!(!is_revoked(&take_all(&mut events)), "the call has told");
        assert_eq!(client.cursor(), [2]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_breaks_behind_the_delivery_and_the_event_tells() {
    let (client, mut events, mut hub, listener) = alice_online().await;
    let (message, held) = held(&mut events, &mut hub).await;
    let script = async {
        hub.next_request().await;
        hub.deliver(&[2], &own_revocation(&message, 2)).await;
        hub.settle().await;
        drop((hub, listener)); // and nobody comes back
        let told = revoked(&mut events).await;
        assert!(told.len() == 1 && told[0].is_same(&held));
    };
    revoke(&client, &held, script).await.expect("it has happened");
    assert!(!is_revoked(&take_all(&mut events)));
}

#[tokio::test(start_paused = true)]
async fn the_call_fails_and_the_event_tells() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let (message, held) = held(&mut events, &mut hub).await;
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::OUTCOME_UNKNOWN, "").await;
    };
    let result = revoke(&client, &held, script).await;
    assert_eq!(result.unwrap_err().code, ErrorCode::OUTCOME_UNKNOWN);
    assert!(!held.is_revoked());
    hub.deliver(&[2], &own_revocation(&message, 2)).await;
    let told = revoked(&mut events).await;
    assert!(told.len() == 1 && told[0].is_same(&held) && held.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_call_and_the_event_tells() {
    for delivery_first in [false, true] {
        let (client, mut events, mut hub, _listener) = alice_online().await;
        let (message, held) = held(&mut events, &mut hub).await;
        let asked = tokio::select! {
            biased;
            _ = client.revoke_message(&held) => panic!("answered"),
            asked = hub.next_request() => asked,
        };
        assert_eq!(asked.request::<Revoke<'_>>().sequence, 1);
        if delivery_first {
            hub.deliver(&[2], &own_revocation(&message, 2)).await;
            hub.settle().await;
        }
        hub.answer(&asked, &RevokeResponse::new(2)).await;
        if !delivery_first {
            hub.settle().await;
            assert!(held.is_revoked());
            hub.deliver(&[2], &own_revocation(&message, 2)).await;
        }
        let told = revoked(&mut events).await;
        assert!(told.len() == 1 && told[0].is_same(&held));
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_has_revoked_is_told() {
    let (_client, mut events, mut hub, _listener) = alice_online().await;
    let message = text("alice", c2c("bob"), 1, "oops");
    hub.deliver(&[1], &own_revocation(&message, 2)).await;
    let asked = hub.next_request().await;
    assert_eq!(asked.request::<History<'_>>().conversation, c2c("bob"));
    let page = [message];
    let page = HistoryResponse::new(List::from_slice(&page)).with_completed(true);
    hub.answer(&asked, &page).await;
    let told = revoked(&mut events).await.remove(0);
    assert_eq!((told.id(), told.is_revoked()), (message.id, true));
}
