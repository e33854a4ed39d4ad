//! Requests and responses that are not decoded yet.

use super::{Failure, Request};
use crate::wire::{Decode, DecodeError, DecodeFault, FrameKind, decode_body};

/// A request of a client, not decoded yet: the hub decodes it where it is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    kind: FrameKind,
    body: &'a [u8],
}

impl<'a> RawRequest<'a> {
    /// The request in a frame of this kind, and its body.
    #[must_use]
    pub const fn new(kind: FrameKind, body: &'a [u8]) -> Self {
        Self { kind, body }
    }

    /// The kind of request.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The encoded body. [`Send::content_bytes`](super::Send::content_bytes) finds the content of a SEND in it.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Decodes the request as an `R`.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is not valid, or if the request is of another kind ([`DecodeFault::Kind`]).
    pub fn decode<R: Request + Decode<'a>>(&self) -> Result<R, DecodeError> {
        if self.kind != R::KIND {
            return Err(DecodeError {
                at: 0,
                fault: DecodeFault::Kind,
            });
        }
        decode_body(self.body)
    }
}

/// A successful response of the hub, not decoded yet.
///
/// The caller decodes it as the response of the request that it made, so a program links only the decoders of the
/// responses that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawResponse<'a> {
    kind: FrameKind,
    body: &'a [u8],
}

impl<'a> RawResponse<'a> {
    /// The response to a request of `kind`, with or without the answer bit, and its body.
    #[must_use]
    pub const fn new(kind: FrameKind, body: &'a [u8]) -> Self {
        Self {
            kind: kind.request(),
            body,
        }
    }

    /// The kind of the request that it belongs to.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The encoded body.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Decodes the response to a request of type `R`.
    ///
    /// ```
    /// use tim_proto::request::{Failure, Fetch, RawResponse, Revoke};
    /// use tim_proto::wire::FrameKind;
    ///
    /// let raw = RawResponse::new(FrameKind::REVOKE, &[5]);
    /// assert_eq!(raw.decode::<Revoke<'_>>().map(|revoked| revoked.sequence), Ok(5));
    /// assert_eq!(raw.decode::<Fetch>(), Err(Failure::MALFORMED)); // the response to another kind of request
    /// ```
    ///
    /// # Errors
    /// [`Failure::MALFORMED`] if the body is not a valid response of that type, or belongs to a request of another kind.
    pub fn decode<R: Request>(&self) -> Result<R::Response<'a>, Failure<'static>> {
        if self.kind != R::KIND {
            return Err(Failure::MALFORMED);
        }
        decode_body(self.body).map_err(|_| Failure::MALFORMED)
    }
}
