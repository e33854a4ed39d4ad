//! The body of ERROR and GOODBYE.

use core::time::Duration;

use crate::ErrorCode;
use crate::wire::wire;

wire! {
    /// ERROR: the request with this id failed. GOODBYE: the connection ends.
    #[derive(Debug)]
    pub struct Failure<'a> {
        /// The code that `IMError` shows.
        pub code: ErrorCode,
        /// After how many milliseconds the request may be repeated, or the connection made again; 0 if unspecified.
        pub retry_after_ms: u32 = 0 => with_retry_after_ms,
        /// A description of the failure; may be empty.
        pub text: &'a str,
    }
}

impl<'a> Failure<'a> {
    /// When the request may be repeated, if the failure says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms as u64)),
        }
    }
}

impl Failure<'static> {
    /// The hub's response cannot be decoded.
    pub const MALFORMED: Self = Self::new(ErrorCode::PROTOCOL_VIOLATION, "the hub's response is malformed");
}
