//! The vectors beside `SPEC.md`, both ways: the fields must give the bytes, and the bytes the fields. Then what hostile
//! bytes give: every truncation and every changed byte of every vector is an error or a value, never a panic.

use serde::Deserialize;
use serde_json::Value;
use tim_proto::message::Header;
use tim_proto::request::{
    BanMembers, BeginUpload, CancelUpload, ChangeOwner, CompactDeliver, ConversationChange, Conversations,
    CreateGroup, DeleteConversation, Deliver, DismissGroup, Done, Download, EndUpload, Expiring, Failure,
    Fetch, FileUrl, Gap, GetConversationProfile, GetGroupProfile, GroupMembers, Groups, HandleApplication,
    HandleInvitation, History, InviteMembers, JoinGroup, Login, Logout, MarkRead, Push, QuitGroup,
    RegisterPush, RemoveMembers, Renew, Request, Revoke, Send, SetMember, SetReceiveOption, Synced,
    UnregisterPush, UpdateGroup, UpdateUserProfile, Upload, UserProfiles, for_each_request,
};
use tim_proto::wire::{
    Decode, DecodeError, Encode, End, Extensions, Frame, FrameKind, Hello, Parsed, SerialDecoder, Writer,
    decode_body, decode_prefix, serial_decode, serial_encode, serial_encoded_max_len, transcode,
};
use tim_proto::{Encoded, Message};

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    digits?
        .chunks(2)
        .map(|pair| Some(pair.first()? << 4 | pair.get(1)?))
        .collect()
}

