//! The application's server: it decides about what it is asked, and takes note of what it is told.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tim_proto::{ConversationId, GroupId, UserId};

use super::http::Connection;
use super::{Servers, Way};
use crate::Rng;
use crate::simulator::history::{Log, Mark, Question, Told, Verdict, What, changed, changed_text};
use crate::simulator::op::{Server, ServerFault};

/// An answer that is longer than the hub reads.
const TOO_LONG: usize = 129 * 1024;

/// What is sent back.
struct Answer {
    status: u16,
    body: String,
    /// After so many milliseconds; `None`: never.
    after_ms: Option<u64>,
}

impl Servers {
    /// Answers the requests of a connection.
    pub(super) async fn answer_callbacks(self: Rc<Self>, mut connection: Connection, way: Way) {
        while let Some(request) = connection.request().await {
            if way.has_ended() {
                return;
            }
            let fields = match serde_json::from_slice(&request.body) {
                Ok(Value::Object(fields)) => fields,
                other => panic!("the hub calls with what is no JSON object: {other:?}"),
            };
            let mark = Mark::find(&request.body);
            let (answer, question) = match text(&fields, "CallbackCommand") {
                command if command.contains("Before") => {
                    let (answer, number) = self.asked(command, &fields, mark);
                    (answer, Some(number))
                }
                command => (self.told(command, &fields, mark), None),
            };
            let Some(after_ms) = answer.after_ms else {
                return self.says_nothing(&mut connection).await;
            };
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            if !connection.answer(answer.status, "", &answer.body).await {
                return;
            }
            if let Some(number) = question {
                self.shared.observe(None, What::Answered(number));
            }
        }
    }

    /// It hangs, or closes the connection.
    async fn says_nothing(&self, connection: &mut Connection) {
        match self.condition(Server::Application) {
            Some(ServerFault::Hangs(_)) => connection.closed().await,
            _ if self.shared.observed().is_multiple_of(2) => connection.answer_half().await,
            _ => {}
        }
    }

    /// Decides about what is asked. Also the number of the question.
    fn asked(&self, command: &str, fields: &Map<String, Value>, mark: Option<Mark>) -> (Answer, u32) {
        let group = GroupId::new(text(fields, "GroupId")).ok();
        let by = who(fields);
        let mut rng = self.chance(&format!("{command} {mark:?} {by:?} {group:?}"));
        let verdict = self.verdict(command, fields, mark, &mut rng);
        let after_ms = self.delay(Server::Application, &mut rng);
        let mut answer = Answer {
            after_ms: Some(after_ms),
            ..said(command, mark, &verdict, &mut rng)
        };
        let verdict = self.fails(&mut answer, &mut rng).unwrap_or(verdict);
        let number = self.questions.replace(self.questions.get() + 1);
        self.shared.observe(
            None,
            What::Asked(Question {
                number,
                command: command.to_owned(),
                mark,
                by,
                group,
                verdict,
                after_ms: answer.after_ms,
            }),
        );
        (answer, number)
    }

    fn verdict(
        &self,
        command: &str,
        fields: &Map<String, Value>,
        mark: Option<Mark>,
        rng: &mut Rng,
    ) -> Verdict {
        let (settings, is_group) = (&self.settings, command.starts_with("Group."));
        if rng.percent(settings.refuses) {
            return Verdict::Refuse(match (is_group, rng.percent(25)) {
                (true, true) => 10_016,
                (true, false) => rng.within(10_100..10_201) as u32,
                (false, true) => 20_006,
                (false, false) => rng.within(120_001..130_001) as u32,
            });
        }
        if command.ends_with("BeforeInviteJoinGroup") {
            let users = fields.get("DestinationMembers").and_then(Value::as_array);
            let users = users.into_iter().flatten();
            let users = users.filter_map(|user| UserId::new(user.get("Member_Account")?.as_str()?).ok());
            let without: Vec<UserId> = users.filter(|_| rng.percent(15)).collect();
            return if without.is_empty() {
                Verdict::Allow
            } else {
                Verdict::Without(without)
            };
        }
        let Some(mark) = mark.filter(|_| command.ends_with("BeforeSendMsg")) else {
            return Verdict::Allow;
        };
        if rng.percent(settings.drops) {
            return Verdict::Drop;
        }
        match rng.percent(settings.changes) {
            true => Verdict::Change(changed(mark, variant_of(mark))),
            false => Verdict::Allow,
        }
    }

    /// The answer becomes none, by chance or as something has happened to the server.
    fn fails(&self, answer: &mut Answer, rng: &mut Rng) -> Option<Verdict> {
        let fault = self.condition(Server::Application);
        let is_unanswered = !self.is_healed() && rng.percent(self.settings.unanswered);
        match fault {
            Some(ServerFault::Hangs(_) | ServerFault::Cuts(_)) => answer.after_ms = None,
            Some(ServerFault::Fails(_)) => {
                useless(answer, rng);
                return Some(Verdict::Useless);
            }
            _ if !is_unanswered => {}
            _ => match rng.below(10) {
                0..3 => {
                    useless(answer, rng);
                    return Some(Verdict::Useless);
                }
                3..5 => answer.after_ms = None,
                _ => answer.after_ms = Some(self.settings.timeout_ms + rng.within(100..3_000)),
            },
        }
        None
    }

