//! What an operator does with a running hub.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::serve::Served;
use super::{Ran, run};

/// The status and the body of what is served there.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn metrics_have_a_listener_of_their_own_and_health_is_on_both() {
    let dir = tempfile::tempdir().unwrap();
    let both = ["--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut hub = Served::start(dir.path(), &both);
    let mut place = |what: &str| {
        let line = hub.next_line();
        let address = line
            .trim()
            .strip_prefix(what)
            .and_then(|rest| rest.strip_prefix(" at http://"));
        address.unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let (files, metrics) = (place("files"), place("metrics"));
    for address in [&files, &metrics] {
        assert_eq!(get(address, "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/readyz"), (200, "ready\n".to_owned()));
    }
    let (status, page) = get(&metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(
        page.contains("\ntim_ready 1\n") && page.contains("tim_connections{state=\"http\"}"),
        "{page}"
    );
    assert_eq!(get(&files, "/metrics").0, 404, "not where everybody comes");
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn metrics_do_not_listen_to_the_world_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let refused = run(
        [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "0.0.0.0:0",
            "--data",
            data,
        ],
        "",
    );
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--allow-plaintext"), "{}", refused.err);
}

#[test]
fn a_log_of_json_has_an_object_on_each_line_with_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--log", "info", "--log-format", "json"];
    let mut hub = Served::start(dir.path(), &args);
    let line = hub.wait_for_log("so many connections fit");
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    assert_eq!(
        (text("level"), text("message")),
        ("INFO".to_owned(), "so many connections fit".to_owned())
    );
    assert!(
        event["max_connections"].as_u64().unwrap() > 0,
        "a number stays one: {line}"
    );
    let time = text("timestamp");
    assert!(time.ends_with('Z') && time.contains('T'), "UTC: {time}");
    assert!(text("target").starts_with("tim"), "{line}");
    assert_eq!(hub.stop(), Some(0));
}

/// Runs a command on this data directory.
fn on(data: &std::path::Path, args: &[&str]) -> Ran {
    let data = ["--data", data.to_str().unwrap()];
    run(args.iter().copied().chain(data), "")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_backup_of_a_running_hub_is_a_data_directory_and_so_is_one_of_a_stopped_one() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backups) = (dir.path().join("data"), dir.path().join("backups"));
    let to = backups.to_str().unwrap();
    let mut hub = Served::start(&data, &[]);
    let file = dir.path().join("shown");
    std::fs::write(&file, "what alice shows").unwrap();
    let send = |args: &[&str]| on(&data, &[&["send", "--as", "alice", "bob"], args].concat()).ok();
    send(&["before"]);
    send(&["--file", file.to_str().unwrap()]);
    let made = json(&on(&data, &["backup", "--json", to]).ok());
    assert_eq!(
        (&made["entries"], &made["files"], &made["sharedFiles"]),
        (&2.into(), &1.into(), &0.into()),
        "{made}"
    );
    let first = std::path::PathBuf::from(made["backup"].as_str().unwrap());
    send(&["after"]);
    assert_eq!(hub.stop(), Some(0));
    // A killed one has left something, and names are of whole seconds.
    std::fs::create_dir_all(backups.join(".tim-killed.partial/files")).unwrap();
    let second = on(&data, &["backup", to]).ok();
    let third = json(&on(&data, &["backup", "--json", "--no-share", to]).ok());
    assert_eq!((&third["files"], &third["sharedFiles"]), (&1.into(), &0.into()));
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), 3, "only backups");
    assert!(
        second.contains("3 intact entries, 1 files of which 1 are shared"),
        "{second}"
    );
    // A backup is used as it is; it has no key.
    std::fs::copy(data.join("app.key"), first.join("app.key")).unwrap();
    assert!(on(&first, &["check"]).ok().contains("2 intact entries"));
    let mut restored = Served::start(&first, &[]);
    let history = on(&first, &["history", "--as", "bob", "alice"]).ok();
    assert!(
        history.contains("before") && !history.contains("after"),
        "{history}"
    );
    let got = dir.path().join("got");
    let out = got.to_str().unwrap();
    on(&first, &["get", "--as", "bob", "alice", "#2", "--out", out]).ok();
    assert_eq!(std::fs::read(&got).unwrap(), b"what alice shows");
    assert_eq!(restored.stop(), Some(0));
    let nothing = on(&dir.path().join("nowhere"), &["backup", to]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("there is no store"), "{}", nothing.err);
}

#[test]
fn a_backup_without_all_content_says_so_and_none_is_made_in_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backups) = (dir.path().join("data"), dir.path().join("backups"));
    let to = backups.to_str().unwrap();
    let mut hub = Served::start(&data, &["--log", "info"]);
    for (name, text) in [("one", "what alice shows"), ("two", "what else she shows")] {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        on(&data, &["send", "--as", "alice", "bob", "--file", file]).ok();
    }
    let checked = on(&data, &["check"]).ok();
    assert!(checked.contains("a hub is running"), "{checked}");
    on(&data, &["backup", to]).ok();
    let content = |data: &std::path::Path| {
        let folders = std::fs::read_dir(data.join("files/content")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    let [missing, short] = content(&data).try_into().unwrap();
    std::fs::remove_file(missing).unwrap();
    std::fs::write(short, "what").unwrap();
    let made = on(&data, &["backup", to]);
    assert_eq!(made.code, 1, "{}", made.out);
    assert!(made.out.contains("its content is missing"), "{}", made.out);
    assert!(made.out.contains("its content has 4 bytes"), "{}", made.out);
    assert!(made.err.contains("the backup is made"), "{}", made.err);
    assert!(hub.wait_for_log("the backup lacks content").contains("files=2"));
    for inside in [&data, &data.join("backups")] {
        let refused = on(&data, &["backup", inside.to_str().unwrap()]);
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(
            refused.err.contains("is in the data directory"),
            "{}",
            refused.err
        );
    }
    assert_eq!(hub.stop(), Some(0));
    let made = on(&data, &["backup", "--json", to]);
    assert_eq!((made.code, &json(&made.out)["damagedFiles"]), (1, &2.into()));
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), 3);
}

