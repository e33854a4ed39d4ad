//! The description of the interface (OpenAPI 3.1), at `/openapi.json`.
//!
//! The table of commands has the paths and, beside each handler, what describes it. The limits are the constants that the handlers check.
//! That the fields are those that the handlers read and answer with, the tests check: each call of theirs and its answer are compared with
//! the description, and [schemathesis](https://schemathesis.io) makes calls from it.

pub(super) mod accounts;
mod elements;
pub(super) mod friends;
pub(super) mod groups;
pub(super) mod messages;
mod shape;

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Response, StatusCode};
use tim_store::Fingerprint;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Required, ResponseBuilder,
};

use super::{COMMANDS, Command, PREFIX};
use crate::http::body::ResponseBody;
use crate::http::headers;
use shape::{Field, Shape};

/// Where it is served.
pub(in crate::http) const PATH: &str = "/openapi.json";

/// What the description says of a command.
pub(super) struct Description {
    summary: &'static str,
    takes: Shape,
    answers: Vec<Field>,
    /// The words for what was done.
    done: &'static [&'static str],
}

impl Description {
    /// Of a command that takes these fields, and answers with these beside those of every answer.
    fn new(
        summary: &'static str,
        takes: impl IntoIterator<Item = Field>,
        answers: impl IntoIterator<Item = Field>,
    ) -> Self {
        Self {
            takes: shape::object(takes),
            answers: answers.into_iter().collect(),
            summary,
            done: &["OK"],
        }
    }

    /// The same of a command whose fields depend on each other.
    fn taking(self, takes: Shape) -> Self {
        Self { takes, ..self }
    }

    fn answer(self) -> Shape {
        let envelope = [
            shape::need("ActionStatus", shape::word(self.done.iter().copied())),
            shape::need("ErrorCode", shape::one_number([0])),
            shape::need("ErrorInfo", shape::word([""])),
        ];
        let done = shape::object(envelope.into_iter().chain(self.answers));
        shape::one_of([done, shape::failure()])
    }
}

/// The parameters of the query that say who calls, and what they are.
const CALLER: [(&str, &str); 3] = [
    ("sdkappid", "The number of the application."),
    ("identifier", "An administrator."),
    (
        "usersig",
        "The UserSig of the administrator, percent-encoded once.",
    ),
];

const ABOUT: &str = "\
Calls of an application's own server. The status is always 200; `ActionStatus` and `ErrorCode` say what came of a call. \
A field that is `null` counts as missing, and unknown fields have no effect. A body has at most 128 KiB.";

const TAGS: [(&str, &str); 5] = [
    ("im_open_login_svc", "Accounts."),
    ("sns", "Friends, and the lists that a user keeps them in."),
    ("openim", "One-to-one messages, and who is online."),
    ("group_open_http_svc", "Groups, their members and messages."),
    ("group_open_attr_http_svc", "Attributes of groups."),
];

/// The whole description.
fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tim")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let paths = COMMANDS.iter().fold(PathsBuilder::new(), |paths, command| {
        let Command { service, name, .. } = command;
        paths.path(format!("{PREFIX}{}/{name}", service.name), path(command))
    });
    let schemas = shape::named().into_iter().chain(elements::named());
    let components = schemas.fold(ComponentsBuilder::new(), |components, (name, shape)| {
        components.schema(name, shape)
    });
    let components = CALLER.iter().fold(components, |components, (name, about)| {
        let key = ApiKeyValue::with_description(*name, *about);
        components.security_scheme(*name, SecurityScheme::ApiKey(ApiKey::Query(key)))
    });
    let none: [&str; 0] = [];
    let security = CALLER
        .iter()
        .fold(SecurityRequirement::default(), |all, (name, _)| {
            all.add(*name, none)
        });
    let tags = TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .security(Some([security]))
        .tags(Some(tags))
        .build()
}

fn path(command: &Command) -> PathItem {
    let description = (command.describe)();
    let summary = description.summary;
    let body = ContentBuilder::new().schema(Some(description.takes.clone()));
    let body = RequestBodyBuilder::new()
        .content("application/json", body.build())
        .required(Some(Required::True));
    let answer = ContentBuilder::new().schema(Some(description.answer())).build();
    let answer = ResponseBuilder::new()
        .description("What came of the call.")
        .content("application/json", answer);
    let ignored = ["random", "contenttype"].map(|name| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(Some("Has no effect."))
            .schema(Some(shape::text()))
            .build()
    });
    let operation = OperationBuilder::new()
        .tag(command.service.name)
        .operation_id(Some(operation_id(command)))
        .summary(Some(summary))
        .parameters(Some(ignored))
        .request_body(Some(body.build()))
        .response("200", answer.build());
    PathItem::new(HttpMethod::Post, operation.build())
}

/// The name of a command among all: those of attributes are in two services.
fn operation_id(command: &Command) -> String {
    let is_first = COMMANDS
        .iter()
        .find(|other| other.name == command.name)
        .is_some_and(|other| other.service == command.service);
    match is_first {
        true => command.name.to_owned(),
        false => format!("{}_of_{}", command.name, command.service.name),
    }
}

/// The description as it is served, with its entity tag.
struct Document {
    text: Bytes,
    tag: String,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let text = document().to_json().unwrap_or_default();
    let tag = format!("\"{:016x}\"", Fingerprint::of(&[text.as_bytes()]).to_bits());
    Document {
        text: text.into(),
        tag,
    }
});

/// The response to a request for the description.
pub(in crate::http) fn respond(method: &Method, asked: &HeaderMap) -> Response<ResponseBody> {
    if ![Method::GET, Method::HEAD].contains(method) {
        return headers::only_read("The description is read with GET.\n");
    }
    let Document { text, tag } = &*DOCUMENT;
    let is_known = headers::matches(asked.get_all(IF_NONE_MATCH), tag);
    let mut response = headers::empty(match is_known {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    });
    headers::set(&mut response, ETAG, tag);
    let lines = response.headers_mut();
    lines.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    if !is_known {
        lines.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = ResponseBody::Text(text.clone());
    }
    response
}
