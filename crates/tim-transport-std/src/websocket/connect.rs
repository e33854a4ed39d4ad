//! The client's end of the handshake.

use std::future::Future;
use std::io;

use httparse::{Response, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::head::{HeadError, MAX_HEADERS, has_token, read_head, single, values};
use super::{SUBPROTOCOL, WebSocketLink};
use crate::address::{Address, WebSocketAddress};
use crate::connect::Connector;
use crate::forwarded::text;

/// The longest head of a response, and how much of its body is shown.
const MAX_HEAD: usize = 16 * 1024;
const MAX_SHOWN: usize = 200;

/// Opens WebSocket connections over the connections of another connector.
#[derive(Debug, Clone)]
pub struct WebSocketConnector<C> {
    connector: C,
    /// For errors.
    url: Address,
    host: String,
    target: String,
}

impl<C> WebSocketConnector<C> {
    /// A connector for this address. `connector` must lead to its host, with TLS for `wss://`: host and path are what the hub, and a
    /// proxy before it, are told.
    #[must_use]
    pub fn new(connector: C, address: &WebSocketAddress) -> Self {
        let place = address.host_port().to_string();
        let default_port = if address.is_tls() { ":443" } else { ":80" };
        let host = place.strip_suffix(default_port).unwrap_or(&place);
        Self {
            connector,
            host: host.to_owned(),
            target: address.path().to_owned(),
            url: Address::WebSocket(address.clone()),
        }
    }
}

impl<C: Connector> Connector for WebSocketConnector<C> {
    type Link = WebSocketLink<C::Link>;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let connecting = self.connector.connect();
        let key = generate_key();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
            self.target, self.host,
        );
        let (url, accept_key) = (self.url.clone(), derive_accept_key(key.as_bytes()));
        async move {
            let mut stream = connecting.await?;
            match shake_hands(&mut stream, &request, &accept_key).await {
                Ok(behind) => Ok(WebSocketLink::of_client(stream, behind).await),
                Err(Fault::Io(error)) => Err(error),
                Err(Fault::Response(fault)) => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{url} is not the WebSocket of a hub: {fault}"),
                )),
            }
        }
    }
}

enum Fault {
    Io(io::Error),
    Response(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<&str> for Fault {
    fn from(fault: &str) -> Self {
        Self::Response(fault.to_owned())
    }
}

/// Makes the request and checks the response. Returns what arrived behind it.
async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
    accept_key: &str,
) -> Result<Vec<u8>, Fault> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let read = read_head(stream, MAX_HEAD, |first| first == b'H').await;
    let (head, behind) = read.map_err(|error| match error {
        HeadError::Io(error) => Fault::Io(error),
        HeadError::TooLong => "the head of its response is too long".into(),
        HeadError::NotHttp => "it does not speak HTTP".into(),
    })?;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    if !matches!(response.parse(&head), Ok(Status::Complete(_))) {
        return Err("its response is malformed".into());
    }
    let headers = &*response.headers;
    if response.code != Some(101) {
        let (code, reason) = (
            response.code.unwrap_or_default(),
            response.reason.unwrap_or_default(),
        );
        let is_text = values(headers, "content-type")
            .filter_map(text)
            .any(|kind| kind.starts_with("text/plain"));
        let body = match is_text {
            true => first_line(stream, behind).await,
            false => String::new(),
        };
        let colon = if body.is_empty() { "" } else { ": " };
        return Err(Fault::Response(format!(
            "it responds {code} {}{colon}{body}",
            shown(reason)
        )));
    }
    if !has_token(headers, "upgrade", "websocket")
        || !has_token(headers, "connection", "upgrade")
        || single(headers, "sec-websocket-accept") != Ok(Some(accept_key))
    {
        return Err("its response is malformed".into());
    }
    if single(headers, "sec-websocket-protocol") != Ok(Some(SUBPROTOCOL)) {
        return Err("it does not choose the subprotocol tim.v1".into());
    }
    if values(headers, "sec-websocket-extensions").next().is_some() {
        return Err("it chooses an extension that was not offered".into());
    }
    Ok(behind)
}

/// The first line of a body of text; what there is of it.
async fn first_line(stream: &mut (impl AsyncRead + Unpin), mut body: Vec<u8>) -> String {
    let rest = MAX_SHOWN.saturating_sub(body.len()) as u64;
    let mut stream = stream.take(rest);
    while !body.contains(&b'\n') {
        match stream.read_buf(&mut body).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    let body = String::from_utf8_lossy(&body);
    shown(body.lines().next().unwrap_or_default())
}

/// Text of the other end that can be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}
