//! WebSocket connections with an end that sends anything: the handshakes, the header of proxies, and the messages behind them.

use std::future::{Future, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tim_transport_std::websocket::{
    AcceptOptions, ClientAddress, HandshakeError, WebSocketAcceptor, WebSocketConnector,
};
use tim_transport_std::{Address, Connector};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// The first byte chooses options, the rest is what the other end sends. How it is cut into pieces changes nothing.
pub fn websocket(data: &[u8]) {
    let Some((choice, sent)) = data.split_first() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let whole = runtime.block_on(hub(*choice, sent, usize::MAX));
    for piece in [1, 7] {
        assert_eq!(
            runtime.block_on(hub(*choice, sent, piece)),
            whole,
            "in pieces of {piece}"
        );
    }
    runtime.block_on(client(sent));
}

/// What a hub makes of it: the status of its response, the client's address, and what it reads.
async fn hub(choice: u8, sent: &[u8], piece: usize) -> (Option<u16>, Option<IpAddr>, Vec<u8>) {
    let mut options = AcceptOptions::default();
    options.path = (choice & 1 != 0).then(|| "/tim".to_owned());
    options.max_head = 512;
    options.client_address = match choice & 6 {
        0 => ClientAddress::OfConnection,
        2 => ClientAddress::Forwarded,
        _ => ClientAddress::XForwardedFor,
    };
    let is_trusted = choice & 8 != 0;
    if is_trusted {
        options.trusted_proxies = vec![PEER];
    }
    let is_proxied = is_trusted && options.client_address != ClientAddress::OfConnection;
    let written = Arc::default();
    let stream = Pieces::new(sent, piece, &written);
    match WebSocketAcceptor::new(options).accept(stream, Some(PEER)).await {
        Ok(mut accepted) => {
            assert_eq!(status(&written), Some(101));
            assert!(is_proxied || accepted.address == Some(PEER), "nobody is trusted");
            let mut read = Vec::new();
            let end = accepted.link.read_to_end(&mut read).await;
            assert!(read.len() < sent.len(), "{end:?}");
            (Some(101), accepted.address, read)
        }
        Err(HandshakeError::Refused { status: refused, .. }) => {
            assert_eq!(status(&written), Some(refused));
            (Some(refused), None, Vec::new())
        }
        Err(HandshakeError::Io(_)) => {
            assert_eq!(status(&written), None, "who is not answered is not told anything");
            (None, None, Vec::new())
        }
        Err(error) => panic!("{error}"),
    }
}

/// A client does not take for a hub what does not know its key.
async fn client(sent: &[u8]) {
    let Ok(Address::WebSocket(address)) = "ws://hub.example.org/tim".parse() else {
        panic!("an address");
    };
    let mut connector = WebSocketConnector::new(Once(sent.to_vec()), &address);
    assert!(connector.connect().await.is_err());
}

/// The status of the response, whose length must be what it says.
fn status(written: &Mutex<Vec<u8>>) -> Option<u16> {
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    if written.is_empty() {
        return None;
    }
    let written = std::str::from_utf8(&written).expect("text");
    let (head, body) = written.split_once("\r\n\r\n").expect("a head");
    let len = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    assert_eq!(len.map_or(0, |len| len.parse().expect("a length")), body.len());
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    Some(status.expect("a status").parse().expect("a number"))
}

/// A stream from which the bytes arrive in pieces, and then the end.
struct Pieces {
    unread: Vec<u8>,
    piece: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Pieces {
    fn new(bytes: &[u8], piece: usize, written: &Arc<Mutex<Vec<u8>>>) -> Self {
        Self {
            unread: bytes.to_vec(),
            piece,
            written: Arc::clone(written),
        }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = self.unread.len().min(self.piece).min(buffer.remaining());
        buffer.put_slice(&self.unread[..len]);
        self.unread.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // The response to a handshake, not what answers messages.
        if !written.starts_with(b"HTTP/1.1 101") {
            written.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Opens a connection over which these bytes arrive.
struct Once(Vec<u8>);

impl Connector for Once {
    type Link = Pieces;

    fn connect(&mut self) -> impl Future<Output = io::Result<Pieces>> + Send + 'static {
        ready(Ok(Pieces::new(&self.0, 7, &Arc::default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds reach what is behind the handshake.
    #[test]
    fn a_handshake_with_a_message_behind_it_is_granted() {
        let seed = include_bytes!("../corpus/websocket/granted");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let seen = runtime.unwrap().block_on(hub(seed[0], &seed[1..], 1));
        assert_eq!(
            seen,
            (Some(101), Some("192.0.2.7".parse().unwrap()), b"hello".to_vec())
        );
    }
}
