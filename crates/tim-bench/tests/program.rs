//! The compiled program measures; how fast anything is, no test asserts.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `tim-bench`, with no setting from outside.
fn run(args: &[&str]) -> Output {
    tim_testkit::deadline();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tim-bench"));
    let ran = command.args(args).env_remove("TIM_DATA").output();
    ran.expect("the program runs")
}

/// The output of a run that succeeds.
fn measured(args: &[&str]) -> String {
    let ran = run(args);
    assert!(ran.status.success(), "{ran:?}");
    assert!(ran.stderr.is_empty(), "{ran:?}");
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// The value of the first figure behind `from` whose name begins like this.
#[track_caller]
fn value<'a>(out: &'a str, from: &str, name: &str) -> &'a str {
    let mut lines = out.lines().skip_while(|line| !line.starts_with(from));
    let line = lines.find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name:?} behind {from:?} in:\n{out}"));
    let rest = line.trim_start().trim_start_matches(name).trim();
    rest.split("  ").next().unwrap_or(rest)
}

#[track_caller]
fn number(out: &str, from: &str, name: &str) -> f64 {
    let value = value(out, from, name);
    let first = value.split(' ').next().unwrap_or(value);
    first.parse().unwrap_or_else(|_| panic!("{name}: {value:?}"))
}

#[test]
fn a_message_to_a_group_is_one_entry_whatever_the_group_and_all_get_it() {
    let out = measured(&["--quick", "fan-out"]);
    for group in ["a group of 3 online", "a group of 40 online"] {
        // It would not end before everybody had everything.
        assert!(number(&out, group, "deliveries") > 0.0);
        let appended = out
            .lines()
            .skip_while(|line| !line.starts_with(group))
            .find_map(|line| line.trim_start().strip_prefix("entries stored for "))
            .expect("the entries");
        let words: Vec<&str> = appended.split_whitespace().collect();
        assert_eq!(words[0], words[2], "{appended}");
        let median = number(&out, group, "until delivered, median, with a slow member");
        let p99 = number(&out, group, "until delivered, p99, with a slow member");
        assert!(median > 0.0 && median <= p99, "{out}");
    }
}

#[test]
fn in_overload_everything_urgent_passes_and_the_rest_is_dropped_by_priority() {
    let out = measured(&["--quick", "priority"]);
    let fate = |name: &str| {
        let name = format!("{name} in overload, offered / passed / dropped");
        let numbers = value(&out, "priorities", &name).split(['/', '(']).map(str::trim);
        let numbers: Vec<u32> = numbers
            .take(3)
            .map(|number| number.parse().expect("a number"))
            .collect();
        let [offered, passed, dropped] = numbers[..] else {
            panic!("{out}")
        };
        assert_eq!(offered, passed + dropped);
        (passed, dropped)
    };
    let [high, normal, low, lowest] = ["HIGH", "NORMAL", "LOW", "LOWEST"].map(fate);
    assert!(high.0 > 0 && high.1 == 0, "{out}");
    assert!(lowest.1 > 0, "ten times as much as the group takes: {out}");
    assert!(normal.0 >= low.0 && low.0 >= lowest.0, "{out}");
    assert!(number(&out, "priorities", "HIGH's p99 in overload over its p99 alone") > 0.0);
}

#[test]
fn a_room_reaches_everybody_and_stores_nothing() {
    let out = measured(&["--quick", "room"]);
    let room = "an AVChatRoom with 500 members";
    assert!(out.contains("simulated"), "{out}");
    assert!(number(&out, room, "joins, with the room told of them") > 0.0);
    assert!(number(&out, room, "one message to all of them, slowest") > 0.0);
    assert_eq!(value(&out, room, "entries stored for all of that"), "0");
}

#[test]
fn beside_hostile_users_an_innocent_pair_is_refused_nothing() {
    let out = measured(&["--quick", "hostile"]);
    for phase in [
        "  quiet",
        "  readers",
        "  marks",
        "  half_open",
        "  slow_writers",
        "  logins",
        "  pings",
        "  all",
    ] {
        assert!(
            number(&out, phase, "delivered, p99, over the quiet one") > 0.0,
            "{phase}"
        );
        assert_eq!(value(&out, phase, "messages refused"), "0", "{phase}");
        assert_eq!(value(&out, phase, "logins of others that failed"), "0", "{phase}");
    }
    for phase in ["  logins", "  all"] {
        assert!(
            number(&out, phase, "logins of the flood, admitted") > 0.0,
            "{out}"
        );
        assert_eq!(value(&out, phase, "without an answer"), "0", "{out}");
    }
}