macro_rules! load {
    ($file:literal) => {
        serde_json::from_str(include_str!(concat!("../vectors/", $file))).expect($file)
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameCase {
    name: String,
    hex: String,
    kind: u8,
    /// The kind as `Display` shows it.
    kind_name: String,
    id: u32,
    /// The fields by name; hexadecimal digits for a kind that this version does not know.
    body: Value,
    /// What a later version put behind the fields.
    #[serde(default = "no_extensions")]
    extensions: Value,
}

fn no_extensions() -> Value {
    Value::Array(Vec::new())
}

fn frames() -> Vec<FrameCase> {
    load!("frames.json")
}

/// Both ways for one body: `(its bytes from the fields, its fields from the bytes)`.
fn both_ways<T: Decode<'static>>(case: &FrameCase, body: &'static [u8]) -> (Vec<u8>, Value) {
    let mut encoded = transcode::<T, _>(&case.body).expect(&case.name);
    encoded.extend(transcode::<Extensions<'_>, _>(&case.extensions).expect(&case.name));

    let (decoded, behind) = decode_prefix::<T>(body).expect(&case.name);
    let extensions = Extensions::new(behind).expect(&case.name);
    assert_eq!(
        serde_json::to_value(extensions).unwrap(),
        case.extensions,
        "{}",
        case.name
    );
    (encoded, serde_json::to_value(decoded).unwrap())
}

/// The request, or the response to it.
fn endpoint<R: Request + Decode<'static>>(case: &FrameCase, body: &'static [u8]) -> (Vec<u8>, Value) {
    assert_eq!(FrameKind(case.kind).request(), R::KIND);
    if FrameKind(case.kind).is_answer() {
        both_ways::<R::Response<'static>>(case, body)
    } else {
        both_ways::<R>(case, body)
    }
}

fn known_body(case: &FrameCase, body: &'static [u8]) -> Option<(Vec<u8>, Value)> {
    let both = match FrameKind(case.kind).request() {
        FrameKind::LOGIN => endpoint::<Login<'_>>,
        FrameKind::LOGOUT => endpoint::<Logout>,
        FrameKind::SEND => endpoint::<Send<'_>>,
        FrameKind::REVOKE => endpoint::<Revoke<'_>>,
        FrameKind::HISTORY => endpoint::<History<'_>>,
        FrameKind::MARK_READ => endpoint::<MarkRead>,
        FrameKind::CONVERSATIONS => endpoint::<Conversations<'_>>,
        FrameKind::CONVERSATION_PROFILE => endpoint::<GetConversationProfile>,
        FrameKind::DELETE_CONVERSATION => endpoint::<DeleteConversation>,
        FrameKind::FETCH => endpoint::<Fetch>,
        FrameKind::BEGIN_UPLOAD => endpoint::<BeginUpload<'_>>,
        FrameKind::UPLOAD => endpoint::<Upload<'_>>,
        FrameKind::END_UPLOAD => endpoint::<EndUpload>,
        FrameKind::CANCEL_UPLOAD => endpoint::<CancelUpload>,
        FrameKind::DOWNLOAD => endpoint::<Download>,
        FrameKind::FILE_URL => endpoint::<FileUrl>,
        FrameKind::CREATE_GROUP => endpoint::<CreateGroup<'_>>,
        FrameKind::JOIN_GROUP => endpoint::<JoinGroup<'_>>,
        FrameKind::QUIT_GROUP => endpoint::<QuitGroup>,
        FrameKind::HANDLE_APPLICATION => endpoint::<HandleApplication<'_>>,
        FrameKind::INVITE_MEMBERS => endpoint::<InviteMembers<'_>>,
        FrameKind::REMOVE_MEMBERS => endpoint::<RemoveMembers<'_>>,
        FrameKind::SET_MEMBER => endpoint::<SetMember<'_>>,
        FrameKind::CHANGE_OWNER => endpoint::<ChangeOwner>,
        FrameKind::UPDATE_GROUP => endpoint::<UpdateGroup<'_>>,
        FrameKind::DISMISS_GROUP => endpoint::<DismissGroup>,
        FrameKind::GROUP_MEMBERS => endpoint::<GroupMembers<'_>>,
        FrameKind::GROUPS => endpoint::<Groups<'_>>,
        FrameKind::GROUP_PROFILE => endpoint::<GetGroupProfile>,
        FrameKind::HANDLE_INVITATION => endpoint::<HandleInvitation<'_>>,
        FrameKind::BAN_MEMBERS => endpoint::<BanMembers<'_>>,
        FrameKind::SET_RECEIVE_OPTION => endpoint::<SetReceiveOption>,
        FrameKind::USER_PROFILES => endpoint::<UserProfiles<'_>>,
        FrameKind::UPDATE_USER_PROFILE => endpoint::<UpdateUserProfile<'_>>,
        FrameKind::RENEW => endpoint::<Renew<'_>>,
        FrameKind::REGISTER_PUSH => endpoint::<RegisterPush<'_>>,
        FrameKind::UNREGISTER_PUSH => endpoint::<UnregisterPush<'_>>,
        FrameKind::EXPIRING => both_ways::<Expiring>,
        FrameKind::ERROR | FrameKind::GOODBYE => both_ways::<Failure<'_>>,
        FrameKind::DELIVER => both_ways::<Deliver<'_>>,
        FrameKind::DELIVER_COMPACT => both_ways::<CompactDeliver<'_>>,
        FrameKind::GAP => both_ways::<Gap>,
        FrameKind::CONVERSATION => both_ways::<ConversationChange>,
        FrameKind::SYNCED if !body.is_empty() => both_ways::<Synced<'_>>,
        FrameKind::PING | FrameKind::PONG | FrameKind::ACK | FrameKind::SYNCED => both_ways::<Done>,
        _ => return None,
    };
    Some(both(case, body))
}

#[test]
fn frames_both_ways() {
    let cases = frames();
    for case in &cases {
        let bytes = from_hex(&case.hex).expect(&case.name).leak();
        let Ok(Parsed::Frame(frame, len)) = Frame::parse(bytes, bytes.len()) else {
            panic!("{}: no frame", case.name)
        };
        assert_eq!(
            (len, frame.kind.0, frame.id),
            (bytes.len(), case.kind, case.id),
            "{}",
            case.name
        );
        assert_eq!(frame.kind.to_string(), case.kind_name, "{}", case.name);
        let (body, fields) = known_body(case, frame.body).unwrap_or_else(|| {
            (
                from_hex(case.body.as_str().unwrap()).unwrap(),
                Value::from(to_hex(frame.body)),
            )
        });
        let mut room = vec![0; bytes.len()];
        let mut writer = Writer::new(&mut room);
        Frame {
            kind: frame.kind,
            id: case.id,
            body: &body,
        }
        .encode(&mut writer);
        assert_eq!(
            writer.finish(),
            Ok(bytes.len()),
            "{}: {}",
            case.name,
            to_hex(&body)
        );
        assert_eq!(to_hex(&room), case.hex, "{}", case.name);
        assert_eq!(fields, case.body, "{}", case.name);
    }
    let covered = |kind: u8| cases.iter().any(|case| case.kind == kind);
    let named: Vec<u8> = (0..=255)
        .filter(|&kind| FrameKind(kind).name().is_some())
        .collect();
    for kind in named {
        let request = kind < 0x80 && (kind == 1 || kind == 2 || (0x10..0x40).contains(&kind));
        assert!(kind >= 0x80 || covered(kind), "no vector for kind {kind:#x}");
        assert!(
            !request || covered(kind | 0x80),
            "no vector for the answer to kind {kind:#x}"
        );
    }
    assert!(
        cases.iter().any(|case| FrameKind(case.kind).name().is_none()),
        "no vector of an unknown kind"
    );
    assert!(
        cases.iter().any(|case| case.extensions != no_extensions()),
        "no vector with extensions"
    );
}

#[test]
fn messages_both_ways() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        hex: String,
        message: Value,
    }
    let cases: Vec<Case> = load!("messages.json");
    let mut kinds = Vec::new();
    for case in &cases {
        let bytes = from_hex(&case.hex).unwrap();
        let owned: Encoded<Vec<u8>> = Deserialize::deserialize(&case.message).expect(&case.name);
        assert_eq!(to_hex(owned.as_bytes()), case.hex, "{}", case.name);
        let message = Message::decode_from(&bytes).expect(&case.name);
        assert_eq!(
            serde_json::to_value(message).unwrap(),
            case.message,
            "{}",
            case.name
        );
        let header: Header<'_> = decode_body(&bytes).expect(&case.name);
        assert_eq!(header.envelope, message.envelope, "{}", case.name);
        assert_eq!(header.content.kind, message.payload.kind(), "{}", case.name);
        assert_eq!(owned.message(), message, "{}", case.name);
        kinds.push((message.payload.kind(), message.extensions.is_empty()));
    }
    for kind in tim_proto::MessageKind::KNOWN {
        let covered = kinds.iter().any(|(covered, _)| covered == kind);
        assert!(covered, "no vector with a payload of kind {kind}");
    }
    assert!(
        kinds.iter().any(|(_, is_bare)| !is_bare),
        "no vector with extensions"
    );
}

