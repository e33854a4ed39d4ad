//! `tim chat`, `tim send`, `tim history` and `tim conversations` against a hub that runs as its own process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::serve::Served;
use super::{Leash, Ran, run, tim};

/// A hub on a directory of its own.
pub(crate) struct World {
    hub: Served,
    pub(crate) data: PathBuf,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A hub with these arguments.
    pub(crate) fn with(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self {
            hub: Served::start(&data, args),
            data,
            _dir: dir,
        }
    }

    /// Where the hub listens.
    pub(crate) fn address(&self) -> String {
        self.hub.address.clone()
    }

    /// Runs a command as a user.
    pub(crate) fn tim(&self, user: &str, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let data = self.data.to_str().unwrap();
        run(args.iter().copied().chain(["--as", user, "--data", data]), input)
    }

    pub(crate) fn history(&self, user: &str, args: &[&str]) -> Vec<Value> {
        let all = [&["history", "--json", "--all"], args].concat();
        self.tim(user, &all, "")
            .ok()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn restart(&mut self) {
        let address = self.hub.address.clone();
        assert_eq!(self.hub.stop(), Some(0));
        self.hub = Served::start_at(&self.data, &address, &[]);
    }
}

/// A running chat, typed into and read from by the test.
pub(crate) struct Chat {
    child: Child,
    _leash: Leash,
    keys: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Chat {
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_as("chat", data, args)
    }

    /// Another command that goes on until it is ended.
    pub(crate) fn start_as(name: &str, data: &Path, args: &[&str]) -> Self {
        let mut command = tim();
        command.args([name, "--data"]).arg(data).args(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        Self {
            keys: child.stdin.take(),
            _leash: Leash::new(&child),
            child,
            lines,
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.keys.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line that holds all of these.
    #[track_caller]
    pub(crate) fn expect(&self, parts: &[&str]) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if parts.iter().all(|part| line.contains(part)) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("{parts:?} never came, but {seen:#?}"),
            }
        }
    }

    /// Sends SIGTERM and returns the exit code.
    #[cfg(unix)]
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }

