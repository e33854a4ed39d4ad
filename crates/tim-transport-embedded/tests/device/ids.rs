//! The ids of messages: drawn so that they differ, replaced when the hub refuses one, kept over a reset.

use std::collections::HashSet;

use tim_session::proto::message::{Message, SendOptions, Text};
use tim_session::proto::wire::FrameKind;
use tim_session::proto::{ConversationId, ErrorCode, MessageId};
use tim_transport_embedded::{Client, ClientConfig, Error, Events};

use crate::hub::{ACCOUNT, bob};
use crate::support::{Slot, config, log_in, refusal, with_config};
use crate::world::World;

/// One life of a device, from login on; the hub and the time go on.
fn life(world: &World, config: ClientConfig, script: impl AsyncFnOnce(Client<'_>, Events<'_>)) {
    with_config(world, config, async |client, mut events| {
        log_in(client, &mut events).await;
        script(client, events).await;
    });
    world.is_open.set(false);
    world.hub.borrow_mut().close();
}

fn text<'a>(client: Client<'_>, text: &'a str) -> Message<'a, Text<'a>> {
    client.create_text_message(bob(), text).expect("a message")
}

#[test]
fn lives_and_devices_with_the_same_seed_draw_different_ids() {
    let mut ids = HashSet::new();
    let world = World::new();
    for number in [7, 8] {
        for _ in 0..5 {
            let mut config = config();
            config.device = number;
            // All of it happens within a second of the hub's time, a millisecond from life to life.
            world.now.set(world.now.get() + 1_000);
            life(&world, config, async |client, _events| {
                ids.extend((0..20).map(|_| text(client, "x").id));
            });
        }
    }
    assert!(world.now.get() < 1_000_000);
    assert_eq!(ids.len(), 200);
}

#[test]
fn a_message_whose_id_is_used_is_sent_under_another_one_by_itself() {
    let world = World::new();
    life(&world, config(), async |client, mut events| {
        let mut first = text(client, "the terminal is on");
        events
            .until(client.send_message(&mut first), |_| {})
            .await
            .expect("sent");
        let mut fire = text(client, "FIRE");
        fire.id = first.id;
        let answer = events.until(client.send_message(&mut fire), |_| {}).await;
        let answer = answer.expect("sent");
        assert_eq!((answer.sequence, answer.duplicate), (2, false));
        assert_eq!(fire.id, first.id.successor(7));
        // It can be taken back as it stands.
        events
            .until(client.revoke_message(&fire), |_| {})
            .await
            .expect("revoked");
        // The chain has an end.
        for n in 0..3 {
            let name = n.to_string();
            let mut other = text(client, &name);
            other.id = first.id;
            let sent = events.until(client.send_message(&mut other), |_| {}).await;
            assert_eq!(sent.is_ok(), n < 2, "{sent:?}");
            if n == 2 {
                assert_eq!(sent, Err(refusal(ErrorCode::MESSAGE_ID_REUSED)));
            }
        }
    });
    assert_eq!(
        world.hub.borrow().texts_of_kiosk(),
        ["the terminal is on", "FIRE", "0", "1"]
    );
}

#[test]
fn a_message_that_was_kept_over_a_reset_stays_one_entry() {
    let world = World::new();
    let mut kept = [0; MessageId::LEN];
    // Life 1: it is sent, and the device is reset before it sees the answer.
    life(&world, config(), async |client, mut events| {
        let mut message = text(client, "a parcel has come");
        kept = message.id.to_bytes();
        events
            .until(client.send_message(&mut message), |_| {})
            .await
            .expect("sent");
    });
    life(&world, config(), async |client, mut events| {
        let said = Text::new("a parcel has come");
        let id = MessageId::from_bytes(kept);
        let mut message = client.restore_message(bob(), said, id).expect("a message");
        assert_eq!(message.id, id);
        let sent = events.until(client.send_message(&mut message), |_| {}).await;
        let sent = sent.expect("sent");
        assert_eq!((sent.sequence, sent.duplicate), (1, true));
        events
            .until(client.revoke_message(&message), |_| {})
            .await
            .expect("revoked");

        let foreign = MessageId {
            sender: ACCOUNT + 1,
            ..id
        };
        assert_eq!(
            client.restore_message(bob(), said, foreign),
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE))
        );
        assert_eq!(
            client.restore_message(ConversationId::System, said, id),
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE))
        );
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["a parcel has come"]);
}

/// The hub stored it under the successor of its id, and the device was reset before it knew.
#[test]
fn a_message_that_was_renamed_before_a_reset_stays_one_entry() {
    let world = World::new();
    let mut kept = [0; MessageId::LEN];
    for life_number in 0..2 {
        life(&world, config(), async |client, mut events| {
            let mut other = text(client, "other");
            let mut fire = text(client, "FIRE");
            if life_number == 0 {
                kept = other.id.to_bytes();
                events
                    .until(client.send_message(&mut other), |_| {})
                    .await
                    .expect("sent");
            }
            fire.id = MessageId::from_bytes(kept);
            events
                .until(client.send_message(&mut fire), |_| {})
                .await
                .expect("sent");
        });
    }
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["other", "FIRE"]);
}

#[test]
fn a_count_of_messages_has_ten_digits() {
    let world = World::new();
    life(&world, config(), async |client, _events| {
        // The hub's clock says 22:13:20.
        let first = text(client, "x").client_sequence;
        assert_eq!(first, 2_213_200_001);
        assert_eq!(text(client, "y").client_sequence, first + 1);
    });
}

/// The device is reset, and the message is sent again too early, as another user, and as its own.
#[test]
fn a_message_stays_in_the_outbox_until_its_own_account_is_logged_in() {
    let world = World::new();
    let (mut slot, mut record) = (Slot::default(), [0; 200]);
    life(&world, config(), async |client, mut events| {
        let mut parcel = text(client, "a parcel has come");
        let id = parcel.id;
        for _ in 0..2 {
            // Its id is used, and its successor comes at a bad time.
            world.hub.borrow_mut().model.behavior.refuse = vec![
                (FrameKind::SEND, ErrorCode::MESSAGE_ID_REUSED),
                (FrameKind::SEND, ErrorCode::RATE_LIMITED),
            ];
            let kept = client.send_kept_message(&mut parcel, SendOptions::default(), &mut slot, &mut record);
            let sent = events.until(kept, |_| {}).await;
            assert_eq!(sent, Err(refusal(ErrorCode::RATE_LIMITED)));
            assert_eq!(parcel.id, id);
        }
    });
    with_config(&world, config(), async |client, mut events| {
        let early = client
            .resend_kept(&mut slot, &mut record, |_, _| unreachable!())
            .await;
        assert_eq!(early, Err(Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN)));
        log_in(client, &mut events).await;
        slot.swap_account();
        let foreign = client.resend_kept(&mut slot, &mut record, |_, _| unreachable!());
        let foreign = events.until(foreign, |_| {}).await;
        assert_eq!(foreign, Err(Error::OtherAccount));
        slot.swap_account();
        let mut resent = Vec::new();
        let own = client.resend_kept(&mut slot, &mut record, |_, sent| resent.push(sent));
        events.until(own, |_| {}).await.expect("answered");
        assert!(matches!(resent[..], [Ok(sent)] if !sent.duplicate), "{resent:?}");
        assert!(slot.0.is_none());
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["a parcel has come"]);
}
