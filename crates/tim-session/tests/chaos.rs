//! Any order of calls, any bytes, any clock: no panic, no endless poll, and every request has exactly one outcome.

use std::collections::BTreeSet;
use std::time::Duration;

use tim_session::proto::message::to_vec;
use tim_session::proto::request::{Conversations, Done, Failure, Login, LoginResponse};
use tim_session::proto::wire::{self, End, Frame, FrameKind, Parsed};
use tim_session::proto::{ErrorCode, UserId};
use tim_session::{
    ClientConfig, ClientSession, Event, FixedBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant,
    Output, RequestId,
};
use tim_testkit::{Rng, hello, raw_frame};

/// What answers the login with these numbers.
fn welcome((session, attempt): (u64, u32)) -> Vec<u8> {
    to_vec(
        &LoginResponse::new(1)
            .with_time_ms(1)
            .with_cursor(&[1])
            .with_session(session)
            .with_attempt(attempt),
    )
}

/// The numbers of the LOGIN in what is outgoing, wherever in it.
fn login_in(outgoing: &[u8]) -> Option<(u64, u32)> {
    (0..outgoing.len()).find_map(|at| match Frame::parse(&outgoing[at..], 4096) {
        Ok(Parsed::Frame(frame, _)) if frame.kind == FrameKind::LOGIN => {
            let login: Login<'_> = wire::decode_body(frame.body).ok()?;
            Some((login.session, login.attempt))
        }
        _ => None,
    })
}

/// What a hub says when all goes well.
fn opening(login: (u64, u32)) -> Vec<u8> {
    let hello = hello(End::HUB, (1, 1), 1000, 0);
    let mut bytes = hello.to_vec();
    bytes.extend(raw_frame(FrameKind::LOGIN.answer(), 0, &welcome(login)));
    bytes.extend(raw_frame(FrameKind::SYNCED, 0, &[]));
    bytes
}

/// Something that a hub might say, or something like it.
fn hub_words(random: &mut Rng, login: (u64, u32)) -> Vec<u8> {
    let hello = hello(End::HUB, (1, 1), 32 << random.below(10), 0);
    let id = random.below(12) as u32;
    match random.below(14) {
        0 => hello.to_vec(),
        1 => opening(login),
        2 | 3 => raw_frame(FrameKind::LOGIN.answer(), 0, &welcome(login)),
        4 => raw_frame(FrameKind::SYNCED, 0, &[]),
        5 => raw_frame(FrameKind::DELIVER, id, &random.bytes(40)),
        6 => raw_frame(FrameKind::CONVERSATIONS.answer(), id, &[0, 1, 0, 0]),
        7 => raw_frame(FrameKind(random.below(256) as u8), id, &random.bytes(40)),
        8 if random.below(4) == 0 => random.bytes(40),
        9 => [0x06, 0, 2, 0x8f, 0x4e].repeat(random.below(2) as usize),
        _ => raw_frame(FrameKind::SYNCED, 0, &[]),
    }
}

