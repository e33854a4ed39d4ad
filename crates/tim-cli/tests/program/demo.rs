//! `tim demo`: it runs everywhere, checks everything, and leaves nothing behind.

use super::tim;

#[test]
fn the_demo_passes_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    for (profile, listen) in [
        ("seed", &[][..]),
        ("english", &["--listen", "ws://127.0.0.1:0/demo"]),
    ] {
        let output = tim()
            .args(["demo", "--profile", profile])
            .args(listen)
            .env("TMPDIR", dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{text}");
        let last = text.lines().last().unwrap();
        let numbers: Vec<u32> = last
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        let (steps, checks) = (numbers[0], numbers[1]);
        assert!(
            steps > 55 && checks > 240 && last.contains("all as they should be"),
            "{last}"
        );
        // Every step ends with what was checked.
        assert_eq!(text.matches("\n     ✓ ").count(), steps as usize);
        assert!(text.contains("早🙂"), "emojis are rendered: {text}");
        assert_eq!(text.contains("群:大合唱团 已被bob解散"), profile == "seed");
        assert_eq!(text.contains("bob撤回了一条消息"), profile == "seed");
        assert_eq!(text.contains("bob revoked a message"), profile == "english");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }
}
