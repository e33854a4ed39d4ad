//! A request as a hub received it.

use tim_session::proto::request::Request;
use tim_session::proto::wire::{Decode, FrameKind, decode_body};

/// A request, in memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The id that the response must have.
    pub id: u32,
    /// The kind of the frame.
    pub kind: FrameKind,
    /// Its body.
    pub body: Vec<u8>,
}

impl Incoming {
    /// The request.
    ///
    /// # Panics
    /// If it is another one, or malformed.
    #[must_use]
    #[track_caller]
    pub fn request<'a, R: Request + Decode<'a>>(&'a self) -> R {
        assert_eq!(self.kind, R::KIND);
        decode_body(&self.body).expect("a body of this kind")
    }
}
