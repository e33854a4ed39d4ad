//! What an operator's programs ask for: whether the process lives, whether the hub is ready, and what it has counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::body::ResponseBody;
use super::headers;
use crate::metrics;
use crate::service::Services;
use crate::threads::blocking;

/// How long the disk may take before the hub is taken for one that is not ready.
const PATIENCE: Duration = Duration::from_secs(5);
/// What Prometheus calls its text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which paths a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// Of anybody.
    Public,
    /// Of the operator: metrics, and nothing of users.
    Operator,
}

/// The response to a request for one of these paths; `None` if it is none of them.
pub(super) async fn respond(
    services: &Arc<Services>,
    surface: Surface,
    method: &Method,
    path: &str,
) -> Option<Response<ResponseBody>> {
    let is_metrics = path == "/metrics" && surface == Surface::Operator;
    if !is_metrics && !matches!(path, "/healthz" | "/readyz") {
        return None;
    }
    if ![Method::GET, Method::HEAD].contains(method) {
        let mut response = headers::error(StatusCode::METHOD_NOT_ALLOWED, "This is read with GET.\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return Some(response);
    }
    Some(match path {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => ready(services).await,
        _ => numbers(services).await,
    })
}

async fn ready(services: &Arc<Services>) -> Response<ResponseBody> {
    let services = Arc::clone(services);
    let reason = match on_disk(move || metrics::not_ready(&services)).await {
        Some(reason) => reason,
        None => Some("the disk does not respond"),
    };
    match reason {
        None => text(StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn numbers(services: &Arc<Services>) -> Response<ResponseBody> {
    let services = Arc::clone(services);
    let Some(page) = on_disk(move || metrics::report(&services)).await else {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the disk does not respond\n".to_owned(),
        );
    };
    let mut response = text(StatusCode::OK, page);
    let lines = response.headers_mut();
    lines.insert(CONTENT_TYPE, HeaderValue::from_static(METRICS));
    response
}

/// Does this on a thread that may wait for the disk, which the pools of users cannot hold up; `None` if it takes too long.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(|| blocking(work));
    tokio::time::timeout(PATIENCE, done).await.ok()?.ok()
}

fn text(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = headers::empty(status);
    let lines = response.headers_mut();
    lines.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    lines.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    *response.body_mut() = ResponseBody::Text(Bytes::from(text));
    response
}
