//! What else happens while the application is asked: the sender loses the right, the hub stops, the answer is another one's.

use std::time::Duration;

use serde_json::json;
use tim_hub::{CallbackCommand as Command, CallbackOptions, Endpoint};
use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{JoinGroup, UpdateGroup};
use tim_proto::{ErrorCode, GroupType, JoinOption, JoinStatus};

use super::{BEFORE, DEADLINE, GO, body, says, start};
use crate::rest::Rest;
use crate::support::{Answer, Device, Observed, Reply, TestHub, TestServer, c2c, group, group_id, user};

/// What the application refuses.
const NO: &str = r#"{"ActionStatus": "OK", "ErrorInfo": "no", "ErrorCode": 120001}"#;

/// The answer comes late, or none does in time, and the message would be taken: what its sender may do is checked then.
#[test]
fn rights_are_checked_after_a_late_verdict() {
    for answer in [Answer::ok(GO), Answer::Close] {
        let server = TestServer::start([answer.held()]);
        let hub = start(&server, BEFORE, |options| options.timeout = DEADLINE);
        let mut owner = Device::login(&hub, "owner", 1);
        let names = ["muted", "left", "dismissed", "hushed", "kicked"];
        for name in names {
            owner.create_group(name, &[user(name)]).unwrap();
        }
        let mut senders = names.map(|name| Device::login(&hub, name, 1));
        let tickets = [0, 1, 2, 3, 4].map(|at| {
            let sender = &mut senders[at];
            let to = match names[at] {
                "kicked" => c2c("owner"),
                name => group(name),
            };
            let message = sender.message(to, Text::new("late"));
            let ticket = sender.start_send(&message, SendOptions::default());
            sender.push_out();
            ticket
        });
        server.asked(names.len());
        owner.mute("muted", "muted", 600).unwrap();
        owner.remove("left", &["left"]).unwrap();
        owner.dismiss("dismissed").unwrap();
        owner
            .ask(&UpdateGroup::new(group_id("hushed")).with_mute_all(true))
            .unwrap();
        hub.tell(async |hub| hub.kick(user("kicked")).await).unwrap();
        server.release();
        let [muted, left, dismissed, hushed, kicked] = &mut senders;
        assert_eq!(muted.wait_for(tickets[0]), Err(ErrorCode(10_017)));
        assert_eq!(left.wait_for(tickets[1]), Err(ErrorCode::GROUP_PERMISSION_DENY));
        assert_eq!(dismissed.wait_for(tickets[2]), Err(ErrorCode::GROUP_NOT_FOUND));
        assert_eq!(hushed.wait_for(tickets[3]), Err(ErrorCode(10_017)));
        let out = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
        kicked.until(|device| device.observed.contains(&out));
        assert!(owner.texts().is_empty(), "{:?}", owner.texts());
        let Ok(Reply::Page { texts, .. }) = owner.page(c2c("kicked"), &[], 10) else {
            panic!("there is no page")
        };
        assert!(texts.is_empty(), "{texts:?}");
    }
}

/// The connection ends while the application is asked, and its user is kicked out or blocked then, be the device logged in again or not: the
/// verdict is thrown away.
#[test]
fn a_verdict_does_not_outlive_a_kick_or_a_block() {
    let server = TestServer::start([Answer::ok(GO).held()]);
    let commands = [Command::BeforeC2c, Command::AfterC2c];
    let hub = start(&server, &commands, |options| options.timeout = DEADLINE);
    let mut owner = Device::login(&hub, "owner", 1);
    let names = ["kicked", "blocked", "kicked-again", "blocked-again"];
    for (at, name) in names.into_iter().enumerate() {
        let mut sender = Device::login(&hub, name, 1);
        let message = sender.message(c2c("owner"), Text::new("late"));
        sender.start_send(&message, SendOptions::default());
        sender.push_out();
        server.asked(at + 1);
    }
    // Their connections have ended.
    let shared = hub.shared();
    let devices = |name: &str| shared.user(&user(name)).unwrap().unwrap().devices;
    owner.wait_until(|| names.iter().all(|name| devices(name) == 0));
    let mut again = ["kicked-again", "blocked-again"].map(|name| Device::login(&hub, name, 1));
    hub.advance(Duration::from_secs(10));
    for name in names {
        hub.tell(async |hub| match name.starts_with("kicked") {
            true => hub.kick(user(name)).await,
            false => hub.block(user(name), true).await,
        })
        .unwrap();
    }
    let out = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    for device in &mut again {
        device.until(|device| device.observed.contains(&out));
    }
    server.release();
    for told in &server.asked(2 * names.len())[names.len()..] {
        let told = body(told);
        let code = ErrorCode::KICKED_OUT_REST_API.0;
        assert_eq!(told["SendMsgResult"], code, "{told}");
    }
    for name in names {
        let Ok(Reply::Page { texts, .. }) = owner.page(c2c(name), &[], 10) else {
            panic!("there is no page")
        };
        assert!(texts.is_empty(), "{name}: {texts:?}");
    }
    assert!(owner.texts().is_empty(), "{:?}", owner.texts());
}

