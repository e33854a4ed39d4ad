//! HTTP beside a hub, and a client that sends what a test says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use tim_hub::HttpOptions;
use tokio::sync::oneshot;

use super::TestHub;

/// HTTP beside a hub; it ends with the value.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(hub: &TestHub, change: impl FnOnce(&mut HttpOptions)) -> Self {
        let hub = hub.shared();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = HttpOptions::new(format!("http://{address}"));
        change(&mut options);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let stop = async { drop(stopped.await) };
                hub.serve_http(listener, options, stop).await.unwrap();
            });
        });
        let served = Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        };
        // The system takes connections before the hub serves them, and URLs are given once it does.
        assert_eq!(served.get("/", "").0, 404);
        served
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
