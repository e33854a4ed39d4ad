//! A text message in the wire format against the same fields in raw postcard, protobuf (prost) and JSON (serde_json).
//!
//! The peers' structs have every field of the message, the hub's part included. Encoding writes into a buffer that is
//! there; decoding borrows where the peer can (prost cannot). Ours also checks ids and keeps what it does not know.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use tim_benches::{Candidate, Timing, measure};
use tim_proto::message::{Envelope, Header, Message, Payload, Text};
use tim_proto::wire::{decode_body, encode_body};
use tim_proto::{ConversationId, MessageId, UserId};

fn main() {
    let ascii = "Shall we meet at the station at six, or is seven better??";
    let chinese: String = "今天天气真不错我们一起去公园走走吧顺便看看那家新开的店"
        .chars()
        .cycle()
        .take(57)
        .collect();
    for (name, text) in [
        ("57 ASCII characters", ascii),
        ("57 Chinese characters", &chinese),
    ] {
        assert_eq!(text.chars().count(), 57);
        compare(name, text);
    }
}

fn compare(name: &str, text: &str) {
    let wires = Wires::new(text);
    println!(
        "\n{name}\n{:<24}{:>10}{:>10}{:>10}{:>12}",
        "", "tim", "postcard", "prost", "serde_json"
    );
    let sizes = wires.all().map(|bytes| format!("{:>10}", bytes.len()));
    println!(
        "{:<24}{}{}{}  {}",
        "bytes", sizes[0], sizes[1], sizes[2], sizes[3]
    );
    wires.check(text);
    print("encode", &measure(&mut encoders(text)));
    print("decode", &measure(&mut decoders(&wires)));
    print_header_only(&wires.tim);
}

/// Nanoseconds, then each time divided by ours: above 1, ours is faster. Against postcard, ours may be 1.3 at most.
fn print(what: &str, timings: &[Timing]) {
    let [tim, postcard, prost, json] = timings else {
        unreachable!()
    };
    let ns = |timing: &Timing| timing.seconds * 1e9;
    println!(
        "{:<24}{:>10.1}{:>10.1}{:>10.1}{:>12.1}",
        format!("{what}, ns"),
        ns(tim),
        ns(postcard),
        ns(prost),
        ns(json)
    );
    let ratios = [postcard, prost, json].map(|peer| peer.relative);
    println!(
        "{:<24}{:>10}{:>10.2}{:>10.2}{:>12.2}",
        "  times ours", "", ratios[0], ratios[1], ratios[2]
    );
    println!("  ours is {:.2} x postcard's time", 1.0 / ratios[0]);
}

fn print_header_only(bytes: &[u8]) {
    let timings = measure(&mut [
        (
            "header",
            Box::new(|| weigh(&decode_body::<Header<'_>>(black_box(bytes)))),
        ),
        (
            "message",
            Box::new(|| weigh(&Message::decode_from(black_box(bytes)))),
        ),
    ]);
    let [header, whole] = [timings[0].seconds * 1e9, timings[1].seconds * 1e9];
    println!(
        "{:<24}{header:>10.1}   of {whole:.1} for the whole message",
        "header only, ns"
    );
}

/// Makes the compiler produce all of what was decoded, where it is, without moving it elsewhere.
fn weigh<T, E>(decoded: &Result<T, E>) -> usize {
    usize::from(black_box(decoded).is_ok())
}

fn message(text: &str) -> Message<'_> {
    let user = |name| UserId::new(name).unwrap();
    Message::new(
        Envelope::new(user("alice"))
            .with_sequence(4711)
            .with_time(1_705_307_415)
            .with_origin(0xC0FFEE),
        ConversationId::C2c(user("bob")),
        MessageId {
            sender: 144_115_200_000_000_001,
            client_time: 1_705_307_415,
            random: 21_123_614,
        },
        Payload::Text(Text::new(text)),
    )
    .with_client_sequence(3_830_150_001)
}

/// The same fields for serde.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    sequence: u64,
    time: u64,
    flags: u32,
    origin: u64,
    #[serde(borrow)]
    from: &'a str,
    to: PlainConversation<'a>,
    id: PlainId,
    client_sequence: u64,
    priority: u8,
    payload: PlainPayload<'a>,
}

