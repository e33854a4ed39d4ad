//! What an operator's programs ask for: whether the process lives, whether the hub is ready, and what it has counted.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tokio::sync::Semaphore;

use super::body::ResponseBody;
use super::headers::{self, text};
use crate::metrics;
use crate::service::Services;
use crate::threads::blocking;

/// How long the disk may take before the hub is taken for one that is not ready.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many threads of a listener wait for the disk at a time.
pub(super) const MAX_LOOKS: usize = 2;
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
    looks: &Arc<Semaphore>,
    method: &Method,
    path: &str,
) -> Option<Response<ResponseBody>> {
    let is_metrics = path == "/metrics" && surface == Surface::Operator;
    if !is_metrics && !matches!(path, "/healthz" | "/readyz") {
        return None;
    }
    if ![Method::GET, Method::HEAD].contains(method) {
        return Some(headers::only_read("This is read with GET.\n"));
    }
    Some(match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => ready(services, looks).await,
        _ => numbers(services, looks).await,
    })
}

async fn ready(services: &Arc<Services>, looks: &Arc<Semaphore>) -> Response<ResponseBody> {
    let services = Arc::clone(services);
    let reason = match on_disk(looks, move || metrics::not_ready(&services)).await {
        Some(reason) => reason,
        None => Some("the disk or the database does not respond"),
    };
    match reason {
        None => text(StatusCode::OK, "ready\n"),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn numbers(services: &Arc<Services>, looks: &Arc<Semaphore>) -> Response<ResponseBody> {
    let services = Arc::clone(services);
    let Some(page) = on_disk(looks, move || metrics::report(&services)).await else {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the disk or the database does not respond\n",
        );
    };
    let mut response = text(StatusCode::OK, page);
    let lines = response.headers_mut();
    lines.insert(CONTENT_TYPE, HeaderValue::from_static(METRICS));
    response
}

/// Does this on a thread that may wait for the disk, which the pools of users cannot hold up; `None` if it takes too long.
/// Threads that hang are not more than the looks.
async fn on_disk<T: Send + 'static>(
    looks: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done = async {
        let look = Arc::clone(looks).acquire_owned().await.ok()?;
        let work = move || {
            let done = blocking(work);
            drop(look);
            done
        };
        tokio::task::spawn_blocking(work).await.ok()
    };
    tokio::time::timeout(PATIENCE, done).await.ok()?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_takes_no_more_threads_than_the_looks() {
        let looks = Arc::new(Semaphore::new(1));
        let (release, hangs) = mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let first = on_disk(&looks, move || {
            begun.send(()).unwrap();
            hangs.recv()
        });
        let mut first = std::pin::pin!(first);
        tokio::select! {
            _ = &mut first => panic!("it hangs"),
            begun = has_begun => begun.unwrap(),
        }
        tokio::time::pause();
        let (answer, ran) = (Duration::from_millis(1) + PATIENCE, Arc::new(()));
        let work = Arc::clone(&ran);
        let second = on_disk(&looks, move || drop(work));
        let (first, second, ()) = tokio::join!(first, second, tokio::time::advance(answer));
        assert!(first.is_none() && second.is_none(), "both are told in time");
        assert_eq!(Arc::strong_count(&ran), 1, "the second one was not begun");
        tokio::time::resume();
        release.send(()).unwrap();
        assert_eq!(on_disk(&looks, || 1).await, Some(1), "the disk is back");
    }
}
