//! The application's own server: it calls the hub by the REST interface, without sockets, and repeats a call of which it does not know
//! what became of it, with the same random number.

mod requests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tim_hub::WriteError;
use tim_proto::{ErrorCode, MessageId, UserId};
use tokio::task::spawn_local;

use self::requests::{Request, prepare, returned};
use super::history::{BackendView, Failed, Returned, Sent, What};
use super::hub::HubProcess;
use super::op::{ADMINISTRATOR, Call, DeviceRef, Plan, Rest};
use super::recorder::Shared;
use crate::Rng;

/// How often a call is made before it is given up.
const ATTEMPTS: u64 = 12;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The numbers of the calls that are made at rests begin here.
const AT_REST: u32 = 1 << 30;
/// Of a hundred answers, so many are lost on their way.
const LOST_PERCENT: u8 = 6;
/// What the hub could not do for a reason of its own, or may have done.
const INTERNAL: [u64; 3] = [91_000, 10_002, 70_500];
/// Too much is asked of it at the moment.
const OVERLOADED: [u64; 2] = [60_011, 10_023];
/// The most entries of a history that are asked for at a rest.
const MAX_HISTORY: usize = 100;

/// The application's server.
pub(crate) struct Backend {
    shared: Rc<Shared>,
    hub: Rc<HubProcess>,
    /// The messages whose places it was told, oldest first.
    sent: RefCell<Vec<Known>>,
    pending: Cell<usize>,
    at_rest: Cell<u32>,
    /// Whom it may have blocked.
    blocked: RefCell<BTreeSet<u8>>,
}

/// A message whose place the server was told.
#[derive(Debug, Clone)]
struct Known {
    message: Sent,
    sequence: u64,
    /// Of one to a user: to whom, and what it is called.
    to: Option<(UserId, String)>,
}

impl Backend {
    pub(crate) fn new(shared: &Rc<Shared>, hub: &Rc<HubProcess>) -> Rc<Self> {
        Rc::new(Self {
            shared: Rc::clone(shared),
            hub: Rc::clone(hub),
            sent: RefCell::default(),
            pending: Cell::new(0),
            at_rest: Cell::new(AT_REST),
            blocked: RefCell::default(),
        })
    }

    fn is_used(&self) -> bool {
        self.shared.plan.population.backend
    }

    fn observe(&self, what: What) {
        self.shared.observe(Some(DeviceRef::BACKEND), what);
    }

    /// Calls the hub. The result is observed when it is known, or given up.
    pub(crate) fn call(self: &Rc<Self>, step: u32, op: &Call) {
        let prepared = match prepare(&self.shared.plan, step, op, &self.sent.borrow()) {
            Ok(prepared) => prepared,
            Err(why) => return self.observe(What::Skipped { call: step, why }),
        };
        if let Call::Rest(Rest::Block(user, true)) = op {
            self.blocked.borrow_mut().insert(*user);
        }
        self.observe(What::Called {
            call: step,
            op: op.clone(),
            message: prepared.message,
        });
        self.pending.set(self.pending.get() + 1);
        let (backend, op) = (Rc::clone(self), op.clone());
        spawn_local(async move {
            let rng = backend.shared.rng(0x4241_434B << 32 | u64::from(step));
            let answer = backend.insist(&prepared.request, &op, rng).await;
            let result = answer.map(|answer| returned(&op, &prepared, &answer));
            backend.keep(&op, &prepared, &result);
            backend.pending.set(backend.pending.get() - 1);
            backend.observe(What::Resolved {
                call: step,
                result: result.map(|(returned, _)| returned),
            });
        });
    }

    /// Keeps the place of a message that was sent.
    fn keep(
        &self,
        op: &Call,
        prepared: &requests::Prepared,
        result: &Result<(Returned, Option<String>), Failed>,
    ) {
        let Ok((Returned::Accepted { sequence, id, .. }, key)) = result else {
            return;
        };
        let (Some(message), true) = (prepared.message, *sequence > 0) else {
            return;
        };
        let to = match (op, key) {
            (Call::Rest(Rest::Send { to, .. }), Some(key)) => {
                to.first().map(|to| (Plan::user(*to), key.clone()))
            }
            _ => None,
        };
        self.sent.borrow_mut().push(Known {
            message: Sent { id: *id, ..message },
            sequence: *sequence,
            to,
        });
    }

