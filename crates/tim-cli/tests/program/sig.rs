//! `tim sig`: made and checked by the program, with keys from everywhere a key may come from.

use serde_json::Value;

use super::{run, tim};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

fn make(args: &[&str]) -> String {
    run(["sig", "make", "--user", "alice"].iter().chain(args), "")
        .ok()
        .trim_end()
        .to_owned()
}

#[test]
fn a_sig_says_what_was_asked_for() {
    let sig = make(&["--key", KEY, "--app", "1400000001", "--expire", "12h"]);
    let shown = run(["sig", "inspect", &sig, "--json"], "").ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["user"], &shown["app"]),
        (&"alice".into(), &1_400_000_001_u64.into())
    );
    assert_eq!(
        shown["expires"].as_u64().unwrap() - shown["issued"].as_u64().unwrap(),
        12 * 3600
    );
    assert_eq!(
        (&shown["expired"], &shown["valid"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn the_key_decides() {
    let sig = make(&["--key", KEY]);
    let good = run(["sig", "inspect", "-", "--key", KEY, "--user", "alice"], &sig).ok();
    assert!(
        good.contains("alice") && good.contains("signature  good"),
        "{good}"
    );
    for (args, told) in [
        (&["--key", "other"][..], "70009"),
        (&["--key", KEY, "--user", "bob"], "70013"),
        (&["--key", KEY, "--app", "5"], "70014"),
    ] {
        let ran = run(["sig", "inspect", &sig].iter().chain(args), "");
        assert_eq!(ran.code, 4, "{args:?}");
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    let late = make(&["--key", KEY, "--expire", "0s"]);
    let ran = run(["sig", "inspect", &late, "--key", KEY], "");
    assert!(ran.code == 4 && ran.err.contains("70001"), "{}", ran.err);
}

#[test]
fn what_is_no_sig_is_said_to_be_none() {
    for text in ["", "hello", "eJw*", "!"] {
        let ran = run(["sig", "inspect"], text);
        assert_eq!((ran.code, &*ran.out), (4, ""), "{text}");
        assert!(
            ran.err.contains("error: ") && ran.err.contains("hint: "),
            "{}",
            ran.err
        );
    }
}

#[test]
fn keys_come_from_a_file_the_environment_or_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let dir = dir.path().to_str().unwrap();
    let by_file = make(&["--key-file", file.to_str().unwrap()]);
    let by_dir = make(&["--data", dir]);
    let by_env = tim()
        .args(["sig", "make", "-u", "alice"])
        .env("TIM_KEY", KEY)
        .output()
        .unwrap();
    let by_env = String::from_utf8(by_env.stdout).unwrap();
    for sig in [&*by_file, &by_dir, by_env.trim_end()] {
        run(["sig", "inspect", sig, "--key", KEY], "").ok();
        run(["sig", "inspect", sig, "--data", dir], "").ok();
    }
}

#[test]
fn without_a_key_the_way_to_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(
        [
            "sig",
            "make",
            "--user",
            "alice",
            "--data",
            dir.path().to_str().unwrap(),
        ],
        "",
    );
    assert_eq!((ran.code, &*ran.out), (4, ""));
    assert!(ran.err.contains("hint: run `tim serve`"), "{}", ran.err);
    let bad_user = run(["sig", "make", "--user", "阿丽", "--key", KEY], "");
    assert_eq!(bad_user.code, 2);
}
