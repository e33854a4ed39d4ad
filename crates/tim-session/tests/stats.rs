//! What a session counts, in virtual time.

use std::time::Duration;

use tim_session::proto::wire::FrameKind;
use tim_session::{Framing, HubConfig, HubEvent, HubOutput, Instant, SessionStats};
use tim_testkit::ends::{
    Client, Hub, NOW, approach, carry, client_with, config, drain, drain_hub, hub_at, hub_with, let_in,
    memory, online, online_with, send, take_up,
};

#[test]
fn both_ends_count_the_same_frames_and_bytes() {
    let (mut client, mut hub) = online();
    send(&mut client, NOW);
    carry(&mut client, &mut hub, NOW);
    let (up, down) = (client.stats(), hub.stats());
    // Hello, LOGIN and SEND; hello, the response to LOGIN and SYNCED.
    assert_eq!((up.frames_sent, down.frames_sent), (3, 3));
    assert_eq!(down.frames_received, 2, "the SEND has not been polled for");
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 1"]);
    assert_eq!((up.frames_received, hub.stats().frames_received), (3, 3));
    assert_eq!(up.bytes_sent, down.bytes_received);
    assert_eq!(down.bytes_sent, up.bytes_received);
    assert!(up.bytes_sent > 60 && down.bytes_sent > 30, "{up:?} {down:?}");
    assert_eq!((up.reconnects, up.resends, up.malformed_frames), (0, 0, 0));
}

#[test]
fn a_new_session_has_counted_nothing() {
    let client = client_with(config(), [2048; 3]);
    assert_eq!(client.stats(), SessionStats::default());
    assert_eq!(hub_at(NOW).stats(), SessionStats::default());
}

/// Lets the client send its PING, and answers it after `delay`.
fn ping(client: &mut Client, hub: &mut Hub, now: Instant, delay: Duration) -> Instant {
    let now = now + client.config().keep_alive;
    drain(client, now);
    carry(client, hub, now);
    drain_hub(hub, now);
    let now = now + delay;
    carry(client, hub, now);
    drain(client, now);
    now
}

#[test]
fn the_round_trip_is_the_time_from_a_ping_to_its_pong() {
    let (mut client, mut hub) = online();
    assert_eq!(client.stats().round_trip, None);
    let now = ping(&mut client, &mut hub, NOW, Duration::from_millis(40));
    assert_eq!(client.stats().round_trip, Some(Duration::from_millis(40)));
    ping(&mut client, &mut hub, now, Duration::from_millis(7));
    assert_eq!(client.stats().round_trip, Some(Duration::from_millis(7)));
    assert_eq!(hub.stats().round_trip, None, "the hub has not asked");
}

#[test]
fn a_clock_that_goes_back_makes_no_round_trip_of_an_hour() {
    let (mut client, mut hub) = online();
    let later = Instant::from_micros((1 << 63) + 7);
    let now = ping(&mut client, &mut hub, later, Duration::from_millis(40));
    assert_eq!(client.stats().round_trip, Some(Duration::from_millis(40)));
    let asked = now + client.config().keep_alive;
    drain(&mut client, asked);
    carry(&mut client, &mut hub, asked);
    drain_hub(&mut hub, asked);
    let back = NOW;
    carry(&mut client, &mut hub, back);
    drain(&mut client, back);
    assert_eq!(client.stats().round_trip, Some(Duration::ZERO));
    ping(&mut client, &mut hub, back, Duration::from_millis(7));
    assert_eq!(client.stats().round_trip, Some(Duration::from_millis(7)));
}

#[test]
fn the_hub_measures_the_round_trip_too() {
    let (mut client, mut hub) = online();
    let now = NOW + HubConfig::default().keep_alive;
    drain_hub(&mut hub, now);
    carry(&mut client, &mut hub, now);
    drain(&mut client, now);
    let now = now + Duration::from_millis(25);
    carry(&mut client, &mut hub, now);
    drain_hub(&mut hub, now);
    assert_eq!(hub.stats().round_trip, Some(Duration::from_millis(25)));
}

#[test]
fn a_cut_counts_a_reconnect_and_the_requests_that_are_sent_again() {
    let (mut client, mut hub) = online();
    for _ in 0..3 {
        send(&mut client, NOW);
    }
    carry(&mut client, &mut hub, NOW);
    client.disconnected(NOW);
    let later = NOW + Duration::from_secs(1);
    assert_eq!(drain(&mut client, later), ["NetState", "NetState", "Connect"]);
    // A second loss before anything was sent repeats nothing.
    client.disconnected(later);
    assert_eq!(client.stats().resends, 3);
    let later = later + Duration::from_secs(2);
    drain(&mut client, later);
    let mut hub = hub_at(later);
    approach(&mut client, &mut hub, later);
    let_in(&mut hub);
    carry(&mut client, &mut hub, later);
    drain(&mut client, later);
    carry(&mut client, &mut hub, later);
    assert_eq!(
        drain_hub(&mut hub, later),
        ["Request 1", "Request 2", "Request 3"]
    );
    let stats = client.stats();
    assert_eq!((stats.reconnects, stats.resends), (1, 3));
}

#[test]
fn a_push_that_cannot_be_decoded_is_counted_and_reported() {
    let (mut client, mut hub) = online();
    hub.push(FrameKind::GAP, &7_u8).unwrap();
    hub.push(FrameKind::EXPIRING, &7_u8).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Malformed", "Malformed"]);
    assert_eq!(client.stats().malformed_frames, 2);
}

#[test]
fn packets_that_a_serial_port_corrupts_are_counted() {
    let (mut client_config, mut hub_config) = (config(), HubConfig::default());
    (client_config.framing, hub_config.framing) = (Framing::Serial, Framing::Serial);
    let (mut client, mut hub) = online_with(
        client_with(client_config, [2048; 3]),
        hub_with(hub_config, [2048; 2]),
    );
    send(&mut client, NOW);
    let mut packet = take_up(&mut client);
    packet[5] ^= 0x10;
    assert_eq!(hub.receive(NOW, &packet), packet.len());
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
    assert_eq!(hub.stats().corrupt_packets, 1);
    // Noise counts as well: anything between two zeros that is not a packet.
    assert_eq!(hub.receive(NOW, b"noise\0"), 6);
    assert!(!matches!(
        hub.poll(NOW),
        HubOutput::Event(HubEvent::Request { .. })
    ));
    assert_eq!(hub.stats().corrupt_packets, 2);
    // A packet that fits no buffer is dropped and counted once.
    let long = memory(1500).0.iter().map(|_| 1).collect::<Vec<u8>>();
    for _ in 0..2 {
        let _ = hub.receive(NOW, &long);
        let _ = hub.poll(NOW);
    }
    assert_eq!(hub.receive(NOW, b"\0"), 1);
    let _ = hub.poll(NOW);
    assert_eq!(hub.stats().corrupt_packets, 3);
    assert_eq!(client.stats().corrupt_packets, 0);
}
