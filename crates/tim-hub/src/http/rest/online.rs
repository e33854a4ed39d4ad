//! Who is online.

use serde_json::{Map, Value};
use tim_proto::UserId;

use super::call::Call;
use super::codes;
use super::envelope::{Answer, Coded as _, RestError, object};

/// The most users of one call.
pub(super) const MAX_USERS: usize = 500;

/// `query_online_status`.
pub(super) async fn status(call: Call) -> Result<Answer, RestError> {
    answer(&call, "Status").await
}

/// `querystate`, which came before it.
pub(super) async fn state(call: Call) -> Result<Answer, RestError> {
    answer(&call, "State").await
}

/// Each of these users who has an account, and whether one of the user's devices is online.
async fn answer(call: &Call, name: &str) -> Result<Answer, RestError> {
    let users = targets(call)?;
    let with_devices = call.fields().flag("IsNeedDetail")?;
    let asked = users.clone();
    let known = call
        .read(move |services| Ok(services.reads.store().accounts(&asked)?))
        .await?;
    let (found, unknown): (Vec<_>, Vec<_>) = users
        .into_iter()
        .partition(|user| known.iter().any(|account| account.user == *user));
    if found.is_empty() {
        return Err(RestError::new(
            codes::NO_SUCH_ACCOUNT,
            "none of these users has an account",
        ));
    }
    let found = found.into_iter().map(|user| one(call, user, name, with_devices));
    let unknown = unknown.into_iter().map(|user| {
        object([
            ("To_Account", user.as_str().into()),
            ("ErrorCode", codes::NO_SUCH_ACCOUNT.into()),
        ])
    });
    Ok(Answer::ok()
        .with("QueryResult", found.collect::<Vec<_>>())
        .with("ErrorList", unknown.collect::<Vec<_>>()))
}

fn targets(call: &Call) -> Result<Vec<UserId>, RestError> {
    let fields = call.fields();
    match fields
        .list("To_Account", usize::MAX)
        .coded(codes::BAD_TO_ACCOUNT)?
    {
        None | Some([]) => Err(fields
            .fault("To_Account", "is missing or empty")
            .with_code(call.service.not_json)),
        Some(items) if items.len() > MAX_USERS => {
            let what = format_args!("has {} users, at most {MAX_USERS} fit", items.len());
            Err(fields
                .fault("To_Account", what)
                .with_code(codes::TOO_MANY_TARGETS))
        }
        Some(_) => fields.users("To_Account", MAX_USERS).coded(codes::BAD_TO_ACCOUNT),
    }
}

fn one(call: &Call, user: UserId, name: &str, with_devices: bool) -> Value {
    let devices = call.services.presence.count_devices(&user);
    let status = if devices == 0 { "Offline" } else { "Online" };
    let fields = [("To_Account", Value::from(user.as_str())), (name, status.into())];
    let mut fields: Map<_, _> = fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
    if with_devices && devices > 0 {
        // A device does not say what it runs on.
        let device = object([("Platform", "Unknown".into()), ("Status", "Online".into())]);
        fields.insert("Detail".to_owned(), vec![device; devices].into());
    }
    Value::Object(fields)
}
