//! Each image does its job: the same code on this machine, with a hub or a broker at the other end of the line.

use std::collections::VecDeque;

use footprint_images::{Board, client, codec, parsers, polled, session};
use tim_session::proto::message::{GroupTip, Message, NoticeOperation, Payload, SystemNotice, TipOperation};
use tim_session::proto::request::SendMessage;
use tim_session::proto::wire::{self, Frame, FrameKind, List, Parsed, Writer};
use tim_session::proto::{GroupId, UserId};
use tim_session::{Framing, HubConfig, Instant};
use tim_testkit::{ModelHub, c2c, user};

/// A board whose line leads to `peer`: it gets all that came from the device so far, and says what goes back.
struct Bench<P> {
    peer: P,
    from_device: Vec<u8>,
    to_device: VecDeque<u8>,
    shown: Vec<u8>,
    micros: u64,
}

impl<P: FnMut(&mut Vec<u8>) -> Vec<u8>> Bench<P> {
    fn new(peer: P) -> Self {
        Self {
            peer,
            from_device: Vec::new(),
            to_device: VecDeque::new(),
            shown: Vec::new(),
            micros: 0,
        }
    }

    fn shown(&self) -> &str {
        std::str::from_utf8(&self.shown).expect("text is shown")
    }
}

impl<P: FnMut(&mut Vec<u8>) -> Vec<u8>> Board for Bench<P> {
    fn read(&mut self) -> Option<u8> {
        if self.to_device.is_empty() {
            self.to_device.extend((self.peer)(&mut self.from_device));
        }
        self.to_device.pop_front()
    }
    fn write(&mut self, byte: u8) {
        self.from_device.push(byte);
    }
    fn show(&mut self, bytes: &[u8]) {
        self.shown.extend(bytes);
    }
    fn micros(&mut self) -> u64 {
        self.micros += 10;
        assert!(
            self.micros < 10_000_000,
            "the image does not come to an end; it showed {:?}",
            self.shown
        );
        self.micros
    }
}

