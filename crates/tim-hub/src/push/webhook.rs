//! A sink that posts notifications to a URL of the application, or of what stands before push services.

use hyper::StatusCode;
use hyper::header::HeaderName;

use super::notification::{Notification, PushError, PushSink, Sending};
use crate::clock::Clock;
use crate::outgoing::{Endpoint, HttpClient};

/// The header with the id of a notification.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Posts each notification to a URL, as JSON. The header `Idempotency-Key` has its id: a receiver that has seen it takes no notice of the
/// second one.
///
/// A status 2xx takes the notification, whatever else is in the answer. 400, 413 and 422 refuse it, and 410 says that there is no such
/// token. After anything else it is sent again, after the time in `Retry-After` if there is one. A server that answers 408, 429 or 5xx
/// to many users in a row, or does not answer, counts as down.
pub struct PushWebhook {
    client: HttpClient,
    clock: Clock,
}

impl PushWebhook {
    /// Posts to this endpoint. The clock is for its signature.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn new(endpoint: Endpoint, clock: Clock) -> Result<Self, String> {
        Ok(Self {
            client: HttpClient::new(endpoint)?,
            clock,
        })
    }
}

impl PushWebhook {
    /// Signs with the token of this endpoint from now on, if it has the same URL.
    pub fn set_token(&self, endpoint: &Endpoint) {
        self.client.set_token(endpoint);
    }
}

impl std::fmt::Debug for PushWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushWebhook").finish_non_exhaustive()
    }
}

impl PushSink for PushWebhook {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(async move {
            let body = notification.to_json().to_string().into();
            let header = (IDEMPOTENCY_KEY, notification.id.as_str());
            let posted = self
                .client
                .post_for_head(header, body, self.clock.wall_ms() / 1000);
            let answer = posted.await.map_err(PushError::unavailable)?;
            match answer.status {
                status if status.is_success() => Ok(()),
                StatusCode::GONE => Err(PushError::TokenUnknown),
                StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY => Err(PushError::Refused(answer.status.to_string())),
                status => {
                    let (what, retry_after) = (format!("it answers {status}"), answer.retry_after);
                    Err(match status {
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                            PushError::Unavailable { what, retry_after }
                        }
                        _ if status.is_server_error() => PushError::Unavailable { what, retry_after },
                        _ => PushError::NotTaken { what, retry_after },
                    })
                }
            }
        })
    }
    fn name(&self) -> &str {
        "webhook"
    }
}
