//! NATS JetStream, one stream with a subject for each sender: as it comes, and with every write synchronous.

use std::fs;
use std::sync::Arc;

use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use tokio::process::Command;

use crate::Result;
use crate::peer::{Known, same};
use crate::server::{Server, find, free_port, version};
use crate::work::{Outcome, Sender, Work};

/// The first version that can sync each message by itself.
const SYNC_ALWAYS: (u32, u32) = (2, 10);

/// How JetStream stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In the page cache, synced every two minutes.
    AsItComes,
    /// Synced before the acknowledgement.
    Synced,
}

pub(crate) fn known(storage: Storage) -> Result<Known> {
    let version = version(&find("nats-server", &[])?);
    let is_durable = storage == Storage::Synced;
    let promise = match storage {
        Storage::AsItComes => "JetStream as it comes: in the page cache, synced every 2 minutes",
        Storage::Synced if can_sync(&version) => "JetStream, sync_interval always: synced",
        Storage::Synced => {
            find("chattr", &[])?;
            "JetStream, store directory chattr +S: each write synchronous (this version has no sync_interval always)"
        }
    };
    Ok(Known {
        version,
        is_durable,
        promise,
    })
}

/// Whether this is a version that has `sync_interval: always`.
fn can_sync(version: &str) -> bool {
    let number = version.rsplit([' ', 'v']).next().unwrap_or_default();
    let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => (major, minor) >= SYNC_ALWAYS,
        _ => false,
    }
}

struct Publisher {
    context: Context,
    subject: String,
    text: Arc<str>,
    sent: u64,
}

impl Sender for Publisher {
    async fn send(&mut self) -> Result<()> {
        let payload = self.text.as_bytes().to_vec().into();
        self.context.publish(self.subject.clone(), payload).await?.await?;
        self.sent += 1;
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent
    }
}

async fn connect(port: u16) -> Result<Context> {
    let client = async_nats::connect(format!("127.0.0.1:{port}")).await?;
    Ok(jetstream::new(client))
}

pub(crate) async fn run(work: &Work, storage: Storage) -> Result<Outcome> {
    let (directory, port) = (tempfile::tempdir()?, free_port()?);
    let store = directory.path().join("store");
    fs::create_dir(&store)?;
    let program = find("nats-server", &[])?;
    let sync = match storage {
        Storage::AsItComes => "",
        Storage::Synced if can_sync(&version(&program)) => ", sync_interval: always",
        Storage::Synced => {
            // What is made in it inherits this.
            let status = Command::new(find("chattr", &[])?)
                .arg("+S")
                .arg(&store)
                .status()
                .await?;
            if !status.success() {
                return Err("chattr +S needs root and ext4: leave nats-synced out".into());
            }
            ""
        }
    };
    let config = directory.path().join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}{sync} }}\n",
        store.display().to_string()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&config);
    let mut server = Server::start(command, directory, port)?;
    let control = server.connected(connect).await?;
    let mut stream = control
        .create_stream(Config {
            name: "bench".to_owned(),
            subjects: vec!["bench.*".to_owned()],
            storage: StorageType::File,
            ..Config::default()
        })
        .await?;
    let mut publishers = Vec::new();
    for number in 0..work.senders {
        let mut publisher = Publisher {
            context: connect(port).await?,
            subject: format!("bench.{number}"),
            text: Arc::clone(&work.text),
            sent: 0,
        };
        publisher.send().await?;
        publishers.push(publisher);
    }
    let ran = work.run(publishers, &server.meter()?).await?;
    let state = stream.info().await?.state.clone();
    same(
        "the stream's sequences",
        state.last_sequence + 1 - state.first_sequence,
        ran.sent(),
    )?;
    ran.checked(state.messages, &server.stop_in_order()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(!can_sync("nats-server: v2.9.10"));
        assert!(can_sync("nats-server: v2.10.0") && can_sync("nats-server: 2.11.4"));
        assert!(!can_sync("") && !can_sync("nats-server"));
    }
}
