//! One hub per data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::OpenError;

const LOCK_FILE: &str = "hub.lock";

/// Holds the operating system's locks on the directory and on its lock file. They end with the process.
///
/// The file names the process that has the directory. The lock on the directory itself holds even if the file is removed.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
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
        let mut file = open.map_err(io)?;
        lock(&file, dir, || read_pid(&file))?;
        #[cfg(unix)]
        let dir_itself = File::open(dir).map_err(io)?;
        #[cfg(unix)]
        lock(&dir_itself, dir, || None)?;
        keep_private(&path)?;
        file.set_len(0).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self {
            _file: file,
            #[cfg(unix)]
            _dir: dir_itself,
        })
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

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