#[test]
fn an_administrator_asks_the_hub_and_ends_sessions_and_groups() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let absent = on(data, &["admin", "statistics"]);
    assert!(
        absent.code == 3 && absent.err.contains("no hub runs"),
        "{} {}",
        absent.code,
        absent.err
    );
    let mut hub = Served::start(data, &[]);
    let mode = std::fs::metadata(data.join("admin.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    on(data, &["send", "--as", "alice", "bob", "hello"]).ok();
    let created = on(data, &["group", "create", "--as", "alice", "crew"]);
    assert_eq!(created.code, 0, "{}", created.err);
    let statistics = json(&on(data, &["admin", "statistics", "--json"]).ok());
    assert_eq!(statistics["ready"], true);
    assert_eq!(
        statistics["metrics"]["tim_sends_total{result=\"ok\"}"], 1.0,
        "{statistics}"
    );
    assert!(on(data, &["admin", "statistics"]).ok().contains("tim_ready 1"));
    let alice = json(&on(data, &["admin", "user", "alice"]).ok());
    assert_eq!(
        (&alice["devices"], &alice["groups"][0]),
        (&0.into(), &"crew".into()),
        "{alice}"
    );
    assert_eq!(on(data, &["admin", "user", "nobody"]).code, 1);
    assert_eq!(json(&on(data, &["admin", "kick", "alice"]).ok())["sessions"], 0);
    let unknown = on(data, &["admin", "unblock", "nobody"]);
    assert!(
        unknown.code == 1 && unknown.err.contains("no user nobody"),
        "{}",
        unknown.err
    );
    assert_eq!(
        on(data, &["admin", "user", "nobody"]).code,
        1,
        "it has made no account"
    );
    // Also one who has no account.
    for user in ["alice", "mallory"] {
        let says = || on(data, &["send", "--as", user, "bob", "again"]).code;
        assert_eq!(json(&on(data, &["admin", "block", user]).ok())["blocked"], true);
        assert_eq!(says(), 4, "{user}");
        assert_eq!(json(&on(data, &["admin", "user", user]).ok())["blocked"], true);
        assert_eq!(
            json(&on(data, &["admin", "unblock", user]).ok())["blocked"],
            false
        );
        assert_eq!(says(), 0, "{user}");
    }
    assert_eq!(on(data, &["admin", "groups"]).ok(), "crew\n");
    let crew = json(&on(data, &["admin", "group", "crew"]).ok());
    assert_eq!(
        (&crew["owner"], &crew["members"]),
        (&"alice".into(), &1.into()),
        "{crew}"
    );
    on(data, &["admin", "dismiss", "crew"]).ok();
    assert_eq!(on(data, &["admin", "groups"]).ok(), "");
    assert_eq!(hub.stop(), Some(0));
    assert!(!data.join("admin.sock").exists());
}

#[test]
fn the_service_manager_is_told_of_start_reload_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let next = || {
        let mut bytes = [0; 512];
        let len = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let mut hub = Served::start_with(&dir.path().join("data"), "127.0.0.1:0", &[], &environment);
    assert_eq!(next(), "READY=1\nSTATUS=serving");
    hub.hang_up();
    let reloading = next();
    let clock = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(
        clock.is_some_and(|us| us.parse::<u64>().is_ok_and(|us| us > 0)),
        "{reloading}"
    );
    assert!(next().starts_with("READY=1"));
    assert_eq!(hub.stop(), Some(0));
    assert_eq!(next(), "STOPPING=1");
}

#[test]
fn while_a_key_is_replaced_both_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let (key, old) = (dir.path().join("app.key"), dir.path().join("app.key.old"));
    let mut hub = Served::start(dir.path(), &["--log", "info"]);
    let sig = |what: &str| {
        let made = on(dir.path(), &["sig", "make", "--user", "alice"]);
        assert_eq!(made.code, 0, "{what}: {}", made.err);
        made.out.trim().to_owned()
    };
    let first = sig("the first key");
    let says = |sig: &str| {
        on(
            dir.path(),
            &["send", "--as", "alice", "--sig", sig, "bob", "hello"],
        )
        .code
    };
    assert_eq!(says(&first), 0);
    std::fs::rename(&key, &old).unwrap();
    std::fs::write(&key, "another key that is long enough\n").unwrap();
    hub.hang_up();
    hub.wait_for_log("settings reloaded");
    let second = sig("the second key");
    assert_eq!((says(&first), says(&second)), (0, 0));
    // Nothing changes on account of one that cannot be one.
    std::fs::write(&old, "short").unwrap();
    hub.hang_up();
    let line = hub.wait_for_log("cannot reload the settings");
    assert!(line.contains("app.key.old has 5 bytes"), "{line}");
    assert_eq!((says(&first), says(&second)), (0, 0));
    std::fs::remove_file(&old).unwrap();
    hub.hang_up();
    hub.wait_for_log("settings reloaded");
    assert_eq!((says(&first), says(&second)), (4, 0), "the old one is void");
    assert_eq!(hub.stop(), Some(0));
}
