//! `tim frame`: bytes made by the library, shown by the program.

use serde_json::Value;
use tim_proto::message::{Message, MessageFlags, SendOptions};
use tim_proto::request::{Deliver, Failure, Login, Resume, SendMessage};
use tim_proto::wire::{End, FrameKind, Hello, serial_encode, serial_encoded_max_len};
use tim_proto::{ErrorCode, Platform};
use tim_testkit::messages::text;
use tim_testkit::{c2c, frame, raw_frame, user};

use super::{Ran, run};

const HELLO: Hello = Hello {
    min_version: 1,
    max_version: 2,
    end: End::CLIENT,
    features: 0x8000_0001,
    max_frame: 65_536,
    window: 8,
};

fn message(said: &str) -> Message<'_> {
    let mut message = text(user("alice"), c2c("bob"), said);
    message.envelope.sequence = 7;
    message.envelope.time = 1_705_307_415;
    message.envelope.flags = MessageFlags::REVOKED;
    message
}

fn login() -> Vec<u8> {
    let login = Login::new(5, user("alice"), "secret-ticket", 9, Platform::DESKTOP)
        .with_resume(Resume::START)
        .with_cursor(&[1, 2])
        .with_session(0x5E55)
        .with_attempt(3);
    frame(FrameKind::LOGIN, 1, &login)
}

fn send() -> Vec<u8> {
    let options = SendOptions::new().with_online_user_only(true);
    frame(
        FrameKind::SEND,
        300,
        &SendMessage::new(&message("你好[呲牙]")).with_options(options),
    )
}

fn stream() -> Vec<u8> {
    let deliver = Deliver::new(message("line\none")).with_cursor(&[0xab]);
    let failure = Failure::new(ErrorCode(20_016), "too late");
    [
        HELLO.to_bytes().to_vec(),
        login(),
        send(),
        frame(FrameKind::DELIVER, 1, &deliver),
        frame(FrameKind::ERROR, 4, &failure),
        raw_frame(FrameKind::ACK, 2, &[]),
        raw_frame(FrameKind(0x3f), 5, &[1, 2, 3]),
    ]
    .concat()
}

fn json(args: &[&str], input: &[u8]) -> (Ran, Vec<Value>) {
    let ran = run(["frame", "--json"].iter().chain(args), input);
    let values = ran
        .lines()
        .into_iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (ran, values)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X} ")).collect()
}

#[test]
fn every_part_of_a_stream_is_shown_with_its_place() {
    let stream = stream();
    let (ran, parts) = json(&["--raw"], &stream);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    let names: Vec<_> = parts
        .iter()
        .map(|part| part["name"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        names,
        ["", "LOGIN", "SEND", "DELIVER", "ERROR", "ACK", "frame kind 0x3f"]
    );
    let mut at = 0;
    for part in &parts {
        assert_eq!(part["at"], at);
        at += part["len"].as_u64().unwrap();
    }
    assert_eq!(at, stream.len() as u64);
    assert_eq!(
        parts[0]["fields"]["features"],
        serde_json::json!(["stubs", "0x80000000 (unknown)"])
    );
    assert_eq!(parts[2]["id"], 300);
    assert_eq!(parts[2]["fields"]["content"]["to"], "C2Cbob");
    assert_eq!(parts[2]["fields"]["options"]["online_user_only"], true);
    assert_eq!(
        parts[2]["fields"]["content"]["payload"]["Text"]["text"],
        "你好[呲牙]"
    );
    assert_eq!(parts[3]["fields"]["message"]["envelope"]["flags"], "REVOKED");
    assert_eq!(parts[3]["fields"]["message"]["envelope"]["from"], "alice");
    assert_eq!(parts[4]["fields"]["code"], 20_016);
    assert_eq!(parts[6]["fields"], "010203");
}

#[test]
fn hex_from_arguments_stdin_and_file_is_the_same() {
    let stream = stream();
    let by_args = run(["frame", &hex(&stream)], "").ok();
    assert_eq!(run(["frame"], hex(&stream)).ok(), by_args);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &stream).unwrap();
    assert_eq!(
        run(["frame", "--raw", "--file", file.path().to_str().unwrap()], "").ok(),
        by_args
    );
    for told in [
        "HELLO",
        "SEND #300",
        "text: 你好[呲牙]",
        "text: \"line\\none\"",
        "time: 1705307415 (2024-01-15 08:30:15 UTC)",
    ] {
        assert!(by_args.contains(told), "{told} in {by_args}");
    }
}

