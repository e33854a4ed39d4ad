//! Answers one request, from whichever thread has the answer.

use std::marker::PhantomData;
use std::sync::Arc;

use tim_proto::message::to_vec;
use tim_proto::request::Request;
use tim_proto::wire::FrameKind;

use super::{Device, Response};
use crate::metrics::Began;
use crate::refusal::Refusal;

/// Answers one request of a device: the response goes into the device's mailbox. The type of the request determines that of
/// the response.
#[derive(Debug)]
pub(crate) struct Responder<R> {
    inner: UntypedResponder,
    endpoint: PhantomData<fn() -> R>,
}

/// A [`Responder`] for a response that is encoded already.
#[derive(Debug, Clone)]
pub(crate) struct UntypedResponder {
    device: Arc<Device>,
    request: u32,
    kind: FrameKind,
    began: Began,
}

impl<R> Clone for Responder<R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            ..*self
        }
    }
}

impl<R: Request> Responder<R> {
    /// For the request with this id, which began then.
    pub(crate) const fn new(device: Arc<Device>, request: u32, began: Began) -> Self {
        Self {
            inner: UntypedResponder {
                device,
                request,
                kind: R::KIND,
                began,
            },
            endpoint: PhantomData,
        }
    }

    /// The device that made the request.
    pub(crate) const fn device(&self) -> &Arc<Device> {
        self.inner.device()
    }

    pub(crate) fn respond(self, response: &R::Response<'_>) {
        self.inner.finish(Ok(to_vec(response)));
    }

    /// Responds with much; `hold` is dropped when the response has left the mailbox.
    pub(crate) fn respond_holding(self, response: &R::Response<'_>, hold: Arc<()>) {
        self.inner.respond(Ok(to_vec(response)), 0, Some(hold));
    }

    /// Responds that this change is stored.
    pub(crate) fn respond_stored(self, response: &R::Response<'_>, change: u64) {
        self.inner.respond(Ok(to_vec(response)), change, None);
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.inner.finish(Err(refusal));
    }

    pub(crate) fn untyped(self) -> UntypedResponder {
        self.inner
    }
}

impl UntypedResponder {
    /// The device that made the request.
    pub(crate) const fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Answers with an encoded response, or refuses the request.
    pub(crate) fn finish(self, result: Result<Vec<u8>, Refusal>) {
        self.respond(result, 0, None);
    }

    fn respond(self, result: Result<Vec<u8>, Refusal>, change: u64, hold: Option<Arc<()>>) {
        self.device.respond(Response {
            request: self.request,
            kind: self.kind,
            began: self.began,
            change,
            result,
            _hold: hold,
        });
    }
}
