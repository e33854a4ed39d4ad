//! An HTTP/2 client for one server: one connection, with a stream for each request.
//!
//! The caller limits the time. A request that is dropped before its answer is there takes the connection out of use: the next one opens
//! another, and those that are under way end on the old one.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tim_transport_std::tls::{ClientTls, TlsProtocol};

use super::AGENT;
use super::body::{Whole, read};
use super::place::{Connecting, Place};
use super::pool::Head;
use crate::threads::lock;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024;
/// How often it is asked whether the server is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIME: Duration = Duration::from_secs(20);

/// A client for one server.
pub(crate) struct Http2Client {
    place: Place,
    connecting: Connecting,
    current: Mutex<Current>,
    /// One at a time opens a connection, and the others wait for it.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    /// Counts the connections.
    number: u64,
    sender: Option<SendRequest<Whole>>,
}

/// Takes the connection out of use, unless the request is answered.
struct Asking<'a> {
    client: &'a Http2Client,
    number: u64,
    is_answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut current = lock(&self.client.current);
        if !self.is_answered && current.number == self.number {
            current.sender = None;
        }
    }
}

impl Http2Client {
    /// A client for the server of this URL, whose path stands before that of each request. Without TLS it speaks HTTP/2 from the first byte.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn new(url: &str, tls: &ClientTls) -> Result<Self, String> {
        let place = Place::parse(url)?;
        Ok(Self {
            connecting: place.connecting(tls, TlsProtocol::Http2)?,
            place,
            current: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        })
    }

    /// Posts a body to a path, and reads the answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<(Head, Bytes), String> {
        let scheme = if self.place.is_tls { "https" } else { "http" };
        let prefix = self.place.path.trim_end_matches('/');
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{scheme}://{}{prefix}{path}", self.place.authority))
            .header(USER_AGENT, AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Whole(Some(body)))
            .map_err(|error| error.to_string())?;
        let (number, mut sender) = self.sender().await?;
        let mut asking = Asking {
            client: self,
            number,
            is_answered: false,
        };
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let answer = (Head::of(&response), read(response.into_body(), MAX_ANSWER).await?);
        asking.is_answered = true;
        Ok(answer)
    }

    async fn sender(&self) -> Result<(u64, SendRequest<Whole>), String> {
        if let Some(usable) = self.usable() {
            return Ok(usable);
        }
        let _one = self.opening.lock().await;
        if let Some(usable) = self.usable() {
            return Ok(usable);
        }
        let link = self
            .connecting
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIME)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(link))
            .await
            .map_err(|error| error.to_string())?;
        // It ends when no sender is left, or the server closes it.
        tokio::spawn(async move { drop(connection.await) });
        let mut current = lock(&self.current);
        current.number += 1;
        current.sender = Some(sender.clone());
        Ok((current.number, sender))
    }

    fn usable(&self) -> Option<(u64, SendRequest<Whole>)> {
        let current = lock(&self.current);
        let sender = current.sender.as_ref().filter(|sender| !sender.is_closed())?;
        Some((current.number, sender.clone()))
    }
}
