//! What an operator's programs are told: metrics, health and readiness.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tim_proto::ErrorCode;
use tim_proto::message::Text;
use tim_proto::request::Groups;
use tim_store::{NotStored, StoreError};

use crate::support::{Device, Reply, Served, TestHub, c2c};

/// The samples of a page, by name and labels as they are written.
type Samples = BTreeMap<String, f64>;

/// Reads a page as strictly as the format has it: each metric is announced by HELP and TYPE before its samples, once; names, labels and
/// values are well-formed; counters end with `_total`; histograms have ascending buckets, the last one `+Inf`, equal to the count.
fn parse(page: &str) -> Samples {
    assert!(page.ends_with('\n') && page.is_ascii(), "{page:?}");
    let mut samples = Samples::new();
    let mut seen = BTreeSet::new();
    let (mut name, mut kind) = (String::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (announced, help) = rest.split_once(' ').unwrap();
            assert!(
                is_name(announced) && help.ends_with('.') && !help.contains('\\'),
                "{line}"
            );
            let rest = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (typed, is) = rest.split_once(' ').unwrap();
            assert!(
                typed == announced && ["counter", "gauge", "histogram"].contains(&is),
                "{rest}"
            );
            assert!(seen.insert(announced.to_owned()), "{announced} twice");
            assert_eq!(is == "counter", announced.ends_with("_total"), "{announced}");
            (name, kind) = (announced.to_owned(), is.to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let base = series.split('{').next().unwrap();
        let suffix = base
            .strip_prefix(&*name)
            .unwrap_or_else(|| panic!("{line} under {name}"));
        let suffixes: &[&str] = match &*kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line}");
        if let Some(labels) = series.strip_prefix(base).filter(|labels| !labels.is_empty()) {
            let labels = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
            for label in labels.split(',') {
                let (key, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                assert!(is_name(key) && !value.contains(['"', '\\']), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert_eq!(samples.insert(series.to_owned(), value), None, "{series} twice");
    }
    check_histograms(page, &samples);
    samples
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(is_part) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn check_histograms(page: &str, samples: &Samples) {
    let mut buckets = BTreeMap::<String, Vec<(f64, f64)>>::new();
    for line in page.lines().filter(|line| line.contains("_bucket{")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (rest, bound) = series.rsplit_once("le=\"").unwrap();
        let bound = bound.strip_suffix("\"}").unwrap();
        let bound = if bound == "+Inf" {
            f64::INFINITY
        } else {
            bound.parse().unwrap()
        };
        let rest = rest.trim_end_matches(',').replace("_bucket", "_count");
        let count = match rest.strip_suffix('{') {
            Some(bare) => bare.to_owned(),
            None => format!("{rest}}}"),
        };
        buckets
            .entry(count)
            .or_default()
            .push((bound, value.parse().unwrap()));
    }
    assert!(!buckets.is_empty());
    for (count, buckets) in buckets {
        assert!(
            buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1),
            "{count}: {buckets:?}"
        );
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, samples[&count])), "{count}");
    }
}

/// The status and the body of what is asked of a listener.
fn ask(served: &Served, method: &str, target: &str) -> (u16, String) {
    let (status, _, body) = served.ask(method, target, "");
    (status, String::from_utf8(body).unwrap())
}

fn samples(served: &Served) -> Samples {
    let (status, page) = ask(served, "GET", "/metrics");
    assert_eq!(status, 200);
    parse(&page)
}

#[test]
fn what_happens_is_counted_and_names_nobody() {
    let hub = TestHub::start();
    let served = Served::start_metrics(&hub);
    let before = samples(&served);
    assert_eq!(before["tim_ready"], 1.0);
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    for text in ["secret-one", "secret-two", "secret-three"] {
        alice.send(c2c("bob"), text);
    }
    bob.until_texts(3);
    assert!(matches!(alice.ask(&Groups::new()), Ok(Reply::Groups { .. })));
    let (_, page) = ask(&served, "GET", "/metrics");
    let after = parse(&page);
    let grew = |series: &str| after[series] - before.get(series).copied().unwrap_or_default();
    for (series, by) in [
        ("tim_logins_total{result=\"ok\"}", 2.0),
        ("tim_sends_total{result=\"ok\"}", 3.0),
        ("tim_sends_total{result=\"failed\"}", 0.0),
        ("tim_deliveries_total", 3.0),
        ("tim_request_duration_seconds_count{kind=\"send\"}", 3.0),
        ("tim_request_duration_seconds_count{kind=\"groups\"}", 1.0),
        ("tim_connections{state=\"established\"}", 2.0),
    ] {
        assert_eq!(grew(series), by, "{series}");
    }
    for series in [
        "tim_store_writes_total{result=\"ok\"}",
        "tim_store_batch_size_sum",
        "tim_store_sync_duration_seconds_count",
        "tim_store_bytes{file=\"log\"}",
        "process_resident_memory_bytes",
    ] {
        assert!(after[series] > 0.0, "{series}");
    }
    for name in ["alice", "bob", "secret", "127.0.0.1"] {
        assert!(!page.contains(name), "{name}");
    }
    assert!(
        before.keys().all(|series| after.contains_key(series)),
        "series do not come and go"
    );
}

#[test]
fn health_and_readiness_are_told_on_each_listener_and_metrics_on_the_operators() {
    let hub = TestHub::start();
    let served = Served::start_metrics(&hub);
    assert_eq!(ask(&served, "GET", "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&served, "GET", "/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(ask(&served, "HEAD", "/readyz"), (200, String::new()));
    assert_eq!(ask(&served, "POST", "/readyz").0, 405);
    assert_eq!(ask(&served, "GET", "/files/x").0, 404);
    assert_eq!(ask(&served, "GET", "/").0, 404);
}

#[test]
fn a_hub_to_which_nobody_writes_notices_that_its_database_is_gone_and_back() {
    let (hub, faults) = TestHub::start_faulty();
    let served = Served::start_metrics(&hub);
    let gone = StoreError::NotStored(NotStored::Engine("no answer".to_owned()));
    faults.check_says(Some(Err(gone.clone())));
    let (status, reason) = ask(&served, "GET", "/readyz");
    assert_eq!(status, 503);
    assert!(reason.contains("the database"), "{reason}");
    faults.check_says(Some(Ok(())));
    assert_eq!(ask(&served, "GET", "/readyz").0, 200);
    // After a write that failed, it tries one by itself: a hub that is not ready gets no others.
    let mut alice = Device::login(&hub, "alice", 1);
    faults.next_commit_fails(gone);
    let message = alice.message(c2c("bob"), Text::new("one"));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::STORAGE_FAILED));
    assert_eq!(ask(&served, "GET", "/readyz").0, 503);
    let until = Instant::now() + Duration::from_secs(30);
    while ask(&served, "GET", "/readyz").0 != 200 {
        assert!(Instant::now() < until, "the hub does not try to write");
    }
}

#[test]
fn a_hub_that_cannot_store_is_not_ready_until_it_can() {
    let (hub, faults) = TestHub::start_faulty();
    let served = Served::start_metrics(&hub);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "one");
    faults.next_commit_fails(StoreError::NotStored(NotStored::DiskFull));
    let message = alice.message(c2c("bob"), Text::new("two"));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::STORAGE_FULL));
    let (status, reason) = ask(&served, "GET", "/readyz");
    assert_eq!(status, 503);
    assert!(reason.contains("the store cannot be written"), "{reason}");
    let samples = samples(&served);
    assert_eq!((samples["tim_ready"], samples["tim_store_failing"]), (0.0, 1.0));
    assert_eq!(samples["tim_sends_total{result=\"failed\"}"], 1.0);
    alice.send(c2c("bob"), "three");
    assert_eq!(ask(&served, "GET", "/readyz").0, 200);
}
