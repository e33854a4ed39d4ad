//! The cable between QEMU's UART and the hub's serial port: it can be pulled, lose bytes, and pick up noise.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

/// A cable whose one end is QEMU's, which connects to [`Cable::address`], and whose other is the hub's.
pub struct Cable {
    /// Where QEMU finds its end.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    noise: mpsc::Sender<Vec<u8>>,
}

struct Shared {
    hub: SocketAddr,
    state: Mutex<State>,
    /// The hub's end is to be dropped and connected again.
    hang_up: Notify,
    /// The end of a pull, and of a stall.
    changed: Notify,
}

#[derive(Default)]
struct State {
    pulled: bool,
    /// How many bytes are to be lost, from the kiosk and to it.
    lose: [usize; 2],
    /// How many have gone through, from the kiosk and to it.
    passed: [u64; 2],
}

impl Cable {
    /// A cable to the hub's serial port at `hub`.
    pub async fn new(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            hub,
            state: Mutex::default(),
            hang_up: Notify::new(),
            changed: Notify::new(),
        });
        let (noise, noises) = mpsc::channel(1);
        tokio::spawn(carry(listener, shared.clone(), noises));
        Self {
            address,
            shared,
            noise,
        }
    }

    /// From now on every byte is lost, and neither end is told.
    pub fn pull(&self) {
        self.shared.with(|state| state.pulled = true);
    }

    /// The cable is in again.
    pub fn plug(&self) {
        self.shared.with(|state| state.pulled = false);
    }

    /// The next so many bytes from the kiosk, and to it, are lost.
    pub fn lose(&self, from_kiosk: usize, to_kiosk: usize) {
        self.shared.with(|state| state.lose = [from_kiosk, to_kiosk]);
    }

    /// Drops the connection to the hub, as a terminal server does; it is made again at once.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_one();
    }

    /// Sends these bytes to the kiosk as if the line had made them up; done when QEMU's socket has taken those before.
    pub async fn noise(&self, bytes: Vec<u8>) {
        self.noise.send(bytes).await.expect("the cable is there");
    }

    /// Waits until so many bytes in all have gone through from the kiosk.
    pub async fn passed_from_kiosk(&self, bytes: u64) {
        loop {
            let changed = self.shared.changed.notified();
            if self.passed()[0] >= bytes {
                return;
            }
            changed.await;
        }
    }

    /// How many bytes have gone through, from the kiosk and to it.
    #[must_use]
    pub fn passed(&self) -> [u64; 2] {
        self.shared.with(|state| state.passed)
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("nobody panics with it"))
    }

    /// What is left of `bytes` at the other end.
    fn filter<'b>(&self, direction: usize, bytes: &'b [u8]) -> &'b [u8] {
        let kept = self.with(|state| {
            if state.pulled {
                return &[][..];
            }
            let lost = state.lose[direction].min(bytes.len());
            state.lose[direction] -= lost;
            state.passed[direction] += (bytes.len() - lost) as u64;
            &bytes[lost..]
        });
        self.changed.notify_waiters();
        kept
    }
}

/// Carries bytes between whoever connects and the hub, for ever.
async fn carry(listener: TcpListener, shared: Arc<Shared>, mut noises: mpsc::Receiver<Vec<u8>>) {
    while let Ok((kiosk, _)) = listener.accept().await {
        let _ = kiosk.set_nodelay(true);
        let (mut kiosk_in, mut kiosk_out) = kiosk.into_split();
        loop {
            let (mut hub_in, mut hub_out) = connect(shared.hub).await.into_split();
            let kiosk_is_gone = tokio::select! {
                kiosk_is_gone = up(&shared, &mut kiosk_in, &mut hub_out) => kiosk_is_gone,
                kiosk_is_gone = down(&shared, &mut hub_in, &mut kiosk_out, &mut noises) => kiosk_is_gone,
                () = shared.hang_up.notified() => false,
            };
            if kiosk_is_gone {
                break;
            }
        }
    }
}

/// The hub's port, as soon as it is there: the hub may be starting.
async fn connect(hub: SocketAddr) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(hub).await {
            let _ = stream.set_nodelay(true);
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// From the kiosk to the hub, until one of them is gone; whether it is the kiosk.
async fn up(shared: &Shared, kiosk: &mut OwnedReadHalf, hub: &mut OwnedWriteHalf) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match kiosk.read(&mut buffer).await {
            Ok(len @ 1..) => {
                if hub.write_all(shared.filter(0, &buffer[..len])).await.is_err() {
                    return false;
                }
            }
            _ => return true,
        }
    }
}

/// From the hub, and from nowhere, to the kiosk.
async fn down(
    shared: &Shared,
    hub: &mut OwnedReadHalf,
    kiosk: &mut OwnedWriteHalf,
    noises: &mut mpsc::Receiver<Vec<u8>>,
) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let said: io::Result<usize> = tokio::select! {
            said = hub.read(&mut buffer) => said,
            Some(noise) = noises.recv() => match kiosk.write_all(&noise).await {
                Ok(()) => continue,
                Err(_) => return true,
            },
        };
        match said {
            Ok(len @ 1..) => {
                if kiosk.write_all(shared.filter(1, &buffer[..len])).await.is_err() {
                    return true;
                }
            }
            _ => return false,
        }
    }
}
