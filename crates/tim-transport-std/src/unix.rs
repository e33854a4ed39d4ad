//! Unix sockets: connecting to one, and listening at one.

use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, process};

use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::connect::Connector;

/// How long the owner of a socket file may take to accept a connection before it counts as alive all the same.
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
/// [`io::ErrorKind::AddrInUse`] if somebody listens there; [`io::ErrorKind::AlreadyExists`] if the file is no socket; else the
/// system's.
pub async fn listen(path: impl AsRef<Path>, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let path = path.as_ref();
    let is_stale = is_stale(path).await?;
    let directory = Hidden::create(path)?;
    let hidden = directory.0.join("s");
    let listener = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(mode))?;
    let made = fs::symlink_metadata(&hidden)?;
    if is_stale {
        info!(path = %path.display(), "the socket of a hub that has not stopped cleanly is replaced");
        fs::rename(&hidden, path)?;
    } else {
        // Fails if there is a file by now.
        fs::hard_link(&hidden, path)?;
        fs::remove_file(&hidden)?;
    }
    let file = SocketFile {
        path: path.to_owned(),
        identity: (made.dev(), made.ino()),
    };
    Ok((listener, file))
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
            "there is a file of this name, which is no socket",
        ));
    }
    match tokio::time::timeout(PROBE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        // It has been removed meanwhile.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A full queue of connections is a sign of life, too.
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

/// A directory that only its owner can enter, in which a socket gets its permissions before it has its name.
struct Hidden(PathBuf);

impl Hidden {
    fn create(beside: &Path) -> io::Result<Self> {
        let parent = beside.parent().unwrap_or_else(|| Path::new("/"));
        // Of another process that was killed, or that is in a container with the same number.
        let numbers = process::id()..;
        for number in numbers.take(100) {
            let path = parent.join(format!(".tim{number}"));
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
        let _ = fs::remove_file(self.0.join("s"));
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