/// The connection ends while the application is asked. The device sends the message again, and that is refused: the first verdict must not
/// store it after that.
#[test]
fn a_verdict_does_not_outlive_the_connection_of_its_request() {
    let server = TestServer::start([Answer::ok(GO).held(), Answer::ok(NO)]);
    let hub = start(&server, BEFORE, |options| options.timeout = DEADLINE);
    let mut owner = Device::login(&hub, "owner", 1);
    let mut sender = Device::login(&hub, "sender", 1);
    let message = sender.message(c2c("owner"), Text::new("once"));
    sender.start_send(&message, SendOptions::default());
    sender.push_out();
    server.asked(1);
    drop(sender);
    let shared = hub.shared();
    owner.wait_until(|| shared.user(&user("sender")).unwrap().unwrap().devices == 0);
    let mut again = Device::login(&hub, "sender", 1);
    let ticket = again.start_send(&message, SendOptions::default());
    assert_eq!(again.wait_for(ticket), Err(ErrorCode(120_001)));
    server.release();
    // Behind it.
    let other = again.message(c2c("owner"), Text::new("twice"));
    let ticket = again.start_send(&other, SendOptions::default());
    assert_eq!(again.wait_for(ticket), Err(ErrorCode(120_001)));
    let Ok(Reply::Page { texts, .. }) = owner.page(c2c("sender"), &[], 10) else {
        panic!("there is no page")
    };
    assert!(texts.is_empty(), "{texts:?}");
}

/// Nobody waits for an answer then, and what was not decided is not done. A device sends it again when the hub is back.
#[test]
fn the_hub_stops_while_the_application_is_asked() {
    let server = TestServer::start([Answer::Hang]);
    let rest = Rest::serve(start(&server, BEFORE, |options| options.timeout = 2 * DEADLINE));
    let mut alice = Device::login(&rest.hub, "alice", 1);
    rest.accounts(&["bob"]);
    let message = alice.message(c2c("bob"), Text::new("from a device"));
    let ticket = alice.start_send(&message, SendOptions::default());
    alice.push_out();
    std::thread::scope(|scope| {
        let to_bob = json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "by REST"}}]});
        let call = scope.spawn(|| rest.code("openim/sendmsg", to_bob));
        server.asked(2);
        rest.hub.tell(async |hub| hub.shut_down().await);
        assert_eq!(call.join().unwrap(), 91_000);
    });
    let Rest { http, hub } = rest;
    drop(http);
    let hub = TestHub::start_on(hub.stop(), |_| ());
    alice.move_to(&hub);
    let first = Reply::Sent {
        sequence: 1,
        duplicate: false,
    };
    assert_eq!(alice.wait_for(ticket), Ok(first));
    let mut bob = Device::login(&hub, "bob", 2);
    let Ok(Reply::Page { texts, .. }) = bob.page(c2c("alice"), &[], 10) else {
        panic!("there is no page")
    };
    assert_eq!(texts, ["from a device"]);
}

/// An endpoint that mixes up what it is asked decides nothing.
#[test]
fn an_answer_to_another_question_is_none() {
    let server = TestServer::start([
        Answer::ok(json!({"CallbackCommand": "Group.CallbackBeforeSendMsg", "ErrorCode": 1}).to_string()),
        Answer::ok(json!({"ErrorCode": 0, "RefusedMembers_Account": ["bob"], "GroupId": 7}).to_string()),
        Answer::ok(json!({"ErrorCode": 10_100, "ErrorInfo": "of groups"}).to_string()),
        Answer::ok(json!({"CallbackCommand": "C2C.CallbackBeforeSendMsg", "ErrorCode": 1}).to_string()),
    ]);
    let hub = start(&server, &[Command::BeforeC2c], |_| ());
    let mut alice = Device::login(&hub, "alice", 1);
    for text in ["one", "two", "three"] {
        alice.send(c2c("bob"), text);
    }
    let message = alice.message(c2c("bob"), Text::new("four"));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::MSG_PUSH_DENY));
    let stats = hub.shared().stats().callbacks;
    assert_eq!((stats.failed, stats.answered), (2, 2));
}

