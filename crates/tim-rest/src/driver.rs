//! What makes requests: HTTP, time and random numbers, behind a trait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::TransportError;

/// What a [`Driver`] is doing.
pub type Posting<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send + 'a>>;

/// A [`Driver`] waiting.
pub type Sleeping<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// An HTTP client, with a clock and random numbers. The feature `hyper` has one; with this trait any other will do.
pub trait Driver: Send + Sync {
    /// Posts the body to the URL. It limits the time, and the answer to [`MAX_ANSWER`](crate::MAX_ANSWER) bytes; it follows no redirects,
    /// and repeats nothing that may have arrived. Errors must not contain the URL, which has an administrator's UserSig in it.
    fn post(&self, post: HttpRequest) -> Posting<'_>;

    /// Waits before a call is repeated.
    fn sleep(&self, time: Duration) -> Sleeping<'_>;

    /// What time it is, in Unix seconds.
    fn unix_seconds(&self) -> u64;

    /// A random number.
    fn random(&self) -> u32;
}

/// A request to post. Its URL is as secret as a password: it contains the administrator's UserSig.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// `http://` or `https://`, with host, path and query.
    pub url: String,
    /// JSON.
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub(crate) const fn new(url: String, body: Vec<u8>) -> Self {
        Self { url, body }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without_query = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("HttpRequest")
            .field("url", &without_query)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// What the server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status; the service always answers 200.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// An answer.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, body }
    }
}
