//! The hub's serial lines: opened, served, and opened again when they vanish, for as long as the hub runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serial2_tokio::SerialPort;
use tim_hub::Hub;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::config::Settings;
use crate::error::Failure;

/// The shortest and the longest wait before a line is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// A line that was served for so long counts as one that works.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// A serial device, and its speed if it is not that of all others: `DEVICE` or `DEVICE@SPEED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SerialDevice {
    pub(crate) path: String,
    pub(crate) speed: Option<u32>,
}

impl FromStr for SerialDevice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, speed) = match text.rsplit_once('@') {
            Some((path, speed)) => (path, Some(speed.parse())),
            None => (text, None),
        };
        match (path, speed.transpose()) {
            ("", _) => Err("a serial line needs a device, such as /dev/ttyUSB0".to_owned()),
            (_, Err(_) | Ok(Some(0))) => Err(format!(
                "what stands behind the @ in {text:?} is no speed in bits a second"
            )),
            (path, Ok(speed)) => Ok(Self {
                path: path.to_owned(),
                speed,
            }),
        }
    }
}

impl fmt::Display for SerialDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.speed {
            Some(speed) => write!(f, "{}@{speed}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

impl TryFrom<String> for SerialDevice {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SerialDevice> for String {
    fn from(device: SerialDevice) -> Self {
        device.to_string()
    }
}

/// All serial lines of a hub; they end with this value.
pub(crate) struct Lines {
    tasks: JoinSet<()>,
    listening: Vec<SocketAddr>,
}

impl Lines {
    /// Opens what the settings name. A device or an address that is not there (yet) is no failure; an address that
    /// cannot be listened at is one.
    pub(crate) async fn start(hub: &Arc<Hub>, settings: &Settings) -> Result<Self, Failure> {
        let mut lines = Self {
            tasks: JoinSet::new(),
            listening: Vec::new(),
        };
        for address in &settings.serial_tcp_listen {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failure::failed(format_args!("cannot take serial lines at {address}: {error}"))
                    .hint("--serial-tcp-listen 127.0.0.1:0 takes any free port")
            })?;
            lines.listening.push(listener.local_addr()?);
            lines.tasks.spawn(accept(Arc::clone(hub), listener));
        }
        let devices = settings.serial.iter().map(|device| Source::Device {
            path: device.path.clone(),
            speed: device.speed.unwrap_or(settings.serial_speed),
        });
        for source in devices.chain(settings.serial_tcp.iter().cloned().map(Source::Tcp)) {
            lines.tasks.spawn(keep(Arc::clone(hub), source));
        }
        Ok(lines)
    }

    /// The addresses at which serial lines are taken.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }
}

/// Where a line can be opened again and again.
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

    /// Opens the line and serves it until it ends.
    async fn serve(&self, hub: &Hub) -> io::Result<()> {
        match self {
            Self::Device { path, speed } => {
                let port = SerialPort::open(path, *speed)?;
                info!(line = path, speed, "a serial line is open");
                hub.serve_serial(port).await
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                info!(line = address, "a serial line is open");
                hub.serve_serial(stream).await
            }
        }
    }
}

/// Serves a line whenever it is there.
async fn keep(hub: Arc<Hub>, source: Source) {
    let line = source.name();
    let mut wait = RETRY.0;
    // The reason is logged once, not at every try.
    let mut told = String::new();
    loop {
        let began = Instant::now();
        let ended = source.serve(&hub).await;
        if hub.is_stopping() {
            return;
        }
        let reason = ended.map_or_else(|error| error.to_string(), |()| "it was closed".to_owned());
        if began.elapsed() >= GOOD_FOR {
            (wait, told) = (RETRY.0, String::new());
        }
        if reason == told {
            debug!(line, reason, "a serial line is still not there");
        } else {
            warn!(line, reason, "a serial line cannot be used; it is tried again");
            told = reason;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Takes lines as they come.
async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let hub = Arc::clone(&hub);
                    lines.spawn(async move {
                        debug!(%peer, "a serial line came");
                        let ended = hub.serve_serial(stream).await;
                        debug!(%peer, ?ended, "a serial line went");
                    });
                }
                Err(error) => {
                    // Out of file descriptors, as a rule: those that are there go on, and some will close.
                    warn!(%error, "a serial line cannot be accepted");
                    tokio::time::sleep(RETRY.0).await;
                }
            },
            Some(_) = lines.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_name_its_speed() {
        for (text, path, speed) in [
            ("/dev/ttyS0", "/dev/ttyS0", None),
            ("COM3@9600", "COM3", Some(9600)),
            ("/dev/a@b@115200", "/dev/a@b", Some(115_200)),
        ] {
            let device: SerialDevice = text.parse().unwrap();
            assert_eq!((device.path.as_str(), device.speed), (path, speed));
            assert_eq!(device.to_string(), text);
        }
        for text in [
            "",
            "@9600",
            "/dev/ttyS0@",
            "/dev/ttyS0@fast",
            "/dev/ttyS0@0",
            "/dev/ttyS0@-1",
        ] {
            assert!(text.parse::<SerialDevice>().is_err(), "{text}");
        }
    }
}
