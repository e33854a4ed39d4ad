//! A line to a server, which a test can cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A line to a server: whoever connects to its address talks to the server, or not.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    received: AtomicUsize,
}

#[derive(Default)]
struct State {
    way: Way,
    open: Vec<TcpStream>,
}

#[derive(Default, Clone)]
enum Way {
    #[default]
    Through,
    /// Connections are closed.
    Cut,
    /// Connections are accepted, and nothing comes back.
    Silent,
    /// Each request gets this response.
    Answered(Arc<str>),
}

impl Line {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            state: Mutex::default(),
            received: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for accepted in listener.incoming().flatten() {
                accepting.accept(accepted);
            }
        });
        Self { address, shared }
    }

    pub(crate) fn cut(&self) {
        self.set(Way::Cut);
    }

    pub(crate) fn fall_silent(&self) {
        self.set(Way::Silent);
    }

    /// Each request gets this response from now on.
    pub(crate) fn answer(&self, response: String) {
        self.set(Way::Answered(response.into()));
    }

    pub(crate) fn mend(&self) {
        self.set(Way::Through);
    }

    /// How many bytes have come from the server.
    pub(crate) fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// What is open belongs to how it was before.
    fn set(&self, way: Way) {
        let mut state = self.shared.state.lock().unwrap();
        state.way = way;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.state.lock().unwrap();
        state.open.retain(|stream| stream.peer_addr().is_ok());
        match state.way.clone() {
            Way::Cut => {}
            Way::Silent => state.open.push(client),
            Way::Answered(response) => drop(std::thread::spawn(move || answer(client, &response))),
            Way::Through => {
                let Ok(server) = TcpStream::connect(self.server) else {
                    return;
                };
                for (from, to, counts) in [(&client, &server, false), (&server, &client, true)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let shared = Arc::clone(self);
                    std::thread::spawn(move || shared.copy(from, to, counts));
                }
                state.open.extend([client, server]);
            }
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, counts: bool) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if counts {
                self.received.fetch_add(read, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }
}

/// Reads the head of a request, and what has come of its body with it.
fn answer(mut client: TcpStream, response: &str) {
    let mut head: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match client.read(&mut buffer) {
            Ok(read @ 1..) => head.extend(&buffer[..read]),
            _ => return,
        }
    }
    let _ = client.write_all(response.as_bytes());
    let _ = client.shutdown(Shutdown::Write);
    // So that what is still on its way does not take the response with it.
    while let Ok(1..) = client.read(&mut buffer) {}
}
