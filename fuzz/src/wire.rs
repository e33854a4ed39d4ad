//! Frames, bodies and the serial line.

use std::path::Path;

use tim_proto::message::{Header, Payload, SenderNames, to_vec, with_sender_names};
use tim_proto::request::{BeginUpload, Push, Request, Send, for_each_request};
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::{
    Decode, DecodeError, Encode, Extensions, Frame, FrameKind, Hello, Parsed, SerialDecoder, Writer,
    decode_body, serial_decode, serial_encode, serial_encode_in_place, serial_encoded_max_len, serial_gap,
};
use tim_proto::{Encoded, Message};

use crate::script::Script;

/// Frames cut from a stream put together are the stream again, and a frame that is not all there says so truthfully.
pub fn frames(data: &[u8]) {
    let mut script = Script(data);
    let max = script.word();
    let stream = script.0;
    if let Some(Ok(hello)) = stream.first_chunk().map(Hello::from_bytes) {
        assert_eq!(Hello::from_bytes(&hello.to_bytes()), Ok(hello));
    }
    let mut at = 0;
    while let Ok(parsed) = Frame::parse(&stream[at..], max) {
        match parsed {
            Parsed::Frame(frame, len) => {
                check_frame(&stream[at..at + len], &frame, max);
                at += len;
            }
            Parsed::Incomplete(needed) => {
                assert!(needed > stream.len() - at, "nothing more is needed");
                break;
            }
        }
    }
}

fn check_frame(bytes: &[u8], frame: &Frame<'_>, max: usize) {
    assert!(bytes.len() <= max && bytes.ends_with(frame.body));
    assert_eq!(Frame::parse_exact(bytes, max), Ok(*frame));
    for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let part = Frame::parse(&bytes[..len], max);
        assert!(
            matches!(part, Ok(Parsed::Incomplete(needed)) if needed > len && needed <= bytes.len().max(3))
        );
    }
    let mut again = vec![0; bytes.len()];
    let mut writer = Writer::new(&mut again);
    frame.encode(&mut writer);
    let len = writer
        .finish()
        .expect("the shortest form is no longer than what was read");
    // Headers with numbers in longer forms than needed are read too, and come out shorter.
    assert!(len < bytes.len() || again == bytes);
    assert_eq!(Frame::parse_exact(&again[..len], max), Ok(*frame));
}

/// What decodes encodes, and decodes to the same again; the header, the content and the message agree.
pub fn messages(data: &[u8]) {
    let mut script = Script(data);
    let kind = FrameKind(script.byte());
    let body = script.0;
    if let Ok(encoded) = Encoded::new(body) {
        let (header, message) = (encoded.header(), encoded.message());
        assert_eq!(header.envelope, message.envelope);
        assert_eq!((header.content.to, header.content.id), (message.to, message.id));
        assert_eq!(header.content.kind, message.payload.kind());
        assert_eq!(header.content.extensions, message.extensions);
        assert_eq!(Message::decode_from(body), Ok(message));
        let owned = message.to_encoded();
        assert_eq!(owned.message(), message);
        assert_eq!(
            owned.message().to_encoded(),
            owned,
            "encoding is settled after one round"
        );
        settled::<Header<'_>>(body);
        extras(body, &header, &message);
        let me = message.envelope.from;
        assert_eq!(header.conversation_of(&me), message.conversation_of(&me));
    }
    macro_rules! settle {
        ([] $($request:ty),+) => {
            match kind {
                $(kind if kind == <$request as Request>::KIND => settled::<$request>(body),
                kind if kind == <$request as Request>::KIND.answer() => {
                    settled::<<$request as Request>::Response<'_>>(body);
                })+
                _ => {}
            }
        };
    }
    for_each_request!(settle![]);
    if kind == FrameKind::SEND
        && let Ok(send) = decode_body::<Send<'_>>(body)
    {
        let content = Send::content_bytes(body).expect("a SEND that was read");
        assert_eq!(decode_body(content), Ok(send.content));
    }
    if kind == FrameKind::BEGIN_UPLOAD
        && let Ok(begin) = decode_body::<BeginUpload<'_>>(body)
        && begin.check(&Limits::new()).is_ok()
    {
        let directory = Path::new("files");
        let path = directory.join(begin.name);
        assert_eq!(path.parent(), Some(directory), "{begin:?}");
        assert!(begin.size > 0 && begin.sha256.len() == BeginUpload::SHA256_LEN);
    }
    if let Ok(push) = Push::decode(kind, body) {
        let again = match &push {
            Push::Deliver(deliver) => to_vec(deliver),
            Push::Gap(gap) => to_vec(gap),
            Push::Synced(synced) => to_vec(synced),
            Push::Expiring(expiring) => to_vec(expiring),
            Push::Conversation(change) => to_vec(change),
            Push::DeliverCompact(compact) => to_vec(compact),
            _ => return,
        };
        assert_eq!(Push::decode(kind, &again), Ok(push));
    }
}

