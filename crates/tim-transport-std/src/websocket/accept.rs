//! The hub's end of the handshake. A request that is not for a WebSocket of tim gets a response that says what is wrong.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use httparse::{Header, Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::head::{HeadError, MAX_HEADERS, has_token, read_head, single, tokens, values};
use super::{ClientAddress, SUBPROTOCOL, WebSocketLink};
use crate::forwarded::text;

/// How long a client that was refused has to read why, and how much more is read from it meanwhile.
const LINGER: Duration = Duration::from_secs(1);
const MAX_DRAINED: u64 = 64 * 1024;

/// What a [`WebSocketAcceptor`] accepts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcceptOptions {
    /// The path that is served; any other path is not found. `None` serves all paths. Default `None`.
    pub path: Option<String>,
    /// How long a handshake may take. Default 10 s.
    pub timeout: Duration,
    /// The longest head of a request, in bytes. Default 8 KiB.
    pub max_head: usize,
    /// The header in which trusted proxies name the client. Default: none.
    pub client_address: ClientAddress,
    /// The addresses of the proxies whose header is believed. Default: none.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            path: None,
            timeout: Duration::from_secs(10),
            max_head: 8 * 1024,
            client_address: ClientAddress::OfConnection,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Makes the hub's end of WebSocket connections over byte streams.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tim_transport_std::websocket::{AcceptOptions, WebSocketAcceptor, WebSocketConnector};
/// use tim_transport_std::{Address, Connector, memory_listener};
///
/// let (connector, mut listener) = memory_listener();
/// let Address::WebSocket(address) = "ws://hub.example.org/tim".parse()? else { panic!() };
/// let mut connector = WebSocketConnector::new(connector, &address);
/// let mut options = AcceptOptions::default();
/// options.path = Some("/tim".to_owned());
/// let acceptor = WebSocketAcceptor::new(options);
/// let hub = async {
///     let stream = listener.accept().await.ok_or(std::io::ErrorKind::BrokenPipe)?;
///     acceptor.accept(stream, None).await.map_err(std::io::Error::other)
/// };
/// let (client, hub) = tokio::try_join!(connector.connect(), hub)?;
/// # drop((client, hub));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebSocketAcceptor {
    options: Arc<AcceptOptions>,
}

/// A connection whose handshake is complete.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<S> {
    /// The connection.
    pub link: WebSocketLink<S>,
    /// The client's address: that of the connection, or the one that a trusted proxy named.
    pub address: Option<IpAddr>,
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The stream's error, or its end.
    Io(io::Error),
    /// The handshake took too long.
    TimedOut,
    /// The request was refused, with this status and text.
    Refused {
        /// The status of the response.
        status: u16,
        /// The text of the response.
        text: &'static str,
    },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the connection was lost in the WebSocket handshake: {error}"),
            Self::TimedOut => f.write_str("the WebSocket handshake took too long"),
            Self::Refused { status, text } => {
                write!(f, "a request for a WebSocket was refused with {status}: {text}")
            }
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Io(error) => error,
            HandshakeError::TimedOut => Self::new(io::ErrorKind::TimedOut, error),
            HandshakeError::Refused { .. } => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl WebSocketAcceptor {
    /// An acceptor with these options.
    #[must_use]
    pub fn new(options: AcceptOptions) -> Self {
        let options = Arc::new(options);
        Self { options }
    }

    /// Makes the handshake on a stream that comes from `peer`. The future can be dropped: then the connection is.
    ///
    /// # Errors
    /// [`HandshakeError`]. A client that sent an HTTP request was told why.
    pub fn accept<S>(
        &self,
        mut stream: S,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = Result<Accepted<S>, HandshakeError>> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let options = Arc::clone(&self.options);
        async move {
            let request = tokio::time::timeout(options.timeout, read(&mut stream, &options, peer)).await;
            let request = match request {
                Ok(Ok(request)) => request,
                Ok(Err(Refusal::Io(error))) => return Err(HandshakeError::Io(error)),
                Ok(Err(Refusal::Response(response))) => {
                    refuse(&mut stream, response).await;
                    let Response { status, text, .. } = response;
                    return Err(HandshakeError::Refused { status, text });
                }
                Err(_) => {
                    refuse(&mut stream, TIMED_OUT).await;
                    return Err(HandshakeError::TimedOut);
                }
            };
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
                request.accept_key
            );
            let sent = tokio::time::timeout(options.timeout, async {
                stream.write_all(answer.as_bytes()).await?;
                stream.flush().await
            });
            match sent.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(HandshakeError::Io(error)),
                Err(_) => return Err(HandshakeError::TimedOut),
            }
            Ok(Accepted {
                link: WebSocketLink::of_hub(stream, request.behind).await,
                address: request.address,
            })
        }
    }
}

/// A request for a WebSocket that can be granted.
struct Granted {
    accept_key: String,
    address: Option<IpAddr>,
    behind: Vec<u8>,
}

