//! Connections by HTTP/1.1 to one server, which are kept for the next request.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::{Whole, read};
use super::place::Connecting;
use crate::threads::lock;

/// How much of an answer that nobody reads is read to keep its connection, and for how long.
const MAX_UNREAD: usize = 4 * 1024;
const UNREAD_TIME: Duration = Duration::from_millis(500);
/// How many connections are kept without a request, and for how long.
const MAX_IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(15);

/// How an answer begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// What the header of this name says, if it says it in seconds.
    pub(crate) retry_after: Option<Duration>,
}

impl Head {
    pub(super) fn of(response: &Response<Incoming>) -> Self {
        let seconds = response.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self {
            status: response.status(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

/// The connections to one server.
pub(super) struct Pool {
    connecting: Connecting,
    /// The one used last at the end.
    idle: Mutex<Vec<(Instant, SendRequest<Whole>)>>,
}

/// A connection whose answer is being read.
pub(super) struct Busy(SendRequest<Whole>);

impl Pool {
    pub(super) fn new(connecting: Connecting) -> Self {
        Self {
            connecting,
            idle: Mutex::default(),
        }
    }

    pub(super) async fn send(&self, request: Request<Whole>) -> Result<(Busy, Response<Incoming>), String> {
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await;
        Ok((Busy(connection), response.map_err(|error| error.to_string())?))
    }

    /// Sends a request of whose answer only the head counts. If more comes than is read, or too slowly, the connection is closed.
    pub(super) async fn send_for_head(&self, request: Request<Whole>) -> Result<Head, String> {
        let (connection, response) = self.send(request).await?;
        let head = Head::of(&response);
        let reading = read(response.into_body(), MAX_UNREAD);
        if let Ok(Ok(_)) = tokio::time::timeout(UNREAD_TIME, reading).await {
            self.keep(connection);
        }
        Ok(head)
    }

    /// Sends a request, and reads an answer of at most so many bytes.
    pub(super) async fn ask(&self, request: Request<Whole>, most: usize) -> Result<(Head, Bytes), String> {
        let (connection, response) = self.send(request).await?;
        let answer = (Head::of(&response), read(response.into_body(), most).await?);
        self.keep(connection);
        Ok(answer)
    }

    /// A connection without a request.
    async fn connection(&self) -> Result<SendRequest<Whole>, String> {
        while let Some((since, mut connection)) = self.take_idle() {
            if since.elapsed() < IDLE_TIME && connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        self.connect().await.map_err(|error| error.to_string())
    }

    fn take_idle(&self) -> Option<(Instant, SendRequest<Whole>)> {
        lock(&self.idle).pop()
    }

    fn keep(&self, Busy(connection): Busy) {
        let mut idle = lock(&self.idle);
        idle.retain(|(since, connection)| since.elapsed() < IDLE_TIME && !connection.is_closed());
        if idle.len() < MAX_IDLE && !connection.is_closed() {
            idle.push((Instant::now(), connection));
        }
    }

    async fn connect(&self) -> std::io::Result<SendRequest<Whole>> {
        let link = self.connecting.connect().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(link))
            .await
            .map_err(std::io::Error::other)?;
        // It ends when the sender is dropped, or the server closes it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
