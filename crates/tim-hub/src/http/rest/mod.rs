//! The vendor's REST interface, for an application's own server: `POST /v4/<service>/<command>`.
//!
//! A call is checked in this order: path, query, application, UserSig, administrator, rate, JSON; then the command's handler looks at
//! its fields. Whatever comes of it, the answer has the status 200 and says in its body what went wrong, as clients expect. A call that
//! has been admitted is carried out whether or not its client waits for the answer.
//!
//! `commands!` has the table of commands. A handler is an asynchronous function of a [`Call`]: it reads the store by [`Call::read`],
//! on the pool of reads, and writes by [`Call::write`], so that no thread of the executor waits for the disk. What it does reaches
//! devices as what users do reaches them: by the store's hooks and the hub's registries.
//!
//! Pages of other origins cannot call this from a browser: there are no CORS headers, as no page has an administrator's UserSig.

mod accounts;
mod body;
mod call;
mod callbacks;
mod codes;
mod envelope;
mod fields;
mod friends;
mod groups;
mod messages;
mod online;
pub(super) mod openapi;
mod query;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, Response};
use serde_json::{Map, Value};
use tim_proto::UserId;
use tracing::{info, warn};

use super::Server;
use super::body::ResponseBody;
use crate::admission::Network;
use crate::service::Services;
use call::Call;
use envelope::{Answer, RestError};
use query::Query;

/// How the paths of the interface begin.
pub(super) const PREFIX: &str = "/v4/";
/// The longest body of a call. One that is longer is not read.
const MAX_BODY: usize = 128 * 1024;
/// What a refused call costs its network, as a refused login does.
const REFUSED_COST: u32 = 20;
/// The longest time that a refused call waits for what its network has to pay.
const MAX_PAUSE_MS: u64 = 1_000;

/// A service, and the codes that it has for what every service refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Service {
    /// Its name in the path.
    name: &'static str,
    /// Who calls is no administrator.
    not_admin: u32,
    /// The body is no JSON object.
    not_json: u32,
    /// A field is missing or wrong.
    parameter: u32,
    /// It is the hub's fault.
    internal: u32,
}

mod service {
    use super::{Service, codes};

    /// Accounts.
    pub(super) const ACCOUNTS: Service = Service {
        name: "im_open_login_svc",
        not_admin: 70_403,
        not_json: codes::NOT_JSON,
        parameter: 70_402,
        internal: 70_500,
    };
    /// Friends.
    pub(super) const FRIENDS: Service = Service {
        name: "sns",
        not_admin: 30_004,
        not_json: 30_001,
        parameter: 30_001,
        internal: 30_006,
    };
    /// One-to-one messages, and who is online.
    pub(super) const OPENIM: Service = Service {
        name: "openim",
        not_admin: 90_009,
        not_json: 90_001,
        parameter: 90_010,
        internal: 91_000,
    };
    /// Groups.
    pub(super) const GROUPS: Service = Service {
        name: "group_open_http_svc",
        not_admin: 10_007,
        not_json: 10_004,
        parameter: 10_004,
        internal: 10_002,
    };
    /// Attributes of groups. Some of the vendor's clients look for them here, some among the groups.
    pub(super) const GROUP_ATTRIBUTES: Service = Service {
        name: "group_open_attr_http_svc",
        ..GROUPS
    };
}

type Handling = Pin<Box<dyn Future<Output = Result<Answer, RestError>> + Send>>;

/// A command of a service.
struct Command {
    service: Service,
    name: &'static str,
    handle: fn(Call) -> Handling,
    describe: fn() -> openapi::Description,
}

/// Defines the table of commands: service, name in the path, handler, what describes it.
macro_rules! commands {
    ($($service:ident $name:literal => $handler:path, $describe:path;)*) => {
        const COMMANDS: &[Command] = &[$(Command {
            service: service::$service,
            name: $name,
            handle: |call| Box::pin($handler(call)),
            describe: $describe,
        },)*];
    };
}

