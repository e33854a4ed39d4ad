//! The vectors beside `SPEC.md`, both ways: the fields must give the bytes, and the bytes the fields. Then what hostile
//! bytes give: every truncation and every changed byte of every vector is an error or a value, never a panic.

mod mirror;

use mirror::{Bytes, Extras, Mirror, from_hex, leak, ours, to_hex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tim_proto::message::Header;
use tim_proto::request::{AnyRequest as Request, AnyResponse as Answer, Done, Push};
use tim_proto::wire::{
    Decode, DecodeError, Encode, Extensions, Frame, FrameKind, Hello, Parsed, Role, SerialDecoder, Writer,
    decode_body, decode_prefix, serial_decode, serial_encode, serial_encoded_max_len,
};
use tim_proto::{Encoded, Message};

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
    #[serde(default)]
    extensions: Vec<mirror::Extra>,
}

fn frames() -> Vec<FrameCase> {
    load!("frames.json")
}

/// Both ways for one body: `(its bytes from the fields, its fields from the bytes)`.
fn body_both_ways<W, M>(case: &FrameCase, body: &'static [u8]) -> (Vec<u8>, Value)
where
    W: Encode + Decode<'static>,
    M: Mirror<W> + Serialize + DeserializeOwned,
{
    let fields: M = serde_json::from_value(case.body.clone()).expect(&case.name);
    let mut encoded = ours(&fields.wire());
    encoded.extend(ours(&Extras(case.extensions.clone()).wire()));

    let (decoded, behind) = decode_prefix::<W>(body).expect(&case.name);
    let extensions = Extensions::new(behind).expect(&case.name);
    assert_eq!(Extras::of(&extensions).0, case.extensions, "{}", case.name);
    (encoded, serde_json::to_value(M::of(&decoded)).unwrap())
}

fn known_body(case: &FrameCase, body: &'static [u8]) -> Option<(Vec<u8>, Value)> {
    use mirror as m;
    use tim_proto::{conversation as c, request as r};
    let kind = FrameKind(case.kind);
    let both = match kind.request() {
        FrameKind::LOGIN if kind.is_answer() => body_both_ways::<r::LoginResponse<'_>, m::LoginResponse>,
        FrameKind::SEND if kind.is_answer() => body_both_ways::<r::SendResponse<'_>, m::SendResponse>,
        FrameKind::REVOKE if kind.is_answer() => body_both_ways::<r::RevokeResponse, m::RevokeResponse>,
        FrameKind::HISTORY if kind.is_answer() => {
            body_both_ways::<r::HistoryResponse<'_>, m::HistoryResponse>
        }
        FrameKind::MARK_READ | FrameKind::DELETE_CONVERSATION if kind.is_answer() => {
            body_both_ways::<r::MarkReadResponse, m::MarkReadResponse>
        }
        FrameKind::CONVERSATIONS if kind.is_answer() => {
            body_both_ways::<r::ConversationsResponse<'_>, m::ConversationsResponse>
        }
        FrameKind::CONVERSATION_PROFILE if kind.is_answer() => {
            body_both_ways::<c::ConversationProfile<'_>, m::ConversationProfile>
        }
        FrameKind::FETCH if kind.is_answer() => body_both_ways::<r::FetchResponse<'_>, m::FetchResponse>,
        FrameKind::CREATE_GROUP if kind.is_answer() => {
            body_both_ways::<r::CreateGroupResponse, m::CreateGroupResponse>
        }
        FrameKind::JOIN_GROUP if kind.is_answer() => {
            body_both_ways::<r::JoinGroupResponse, m::JoinGroupResponse>
        }
        FrameKind::INVITE_MEMBERS | FrameKind::REMOVE_MEMBERS | FrameKind::BAN_MEMBERS
            if kind.is_answer() =>
        {
            body_both_ways::<r::MembersResponse<'_>, m::MembersResponse>
        }
        FrameKind::GROUP_MEMBERS if kind.is_answer() => {
            body_both_ways::<r::GroupMembersResponse<'_>, m::GroupMembersResponse>
        }
        FrameKind::GROUPS if kind.is_answer() => body_both_ways::<r::GroupsResponse<'_>, m::GroupsResponse>,
        FrameKind::GROUP_PROFILE if kind.is_answer() => {
            body_both_ways::<c::GroupProfile<'_>, m::GroupProfile>
        }
        FrameKind::USER_PROFILES if kind.is_answer() => {
            body_both_ways::<r::UserProfilesResponse<'_>, m::UserProfilesResponse>
        }
        FrameKind::RENEW if kind.is_answer() => body_both_ways::<r::RenewResponse, m::RenewResponse>,
        known if kind.is_answer() && known.name().is_some() => body_both_ways::<Done, m::Nothing>,
        _ if kind.is_answer() => return None,
        FrameKind::LOGIN => body_both_ways::<r::Login<'_>, m::Login>,
        FrameKind::SEND => body_both_ways::<r::Send<'_>, m::Send>,
        FrameKind::REVOKE => body_both_ways::<r::Revoke<'_>, m::Revoke>,
        FrameKind::HISTORY => body_both_ways::<r::History<'_>, m::History>,
        FrameKind::MARK_READ => body_both_ways::<r::MarkRead, m::MarkRead>,
        FrameKind::CONVERSATIONS => body_both_ways::<r::Conversations<'_>, m::Conversations>,
        FrameKind::CONVERSATION_PROFILE => {
            body_both_ways::<r::GetConversationProfile, m::GetConversationProfile>
        }
        FrameKind::DELETE_CONVERSATION => body_both_ways::<r::DeleteConversation, m::DeleteConversation>,
        FrameKind::FETCH => body_both_ways::<r::Fetch, m::Fetch>,
        FrameKind::CREATE_GROUP => body_both_ways::<r::CreateGroup<'_>, m::CreateGroup>,
        FrameKind::QUIT_GROUP => body_both_ways::<r::QuitGroup, m::QuitGroup>,
        FrameKind::DISMISS_GROUP => body_both_ways::<r::DismissGroup, m::DismissGroup>,
        FrameKind::GROUP_PROFILE => body_both_ways::<r::GetGroupProfile, m::GetGroupProfile>,
        FrameKind::JOIN_GROUP => body_both_ways::<r::JoinGroup<'_>, m::JoinGroup>,
        FrameKind::HANDLE_APPLICATION => body_both_ways::<r::HandleApplication<'_>, m::HandleApplication>,
        FrameKind::INVITE_MEMBERS => body_both_ways::<r::InviteMembers<'_>, m::InviteMembers>,
        FrameKind::REMOVE_MEMBERS => body_both_ways::<r::RemoveMembers<'_>, m::RemoveMembers>,
        FrameKind::SET_MEMBER => body_both_ways::<r::SetMember<'_>, m::SetMember>,
        FrameKind::CHANGE_OWNER => body_both_ways::<r::ChangeOwner, m::ChangeOwner>,
        FrameKind::UPDATE_GROUP => body_both_ways::<r::UpdateGroup<'_>, m::UpdateGroup>,
        FrameKind::GROUP_MEMBERS => body_both_ways::<r::GroupMembers<'_>, m::GroupMembers>,
        FrameKind::GROUPS => body_both_ways::<r::Groups<'_>, m::Groups>,
        FrameKind::HANDLE_INVITATION => body_both_ways::<r::HandleInvitation<'_>, m::HandleInvitation>,
        FrameKind::BAN_MEMBERS => body_both_ways::<r::BanMembers<'_>, m::BanMembers>,
        FrameKind::SET_RECEIVE_OPTION => body_both_ways::<r::SetReceiveOption, m::SetReceiveOption>,
        FrameKind::USER_PROFILES => body_both_ways::<r::UserProfiles<'_>, m::UserProfiles>,
        FrameKind::UPDATE_USER_PROFILE => body_both_ways::<r::UpdateUserProfile<'_>, m::UpdateUserProfile>,
        FrameKind::RENEW => body_both_ways::<r::Renew<'_>, m::Renew>,
        FrameKind::EXPIRING => body_both_ways::<r::Expiring, m::Expiring>,
        FrameKind::ERROR | FrameKind::GOODBYE => body_both_ways::<r::Failure<'_>, m::Failure>,
        FrameKind::DELIVER => body_both_ways::<r::Deliver<'_>, m::Deliver>,
        FrameKind::GAP => body_both_ways::<r::Gap, m::Gap>,
        FrameKind::CONVERSATION => body_both_ways::<r::ConversationChange, m::ConversationChange>,
        FrameKind::SYNCED if !body.is_empty() => body_both_ways::<r::Synced<'_>, m::Synced>,
        FrameKind::LOGOUT | FrameKind::PING | FrameKind::PONG | FrameKind::ACK | FrameKind::SYNCED => {
            body_both_ways::<Done, m::Nothing>
        }
        _ => return None,
    };
    Some(both(case, body))
}

#[test]
fn frames_both_ways() {
    let cases = frames();
    for case in &cases {
        let bytes = leak(from_hex(&case.hex).expect(&case.name));
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
        cases.iter().any(|case| !case.extensions.is_empty()),
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
        message: mirror::Message,
    }
    let cases: Vec<Case> = load!("messages.json");
    for case in &cases {
        let bytes = leak(from_hex(&case.hex).unwrap());
        assert_eq!(to_hex(&ours(&case.message.wire())), case.hex, "{}", case.name);
        let message = Message::decode_from(bytes).expect(&case.name);
        assert_eq!(mirror::Message::of(&message), case.message, "{}", case.name);
        let header: Header<'_> = decode_body(bytes).expect(&case.name);
        assert_eq!(header.envelope, message.envelope, "{}", case.name);
        assert_eq!(header.content.kind, message.payload.kind(), "{}", case.name);
        assert_eq!(
            Encoded::new(bytes).expect(&case.name).message(),
            message,
            "{}",
            case.name
        );
    }
    for kind in tim_proto::MessageKind::KNOWN {
        let covered = cases.iter().any(|case| case.message.payload.kind() == kind.0);
        assert!(covered, "no vector with a payload of kind {kind}");
    }
    assert!(cases.iter().any(|case| !case.message.extensions.0.is_empty()));
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
        role: u8,
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
            role: Role(case.role),
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
        packet: Bytes,
        line: Bytes,
    }
    let cases: Vec<Case> = load!("serial.json");
    for Case { name, packet, line } in cases {
        let mut out = vec![0; serial_encoded_max_len(packet.0.len())];
        let len = serial_encode(&packet.0, &mut out).unwrap();
        assert_eq!(to_hex(&out[..len]), to_hex(&line.0), "{name}");
        let (mut decoder, mut buffer) = (SerialDecoder::new(), vec![0; line.0.len()]);
        let packets: Vec<Vec<u8>> = (line.0.iter())
            .filter_map(|&byte| {
                decoder
                    .push(byte, &mut buffer)
                    .unwrap()
                    .map(|len| buffer[..len].to_vec())
            })
            .collect();
        let [mut coded] = <[Vec<u8>; 1]>::try_from(packets).expect(&name);
        assert_eq!(serial_decode(&mut coded), Ok(&packet.0[..]), "{name}");
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
            "login" => decode_body::<tim_proto::request::Login<'_>>(&bytes)
                .unwrap_err()
                .to_string(),
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
    let _ = Request::decode(kind, body).map(|value| again(&value));
    let _ = Answer::decode(kind, body).map(|value| again(&value));
    let _: Result<Push<'_>, DecodeError> = Push::decode(kind, body);
    let _ = Message::decode_from(body).map(|value| again(&value));
    let _ = decode_body::<tim_proto::request::Login<'_>>(body).map(|value| again(&value));
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
