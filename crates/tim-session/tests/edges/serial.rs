//! The serial line's limits.

use std::time::Duration;

use tim_session::proto::message::to_vec;
use tim_session::proto::request::Done;
use tim_session::proto::wire::{FrameKind, Hello, serial_encode, serial_encoded_max_len};
use tim_session::{CloseReason, Framing, HubConfig, HubOutput, Instant};

use crate::support::*;

/// A packet as it goes on the line.
fn packet(counter: u16, content: &[u8]) -> Vec<u8> {
    let counted = [&counter.to_le_bytes(), content].concat();
    let mut line = vec![0; serial_encoded_max_len(counted.len())];
    let len = serial_encode(&counted, &mut line).unwrap();
    line.truncate(len);
    line
}

#[test]
fn the_buffer_that_a_frame_needs_is_what_its_packet_takes() {
    for len in [0, 1, 200, 252, 253, 254, 255, 506, 507, 508, 509, 510, 2000] {
        let most = Framing::Serial.buffer_len(len);
        let worst = packet(0x0101, &vec![1; len]).len();
        assert!(worst <= most, "{len}: {worst} of {most}");
        assert!(most <= worst + 1, "{len}: {most} for {worst}");
        assert_eq!(Framing::Stream.buffer_len(len), len);
    }
}

#[test]
fn both_ends_announce_the_longest_frame_that_their_buffers_hold_on_a_serial_line() {
    let mut hub_config = HubConfig::default();
    let mut client_config = config();
    (hub_config.framing, client_config.framing) = (Framing::Serial, Framing::Serial);
    for frame_len in [256, 257, 300, 400, 505, 506, 507, 508, 509, 510, 700] {
        let rx = Framing::Serial.buffer_len(frame_len);
        let client = client_with(client_config.clone(), [rx, 2048, 2048]);
        let announced = client.max_frame();
        assert!(
            announced == frame_len || announced == frame_len + 1,
            "{frame_len}: {announced}"
        );
        // And a frame of that length comes through.
        let (mut client, mut hub) = online_with(client, hub_with(hub_config, [2048, 2048]));
        assert_eq!(hub.peer_max_frame(), announced);
        let all = hub.outgoing().len();
        hub.transmitted(all);
        let bytes = frame_of_len(FrameKind::GAP, 0, frame_len);
        // Hello, the answer to the login, SYNCED: the next is number 3.
        for piece in packet(3, &bytes).chunks(7) {
            assert_eq!(client.receive(NOW, piece), piece.len());
        }
        assert_eq!(drain(&mut client, NOW), ["Malformed"], "{frame_len}");
    }
}

#[test]
fn a_hub_end_on_a_serial_line_begins_again_with_nothing_of_the_last_session() {
    let mut hub_config = HubConfig::default();
    let mut client_config = config();
    (hub_config.framing, client_config.framing) = (Framing::Serial, Framing::Serial);
    let client = client_with(client_config.clone(), [2048; 3]);
    let (_old, mut hub) = online_with(client, hub_with(hub_config, [2048, 2048]));
    assert_eq!((hub.window(), hub.peer_max_frame() > 0), (64, true));
    let bytes = packet(0, &hello(tim_session::proto::wire::End::CLIENT, (1, 1), 4096));
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(hub.poll(NOW), HubOutput::Close(CloseReason::Superseded));
    assert_eq!(hub.poll(NOW), HubOutput::Wait(None));
    hub.begin_again(NOW);
    assert_eq!(
        (hub.window(), hub.window_capacity(), hub.peer_max_frame()),
        (0, 0, 0)
    );
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(Some(_))));
    assert!(hub.outgoing().len() > Hello::LEN, "the early hello was answered");
    assert_eq!(hub.window(), 2);
    let ping = packet(1, &frame(FrameKind::PING, 4, &Done));
    hub.transmitted(hub.outgoing().len());
    assert_eq!(hub.receive(NOW, &ping), ping.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert!(!hub.outgoing().is_empty(), "it counts from the new hello");
}

