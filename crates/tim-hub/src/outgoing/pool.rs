//! Connections by HTTP/1.1 to one server, which are kept for the next request.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};
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
use super::{Failed, Fault};
use crate::threads::lock;

/// How much of an answer that nobody reads is read to keep its connection, and for how long.
const MAX_UNREAD: usize = 4 * 1024;
const UNREAD_TIME: Duration = Duration::from_millis(500);
/// How many connections are kept without a request, and for how long. Servers close them, too: those of Node after 5 s, others later.
const MAX_IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(4);

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
    idle: Arc<Mutex<Idle>>,
}

/// Connections without a request.
#[derive(Default)]
struct Idle {
    /// The one used last at the end.
    connections: Vec<(Instant, SendRequest<Whole>)>,
    /// Whether a task closes those that are kept long enough.
    is_watched: bool,
}

/// When a request is made once more on a new connection, if it fails on one that was kept: the server may have closed that a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// If it was certainly not sent.
    IfUnsent,
    /// Also if the connection was closed before there was an answer. The server may have read it then, and reads it twice.
    IfUnanswered,
}

/// How far a request has come, for a caller whose time is over.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

impl Progress {
    const CONNECTING: u8 = 1;
    const CONNECTED: u8 = 2;

    fn set(&self, to: u8) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// What it says of the server that there is no answer now.
    pub(crate) fn fault(&self) -> Fault {
        match self.0.load(Ordering::Relaxed) {
            Self::CONNECTING => Fault::Unreachable,
            _ => Fault::Unanswered,
        }
    }
}

/// A connection whose answer is being read.
pub(super) struct Busy(SendRequest<Whole>);

impl Pool {
    pub(super) fn new(connecting: Connecting) -> Self {
        Self {
            connecting,
            idle: Arc::default(),
        }
    }

    async fn send(
        &self,
        request: Request<Whole>,
        (again, progress): (Again, &Progress),
    ) -> Result<(Busy, Response<Incoming>), Failed> {
        let mut request = request;
        if let Some(mut kept) = self.kept().await {
            progress.set(Progress::CONNECTED);
            let spare = (again == Again::IfUnanswered).then(|| request.clone());
            let mut failure = match kept.try_send_request(request).await {
                Ok(response) => return Ok((Busy(kept), response)),
                Err(failure) => failure,
            };
            let unsent = failure.take_message();
            let error = failure.into_error();
            let spare = spare.filter(|_| is_cut(&error));
            request = unsent.or(spare).ok_or_else(|| Fault::Unanswered.because(error))?;
        }
        progress.set(Progress::CONNECTING);
        let connected = self.connect().await;
        let mut connection = connected.map_err(|error| Fault::Unreachable.because(error))?;
        progress.set(Progress::CONNECTED);
        let response = connection.send_request(request).await;
        let response = response.map_err(|error| Fault::Unanswered.because(error))?;
        Ok((Busy(connection), response))
    }

    /// Sends a request of whose answer only the head counts, maybe twice. If more comes than is read, or too slowly, the connection is
    /// closed.
    pub(super) async fn send_for_head(&self, request: Request<Whole>) -> Result<Head, String> {
        let progress = Progress::default();
        let sent = self.send(request, (Again::IfUnanswered, &progress)).await;
        let (connection, response) = sent?;
        let head = Head::of(&response);
        let reading = read(response.into_body(), MAX_UNREAD);
        if let Ok(Ok(_)) = tokio::time::timeout(UNREAD_TIME, reading).await {
            self.keep(connection);
        }
        Ok(head)
    }

    /// Sends a request, and reads an answer of at most so many bytes.
    pub(super) async fn ask(
        &self,
        request: Request<Whole>,
        most: usize,
        how: (Again, &Progress),
    ) -> Result<(Head, Bytes), Failed> {
        let (connection, response) = self.send(request, how).await?;
        let answer = (Head::of(&response), read(response.into_body(), most).await?);
        self.keep(connection);
        Ok(answer)
    }

    /// A connection that was kept, and is not closed as far as is known.
    async fn kept(&self) -> Option<SendRequest<Whole>> {
        while let Some((since, mut connection)) = self.take_idle() {
            if since.elapsed() < IDLE_TIME && connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
        None
    }

    fn take_idle(&self) -> Option<(Instant, SendRequest<Whole>)> {
        lock(&self.idle).connections.pop()
    }

    fn keep(&self, Busy(connection): Busy) {
        let mut idle = lock(&self.idle);
        if idle.connections.len() >= MAX_IDLE || connection.is_closed() {
            return;
        }
        idle.connections.push((Instant::now(), connection));
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(&self.idle)));
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

/// Closes connections that were kept long enough, until there are none.
async fn close_idle(idle: Weak<Mutex<Idle>>) {
    loop {
        let next = {
            let Some(idle) = idle.upgrade() else { return };
            let mut idle = lock(&idle);
            idle.connections
                .retain(|(since, connection)| since.elapsed() < IDLE_TIME && !connection.is_closed());
            let Some((since, _)) = idle.connections.first() else {
                idle.is_watched = false;
                return;
            };
            *since + IDLE_TIME
        };
        tokio::time::sleep_until(next).await;
    }
}

/// Whether the connection was closed before there was an answer.
fn is_cut(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let is_io = source.is_some_and(|source| source.is::<std::io::Error>());
    is_io || error.is_canceled() || error.is_incomplete_message() || error.is_closed()
}
