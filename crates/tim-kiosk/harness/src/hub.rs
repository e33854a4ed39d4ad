//! A real hub, on a directory of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tim_client::{Client, Event, EventStream, UserId};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::build::{tim, user_sig};
use crate::{APP, KEY};

/// A running `tim serve`; ends with the value, and its data with it.
pub struct Hub {
    child: Child,
    data: TempDir,
    /// What its command line has besides.
    flags: Vec<String>,
    /// Where users connect.
    pub address: SocketAddr,
    /// Where serial lines behind a TCP socket connect.
    pub serial: SocketAddr,
}

impl Hub {
    /// Starts one with no past, which takes messages and requests as fast as they come.
    pub async fn start() -> Self {
        Self::start_with(&["--send-rate", "0", "--request-rate", "0"]).await
    }

    /// Starts one with no past, and these flags.
    pub async fn start_with(flags: &[&str]) -> Self {
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let data = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(data.path().join("app.key"), KEY).expect("it can be written to");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, address, serial) = serve(&data, &flags, any, any).await;
        Self {
            child,
            data,
            flags,
            address,
            serial,
        }
    }

    /// Where its data is, for `tim`'s `--data`.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Kills it and starts it again on the same data, at the same addresses.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (child, ..) = serve(&self.data, &self.flags, self.address, self.serial).await;
        self.child = child;
    }

    /// Kills it.
    pub async fn stop(&mut self) {
        self.child.kill().await.expect("the hub can be killed");
    }

    /// A user on TCP, who is ready.
    pub async fn user(&self, name: &str) -> (Client, EventStream) {
        let user = UserId::new(name).expect("a valid name");
        let client = Client::builder(APP, user, user_sig(name))
            .session(|config| {
                config.backoff_min = Duration::from_millis(10);
                config.backoff_max = Duration::from_millis(100);
                config.request_timeout = Duration::from_secs(60);
            })
            .build_tcp(self.address);
        let events = client.events();
        client.login().await.expect("the hub lets everybody in");
        client.wait_until_ready().await.expect("nothing is in the way");
        (client, events)
    }
}

async fn serve(
    data: &TempDir,
    flags: &[String],
    address: SocketAddr,
    serial: SocketAddr,
) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(tim())
        .args(["serve", "--log", "error"])
        .args(flags)
        .arg("--data")
        .arg(data.path())
        .args([
            "--listen",
            &address.to_string(),
            "--serial-tcp-listen",
            &serial.to_string(),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`tim serve` starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let (mut address, mut serial) = (None, None);
    while address.is_none() || serial.is_none() {
        let line = lines
            .next_line()
            .await
            .expect("text")
            .expect("the hub says where it listens");
        let at = |prefix| {
            line.strip_prefix(prefix)?
                .split(',')
                .next()?
                .parse::<SocketAddr>()
                .ok()
        };
        address = address.or(at("listening at tim://"));
        serial = serial.or(at("serial ports at "));
    }
    // What more it says must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address.expect("was said"), serial.expect("was said"))
}

/// The next event of a user that `pick` takes.
pub async fn next<T>(events: &mut EventStream, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("the client goes on");
        if let Some(picked) = pick(event) {
            return picked;
        }
    }
}