#[test]
fn hellos_both_ways() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        hex: String,
        min_version: u8,
        max_version: u8,
        end: u8,
        features: u32,
        max_frame: u32,
        window: u16,
        /// The reserved bytes are not zero: only for reading.
        #[serde(default)]
        read_only: bool,
    }
    let cases: Vec<Case> = load!("hello.json");
    for case in cases {
        let Case {
            name,
            hex,
            min_version,
            max_version,
            features,
            max_frame,
            window,
            ..
        } = case;
        let hello = Hello {
            min_version,
            max_version,
            end: End(case.end),
            features,
            max_frame,
            window,
        };
        let bytes = from_hex(&hex).unwrap();
        assert_eq!(
            Hello::from_bytes(bytes.first_chunk().unwrap()),
            Ok(hello),
            "{name}"
        );
        assert_eq!(bytes.len(), Hello::LEN, "{name}");
        assert!(case.read_only || to_hex(&hello.to_bytes()) == hex, "{name}");
    }
}

#[test]
fn serial_packets_both_ways() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        packet: String,
        line: String,
    }
    let cases: Vec<Case> = load!("serial.json");
    for Case { name, packet, line } in cases {
        let (packet, line) = (from_hex(&packet).unwrap(), from_hex(&line).unwrap());
        let mut out = vec![0; serial_encoded_max_len(packet.len())];
        let len = serial_encode(&packet, &mut out).unwrap();
        assert_eq!(to_hex(&out[..len]), to_hex(&line), "{name}");
        let (mut decoder, mut buffer) = (SerialDecoder::new(), vec![0; line.len()]);
        let packets: Vec<Vec<u8>> = (line.iter())
            .filter_map(|&byte| {
                decoder
                    .push(byte, &mut buffer)
                    .unwrap()
                    .map(|len| buffer[..len].to_vec())
            })
            .collect();
        let [mut coded] = <[Vec<u8>; 1]>::try_from(packets).expect(&name);
        assert_eq!(serial_decode(&mut coded), Ok(&packet[..]), "{name}");
    }
}

