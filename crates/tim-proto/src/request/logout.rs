//! LOGOUT: ends the session on this connection.

use super::{Done, Request};
use crate::wire::{Encode, FrameKind, Read, Reader, Writer};

/// LOGOUT: ends the session. The hub responds and closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logout;

impl Encode for Logout {
    fn encode(&self, _: &mut Writer<'_>) {}
}

impl<'a> Read<'a> for Logout {
    fn read(_: &mut Reader<'a>) -> Self {
        Self
    }
}

impl Request for Logout {
    const KIND: FrameKind = FrameKind::LOGOUT;
    type Response<'a> = Done;
}
