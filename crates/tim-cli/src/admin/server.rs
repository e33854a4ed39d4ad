//! The hub's end of the socket.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tim_hub::{Hub, WriteError};
use tim_transport_std::unix::{self, SocketFile};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::{Answer, MAX_PAGE, Request, socket};

/// The longest request.
const MAX_REQUEST: u64 = 64 * 1024;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many damaged files the log names.
const LOGGED: usize = 10;
/// How many are served at a time.
const MAX_CONNECTIONS: usize = 8;

/// The socket of a hub. Its file goes with it.
pub(crate) struct Server {
    listener: UnixListener,
    _file: SocketFile,
}

impl Server {
    /// Listens in the data directory, which the hub has locked.
    pub(crate) async fn open(data: &Path) -> io::Result<Self> {
        let (listener, file) = unix::listen(socket(data), 0o600).await?;
        Ok(Self {
            listener,
            _file: file,
        })
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self, hub: Arc<Hub>) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let hub = Arc::clone(&hub);
                    tokio::spawn(async move {
                        // Whoever asked may have gone.
                        let _ = serve_one(stream, hub).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "an administrator cannot connect");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve_one(mut stream: UnixStream, hub: Arc<Hub>) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let begun = serde_json::to_string(&Answer::Begun)? + "\n";
    stream.write_all(begun.as_bytes()).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => answer(hub, request).await,
        Err(error) => Err(format!("this hub does not understand the request: {error}")),
    };
    let answer = match answer {
        Ok(value) => Answer::Done(value),
        Err(reason) => Answer::Failed(reason),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

async fn answer(hub: Arc<Hub>, request: Request) -> Result<Value, String> {
    let lost = |_| "the hub stops".to_owned();
    match request {
        Request::Dismiss { group } => {
            info!(%group, "an administrator dismisses a group");
            let dismissed = hub.reclaim_group(group).await;
            dismissed.map_err(|error: WriteError| error.to_string())?;
            Ok(Value::Null)
        }
        Request::Kick { user } => {
            info!(%user, "an administrator ends the sessions of a user");
            let sessions = hub.kick(user).await;
            let sessions = sessions.map_err(|error: WriteError| error.to_string())?;
            Ok(json!({ "sessions": sessions }))
        }
        Request::Block { user, blocked } => {
            info!(%user, blocked, "an administrator says whether a user is kept out");
            let sessions = hub.block(user, blocked).await;
            let sessions = sessions.map_err(|error: WriteError| error.to_string())?;
            Ok(json!({ "blocked": blocked, "sessions": sessions }))
        }
        other => tokio::task::spawn_blocking(move || answer_here(&hub, other))
            .await
            .map_err(lost)?,
    }
}

/// On a thread that may wait for the disk.
fn answer_here(hub: &Hub, request: Request) -> Result<Value, String> {
    match request {
        Request::Statistics => {
            Ok(json!({ "ready": hub.not_ready().is_none(), "metrics": samples(&hub.metrics()) }))
        }
        Request::Backup { to, before } => {
            info!(to = %to.display(), "a backup begins");
            let made = hub.back_up(&to, before.as_deref());
            let report = made
                .inspect_err(|error| warn!(%error, "there is no backup"))
                .map_err(|error| error.to_string())?;
            info!(to = %to.display(), entries = report.entries, "a backup was made");
            if report.damaged_files > 0 {
                let damage = report.damage.iter().take(LOGGED).map(String::as_str);
                let damage = damage.collect::<Vec<_>>().join("; ");
                warn!(
                    files = report.damaged_files,
                    damage, "the backup lacks content that is missing or damaged here, too"
                );
            }
            Ok(crate::commands::backup::value(&report))
        }
        Request::User { user } => match hub.user(&user).map_err(|error| error.to_string())? {
            Some(found) => Ok(json!({
                "user": user.as_str(),
                "account": found.number,
                "nick": found.nick,
                "blocked": found.is_blocked,
                "devices": found.devices,
                "groups": found.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
                "files": found.files,
                "fileBytes": found.file_bytes,
            })),
            None => Err(format!("{user} has no account")),
        },
        Request::Groups { after, limit } => {
            let limit = limit.clamp(1, MAX_PAGE) as usize;
            let page = hub.groups(after, limit).map_err(|error| error.to_string())?;
            let groups: Vec<_> = page.groups.iter().map(|group| group.as_str()).collect();
            Ok(json!({ "groups": groups, "total": page.total, "next": page.next }))
        }
        Request::Group { group } => match hub.group(&group).map_err(|error| error.to_string())? {
            Some(found) => Ok(json!({
                "group": group.as_str(),
                "type": found.group.group_type.to_string(),
                "name": found.group.name,
                "owner": found.group.owner.as_str(),
                "members": found.group.member_count,
                "newest": found.head_sequence,
            })),
            None => Err(format!("there is no group {group}")),
        },
        Request::Dismiss { .. } | Request::Kick { .. } | Request::Block { .. } => {
            Err("this is done elsewhere".to_owned())
        }
    }
}

/// The samples of a page of metrics, without the buckets of histograms.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    samples
        .filter(|(series, _)| !series.contains("_bucket{"))
        .filter_map(|(series, value)| Some((series, value.parse().ok()?)))
        .collect()
}
