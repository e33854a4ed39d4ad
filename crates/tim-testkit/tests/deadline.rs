//! A test that hangs fails, and is named.

use std::process::Command;
use std::time::Duration;

use tim_session::Framing;
use tim_testkit::{Faults, World, deadline_in};

const STALL: &str = "TIM_TESTKIT_PLANTED_STALL";

/// Does nothing, unless the test below runs it: then it hangs.
#[test]
fn planted_stall() {
    if std::env::var_os(STALL).is_some() {
        deadline_in(Duration::from_millis(50));
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn a_test_that_hangs_ends_the_process_as_a_failure_and_is_named() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "planted_stall"])
        .env(STALL, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(101));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("test planted_stall is past its deadline"), "{said}");
}

/// The cable is out, so that no LOGIN with `resume_from_start` is ever answered: the world's time goes on, and the wait ends.
#[test]
fn a_world_whose_hub_says_nothing_ends_its_wait_at_the_limit() {
    let mut world = World::new(1, Faults::NONE);
    let alice = world.add_device("alice", |config| config.framing = Framing::Serial);
    world.run_for(Duration::from_millis(2)); // the line is open, and nothing has come
    let (start, limit) = (world.now(), Duration::from_secs(3600));
    world.pull(alice, 2 * limit);
    assert!(!world.run_until(limit, |world| world.device(alice).session().is_ready()));
    assert_eq!(world.now(), start + limit);
}
