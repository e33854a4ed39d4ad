//! Files: sent from a path, found by number or id, and saved with the same bytes.

use super::chat::World;
use super::run;
use super::serve::Served;

/// A BMP of 2 x 2 pixels.
fn picture() -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [70_u32, 0, 54, 40, 2, 2] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for number in [0_u32, 16, 2835, 2835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([0, 0, 255, 0, 255, 0, 0, 0, 255, 0, 0, 255, 255, 255, 0, 0]);
    bytes
}

#[test]
fn a_file_of_each_kind_arrives_as_it_was_sent() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let long: Vec<u8> = (0..300_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let files = [
        ("--image", "dots.bmp", picture()),
        ("--audio", "memo.aac", b"not really sound".to_vec()),
        ("--video", "clip.mp4", b"not really a film".to_vec()),
        ("--file", "report.bin", long),
    ];
    for (flag, name, content) in &files {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let path = path.to_str().unwrap();
        let sent = world.tim("alice", &["send", "bob", flag, path], "").ok();
        assert!(sent.starts_with("stored as #"), "{sent}");
    }
    let history = world.tim("bob", &["history", "alice"], "").ok();
    let ids: Vec<&str> = history
        .lines()
        .map(|line| line.split(' ').next_back().unwrap())
        .collect();
    assert_eq!(ids.len(), 4, "{history}");
    for (number, ((_, name, content), id)) in (1..).zip(files.iter().zip(ids)) {
        for message in [format!("#{number}"), id.to_owned()] {
            let out = dir.path().join(format!("{message}-{name}"));
            let args = ["get", "alice", &message, "--out", out.to_str().unwrap()];
            let got = world.tim("bob", &args, "").ok();
            assert!(got.contains(&format!("({} bytes)", content.len())), "{got}");
            assert!(std::fs::read(&out).unwrap() == *content, "{name}");
        }
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 12, "no temporary file is left");
    // The thumbnail of a picture, into a directory, as JSON.
    let args = ["get", "alice", "#1", "--part", "thumbnail", "--json", "--out"];
    let args = [&args[..], &[dir.path().to_str().unwrap()]].concat();
    let got: serde_json::Value = serde_json::from_str(&world.tim("bob", &args, "").ok()).unwrap();
    assert!(std::fs::metadata(got["path"].as_str().unwrap()).is_ok(), "{got}");
    // The longest name, which leaves no room for a suffix.
    let (name, into) = (format!("{}.bin", "n".repeat(251)), dir.path().join("into"));
    let path = dir.path().join(&name);
    std::fs::write(&path, b"hello").unwrap();
    let args = ["send", "bob", "--file", path.to_str().unwrap()];
    world.tim("alice", &args, "").ok();
    std::fs::create_dir(&into).unwrap();
    let args = ["get", "alice", "#5", "--out", into.to_str().unwrap()];
    world.tim("bob", &args, "").ok();
    assert_eq!(std::fs::read(into.join(&name)).unwrap(), b"hello");
}

#[test]
fn what_is_no_file_or_no_message_is_told() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    std::fs::write(&path, "hello").unwrap();
    let path = path.to_str().unwrap();
    let code = |args: &[&str], told: &str| {
        let ran = world.tim("alice", args, "");
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
        ran.code
    };
    assert_eq!(code(&["send", "bob", "--image", path], "2252"), 1);
    assert_eq!(code(&["send", "bob", "--file", "/none"], "/none"), 1);
    assert_eq!(
        code(
            &["send", "bob", "--file", path, "--face", "1"],
            "cannot be used with"
        ),
        2
    );
    // A text goes after the file.
    world
        .tim("alice", &["send", "bob", "--file", path, "as you asked"], "")
        .ok();
    assert_eq!(code(&["get", "bob", "#2", "--out", "x"], "200037"), 1);
    assert_eq!(code(&["get", "bob", "#9", "--out", "x"], "no such message"), 1);
    assert_eq!(code(&["get", "bob", "nonsense"], "invalid message"), 2);
    assert_eq!(code(&["get", "bob", "#1", "--out", path], "exists"), 2);
    let none = format!("{}/none/", dir.path().display());
    let args = ["get", "bob", "#1", "--force", "--out"];
    for (out, told) in [
        (&*none, "not the path of a file"),
        ("/dev/null", "not a regular file"),
    ] {
        assert_eq!(code(&[&args[..], &[out]].concat(), told), 1);
    }
    // Nobody else reads it.
    let ran = world.tim("mallory", &["get", "alice", "#1", "--out", "x"], "");
    assert_eq!(ran.code, 1, "{}", ran.err);
    // A chat sends and saves, too.
    let out = dir.path().join("b.txt");
    let input = format!("/file {path}\n/get 3 {}\n/get 77\n", out.display());
    let ran = world.tim("alice", &["chat", "bob"], &input);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("line 3: no such message"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(out).unwrap(), "hello");
}

#[test]
fn a_check_looks_at_the_content_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut hub = Served::start(&data, &[]);
    let path = dir.path().join("dots.bmp");
    std::fs::write(&path, picture()).unwrap();
    let (path, data) = (path.to_str().unwrap(), data.to_str().unwrap());
    run(
        ["send", "bob", "--image", path, "--as", "alice", "--data", data],
        "",
    )
    .ok();
    assert_eq!(hub.stop(), Some(0));
    let check = |args: &[&str]| run([&["check", "--data", data], args].concat(), "");
    assert!(check(&["--deep"]).ok().contains("files: 1 of 1 intact"));
    let content = std::fs::read_dir(std::path::Path::new(data).join("files/content"))
        .unwrap()
        .next()
        .unwrap();
    let file = std::fs::read_dir(content.unwrap().path())
        .unwrap()
        .next()
        .unwrap();
    let file = file.unwrap().path();
    let mut other = picture();
    other[60] ^= 1;
    std::fs::write(&file, other).unwrap();
    assert_eq!(check(&[]).code, 0, "its size is right");
    for (args, told) in [
        (&["--deep"][..], "is another one"),
        (&[], "has 1 bytes instead of 70"),
        (&[], "is missing"),
    ] {
        match told {
            "is missing" => std::fs::remove_file(&file).unwrap(),
            "has 1 bytes instead of 70" => std::fs::write(&file, "x").unwrap(),
            _ => {}
        }
        let ran = check(args);
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert!(ran.out.contains(told), "{}", ran.out);
        assert!(ran.err.contains("when its owner sends it again"), "{}", ran.err);
    }
}
