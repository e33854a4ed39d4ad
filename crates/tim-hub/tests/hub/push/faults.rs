//! What fails for one user or one token, and what it does to the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tim_hub::{Endpoint, Notification, PushError, PushLog, PushOptions, PushSink, PushWebhook, Sending};
use tim_proto::request::{PushPlatform, RegisterPush};

use super::super::support::{Answer, Device, TestHub, TestServer, c2c, user};
use super::{Clock, DEADLINE, PHONE, offline, start, stats_once};
use crate::backup::restore;

/// Eight users with tokens that the server has no path for. It is to be asked again in ten minutes.
#[test]
fn what_is_answered_to_some_users_says_nothing_of_the_others() {
    let no = Answer::Status(404, "Retry-After: 600\r\n", "no such path".to_owned());
    let mut answers = vec![no; 8];
    answers.push(Answer::ok(""));
    let server = TestServer::start(answers);
    let webhook = PushWebhook::new(Endpoint::new(server.url("/")), Clock::system()).unwrap();
    let hub = TestHub::start_with(|hub| hub.push = Some(PushOptions::new(Arc::new(webhook))));
    let names: Vec<_> = (0..9).map(|n| format!("user{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        offline(&hub, name, n as u64 + 2, &[(PushPlatform::IOS, name)]);
    }
    let mut alice = Device::login(&hub, "alice", 1);
    for (n, name) in names.iter().enumerate() {
        alice.send(c2c(name), "hello");
        let asked = server.asked(n + 1);
        assert!(asked[n].body.contains(name), "{}", asked[n].body);
    }
    let stats = stats_once(&hub, |stats| stats.sent > 0);
    assert_eq!((stats.failed, stats.sent), (8, 1));
}

/// Fails for some tokens.
#[derive(Default)]
struct Choosy {
    failing: Mutex<BTreeMap<&'static str, PushError>>,
    /// The tokens and texts of all attempts.
    seen: Mutex<Vec<(String, String)>>,
}

impl PushSink for Choosy {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        let Notification { token, text, .. } = notification;
        self.seen.lock().unwrap().push((token.clone(), text.clone()));
        let failing = self.failing.lock().unwrap().get(token.as_str()).cloned();
        Box::pin(std::future::ready(failing.map_or(Ok(()), Err)))
    }
}

impl Choosy {
    fn count(&self, token: &str, text: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|(a, b)| (a.as_str(), b.as_str()) == (token, text))
            .count()
    }

    fn wait(&self, what: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !what(self) {
            assert!(start.elapsed() < DEADLINE, "{:?}", self.seen);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_token_that_fails_neither_silences_nor_repeats_the_users_others() {
    let sink = Arc::new(Choosy::default());
    let options = PushOptions::new(sink.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    let not_taken = PushError::NotTaken {
        what: "a test wants it so".to_owned(),
        retry_after: None,
    };
    let unavailable = PushError::unavailable("a test wants it so");
    *sink.failing.lock().unwrap() = [("odd", not_taken), ("slow", unavailable)].into();
    let ios = |token| (PushPlatform::IOS, token);
    offline(&hub, "bob", 2, &[ios("one"), ios("odd"), ios("two")]);
    offline(&hub, "carol", 3, &[ios("slow"), ios("three")]);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "first");
    alice.send(c2c("carol"), "first");
    sink.wait(|sink| sink.count("odd", "first") >= 2 && sink.count("slow", "first") >= 2);
    for token in ["one", "two", "three"] {
        assert_eq!(sink.count(token, "first"), 1, "{token}");
    }
    sink.failing.lock().unwrap().clear();
    alice.send(c2c("bob"), "second");
    alice.send(c2c("carol"), "second");
    sink.wait(|sink| sink.count("two", "second") > 0 && sink.count("three", "second") > 0);
    for token in ["one", "two", "three"] {
        let counts = ["first", "second"].map(|text| sink.count(token, text));
        assert_eq!(counts, [1, 1], "{token}");
    }
}

/// The sink is down for eight users when somebody writes to Bob, who is online and has never failed.
#[test]
fn who_is_online_is_no_trial_of_a_sink_that_is_down() {
    const TOKENS: [&str; 8] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let sink = Arc::new(Choosy::default());
    let options = PushOptions::new(sink.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    let down = TOKENS.map(|token| (token, PushError::unavailable("a test wants it so")));
    *sink.failing.lock().unwrap() = down.into();
    offline(&hub, "bob", 2, &[(PushPlatform::IOS, "online")]);
    let mut alice = Device::login(&hub, "alice", 1);
    for (n, token) in TOKENS.into_iter().enumerate() {
        offline(&hub, token, n as u64 + 3, &[(PushPlatform::IOS, token)]);
        alice.send(c2c(token), "hello");
    }
    stats_once(&hub, |stats| stats.failed >= 8);
    let _bob = Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "hello");
    sink.failing.lock().unwrap().clear();
    let stats = stats_once(&hub, |stats| stats.sent == 8 && stats.waiting == 0);
    assert_eq!((stats.users, sink.count("online", "hello")), (9, 0));
}

#[test]
fn who_is_blocked_is_not_notified() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    let block = |is_blocked| {
        hub.tell(async |hub| hub.block(user("bob"), is_blocked).await)
            .unwrap()
    };
    block(true);
    alice.send(c2c("bob"), "while blocked");
    stats_once(&hub, |stats| stats.suppressed > 0);
    block(false);
    alice.send(c2c("bob"), "afterwards");
    assert_eq!(sink.texts(1), ["afterwards"]);
}

/// Bob logs in, and registers the token again, while the server is about to answer that there is none.
#[test]
fn a_token_that_was_registered_again_meanwhile_stays() {
    let gone = Answer::Status(410, "", String::new()).held();
    let server = TestServer::start([gone, Answer::ok("")]);
    let webhook = PushWebhook::new(Endpoint::new(server.url("/")), Clock::system()).unwrap();
    let mut options = PushOptions::new(Arc::new(webhook));
    options.timeout = DEADLINE;
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "for the former installation");
    server.asked(1);
    let mut bob = Device::login(&hub, "bob", 2);
    bob.ask(&RegisterPush::new(PushPlatform::IOS, "phone")).unwrap();
    server.release();
    stats_once(&hub, |stats| stats.refused == 1 && stats.waiting == 0);
    super::leave(&hub, bob);
    alice.send(c2c("bob"), "for the new one");
    let asked = server.asked(2);
    assert!(asked[1].body.contains("for the new one"), "{}", asked[1].body);
}

