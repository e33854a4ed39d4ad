//! A hub that is reached through WebSocket, over TCP: by a client of tim, and by others that do not get in.

#![cfg(feature = "websocket")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions, Listener, Peer, WebSocketListener};
use tim_session::{ClientConfig, Event};
use tim_testkit::{deadline, user};
use tim_transport_std::address::WebSocketAddress;
use tim_transport_std::websocket::{AcceptOptions, ClientAddress, WebSocketAcceptor, WebSocketConnector};
use tim_transport_std::{ClientBuffers, ClientDriver, Connector, TcpConnector};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

const APP: u32 = 1_400_000_000;

struct Running {
    hub: Arc<Hub>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

fn app() -> App {
    App::new(APP, "0123456789abcdef")
}

fn acceptor() -> WebSocketAcceptor {
    let mut accept = AcceptOptions::default();
    accept.path = Some("/tim".to_owned());
    WebSocketAcceptor::new(accept)
}

async fn hub(max_handshakes: usize) -> Running {
    hub_behind(|tcp| WebSocketListener::new(tcp, acceptor()).with_max_handshakes(max_handshakes)).await
}

/// A hub behind a listener over TCP.
async fn hub_behind<L: Listener + 'static>(over: impl FnOnce(TcpListener) -> L) -> Running {
    deadline();
    let directory = tempfile::tempdir().unwrap();
    let hub = Arc::new(Hub::open(directory.path(), HubOptions::new(app())).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = over(listener);
    let (stop, stopped) = oneshot::channel();
    let serving = Arc::clone(&hub);
    let served = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        serving.serve(listener, stopped).await.unwrap();
    });
    Running {
        hub,
        address,
        stop,
        served,
        _directory: directory,
    }
}

type Driver = ClientDriver<WebSocketConnector<TcpConnector>>;

/// Logs in through WebSocket; the driver, once it is ready.
async fn log_in(address: SocketAddr, name: &str) -> Driver {
    let url = WebSocketAddress::new(false, address.into(), "/tim").unwrap();
    log_in_with(WebSocketConnector::new(TcpConnector::new(address), &url), name).await
}

async fn log_in_with<C: Connector>(connector: C, name: &str) -> ClientDriver<C> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sig = UserSig::sign(&app(), &user(name), now, 3600);
    let config = ClientConfig::new(APP, user(name), 7);
    let mut driver = ClientDriver::new(config, sig, ClientBuffers::default(), 1, connector);
    let now = driver.now();
    driver.session().login(now);
    until(&mut driver, |event| matches!(event, Event::Ready)).await;
    driver
}

/// Drives a client until `wanted` is seen.
async fn until<C: Connector>(driver: &mut ClientDriver<C>, wanted: fn(Event<'_>) -> bool) {
    let mut seen = false;
    while !seen {
        driver.poll_events(|event| {
            seen |= wanted(event);
            ControlFlow::Continue(())
        });
        if !seen {
            driver.progress().await;
        }
    }
}

/// By its address, as applications do it.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_client_logs_in_over_tls() {
    use tim_hub::TlsListener;
    use tim_testkit::certificates::{Age, Authority};
    use tim_transport_std::tls::{ClientTls, HubTls, TlsProtocol};
    use tim_transport_std::{AnyConnector, ConnectOptions};

    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let files = authority.sign("hub", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&files.certificate, &files.key).unwrap();
    let running = hub_behind(|tcp| {
        let tls = TlsListener::with_protocol(tcp, &tls, TlsProtocol::Http);
        WebSocketListener::new(tls, acceptor())
    })
    .await;

    let trusted = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let address = format!("wss://{}/tim", running.address).parse().unwrap();
    let connector = AnyConnector::new(&address, &ConnectOptions::new().with_tls(trusted)).unwrap();
    let _driver = log_in_with(connector, "alice").await;
    assert_eq!(running.hub.connections(), 1);
}

#[tokio::test]
async fn a_client_logs_in_and_is_told_when_the_hub_stops() {
    let running = hub(10).await;
    let mut driver = log_in(running.address, "alice").await;
    assert_eq!(running.hub.connections(), 1);
    running.stop.send(()).unwrap();
    until(&mut driver, |event| matches!(event, Event::TurnedAway(_))).await;
    drop(driver);
    running.served.await.unwrap();
}

#[tokio::test]
async fn a_browser_that_wants_a_page_is_told_what_this_is() {
    let running = hub(10).await;
    for (target, status) in [("/tim", "426 Upgrade Required"), ("/", "404 Not Found")] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: hub\r\nAccept: text/html\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
    }
    assert_eq!(running.hub.connections(), 0);
}

/// As many as there may be say nothing; everybody else gets in all the same.
#[tokio::test]
async fn silent_handshakes_keep_nobody_out() {
    let running = hub(4).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    drop(log_in(running.address, "alice").await);
    // The oldest were dropped for the newer ones.
    for stream in silent.iter_mut().take(15) {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    let mut last = silent.pop().unwrap();
    let read = tokio::time::timeout(Duration::from_millis(50), last.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

/// Connections that tests make up, with the addresses they come from.
struct MadeUp(mpsc::Receiver<(DuplexStream, IpAddr)>);

impl Listener for MadeUp {
    type Link = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        let (link, address) = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((link, Peer::new("made up").with_address(address)))
    }
}

/// Whoever has an IPv6 network has more addresses in it than there are handshakes.
#[tokio::test]
async fn silent_handshakes_from_one_network_drop_their_own() {
    deadline();
    let (connect, connected) = mpsc::channel(100);
    let acceptor = WebSocketAcceptor::new(AcceptOptions::default());
    let mut listener = WebSocketListener::new(MadeUp(connected), acceptor).with_max_handshakes(4);
    let connect = async |address: String| {
        let (here, there) = tokio::io::duplex(4096);
        connect.send((there, address.parse().unwrap())).await.unwrap();
        here
    };
    let mut slow = connect("2001:db8:1::1".to_owned()).await;
    let mut flood = Vec::new();
    for number in 0..20 {
        flood.push(connect(format!("2001:db8:2::{number}")).await);
    }
    let accepting = tokio::spawn(async move { listener.accept().await.map(|(_, peer)| peer.address()) });
    // It has been dropped for another one of the flood.
    assert_eq!(flood[0].read(&mut [0]).await.unwrap(), 0);
    slow.write_all(
        b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tim.v1\r\n\r\n",
    )
    .await
    .unwrap();
    let accepted = accepting.await.unwrap().unwrap();
    assert_eq!(accepted, Some("2001:db8:1::1".parse().unwrap()));
}

#[tokio::test]
async fn a_client_behind_a_proxy_has_an_address_of_its_own() {
    deadline();
    let mut options = AcceptOptions::default();
    options.client_address = ClientAddress::XForwardedFor;
    options.trusted_proxies = vec![IpAddr::from([127, 0, 0, 1])];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = WebSocketListener::new(listener, WebSocketAcceptor::new(options));
    for (header, client) in [("X-Forwarded-For: 192.0.2.1", "192.0.2.1"), ("X: y", "127.0.0.1")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let proxy = stream.local_addr().unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tim.v1\r\n{header}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (_link, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.address(), Some(client.parse().unwrap()));
        let shown = match header {
            "X: y" => proxy.to_string(),
            _ => format!("{client} behind {proxy}"),
        };
        assert_eq!(peer.name(), shown);
    }
}