/// A response that refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Response {
    status: u16,
    name: &'static str,
    /// More lines of the head.
    headers: &'static str,
    text: &'static str,
}

enum Refusal {
    Io(io::Error),
    Response(Response),
}

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

const fn bad(text: &'static str) -> Response {
    Response {
        status: 400,
        name: "Bad Request",
        headers: "",
        text,
    }
}

const NOT_FOUND: Response = Response {
    status: 404,
    name: "Not Found",
    headers: "",
    text: "Not found. The hub has its WebSocket at another path.",
};
const NOT_GET: Response = Response {
    status: 405,
    name: "Method Not Allowed",
    headers: "Allow: GET\r\n",
    text: "A WebSocket is opened with GET.",
};
const TIMED_OUT: Response = Response {
    status: 408,
    name: "Request Timeout",
    headers: "",
    text: "The request took too long.",
};
const NO_UPGRADE: Response = Response {
    status: 426,
    name: "Upgrade Required",
    headers: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    text: "This is a hub of tim: connect with WebSocket, subprotocol tim.v1. A reverse proxy must pass on the headers Upgrade and \
           Connection.",
};
const OTHER_VERSION: Response = Response {
    text: "The hub speaks version 13 of WebSocket.",
    ..NO_UPGRADE
};
const TOO_LONG: Response = Response {
    status: 431,
    name: "Request Header Fields Too Large",
    headers: "",
    text: "The head of the request is too long.",
};

/// Reads and judges a request.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    options: &AcceptOptions,
    peer: Option<IpAddr>,
) -> Result<Granted, Refusal> {
    let read = read_head(stream, options.max_head, |first| first.is_ascii_uppercase()).await;
    let (head, behind) = read.map_err(|error| match error {
        HeadError::Io(error) => Refusal::Io(error),
        HeadError::TooLong => TOO_LONG.into(),
        HeadError::NotHttp => bad("This port speaks WebSocket, over HTTP.").into(),
    })?;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(&head) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LONG.into()),
        Ok(Status::Partial) | Err(_) => return Err(bad("The request is malformed.").into()),
    }
    let accept_key = judge(&request, options.path.as_deref())?;
    let address = match peer {
        Some(peer) => Some(client_address(request.headers, options, peer)?),
        None => None,
    };
    Ok(Granted {
        accept_key,
        address,
        behind,
    })
}

fn client_address(headers: &[Header<'_>], options: &AcceptOptions, peer: IpAddr) -> Result<IpAddr, Response> {
    let name = options.client_address.header().unwrap_or_default();
    let client = options
        .client_address
        .of(values(headers, name), peer, &options.trusted_proxies);
    client.ok_or(bad("The proxy does not name the address of its client."))
}

/// The key with which a request for a WebSocket of tim is granted.
fn judge(request: &Request<'_, '_>, path: Option<&str>) -> Result<String, Response> {
    let headers = &*request.headers;
    let target = request.path.unwrap_or_default();
    let requested = target.split('?').next();
    if path.is_some_and(|path| requested != Some(path)) {
        return Err(NOT_FOUND);
    }
    if request.method != Some("GET") {
        return Err(NOT_GET);
    }
    if request.version != Some(1) || values(headers, "host").count() != 1 {
        return Err(bad("A WebSocket is opened with HTTP/1.1 and one Host."));
    }
    let has_body = values(headers, "transfer-encoding").next().is_some()
        || values(headers, "content-length").any(|len| text(len) != Some("0"));
    if has_body {
        return Err(bad("A request for a WebSocket has no body."));
    }
    if !has_token(headers, "upgrade", "websocket") || !has_token(headers, "connection", "upgrade") {
        return Err(NO_UPGRADE);
    }
    if single(headers, "sec-websocket-version") != Ok(Some("13")) {
        return Err(OTHER_VERSION);
    }
    let key = single(headers, "sec-websocket-key").ok().flatten();
    let key = key
        .filter(|key| is_key(key))
        .ok_or(bad("Sec-WebSocket-Key is missing or wrong."))?;
    let offered = values(headers, "sec-websocket-protocol").filter_map(text);
    if !offered.flat_map(tokens).any(|protocol| protocol == SUBPROTOCOL) {
        return Err(bad("Sec-WebSocket-Protocol must offer tim.v1."));
    }
    Ok(derive_accept_key(key.as_bytes()))
}

/// Whether it is 16 bytes in base64.
fn is_key(key: &str) -> bool {
    let digits = key.strip_suffix("==").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.len() == 22 && digits.bytes().all(is_digit)
}

/// Sends a response, if the client takes it, and closes the connection.
async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), response: Response) {
    let Response {
        status,
        name,
        headers,
        text,
    } = response;
    let upgrade = if status == 426 { "Upgrade, " } else { "" };
    let response = format!(
        "HTTP/1.1 {status} {name}\r\n{headers}Connection: {upgrade}close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    );
    let telling = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // A connection that is dropped with unread bytes is reset, and the response is lost.
        tokio::io::copy(&mut stream.take(MAX_DRAINED), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, telling).await;
}
