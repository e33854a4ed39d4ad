//! A signal ends the program that shows the kiosk, with all that it has started.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tim_kiosk_harness::{Board, KIOSK, SIG_VARIABLE, firmware, tools, user_sig};

/// Ended with the value, should a test fail.
struct Live(Child);

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that this one has started, in `/proc`.
fn children(parent: u32) -> Vec<PathBuf> {
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().to_owned();
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let processes = fs::read_dir("/proc").expect("Linux has it");
    let processes = processes.filter_map(|process| Some(process.ok()?.path()));
    processes.filter(is_child).collect()
}

#[test]
fn a_signal_leaves_nothing_behind() {
    if tools().is_err() {
        return; // the scenarios say so
    }
    firmware(Board::Mps2);
    for signal in ["-TERM", "-INT"] {
        let mut live = Command::new(env!("CARGO_BIN_EXE_tim-kiosk-harness"));
        live.env(SIG_VARIABLE, user_sig(KIOSK));
        let live = live.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut live = Live(live.expect("it starts"));
        let mut console = BufReader::new(live.0.stdout.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("-- ready") {
            let len = console.read_line(&mut said).expect("text");
            assert_ne!(len, 0, "it ended by itself: {said}");
        }
        let started = children(live.0.id());
        assert_eq!(started.len(), 2, "QEMU and the hub: {started:?}");
        let data = said
            .split_once("--data ")
            .and_then(|(_, rest)| rest.split(' ').next());
        let data = PathBuf::from(data.expect("it says where the hub's data is"));
        assert!(data.exists());

        let killed = Command::new("kill")
            .args([signal, &live.0.id().to_string()])
            .status();
        assert!(killed.expect("there is a `kill`").success());
        assert!(live.0.wait().expect("it ends").success(), "{signal}");
        let left: Vec<_> = started.iter().filter(|process| process.exists()).collect();
        assert!(left.is_empty() && !data.exists(), "{signal} leaves {left:?}");
    }
}
