//! Both ends of WebSocket connections, against each other and against peers that are not tim.

#![cfg(feature = "websocket")]

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tim_testkit::{ScriptedHub, deadline, user};
use tim_transport_std::address::{Address, WebSocketAddress};
use tim_transport_std::session::{ClientConfig, Event};
use tim_transport_std::websocket::{
    AcceptOptions, Accepted, ClientAddress, HandshakeError, WebSocketAcceptor, WebSocketConnector,
    WebSocketLink,
};
use tim_transport_std::{
    ClientBuffers, ClientDriver, Connector, MemoryConnector, MemoryListener, memory_listener,
};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, client::ClientRequestBuilder};

type Link = WebSocketLink<DuplexStream>;

fn acceptor(change: impl FnOnce(&mut AcceptOptions)) -> WebSocketAcceptor {
    deadline();
    let mut options = AcceptOptions::default();
    change(&mut options);
    WebSocketAcceptor::new(options)
}

fn at(url: &str) -> WebSocketAddress {
    match url.parse() {
        Ok(Address::WebSocket(address)) => address,
        other => panic!("{other:?}"),
    }
}

fn connector(url: &str) -> (WebSocketConnector<MemoryConnector>, MemoryListener) {
    let (connector, listener) = memory_listener();
    (WebSocketConnector::new(connector, &at(url)), listener)
}

/// Both ends over a pipe that holds so many bytes.
async fn ends(len: usize) -> (Link, Link) {
    struct Pipe(Option<DuplexStream>);
    impl Connector for Pipe {
        type Link = DuplexStream;
        fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
            let stream = self.0.take();
            async move { stream.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()) }
        }
    }
    let (here, there) = duplex(len);
    let mut connector = WebSocketConnector::new(Pipe(Some(here)), &at("ws://hub/"));
    let acceptor = acceptor(|_| {});
    let (client, hub) = tokio::join!(connector.connect(), acceptor.accept(there, None));
    (client.unwrap(), hub.unwrap().link)
}

