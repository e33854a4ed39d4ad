//! Redis Streams with `appendfsync always`: a stream for each sender.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::process::Command;

use crate::Result;
use crate::peer::{Known, same};
use crate::server::{Server, find, free_port, version};
use crate::work::{Outcome, Sender, Work};

/// A response may wait for the disk.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn known() -> Result<Known> {
    Ok(Known {
        version: version(&find("redis-server", &[])?),
        is_durable: true,
        promise: "XADD, appendfsync always: synced; all data in memory, no duplicates found, no unread counts",
    })
}

struct Stream {
    connection: MultiplexedConnection,
    name: String,
    text: Arc<str>,
    sent: u64,
}

impl Sender for Stream {
    async fn send(&mut self) -> Result<()> {
        let mut add = redis::cmd("XADD");
        add.arg(&self.name).arg("*").arg("m").arg(&*self.text);
        let _id: String = add.query_async(&mut self.connection).await?;
        self.sent += 1;
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent
    }
}

async fn connect(port: u16) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(("127.0.0.1", port))?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(TIMEOUT));
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

pub(crate) async fn run(work: &Work) -> Result<Outcome> {
    let (directory, port) = (tempfile::tempdir()?, free_port()?);
    let mut command = Command::new(find("redis-server", &[])?);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(directory.path())
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .args(["--maxclients", &(work.senders + 100).to_string()]);
    let mut server = Server::start(command, directory, port)?;
    let mut control = server.connected(connect).await?;
    let mut streams = Vec::new();
    for number in 0..work.senders {
        let mut stream = Stream {
            connection: connect(port).await?,
            name: format!("conversation-{number}"),
            text: Arc::clone(&work.text),
            sent: 0,
        };
        stream.send().await?;
        streams.push(stream);
    }
    let ran = work.run(streams, &server.meter()?).await?;
    let mut found = 0;
    for stream in &ran.senders {
        let len: u64 = redis::cmd("XLEN")
            .arg(&stream.name)
            .query_async(&mut control)
            .await?;
        same("messages of a stream", len, stream.sent)?;
        found += len;
    }
    ran.checked(found, &server.stop_in_order()?)
}
