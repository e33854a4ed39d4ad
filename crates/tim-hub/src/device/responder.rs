//! Answers one request, from whichever thread has the answer.

use std::marker::PhantomData;
use std::sync::Arc;

use tim_proto::message::to_vec;
use tim_proto::request::Request;

use super::{Device, Response};
use crate::refusal::Refusal;

/// Answers one request of a device: the response goes into the device's mailbox. The type of the request determines that of
/// the response.
#[derive(Debug)]
pub(crate) struct Responder<R> {
    device: Arc<Device>,
    request: u32,
    endpoint: PhantomData<fn() -> R>,
}

impl<R> Clone for Responder<R> {
    fn clone(&self) -> Self {
        Self {
            device: Arc::clone(&self.device),
            ..*self
        }
    }
}

impl<R: Request> Responder<R> {
    /// For the request with this id.
    pub(crate) const fn new(device: Arc<Device>, request: u32) -> Self {
        Self {
            device,
            request,
            endpoint: PhantomData,
        }
    }

    /// The device that made the request.
    pub(crate) const fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn respond(self, response: &R::Response<'_>) {
        self.finish(Ok(to_vec(response)));
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.finish(Err(refusal));
    }

    fn finish(self, result: Result<Vec<u8>, Refusal>) {
        self.device.respond(Response {
            request: self.request,
            kind: R::KIND,
            result,
        });
    }
}