/// The verdict comes late, and what counts is what holds then.
#[test]
fn a_user_joins_by_what_holds_when_the_verdict_is_there() {
    let server = TestServer::start([Answer::ok(GO).held()]);
    let hub = start(&server, &[Command::BeforeJoin], |options| {
        options.timeout = DEADLINE
    });
    let mut owner = Device::login(&hub, "owner", 1);
    let groups = ["dismissed", "closed", "kicked", "open"];
    for name in groups {
        let kind = match name {
            "closed" => GroupType::PUBLIC,
            _ => GroupType::MEETING,
        };
        owner.create(kind, name, &[]).unwrap();
    }
    let mut joining = groups.map(|name| Device::login(&hub, name, 1));
    let tickets = [0, 1, 2, 3].map(|at| {
        let ticket = joining[at].start(&JoinGroup::new(group_id(groups[at])));
        joining[at].push_out();
        ticket
    });
    server.asked(groups.len());
    owner.dismiss("dismissed").unwrap();
    let closed = UpdateGroup::new(group_id("closed")).with_join_option(JoinOption::DISABLE_APPLY);
    owner.ask(&closed).unwrap();
    hub.tell(async |hub| hub.kick(user("kicked")).await).unwrap();
    server.release();
    let [dismissed, closed, kicked, open] = &mut joining;
    assert_eq!(dismissed.wait_for(tickets[0]), Err(ErrorCode::GROUP_NOT_FOUND));
    assert!(closed.wait_for(tickets[1]).is_err());
    let out = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    kicked.until(|device| device.observed.contains(&out));
    assert_eq!(open.wait_for(tickets[3]), Ok(Reply::Joined(JoinStatus::JOINED)));
    for (name, count) in [("closed", 1), ("kicked", 1), ("open", 2)] {
        let Ok(Reply::GroupMembers { members, .. }) = owner.members(name, &[], 10) else {
            panic!("{name} is there")
        };
        assert_eq!(members.len(), count, "{name}: {members:?}");
    }
}

/// Who was removed and added again may write again, with the right that counts when the verdict is there.
#[test]
fn a_member_is_removed_and_added_again_while_the_application_is_asked() {
    let server = TestServer::start([Answer::ok(GO).held()]);
    let hub = start(&server, BEFORE, |options| options.timeout = DEADLINE);
    let mut owner = Device::login(&hub, "owner", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    owner.create(GroupType::WORK, "w", &[user("bob")]).unwrap();
    let message = bob.message(group("w"), Text::new("late"));
    let ticket = bob.start_send(&message, SendOptions::default());
    bob.push_out();
    server.asked(1);
    owner.remove("w", &["bob"]).unwrap();
    owner.invite("w", &["bob"]).unwrap();
    server.release();
    assert!(matches!(
        bob.wait_for(ticket),
        Ok(Reply::Sent { duplicate: false, .. })
    ));
    owner.until_texts(1);
    assert_eq!(owner.texts(), ["late"]);
}

/// A question that is under way goes on; the next one is signed with the new token.
#[test]
fn settings_are_reloaded_while_the_application_is_asked() {
    let server = TestServer::start([says(120_001, "late").held()]);
    let with_token = |token: &str| {
        let mut endpoint = Endpoint::new(server.url("/callback?x=1"));
        token.clone_into(&mut endpoint.token);
        let mut options = CallbackOptions::new(endpoint);
        (options.timeout, options.commands) = (DEADLINE, BEFORE.to_vec());
        options
    };
    let hub = TestHub::start_with(|hub| hub.callbacks = Some(with_token("before")));
    let mut alice = Device::login(&hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new("one"));
    let ticket = alice.start_send(&message, SendOptions::default());
    alice.push_out();
    server.asked(1);
    hub.reload(|hub| hub.callbacks = Some(with_token("after")));
    server.release();
    assert_eq!(alice.wait_for(ticket), Err(ErrorCode(120_001)));
    let message = alice.message(c2c("bob"), Text::new("two"));
    assert_eq!(alice.send_message(&message).map(|_| ()), Err(ErrorCode(120_001)));
    let signs = server.asked(2);
    let signs: Vec<_> = signs
        .iter()
        .map(|asked| asked.target.split("&Sign=").nth(1))
        .collect();
    assert!(
        signs[0].is_some() && signs[1].is_some() && signs[0] != signs[1],
        "{signs:?}"
    );
}
