//! The compiled program, run as a user runs it.

mod chat;
mod conformance;
mod crash;
mod demo;
mod files;
mod frame;
mod group;
#[cfg(unix)]
mod operate;
mod parse;
mod pipes;
mod scripts;
#[cfg(unix)]
mod serial;
mod serve;
mod sig;
mod sockets;
#[cfg(unix)]
mod terminal;
mod timeout;
mod tls;

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long one run of the program may take, and how long a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kills a child process that lives longer than [`PATIENCE`], so that whoever reads its output or waits for its end goes on.
struct Leash(#[allow(dead_code)] Sender<()>); // its end is the sign

impl Leash {
    fn new(child: &Child) -> Self {
        let (tell, told) = channel();
        let child = child.id().to_string();
        std::thread::spawn(move || {
            if told.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &child]).status();
            }
        });
        Self(tell)
    }
}

/// The program, with no setting from outside.
fn tim() -> Command {
    tim_testkit::deadline();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tim"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIM_") {
            command.env_remove(name);
        }
    }
    command.env("TZ", "UTC").env("LC_ALL", "zh_CN.UTF-8");
    command
}

/// What a run gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The output of a run that must have gone well.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, &*self.err), (0, ""), "{}", self.out);
        self.out
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output
                .status
                .code()
                .expect("an exit code, not a kill after two minutes"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Runs `tim` with these arguments and this input.
fn run<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>, input: impl AsRef<[u8]>) -> Ran {
    let mut command = tim();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let leash = Leash::new(&child);
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.as_ref().to_vec();
    // Beside the reading of the output, so that neither end waits for the other.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("an end");
    drop(leash);
    writer.join().expect("the input written");
    output.into()
}

#[test]
fn help_is_there_for_every_command_and_names_the_exit_codes() {
    let commands = [
        &[][..],
        &["serve"],
        &["check"],
        &["backup"],
        &["admin"],
        &["admin", "kick"],
        &["sig"],
        &["sig", "make"],
        &["sig", "inspect"],
        &["parse"],
        &["frame"],
        &["conformance"],
        &["demo"],
        &["chat"],
        &["send"],
        &["get"],
        &["history"],
        &["conversations"],
        &["profile"],
        &["group"],
        &["group", "create"],
        &["group", "accept"],
        &["group", "card"],
        &["group", "mute"],
    ];
    for command in commands {
        let help = run(command.iter().copied().chain(["--help"]), "").ok();
        assert!(
            help.contains("Usage: tim") && help.contains("Exit codes:"),
            "{command:?}: {help}"
        );
        assert!(!help.contains("\x1b["), "no colours in a pipe: {help}");
    }
    let wrong = run(["frobnicate"], "");
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.starts_with("error:"), "{}", wrong.err);
    assert_eq!(
        run(["--version"], "").ok(),
        concat!("tim ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
