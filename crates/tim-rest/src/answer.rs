//! What is asked and what is answered, without I/O.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::driver::HttpResponse;
use crate::error::{ApiError, Error};
use crate::wire::{number, tidy};

/// The longest answer that is read, in bytes. The vendor's have 1 MB at the most.
pub const MAX_ANSWER: usize = 4 << 20;

/// The body of a command, and what is answered. Implement it for a command that this crate does not know.
pub trait Request: Serialize + Send {
    /// The service, such as `openim`.
    const SERVICE: &'static str;
    /// The command, such as `sendmsg`.
    const COMMAND: &'static str;
    /// Whether a second time, after an answer that was lost, changes nothing and answers the same. Others are repeated only if it is certain
    /// that they were not carried out.
    const IS_REPEATABLE: bool = false;
    /// The field whose presence makes an answer a good one even if it has a code: what is in the field has codes of its own.
    const DECIDES: Option<&'static str> = None;
    /// What is answered.
    type Response: DeserializeOwned;

    /// Completes the body with a random number that stays the same when the call is repeated.
    fn complete(&mut self, random: u32) {
        let _ = random;
    }
}

/// A command, of whatever type its body is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) is_repeatable: bool,
    decides: Option<&'a str>,
}

impl<'a> Command<'a> {
    pub(crate) const fn of<R: Request>() -> Self {
        Self {
            service: R::SERVICE,
            name: R::COMMAND,
            is_repeatable: R::IS_REPEATABLE,
            decides: R::DECIDES,
        }
    }

    /// One that this crate may not know.
    pub(crate) fn named(service: &'a str, name: &'a str) -> Result<Self, Error> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match is_name(service) && is_name(name) {
            true => Ok(Self {
                service,
                name,
                is_repeatable: false,
                decides: None,
            }),
            false => Err(Error::setup(format!(
                "{service:?} and {name:?} are not the names of a service and a command"
            ))),
        }
    }

    /// The fields of an answer, if the call has worked.
    pub(crate) fn read(&self, answer: &HttpResponse) -> Result<Map<String, Value>, Error> {
        if answer.status != 200 {
            return Err(Error::Status(answer.status));
        }
        // What is no answer of the service is not shown: a proxy's page may have the URL in it.
        let parsed = serde_json::from_slice(&answer.body);
        let parsed =
            parsed.map_err(|error| Error::Answer(format!("it is not JSON ({:?})", error.classify())))?;
        let Value::Object(fields) = parsed else {
            return Err(Error::Answer("it is not a JSON object".to_owned()));
        };
        let code = fields.get("ErrorCode").and_then(number);
        let is_failed = fields.get("ActionStatus").is_some_and(|status| status == "FAIL");
        let Some(code) = code else {
            return Err(Error::Answer("it has no ErrorCode".to_owned()));
        };
        let decides = self.decides.and_then(|name| fields.get(name));
        let is_good = code == 0 && !is_failed || decides.is_some_and(|value| !value.is_null());
        match is_good {
            true => Ok(fields),
            false => Err(Error::Api(Box::new(self.error(code, fields)))),
        }
    }

    fn error(&self, code: u32, answer: Map<String, Value>) -> ApiError {
        let text = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        ApiError {
            command: format!("{}/{}", self.service, self.name),
            code,
            info: text("ErrorInfo").unwrap_or_default(),
            request_id: text("RequestId"),
            answer,
        }
    }
}

/// The response in the fields of an answer.
pub(crate) fn response<R: Request>(mut fields: Map<String, Value>) -> Result<R::Response, Error> {
    tidy(&mut fields);
    let response = serde_json::from_value(Value::Object(fields));
    response.map_err(|error| Error::Answer(format!("{}/{}: {error}", R::SERVICE, R::COMMAND)))
}

/// Reads the answer to a request that [`Administrator::post`](crate::Administrator::post) has written.
///
/// # Errors
/// [`Error::Status`], [`Error::Answer`], [`Error::Api`]
pub fn read_response<R: Request>(answer: &HttpResponse) -> Result<R::Response, Error> {
    response::<R>(Command::of::<R>().read(answer)?)
}
