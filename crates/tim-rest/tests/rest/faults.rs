//! What goes wrong: refused calls, servers that do not behave, hubs that restart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tim_hub::tls::{HubTls, TlsProtocol};
use tim_hub::{HttpOptions, TlsListener};
use tim_rest::*;
use tim_testkit::certificates::{Age, Authority};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{ADMIN, APP, KEY, Scripted, World};

fn kind(error: &Error) -> Option<TransportErrorKind> {
    match error {
        Error::Transport(error) => Some(error.kind),
        _ => None,
    }
}

fn client(base: impl Into<String>) -> Builder {
    Client::builder(base, APP, ADMIN, KEY).timeout(Duration::from_secs(60))
}

#[tokio::test]
async fn refused_calls_have_the_vendors_codes() {
    let world = World::start();
    let tim = client(world.base()).build().unwrap();
    tim.import_accounts(["alice"]).await.unwrap();
    let error = tim
        .send_message(Message::to("nobody").from("alice").text("hi"))
        .await
        .unwrap_err();
    let Error::Api(api) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (api.command.as_str(), api.code, api.is_retryable()),
        ("openim/sendmsg", 90_012, false)
    );
    assert!(
        api.info.contains("To_Account") && api.answer["ActionStatus"] == "FAIL",
        "{api:?}"
    );
    assert!(
        error.is_certainly_not_done() && error.to_string().starts_with("openim/sendmsg fails with 90012: "),
        "{error}"
    );
    // All fail: what came of each is in the error.
    let error = tim
        .send_to_many(Broadcast::to(["nobody"]).text("hi"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(90_012));
    for (tim, code) in [
        (Client::builder(world.base(), APP, "alice", KEY), 70_403),
        (
            Client::builder(world.base(), APP, ADMIN, "another key of sixteen"),
            70_009,
        ),
        (Client::builder(world.base(), 7, ADMIN, KEY), 60_006),
    ] {
        let error = tim.build().unwrap().check_accounts(["alice"]).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
    }
    // A command that the crate does not know, whose answer is left as it is, and one that nobody knows.
    let answer = tim
        .call("openim", "querystate", &json!({"To_Account": ["alice"]}))
        .await
        .unwrap();
    assert_eq!(answer["QueryResult"][0]["State"], "Offline");
    let error = tim
        .call("openim", "no_such_command", &json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(60_009));
    let error = tim.call("openim", "sendmsg?x=", &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Setup(_)), "{error}");
}

#[tokio::test]
async fn a_hub_may_restart() {
    let mut world = World::start();
    let tim = client(world.base()).build().unwrap();
    tim.import_accounts(["alice", "bob"]).await.unwrap();
    let message = Message::to("bob").from("alice").random(7).text("hi");
    let sent = tim.send_message(message.clone()).await.unwrap();
    world.stop().await;
    // The connection is gone, and the next call waits for the hub.
    let calling = tokio::spawn(async move { tim.send_message(message).await });
    tokio::task::yield_now().await;
    world.start_again();
    assert_eq!(calling.await.unwrap().unwrap(), sent, "it is sent once");
}

