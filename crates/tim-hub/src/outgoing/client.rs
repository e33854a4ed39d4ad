//! An HTTP client for one URL. It keeps connections alive, follows no redirects, and reads answers up to a limit.
//!
//! The caller limits the time: the future of a request can be dropped, and its connection goes with it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tim_transport_std::tls::{TlsConnector, TlsProtocol};
use tim_transport_std::{Connector, TcpConnector};
use tokio::time::Instant;

use super::Endpoint;
use crate::threads::lock;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 128 * 1024;
/// How much of an answer that nobody reads is read to keep its connection, and for how long.
const MAX_UNREAD: usize = 4 * 1024;
const UNREAD_TIME: Duration = Duration::from_millis(500);
/// How many connections are kept without a request, and for how long.
const MAX_IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(15);

/// A client for one URL.
pub(crate) struct HttpClient {
    endpoint: Endpoint,
    host: HeaderValue,
    path: String,
    query: String,
    connector: Mutex<AnyConnector>,
    /// The one used last at the end.
    idle: Mutex<Vec<(Instant, SendRequest<Whole>)>>,
}

enum AnyConnector {
    Plain(TcpConnector),
    Tls(TlsConnector<TcpConnector>),
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// How an answer begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// What the header of this name says, if it says it in seconds.
    pub(crate) retry_after: Option<Duration>,
}

impl HttpClient {
    /// A client for this endpoint.
    ///
    /// # Errors
    /// What is wrong with its URL.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("this is no URL to send requests to, {what}: write http://HOST/PATH or https://HOST/PATH")
        };
        let uri: Uri = endpoint
            .url
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| wrong(&error.to_string()))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(wrong("its host is missing, or has a user before it"));
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tcp = TcpConnector::new(format!("{}:{port}", authority.host()));
        let connector = match is_tls {
            false => AnyConnector::Plain(tcp),
            true => {
                let name = authority.host().trim_start_matches('[').trim_end_matches(']');
                let tls = TlsConnector::new(tcp, name, &endpoint.tls, TlsProtocol::Http);
                AnyConnector::Tls(tls.map_err(|error| error.to_string())?)
            }
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| wrong(&error.to_string()))?;
        let path = match uri.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let query = uri.query().unwrap_or_default().to_owned();
        Ok(Self {
            endpoint,
            host,
            path,
            query,
            connector: Mutex::new(connector),
            idle: Mutex::default(),
        })
    }

    /// Posts JSON. `query` is added to that of the URL, with the signature behind it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post(&self, query: &str, body: Bytes, unix_seconds: u64) -> Result<Answer, String> {
        let (connection, response) = self.request(query, None, body, unix_seconds).await?;
        let answer = Answer {
            status: response.status(),
            body: read(response.into_body(), MAX_ANSWER).await?,
        };
        self.keep(connection);
        Ok(answer)
    }

    /// Posts JSON, of whose answer only the head counts. If more comes than is read, or too slowly, the connection is closed.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post_for_head(
        &self,
        header: (HeaderName, &str),
        body: Bytes,
        unix_seconds: u64,
    ) -> Result<Head, String> {
        let (connection, response) = self.request("", Some(header), body, unix_seconds).await?;
        let head = Head::of(&response);
        let reading = read(response.into_body(), MAX_UNREAD);
        if let Ok(Ok(_)) = tokio::time::timeout(UNREAD_TIME, reading).await {
            self.keep(connection);
        }
        Ok(head)
    }

    async fn request(
        &self,
        query: &str,
        header: Option<(HeaderName, &str)>,
        body: Bytes,
        unix_seconds: u64,
    ) -> Result<(SendRequest<Whole>, Response<Incoming>), String> {
        let signature = self.endpoint.signature(unix_seconds);
        let parts = [self.query.as_str(), query, &signature];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let target = match parts.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, parts.join("&")),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(HOST, self.host.clone())
            .header(USER_AGENT, concat!("tim/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request
            .body(Whole(Some(body)))
            .map_err(|error| error.to_string())?;
        let mut connection = self.connection().await?;
        let response = connection
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        Ok((connection, response))
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

    fn keep(&self, connection: SendRequest<Whole>) {
        let mut idle = lock(&self.idle);
        idle.retain(|(since, connection)| since.elapsed() < IDLE_TIME && !connection.is_closed());
        if idle.len() < MAX_IDLE && !connection.is_closed() {
            idle.push((Instant::now(), connection));
        }
    }

    async fn connect(&self) -> std::io::Result<SendRequest<Whole>> {
        enum Connecting<P, T> {
            Plain(P),
            Tls(T),
        }
        let connecting = match &mut *lock(&self.connector) {
            AnyConnector::Plain(tcp) => Connecting::Plain(tcp.connect()),
            AnyConnector::Tls(tls) => Connecting::Tls(tls.connect()),
        };
        match connecting {
            Connecting::Plain(link) => begin(link.await?).await,
            Connecting::Tls(link) => begin(link.await?).await,
        }
    }
}

async fn begin<L>(link: L) -> std::io::Result<SendRequest<Whole>>
where
    L: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(link))
        .await
        .map_err(std::io::Error::other)?;
    // It ends when the sender is dropped, or the server closes it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

impl Head {
    fn of(response: &Response<Incoming>) -> Self {
        let seconds = response.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self {
            status: response.status(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

/// Reads an answer of at most so many bytes.
async fn read(mut body: Incoming, most: usize) -> Result<Bytes, String> {
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            if read.len() + data.len() > most {
                return Err(format!("the answer has more than {most} bytes"));
            }
            read.extend_from_slice(data);
        }
    }
    Ok(read.freeze())
}

/// A body that is there as a whole.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