commands! {
    ACCOUNTS "account_import" => accounts::import, openapi::accounts::import;
    ACCOUNTS "multiaccount_import" => accounts::import_many, openapi::accounts::import_many;
    ACCOUNTS "account_check" => accounts::check, openapi::accounts::check;
    ACCOUNTS "account_delete" => accounts::delete, openapi::accounts::delete;
    ACCOUNTS "kick" => accounts::kick, openapi::accounts::kick;
    FRIENDS "friend_add" => friends::add, openapi::friends::add;
    FRIENDS "friend_delete" => friends::delete, openapi::friends::delete;
    FRIENDS "friend_update" => friends::update, openapi::friends::update;
    FRIENDS "friend_get" => friends::get, openapi::friends::get;
    FRIENDS "friend_get_list" => friends::get_some, openapi::friends::get_some;
    FRIENDS "group_add" => friends::add_list, openapi::friends::add_list;
    FRIENDS "group_delete" => friends::delete_list, openapi::friends::delete_list;
    FRIENDS "group_get" => friends::get_lists, openapi::friends::get_lists;
    OPENIM "query_online_status" => online::status, openapi::accounts::status;
    OPENIM "querystate" => online::state, openapi::accounts::state;
    OPENIM "sendmsg" => messages::send, openapi::messages::send;
    OPENIM "batchsendmsg" => messages::send_many, openapi::messages::send_many;
    OPENIM "importmsg" => messages::import, openapi::messages::import;
    OPENIM "admin_getroammsg" => messages::history, openapi::messages::history;
    OPENIM "admin_msgwithdraw" => messages::withdraw, openapi::messages::withdraw;
    OPENIM "admin_set_msg_read" => messages::set_read, openapi::messages::set_read;
    OPENIM "get_c2c_unread_msg_num" => messages::unread, openapi::messages::unread;
    GROUPS "get_appid_group_list" => groups::list, openapi::groups::list_all;
    GROUPS "create_group" => groups::create, openapi::groups::create;
    GROUPS "get_group_info" => groups::info, openapi::groups::info;
    GROUPS "modify_group_base_info" => groups::modify, openapi::groups::modify;
    GROUPS "destroy_group" => groups::dismiss, openapi::groups::dismiss;
    GROUPS "change_group_owner" => groups::hand_over, openapi::groups::hand_over;
    GROUPS "get_online_member_num" => groups::count_online, openapi::groups::count_online;
    GROUPS "get_group_member_info" => groups::members, openapi::groups::members;
    GROUPS "add_group_member" => groups::add_members, openapi::groups::add_members;
    GROUPS "delete_group_member" => groups::remove_members, openapi::groups::remove_members;
    GROUPS "modify_group_member_info" => groups::modify_member, openapi::groups::modify_member;
    GROUPS "get_joined_group_list" => groups::joined, openapi::groups::joined;
    GROUPS "get_role_in_group" => groups::roles, openapi::groups::role_of;
    GROUPS "forbid_send_msg" => groups::mute, openapi::groups::mute;
    GROUPS "get_group_shutted_uin" => groups::muted, openapi::groups::muted;
    GROUPS "get_group_muted_account" => groups::muted, openapi::groups::muted;
    GROUPS "import_group_member" => groups::import_members, openapi::groups::import_members;
    GROUPS "set_unread_msg_num" => groups::set_unread, openapi::groups::set_unread;
    GROUPS "send_group_msg" => groups::send, openapi::groups::send;
    GROUPS "import_group_msg" => groups::import, openapi::groups::import;
    GROUPS "group_msg_get_simple" => groups::history, openapi::groups::history;
    GROUPS "send_group_system_notification" => groups::notify, openapi::groups::notify;
    GROUPS "group_msg_recall" => groups::recall, openapi::groups::recall;
    GROUPS "delete_group_msg_by_sender" => groups::revoke_of_sender, openapi::groups::revoke_of_sender;
    GROUPS "get_group_attr" => groups::attributes, openapi::groups::attributes;
    GROUPS "modify_group_attr" => groups::modify_attributes, openapi::groups::modify_attributes;
    GROUPS "clear_group_attr" => groups::clear_attributes, openapi::groups::clear_attributes;
    GROUP_ATTRIBUTES "get_group_attr" => groups::attributes, openapi::groups::attributes;
    GROUP_ATTRIBUTES "modify_group_attr" => groups::modify_attributes, openapi::groups::modify_attributes;
    GROUP_ATTRIBUTES "clear_group_attr" => groups::clear_attributes, openapi::groups::clear_attributes;
}

impl Command {
    fn find(path: &str) -> Option<&'static Self> {
        let (service, name) = path.strip_prefix(PREFIX)?.split_once('/')?;
        COMMANDS
            .iter()
            .find(|command| command.service.name == service && command.name == name)
    }
}

impl Server {
    /// Whether there is a REST interface: somebody is an administrator.
    pub(super) fn has_rest(&self) -> bool {
        self.services.settings.has_admins()
    }

