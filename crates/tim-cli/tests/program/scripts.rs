//! What scripts run: `tim listen`, `tim history --since` and `--follow`, `tim revoke`, and what packagers install.

use serde_json::Value;

use super::chat::{Chat, World};
use super::run;

fn value(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn listen_prints_events_under_their_names_in_the_sdk() {
    let world = World::new();
    let listening = Chat::start_as("listen", &world.data, &["--json", "--count", "2", "--as", "bob"]);
    listening.expect(&["\"name\":\"sdkStateReady\""]);
    let told = Chat::start_as("listen", &world.data, &["--json", "--as", "alice", "-n", "3"]);
    told.expect(&["sdkStateReady"]);

    world.tim("alice", &["send", "bob", "one"], "").ok();
    let first = value(&listening.expect(&["onMessageReceived"]));
    assert_eq!(first["data"][0]["payload"]["text"], "one");
    assert_eq!(first["data"][0]["conversationID"], "C2Calice");
    world.tim("alice", &["send", "bob", "two"], "").ok();
    world.tim("bob", &["send", "alice", "back"], "").ok();
    assert_eq!(
        value(&listening.expect(&["onMessageReceived"]))["data"][0]["payload"]["text"],
        "two"
    );
    assert_eq!(listening.wait(), Some(0), "two messages were wanted");
    // Its three messages: what another device of the user sends is an event as well.
    told.expect(&["onMessageReceived", "back"]);
    assert_eq!(told.wait(), Some(0));
}

#[test]
fn history_since_a_time_and_on() {
    let world = World::new();
    for text in ["a", "b", "c"] {
        world.tim("alice", &["send", "bob", text], "").ok();
    }
    let texts = |args: &[&str]| -> Vec<String> {
        let args = [&["history", "alice", "--json"], args].concat();
        let out = world.tim("bob", &args, "").ok();
        let text = |line| value(line)["payload"]["text"].as_str().unwrap().to_owned();
        out.lines().map(text).collect()
    };
    assert_eq!(texts(&["--since", "1h"]), ["a", "b", "c"]);
    assert_eq!(texts(&["--since", "1h", "-n", "2"]), ["b", "c"]);
    assert_eq!(texts(&["--since", "2024-01-15"]), ["a", "b", "c"]);
    assert!(texts(&["--since", "@99999999999"]).is_empty());
    let wrong = world.tim("bob", &["history", "alice", "--since", "yesterday"], "");
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("such as 2h"), "{}", wrong.err);

    let following = Chat::start_as(
        "history",
        &world.data,
        &["alice", "--json", "--follow", "-n", "1", "--as", "bob"],
    );
    let first = value(&following.expect(&["\"type\""]));
    assert_eq!(first["payload"]["text"], "c", "only the newest");
    world.tim("alice", &["send", "bob", "d"], "").ok();
    assert_eq!(value(&following.expect(&["\"type\""]))["payload"]["text"], "d");
    world.tim("alice", &["revoke", "bob"], "").ok();
    let revoked = value(&following.expect(&["\"type\""]));
    assert_eq!(
        (&revoked["sequence"], &revoked["isRevoked"]),
        (&4.into(), &true.into())
    );
    #[cfg(unix)]
    assert_eq!(following.terminate(), Some(0));
}

#[test]
fn revoke_takes_back_the_message_that_is_named() {
    let world = World::new();
    for text in ["a", "b", "c"] {
        world.tim("alice", &["send", "bob", text], "").ok();
    }
    let newest = world.tim("alice", &["revoke", "bob", "--json"], "").ok();
    assert_eq!(
        (&value(&newest)["sequence"], &value(&newest)["isRevoked"]),
        (&3.into(), &true.into())
    );
    let first = world.tim("alice", &["revoke", "bob", "--message", "1"], "").ok();
    assert!(!first.is_empty());
    let second = world.history("bob", &["alice"])[1]["ID"]
        .as_str()
        .unwrap()
        .to_owned();
    world.tim("alice", &["revoke", "bob", "-m", &second], "").ok();
    assert!(
        world
            .history("bob", &["alice"])
            .iter()
            .all(|message| message["isRevoked"] == true)
    );

    for (args, said) in [
        (&["revoke", "bob"][..], "no such message"),
        (&["revoke", "bob", "-m", "9"], "no such message"),
        (&["revoke", "bob", "-m", "1"], "revoked"),
    ] {
        let ran = world.tim("alice", args, "");
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    assert_eq!(world.tim("alice", &["revoke", "bob", "-m", "x"], "").code, 2);
}

#[test]
fn scripts_and_pages_for_packagers() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(["completions", shell], "").ok();
        for word in ["conversations", "listen", "--json"] {
            assert!(
                script.contains(word.trim_start_matches('-')),
                "{shell} lacks {word}"
            );
        }
    }
    assert_eq!(run(["completions", "cmd"], "").code, 2);
    let page = run(["man"], "").ok();
    assert!(
        page.contains(".TH tim 1") && page.contains("Exit codes"),
        "{page}"
    );

    let dir = tempfile::tempdir().unwrap();
    run(["man", "--dir", dir.path().to_str().unwrap()], "").ok();
    let serve = std::fs::read_to_string(dir.path().join("tim-serve.1")).unwrap();
    assert!(serve.contains("max\\-connections"), "{serve}");
    assert!(dir.path().join("tim.1").exists());
    let missing = dir.path().join("missing");
    let ran = run(["man", "--dir", missing.to_str().unwrap()], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot write to"), "{}", ran.err);
}
