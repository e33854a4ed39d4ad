//! Revoked messages: what is left of them, and the words that stand for them (S115, S116).

#![cfg(feature = "alloc")]
use tim_proto::message::{Content, Envelope, MessageFlags, RevokedBy, SenderNames, Text, with_sender_names};
use tim_proto::render::Words;
use tim_proto::render::{Revoker, revoked_text};
use tim_proto::wire::{Extension, decode_body, encode_body};
use tim_proto::{ConversationId, Encoded, GroupId, MessageKind, Priority};
use tim_testkit::messages::message;
use tim_testkit::user;

/// A text of `member`'s that mentions somebody, as the hub stores it.
fn content(to: ConversationId) -> Vec<u8> {
    let mut mention = [0; 64];
    let len = encode_body(&Extension::new(1, b"\x05\x01\x03bob\x00"), &mut mention).unwrap();
    let mut message = message(user("member"), to, Text::new("secret"));
    message.envelope = envelope();
    (message.id.random, message.client_sequence, message.priority) = (7, 8, Priority::HIGH);
    message.extensions = tim_proto::wire::Extensions::new(&mention[..len]).unwrap();
    let whole = message.into_any().to_encoded().into_inner();
    let mut envelope_len = [0; 64];
    let skip = encode_body(&envelope(), &mut envelope_len).unwrap();
    let names = SenderNames::new().with_nick("Mem").with_avatar("https://h/a");
    with_sender_names(&whole[skip..], &names)
}

fn envelope() -> Envelope {
    Envelope::new(user("member"))
        .with_sequence(4)
        .with_time(3)
        .with_flags(MessageFlags::REVOKED)
        .with_origin(2)
}

/// The message after `by` took it back.
fn revoked(to: ConversationId, by: &RevokedBy<'_>) -> Encoded<Vec<u8>> {
    let stored = content(to);
    let content: Content<'_> = decode_body(&stored).unwrap();
    let mut bytes = tim_proto::message::to_vec(&envelope());
    bytes.extend(content.revoked(by));
    Encoded::new(bytes).unwrap()
}

const BY_OWNER: RevokedBy<'_> = RevokedBy::new("owner").with_reason("rude");

#[test]
fn what_was_said_and_whom_it_mentioned_is_gone_and_the_rest_is_there() {
    let group = ConversationId::Group(GroupId::new("g").unwrap());
    let left = revoked(group, &BY_OWNER);
    assert!(!left.as_bytes().windows(6).any(|part| part == b"secret"));
    assert!(!left.as_bytes().windows(3).any(|part| part == b"bob"));
    let view = left.message();
    assert_eq!(
        (view.id.random, view.client_sequence, view.priority),
        (7, 8, Priority::HIGH)
    );
    assert_eq!((view.payload.kind(), view.to), (MessageKind::TEXT, group));
    assert_eq!(
        (view.nick(), view.avatar(), view.mentions()),
        ("Mem", "https://h/a", None)
    );
    assert_eq!(view.revoked_by(), Some(BY_OWNER));
    // Once more changes nothing but who did it.
    let again = left.header().content.revoked(&BY_OWNER);
    assert!(left.as_bytes().ends_with(&again));
}

#[test]
fn the_text_names_the_revoker_by_card_or_nick_or_id_and_each_reader_as_they_see_it() {
    let group = ConversationId::Group(GroupId::new("g").unwrap());
    let said = |left: &Encoded<Vec<u8>>, me: &str| {
        let view = left.message();
        revoked_text(Revoker::of(&view, &user(me)), Words::SEED).to_string()
    };
    let unnamed = revoked(group, &BY_OWNER);
    assert_eq!(
        said(&unnamed, "member"),
        "owner撤回了一条消息",
        "not: you took it back"
    );
    assert_eq!(said(&unnamed, "owner"), "你撤回了一条消息");
    let named = BY_OWNER.with_name("张三");
    assert_eq!(said(&revoked(group, &named), "other"), "张三撤回了一条消息");
    let mut own = BY_OWNER;
    own.revoker = "member";
    let between_two = revoked(ConversationId::C2c(user("other")), &own);
    assert_eq!(said(&between_two, "other"), "对方撤回了一条消息");
    assert_eq!(said(&between_two, "member"), "你撤回了一条消息");
}
