//! Tracing: a span for the client and one for each request; the driver has one for each connection. No field carries the
//! content of a message or a UserSig.

use tim_proto::UserId;
use tim_proto::wire::FrameKind;
use tim_transport_std::session::{Instant, RequestId};
use tracing::Span;

use crate::ImError;

/// The span of the client's task.
pub(crate) fn client_span(user: &UserId, device: u64) -> Span {
    tracing::info_span!("client", %user, device)
}

/// The span of a request that waits for its response.
pub(crate) struct RequestTrace {
    span: Span,
    sent: Instant,
}

impl RequestTrace {
    pub(crate) fn new(kind: FrameKind, id: RequestId, now: Instant) -> Self {
        let span = tracing::debug_span!("request", %kind, id = id.number());
        span.in_scope(|| tracing::debug!("sent"));
        Self { span, sent: now }
    }

    /// The response has arrived, or the request has failed.
    pub(crate) fn finished(&self, now: Instant, failure: Option<&ImError>) {
        let elapsed = now.since(self.sent);
        self.span.in_scope(|| match failure {
            None => tracing::debug!(?elapsed, "response"),
            Some(error) => {
                tracing::debug!(?elapsed, code = error.code.0, retry_after = ?error.retry_after(), "failed")
            }
        });
    }
}
