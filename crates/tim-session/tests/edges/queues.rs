//! What is received and what goes out, in buffers that are never quite empty.

use tim_session::proto::message::to_vec;
use tim_session::proto::request::Done;
use tim_session::proto::wire::{Frame, FrameKind, Parsed};
use tim_session::{HubConfig, SendError};

use tim_testkit::RawBody;

use crate::support::*;

#[test]
fn received_bytes_move_to_the_front_when_the_room_behind_them_is_used_up() {
    // One frame and a half in the buffer at most: without moving, the second half never fits.
    let (mut client, mut hub) = online_with(client_with(config(), [280, 2048, 2048]), hub());
    let mut stream = Vec::new();
    let texts: Vec<String> = (0..50).map(|n| format!("message {n:0140}")).collect();
    for text in &texts {
        hub.deliver(&[2], 0, &to_vec(&crate::support::text(text)))
            .unwrap();
        stream.extend_from_slice(hub.outgoing());
        hub.transmitted(hub.outgoing().len());
    }
    let (mut at, mut seen) = (0, Vec::new());
    while at < stream.len() {
        let taken = client.receive(NOW, &stream[at..stream.len().min(at + 177)]);
        assert!(taken > 0, "no room for the rest of a frame at {at}");
        at += taken;
        while client_has_frame(&mut client, &mut seen) {}
    }
    assert_eq!(seen, texts);
}

fn client_has_frame(client: &mut Client, seen: &mut Vec<String>) -> bool {
    use tim_session::{Event, Output};
    match client.poll(NOW) {
        Output::Event(Event::Delivered(delivery)) => {
            let message = delivery.message();
            let tim_session::proto::Payload::Text(text) = message.payload else {
                panic!("no text")
            };
            seen.push(text.text.to_owned());
            true
        }
        Output::Wait(_) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn outgoing_bytes_move_to_the_front_when_the_room_behind_them_is_used_up() {
    let (_client, mut hub) = online_with(client(), hub_with(HubConfig::default(), [2048, 280]));
    let answer = |n: u8| [n; 100];
    let (mut stream, mut number) = (Vec::new(), 0_u8);
    while number < 100 {
        match hub.respond_untyped(number.into(), FrameKind::SEND, &RawBody(&answer(number))) {
            Ok(()) => number += 1,
            Err(SendError::Full) => {
                let all = hub.outgoing();
                let some = all.len().min(37);
                stream.extend_from_slice(&all[..some]);
                hub.transmitted(some);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(hub.outgoing().len() <= 280);
    }
    stream.extend_from_slice(hub.outgoing());
    let mut rest = &stream[..];
    for number in 0..100_u8 {
        let Ok(Parsed::Frame(frame, len)) = Frame::parse(rest, 280) else {
            panic!("frame {number} is damaged")
        };
        assert_eq!((frame.id, frame.body), (number.into(), &answer(number)[..]));
        rest = &rest[len..];
    }
    assert_eq!(rest, b"");
}

#[test]
fn what_is_sent_leaves_the_front_and_no_more_than_that() {
    let (mut client, _hub) = online();
    send(&mut client, NOW);
    let all = client.outgoing().to_vec();
    client.transmitted(0);
    assert_eq!(client.outgoing(), all);
    client.transmitted(5);
    assert_eq!(client.outgoing(), &all[5..]);
    client.transmitted(usize::MAX);
    assert_eq!(client.outgoing(), b"", "more than there was is all there was");
}

#[test]
fn a_hub_end_says_how_much_it_can_still_receive_and_queue() {
    let (_client, mut hub) = online_with(client(), hub_with(HubConfig::default(), [300, 270]));
    assert_eq!((hub.receive_capacity(), hub.outgoing_capacity()), (300, 270));
    let part = &frame_of_len(FrameKind::SEND, 1, 300)[..100];
    assert_eq!(hub.receive(NOW, part), 100);
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert_eq!((hub.receive_capacity(), hub.space(1000).len()), (200, 200));
    hub.push(FrameKind::SYNCED, &Done).unwrap();
    let queued = hub.outgoing().len();
    assert_eq!(hub.outgoing_capacity(), 270 - queued);
    hub.transmitted(queued);
    assert_eq!(hub.outgoing_capacity(), 270);
}
