//! Ids, text and rendered words.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use tim_proto::kind::{
    AtKind, GroupType, InviteOption, JoinOption, JoinStatus, MemberResult, MessageKind, Priority,
    ReceiveOption, Role,
};
use tim_proto::message::GroupTip;
use tim_proto::message::TipOperation;
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::placeholder;
use tim_proto::render::text::{self as emoji, EmojiTable, Language, Span};
use tim_proto::render::tip_text;
use tim_proto::render::{Revoker, revoked_text};
use tim_proto::wire::{List, decode_body};
use tim_proto::{ConversationId, ErrorCode, GroupId, MessageId, Platform, UserId, Words, message::to_vec};

use crate::script::Script;

/// What parses prints as it was; what is refused is refused for a reason that holds; and ids travel.
pub fn ids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let printable = data.iter().all(|byte| (0x20..=0x7e).contains(byte));
    let trimmed = !data.starts_with(b" ") && !data.ends_with(b" ");
    let fits = |max| printable && trimmed && (1..=max).contains(&data.len());
    assert_eq!(inverse::<UserId>(&text).is_some(), fits(32));
    assert_eq!(inverse::<GroupId>(&text).is_some(), fits(48));

    let known_form = match (text.strip_prefix("C2C"), text.strip_prefix("GROUP")) {
        (Some(user), _) => UserId::new(user).is_ok(),
        (_, Some(group)) => GroupId::new(group).is_ok(),
        _ => text == "@TIM#SYSTEM",
    };
    let conversation = inverse::<ConversationId>(&text);
    assert_eq!(conversation.is_some(), known_form);
    for travelling in [UserId::new(&text).ok().map(ConversationId::C2c), conversation]
        .into_iter()
        .flatten()
    {
        let bytes = to_vec(&travelling);
        assert_eq!(decode_body(&bytes), Ok(travelling));
        assert_eq!(travelling.to_string().parse(), Ok(travelling));
        assert!(travelling.to_string().len() <= ConversationId::MAX_LEN);
    }
    inverse::<MessageId>(&text);
    named::<ErrorCode>(&text);
    named::<MessageKind>(&text);
    named::<Priority>(&text);
    named::<GroupType>(&text);
    named::<Role>(&text);
    named::<JoinOption>(&text);
    named::<InviteOption>(&text);
    named::<JoinStatus>(&text);
    named::<MemberResult>(&text);
    named::<ReceiveOption>(&text);
    named::<AtKind>(&text);
    named::<Platform>(&text);
    named::<TipOperation>(&text);
    named::<NoticeOperation>(&text);
}

/// `Display` and `FromStr` undo each other exactly.
fn inverse<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let printed = value.to_string();
    assert_eq!(printed, text);
    assert_eq!(printed.parse().ok().as_ref(), Some(&value));
    Some(value)
}

/// A name parses to a value that prints as a name of that value again.
fn named<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse().ok(), Some(value));
    }
}

/// The spans put together are the text, are as long as can be, and are what a plain search finds.
pub fn text(data: &[u8]) {
    let mut script = Script(data);
    let table: &EmojiTable<'static> = [&emoji::SEED, &emoji::CLASSIC, &emoji::TUI][script.below(3)];
    let dense = script.byte() & 1 == 1;
    // Brackets and keys are rare among random bytes: in the dense form each byte chooses one of those.
    let text = if dense {
        keys_and_brackets(script.0, table)
    } else {
        String::from_utf8_lossy(script.0).into()
    };

    let spans: Vec<_> = emoji::spans(&text, table).collect();
    assert_eq!(spans.iter().map(Span::source).collect::<String>(), text);
    assert!(spans.iter().all(|span| !span.source().is_empty()));
    for pair in spans.windows(2) {
        assert!(
            !matches!(pair, [Span::Text(_), Span::Text(_)]),
            "two text spans touch"
        );
    }
    assert_eq!(spans, plain_spans(&text, |key| table.file(key)));
    for (key, file) in spans.iter().filter_map(|span| match span {
        Span::Emoji { key, file } => Some((key, file)),
        _ => None,
    }) {
        assert_eq!(table.file(key), Some(*file));
    }
    names(&text);
}

/// Translating touches keys and names only, and what it made of a key is understood on the way back.
fn names(text: &str) {
    for language in [Language::ZhCn, Language::En, Language::ZhTw] {
        let shown = emoji::keys_to_names(text, language).to_string();
        let keys = emoji::names_to_keys(&shown, language).to_string();
        assert_eq!(emoji::keys_to_names(&keys, language).to_string(), shown);
        if !text.contains('[') {
            assert_eq!(shown, text);
        }
    }
}

/// A table that is made at run time, of any entries and with an index of any size, finds what the rule says: of equal keys
/// the last, none without a file, and only what runs from a bracket to the first that closes.
pub fn emoji_tables(data: &[u8]) {
    let mut script = Script(data);
    let slots = script.below(5);
    let count = usize::from(script.byte()) % 40;
    let entries: Vec<(String, String)> = (0..count)
        .map(|_| (piece(&mut script), piece(&mut script)))
        .collect();
    let entries: Vec<(&str, &str)> = entries.iter().map(|(key, file)| (&**key, &**file)).collect();
    let mut text = String::new();
    while !script.is_over() {
        // Keys of the table as they are, and what is like one.
        let at = usize::from(script.byte());
        match entries.get(at) {
            Some((key, _)) => text.push_str(key),
            None => text.push_str(&piece(&mut script)),
        }
    }
    match slots {
        0 => table_of::<0>(&entries, &text),
        1 => table_of::<1>(&entries, &text),
        2 => table_of::<7>(&entries, &text),
        3 => table_of::<64>(&entries, &text),
        _ => table_of::<512>(&entries, &text),
    }
}

