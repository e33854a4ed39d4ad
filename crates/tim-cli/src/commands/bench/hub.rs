//! The hub under measurement: one that runs already, or a process of our own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tim_hub::store::{Append, LogKey, MAX_BATCH, StoreWriter as _, Write};
use tim_hub::usersig::{App, UserSig};
use tim_proto::message::{Content, Text, to_vec};
use tim_proto::{ConversationId, MessageId, MessageKind, Priority, UserId};

use crate::error::Failure;
use crate::local::{DEFAULT_APP_ID, DataDir};

/// Whose conversations the prepared history is: `short` and `long` are the peers.
pub(super) const READER: &str = "bench-reader";

/// A hub to measure.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) app: App,
    process: Option<Process>,
}

/// A `tim serve` of our own, stopped when it is no longer needed.
struct Process {
    child: Child,
    /// Kept open: a program that cannot print any more may end.
    _out: BufReader<ChildStdout>,
    _data: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing worth keeping.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Target {
    /// A hub that runs already.
    pub(super) fn existing(address: SocketAddr, data: Option<PathBuf>) -> Result<Self, Failure> {
        let data = DataDir::new(data)?;
        let app_id = data
            .endpoint()?
            .map_or(DEFAULT_APP_ID, |endpoint| endpoint.app_id);
        let Some(key) = data.key()? else {
            return Err(Failure::credentials("the hub's app key is not here")
                .hint("name the hub's data directory with --data DIR: the senders' signatures are made with its key"));
        };
        Ok(Self {
            address,
            app: App::new(app_id, key),
            process: None,
        })
    }

    /// A hub of our own on a temporary directory, with this much history in it.
    pub(super) async fn own(history: Option<u64>) -> Result<Self, Failure> {
        let data = tempfile::tempdir().map_err(Failure::failed)?;
        let key = DataDir::new(Some(data.path().to_owned()))?.key_or_new()?.0;
        if let Some(len) = history {
            let path = data.path().to_owned();
            tokio::task::spawn_blocking(move || prepare_history(&path, len))
                .await
                .map_err(Failure::failed)??;
        }
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let mut child = Command::new(program)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "error",
                "--send-rate",
                "0",
                "--group-rate",
                "0",
            ])
            .arg("--data")
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::failed)?;
        let mut out = BufReader::new(
            child
                .stdout
                .take()
                .ok_or_else(|| Failure::failed("the hub has no output"))?,
        );
        let mut line = String::new();
        let read = out.read_line(&mut line);
        let process = Process {
            child,
            _out: out,
            _data: data,
        };
        read.map_err(Failure::failed)?;
        let address = line
            .strip_prefix("listening at ")
            .and_then(|rest| rest.split(',').next()?.parse().ok());
        let address = address.ok_or_else(|| Failure::failed("the hub did not start"))?;
        Ok(Self {
            address,
            app: App::new(DEFAULT_APP_ID, key),
            process: Some(process),
        })
    }

    /// The same hub, for a task of its own; it is not stopped by this one.
    pub(super) const fn remote(address: SocketAddr, app: App) -> Self {
        Self {
            address,
            app,
            process: None,
        }
    }

    /// A UserSig for a user of the measurement.
    pub(super) fn sig(&self, user: &UserId) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        UserSig::sign(&self.app, user, now, 3600)
    }

    /// How much memory the hub's process holds, in bytes; `None` for a hub that is not ours, or without /proc.
    pub(super) fn memory(&self) -> Option<u64> {
        let id = self.process.as_ref()?.child.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

/// Fills a data directory with a conversation of a thousand messages and one of `len`, past the network: it is the pages
/// that are measured.
fn prepare_history(data: &Path, len: u64) -> Result<(), Failure> {
    let (mut store, _reader) = tim_hub::store::sqlite::open(data).map_err(Failure::failed)?;
    let user = |name| UserId::new(name).map_err(Failure::failed);
    let (reader, short, long) = (user(READER)?, user("short")?, user("long")?);
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    let accounts = [reader, short, long].map(Write::EnsureAccount);
    let made = store.commit(now_ms, &accounts).map_err(Failure::failed)?;
    let Some(Ok(tim_hub::store::Written::Account { number })) = made.results.first() else {
        return Err(Failure::failed("the history's account was not made"));
    };
    let account = *number;
    let mut random = 0;
    for (peer, len) in [(short, 1_000), (long, len)] {
        let mut left = len;
        while left > 0 {
            let batch: Vec<Write> = (0..left.min(MAX_BATCH as u64))
                .map(|_| {
                    random += 1;
                    message(
                        reader,
                        peer,
                        MessageId {
                            sender: account,
                            client_time: 1,
                            random,
                        },
                    )
                })
                .collect();
            store.commit(now_ms, &batch).map_err(Failure::failed)?;
            left -= batch.len() as u64;
        }
    }
    Ok(())
}

fn message(from: UserId, to: UserId, id: MessageId) -> Write {
    let payload = to_vec(&Text {
        text: "今天天气不错,我们去爬山吧[微笑]",
    });
    let content = Content {
        to: ConversationId::C2c(to),
        id,
        client_sequence: 1,
        priority: Priority::NORMAL,
        kind: MessageKind::TEXT,
        payload: &payload,
        extensions: Default::default(),
    };
    Write::Append(Append {
        log: LogKey::c2c(from, to),
        sender: from,
        id,
        origin: 0,
        kind: MessageKind::TEXT.0,
        flags: 0,
        content: to_vec(&content).into(),
        require_membership: false,
        mentions: Vec::new(),
        mention_all: false,
    })
}
