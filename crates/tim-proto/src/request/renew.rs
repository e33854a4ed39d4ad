//! RENEW: extends the session with a newer UserSig.

use super::Request;
use crate::wire::{FrameKind, wire};

wire! {
    /// RENEW: extends the session with a newer UserSig.
    pub struct Renew<'a> {
        /// The new UserSig.
        pub user_sig: &'a str,
    }
}

impl Request for Renew<'_> {
    const KIND: FrameKind = FrameKind::RENEW;
    type Response<'a> = RenewResponse;
}

impl core::fmt::Debug for Renew<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The UserSig is a credential and must not reach logs.
        f.debug_struct("Renew").finish_non_exhaustive()
    }
}

wire! {
    /// Response to [`Renew`].
    #[derive(Debug)]
    pub struct RenewResponse {
        /// When the session now ends, Unix time in seconds.
        pub expires: u64,
    }
}
