//! One hub per data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::OpenError;

const LOCK_FILE: &str = "hub.lock";

/// Holds the operating system's locks on the directory and on its lock file. They end with the process.
///
/// The file names the process that has the directory. The lock on the directory itself holds even if the file is removed.
#[derive(Debug)]
pub(super) struct DirLock {
    file: File,
    before: Before,
    /// Whether this process has opened the store. Its number does not say so: in a container, every hub may have the same.
    is_open: AtomicBool,
    #[cfg(unix)]
    _dir: File,
}

impl DirLock {
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io {
            path: dir.to_owned(),
            error,
        };
        fs::create_dir_all(dir).map_err(io)?;
        let path = dir.join(LOCK_FILE);
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = open.map_err(io)?;
        lock(&file, dir, || read_pid(&file))?;
        #[cfg(unix)]
        let dir_itself = File::open(dir).map_err(io)?;
        #[cfg(unix)]
        lock(&dir_itself, dir, || None)?;
        keep_private(&path)?;
        Ok(Self {
            before: Before::read(&file),
            file,
            is_open: AtomicBool::new(false),
            #[cfg(unix)]
            _dir: dir_itself,
        })
    }
}

/// What the lock file says about the last hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// There was none that has opened the store.
    Unused,
    /// It has stopped.
    Stopped,
    /// It was killed.
    Killed,
}

/// What the lock file says after a hub has stopped.
const STOPPED: &str = "stopped";

impl Before {
    fn read(file: &File) -> Self {
        let mut text = String::new();
        let read = file.take(32).read_to_string(&mut text);
        match text.trim() {
            "" if read.is_ok() => Self::Unused,
            pid if pid.parse::<u32>().is_ok() => Self::Killed,
            _ => Self::Stopped,
        }
    }
}

impl DirLock {
    /// Whether a hub has opened the store in this directory before.
    pub(super) fn was_used(&self) -> bool {
        self.before != Before::Unused
    }

    /// Whether that hub did not stop by itself.
    pub(super) fn was_killed(&self) -> bool {
        self.before == Before::Killed
    }

    /// The store is open: names this process, until it stops.
    pub(super) fn mark_used(&self) -> io::Result<()> {
        self.is_open.store(true, Ordering::Relaxed);
        self.write(&std::process::id().to_string())
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{text}")
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Of a store that could not be opened, it says what it said before.
        if self.is_open.load(Ordering::Relaxed) {
            let _ = self.write(STOPPED);
        }
    }
}

/// Whether a hub uses the directory. Changes nothing.
pub(super) fn is_held(dir: &Path) -> io::Result<bool> {
    let file = if cfg!(unix) {
        File::open(dir)?
    } else {
        File::open(dir.join(LOCK_FILE))?
    };
    Ok(matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn lock(file: &File, dir: &Path, pid: impl FnOnce() -> Option<u32>) -> Result<(), OpenError> {
    let path = dir.to_owned();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path, pid: pid() }),
        Err(TryLockError::Error(error)) => Err(OpenError::Io { path, error }),
    }
}

/// Makes a file readable for its owner only, even if it existed before.
pub(super) fn keep_private(path: &Path) -> Result<(), OpenError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for beside in ["", "-wal", "-shm"] {
            let mut path = path.as_os_str().to_owned();
            path.push(beside);
            match fs::set_permissions(&path, fs::Permissions::from_mode(0o600)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = path.into();
                    return Err(OpenError::Io { path, error });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn read_pid(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
