//! Lines through a pipe: all of them, in order, whatever the hub takes in a second and whatever bytes are among them.

use super::chat::World;

/// What alice said to bob, in order.
fn said(world: &World) -> Vec<String> {
    let history = world.history("bob", &["alice"]);
    let texts = history.iter().map(|message| &message["payload"]["text"]);
    texts
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn a_pipe_that_is_faster_than_the_hub_is_slowed_down_and_loses_nothing() {
    let world = World::with(&["--send-rate", "100"]);
    let numbers: Vec<String> = (1..=300).map(|number| number.to_string()).collect();
    let input = numbers.join("\n");
    let sent = world.tim("alice", &["send", "bob", "--lines"], &input).ok();
    assert_eq!(sent.lines().count(), 300);
    assert_eq!(said(&world), numbers);
    // So is a conversation in a pipe.
    let chat = world.tim("carol", &["chat", "dave"], &input).ok();
    assert!(chat.contains("300"), "{chat}");
    assert_eq!(world.history("dave", &["carol"]).len(), 300);
}

#[test]
fn a_line_that_cannot_be_sent_is_named_and_the_others_are_sent() {
    let world = World::new();
    let too_long = "x".repeat(13 * 1024);
    let input = [
        b"\xef\xbb\xbfone\n\xf0\x9f\x91\n\n",
        too_long.as_bytes(),
        b"\r\ntwo\r\n",
    ]
    .concat();
    let ran = world.tim("alice", &["send", "bob", "--lines"], &input);
    assert_eq!((ran.code, ran.lines().len()), (2, 2), "{}", ran.err);
    let told: Vec<&str> = ran.err.lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "error: line 2: byte 1 is not UTF-8");
    assert!(told[1].starts_with("error: line 4: 80002 "), "{told:?}");
    assert_eq!(told[2], "error: 2 lines were not sent");
    assert_eq!(said(&world), ["one", "two"]);

    let ran = world.tim("alice", &["chat", "bob"], b"three\n\xff\n/dance\nfour\n");
    assert_eq!(ran.code, 2);
    for told in [
        "error: line 2: byte 1 is not UTF-8",
        "error: line 3: unknown command /dance",
    ] {
        assert!(ran.err.contains(told), "{told} in {}", ran.err);
    }
    assert_eq!(said(&world), ["one", "two", "three", "four"]);
}

#[test]
fn a_conversation_is_one_line_of_the_list_whatever_was_said_in_it() {
    let world = World::new();
    world.tim("alice", &["profile", "--nick", "阿丽"], "").ok();
    world.tim("bob", &["profile", "--nick", "Bobby"], "").ok();
    world.tim("alice", &["send", "dave"], "one\ntwo\u{1b}[2J").ok();
    world
        .tim("bob", &["send", "dave"], format!("long {}", "好".repeat(100)))
        .ok();
    let list = world.tim("dave", &["conversations"], "").ok();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert!(list.contains("one⏎two\\u{1b}[2J"), "{list}");
    assert!(lines[0].ends_with('…'), "{list}");
    // What stands before the last messages is as wide in every line, in columns.
    let before = |line: &str| {
        let (before, _) = line.split_once(':').unwrap();
        let wide = before.chars().filter(|c| !c.is_ascii()).count();
        before.chars().count() + wide
    };
    assert_eq!(before(lines[0]), before(lines[1]), "{list}");
}