#[tokio::test]
async fn a_hub_with_tls_is_called_if_its_authority_is_trusted() {
    let world = World::start();
    let directory = tempfile::tempdir().unwrap();
    let authorities = ["right", "wrong"].map(|name| Authority::new(directory.path(), name));
    let files = authorities[0].sign("hub", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&files.certificate, &files.key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let (hub, options) = (world.hub(), HttpOptions::new(base.as_str()));
    let listener = TlsListener::with_protocol(listener, &tls, TlsProtocol::Http);
    tokio::spawn(async move { hub.serve_http(listener, options, std::future::pending()).await });
    let with = |authority: &Authority| {
        let builder = client(base.as_str()).attempts(1);
        builder.trust_authorities_from(&authority.file).build().unwrap()
    };
    with(&authorities[0]).import_accounts(["alice"]).await.unwrap();
    let error = with(&authorities[1])
        .import_accounts(["alice"])
        .await
        .unwrap_err();
    assert!(
        error.is_certainly_not_done() && error.to_string().contains("certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn more_calls_than_the_hub_has_connections_wait_for_each_other() {
    let world = World::start();
    let tim = client(world.base()).attempts(1).build().unwrap();
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let tim = tim.clone();
            tokio::spawn(async move { tim.import_accounts(["alice"]).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// A server that gives the next connection the next of these answers, and then hangs. The requests of those it answers.
async fn answering(answers: Vec<Vec<u8>>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    tim_testkit::deadline();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut link, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                assert!(link.read_buf(&mut request).await.unwrap() > 0);
            }
            let request = String::from_utf8(request).unwrap();
            let target = request.split(' ').nth(1).unwrap().to_owned();
            // What it is asked it shows, as pages of proxies do.
            let answer = String::from_utf8_lossy(&answer).replace("TARGET", &target);
            // The client may have enough of it before its end.
            let _ = link.write_all(answer.as_bytes()).await;
            requests.push(request);
        }
        requests
    });
    (base, serving)
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let len = head.split("content-length: ").nth(1).unwrap();
    body.len() == len.lines().next().unwrap().parse::<usize>().unwrap()
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn what_is_no_answer_of_the_service_is_said_without_secrets() {
    type Check = fn(&Error) -> bool;
    let cases: [(Vec<u8>, Check, bool); 8] = [
        (
            http("200 OK", "<p>TARGET"),
            |error| matches!(error, Error::Answer(_)),
            false,
        ),
        (
            http("200 OK", r#"{"error": "TARGET"}"#),
            |error| matches!(error, Error::Answer(_)),
            false,
        ),
        (
            http("200 OK", "[1]"),
            |error| matches!(error, Error::Answer(_)),
            false,
        ),
        (
            http("200 OK", r#"{"ErrorCode": 0, "ResultItem": 5}"#),
            |error| matches!(error, Error::Answer(_)),
            false,
        ),
        (
            http("302 Found\r\nLocation: http://localhost:1TARGET", ""),
            |error| matches!(error, Error::Status(302)),
            false,
        ),
        (
            http("503 Unavailable", "TARGET"),
            |error| matches!(error, Error::Status(503)),
            true,
        ),
        (
            http("200 OK", &" ".repeat(MAX_ANSWER + 1)),
            |error| kind(error) == Some(TransportErrorKind::TooLong),
            false,
        ),
        (
            b"SSH-2.0-TARGET\r\n".to_vec(),
            |error| kind(error) == Some(TransportErrorKind::Interrupted),
            true,
        ),
    ];
    let (base, serving) = answering(cases.iter().map(|(answer, ..)| answer.clone()).collect()).await;
    let tim = client(base).attempts(1).build().unwrap();
    for (_, is_right, is_retryable) in cases {
        let error = tim.check_accounts(["alice"]).await.unwrap_err();
        assert!(
            is_right(&error) && error.is_retryable() == is_retryable,
            "{error:?}"
        );
        assert!(!error.is_certainly_not_done(), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("usersig") && !shown.contains(KEY), "{shown}");
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_sent_again_as_it_was() {
    let good = http(
        "200 OK",
        r#"{"ActionStatus": "OK", "ErrorInfo": null, "ErrorCode": 0, "MsgTime": 5, "MsgKey": "1_2_5"}"#,
    );
    let (base, serving) = answering(vec![Vec::new(), good.clone(), Vec::new()]).await;
    let tim = client(base).build().unwrap();
    let sent = tim.send_message(Message::to("bob").text("hi")).await.unwrap();
    assert_eq!((sent.time, sent.key.as_str()), (5, "1_2_5"));
    let error = tim.kick("bob").await.unwrap_err();
    assert_eq!(
        kind(&error),
        Some(TransportErrorKind::Interrupted),
        "it is not known whether that was done: {error}"
    );
    let requests = serving.await.unwrap();
    let body = |request: &str| request.split("\r\n\r\n").nth(1).unwrap().to_owned();
    assert_eq!(body(&requests[0]), body(&requests[1]));
}

#[tokio::test]
async fn calls_have_a_time_limit_and_an_end() {
    tim_testkit::deadline();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let tim = client(base.as_str())
        .timeout(Duration::from_millis(500))
        .attempts(1)
        .build()
        .unwrap();
    let error = tim.check_accounts(["alice"]).await.unwrap_err();
    assert_eq!(
        (kind(&error), error.is_retryable()),
        (Some(TransportErrorKind::TimedOut), true),
        "{error}"
    );
    drop(listener);
    let error = client(base)
        .attempts(2)
        .build()
        .unwrap()
        .kick("alice")
        .await
        .unwrap_err();
    assert_eq!(
        (kind(&error), error.is_certainly_not_done()),
        (Some(TransportErrorKind::NotConnected), true),
        "{error}"
    );
}

fn fails_with(code: u32) -> Result<HttpResponse, TransportError> {
    let body = json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": "no", "RequestId": "r"});
    Ok(HttpResponse::new(200, body.to_string()))
}

fn works() -> Result<HttpResponse, TransportError> {
    Ok(HttpResponse::new(
        200,
        r#"{"ActionStatus": "OK", "ErrorCode": 0}"#,
    ))
}

#[tokio::test]
async fn only_what_may_be_repeated_is() {
    let script = Scripted::default();
    let tim = script.client();
    // Refused as too frequent: that was not done, whatever it is.
    script.answer(fails_with(60_011));
    script.answer(Err(TransportError::new(
        TransportErrorKind::NotConnected,
        "refused",
    )));
    script.answer(works());
    tim.kick("bob").await.unwrap();
    assert_eq!(script.posts().len(), 3);
    let slept = std::mem::take(&mut *script.slept.lock().unwrap());
    assert!(
        slept[0] >= Duration::from_millis(100) && slept[1] >= Duration::from_millis(200),
        "{slept:?}"
    );
    // Failed somehow: a read is repeated, three times in all.
    (0..3).for_each(|_| script.answer(fails_with(91_000)));
    let error = tim.unread(CountUnread::of("bob")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_retryable(), error.is_certainly_not_done()),
        (Some(91_000), true, false)
    );
    assert_eq!(script.posts().len(), 3);
    script.answer(fails_with(70_500));
    let error = tim.kick("bob").await.unwrap_err();
    let Error::Api(api) = error else { panic!("{error}") };
    assert_eq!((api.request_id.as_deref(), script.posts().len()), (Some("r"), 1));
    // Of a group that cannot be read the code is beside those of others.
    let some = json!({"ActionStatus": "FAIL", "ErrorCode": 10015, "GroupInfo": [{"GroupId": "?", "ErrorCode": 10015}]});
    script.answer(Ok(HttpResponse::new(200, some.to_string())));
    assert_eq!(
        tim.group_info(GetGroupInfo::of(["?"])).await.unwrap().groups[0].code,
        10_015
    );
}

#[tokio::test]
async fn newer_names_nulls_and_odd_elements_are_read() {
    let script = Scripted::default();
    let tim = script.client();
    let answers = |mut fields: serde_json::Value| {
        fields["ErrorCode"] = 0.into();
        script.answer(Ok(HttpResponse::new(200, fields.to_string())));
    };
    answers(json!({"MutedAccountList": [{"Member_Account": "a", "MutedUntil": 5}], "ShuttedUinList": null}));
    assert_eq!(tim.muted_members("g").await.unwrap().members[0].until, 5);
    let info = json!({"GroupId": "g", "MaxMemberCount": 9, "MuteAllMember": "On", "MemberList": null});
    answers(json!({"GroupInfo": [info]}));
    let info = tim
        .group_info(GetGroupInfo::of(["g"]))
        .await
        .unwrap()
        .groups
        .remove(0);
    assert_eq!(
        (info.max_members, info.is_all_muted, info.members.len()),
        (Some(9), Some(true), 0)
    );
    let odd = json!({"MsgType": "TIMFaceElem", "MsgContent": {"Index": "x"}});
    answers(
        json!({"RspMsgList": [{"MsgBody": [odd, {"MsgType": "New", "MsgContent": {"a": null}}]}, {"MsgBody": {"OpType": 1}}]}),
    );
    let page = tim.group_history(GroupHistory::new("g", 2)).await.unwrap();
    let types = page.messages.iter().map(|message| message.elements.iter());
    let types: Vec<Vec<_>> = types
        .map(|elements| elements.map(|one| one.content.msg_type()).collect())
        .collect();
    assert_eq!(types, [vec!["TIMFaceElem", "New"], vec![""]]);
    // What the crate does not know is left as it is.
    answers(json!({"MuteUntil": 5, "a": null}));
    let raw = tim
        .call("group_open_http_svc", "get_group_info", &json!({}))
        .await
        .unwrap();
    assert_eq!((&raw["MuteUntil"], raw.contains_key("a")), (&json!(5), true));
}

fn user_sig(post: &HttpRequest) -> &str {
    post.url
        .split("usersig=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
}

#[tokio::test]
async fn the_user_sig_is_made_anew_in_time() {
    let script = Scripted::default();
    let tim = script.client();
    let mut sigs = Vec::new();
    // An hour, less five minutes; and a clock that is set back.
    for now_s in [1_000_000_000, 1_000_003_299, 1_000_003_300, 999_999_999, u64::MAX] {
        script.now_s.store(now_s, Ordering::SeqCst);
        script.answer(works());
        tim.kick("bob").await.unwrap();
        sigs.push(user_sig(&script.posts()[0]).to_owned());
    }
    assert!(
        sigs[0] == sigs[1] && sigs[1] != sigs[2] && sigs[2] != sigs[3],
        "{sigs:?}"
    );
    // The administrator was kicked: once more, with another one.
    for code in [70_001, 70_052] {
        script.now_s.store(2_000_000_000, Ordering::SeqCst);
        script.answer(works());
        tim.kick("bob").await.unwrap();
        script.now_s.fetch_add(1, Ordering::SeqCst);
        script.answer(fails_with(code));
        script.answer(works());
        tim.kick("bob").await.unwrap();
        let posts = script.posts();
        assert_eq!(posts.len(), 3);
        assert!(user_sig(&posts[0]) == user_sig(&posts[1]) && user_sig(&posts[1]) != user_sig(&posts[2]));
        (0..2).for_each(|_| script.answer(fails_with(code)));
        assert_eq!(tim.kick("bob").await.unwrap_err().code(), Some(code));
        assert_eq!(script.posts().len(), 2);
    }
}

#[tokio::test]
async fn debug_has_no_secrets() {
    let script = Scripted::default();
    script.answer(works());
    let tim = script.client();
    tim.kick("bob").await.unwrap();
    let post = script.posts().remove(0);
    let builder = Client::builder("https://console.tim.qq.com", APP, ADMIN, KEY);
    let driver = builder.driver().unwrap();
    let administrator = Administrator::new("https://console.tim.qq.com/v4/", APP, ADMIN, KEY).unwrap();
    let shown = format!("{builder:?} {tim:?} {post:?} {administrator:?} {driver:?}");
    assert!(
        shown.contains(ADMIN) && shown.contains("im_open_login_svc/kick"),
        "{shown}"
    );
    assert!(
        !shown.contains(KEY) && !shown.contains("usersig") && !shown.contains(user_sig(&post)),
        "{shown}"
    );
}

#[test]
fn only_addresses_that_can_work_are_taken() {
    let build = |base: &str| Client::builder(base, APP, ADMIN, KEY).build_with(Scripted::default());
    for base in [
        "https://console.tim.qq.com",
        "https://hub:8080/prefix/v4/",
        "http://localhost:1",
        "http://127.1.2.3",
        "http://[::1]:80",
    ] {
        build(base).unwrap();
    }
    for base in [
        "console.tim.qq.com",
        "https://",
        "https://a b",
        "https://a?b",
        "https://user@host",
        "http://hub:80",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
    ] {
        let error = build(base).unwrap_err();
        assert!(
            matches!(&error, Error::Setup(_)) && error.is_certainly_not_done(),
            "{base}"
        );
    }
    Client::builder("http://hub:80", APP, ADMIN, KEY)
        .allow_plaintext()
        .build_with(Scripted::default())
        .unwrap();
    for (user, key) in [("", KEY), (ADMIN, "")] {
        assert!(
            Client::builder("https://hub", APP, user, key)
                .build_with(Scripted::default())
                .is_err()
        );
    }
    let unreadable = Client::builder("https://hub", APP, ADMIN, KEY)
        .trust_authorities_from("/no/such/file")
        .build();
    assert!(unreadable.unwrap_err().to_string().contains("/no/such/file"));
}