/// A short text, in which brackets are frequent.
fn piece(script: &mut Script<'_>) -> String {
    const PIECES: [&str; 8] = ["[", "]", "a", "b", "微", "[a]", "[微b]", ""];
    let len = script.byte() % 5;
    (0..len).map(|_| PIECES[script.below(8)]).collect()
}

fn table_of<const SLOTS: usize>(entries: &[(&str, &str)], text: &str) {
    let table: EmojiTable<'_, SLOTS> = EmojiTable::with_slots(entries);
    assert_eq!(table.entries(), entries);
    let file = |key: &str| {
        let can_match = key.starts_with('[') && key.len() > 1 && key.find(']') == Some(key.len() - 1);
        let last = entries.iter().rev().find(|entry| entry.0 == key)?;
        (can_match && !last.1.is_empty()).then_some(last.1)
    };
    for key in entries.iter().map(|entry| entry.0).chain([text, "[a]", "[]", ""]) {
        assert_eq!(table.file(key), file(key), "{key} of {entries:?}");
    }
    let spans: Vec<_> = emoji::spans(text, &table).collect();
    assert_eq!(spans, plain_spans(text, file), "{text} with {entries:?}");
    assert_eq!(spans.iter().map(Span::source).collect::<String>(), text);
}

fn keys_and_brackets(bytes: &[u8], table: &EmojiTable<'static>) -> String {
    let keys = table.entries();
    let piece = |byte: &u8| match byte {
        0..=63 => "[",
        64..=127 => "]",
        128..=143 => "a",
        144..=159 => "微",
        _ => keys[usize::from(*byte) % keys.len()].0,
    };
    let cut = |(at, byte): (usize, &u8)| {
        let piece = piece(byte);
        // Now and then without the last character, so that near misses occur.
        if at % 7 == 3 {
            piece
                .char_indices()
                .last()
                .map_or(piece, |(end, _)| &piece[..end])
        } else {
            piece
        }
    };
    bytes.iter().enumerate().map(cut).collect()
}

/// The rule, word for word.
fn plain_spans<'t, 'e>(text: &'t str, file: impl Fn(&str) -> Option<&'e str>) -> Vec<Span<'t, 'e>> {
    let (mut spans, mut shown, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = text[at..].find('[').map(|open| at + open) {
        let candidate = text[open..].find(']').map(|close| &text[open..=open + close]);
        match candidate.and_then(|key| Some((key, file(key)?))) {
            Some((key, file)) => {
                if shown < open {
                    spans.push(Span::Text(&text[shown..open]));
                }
                spans.push(Span::Emoji { key, file });
                at = open + key.len();
                shown = at;
            }
            None => at = open + 1,
        }
    }
    if shown < text.len() {
        spans.push(Span::Text(&text[shown..]));
    }
    spans
}

/// Whatever the notice or tip, all profiles render it or none does, and what the hub said is in it.
pub fn notices(data: &[u8]) {
    let mut script = Script(data);
    let operation = match script.byte() {
        254 => u32::from_le_bytes([script.byte(), script.byte(), script.byte(), script.byte()]),
        byte => u32::from(byte) % 30,
    };
    let operation = if operation == 29 { 255 } else { operation };
    let texts = String::from_utf8_lossy(script.0);
    let parts: Vec<&str> = texts.splitn(4, '\0').collect();
    let part = |n: usize| parts.get(n).copied().unwrap_or("");
    let notice = SystemNotice::new(NoticeOperation(operation))
        .with_operator_id(part(0))
        .with_group_id(part(1))
        .with_group_name(part(2));
    assert_eq!(decode_body::<SystemNotice<'_>>(&to_vec(&notice)), Ok(notice));
    let rendered: Vec<_> = Words::ALL
        .iter()
        .map(|words| notice.text(*words).map(|text| text.to_string()))
        .collect();
    assert!(
        rendered
            .iter()
            .all(|text| text.is_some() == rendered[0].is_some())
    );
    let without_group = notice.operation == NoticeOperation::CUSTOM;
    for text in rendered.into_iter().flatten() {
        assert!(without_group || text.contains(notice.group_label()));
    }
    assert!(notice.operation.is_known() || notice.text(Words::SEED).is_none());
    tips(TipOperation(operation), part(0), part(3));
    for words in Words::ALL {
        assert!(
            revoked_text(Revoker::Member(part(0)), *words)
                .to_string()
                .starts_with(part(0))
        );
    }
}

fn tips(operation: TipOperation, operator_id: &str, users: &str) {
    let users: Vec<&str> = users.split('\u{1}').collect();
    let Ok(group_id) = GroupId::new("g") else { return };
    let tip = GroupTip::new(operation, group_id)
        .with_operator_id(operator_id)
        .with_users(List::from_slice(&users))
        .with_member_count(1)
        .with_operator(Default::default())
        .with_names(Default::default());
    let bytes = to_vec(&tip);
    let received: GroupTip<'_> = decode_body(&bytes).expect("what was encoded");
    for words in Words::ALL {
        let text = tip_text(operation, operator_id, &users, *words).to_string();
        assert_eq!(
            received.text(*words).to_string(),
            text,
            "from the wire as from a slice"
        );
        let has_words = (1..=5).contains(&operation.0);
        assert_eq!(has_words, text != placeholder(MessageKind::GROUP_TIP, *words));
        assert!(!has_words || text.contains(&users.join(",")));
    }
}