fn texts(path: &std::path::Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
                Ok(line) => line["text"].as_str().unwrap().to_owned(),
                Err(_) => line.to_owned(),
            };
            return text.lines().map(line).collect();
        }
        assert!(start.elapsed() < DEADLINE, "{text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_log_goes_on_behind_a_cut_line_and_in_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let [path, former] = ["push.jsonl", "push.jsonl.1"].map(|name| directory.path().join(name));
    assert!(PushLog::open(directory.path()).is_err());
    #[cfg(unix)]
    {
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = PushLog::open(&pipe).unwrap_err();
        assert_eq!(error.to_string(), "it is no regular file");
    }
    std::fs::write(&path, "{\"id\":\"1-").unwrap();
    let log = Arc::new(PushLog::open(&path).unwrap());
    let options = PushOptions::new(log.clone());
    let hub = TestHub::start_with(|hub| hub.push = Some(options));
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "one");
    assert_eq!(texts(&path, 2), ["{\"id\":\"1-", "one"]);
    std::fs::rename(&path, &former).unwrap();
    alice.send(c2c("bob"), "two");
    assert_eq!(texts(&former, 3)[2], "two");
    log.reopen().unwrap();
    alice.send(c2c("bob"), "three");
    assert_eq!(texts(&path, 1), ["three"]);
    assert_eq!(texts(&former, 3).len(), 3);
}

/// The hub goes on where the backup was. What the backup has not, nobody is notified of.
#[test]
fn notifications_go_on_over_a_restored_backup() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "kept");
    assert_eq!(sink.texts(1), ["kept"]);
    let backups = tempfile::tempdir().unwrap();
    let backup = backups.path().join("backup");
    hub.shared().back_up(&backup, None).unwrap();
    alice.send(c2c("bob"), "lost");
    offline(&hub, "carol", 3, &[(PushPlatform::IOS, "a later token")]);
    alice.send(c2c("carol"), "lost");
    sink.texts(3);
    let former = sink.last().id;
    drop(alice);
    drop(hub.stop());

    sink.state.lock().unwrap().taken.clear();
    let options = PushOptions::new(sink.clone());
    let hub = TestHub::start_on(restore(&backup), |hub| hub.push = Some(options));
    let mut alice = Device::login(&hub, "alice", 7);
    alice.send(c2c("bob"), "new");
    alice.send(c2c("carol"), "to nobody");
    alice.send(c2c("bob"), "the last one");
    let is_over = |state: &super::SinkState| state.taken.iter().any(|taken| taken.text == "the last one");
    sink.wait(is_over);
    let state = sink.state.lock().unwrap();
    // Whether it is stored that somebody was notified of the first one depends on when the backup was made.
    let texts = state.taken.iter().map(|taken| taken.text.as_str());
    let texts: Vec<_> = texts.skip_while(|text| *text == "kept").collect();
    assert_eq!(texts, ["new", "the last one"]);
    assert!(state.taken.iter().all(|taken| taken.id != former));
}
