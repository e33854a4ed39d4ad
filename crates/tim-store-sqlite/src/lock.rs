//! One hub per data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::{OpenError, only_file};

const LOCK_FILE: &str = "hub.lock";

/// Holds the operating system's locks on the directory and on its lock file. They end with the process.
///
/// The file names the process that has the directory. The lock on the directory itself holds even if the file is removed.
#[derive(Debug)]
pub(super) struct DirLock {
    file: File,
    before: Before,
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
        only_file(&path).map_err(|error| OpenError::Io {
            path: path.clone(),
            error,
        })?;
        let existed = path.exists();
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
            before: match Before::read(&file) {
                Before::Unused if existed => Before::Begun,
                before => before,
            },
            file,
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
    /// There was one that has not opened the store.
    Begun,
    /// It has stopped, and left everything in the database.
    Stopped,
    /// It was killed, or could not leave everything in the database.
    Killed,
}

/// What the lock file says after a hub has stopped.
const STOPPED: &str = "stopped";
/// The length of what it says: that of the longest process number.
const LINE: usize = 10;

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
        !matches!(self.before, Before::Unused | Before::Begun)
    }

    /// Whether a hub was here that has not opened the store.
    pub(super) fn was_begun(&self) -> bool {
        self.before == Before::Begun
    }

    /// Whether that hub may have left something in the log.
    pub(super) fn was_killed(&self) -> bool {
        self.before == Before::Killed
    }

    /// The store is open: names this process, until [everything is in the database](Self::mark_stopped).
    pub(super) fn mark_used(&self) -> io::Result<()> {
        self.write(&std::process::id().to_string())
    }

    /// Everything is in the database. Durable when this returns: the log is emptied next, and an empty log of a killed hub is damage.
    pub(super) fn mark_stopped(&self) -> io::Result<()> {
        self.write(STOPPED)?;
        self.file.sync_all()
    }

    /// Writes over what is there, which a full disk allows, and leaves no moment in which the file says nothing.
    fn write(&self, text: &str) -> io::Result<()> {
        let line = format!("{text:<LINE$}\n");
        let mut file = &self.file;
        file.rewind()?;
        file.write_all(line.as_bytes())?;
        file.set_len(line.len() as u64)
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

/// Whether the last hub in the directory may have left something in the log. Changes nothing.
pub(super) fn was_killed(dir: &Path) -> io::Result<bool> {
    match File::open(dir.join(LOCK_FILE)) {
        Ok(file) => Ok(Before::read(&file) == Before::Killed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
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