    /// Makes a call until it is known what became of it.
    async fn insist(&self, request: &Request, op: &Call, mut rng: Rng) -> Result<Value, Failed> {
        let mut is_unknown = false;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(rng.within(100..2_500))).await;
            }
            let Some(life) = self.hub.life() else { continue };
            let asked = async {
                travel(&mut rng).await;
                let answer = ask(&life.hub, request).await;
                travel(&mut rng).await;
                answer
            };
            let answer = tokio::select! {
                biased;
                () = life.over() => None,
                answer = asked => Some(answer),
                () = tokio::time::sleep(PATIENCE) => None,
            };
            let Some(answer) = answer.filter(|_| !rng.percent(LOST_PERCENT)) else {
                is_unknown = true;
                continue;
            };
            let (code, text) = code_of(op, &answer, is_unknown);
            match code {
                0 => return Ok(answer),
                code if INTERNAL.contains(&code) => is_unknown = true,
                code if OVERLOADED.contains(&code) => {}
                // A part of it may be done.
                code => {
                    return Err(failed(
                        code as u32,
                        is_unknown || answer["ActionStatus"] == "SomeError",
                        text,
                    ));
                }
            }
        }
        Err(failed(ErrorCode::NETWORK_TIMEOUT.0, is_unknown, String::new()))
    }

    /// Waits until no call is under way.
    async fn finish(&self) {
        while self.pending.get() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets everybody in again who is kept out, as at the end of all faults.
    pub(crate) async fn let_everybody_in(self: &Rc<Self>) {
        if !self.is_used() {
            return;
        }
        self.finish().await;
        // A restore may have brought back a block that was ended.
        let blocked = self.blocked.borrow().clone();
        for user in blocked {
            let step = self.at_rest.replace(self.at_rest.get() + 1);
            self.call(step, &Call::Rest(Rest::Block(user, false)));
        }
        self.finish().await;
    }

    /// What has not settled.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let pending = self.pending.get();
        (pending > 0).then(|| format!("the application's server waits for {pending} calls"))
    }

    /// What the server is told at a rest.
    pub(crate) async fn look(&self) -> Result<Option<BackendView>, String> {
        let Some(life) = self.hub.life().filter(|_| self.is_used()) else {
            return Ok(None);
        };
        let population = &self.shared.plan.population;
        let users: Vec<UserId> = (0..population.users.len() as u8).map(Plan::user).collect();
        let names: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let mut view = BackendView::default();
        for (at, user) in users.iter().enumerate() {
            let body = json!({ "To_Account": user.as_str() });
            let all = answer(&life.hub, "openim/get_c2c_unread_msg_num", body).await?;
            let count = all["AllC2CUnreadMsgNum"].as_u64().unwrap_or(u64::MAX);
            view.unread.insert(*user, count);
            let body = json!({ "To_Account": user.as_str(), "Peer_Account": names });
            let each = answer(&life.hub, "openim/get_c2c_unread_msg_num", body).await?;
            for row in each["C2CUnreadMsgNumList"].as_array().into_iter().flatten() {
                let count = row["C2CUnreadMsgNum"].as_u64().unwrap_or(u64::MAX);
                view.unread_with
                    .insert((*user, user_in(&row["Peer_Account"])?), count);
            }
            for other in users.get(at..).unwrap_or_default() {
                let rows = history(&life.hub, user, other).await?;
                view.histories.insert((*user, *other), rows);
            }
        }
        for group in (0..population.groups.len() as u8).map(Plan::group) {
            let body = json!({ "GroupId": group.as_str(), "User_Account": names }).to_string();
            let found = call(&life.hub, "group_open_http_svc/get_role_in_group", &body).await;
            if found["ErrorCode"] != 0 {
                continue; // there is no such group
            }
            let roles = view.roles.entry(group).or_default();
            for row in found["UserIdList"].as_array().into_iter().flatten() {
                let role = row["Role"].as_str().unwrap_or_default();
                roles.insert(user_in(&row["Member_Account"])?, role.to_owned());
            }
        }
        Ok(Some(view))
    }
}

