//! HTTP beside a hub, and a client that sends what a test says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use tim_hub::tls::{HubTls, TlsProtocol};
use tim_hub::{HttpOptions, Hub, Listener, TlsListener};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::TestHub;

/// HTTP beside a hub; it ends with the value.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(hub: &TestHub, change: impl FnOnce(&mut HttpOptions) + Send + 'static) -> Self {
        let served = Self::start_on(hub, change, |listener| listener);
        // The system takes connections before the hub serves them, and URLs are given once it does.
        assert_eq!(served.get("/", "").0, 404);
        served
    }

    /// The same over TLS.
    pub(crate) fn start_tls(hub: &TestHub, tls: &HubTls) -> Self {
        let tls = tls.clone();
        let served = Self::start_on(
            hub,
            |_| (),
            move |listener| TlsListener::with_protocol(listener, &tls, TlsProtocol::Http),
        );
        // It does not answer in TLS what is none.
        let mut stream = TcpStream::connect(served.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        served
    }

    /// The operator's listener.
    pub(crate) fn start_metrics(hub: &TestHub) -> Self {
        Self::run(hub, async |hub, listener, stop| {
            hub.serve_metrics(listener, async { drop(stop.await) }).await;
        })
    }

    fn start_on<L: Listener>(
        hub: &TestHub,
        change: impl FnOnce(&mut HttpOptions) + Send + 'static,
        listen: impl FnOnce(TcpListener) -> L + Send + 'static,
    ) -> Self {
        Self::run(hub, async |hub, listener, stop| {
            let mut options = HttpOptions::new(format!("http://{}", listener.local_addr().unwrap()));
            change(&mut options);
            let stop = async { drop(stop.await) };
            hub.serve_http(listen(listener), options, stop).await.unwrap();
        })
    }

    fn run(
        hub: &TestHub,
        serve: impl AsyncFnOnce(&Hub, TcpListener, oneshot::Receiver<()>) + Send + 'static,
    ) -> Self {
        let hub = hub.shared();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                serve(&hub, TcpListener::from_std(listener).unwrap(), stopped).await;
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The status of the response, unless the connection is turned away.
    pub(crate) fn try_get(&self, target: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let head = format!("GET {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        response.split(' ').nth(1)?.parse().ok()
    }

    /// The response to a request for this target: its status, its head in lower case, and its body.
    pub(crate) fn ask(&self, method: &str, target: &str, lines: &str) -> (u16, String, Vec<u8>) {
        self.ask_with(method, target, lines, b"")
    }

    /// The response to a request with a body.
    pub(crate) fn ask_with(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&response[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, response[end + 4..].to_vec())
    }

    pub(crate) fn get(&self, target: &str, lines: &str) -> (u16, Vec<u8>) {
        let (status, _, body) = self.ask("GET", target, lines);
        (status, body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
