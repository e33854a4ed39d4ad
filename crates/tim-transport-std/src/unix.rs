//! Unix sockets: connecting to one, and listening at one.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::connect::Connector;

/// How long a probe waits for the owner of a socket file to accept a connection. An owner that takes longer counts as alive.
const PROBE: Duration = Duration::from_secs(1);

/// Connects to a Unix socket.
#[derive(Debug, Clone)]
pub struct UnixConnector {
    path: Arc<Path>,
}

impl UnixConnector {
    /// Connects to the socket at this path.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().into(),
        }
    }
}

impl Connector for UnixConnector {
    type Link = UnixStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<UnixStream>> + Send + 'static {
        let path = Arc::clone(&self.path);
        async move { UnixStream::connect(path).await }
    }
}

/// Listens at a Unix socket with these permissions, such as `0o600`. Who may connect is whoever may write to it.
///
/// A socket file that nobody listens at, which a killed hub leaves behind, is replaced. The new one appears with its
/// permissions, never with wider ones.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] if somebody listens there; [`io::ErrorKind::AlreadyExists`] if the file is not a socket; else the
/// system's.
pub async fn listen(path: impl AsRef<Path>, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let path = path.as_ref();
    check_length(path)?;
    let is_stale = is_stale(path).await?;
    let directory = Hidden::create(path)?;
    let hidden = directory.0.join(NEW);
    check_length(&hidden)?;
    let listener = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(mode))?;
    let made = fs::symlink_metadata(&hidden)?;
    if is_stale {
        info!(path = %path.display(), "the socket of a hub that has not stopped cleanly is replaced");
        remove_stale(path, &directory.0.join(OLD)).await?;
    }
    put(&hidden, path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: (made.dev(), made.ino()),
    };
    Ok((listener, file))
}

/// The system limits the paths of sockets.
fn check_length(path: &Path) -> io::Result<()> {
    let too_long = |_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is too long for a Unix socket",
        )
    };
    std::os::unix::net::SocketAddr::from_pathname(path)
        .map(drop)
        .map_err(too_long)
}

/// Whether there is a socket file that nobody listens at.
async fn is_stale(path: &Path) -> io::Result<bool> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of this name, which is not a socket",
        ));
    }
    match tokio::time::timeout(PROBE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        // It has been removed meanwhile.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A full queue of connections is a sign of life, too.
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(in_use()),
    }
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")
}

/// Removes a socket file that nobody listens at. It is moved to `aside` first and looked at once more: another process that found the
/// same one stale may have put its own in its place since. That one is put back.
async fn remove_stale(path: &Path, aside: &Path) -> io::Result<()> {
    match fs::rename(path, aside) {
        Ok(()) => {}
        // The other process has it, and is about to put its own there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Ok(true) = is_stale(aside).await {
        return fs::remove_file(aside);
    }
    match put(aside, path) {
        // Of another owner: a second link to it is not allowed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => fs::rename(aside, path)?,
        result => result?,
    }
    Err(in_use())
}

/// Gives a file a name that no other file has.
fn put(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(in_use()),
        Err(error) => Err(error),
        Ok(()) => fs::remove_file(file),
    }
}

/// The names in a [`Hidden`] directory: of the socket that gets its permissions, and of one that is replaced.
const NEW: &str = "s";
const OLD: &str = "o";

/// A directory that only its owner can enter, in which a socket gets its permissions before it has its name.
struct Hidden(PathBuf);

impl Hidden {
    fn create(beside: &Path) -> io::Result<Self> {
        let parent = beside.parent().unwrap_or_else(|| Path::new("/"));
        // The name is short, because what is in it has a longer path than the socket, and that is limited.
        for number in 0..1000 {
            // Others are of processes that start at the same time, or that were killed then.
            let path = parent.join(format!(".t{number}"));
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // What is in it was moved out, unless something failed.
        let _ = fs::remove_file(self.0.join(NEW));
        let _ = fs::remove_dir(&self.0);
    }
}

/// The file of a socket, which is removed when this is dropped, unless it is another one by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl SocketFile {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path).map(|file| (file.dev(), file.ino()));
        if found.is_ok_and(|identity| identity == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %error, "the socket cannot be removed");
        }
    }
}