#[test]
fn a_client_survives_any_hub_any_driver_and_any_clock() {
    let mut was_online = 0;
    for seed in 1..400 {
        let mut random = Rng::new(seed);
        let mut memory = [(); 3].map(|()| vec![0; 64 << random.below(7)]);
        let [rx, tx, outbox] = &mut memory;
        let mut config = ClientConfig::new(1, UserId::new("a").unwrap(), 7);
        config.window = random.below(4) as u16;
        let (rx, tx, outbox) = (FixedBuffer(rx), FixedBuffer(tx), FixedBuffer(outbox));
        let mut client = ClientSession::new(config, "s", rx, tx, outbox, seed);
        let (mut now, mut open) = (Instant::from_millis(1000), BTreeSet::<RequestId>::new());
        let mut login = (0, 0);
        for _ in 0..400 {
            match random.below(16) {
                0 => client.login(now),
                1 if random.below(8) == 0 => client.logout(now),
                2 if random.below(8) == 0 => client.connected(now),
                3 if random.below(4) == 0 => client.disconnected(now),
                4 => client.hold_acknowledgements(random.below(2) == 0),
                5 => now = now + Duration::from_millis(random.below(60_000)),
                6 if random.below(8) == 0 => now = Instant::from_millis(random.below(100_000)),
                7 => client.transmitted(random.below(50) as usize),
                8 | 9 => {
                    let request = Conversations::new().with_count(1);
                    if let Ok(ticket) = client.request(now, &request) {
                        assert!(open.insert(ticket.id()), "a ticket given twice");
                    }
                }
                _ => {
                    let words = hub_words(&mut random, login);
                    let taken = client.receive(now, &words);
                    assert!(taken <= words.len());
                }
            }
            if random.below(3) == 0 {
                continue; // a driver that polls late
            }
            for polls in 0.. {
                assert!(polls < 1000, "an endless poll");
                match client.poll(now) {
                    Output::Wait(_) => break,
                    Output::Connect if random.below(4) > 0 => {
                        client.connected(now);
                        if random.below(4) > 0 {
                            let _ = client.receive(now, &opening((login.0, login.1 + 1)));
                        }
                    }
                    Output::Event(Event::Response { id: ticket, .. } | Event::Failed { id: ticket, .. }) => {
                        assert!(open.remove(&ticket), "an outcome too many");
                    }
                    Output::Event(Event::Ready) => was_online += 1,
                    _ => {}
                }
            }
            let last = login;
            login = login_in(client.outgoing()).unwrap_or(last);
            if login != last && random.below(4) > 0 {
                let welcome = raw_frame(FrameKind::LOGIN.answer(), 0, &welcome(login));
                let _ = client.receive(now, &[welcome, raw_frame(FrameKind::SYNCED, 0, &[])].concat());
            }
            assert_eq!(client.pending(), open.len());
        }
    }
    assert!(was_online > 60, "only {was_online} logins: little was tested");
}

#[test]
fn a_hub_survives_any_client_and_any_clock() {
    let mut requests = 0;
    for seed in 1..400 {
        let mut random = Rng::new(seed);
        let mut memory = [(); 2].map(|()| vec![0; 16 << random.below(8)]);
        let [rx, tx] = &mut memory;
        let mut now = Instant::from_millis(1000);
        let mut hub = HubSession::new(HubConfig::default(), FixedBuffer(rx), FixedBuffer(tx), now);
        let mut hello = hello(End::CLIENT, (1, 1), 1000, random.below(4) as u16).to_vec();
        // app 1, user "a", sig "s", device 7, platform 6, resume 0, no cursor, session 5, attempt 1
        hello.extend(raw_frame(
            FrameKind::LOGIN,
            0,
            &[1, 1, b'a', 1, b's', 7, 6, 0, 0, 5, 1],
        ));
        let _ = hub.receive(now, &hello);
        for _ in 0..100 {
            let words = match random.below(6) {
                0 => raw_frame(FrameKind::ACK, random.below(3) as u32, &[]),
                1 => raw_frame(FrameKind(random.below(256) as u8), 5, &random.bytes(40)),
                2 if random.below(10) == 0 => random.bytes(40),
                _ => raw_frame(FrameKind::CONVERSATIONS, 3, &[1]),
            };
            let _ = hub.receive(now, &words);
            now = now + Duration::from_millis(random.below(2000));
            let _ = hub.deliver(&[1], 0, &random.bytes(40));
            let _ = hub.push(FrameKind::SYNCED, &Done);
            assert!(hub.window_capacity() <= hub.window());
            hub.transmitted(random.below(100) as usize);
            for polls in 0.. {
                assert!(polls < 1000, "an endless poll");
                let answered = match hub.poll(now) {
                    HubOutput::Event(HubEvent::Login(_)) => None,
                    HubOutput::Event(HubEvent::Request { id, .. }) => Some(id),
                    _ => break,
                };
                match answered {
                    None => {
                        let _ = hub.accept(&LoginResponse::new(1).with_time_ms(1).with_cursor(&[1]));
                    }
                    Some(id) => {
                        requests += 1;
                        let _ = hub.fail(id, &Failure::new(ErrorCode::PROTOCOL_VIOLATION, ""));
                    }
                }
            }
        }
    }
    assert!(requests > 1000, "only {requests} requests: little was tested");
}