    /// Takes note of what is told.
    fn told(&self, command: &str, fields: &Map<String, Value>, mark: Option<Mark>) -> Answer {
        let group = GroupId::new(text(fields, "GroupId")).ok();
        let info = fields.get("Info").and_then(Value::as_object);
        let by = who(fields).or_else(|| who(info?));
        let online_only = number(fields, "OnlineOnlyFlag") == 1;
        let result = number(fields, "SendMsgResult");
        let mut rng = self.chance(&format!("{command} {mark:?} {by:?} {group:?}"));
        let mut answer = Answer {
            status: 200,
            body: json!({ "ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0 }).to_string(),
            after_ms: Some(self.delay(Server::Application, &mut rng)),
        };
        self.fails(&mut answer, &mut rng);
        let told = Told {
            command: command.to_owned(),
            mark,
            place: place(fields, group).filter(|(_, sequence)| *sequence > 0 && !online_only && result == 0),
            result,
            online_only,
            by,
            group,
            action: info
                .map(|info| text(info, "Action").to_owned())
                .unwrap_or_default(),
            after_ms: answer.after_ms,
        };
        self.shared.observe(None, What::Told(told));
        answer
    }
}

/// The content that a message is changed to has one of a few texts.
const fn variant_of(mark: Mark) -> u64 {
    mark.0 as u64 % 3
}

/// A verdict in JSON.
fn said(command: &str, mark: Option<Mark>, verdict: &Verdict, rng: &mut Rng) -> Answer {
    let mut body = json!({ "ActionStatus": "OK", "ErrorInfo": "as the application says", "ErrorCode": 0 });
    match (verdict, mark) {
        (Verdict::Change(_), Some(mark)) => {
            let content = json!({ "Text": changed_text(mark, variant_of(mark)) });
            body["MsgBody"] = json!([{ "MsgType": "TIMTextElem", "MsgContent": content }]);
        }
        (Verdict::Without(users), _) => {
            let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
            body["RefusedMembers_Account"] = json!(users);
        }
        (Verdict::Refuse(10_016 | 20_006), _) => body["ErrorCode"] = json!(1),
        (Verdict::Refuse(code), _) => body["ErrorCode"] = json!(code),
        (Verdict::Drop, _) => body["ErrorCode"] = json!(2),
        _ => {}
    }
    if rng.percent(20) {
        body["CallbackCommand"] = json!(command);
    }
    Answer {
        status: 200,
        body: body.to_string(),
        after_ms: None,
    }
}

/// Something that decides nothing.
fn useless(answer: &mut Answer, rng: &mut Rng) {
    let body = match rng.below(7) {
        0 => {
            answer.status = 500;
            answer.body.clone()
        }
        1 => "{\"ErrorCode\": 0".to_owned(),
        2 => "[]".to_owned(),
        3 => json!({ "ErrorCode": 3 }).to_string(),
        4 => json!({ "ErrorCode": 0, "CallbackCommand": "Group.Another" }).to_string(),
        5 => json!({ "ErrorCode": "0" }).to_string(),
        _ => json!({ "ErrorCode": 0, "ErrorInfo": "x".repeat(TOO_LONG) }).to_string(),
    };
    answer.body = body;
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(fields: &Map<String, Value>, name: &str) -> u64 {
    fields.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// Who does what a request is about.
fn who(fields: &Map<String, Value>) -> Option<UserId> {
    let names = [
        "From_Account",
        "Operator_Account",
        "Requestor_Account",
        "Owner_Account",
        "To_Account",
    ];
    names
        .into_iter()
        .find_map(|name| UserId::new(text(fields, name)).ok())
}

/// The log that a request is about, and the sequence there.
fn place(fields: &Map<String, Value>, group: Option<GroupId>) -> Option<(Log, u64)> {
    let key = text(fields, "MsgKey")
        .split('_')
        .next()
        .and_then(|first| first.parse().ok());
    let listed = fields
        .get("MsgSeqList")
        .and_then(|list| list[0]["MsgSeq"].as_u64());
    let sequence = fields.get("MsgSeq").and_then(Value::as_u64).or(listed).or(key)?;
    let log = match group {
        Some(group) => Log::Group(group),
        None => {
            let from = UserId::new(text(fields, "From_Account")).ok()?;
            let to = UserId::new(text(fields, "To_Account")).ok()?;
            Log::of(from, ConversationId::C2c(to))
        }
    };
    Some((log, sequence))
}
