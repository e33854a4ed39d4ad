//! Tells the service manager how the hub is, by systemd's protocol: datagrams to the socket that NOTIFY_SOCKET names.

use std::time::Duration;

/// The service manager, if there is one that wants to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager {
    socket: Option<String>,
}

impl Manager {
    /// The one that has started this process.
    pub(crate) fn of_process() -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok();
        Self {
            socket: socket.filter(|name| name.starts_with('/') || name.starts_with('@')),
        }
    }

    /// The hub listens.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The settings are read again; [`ready`](Self::ready) ends that.
    pub(crate) fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
    }

    /// The hub stops.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says again and again that the hub is at work, if the manager wants to hear that; does not return then.
    pub(crate) async fn keep_telling(&self) {
        let interval = std::env::var("WATCHDOG_USEC").ok();
        let is_ours = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let interval = interval.and_then(|text| text.parse::<u64>().ok());
        let Some(interval_us) = interval.filter(|us| *us > 0 && is_ours && self.socket.is_some()) else {
            return;
        };
        let mut ticks = tokio::time::interval(Duration::from_micros((interval_us / 2).max(1)));
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    #[cfg(unix)]
    fn tell(&self, text: &str) {
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let Some(name) = &self.socket else { return };
        #[cfg(target_os = "linux")]
        let address = match name.strip_prefix('@') {
            Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        #[cfg(not(target_os = "linux"))]
        let address = SocketAddr::from_pathname(name);
        let told = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            // A manager that does not read is not waited for.
            socket.set_nonblocking(true)?;
            socket.send_to_addr(text.as_bytes(), &address)
        });
        if let Err(error) = told {
            tracing::debug!(%error, "the service manager is not told");
        }
    }

    #[cfg(not(unix))]
    fn tell(&self, _: &str) {}
}

/// The clock by which systemd orders a reload.
fn monotonic_us() -> u64 {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000
    }
    #[cfg(not(unix))]
    0
}
