//! Tracing: a span for the client, one for each connection and one for each request. No field carries the content of a
//! message or a UserSig.

use tim_proto::UserId;
use tim_proto::wire::FrameKind;
use tim_transport_std::session::{Instant, NetState, RequestId};
use tracing::Span;

use crate::ImError;

/// The span of the client's task.
pub(crate) fn client_span(user: &UserId, device: u64) -> Span {
    tracing::info_span!("client", %user, device)
}

/// The span of the current connection.
pub(crate) struct ConnectionTrace {
    span: Span,
    connections: u64,
}

impl ConnectionTrace {
    pub(crate) fn new() -> Self {
        Self {
            span: Span::none(),
            connections: 0,
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The connection state has changed.
    pub(crate) fn changed(&mut self, state: NetState) {
        if state == NetState::Connecting {
            self.connections += 1;
            self.span = tracing::info_span!("connection", number = self.connections);
        }
        self.span
            .in_scope(|| tracing::info!(?state, "connection state changed"));
    }
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
