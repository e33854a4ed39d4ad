//! The serial ports of the hub: opened, served, and reopened when they disappear, for as long as the hub runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serial2_tokio::SerialPort;
use tim_hub::Hub;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::config::Settings;
use crate::error::Failure;
use crate::listeners::serial_ports;

/// The shortest and the longest delay before a port is retried.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// After this time, a port counts as working, and its delay starts anew.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// All serial ports of a hub; they close when this is dropped.
pub(crate) struct SerialPorts {
    tasks: JoinSet<()>,
    listening: Vec<SocketAddr>,
}

impl SerialPorts {
    /// Opens the ports of the settings. A missing device or an unreachable address is retried; an address that cannot be
    /// bound is a failure.
    pub(crate) async fn start(hub: &Arc<Hub>, settings: &Settings) -> Result<Self, Failure> {
        let mut ports = Self {
            tasks: JoinSet::new(),
            listening: Vec::new(),
        };
        for address in &settings.serial_tcp_listen {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failure::failed(format_args!(
                    "cannot listen for serial ports at {address}: {error}"
                ))
                .hint("--serial-tcp-listen 127.0.0.1:0 takes any free port")
            })?;
            ports.listening.push(listener.local_addr()?);
            ports.tasks.spawn(accept(Arc::clone(hub), listener));
        }
        let devices = settings.serial.iter().map(|device| Source::Device {
            path: device.path.clone(),
            speed: device.speed.unwrap_or(settings.serial_speed),
        });
        let addresses = serial_ports(settings).map(|port| Source::Device {
            path: port.device().to_owned(),
            speed: port.given_baud().unwrap_or(settings.serial_speed),
        });
        for source in devices
            .chain(addresses)
            .chain(settings.serial_tcp.iter().cloned().map(Source::Tcp))
        {
            ports.tasks.spawn(keep(Arc::clone(hub), source));
        }
        Ok(ports)
    }

    /// The addresses at which serial ports are accepted.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }
}

/// Where a port is opened, repeatedly.
enum Source {
    Device { path: String, speed: u32 },
    Tcp(String),
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Self::Device { path, .. } => path,
            Self::Tcp(address) => address,
        }
    }

    /// Opens the port and serves it until it closes.
    async fn serve(&self, hub: &Hub) -> io::Result<()> {
        match self {
            Self::Device { path, speed } => {
                let port = SerialPort::open(path, *speed)?;
                info!(port = path, speed, "serial port open");
                hub.serve_serial(port).await
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                info!(port = address, "serial port open");
                hub.serve_serial(stream).await
            }
        }
    }
}

/// Serves a port whenever it exists.
async fn keep(hub: Arc<Hub>, source: Source) {
    let port = source.name();
    let mut wait = RETRY.0;
    // Each reason is logged once, not at every try.
    let mut logged = String::new();
    loop {
        let began = Instant::now();
        let ended = source.serve(&hub).await;
        if hub.is_stopping() {
            return;
        }
        let reason = ended.map_or_else(|error| error.to_string(), |()| "closed".to_owned());
        if began.elapsed() >= GOOD_FOR {
            (wait, logged) = (RETRY.0, String::new());
        }
        if reason == logged {
            debug!(port, reason, "serial port still not usable");
        } else {
            warn!(port, reason, "serial port not usable; retrying");
            logged = reason;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Accepts ports at a TCP address.
async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    let mut ports = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let hub = Arc::clone(&hub);
                    ports.spawn(async move {
                        debug!(%peer, "serial port connected");
                        let ended = hub.serve_accepted_serial(stream, peer.into()).await;
                        debug!(%peer, ?ended, "serial port disconnected");
                    });
                }
                Err(error) => {
                    // Usually out of file descriptors: open ports continue, and some will close.
                    warn!(%error, "cannot accept a serial port");
                    tokio::time::sleep(RETRY.0).await;
                }
            },
            Some(_) = ports.join_next() => {}
        }
    }
}