#[derive(Serialize, Deserialize)]
enum PlainConversation<'a> {
    System,
    C2c(&'a str),
    Group(&'a str),
}

#[derive(Serialize, Deserialize)]
struct PlainId {
    sender: u64,
    client_time: u64,
    random: u32,
}

#[derive(Serialize, Deserialize)]
enum PlainPayload<'a> {
    Image(&'a str),
    Text(&'a str),
}

fn plain(text: &str) -> Plain<'_> {
    Plain {
        sequence: 4711,
        time: 1_705_307_415,
        flags: 0,
        origin: 0xC0FFEE,
        from: "alice",
        to: PlainConversation::C2c("bob"),
        id: PlainId {
            sender: 144_115_200_000_000_001,
            client_time: 1_705_307_415,
            random: 21_123_614,
        },
        client_sequence: 3_830_150_001,
        priority: 2,
        payload: PlainPayload::Text(text),
    }
}

/// The same fields for prost.
#[derive(Clone, PartialEq, prost::Message)]
struct Proto {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    time: u64,
    #[prost(uint32, tag = "3")]
    flags: u32,
    #[prost(uint64, tag = "4")]
    origin: u64,
    #[prost(string, tag = "5")]
    from: String,
    #[prost(oneof = "ProtoConversation", tags = "6, 7")]
    to: Option<ProtoConversation>,
    #[prost(message, optional, tag = "8")]
    id: Option<ProtoId>,
    #[prost(uint64, tag = "9")]
    client_sequence: u64,
    #[prost(uint32, tag = "10")]
    priority: u32,
    #[prost(oneof = "ProtoPayload", tags = "11, 12")]
    payload: Option<ProtoPayload>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ProtoConversation {
    #[prost(string, tag = "6")]
    C2c(String),
    #[prost(string, tag = "7")]
    Group(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoId {
    #[prost(uint64, tag = "1")]
    sender: u64,
    #[prost(uint64, tag = "2")]
    client_time: u64,
    #[prost(uint32, tag = "3")]
    random: u32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ProtoPayload {
    #[prost(string, tag = "11")]
    Text(String),
    #[prost(string, tag = "12")]
    Image(String),
}

fn proto(text: &str) -> Proto {
    Proto {
        sequence: 4711,
        time: 1_705_307_415,
        flags: 0,
        origin: 0xC0FFEE,
        from: "alice".into(),
        to: Some(ProtoConversation::C2c("bob".into())),
        id: Some(ProtoId {
            sender: 144_115_200_000_000_001,
            client_time: 1_705_307_415,
            random: 21_123_614,
        }),
        client_sequence: 3_830_150_001,
        priority: 2,
        payload: Some(ProtoPayload::Text(text.into())),
    }
}

/// The message in every format.
struct Wires {
    tim: Vec<u8>,
    postcard: Vec<u8>,
    prost: Vec<u8>,
    json: Vec<u8>,
}

impl Wires {
    fn new(text: &str) -> Self {
        let mut room = [0; 1024];
        let tim = encode_body(&message(text), &mut room)
            .map(|len| room[..len].to_vec())
            .unwrap();
        let postcard = postcard::to_slice(&plain(text), &mut room).unwrap().to_vec();
        let prost = prost::Message::encode_to_vec(&proto(text));
        let json = serde_json::to_vec(&plain(text)).unwrap();
        Self {
            tim,
            postcard,
            prost,
            json,
        }
    }

    /// That all of them hold the text.
    fn check(&self, text: &str) {
        assert_eq!(Message::decode_from(&self.tim), Ok(message(text)));
        let plain: [Plain<'_>; 2] = [
            postcard::from_bytes(&self.postcard).unwrap(),
            serde_json::from_slice(&self.json).unwrap(),
        ];
        assert!(
            plain
                .iter()
                .all(|plain| matches!(plain.payload, PlainPayload::Text(other) if other == text))
        );
        let decoded: Proto = prost::Message::decode(&self.prost[..]).unwrap();
        assert_eq!(decoded, proto(text));
    }

    fn all(&self) -> [&[u8]; 4] {
        [&self.tim, &self.postcard, &self.prost, &self.json]
    }
}

fn encoders(text: &str) -> [Candidate<'_>; 4] {
    let (ours, theirs, proto) = (message(text), plain(text), proto(text));
    let theirs_too = plain(text);
    let [mut a, mut b, mut c, mut d] = [[0_u8; 1024]; 4];
    [
        (
            "tim",
            Box::new(move || encode_body(black_box(&ours), black_box(&mut a)).unwrap_or(0)),
        ),
        (
            "postcard",
            Box::new(move || {
                postcard::to_slice(black_box(&theirs), black_box(&mut b)).map_or(0, |b| b.len())
            }),
        ),
        (
            "prost",
            Box::new(move || {
                let mut room = &mut black_box(&mut c)[..];
                prost::Message::encode(black_box(&proto), &mut room).map_or(0, |()| room.len())
            }),
        ),
        (
            "serde_json",
            Box::new(move || {
                let mut room = &mut black_box(&mut d)[..];
                serde_json::to_writer(&mut room, black_box(&theirs_too)).map_or(0, |()| room.len())
            }),
        ),
    ]
}

fn decoders(wires: &Wires) -> [Candidate<'_>; 4] {
    [
        (
            "tim",
            Box::new(|| weigh(&Message::decode_from(black_box(&wires.tim)))),
        ),
        (
            "postcard",
            Box::new(|| weigh::<Plain<'_>, _>(&postcard::from_bytes(black_box(&wires.postcard)))),
        ),
        (
            "prost",
            Box::new(|| weigh::<Proto, _>(&prost::Message::decode(black_box(&wires.prost[..])))),
        ),
        (
            "serde_json",
            Box::new(|| weigh::<Plain<'_>, _>(&serde_json::from_slice(black_box(&wires.json)))),
        ),
    ]
}
