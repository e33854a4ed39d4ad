//! Calls on their way: from a handle to the client's task, into the session, and back with the response.

use tim_proto::request::{AnyResponse as Answer, RawResponse};
use tim_transport_std::StdClientSession;
use tim_transport_std::session::{Instant, RequestError, RequestId};
use tokio::sync::oneshot;

use crate::ImError;
use crate::state::State;

/// Where the result of a call goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, ImError>>;

/// A call as the client's task sees it: it submits the request, has the response processed, and then lets the caller
/// continue.
pub(crate) trait PendingCall: Send {
    /// Gives the request to the session. May be repeated while the outbox is full.
    fn submit(&mut self, session: &mut StdClientSession, now: Instant) -> Result<RequestId, RequestError>;

    /// Processes the response, or the reason why there is none.
    fn finish(&mut self, state: &mut State, response: Result<RawResponse<'_>, ImError>);

    /// Returns the result to the caller. By now everything that the response has changed is visible.
    fn reply(self: Box<Self>);
}

/// A call whose request `submit` makes and whose response `accept` turns into the result.
struct Call<S, A, T> {
    submit: S,
    accept: Option<A>,
    result: Option<Result<T, ImError>>,
    reply: Reply<T>,
}

pub(crate) fn call<T: Send + 'static>(
    submit: impl FnMut(&mut StdClientSession, Instant) -> Result<RequestId, RequestError> + Send + 'static,
    accept: impl FnOnce(&mut State, Result<&Answer<'_>, ImError>) -> Result<T, ImError> + Send + 'static,
    reply: Reply<T>,
) -> Box<dyn PendingCall> {
    Box::new(Call {
        submit,
        accept: Some(accept),
        result: None,
        reply,
    })
}

impl<S, A, T: Send> PendingCall for Call<S, A, T>
where
    S: FnMut(&mut StdClientSession, Instant) -> Result<RequestId, RequestError> + Send,
    A: FnOnce(&mut State, Result<&Answer<'_>, ImError>) -> Result<T, ImError> + Send,
{
    fn submit(&mut self, session: &mut StdClientSession, now: Instant) -> Result<RequestId, RequestError> {
        (self.submit)(session, now)
    }

    fn finish(&mut self, state: &mut State, response: Result<RawResponse<'_>, ImError>) {
        let answer = response.and_then(|raw| Ok(raw.decode_any()?));
        if let Some(accept) = self.accept.take() {
            self.result = Some(accept(state, answer.as_ref().map_err(Clone::clone)));
        }
    }

    fn reply(self: Box<Self>) {
        if let Some(result) = self.result {
            // The caller may have gone.
            let _ = self.reply.send(result);
        }
    }
}
