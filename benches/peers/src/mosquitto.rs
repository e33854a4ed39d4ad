//! Mosquitto, QoS 1, a topic for each sender and a receiver that is away: the broker keeps the messages for it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::peer::{Known, same};
use crate::server::{Server, User, find, free_port};
use crate::work::{Outcome, Sender, Work};
use crate::{Failure, Result};

/// Longer than a run of ours: only the senders' own packets keep connections alive while they wait.
const KEEP_ALIVE: Duration = Duration::from_secs(3_600);
/// How long a receiver waits for its next message.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn known() -> Result<Known> {
    let program = find("mosquitto", &[])?;
    // It has no option for its version, but its help begins with it.
    let help = std::process::Command::new(&program).arg("-h").output()?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    Ok(Known {
        version: help.lines().next().unwrap_or_default().to_owned(),
        is_durable: false,
        promise: "QoS 1 to receivers that are away, persistence on: in memory, saved every 30 minutes",
    })
}

struct Connection {
    client: AsyncClient,
    events: EventLoop,
}

impl Connection {
    /// A client of this name that is connected; the broker keeps the session of a `lasting` one.
    async fn open(port: u16, name: String, lasting: bool) -> Result<Self> {
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(!lasting);
        let (client, mut events) = AsyncClient::new(options, 16);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let mut connection = Self { client, events };
        connection
            .until(|packet| matches!(packet, Packet::ConnAck(_)))
            .await?;
        Ok(connection)
    }

    /// Waits for a packet.
    async fn until(&mut self, is_it: impl Fn(&Packet) -> bool) -> Result<()> {
        loop {
            match self.events.poll().await? {
                Event::Incoming(packet) if is_it(&packet) => return Ok(()),
                _ => {}
            }
        }
    }
}

struct Publisher {
    connection: Connection,
    number: usize,
    text: Arc<str>,
    sent: u64,
}

impl Sender for Publisher {
    async fn send(&mut self) -> Result<()> {
        let Connection { client, .. } = &self.connection;
        let topic = format!("bench/{}", self.number);
        client.try_publish(topic, QoS::AtLeastOnce, false, self.text.as_bytes())?;
        self.connection
            .until(|packet| matches!(packet, Packet::PubAck(_)))
            .await?;
        self.sent += 1;
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent
    }
}

/// Tells the broker of a receiver, which then leaves.
async fn subscribe(port: u16, number: usize) -> Result<()> {
    let mut connection = Connection::open(port, format!("receiver-{number}"), true).await?;
    connection
        .client
        .try_subscribe(format!("bench/{number}"), QoS::AtLeastOnce)?;
    connection
        .until(|packet| matches!(packet, Packet::SubAck(_)))
        .await?;
    connection.client.try_disconnect()?;
    // The end of the connection is its success.
    while connection.events.poll().await.is_ok() {}
    Ok(())
}

/// Counts what the broker has for a receiver; stops one beyond `wanted`.
async fn receive(port: u16, number: usize, wanted: u64) -> Result<u64> {
    let mut connection = Connection::open(port, format!("receiver-{number}"), true).await?;
    let mut received = 0;
    while received < wanted {
        let next = connection.until(|packet| matches!(packet, Packet::Publish(_)));
        match tokio::time::timeout(PATIENCE, next).await {
            Ok(next) => next?,
            Err(_) => break,
        }
        received += 1;
    }
    // A duplicate would come at once.
    let more = connection.until(|packet| matches!(packet, Packet::Publish(_)));
    let more = tokio::time::timeout(Duration::from_millis(200), more).await;
    Ok(received + u64::from(more.is_ok()))
}

pub(crate) async fn run(work: &Work) -> Result<Outcome> {
    let (directory, port) = (tempfile::tempdir()?, free_port()?);
    let config = directory.path().join("mosquitto.conf");
    let mut text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
         max_queued_messages 0\nset_tcp_nodelay true\n",
        directory.path().display()
    );
    if User::is_root()? {
        // Another user could not write into the directory.
        text.push_str("user root\n");
    }
    fs::write(&config, text)?;
    let mut command = Command::new(find("mosquitto", &[])?);
    command.arg("-c").arg(&config);
    let mut server = Server::start(command, directory, port)?;
    server
        .connected(async |port| Connection::open(port, "control".to_owned(), false).await)
        .await?;
    let mut publishers = Vec::new();
    for number in 0..work.senders {
        subscribe(port, number).await?;
        let mut publisher = Publisher {
            connection: Connection::open(port, format!("sender-{number}"), false).await?,
            number,
            text: Arc::clone(&work.text),
            sent: 0,
        };
        publisher.send().await?;
        publishers.push(publisher);
    }
    let ran = work.run(publishers, &server.meter()?).await?;
    let mut receivers = JoinSet::new();
    for publisher in &ran.senders {
        let (number, sent) = (publisher.number, publisher.sent);
        receivers.spawn(async move {
            let received = receive(port, number, sent).await?;
            same("messages of a receiver", received, sent)?;
            Ok::<_, Failure>(received)
        });
    }
    let mut found = 0;
    while let Some(receiver) = receivers.join_next().await {
        found += receiver??;
    }
    ran.checked(found, &server.stop_in_order()?)
}