/// A client that is not tim's, behind the handshake, and the hub's end.
async fn stranger() -> (WebSocketStream<DuplexStream>, Link) {
    let (here, there) = duplex(64 * 1024);
    let request = ClientRequestBuilder::new("ws://hub/".parse().unwrap()).with_sub_protocol("tim.v1");
    let acceptor = acceptor(|_| {});
    let (client, hub) = tokio::join!(
        tokio_tungstenite::client_async(request, here),
        acceptor.accept(there, None)
    );
    (client.unwrap().0, hub.unwrap().link)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_the_end_behind_them() {
    for len in [1, 7, 64 * 1024] {
        let (mut client, mut hub) = ends(len).await;
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        for up in [true, false] {
            let (from, to) = if up {
                (&mut client, &mut hub)
            } else {
                (&mut hub, &mut client)
            };
            let mut read = vec![0; bytes.len()];
            let send = async {
                from.write_all(&bytes).await?;
                from.flush().await
            };
            tokio::try_join!(send, to.read_exact(&mut read)).unwrap();
            assert_eq!(read, bytes);
        }
        if len < 64 {
            continue; // neither end reads below before it has written
        }
        // What the hub sends before it learns of the end arrives.
        hub.write_all(b"last").await.unwrap();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let close = async {
            client.write_all(b"first").await?;
            client.shutdown().await?;
            client.read_to_end(&mut down).await
        };
        tokio::try_join!(close, async {
            hub.flush().await?;
            hub.read_to_end(&mut up).await
        })
        .unwrap();
        assert_eq!((&up[..], &down[..]), (&b"first"[..], &b"last"[..]));
        let late = hub.write_all(b"late").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_logs_in_and_out() {
    let (connector, mut listener) = connector("wss://hub.example.org/tim?x=y");
    let acceptor = acceptor(|options| options.path = Some("/tim".to_owned()));
    let config = ClientConfig::new(1, user("alice"), 7);
    let mut driver = ClientDriver::new(config, "sig".into(), ClientBuffers::default(), 1, connector);
    let now = driver.now();
    driver.session().login(now);
    let serve = async {
        let stream = listener.accept().await.unwrap();
        let mut hub = ScriptedHub::new(acceptor.accept(stream, None).await.unwrap().link);
        hub.let_in().await;
        assert_eq!(hub.next::<()>(|event| panic!("{event:?}")).await, None);
    };
    let talk = async {
        let mut steps = Vec::new();
        while steps.len() < 2 {
            driver.poll_events(|event| {
                match event {
                    Event::Ready => steps.push("ready"),
                    Event::NotReady(_) => steps.push("out"),
                    _ => {}
                }
                ControlFlow::Continue(())
            });
            if steps == ["ready"] {
                let now = driver.now();
                driver.session().logout(now);
            }
            if steps.len() < 2 {
                driver.progress().await;
            }
        }
        drop(driver);
    };
    tokio::join!(serve, talk);
}

#[tokio::test]
async fn a_ping_is_answered_and_fragments_are_joined() {
    let (mut client, mut hub) = stranger().await;
    client
        .send(Message::Binary(b"one".as_slice().into()))
        .await
        .unwrap();
    client
        .send(Message::Ping(b"alive?".as_slice().into()))
        .await
        .unwrap();
    client.send(Message::Binary(b"".as_slice().into())).await.unwrap();
    client.send(Message::Pong(b"".as_slice().into())).await.unwrap();
    client
        .send(Message::Binary(b"two".as_slice().into()))
        .await
        .unwrap();
    let mut read = [0; 6];
    hub.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"onetwo");
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Pong(b"alive?".as_slice().into())
    );
    hub.write_all(b"three").await.unwrap();
    hub.flush().await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Binary(b"three".as_slice().into())
    );
    // A close is answered.
    client.close(None).await.unwrap();
    assert_eq!(hub.read(&mut read).await.unwrap(), 0);
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
    drop(hub);
    assert!(client.next().await.is_none());
}