/// What stands behind the payload: the header and the message say the same of it, mentions can be written as they were
/// read, and what the hub adds changes nothing that the sender said.
fn extras(body: &[u8], header: &Header<'_>, message: &Message<'_>) {
    let content = &header.content;
    assert_eq!(content.mentions(), message.mentions());
    let names = |it: &Message<'_>| {
        (
            it.nick().to_owned(),
            it.name_card().to_owned(),
            it.avatar().to_owned(),
        )
    };
    // A tip that has a face says itself who acted; the names behind its payload are not shown then.
    let has_face = matches!(&message.payload, Payload::GroupTip(tip) if tip.face().is_some());
    if !has_face {
        assert_eq!(
            (
                content.nick().into(),
                content.name_card().into(),
                content.avatar().into()
            ),
            names(message)
        );
    }
    assert_eq!(
        Extensions::new(content.extensions.as_bytes()),
        Ok(content.extensions)
    );
    if let Some(mentions) = message.mentions() {
        let mut room = vec![0; body.len() + 16];
        let written = mentions
            .write(&mut room)
            .expect("the shortest form of what was read");
        let again = message.with_extensions(written);
        assert_eq!(again.mentions(), Some(mentions));
        let from = message.envelope.from;
        let named = mentions.users.iter().any(|user| user == from);
        assert_eq!(mentions.kind_for(&from).is_some(), named || mentions.all);
    }
    if !content.has_reserved_extensions() {
        assert!(has_face || names(message) == Default::default());
        let said = SenderNames::new().with_nick("n").with_avatar("a");
        let stamped = with_sender_names(body, &said);
        let stamped = Message::decode_from(&stamped).expect("extensions stand last");
        if has_face {
            assert_eq!(names(&stamped), names(message));
        } else {
            assert_eq!(names(&stamped), ("n".into(), String::new(), "a".into()));
        }
        assert_eq!(stamped.mentions(), message.mentions());
        assert_eq!(stamped.payload, message.payload);
    }
}

/// A body that can be read can be written, and then reads and writes the same.
fn settled<'a, T: Encode + Decode<'a>>(body: &'a [u8]) {
    let decoded: Result<T, DecodeError> = decode_body(body);
    match decoded {
        // What later versions add to a body is not written again, and longer forms of numbers are not either.
        Ok(value) => assert!(to_vec(&value).len() <= body.len()),
        Err(error) => assert!(error.at <= body.len()),
    }
}

/// Any packet comes through any buffer that is large enough, behind any noise; noise alone does no harm.
pub fn serial(data: &[u8]) {
    let mut script = Script(data);
    let room = script.byte();
    let noise_len = script.below(64);
    let noise = script.bytes(noise_len);
    let packet = script.0;

    let mut line = vec![0; serial_encoded_max_len(packet.len())];
    let len = serial_encode(packet, &mut line).expect("the length that always suffices");
    assert!(serial_encode(packet, &mut vec![0; len - 1]).is_err());
    line.truncate(len);
    assert_eq!(line.iter().filter(|byte| **byte == 0).count(), 2);
    let start = serial_gap(packet.len()) + usize::from(room) % 4;
    let mut place = vec![1; serial_encoded_max_len(packet.len()).max(start + packet.len())];
    place[start..start + packet.len()].copy_from_slice(packet);
    let placed = serial_encode_in_place(&mut place, start, packet.len()).expect("room and a gap");
    assert_eq!(&place[..placed], &line, "in place it is the same");

    let mut buffer = vec![0; len - 2];
    let mut decoder = SerialDecoder::new();
    for &byte in noise {
        if let Ok(Some(len)) = decoder.push(byte, &mut buffer) {
            let _ = serial_decode(&mut buffer[..len]);
        }
    }
    let mut arrived = 0;
    for &byte in &line {
        // The first zero ends the noise, whatever that was.
        if let Ok(Some(len)) = decoder.push(byte, &mut buffer) {
            if serial_decode(&mut buffer[..len]).is_ok_and(|decoded| decoded == packet) {
                arrived += 1;
            }
        }
    }
    assert!(arrived >= 1, "the packet is lost");

    // As a hostile line, with a buffer of any size.
    let (mut decoder, mut buffer) = (SerialDecoder::new(), vec![0; usize::from(room)]);
    for &byte in packet {
        if let Ok(Some(len)) = decoder.push(byte, &mut buffer) {
            let _ = serial_decode(&mut buffer[..len]);
        }
    }
}