    /// The answer to a call.
    pub(super) async fn call(
        &self,
        request: Request<Incoming>,
        network: Option<Network>,
    ) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let admitted = self
            .admit(
                &head.method,
                head.uri.path(),
                head.uri.query().unwrap_or_default(),
                network,
            )
            .await;
        let (command, admin) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return refused(&error),
        };
        let body = match read(body, self.options.body_timeout).await {
            Ok(body) => body,
            Err(error) => return refused(&error),
        };
        carry_out(&self.services, command, admin, &body)
            .await
            .into_response()
    }

    /// Checks everything about a call but its body.
    async fn admit(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        network: Option<Network>,
    ) -> Result<(&'static Command, UserId), RestError> {
        let command = Command::find(path).ok_or_else(no_such_command)?;
        if *method != Method::POST {
            return Err(RestError::new(codes::BAD_REQUEST, "calls are made with POST"));
        }
        let services = &self.services;
        let query = Query::parse(query)?;
        query.check_app(services.options.app.id)?;
        let admin = query.identifier()?;
        let is_allowed = verify(services, command, &query, admin);
        if let Err(error) = is_allowed {
            self.refuse_caller(admin, &error, network).await;
            return Err(error);
        }
        let (per_second, now_ms) = (services.settings.rest_calls_per_second(), services.steady_ms());
        let taken = services.rest_limiter.take((), per_second, now_ms, 1);
        taken.map_err(|wait_ms| {
            let info = format!("the application makes too many calls; try again in {wait_ms} ms");
            RestError::new(codes::TOO_MANY_CALLS, info)
        })?;
        Ok((command, admin))
    }

    /// Somebody who is no administrator has called: that is counted, logged, and slowed down.
    async fn refuse_caller(&self, caller: UserId, error: &RestError, network: Option<Network>) {
        let services = &self.services;
        let now_ms = services.steady_ms();
        if let Some(suppressed) = services.events.refused_calls.take(now_ms) {
            info!(%caller, code = error.code, reason = error.info, suppressed, "a call of the REST interface is refused");
        }
        let Some(network) = network else { return };
        let per_second = services.settings.address_requests_per_second();
        let wait_ms = services
            .stranger_limiter
            .charge(network, per_second, now_ms, REFUSED_COST);
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms.min(MAX_PAUSE_MS))).await;
        }
    }
}

/// Carries out a call that has been admitted. On a task of its own: it goes on if its client does not wait for it.
async fn carry_out(services: &Arc<Services>, command: &Command, admin: UserId, body: &[u8]) -> Answer {
    let body = match object(command.service, body) {
        Ok(body) => body,
        Err(error) => return Answer::failed(&error),
    };
    let handling = (command.handle)(Call {
        services: Arc::clone(services),
        admin,
        service: command.service,
        body,
    });
    let answer = tokio::spawn(handling).await.unwrap_or_else(|error| {
        warn!(%error, command = command.name, "a call of the REST interface was cut off");
        Err(RestError::new(command.service.internal, "the call was cut off"))
    });
    answer.unwrap_or_else(|error| Answer::failed(&error))
}

/// The JSON object that answers a call of this process itself, by its path and body.
pub(crate) async fn call_within(services: &Arc<Services>, admin: UserId, path: &str, body: &[u8]) -> String {
    let answer = match Command::find(path) {
        Some(command) => carry_out(services, command, admin, body).await,
        None => Answer::failed(&no_such_command()),
    };
    answer.into_text()
}

fn no_such_command() -> RestError {
    RestError::new(codes::NO_SUCH_COMMAND, "there is no such command")
}

/// Checks that the caller is who the query says, and an administrator.
fn verify(services: &Services, command: &Command, query: &Query, caller: UserId) -> Result<(), RestError> {
    let now_s = services.now_ms() / 1000;
    let claims = services.settings.verify(&caller, query.user_sig(), now_s);
    claims.map_err(|error| RestError::new(error.code(), error.to_string()))?;
    match services.settings.is_admin(&caller) {
        true => Ok(()),
        false => {
            let info = format!("{caller} is not an administrator of this hub");
            Err(RestError::new(command.service.not_admin, info))
        }
    }
}

/// A call that is refused before its body is read: the connection ends with the answer.
fn refused(error: &RestError) -> Response<ResponseBody> {
    let mut response = Answer::failed(error).into_response();
    let lines = response.headers_mut();
    lines.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The body of a call, if it is not too long and comes in time.
async fn read(mut body: Incoming, limit: Duration) -> Result<Bytes, RestError> {
    let too_long = || {
        let info = format!("the body is longer than {MAX_BODY} bytes");
        RestError::new(codes::BAD_REQUEST, info)
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_long());
    }
    let all = async {
        let mut all = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            let frame = frame.map_err(|error| RestError::new(codes::TIMED_OUT, error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if all.len().saturating_add(data.len()) > MAX_BODY {
                return Err(too_long());
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    };
    let late = |_| Err(RestError::new(codes::TIMED_OUT, "the body did not come in time"));
    tokio::time::timeout(limit, all).await.unwrap_or_else(late)
}

/// The JSON object in the body of a call.
fn object(service: Service, body: &[u8]) -> Result<Map<String, Value>, RestError> {
    let fault = |what: &dyn std::fmt::Display| {
        let info = format!("the body is not a JSON object: {what}");
        RestError::new(service.not_json, info)
    };
    match tim_json::value(body).map_err(|error| fault(&error))? {
        Value::Object(object) => Ok(object),
        _ => Err(fault(&"it is another value")),
    }
}