/// The program itself checks that each message was asked about and told of, and that all are there.
#[test]
fn every_message_arrives_whatever_the_applications_server_does() {
    let out = measured(&["--quick", "callbacks"]);
    for (state, is_asked) in [
        ("no endpoint", false),
        ("an endpoint that answers", true),
        ("an endpoint that hangs", true),
        ("an endpoint that refuses connections", true),
        ("an endpoint that dies", true),
    ] {
        let phase = format!("durable sends, {state}");
        let sent = number(&out, &phase, "read back: there once, in sequence");
        assert!(sent > 0.0, "{state}: {out}");
        if !is_asked {
            continue;
        }
        let requests = [
            "asked or told, and answered",
            "asked or told, without an answer",
            "not asked about",
            "not told of",
        ];
        let all: f64 = requests.iter().map(|name| number(&out, &phase, name)).sum();
        assert_eq!(all, 2.0 * sent, "{state}: {out}");
    }
}

#[test]
fn what_needs_a_hub_of_its_own_is_not_measured_on_another() {
    let ran = run(&["room", "--hub", "127.0.0.1:1", "--data", "."]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(err.contains("without --hub"), "{err}");
}

/// While a hub is measured, and while its store is filled.
#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_by_a_signal_leaves_nothing_behind() {
    use rustix::process::{Pid, Signal, kill_process};
    tim_testkit::deadline();
    let long = |what| match what {
        "sends" => ["sends", "--seconds", "600"],
        _ => ["pages", "--history", "1000000000"],
    };
    for (what, signal, code) in [("sends", Signal::TERM, 143), ("pages", Signal::INT, 130)] {
        let directory = tempfile::tempdir().expect("a directory");
        let left = || std::fs::read_dir(directory.path()).expect("a listing").count();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tim-bench"));
        let command = command
            .args(long(what))
            .env("TMPDIR", directory.path())
            .env_remove("TIM_DATA");
        let mut running = command.spawn().expect("the program runs");
        while left() == 0 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&running), signal).expect("a signal");
        let status = running.wait().expect("its end");
        assert_eq!(status.code(), Some(code), "{what}");
        assert_eq!(left(), 0, "{what}");
    }
}

#[test]
fn numbers_that_give_no_figure_are_refused() {
    for args in [
        ["idle", "--connections", "0"],
        ["sends", "--senders", "0"],
        ["sends", "--seconds", "0"],
        ["sends", "--seconds", "18446744073709551615"],
        ["group", "--members", "4294967295"],
        ["group", "--group-messages", "0"],
        ["pages", "--history", "0"],
        ["fan-out", "--fan-out-members", "10,0"],
        ["room", "--room-members", "0"],
        ["sends", "--payload", "0"],
        ["sends", "--rate", "0"],
        ["sends", "--payload", "12001"],
        ["sends", "--conversations", "63"],
        ["sends", "--stored", "0"],
        ["sends", "--hub-pid", "1"],
        ["sends", "--at-least", "0"],
        ["sends", "--senders", "1,0"],
        ["stalls", "--tim", "tim"],
    ] {
        let ran = run(&args);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {ran:?}");
        assert!(
            ran.stdout.is_empty() && !ran.stderr.is_empty(),
            "{args:?}: {ran:?}"
        );
    }
}