    /// Waits for the end and returns the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Ends the input and returns the exit code.
    pub(crate) fn leave(mut self) -> Option<i32> {
        drop(self.keys.take());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_sent_is_in_the_history_of_both() {
    let world = World::new();
    let sent = world
        .tim("alice", &["send", "bob", "好[呲牙]", "--json"], "")
        .ok();
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["sequence"], 1);
    world.tim("bob", &["send", "alice"], "two\nlines\n").ok();
    world
        .tim("bob", &["send", "alice", "--lines"], "three\n\nfour\n")
        .ok();
    world
        .tim(
            "alice",
            &[
                "send",
                "bob",
                "--custom",
                "dice",
                "--description",
                "4",
                "--priority",
                "high",
            ],
            "",
        )
        .ok();
    world
        .tim(
            "alice",
            &["send", "bob", "--face", "7", "--face-data", "tt07"],
            "",
        )
        .ok();
    world
        .tim("alice", &["send", "bob", "--online-only", "gone"], "")
        .ok();

    let alice = world.history("alice", &["bob"]);
    let bob = world.history("bob", &["alice"]);
    assert_eq!(alice.len(), 6);
    for (mine, theirs) in alice.iter().zip(&bob) {
        assert_eq!(
            (&mine["ID"], &mine["payload"]),
            (&theirs["ID"], &theirs["payload"])
        );
        assert_ne!(mine["flow"], theirs["flow"]);
    }
    assert_eq!(alice[0]["ID"], sent["ID"]);
    assert_eq!(alice[1]["payload"]["text"], "two\nlines");
    assert_eq!(
        (&alice[4]["payload"]["description"], &alice[4]["priority"]),
        (&"4".into(), &"High".into())
    );
    assert_eq!(alice[5]["payload"]["index"], 7);

    let shown = world.tim("bob", &["history", "alice", "-n", "6"], "").ok();
    assert!(shown.lines().next().unwrap().ends_with("alice: 好😁"), "{shown}");
    let keys = world
        .tim("bob", &["history", "alice", "--all", "--emoji", "keys"], "")
        .ok();
    assert!(keys.contains("好:呲牙:"), "{keys}");
    assert_eq!(
        world
            .tim("bob", &["history", "alice", "-n", "2"], "")
            .ok()
            .lines()
            .count(),
        2
    );
}

#[test]
fn a_long_history_is_printed_whole_and_in_order() {
    let world = World::new();
    let input: String = (1..=100).map(|n| format!("{n}\n")).collect();
    world.tim("alice", &["send", "bob", "--lines"], &input).ok();
    let texts: Vec<_> = world
        .history("bob", &["alice"])
        .iter()
        .map(|it| it["payload"]["text"].clone())
        .collect();
    assert_eq!(texts, (1..=100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn conversations_show_what_is_unread_until_it_is_read() {
    let world = World::new();
    world.tim("alice", &["send", "bob", "one"], "").ok();
    world.tim("carol", &["send", "bob", "two [微笑]"], "").ok();
    world.tim("carol", &["send", "bob", "three [微笑]"], "").ok();
    let list = |world: &World| -> Vec<Value> {
        let out = world.tim("bob", &["conversations", "--json"], "").ok();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let before = list(&world);
    let counts: Vec<_> = before
        .iter()
        .map(|it| (it["conversationID"].as_str(), it["unreadCount"].as_u64()))
        .collect();
    assert_eq!(counts, [(Some("C2Ccarol"), Some(2)), (Some("C2Calice"), Some(1))]);
    assert_eq!(before[0]["lastMessage"]["payload"]["text"], "three [微笑]");
    let table = world.tim("bob", &["conversations"], "").ok();
    assert!(
        table.starts_with("  2 new  C2Ccarol") && table.contains("three 🙂"),
        "{table}"
    );
    // Entering a conversation reads it.
    world.tim("bob", &["chat", "carol"], "").ok();
    assert_eq!(list(&world)[0]["unreadCount"], 0);
    assert_eq!(list(&world)[1]["unreadCount"], 1);
}

#[test]
fn two_chats_see_each_other_live_and_survive_a_restart_of_the_hub() {
    let mut world = World::new();
    world.tim("bob", &["send", "alice", "before"], "").ok();
    let mut alice = Chat::start(&world.data, &["--as", "alice", "bob"]);
    alice.expect(&["bob: before"]);
    let mut bob = Chat::start(&world.data, &["--as", "bob", "alice"]);
    bob.expect(&["bob: before"]);

    alice.type_line("live [呲牙]");
    alice.expect(&["   2 ", "alice: live 😁"]);
    bob.expect(&["   2 ", "alice: live 😁"]);
    alice.type_line("/revoke");
    alice.expect(&["   2 ", "你撤回了一条消息"]);
    bob.expect(&["   2 ", "对方撤回了一条消息"]);

    world.restart();
    alice.expect(&["connection lost"]);
    bob.expect(&["connection lost"]);
    alice.expect(&["reconnected"]);
    bob.expect(&["reconnected"]);
    bob.type_line("after");
    alice.expect(&["bob: after"]);
    assert_eq!((alice.leave(), bob.leave()), (Some(0), Some(0)));

    let history = world.history("alice", &["bob"]);
    let texts: Vec<_> = history
        .iter()
        .filter(|it| it["isRevoked"] == false)
        .map(|it| &it["payload"]["text"])
        .collect();
    assert_eq!(texts, ["before", "after"]);
}

#[test]
fn what_comes_after_the_hub_was_put_back_from_a_copy_is_shown() {
    let mut world = World::new();
    let send = |world: &World, text: &str| world.tim("alice", &["send", "bob", text], "").ok();
    send(&world, "in the copy");
    let address = world.hub.address.clone();
    assert_eq!(world.hub.stop(), Some(0));
    let copy = std::fs::read(world.data.join("tim.sqlite3")).unwrap();
    world.hub = Served::start_at(&world.data, &address, &[]);

    let bob = Chat::start(&world.data, &["--as", "bob", "alice"]);
    bob.expect(&["in the copy"]);
    send(&world, "lost with the disk");
    bob.expect(&["lost with the disk"]);
    assert_eq!(world.hub.stop(), Some(0));
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.data.join(format!("tim.sqlite3{beside}")));
    }
    std::fs::write(world.data.join("tim.sqlite3"), copy).unwrap();
    world.hub = Served::start_at(&world.data, &address, &[]);
    // It has the place of the one that was lost.
    send(&world, "said since");
    bob.expect(&["restored from a backup"]);
    bob.expect(&["2", "said since"]);
    assert_eq!(bob.leave(), Some(0));
}

#[test]
fn a_revoked_message_says_nothing_any_more_and_names_who_took_it_back() {
    let world = World::new();
    world
        .tim(
            "own",
            &["group", "create", "g", "mem", "other", "--type", "public"],
            "",
        )
        .ok();
    world.tim("mem", &["send", "--group", "g", "rude words"], "").ok();
    let mut owner = Chat::start(&world.data, &["--as", "own", "--group", "g"]);
    owner.expect(&["mem: rude words"]);
    owner.type_line("/revoke 2");
    owner.expect(&["   2 ", "你撤回了一条消息"]);
    assert_eq!(owner.leave(), Some(0));
    for (who, words) in [
        ("own", "你撤回了一条消息"),
        ("mem", "own撤回了一条消息"),
        ("other", "own撤回了一条消息"),
    ] {
        let shown = world.tim(who, &["history", "--group", "g"], "").ok();
        assert!(shown.contains(words), "to {who}: {shown}");
        if who != "own" {
            assert!(!shown.contains("你撤回"), "to {who}: {shown}");
        }
        let history = world.history(who, &["--group", "g"]);
        let last = history.last().unwrap();
        assert_eq!(
            (&last["isRevoked"], &last["revoker"]),
            (&true.into(), &"own".into())
        );
        let list = world.tim(who, &["conversations", "--json"], "").ok();
        for all in [format!("{history:?}"), list] {
            assert!(!all.contains("rude"), "to {who}: {all}");
        }
    }
}

#[test]
fn groups_are_made_and_talked_in() {
    let world = World::new();
    let mut bob = Chat::start(&world.data, &["--as", "bob"]);
    bob.expect(&["no conversations yet"]);
    let mut alice = Chat::start(&world.data, &["--as", "alice"]);
    alice.type_line("/create dice bob carol");
    alice.expect(&["群成员:alice,bob,carol,加入群组"]);
    bob.expect(&["[GROUPdice]", "加入群组"]);
    alice.type_line("/custom 6");
    bob.expect(&["[GROUPdice]", "alice: [自定义消息] 6"]);
    bob.type_line("/group dice");
    bob.expect(&["── GROUPdice"]);
    bob.type_line("/face 3 roll");
    alice.expect(&["bob: [动画表情] 3 roll"]);
    bob.type_line("/online now");
    alice.expect(&["bob: now"]);
    assert_eq!((alice.leave(), bob.leave()), (Some(0), Some(0)));
    let kinds: Vec<_> = world
        .history("carol", &["--group", "dice"])
        .iter()
        .map(|it| it["type"].clone())
        .collect();
    assert_eq!(kinds, ["TIMGroupTipElem", "TIMCustomElem", "TIMFaceElem"]);
    let notices = world.tim("carol", &["history", "@TIM#SYSTEM"], "").ok();
    assert!(notices.contains("alice邀请你加群:dice"), "{notices}");
}

#[test]
fn what_cannot_be_done_in_a_chat_is_told_and_shows_in_the_exit_code() {
    let world = World::new();
    let ran = world.tim("alice", &["chat"], "to nobody\n/dance\n/revoke 9\n");
    assert_eq!(ran.code, 2);
    for (told, line) in [
        ("/to USER", 1),
        ("unknown command /dance", 2),
        ("no such message", 3),
    ] {
        assert!(ran.out.contains(told), "{told} in {}", ran.out);
        let on_stderr = |it: &str| it.starts_with(&format!("error: line {line}: ")) && it.contains(told);
        assert!(ran.err.lines().any(on_stderr), "{told} in {}", ran.err);
    }
    let quit = world.tim("alice", &["chat", "bob"], "hi\n/quit\nnever sent\n");
    assert_eq!(quit.code, 0);
    assert_eq!(world.history("bob", &["alice"]).len(), 1);
}

#[test]
fn each_way_not_to_get_in_has_its_exit_code_and_a_hint() {
    let mut world = World::new();
    let data = world.data.to_str().unwrap().to_owned();
    let sig = run(
        [
            "sig",
            "make",
            "--user",
            "alice",
            "--key",
            "another key, and long enough",
        ],
        "",
    )
    .ok();
    let cases = [
        (run(["send", "bob", "x", "--data", &data], ""), 2, "--as USER"),
        (world.tim("alice", &["send"], ""), 2, "--group"),
        (world.tim("alice", &["send", "bob"], ""), 2, "stdin"),
        (
            world.tim("alice", &["history", "--group", "none"], ""),
            1,
            "10010",
        ),
        (
            run(["send", "bob", "x", "--sig", sig.trim(), "--data", &data], ""),
            4,
            "tim sig inspect",
        ),
        (
            run(
                ["send", "bob", "x", "--as", "alice", "--data", "/nonexistent"],
                "",
            ),
            4,
            "tim serve",
        ),
    ];
    for (ran, code, told) in cases {
        assert_eq!((ran.code, &*ran.out), (code, ""), "{}", ran.err);
        assert!(
            ran.err.starts_with("error: ") && ran.err.contains(told),
            "{told} in {}",
            ran.err
        );
    }
    assert_eq!(world.hub.stop(), Some(0));
    let gone = world.tim("alice", &["conversations"], "");
    assert_eq!(gone.code, 3);
    assert!(
        gone.err.contains("hint: start one with `tim serve`"),
        "{}",
        gone.err
    );
}

#[test]
fn a_sig_is_enough_elsewhere() {
    let world = World::new();
    let sig = world.tim_sig();
    let mut command = tim();
    command.args([
        "send",
        "bob",
        "from elsewhere",
        "--hub",
        &world.hub.address,
        "--data",
        "/nonexistent",
    ]);
    let ran: Ran = command.env("TIM_USER_SIG", sig).output().unwrap().into();
    assert!(ran.ok().starts_with("stored as #1 of C2Cbob"));
}

impl World {
    fn tim_sig(&self) -> String {
        let data = self.data.to_str().unwrap();
        run(["sig", "make", "--user", "alice", "--data", data], "")
            .ok()
            .trim()
            .to_owned()
    }
}
