//! `tim chat` in a terminal: what a person sees and presses.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::chat::World;
use super::{Leash, tim};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const BELL: &str = "\x07";

/// A chat on a pty.
struct Screen {
    child: Child,
    _leash: Leash,
    keys: File,
    bytes: Receiver<Vec<u8>>,
    /// All that was written to the terminal.
    seen: Vec<u8>,
    /// How much of it [`Screen::expect`] has passed.
    passed: usize,
}

impl Screen {
    fn chat(world: &World, user: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        // It must not become the terminal of the tests themselves.
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OpenptFlags::NOCTTY.bits().cast_signed())
            .open(OsStr::from_bytes(name.to_bytes()))
            .unwrap();
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = tim()
            .args(["chat", "--color", "never", "--as", user, "--data"])
            .arg(&world.data)
            .args(args)
            .env("TERM", "xterm")
            .env("LC_ALL", "en_US.UTF-8")
            .envs(env.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = File::from(keys);
        let mut screen = keys.try_clone().unwrap();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails when the program has gone.
            while let Ok(len @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            _leash: Leash::new(&child),
            child,
            keys,
            bytes,
            seen: Vec::new(),
            passed: 0,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is written, behind what was waited for before.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let new = &self.seen[self.passed..];
            if let Some(at) = new.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.passed += at + text.len();
                return;
            }
            match self
                .bytes
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.seen.extend(bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} never came: {:?}", String::from_utf8_lossy(&self.seen))
                }
            }
        }
    }

    /// How often this was written.
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.seen).matches(text).count()
    }

    /// Waits for the end and returns the exit code.
    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn texts(world: &World, user: &str, args: &[&str]) -> Vec<String> {
    let history = world.history(user, args);
    let texts = history
        .iter()
        .filter_map(|message| message["payload"]["text"].as_str());
    texts.map(str::to_owned).collect()
}

#[test]
fn ctrl_c_clears_a_draft_and_leaves_from_an_empty_line() {
    let world = World::new();
    let mut alice = Screen::chat(&world, "alice", &["bob"], &[]);
    alice.expect("bob> ");
    alice.press("not to be sent");
    alice.expect("sent");
    alice.press(CTRL_C);
    alice.expect("bob> ");
    alice.press("to be sent\r");
    alice.expect("   1 ");
    alice.expect("bob> ");
    // What was typed and taken back by hand is no draft.
    alice.press("ab\x7f\x7f");
    alice.press(CTRL_C);
    assert_eq!(alice.end(), Some(0));
    assert_eq!(texts(&world, "bob", &["alice"]), ["to be sent"]);
    let mut alice = Screen::chat(&world, "alice", &["bob"], &[]);
    alice.expect("bob> ");
    alice.press(CTRL_D);
    assert_eq!(alice.end(), Some(0));
}

#[test]
fn own_lines_stand_there_once_and_a_draft_outlives_what_arrives() {
    let world = World::new();
    let mut alice = Screen::chat(&world, "alice", &["bob"], &[]);
    alice.expect("bob> ");
    alice.press("mine\r");
    alice.expect("sent");
    alice.expect("bob> ");
    alice.press("half a draft");
    alice.expect("draft");
    world.tim("bob", &["send", "alice", "theirs"], "").ok();
    alice.expect("bob: theirs");
    alice.expect("bob> half a draft");
    alice.press("\r");
    alice.expect("sent");
    alice.expect("bob> ");
    assert_eq!((alice.count("alice: "), alice.count("bob: theirs")), (0, 1));
    alice.press(CTRL_C);
    assert_eq!(alice.end(), Some(0));
    assert_eq!(
        texts(&world, "bob", &["alice"]),
        ["mine", "theirs", "half a draft"]
    );
}

#[test]
fn a_mention_rings_the_bell_and_costs_no_line_unless_it_is_off() {
    let world = World::new();
    world
        .tim("alice", &["group", "create", "team", "bob", "--type", "work"], "")
        .ok();
    let start = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["--group", "team"], args].concat();
        let mut bob = Screen::chat(&world, "bob", &args, env);
        bob.expect("team> ");
        bob
    };
    let say = |text: &str| {
        world
            .tim("alice", &["chat", "--group", "team"], format!("{text}\n"))
            .ok();
    };

    let mut bob = start(&[], &[]);
    say("bob is not mentioned");
    bob.expect("is not mentioned");
    assert_eq!(bob.count(BELL), 0);
    say("@bob lunch");
    bob.expect(BELL);
    say("later");
    bob.expect("later");
    assert_eq!(bob.count(BELL), 1);
    for line_end in ["\n", "\r\n"] {
        assert_eq!(bob.count(&format!("{BELL}{line_end}")), 0, "an empty line");
    }

    for (args, env) in [
        (&["--no-bell"][..], &[][..]),
        (&[], &[("TIM_NO_BELL", "1")]),
        (&[], &[("TIM_NO_BELL", "true")]),
    ] {
        let mut bob = start(args, env);
        say("@bob quiet");
        bob.expect("quiet");
        say("over");
        bob.expect("over");
        assert_eq!(bob.count(BELL), 0, "{args:?} {env:?}");
    }
    for off in ["0", "false", ""] {
        let mut bob = start(&[], &[("TIM_NO_BELL", off)]);
        say("@bob loud");
        bob.expect(BELL);
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_is_talked_in_all_the_same() {
    let world = World::new();
    let mut alice = Screen::chat(&world, "alice", &["bob"], &[("TERM", "dumb")]);
    alice.expect("no messages yet");
    alice.press("plain\r");
    alice.expect("alice: plain");
    alice.press(CTRL_D);
    assert_eq!(alice.end(), Some(0));
    assert_eq!(texts(&world, "bob", &["alice"]), ["plain"]);
}