fn from_alice(text: &str) -> Vec<u8> {
    let (alice, kiosk) = (UserId::new("alice").unwrap(), UserId::new("kiosk-1").unwrap());
    let mut bytes = vec![0; 512];
    let len = wire::encode_body(&codec::message(alice, kiosk, text), &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn codec_sends_and_shows() {
    let mut bench = Bench::new(|sent: &mut Vec<u8>| {
        let Ok(Parsed::Frame(frame, len)) = Frame::parse(sent, 512) else {
            panic!("no frame: {sent:?}")
        };
        assert_eq!((frame.kind, frame.id, len), (FrameKind::SEND, 1, sent.len()));
        let (from, to) = (UserId::new("kiosk-1").unwrap(), UserId::new("alice").unwrap());
        let message = codec::message(from, to, "Hello world!");
        let expected = SendMessage::new(&message);
        let mut bytes = [0; 512];
        let len = wire::encode_body(&expected, &mut bytes).unwrap();
        assert_eq!(frame.body, &bytes[..len]);

        let deliver = tim_session::proto::request::Deliver::new(
            Message::decode_from(&from_alice("你好").leak()[..]).unwrap(),
        )
        .with_cursor(b"1");
        let mut bytes = vec![0; 512];
        let mut writer = Writer::new(&mut bytes);
        Frame::encode_header(FrameKind::DELIVER, 9, wire::encoded_len(&deliver), &mut writer);
        wire::Encode::encode(&deliver, &mut writer);
        let len = writer.finish().unwrap();
        bytes.truncate(len);
        bytes
    });
    assert_eq!(codec::run(&mut bench), Some(()));
    assert_eq!(bench.shown(), "alice你好");
}

#[test]
fn parsers_show() {
    let mut bench =
        Bench::new(|_: &mut Vec<u8>| b"\x08GROUP@TGS#1\n\x01C2C[\xe5\x91\xb2\xe7\x89\x99]\n".to_vec());
    assert_eq!(parsers::run(&mut bench), Some(()));
    assert_eq!(
        bench.shown(),
        "GROUP@TGS#1你退出群组:GROUP@TGS#1[群提示消息]GROUP@TGS#1"
    );
    bench.shown.clear();
    assert_eq!(parsers::run(&mut bench), None, "no user id");
    assert!(
        bench.shown().starts_with("C2Cemoji_1.pngC2C[呲牙] 申请加入群组"),
        "{}",
        bench.shown()
    );
}

/// A hub at the other end, on which alice has written to the kiosk before, and responds to what it sends.
fn hub(config: HubConfig) -> impl FnMut(&mut Vec<u8>) -> Vec<u8> {
    const CONNECTION: u64 = 0;
    const NOW: Instant = Instant::ZERO;
    let mut hub = ModelHub::default();
    hub.behavior.skip_own = true;
    hub.behavior.allow_foreign_cursors = true; // the images resume from a constant
    hub.say(user("alice"), c2c("kiosk-1"), "old");
    hub.open(CONNECTION, config, NOW);
    let mut has_responded = false;
    move |sent| {
        let len = hub.receive(CONNECTION, NOW, sent);
        sent.drain(..len);
        if !has_responded && !hub.texts_sent("kiosk-1", "C2Calice").is_empty() {
            hub.say(user("alice"), c2c("kiosk-1"), "C2Cbob");
            has_responded = true;
        }
        hub.settle(CONNECTION, NOW);
        let out = hub.outgoing(CONNECTION).to_vec();
        hub.transmitted(CONNECTION, out.len());
        out
    }
}

#[test]
fn tips_and_notices_are_shown_in_words() {
    let mut bench = Bench::new(|_: &mut Vec<u8>| Vec::new());
    let users = ["bob"];
    let tip = GroupTip::new(TipOperation::JOIN, GroupId::new("g").unwrap())
        .with_users(List::from_slice(&users))
        .with_member_count(2)
        .with_operator(Default::default())
        .with_names(Default::default());
    let notice = SystemNotice::new(NoticeOperation::QUIT).with_group_id("g");
    for payload in [Payload::from(tip), Payload::from(notice)] {
        let (alice, kiosk) = (UserId::new("alice").unwrap(), UserId::new("kiosk-1").unwrap());
        let message = codec::message(alice, kiosk, "").with_payload(payload);
        let mut bytes = [0; 256];
        let len = wire::encode_body(&message, &mut bytes).unwrap();
        parsers::show_message(&mut bench, &wire::decode_body(&bytes[..len]).unwrap());
    }
    assert_eq!(bench.shown(), "alice群成员:bob,加入群组alice你退出群组:g");
}

const SHOWN: &str = "aliceC2Cbob";

#[test]
fn session_logs_in_sends_and_shows() {
    let mut bench = Bench::new(hub(HubConfig::default()));
    assert_eq!(session::run(&mut bench), Some(()));
    assert_eq!(bench.shown(), SHOWN);
}

#[test]
fn client_logs_in_sends_and_shows() {
    let mut config = HubConfig::default();
    config.framing = Framing::Serial;
    let on_stream = HubConfig::default();
    for (run, config) in [
        (client::on_serial as fn(&mut _) -> _, config),
        (client::on_stream, on_stream),
        (polled::on_serial, config),
        (polled::on_stream, on_stream),
    ] {
        let mut bench = Bench::new(hub(config));
        assert_eq!(run(&mut bench), Some(()));
        // And where to pick up the next time: behind what was shown.
        assert_eq!(bench.shown(), format!("{SHOWN}\u{3}\0\0\0"));
    }
}

#[test]
fn all_calls_are_made() {
    let mut config = HubConfig::default();
    config.framing = Framing::Serial;
    for has_files in [false, true] {
        let mut bench = Bench::new(hub(config));
        let done = match has_files {
            false => client::run_all_calls(&mut bench),
            true => client::run_all_calls_and_files(&mut bench),
        };
        assert_eq!(done, Some(()));
        assert!(bench.shown().contains("C2Cbob") && bench.shown().contains("old"));
        // The file comes back.
        assert_eq!(bench.shown().contains(&".".repeat(900)), has_files);
    }
}

/// The packets of MQTT 5 that a broker has for the smallest client: whatever is published is passed back.
#[cfg(feature = "peers")]
fn broker(sent: &mut Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    while sent.len() >= 2 && sent.len() >= 2 + usize::from(sent[1]) {
        let packet: Vec<u8> = sent.drain(..2 + usize::from(sent[1])).collect();
        match packet[0] >> 4 {
            1 => out.extend([0x20, 3, 0, 0, 0]),
            8 => out.extend([0x90, 4, packet[2], packet[3], 0, 1]),
            3 => {
                let topic_len = usize::from(packet[3]);
                let id = [packet[4 + topic_len], packet[5 + topic_len]];
                out.extend([0x40, 2, id[0], id[1]]);
                let mut back = packet[2..4 + topic_len].to_vec();
                back.extend(&packet[6 + topic_len..]);
                out.extend([0x30, back.len() as u8]);
                out.extend(back);
            }
            4 | 14 => {}
            other => panic!("packet type {other}"),
        }
    }
    out
}

#[test]
#[cfg(feature = "peers")]
fn the_peers_publish_and_receive() {
    use footprint_images::peers;
    for client in [peers::minimq, peers::rust_mqtt] {
        let mut bench = Bench::new(broker as fn(&mut Vec<u8>) -> Vec<u8>);
        assert_eq!(client(&mut bench), Some(()));
        assert_eq!(bench.shown(), "Hello!");
    }
}