#[test]
fn a_usersig_is_not_repeated() {
    let shown = run(["frame"], hex(&login())).ok();
    assert!(!shown.contains("secret-ticket"), "{shown}");
    assert!(shown.contains("(13 bytes: "), "{shown}");
}

#[test]
fn a_broken_body_is_told_with_the_byte_and_does_not_hide_what_follows() {
    let mut broken = send();
    // The letters of "bob" stand behind the options and the conversation's type and length.
    let at = broken.windows(3).position(|three| three == b"bob").unwrap();
    broken[at] = 0x07;
    let (ran, parts) = json(&["--raw"], &[login(), broken, login()].concat());
    assert_eq!(ran.code, 2);
    assert_eq!(parts.len(), 3);
    let fault = parts[1]["error"].as_str().unwrap();
    // An id is blamed where it starts, at its length.
    let place = login().len() + at - 1;
    assert!(
        fault.contains(&format!("at byte {place} ")),
        "{fault}, expected {place}"
    );
    assert!(parts[2]["fields"]["app"] == 5, "{}", parts[2]);
}

#[test]
fn what_is_cut_short_or_no_frame_is_told() {
    let whole = send();
    for len in 1..whole.len() {
        let (ran, parts) = json(&["--raw"], &whole[..len]);
        assert_eq!((ran.code, parts.len()), (2, 1), "{len}");
        assert!(
            parts[0]["error"].as_str().unwrap().contains("cut short"),
            "{}",
            parts[0]
        );
    }
    let (ran, parts) = json(&["--raw"], &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1, 2]);
    assert_eq!((ran.code, parts.len()), (2, 1));
    assert!(
        parts[0]["error"]
            .as_str()
            .unwrap()
            .contains("no frame can start here"),
        "{}",
        parts[0]
    );
    let (_, parts) = json(&["--raw", "--max-frame", "20"], &whole);
    assert!(
        parts[0]["error"].as_str().unwrap().contains("larger than the 20"),
        "{}",
        parts[0]
    );
    let (ran, _) = json(&[], b"74696d1g");
    assert!(ran.code == 2 && ran.err.contains("character 8"), "{}", ran.err);
}

#[test]
fn a_serial_line_is_taken_apart_and_damage_stays_where_it_is() {
    let pack = |counter: u16, content: &[u8]| {
        let packet = &[&counter.to_le_bytes(), content].concat();
        let mut line = vec![0; serial_encoded_max_len(packet.len())];
        let len = serial_encode(packet, &mut line).unwrap();
        line.truncate(len);
        line
    };
    let mut damaged = pack(1, &send());
    damaged[5] ^= 0x40;
    let line = [
        pack(0, &HELLO.to_bytes()),
        damaged,
        pack(2, &send()),
        pack(3, &send()),
        vec![3, 1],
    ]
    .concat();
    let (ran, parts) = json(&["--serial", "--raw"], &line);
    assert_eq!((ran.code, parts.len()), (2, 5));
    assert_eq!(parts[0]["fields"]["window"], 8);
    assert!(parts[1]["error"].is_string());
    assert_eq!(
        parts[2]["fields"]["content"]["payload"]["Text"]["text"],
        "你好[呲牙]"
    );
    assert_eq!(
        (&parts[2]["counter"], &parts[2]["missing"]),
        (&2.into(), &1.into())
    );
    assert_eq!((&parts[3]["counter"], parts[3].get("missing")), (&3.into(), None));
    assert!(parts[4]["error"].as_str().unwrap().contains("inside a packet"));
}
