//! PostgreSQL with synchronous commits: a row for each message, its conversation and sequence the primary key.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::process::Command;
use tokio_postgres::{Client, NoTls, Statement};

use crate::Result;
use crate::peer::{Known, same};
use crate::server::{Server, User, find, free_port, version};
use crate::work::{Outcome, Sender, Work};

pub(crate) fn known() -> Result<Known> {
    find("initdb", &directories())?;
    User::instead_of_root("postgres")?;
    Ok(Known {
        version: version(&find("postgres", &directories())?),
        is_durable: true,
        promise: "INSERT, synchronous_commit on: synced, duplicates refused by the key; no fan-out, no unread counts",
    })
}

/// Where Debian has the programs, newest version first.
fn directories() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            Some((
                version.file_name().to_str()?.parse().ok()?,
                version.path().join("bin"),
            ))
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, directory)| directory).collect()
}

struct Inserter {
    client: Client,
    insert: Statement,
    conversation: i32,
    text: Arc<str>,
    sent: i64,
}

impl Sender for Inserter {
    async fn send(&mut self) -> Result<()> {
        let sequence = self.sent + 1;
        let text = &*self.text;
        let rows = self
            .client
            .execute(&self.insert, &[&self.conversation, &sequence, &text])
            .await?;
        same("rows of an INSERT", rows, 1)?;
        self.sent = sequence;
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent.unsigned_abs()
    }
}

async fn connect(port: u16) -> Result<Client> {
    let config = format!("host=127.0.0.1 port={port} user=bench dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) async fn run(work: &Work) -> Result<Outcome> {
    let (directory, port) = (tempfile::tempdir()?, free_port()?);
    let data = directory.path().join("data");
    let user = User::instead_of_root("postgres")?;
    let command = |program: &str| -> Result<Command> {
        let mut command = Command::new(find(program, &directories())?);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        command.current_dir(directory.path()).arg("-D").arg(&data);
        Ok(command)
    };
    if let Some(user) = user {
        user.give(directory.path())?;
    }
    let mut initdb = command("initdb")?;
    initdb.args([
        "--username=bench",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    let made = initdb.output().await?;
    if !made.status.success() {
        return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let mut postgres = command("postgres")?;
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={port}"),
        "unix_socket_directories=",
        &format!("max_connections={}", work.senders + 20),
        "fsync=on",
        "synchronous_commit=on",
    ] {
        postgres.args(["-c", setting]);
    }
    let mut server = Server::start(postgres, directory, port)?;
    let control = server.connected(connect).await?;
    control
        .batch_execute(
            "CREATE TABLE message (conversation int, sequence bigint, body text NOT NULL, PRIMARY KEY (conversation, sequence))",
        )
        .await?;
    let mut inserters = Vec::new();
    for number in 0..work.senders {
        let client = connect(port).await?;
        let insert = client.prepare("INSERT INTO message VALUES ($1, $2, $3)").await?;
        let mut inserter = Inserter {
            client,
            insert,
            conversation: number as i32,
            text: Arc::clone(&work.text),
            sent: 0,
        };
        inserter.send().await?;
        inserters.push(inserter);
    }
    let ran = work.run(inserters, &server.meter()?).await?;
    let mut found = 0;
    let count = "SELECT count(*), coalesce(max(sequence), 0) FROM message WHERE conversation = $1";
    for inserter in &ran.senders {
        let row = control.query_one(count, &[&inserter.conversation]).await?;
        let (rows, last): (i64, i64) = (row.get(0), row.get(1));
        same("rows of a conversation", rows.unsigned_abs(), inserter.sent())?;
        same(
            "the last sequence of a conversation",
            last.unsigned_abs(),
            inserter.sent(),
        )?;
        found += rows.unsigned_abs();
    }
    ran.checked(found, &server.stop_in_order()?)
}
