//! How `tim admin` and `tim backup` reach the hub that runs on a data directory: through a socket in it, which only the hub's user may
//! use. A connection is one request and its answers, each a line of JSON: that the work has begun, and what came of it.

mod client;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tim_proto::{GroupId, UserId};

pub(crate) use client::{ask, is_there};
pub(crate) use server::Server;

/// The longest line.
const MAX_LINE: u64 = 8 << 20;
/// The most groups of a page.
pub(crate) const MAX_PAGE: u32 = 1_000;

/// What the hub is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Its numbers.
    Statistics,
    /// A backup at a place that does not exist yet.
    Backup { to: PathBuf, before: Option<PathBuf> },
    /// Ends the sessions of a user, and makes earlier UserSigs void.
    Kick { user: UserId },
    /// Keeps a user out, or lets the user in again.
    Block { user: UserId, blocked: bool },
    /// What is known of a user.
    User { user: UserId },
    /// A page of groups, behind the number that the page before ended with.
    Groups { after: u64, limit: u32 },
    /// What is known of a group.
    Group { group: GroupId },
    /// Dismisses a group in the system's name.
    Dismiss { group: GroupId },
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// The request has come; the outcome follows when the work is done.
    Begun,
    Done(Value),
    Failed(String),
}

/// Where the socket is.
fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}