pub(crate) fn serial_ends() -> (Client, Hub) {
    let (mut client_config, mut hub_config) = (config(), HubConfig::default());
    (hub_config.framing, client_config.framing) = (Framing::Serial, Framing::Serial);
    let (mut client, mut hub) = online_with(
        client_with(client_config, [2048; 3]),
        hub_with(hub_config, [2048, 2048]),
    );
    // Until both know that all has come.
    let mut now = NOW;
    for _ in 0..5 {
        now = now + Duration::from_secs(2);
        let _ = (drain(&mut client, now), drain_hub(&mut hub, now));
        carry(&mut client, &mut hub, now);
        let _ = (drain(&mut client, now), drain_hub(&mut hub, now));
        carry(&mut client, &mut hub, now);
        let _ = (drain(&mut client, now), drain_hub(&mut hub, now));
    }
    assert!(client.is_ready() && hub.is_online());
    (client, hub)
}

const QUIET: Instant = Instant::from_millis(11_000);

/// Polls the client at each of its wakes until its connection is lost; `None` if it still is not after `limit`.
fn lost_after(
    client: &mut Client,
    limit: Duration,
    mut at_each: impl FnMut(&mut Client),
) -> Option<Duration> {
    let mut now = QUIET;
    while now - QUIET < limit {
        let (seen, wake) = drain_until(client, now);
        if seen.iter().any(|seen| seen == "Disconnect") {
            return Some(now - QUIET);
        }
        at_each(client);
        now = wake.unwrap_or(now + limit);
    }
    None
}

#[test]
fn a_serial_line_that_takes_no_byte_is_given_up_and_one_that_takes_some_is_not() {
    let timeout = config().keep_alive_timeout;
    let long = "x".repeat(1000);
    let message = text(&long);
    let (mut client, _hub) = serial_ends();
    client.send(QUIET, &message, Default::default()).unwrap();
    let lost = lost_after(&mut client, 10 * timeout, |client| client.transmitted(0));
    let lost = lost.expect("a line that is stuck");
    assert!(lost >= timeout && lost < 2 * timeout, "{lost:?}");

    let (mut client, _hub) = serial_ends();
    client.send(QUIET, &message, Default::default()).unwrap();
    let lost = lost_after(&mut client, 10 * timeout, |client| {
        client.transmitted(1);
        assert!(!client.outgoing().is_empty());
    });
    assert_eq!(lost, None, "slow, but it moves");
}

#[test]
fn a_hub_end_on_a_serial_line_is_content_with_a_pong_and_nothing_else() {
    let config = HubConfig::default();
    for (kind, content) in [(FrameKind::PONG, true), (FrameKind::PING, false)] {
        let (mut client, mut hub) = serial_ends();
        // The client's next packet has the number that the hub expects: let it say something of its own.
        let asked = QUIET + config.keep_alive + config.keep_alive;
        let _ = drain_hub(&mut hub, asked);
        assert!(!hub.outgoing().is_empty(), "it asks");
        let later = asked + TICK;
        match kind {
            FrameKind::PONG => carry(&mut client, &mut hub, later), // nothing from the client yet
            _ => client.transmitted(client.outgoing().len()),
        }
        let (_, _) = drain_until(&mut client, later);
        carry(&mut client, &mut hub, later);
        let HubOutput::Wait(Some(until)) = hub.poll(later) else {
            panic!("it is lost")
        };
        let quiet = until > later + config.keep_alive / 2;
        assert_eq!(quiet, content, "{kind}: asks again {:?} later", until - later);
    }
}

#[test]
fn sizes_that_nobody_has_memory_for_are_no_overflow() {
    for absurd in [usize::MAX, usize::MAX - 1, usize::MAX - 6, usize::MAX / 254 * 254] {
        assert_eq!(Framing::Serial.buffer_len(absurd), usize::MAX);
        assert_eq!(serial_encoded_max_len(absurd), usize::MAX);
    }
}