/// The document of a run that succeeds.
fn document(args: &[&str]) -> Value {
    let out = measured(&[args, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// The README documents these keys: scripts rely on them.
#[test]
fn the_document_has_a_stable_shape() {
    let document = document(&[
        "--quick",
        "sends",
        "pages",
        "idle",
        "group",
        "--payload",
        "300",
        "--stored",
        "100",
    ]);
    // Sorted here: whether serde_json sorts them depends on a feature that other crates turn on.
    let keys = |of: &Value| -> Vec<String> {
        let mut keys: Vec<String> = of.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    let top = [
        "build",
        "error",
        "format",
        "hub",
        "machine",
        "measurements",
        "program",
        "unix_time",
    ];
    assert_eq!(keys(&document), top);
    assert_eq!(
        (&document["format"], &document["hub"]),
        (&1.into(), &"own".into())
    );
    assert_eq!(document["error"], Value::Null);
    let machine = ["cores", "file_system", "kernel", "load", "processor"];
    assert_eq!(keys(&document["machine"]), machine);
    let measurements = document["measurements"].as_array().expect("an array");
    let names: Vec<&str> = measurements
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["sends", "pages", "idle", "group"]);
    for one in measurements {
        assert_eq!(keys(one), ["figures", "load", "name", "parameters"]);
        for (key, figure) in one["figures"].as_object().expect("an object") {
            assert!(figure["unit"].is_string(), "{key}: {figure}");
            let is_known = figure["value"].is_number();
            assert!(
                is_known || figure["note"].is_string(),
                "what is not known says why: {key}: {figure}"
            );
        }
    }
    let readme = include_str!("../README.md");
    for one in measurements {
        for key in keys(&one["figures"]).into_iter().chain(keys(&one["parameters"])) {
            assert!(
                readme.contains(&format!("`{key}`")),
                "the README does not explain {key}"
            );
        }
    }
    let sends = &measurements[0];
    let parameters = [
        ("conversations", 4),
        ("payload_bytes", 300),
        ("seconds", 1),
        ("senders", 4),
        ("stored_before", 100),
        ("rate", 0),
        ("at_least", 1),
    ];
    for (key, value) in parameters {
        assert_eq!(sends["parameters"][key], value, "{key}");
    }
    let figure = |key: &str| {
        sends["figures"][key]["value"]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {sends:#}"))
    };
    let [p50, p99, p999, max] =
        ["p50", "p99", "p999", "max"].map(|name| figure(&format!("latency_{name}_ms")));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max);
    assert!(figure("sends_per_second") > 0.0 && figure("checked") > 0.0);
    assert_eq!(figure("raw_group_bytes"), 4.0 * (300.0 + 99.0));
    assert_eq!(figure("raw_single_bytes"), 256.0);
    if cfg!(target_os = "linux") {
        assert!(figure("hub_cpu_us_per_message") > 0.0);
        // A write of the hub's log, at least; none of it is counted on a file system in memory.
        let kind = &document["machine"]["file_system"]["kind"];
        assert!(
            kind == "tmpfs" || figure("written_bytes_per_message") > 300.0,
            "{sends:#}"
        );
    }
}

/// The value of a figure of the first measurement.
#[track_caller]
fn figure(document: &Value, key: &str) -> f64 {
    let value = &document["measurements"][0]["figures"][key]["value"];
    value.as_f64().unwrap_or_else(|| panic!("{key}: {document:#}"))
}

#[test]
fn each_message_of_a_steady_rate_is_answered_while_old_ones_are_removed() {
    let document = document(&["--quick", "stalls"]);
    let parameters = &document["measurements"][0]["parameters"];
    assert_eq!(
        (&parameters["rate"], &parameters["seconds"]),
        (&200.into(), &1.into())
    );
    let figure = |key: &str| figure(&document, key);
    assert_eq!((figure("answered_count"), figure("checked")), (200.0, 200.0));
    let (removed, most) = (figure("removed"), figure("removed_at_most"));
    assert!(0.0 < removed && removed <= most, "{document:#}");
    let readme = include_str!("../README.md");
    for of in ["answered", "commit", "retention_commit", "commit_gap"] {
        assert!(readme.contains(&format!("`{of}_p50_ms`")), "{of}");
        assert!(figure(&format!("{of}_count")) > 0.0, "{of}");
        let [p50, p99, p999, max] =
            ["p50", "p99", "p999", "max"].map(|name| figure(&format!("{of}_{name}_ms")));
        assert!(
            0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max,
            "{of}: {document:#}"
        );
        let [few, many] = ["1", "1000"].map(|limit| figure(&format!("{of}_within_{limit}_ms")));
        assert!(few <= many && many <= figure(&format!("{of}_count")), "{of}");
    }
    // Each commit of messages but the first has one before it.
    assert!(figure("commit_gap_count") + 1.0 >= figure("commit_count"));
}

#[test]
fn several_loads_end_in_a_table_with_a_row_for_each() {
    let out = measured(&["sends", "--senders", "1,2", "--stored", "5,300", "--seconds", "1"]);
    let table: Vec<Vec<&str>> = out
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("senders"))
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    let rows: Vec<[&str; 3]> = table.iter().map(|row| [row[0], row[1], row[2]]).collect();
    assert_eq!(
        rows,
        [
            ["1", "1", "5"],
            ["1", "1", "300"],
            ["2", "2", "5"],
            ["2", "2", "300"]
        ],
        "{out}"
    );
}

#[test]
fn a_run_goes_on_until_enough_is_acknowledged() {
    // More than a debug build sends in a second.
    let document = document(&["sends", "--senders", "8", "--seconds", "1", "--at-least", "15000"]);
    let checked = figure(&document, "checked");
    assert!(checked >= 15_000.0, "{checked}");
    assert!(figure(&document, "grown_bytes_per_message") > 157.0);
}

#[test]
fn connections_without_sockets_are_measured_too() {
    let document = document(&["--quick", "idle", "--in-memory"]);
    assert_eq!(document["measurements"][0]["parameters"]["in_memory"], 1);
    assert_eq!(figure(&document, "checked"), 20.0);
    assert!(figure(&document, "logins_per_second") > 0.0);
}

#[cfg(target_os = "linux")]
#[test]
fn more_connections_than_files_are_refused_with_a_way_out() {
    let ran = run(&["idle", "--connections", "10000000"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(err.contains("--in-memory") && err.contains("ulimit -Hn"), "{err}");
}

/// Here a script, which runs the hub of this program.
#[cfg(unix)]
#[test]
fn the_hub_of_another_program_is_measured() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("tim");
    let bench = env!("CARGO_BIN_EXE_tim-bench");
    // The signal is ignored: this program's hub ends with its input, which closes before.
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = serve ] && [ \"$TIM_SEND_RATE\" = 0 ] || exit 2\nwhile [ \"$1\" != --data ]; do shift; done\n\
         trap '' INT\nexec '{bench}' --run-hub \"$2\"\n"
    );
    std::fs::write(&program, script).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let ran = run(&["--quick", "sends", "--tim", program.to_str().expect("UTF-8")]);
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn fan_out_priority_room_and_lists_are_in_the_document_too() {
    let document = document(&["--quick", "fan-out", "priority", "room", "lists"]);
    let readme = include_str!("../README.md");
    let measurements = document["measurements"].as_array().expect("an array");
    let names: Vec<&str> = measurements
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let expected = [
        "fan-out", "fan-out", "priority", "room", "lists", "lists", "catch-up",
    ];
    assert_eq!(names, expected);
    for one in measurements {
        for (key, _) in one["figures"]
            .as_object()
            .expect("an object")
            .iter()
            .chain(one["parameters"].as_object().expect("an object"))
        {
            assert!(
                readme.contains(&format!("`{key}`")),
                "the README does not explain {key}"
            );
        }
    }
    let of_two_groups = [0, 1].map(|number| &measurements[number]["parameters"]["members"]);
    assert_eq!(of_two_groups, [&Value::from(3), &Value::from(40)]);
    assert_eq!(measurements[3]["figures"]["entries"]["value"], 0);
}

/// Where strace may trace.
#[cfg(target_os = "linux")]
#[test]
fn calls_that_sync_are_counted_where_strace_is() {
    let traces = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    let args = ["--quick", "sends", "--count-syncs", "--json"];
    let ran = run(&args);
    if traces.is_ok_and(|status| status.success()) {
        let document: Value = serde_json::from_slice(&ran.stdout).expect("a document");
        let calls = &document["measurements"][0]["figures"]["sync_calls_per_message"]["value"];
        let calls = calls.as_f64().unwrap_or_else(|| panic!("{ran:?}"));
        // One commit takes up to four messages here.
        assert!((0.2..5.0).contains(&calls), "{calls}");
    } else {
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("strace"), "{ran:?}");
    }
}
