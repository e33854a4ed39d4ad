//! Calls on their way: from a handle to the client's task, into the session, and back with the response.

use std::marker::PhantomData;

use tim_proto::message::to_vec;
use tim_proto::request::{RawResponse, Request};
use tim_proto::wire::{Encode, FrameKind, Writer};
use tokio::sync::oneshot;

use crate::ImError;
use crate::state::State;

/// Where the result of a call goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, ImError>>;

/// An encoded request of type `R`, which determines the type of the response. It does not borrow from the request: an
/// `EncodedRequest<History<'a>>` is an `EncodedRequest<History<'static>>` too.
pub(crate) struct EncodedRequest<R> {
    body: Vec<u8>,
    request: PhantomData<fn(R)>,
}

/// Encodes a request, once.
pub(crate) fn encoded<R: Request>(request: &R) -> EncodedRequest<R> {
    EncodedRequest {
        body: to_vec(request),
        request: PhantomData,
    }
}

/// Writes the bytes as they are.
impl<R> Encode for EncodedRequest<R> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put(&self.body);
    }
}

/// A call as the client's task sees it: it submits the request, has the response processed, and then lets the caller
/// continue.
pub(crate) trait PendingCall: Send {
    fn kind(&self) -> FrameKind;

    fn body(&self) -> &dyn Encode;

    /// Processes the response, or the reason why there is none.
    fn finish(&mut self, state: &mut State, response: Result<RawResponse<'_>, ImError>);

    /// Returns the result to the caller. By now everything that the response has changed is visible.
    fn reply(self: Box<Self>);
}

/// A request whose response `accept` turns into the result.
struct Call<B, A, T, R> {
    body: B,
    accept: Option<A>,
    result: Option<Result<T, ImError>>,
    reply: Reply<T>,
    request: PhantomData<fn(R)>,
}

/// A call with this request body.
pub(crate) fn call<R, T>(
    body: impl Encode + Send + 'static,
    accept: impl FnOnce(&mut State, Result<R::Response<'_>, ImError>) -> Result<T, ImError> + Send + 'static,
    reply: Reply<T>,
) -> Box<dyn PendingCall>
where
    R: Request + 'static,
    T: Send + 'static,
{
    Box::new(Call {
        body,
        accept: Some(accept),
        result: None,
        reply,
        request: PhantomData::<fn(R)>,
    })
}

impl<B, A, T, R> PendingCall for Call<B, A, T, R>
where
    B: Encode + Send,
    A: FnOnce(&mut State, Result<R::Response<'_>, ImError>) -> Result<T, ImError> + Send,
    T: Send,
    R: Request,
{
    fn kind(&self) -> FrameKind {
        R::KIND
    }

    fn body(&self) -> &dyn Encode {
        &self.body
    }

    fn finish(&mut self, state: &mut State, response: Result<RawResponse<'_>, ImError>) {
        if let Some(accept) = self.accept.take() {
            let response = response.and_then(|raw| Ok(raw.decode::<R>()?));
            self.result = Some(accept(state, response));
        }
    }

    fn reply(self: Box<Self>) {
        if let Some(result) = self.result {
            // The caller may have gone.
            let _ = self.reply.send(result);
        }
    }
}