#[test]
fn on_a_serial_line_too_deliveries_are_acknowledged_at_half_the_window_or_when_nothing_more_waits() {
    let (mut client_config, mut hub_config) = (config(), HubConfig::default());
    (hub_config.framing, client_config.framing) = (Framing::Serial, Framing::Serial);
    client_config.window = 8;
    let (mut client, mut hub) = online_with(
        client_with(client_config, [2048; 3]),
        hub_with(hub_config, [2048, 2048]),
    );
    carry(&mut client, &mut hub, NOW);
    assert_eq!(client.outgoing(), b"");
    for cursor in 2..8 {
        hub.deliver(&[cursor], 0, &to_vec(&text("hi"))).unwrap();
    }
    carry(&mut client, &mut hub, NOW);
    let mut packets = Vec::new();
    for _ in 0..6 {
        assert_eq!(delivered(&mut client, NOW), "hi");
        packets.push(client.outgoing().iter().filter(|byte| **byte == 0).count() / 2);
    }
    assert_eq!(packets, [0, 0, 0, 0, 1, 1], "an ACK behind the fourth");
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    assert_eq!(client.outgoing().iter().filter(|byte| **byte == 0).count(), 4);
}

#[test]
fn a_packet_longer_than_any_is_noise_with_all_that_stands_before_the_next_zero() {
    let mut client_config = config();
    client_config.framing = Framing::Serial;
    client_config.max_frame = 280;
    let mut hub_config = HubConfig::default();
    hub_config.framing = Framing::Serial;
    let good = packet(3, &frame_of_len(FrameKind::GAP, 0, 280));
    for (noise, until_full) in [
        // As long as the buffer, and longer: what looks like a packet at its end belongs to it.
        ([&[1; 400][..], &good[1..]].concat(), true),
        // It fits the buffer, but no frame that was agreed is so long.
        (packet(3, &frame_of_len(FrameKind::GAP, 0, 330)), false),
        (packet(3, &frame_of_len(FrameKind::GAP, 0, 400)), false),
    ] {
        let rx = if until_full { 400 } else { 2048 };
        let (mut client, _hub) = online_with(
            client_with(client_config.clone(), [rx, 2048, 2048]),
            hub_with(hub_config, [2048, 2048]),
        );
        let mut rest = &noise[..];
        while !rest.is_empty() {
            let taken = client.receive(NOW, rest);
            assert!(taken > 0, "noise blocks the line");
            rest = &rest[taken..];
            assert_eq!(drain(&mut client, NOW), [""; 0]);
        }
        assert_eq!(client.receive(NOW, &good), good.len());
        assert_eq!(drain(&mut client, NOW), ["Malformed"], "the next packet is whole");
    }
}

#[test]
fn a_hub_end_gives_up_a_serial_line_that_takes_no_byte_and_not_one_that_takes_some() {
    let timeout = HubConfig::default().keep_alive_timeout;
    for trickle in [0, 1] {
        let (_client, mut hub) = serial_ends();
        hub.deliver(&[2], 0, &to_vec(&text(&"x".repeat(1000)))).unwrap();
        let (mut now, mut lost) = (QUIET, None);
        while now - QUIET < 10 * timeout && lost.is_none() {
            match hub.poll(now) {
                HubOutput::Wait(wake) => now = wake.unwrap(),
                HubOutput::Close(reason) => lost = Some((reason, now - QUIET)),
                HubOutput::Event(event) => panic!("{event:?}"),
            }
            hub.transmitted(trickle);
        }
        match (trickle, lost) {
            (0, Some((CloseReason::TimedOut, after))) => assert!(after >= timeout && after < 2 * timeout),
            (1, None) => assert!(!hub.outgoing().is_empty(), "slow, but it moves"),
            other => panic!("{other:?}"),
        }
    }
}