#[test]
fn what_must_be_refused_is() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        /// `hello`, `frame`, `message` or `login`.
        what: String,
        hex: String,
        /// As `Display` shows the error.
        error: String,
    }
    let cases: Vec<Case> = load!("refused.json");
    for Case {
        name,
        what,
        hex,
        error,
    } in cases
    {
        let bytes = from_hex(&hex).unwrap();
        let refused = match what.as_str() {
            "hello" => Hello::from_bytes(bytes.first_chunk().unwrap())
                .unwrap_err()
                .to_string(),
            "frame" => Frame::parse(&bytes, 1024).unwrap_err().to_string(),
            "message" => Encoded::new(&bytes).unwrap_err().to_string(),
            "login" => decode_body::<Login<'_>>(&bytes).unwrap_err().to_string(),
            other => panic!("{name}: {other}?"),
        };
        assert_eq!(refused, error, "{name}");
    }
}

/// Reads bytes in every way that a peer's bytes are read; what comes out is encoded again.
fn read_every_way(kind: FrameKind, body: &[u8]) {
    let again = |value: &dyn Encode| {
        let mut room = [0; 4096];
        let mut writer = Writer::new(&mut room);
        value.encode(&mut writer);
    };
    macro_rules! endpoint {
        ([] $($request:ty),+) => {
            match kind {
                $(kind if kind == <$request as Request>::KIND => {
                    let _ = decode_body::<$request>(body).map(|value| again(&value));
                }
                kind if kind == <$request as Request>::KIND.answer() => {
                    let _ = decode_body::<<$request as Request>::Response<'_>>(body).map(|value| again(&value));
                })+
                _ => {}
            }
        };
    }
    for_each_request!(endpoint![]);
    let _: Result<Push<'_>, DecodeError> = Push::decode(kind, body);
    let _ = Message::decode_from(body).map(|value| again(&value));
    let _ = decode_body::<Login<'_>>(body).map(|value| again(&value));
}

#[test]
fn truncated_and_changed_vectors_never_panic() {
    for case in frames() {
        let mut bytes = from_hex(&case.hex).unwrap();
        for len in 0..bytes.len() {
            let parsed = Frame::parse(&bytes[..len], 4096).expect(&case.name);
            assert!(
                matches!(parsed, Parsed::Incomplete(needed) if needed > len),
                "{}",
                case.name
            );
        }
        let Ok(Parsed::Frame(frame, _)) = Frame::parse(&bytes, 4096) else {
            panic!()
        };
        let kind = frame.kind;
        for len in 0..=frame.body.len() {
            read_every_way(kind, &frame.body[..len]);
        }
        for at in 0..bytes.len() {
            let right = bytes[at];
            for value in 0..=255 {
                bytes[at] = value;
                if let Ok(Parsed::Frame(frame, len)) = Frame::parse(&bytes, 4096) {
                    assert!(len <= bytes.len());
                    read_every_way(frame.kind, frame.body);
                }
            }
            bytes[at] = right;
        }
    }
}