/// The whole history of two users, oldest first, page by page: the sequence of each message, and whether it is revoked.
async fn history(hub: &tim_hub::Hub, user: &UserId, other: &UserId) -> Result<Vec<(u64, bool)>, String> {
    let (mut rows, mut last) = (Vec::new(), String::new());
    loop {
        let body = json!({
            "From_Account": user.as_str(), "To_Account": other.as_str(),
            "MaxCnt": MAX_HISTORY, "MinTime": 0, "MaxTime": u32::MAX, "LastMsgKey": last,
        });
        let found = answer(hub, "openim/admin_getroammsg", body).await?;
        let page = found["MsgList"].as_array().into_iter().flatten();
        let page: Vec<_> = page
            .map(|row| {
                let sequence = row["MsgSeq"].as_u64().unwrap_or(0);
                (sequence, row["MsgFlagBits"] == 8)
            })
            .collect();
        let is_all = found["Complete"] == 1;
        if page.is_empty() && !is_all {
            return Err(format!(
                "a page of {user} and {other} is empty and not the last: {found}"
            ));
        }
        rows.splice(0..0, page);
        if is_all {
            return Ok(rows);
        }
        last = found["LastMsgKey"].as_str().unwrap_or_default().to_owned();
    }
}

/// A request or an answer is on its way.
async fn travel(rng: &mut Rng) {
    tokio::time::sleep(Duration::from_millis(rng.below(8))).await;
}

/// The answer to a call that has to succeed.
async fn answer(hub: &tim_hub::Hub, path: &str, body: Value) -> Result<Value, String> {
    let body = body.to_string();
    let answer = call(hub, path, &body).await;
    match answer["ErrorCode"] == 0 {
        true => Ok(answer),
        false => Err(format!("{path} fails at rest: {body} is answered with {answer}")),
    }
}

fn user_in(value: &Value) -> Result<UserId, String> {
    let name = value.as_str().unwrap_or_default();
    UserId::new(name).map_err(|error| format!("the hub answers with a user {name:?}: {error}"))
}

/// Makes a call.
async fn call(hub: &tim_hub::Hub, path: &str, body: &str) -> Value {
    let answer = hub
        .call_rest(
            crate::user(ADMINISTRATOR),
            &format!("/v4/{path}"),
            body.as_bytes(),
        )
        .await;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path} is answered with {answer}: {error}"))
}

async fn ask(hub: &tim_hub::Hub, request: &Request) -> Value {
    match request {
        Request::Rest(path, body) => call(hub, path, body).await,
        Request::Block(user, is_blocked) => {
            let code = match hub.block(*user, *is_blocked).await {
                Ok(_) => 0,
                Err(WriteError::Refused(_)) => 70_107,
                Err(_) => INTERNAL[0],
            };
            json!({ "ErrorCode": code })
        }
    }
}

/// What an answer says; 0 is success. What was done by an earlier attempt is success, too.
fn code_of(op: &Call, answer: &Value, is_unknown: bool) -> (u64, String) {
    let code = answer["ErrorCode"].as_u64().unwrap_or(INTERNAL[0]);
    let text = answer["ErrorInfo"].as_str().unwrap_or_default().to_owned();
    let of_items = |list: &str, name: &str| -> Vec<u64> {
        let items = answer[list].as_array().into_iter().flatten();
        items.filter_map(|item| item[name].as_u64()).collect()
    };
    let of_items = match op {
        Call::Rest(Rest::Send { to, .. }) if to.len() > 1 => of_items("ErrorList", "ErrorCode"),
        Call::Rest(Rest::Delete(_)) => of_items("ResultItem", "ResultCode"),
        Call::Rest(Rest::Recall(_)) => of_items("RecallRetList", "RetCode"),
        _ => Vec::new(),
    };
    let is_done = match op {
        Call::Rest(Rest::Withdraw(_)) => code == 20_023,
        Call::Rest(Rest::CreateGroup { .. }) => is_unknown && code == 10_025,
        _ => false,
    };
    if is_done {
        return (0, text);
    }
    let internal = of_items.iter().find(|code| INTERNAL.contains(code));
    let first = internal.or_else(|| of_items.iter().find(|code| **code != 0));
    match (code, first) {
        (0, Some(code)) => (*code, text),
        _ => (code, text),
    }
}

fn failed(code: u32, unknown: bool, text: String) -> Failed {
    Failed {
        code: ErrorCode(code),
        unknown,
        text,
    }
}

/// The id of a message of which none was told.
pub(crate) fn no_id() -> MessageId {
    MessageId::default()
}