/// A peer that sends nothing but PINGs, and reads nothing, is no reason to hold ever more responses.
#[tokio::test(start_paused = true)]
async fn pings_without_end_take_no_memory_and_lose_no_bytes() {
    let (here, there) = duplex(1024);
    let request = ClientRequestBuilder::new("ws://hub/".parse().unwrap()).with_sub_protocol("tim.v1");
    let acceptor = acceptor(|_| {});
    let (client, hub) = tokio::join!(
        tokio_tungstenite::client_async(request, here),
        acceptor.accept(there, None)
    );
    let (mut client, mut hub) = (client.unwrap().0, hub.unwrap().link);
    // Something waits to be sent, so that the responses cannot be.
    let held = vec![7; 3000];
    hub.write_all(&held).await.unwrap();
    let ping = Message::Ping(vec![1; 125].into());
    let mut byte = [0];
    for _ in 0..2000 {
        client.feed(ping.clone()).await.unwrap();
        tokio::join!(async { client.flush().await.unwrap() }, async {
            assert!(
                tokio::time::timeout(Duration::ZERO, hub.read(&mut byte))
                    .await
                    .is_err()
            )
        });
    }
    let more = vec![8; 30_000];
    let (mut arrived, mut pongs) = (Vec::new(), 0);
    tokio::join!(
        async {
            hub.write_all(&more).await.unwrap();
            hub.shutdown().await.unwrap();
        },
        async {
            while let Some(Ok(message)) = client.next().await {
                match message {
                    Message::Binary(bytes) => arrived.extend(bytes),
                    Message::Pong(_) => pongs += 1,
                    Message::Close(_) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
    );
    assert_eq!(arrived, [held, more].concat());
    assert!((1..200).contains(&pongs), "{pongs} responses were held");
}

/// A client that has always sent more than is read, of a message that never ends.
struct Endless {
    request: &'static [u8],
    /// Behind the request.
    taken: usize,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const BEGIN: &[u8] = &[0x02, 0x80, 0, 0, 0, 0];
        const CONTINUE: &[u8] = &[0, 0x80, 0, 0, 0, 0];
        if self.taken > 4 << 20 {
            return Poll::Pending;
        }
        while buffer.remaining() > 0 {
            let (bytes, at) = match self.request {
                [] if self.taken < BEGIN.len() => (BEGIN, self.taken),
                [] => (CONTINUE, self.taken % CONTINUE.len()),
                request => (request, 0),
            };
            let len = buffer.remaining().min(bytes.len() - at);
            buffer.put_slice(&bytes[at..at + len]);
            match self.request {
                [] => self.taken += len,
                request => {
                    self.request = &request[len..];
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// They are no bytes to read, and no message that would be counted.
#[tokio::test]
async fn fragments_without_bytes_give_others_their_turn() {
    let client = Endless {
        request: GOOD.as_bytes(),
        taken: 0,
    };
    let mut hub = acceptor(|_| {}).accept(client, None).await.unwrap().link;
    let mut byte = [0];
    let mut read = pin!(hub.read(&mut byte));
    let is_woken = Arc::new(Woken::default());
    let waker = Arc::clone(&is_woken).into();
    for _ in 0..10 {
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(is_woken.0.swap(false, Ordering::Relaxed), "it goes on by itself");
    }
    let taken = hub.get_ref().taken;
    assert!(
        (10 << 12..10 << 16).contains(&taken),
        "{taken} bytes in ten turns"
    );
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn what_is_no_binary_message_ends_the_connection_with_a_reason() {
    for (message, code) in [
        (Message::Text("hello".into()), CloseCode::Unsupported),
        (Message::Binary(vec![0; 64 * 1024 + 1].into()), CloseCode::Size),
    ] {
        let (mut client, mut hub) = stranger().await;
        let (sent, read) = tokio::join!(client.send(message), hub.read_u8());
        assert!(sent.is_ok());
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
        match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, code),
            other => panic!("{other:?}"),
        }
        // It stays ended.
        assert_eq!(hub.read(&mut [0]).await.unwrap(), 0);
    }
    // The largest frame of tim in one message.
    let (mut client, mut hub) = stranger().await;
    let mut read = vec![0; 64 * 1024];
    let message = Message::Binary(vec![3; read.len()].into());
    let (sent, got) = tokio::join!(client.send(message), hub.read_exact(&mut read));
    assert!(sent.is_ok() && got.is_ok() && read.iter().all(|byte| *byte == 3));
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_the_connection() {
    for (what, frame) in [
        ("unmasked", &[0x82, 1, 7][..]),
        ("reserved bit", &[0xc2, 0x81, 0, 0, 0, 0, 7]),
        ("continues nothing", &[0x80, 0x81, 0, 0, 0, 0, 7]),
        (
            "announces 16 GiB",
            &[0x82, 0xff, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let (client, mut hub) = stranger().await;
        let mut raw = client.into_inner();
        raw.write_all(frame).await.unwrap();
        assert_eq!(
            hub.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::InvalidData,
            "{what}"
        );
        // The client is told with a close frame.
        assert_eq!(raw.read_u8().await.unwrap(), 0x88, "{what}");
    }
}

const GOOD: &str = "GET /tim HTTP/1.1\r\nHost: hub\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: chat, tim.v1\r\n\r\n";

/// The whole response to a request, and what became of it at the hub.
async fn ask(
    acceptor: &WebSocketAcceptor,
    request: &str,
    peer: Option<IpAddr>,
) -> (String, Result<Accepted<DuplexStream>, HandshakeError>) {
    let (mut here, there) = duplex(256 * 1024);
    here.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let (accepted, ()) = tokio::join!(acceptor.accept(there, peer), async {
        while !response.ends_with(b"\r\n\r\n") && here.read_buf(&mut response).await.unwrap() > 0 {}
        if !response.starts_with(b"HTTP/1.1 101") {
            here.read_to_end(&mut response).await.unwrap();
        }
    });
    (String::from_utf8(response).unwrap(), accepted)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_none_for_this_is_told_why() {
    let acceptor = acceptor(|options| options.path = Some("/tim".to_owned()));
    let (response, accepted) = ask(&acceptor, GOOD, None).await;
    assert!(accepted.is_ok());
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    // The example of the RFC.
    assert!(
        response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{response}"
    );
    assert!(
        response.contains("Sec-WebSocket-Protocol: tim.v1\r\n"),
        "{response}"
    );
    for (was, is, status) in [
        ("GET /tim", "GET /", "404 Not Found"),
        ("GET /tim", "GET /timber", "404 Not Found"),
        ("GET /tim", "GET http://hub/tim", "404 Not Found"),
        ("GET /tim", "POST /tim", "405 Method Not Allowed"),
        ("HTTP/1.1", "HTTP/1.0", "400 Bad Request"),
        ("HTTP/1.1", "HTTP/2", "400 Bad Request"),
        ("Host: hub\r\n", "", "400 Bad Request"),
        ("Host: hub\r\n", "Host: hub\r\nHost: other\r\n", "400 Bad Request"),
        (
            "Host: hub\r\n",
            "Host: hub\r\nContent-Length: 3\r\n",
            "400 Bad Request",
        ),
        (
            "Host: hub\r\n",
            "Host: hub\r\nTransfer-Encoding: chunked\r\n",
            "400 Bad Request",
        ),
        ("Host: hub\r\n", "Host hub\r\n", "400 Bad Request"),
        ("Upgrade: WebSocket\r\n", "", "426 Upgrade Required"),
        ("Upgrade: WebSocket", "Upgrade: h2c", "426 Upgrade Required"),
        ("keep-alive, Upgrade", "keep-alive", "426 Upgrade Required"),
        ("Version: 13", "Version: 8", "426 Upgrade Required"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400 Bad Request"),
        (
            "dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25!ZQ==",
            "400 Bad Request",
        ),
        ("chat, tim.v1", "chat, tim.v2", "400 Bad Request"),
        ("Sec-WebSocket-Protocol: chat, tim.v1\r\n", "", "400 Bad Request"),
        ("GET /tim", "\x16\x03\x01", "400 Bad Request"),
        ("GET /tim", "tim\x1a", "400 Bad Request"),
    ] {
        let request = GOOD.replacen(was, is, 1);
        assert_ne!(request, GOOD);
        let (response, accepted) = ask(&acceptor, &request, None).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{is}: {response}"
        );
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{response}"
        );
        assert!(!body.contains("hub\r") && body.ends_with('\n'), "{response}");
        assert_eq!(
            head.contains("\r\nUpgrade: websocket"),
            status.starts_with("426"),
            "{response}"
        );
        match accepted {
            Err(HandshakeError::Refused { status: code, .. }) => {
                assert!(status.starts_with(&code.to_string()))
            }
            other => panic!("{is}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_limited_length_and_time() {
    let acceptor = acceptor(|options| options.timeout = Duration::from_secs(3));
    let padded = |len: usize| GOOD.replacen("\r\n", &format!("\r\nX: {}\r\n", "x".repeat(len)), 1);
    let fits = 8 * 1024 - GOOD.len() - "X: \r\n".len();
    assert!(ask(&acceptor, &padded(fits), None).await.1.is_ok());
    for long in [
        padded(fits + 1),
        padded(200_000),
        GOOD.replacen("\r\n", &format!("\r\n{}", "a: b\r\n".repeat(65)), 1),
    ] {
        let (response, _) = ask(&acceptor, &long, None).await;
        assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    }
    // Slow, and silent.
    for part in ["", &GOOD[..GOOD.len() - 1]] {
        let began = tokio::time::Instant::now();
        let (response, accepted) = ask(&acceptor, part, None).await;
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert!(matches!(accepted, Err(HandshakeError::TimedOut)));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    // Gone.
    let (here, there) = duplex(10);
    drop(here);
    assert!(matches!(
        acceptor.accept(there, None).await,
        Err(HandshakeError::Io(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn the_address_of_a_client_is_that_which_its_proxy_names() {
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    let acceptor = acceptor(|options| {
        options.client_address = ClientAddress::XForwardedFor;
        options.trusted_proxies = vec![proxy];
    });
    let through = |header: &str| GOOD.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
    for (header, peer, address) in [
        ("X-Forwarded-For: 192.0.2.7", "10.0.0.1", "192.0.2.7"),
        ("Forwarded: for=192.0.2.7", "10.0.0.1", "10.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7", "203.0.113.9", "203.0.113.9"),
    ] {
        let (_, accepted) = ask(&acceptor, &through(header), Some(peer.parse().unwrap())).await;
        assert_eq!(
            accepted.unwrap().address,
            Some(address.parse().unwrap()),
            "{header}"
        );
    }
    let (response, _) = ask(&acceptor, &through("X-Forwarded-For: somebody"), Some(proxy)).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    let (_, accepted) = ask(&acceptor, &through("X-Forwarded-For: 192.0.2.7"), None).await;
    assert_eq!(accepted.unwrap().address, None);
}

/// What a connector says of a server with this response.
async fn complaint(response: &str) -> String {
    deadline();
    let (mut connector, mut listener) = connector("ws://hub:1/tim");
    let (connected, _stream) = tokio::join!(connector.connect(), async {
        let mut stream = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(response.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    let error = connected.unwrap_err().to_string();
    assert!(
        error.starts_with("ws://hub:1/tim is not the WebSocket of a hub: "),
        "{error}"
    );
    error
}

#[tokio::test]
async fn a_server_that_is_no_hub_is_named_with_its_own_words() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for (response, part) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nOther path.\nMore",
            "404 Not Found: Other path.",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>",
            "502 Bad Gateway",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "302 Found"),
        ("HTTP/1.1 400 Bad\x1b[2J\r\n\r\n", "malformed"),
        ("tim\x1a\x01\x01\x02\x00", "does not speak HTTP"),
        ("HTTP/1.1 101 Switching\r\n\r\n", "malformed"),
        (
            &format!("{upgrade}Sec-WebSocket-Accept: AAAA\r\n\r\n"),
            "malformed",
        ),
        (
            &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000)),
            "too long",
        ),
    ] {
        let error = complaint(response).await;
        assert!(error.contains(part) && !error.contains(['\x1b', '\n']), "{error}");
    }
    // Its end in the handshake is a lost connection.
    let (mut connector, mut listener) = connector("ws://hub/");
    let (connected, ()) = tokio::join!(connector.connect(), async { drop(listener.accept().await) });
    assert!(connected.is_err());
}

#[tokio::test]
async fn a_server_without_the_subprotocol_is_refused() {
    deadline();
    let (mut connector, mut listener) = connector("ws://hub/");
    let (connected, _server) = tokio::join!(connector.connect(), async {
        let stream = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(stream).await.unwrap()
    });
    let error = connected.unwrap_err().to_string();
    assert!(error.contains("subprotocol tim.v1"), "{error}");
}

#[tokio::test]
async fn a_masked_frame_from_the_hub_ends_the_connection() {
    let (mut client, hub) = ends(1024).await;
    let mut wrong = WebSocketStream::from_raw_socket(hub.into_inner(), Role::Client, None).await;
    wrong.send(Message::Binary(b"x".as_slice().into())).await.unwrap();
    assert_eq!(
        client.read_u8().await.unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}
