//! `tim serve`: where its settings come from.

use super::{run, tim};

#[test]
fn settings_come_from_flags_variables_file_and_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    std::fs::write(
        &file,
        "group-rate = 1\nmax-connections = 2\napp-id = 3\nretention = \"30d\"\n",
    )
    .unwrap();
    let output = tim()
        .args([
            "serve",
            "--print-config",
            "--group-rate",
            "10",
            "--config",
            file.to_str().unwrap(),
        ])
        .args(["--data", dir.path().to_str().unwrap()])
        .env("TIM_GROUP_RATE", "20")
        .env("TIM_MAX_CONNECTIONS", "30")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "group-rate = 10",
        "max-connections = 30",
        "app-id = 3",
        "retention = \"30d\"",
        "revoke-window = \"2m\"",
        "listen = \"127.0.0.1:7878\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // What is printed is a file that can be used.
    std::fs::write(&file, &text).unwrap();
    let again = run(
        [
            "serve",
            "--print-config",
            "--data",
            dir.path().to_str().unwrap(),
            "--config",
            file.to_str().unwrap(),
        ],
        "",
    );
    assert_eq!(again.ok(), text);
}

#[test]
fn a_setting_that_is_wrong_stops_the_hub_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    std::fs::write(dir.path().join("serve.toml"), "group-rate = 1\ngroup-rats = 2\n").unwrap();
    let ran = run(["serve", "--print-config", "--data", data], "");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("serve.toml") && ran.err.contains("group-rats"),
        "{}",
        ran.err
    );
    for flags in [
        ["--listen", "nowhere"],
        ["--retention", "a week"],
        ["--config", "/nonexistent"],
    ] {
        assert_eq!(
            run(["serve", "--print-config"].iter().chain(&flags), "").code,
            2,
            "{flags:?}"
        );
    }
}
