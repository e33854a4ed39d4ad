//! The REST interface, as an application's own server calls it.

mod accounts;
mod described;
mod faults;
mod friends;
mod gone;
mod group_members;
mod group_messages;
mod groups;
mod messages;
mod python;
mod refused;
mod repeated;

use std::sync::OnceLock;

use serde_json::{Value, json};
use tim_hub::HubOptions;

use crate::support::{APP, Served, TestHub, sig, user};

/// A hub with an administrator, and its HTTP.
pub(crate) struct Rest {
    pub(crate) http: Served,
    pub(crate) hub: TestHub,
}

impl Rest {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut HubOptions)) -> Self {
        let hub = TestHub::start_with(|options| {
            options.admins = vec![user("admin")];
            change(options);
        });
        Self::serve(hub)
    }

    pub(crate) fn serve(hub: TestHub) -> Self {
        let http = Served::start(&hub, |_| ());
        Self { http, hub }
    }

    /// The answer to a call with this query and body.
    pub(crate) fn ask(&self, command: &str, query: &str, body: &[u8]) -> Value {
        let lines = format!("Content-Length: {}\r\n", body.len());
        let target = format!("/v4/{command}?{query}");
        let (status, head, answer) = self.http.ask_with("POST", &target, &lines, body);
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let failed = answer["ErrorCode"] != 0;
        assert_eq!(answer["ActionStatus"] == "FAIL", failed, "{answer}");
        assert_eq!(answer["ErrorInfo"] == "", !failed, "{answer}");
        described::check(self.description(), command, body, &answer);
        answer
    }

    /// The description of the interface, which is the same for all hubs.
    fn description(&self) -> &'static Value {
        static DESCRIPTION: OnceLock<Value> = OnceLock::new();
        DESCRIPTION.get_or_init(|| {
            let (status, body) = self.http.get("/openapi.json", "");
            assert_eq!(status, 200);
            serde_json::from_slice(&body).unwrap()
        })
    }

    /// The answer to a call of the administrator.
    pub(crate) fn call(&self, command: &str, body: Value) -> Value {
        self.ask(command, &query("admin"), body.to_string().as_bytes())
    }

    /// The code of one.
    pub(crate) fn code(&self, command: &str, body: Value) -> u64 {
        self.call(command, body)["ErrorCode"].as_u64().unwrap()
    }

    /// The answer to a call that works.
    pub(crate) fn ok(&self, command: &str, body: Value) -> Value {
        let answer = self.call(command, body);
        assert_eq!(answer["ErrorCode"], 0, "{answer}");
        answer
    }
}

/// The name of a command about groups.
pub(crate) fn of_groups(command: &str) -> String {
    format!("group_open_http_svc/{command}")
}

impl Rest {
    /// Makes accounts.
    pub(crate) fn accounts(&self, names: &[&str]) {
        self.ok(
            "im_open_login_svc/multiaccount_import",
            json!({"Accounts": names}),
        );
    }

    /// Makes accounts, and a group of the first one with the others.
    pub(crate) fn group(&self, kind: &str, id: &str, names: &[&str]) {
        self.accounts(names);
        let members: Vec<_> = names[1..]
            .iter()
            .map(|name| json!({"Member_Account": name}))
            .collect();
        let new = json!({
            "Type": kind, "Name": "name", "GroupId": id, "Owner_Account": names[0], "MemberList": members,
        });
        self.ok(&of_groups("create_group"), new);
    }

    /// The answer to a call about groups that works.
    pub(crate) fn groups_ok(&self, command: &str, body: Value) -> Value {
        self.ok(&of_groups(command), body)
    }

    /// The code of a call about groups.
    pub(crate) fn groups_code(&self, command: &str, body: Value) -> u64 {
        self.code(&of_groups(command), body)
    }
}

/// The query of a call of this user.
pub(crate) fn query(name: &str) -> String {
    query_with(&APP.to_string(), name, &sig(name))
}

pub(crate) fn query_with(app: &str, name: &str, user_sig: &str) -> String {
    let user_sig = user_sig.replace('*', "%2A");
    format!("sdkappid={app}&identifier={name}&usersig={user_sig}&random=1&contenttype=json")
}
