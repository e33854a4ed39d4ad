//! What a call is answered with: always HTTP 200 and a JSON object that says whether it worked.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value};
use tim_proto::ErrorCode;
use tim_store::WriteError;

use super::Service;
use crate::http::body::ResponseBody;
use crate::http::headers;
use crate::refusal::Refusal;

/// Why a call, or one item of it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestError {
    pub(super) code: u32,
    pub(super) info: String,
}

impl RestError {
    pub(super) fn new(code: u32, info: impl Into<String>) -> Self {
        let info = info.into();
        Self { code, info }
    }

    /// The same fault with the code that a command has for it.
    pub(super) fn with_code(self, code: u32) -> Self {
        Self { code, ..self }
    }

    /// A refusal of the hub. What is not the caller's fault has the code of the service.
    pub(super) fn of(service: Service, refusal: Refusal) -> Self {
        let code = match refusal.code {
            ErrorCode::STORAGE_FAILED
            | ErrorCode::STORAGE_DAMAGED
            | ErrorCode::STORAGE_FULL
            | ErrorCode::OUTCOME_UNKNOWN
            | ErrorCode::SERVER_SHUTTING_DOWN => service.internal,
            code => code.0,
        };
        let info = match refusal.text.is_empty() {
            true => refusal.code.to_string(),
            false => refusal.text,
        };
        Self { code, info }
    }

    /// The store has refused a write, or failed.
    pub(super) fn of_write(service: Service, error: WriteError) -> Self {
        Self::of(service, error.into())
    }
}

/// Gives the fault in a result the code that a command has for it.
pub(super) trait Coded {
    fn coded(self, code: u32) -> Self;
}

impl<T> Coded for Result<T, RestError> {
    fn coded(self, code: u32) -> Self {
        self.map_err(|error| error.with_code(code))
    }
}

/// The fields of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer(Map<String, Value>);

impl Answer {
    /// The call has worked.
    pub(super) fn ok() -> Self {
        Self::of("OK", 0, "")
    }

    /// The call has failed; nothing of it was done, unless the command says otherwise.
    pub(super) fn failed(error: &RestError) -> Self {
        Self::of("FAIL", error.code, &error.info)
    }

    fn of(status: &str, code: u32, info: &str) -> Self {
        let fields = [
            ("ActionStatus", status.into()),
            ("ErrorCode", code.into()),
            ("ErrorInfo", info.into()),
        ];
        Self(
            fields
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        )
    }

    /// The answer with one more field, or with another value of one.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = headers::error(StatusCode::OK, "");
        let lines = response.headers_mut();
        lines.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = ResponseBody::Text(Bytes::from(self.into_text()));
        response
    }

    pub(super) fn into_text(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// An object of an answer.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    )
}
