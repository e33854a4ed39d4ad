//! Ids, open enumerations and what else is no body, in the serde formats: for people, with names, and with neither, and
//! behind the buffer that serde has for flattened, tagged and untagged types.

use std::collections::HashMap;
use std::fmt::Debug;

use arbitrary::Unstructured;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tim_proto::message::ImageFormat;
use tim_proto::vendor::capability::{Capabilities, PROFILES};
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::{End, Frame, FrameKind, Hello};
use tim_proto::{
    AtKind, ConversationId, Encoded, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, JoinStatus,
    MemberResult, MessageFlags, MessageId, MessageKind, Platform, Priority, ReceiveOption, Role, UserId,
    Words,
};

trait Value: Serialize + DeserializeOwned + PartialEq + Debug + Clone {}
impl<T: Serialize + DeserializeOwned + PartialEq + Debug + Clone> Value for T {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened<T> {
    before: u8,
    #[serde(flatten)]
    inner: Field<T>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Field<T> {
    value: T,
    list: Vec<T>,
    maybe: Option<T>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged<T> {
    Other,
    Holds { value: T, list: Vec<T> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Adjacent<T> {
    Other,
    Holds(T),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Holds { value: T },
    Other(Option<bool>),
}

fn in_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
    assert_eq!(
        &serde_json::from_reader::<_, T>(json.as_bytes()).unwrap(),
        value,
        "{json}"
    );
    let tree = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(tree).unwrap(), value, "{json}");
}

fn in_cbor<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    assert_eq!(&ciborium::from_reader::<T, _>(&cbor[..]).unwrap(), value, "CBOR");
}

/// What holds for every value, by itself and in serde's buffer.
fn is_kept<T: Value>(value: &T) {
    let bytes = postcard::to_allocvec(value).unwrap();
    assert_eq!(&postcard::from_bytes::<T>(&bytes).unwrap(), value);
    in_json(value);
    in_cbor(value);
    let one = || value.clone();
    let inner = Field {
        value: one(),
        list: vec![one(), one()],
        maybe: Some(one()),
    };
    let (flattened, holds) = (Flattened { before: 1, inner }, Untagged::Holds { value: one() });
    let (tagged, adjacent) = (
        Tagged::Holds {
            value: one(),
            list: vec![one()],
        },
        Adjacent::Holds(one()),
    );
    in_json(&flattened);
    in_json(&holds);
    in_json(&tagged);
    in_json(&adjacent);
    in_cbor(&flattened);
    in_cbor(&holds);
    in_cbor(&tagged);
    in_cbor(&adjacent);
}

fn bob() -> ConversationId {
    ConversationId::C2c(UserId::new("bob").unwrap())
}

#[test]
fn ids_are_kept() {
    is_kept(&UserId::new("bob").unwrap());
    is_kept(&UserId::new("1").unwrap());
    is_kept(&GroupId::new("@TGS#1").unwrap());
    is_kept(&bob());
    is_kept(&"GROUPteam".parse::<ConversationId>().unwrap());
    is_kept(&ConversationId::System);
    is_kept(&MessageId {
        sender: 144_115_200_000_000_001,
        client_time: 7,
        random: u32::MAX,
    });
    is_kept(&(bob(), UserId::SYSTEM));
    let map = HashMap::from([(bob(), 1), (ConversationId::System, 2)]);
    in_json(&map);
    in_cbor(&map);
}

#[test]
fn a_conversation_is_read_from_its_string_and_from_its_variant_and_from_nothing_else() {
    let read = |value: serde_json::Value| serde_json::from_value::<ConversationId>(value);
    assert_eq!(read(json!("C2Cbob")).unwrap(), bob());
    assert_eq!(read(json!({"C2c": "bob"})).unwrap(), bob());
    assert_eq!(serde_json::to_value(bob()).unwrap(), json!("C2Cbob"));
    for wrong in [
        json!("C2C"),
        json!("bob"),
        json!("C2c"),
        json!({"C2c": ""}),
        json!({"C2c": "bob", "Group": "team"}),
        json!({"c2c": "bob"}),
        json!({}),
        json!(1),
        json!(["C2c", "bob"]),
    ] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
    let bytes = serde::de::value::BytesDeserializer::<serde::de::value::Error>::new;
    assert_eq!(ConversationId::deserialize(bytes(b"C2Cbob")), Ok(bob()));
    assert_eq!(
        UserId::deserialize(bytes(b"bob")),
        UserId::new("bob").map_err(|_| unreachable!())
    );
    assert!(UserId::deserialize(bytes(b"\xff")).is_err());
    let unknown = postcard::from_bytes::<ConversationId>(&[3, 1, b'x']).unwrap_err();
    assert_eq!(unknown, postcard::Error::SerdeDeCustom);
}

#[test]
fn numbers_with_names_are_kept() {
    fn all<T: Value + From<u8>>() {
        (0..=u8::MAX).map(T::from).for_each(|value| in_json(&value));
        [0, 1, 2, 77].map(T::from).iter().for_each(is_kept);
    }
    all::<Priority>();
    all::<GroupType>();
    all::<Role>();
    all::<JoinOption>();
    all::<InviteOption>();
    all::<JoinStatus>();
    all::<MemberResult>();
    all::<ReceiveOption>();
    all::<AtKind>();
    all::<ImageFormat>();
    all::<Platform>();
    all::<End>();
    all::<FrameKind>();
    MessageKind::KNOWN.iter().for_each(is_kept);
    is_kept(&MessageKind(4711));
    is_kept(&ErrorCode(70_001));
    is_kept(&MessageFlags(5));
    is_kept(&MessageFlags(u32::MAX));
    // TOML has signed numbers only.
    let signed = serde::de::value::I64Deserializer::<serde::de::value::Error>::new;
    assert_eq!(Priority::deserialize(signed(77)), Ok(Priority(77)));
    assert!(Priority::deserialize(signed(-1)).is_err());
    assert!(Priority::deserialize(signed(256)).is_err());
}

#[test]
fn a_frame_kind_is_its_name() {
    let text = |kind: FrameKind| serde_json::to_value(kind).unwrap();
    assert_eq!(text(FrameKind::SEND), json!("SEND"));
    assert_eq!(text(FrameKind::SEND.answer()), json!("SEND answer"));
    assert_eq!(text(FrameKind(0x7f)), json!(0x7f));
    assert_eq!("127".parse(), Ok(FrameKind(0x7f)));
    let wrong = "SENT".parse::<FrameKind>().unwrap_err().to_string();
    assert!(
        wrong.starts_with("no FrameKind has this name; expected LOGIN, LOGOUT, PING"),
        "{wrong}"
    );
}

#[test]
fn hellos_and_frames_are_kept() {
    let hello = Hello {
        min_version: 1,
        max_version: 2,
        end: End::HUB,
        features: 3,
        max_frame: 65_536,
        window: 64,
    };
    is_kept(&hello);
    let text = json!({"min_version": 1, "max_version": 2, "end": "Hub", "features": 3, "max_frame": 65_536, "window": 64});
    assert_eq!(serde_json::to_value(hello).unwrap(), text);
    let frame = Frame {
        kind: FrameKind::PING,
        id: 7,
        body: &[0, 255],
    };
    assert_eq!(
        serde_json::to_value(frame).unwrap(),
        json!({"kind": "PING", "id": 7, "body": "00ff"})
    );
    let bytes = postcard::to_allocvec(&frame).unwrap();
    assert_eq!(postcard::from_bytes::<Frame<'_>>(&bytes).unwrap(), frame);
}

#[test]
fn limits_that_are_left_out_are_the_documented_ones() {
    let limits = Limits::new().with_revoke_window_seconds(5).with_conversations(7);
    is_kept(&limits);
    let read = |value: serde_json::Value| serde_json::from_value::<Limits>(value);
    assert_eq!(read(json!({})).unwrap(), Limits::new());
    assert_eq!(
        read(json!({"conversations": 7, "revoke_window_seconds": 5})).unwrap(),
        limits
    );
    let wrong = read(json!({"conversation": 7})).unwrap_err().to_string();
    assert!(
        wrong.contains("unknown field `conversation`, expected one of `message_bytes`"),
        "{wrong}"
    );
    assert!(read(json!({"conversations": -1})).is_err());
}

#[test]
fn capabilities_and_words_are_kept() {
    PROFILES.iter().for_each(is_kept);
    let bare = Capabilities::of(Platform::DEVICE)
        .without(MessageKind::AUDIO)
        .without(MessageKind::VIDEO);
    is_kept(&bare);
    assert_eq!(
        bare,
        bare.with(MessageKind::LOCATION).with(MessageKind(16)),
        "clients cannot send these"
    );
    let text = json!({
        "platform": "Device",
        "kinds": ["TIMTextElem", "TIMImageElem", "TIMFileElem", "TIMCustomElem", "TIMFaceElem"],
        "receives_push": false,
    });
    assert_eq!(serde_json::to_value(bare).unwrap(), text);
    Words::ALL.iter().for_each(is_kept);
    assert_eq!(
        serde_json::to_value(Words::FULL_WIDTH).unwrap(),
        json!("full-width")
    );
    assert!(serde_json::from_value::<Words>(json!("german")).is_err());
}

#[test]
fn messages_are_kept() {
    for byte in 0..32 {
        let message: Encoded<Vec<u8>> = Unstructured::new(&[byte; 600]).arbitrary().unwrap();
        is_kept(&message);
    }
}
