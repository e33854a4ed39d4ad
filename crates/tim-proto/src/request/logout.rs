//! LOGOUT: ends the session on this connection.

use super::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// LOGOUT: ends the session. The hub responds and closes the connection.
    #[derive(Debug)]
    pub struct Logout;
}

impl Request for Logout {
    const KIND: FrameKind = FrameKind::LOGOUT;
    type Response<'a> = Done;
}
