//! The data directory of `tim serve`, in which commands on the same machine find the hub and its app key.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tim_hub::MIN_KEY_LEN;

use crate::address::TextAddress;
use crate::error::{Failure, reading};

/// The default application number (SDKAppID).
pub(crate) const DEFAULT_APP_ID: u32 = 1_400_000_000;

/// The key that signs UserSigs, readable by its owner only.
const KEY_FILE: &str = "app.key";
/// The address of the hub for local commands; `tim serve` writes it at its start.
const ENDPOINT_FILE: &str = "endpoint.toml";
/// Where the messages of the directory were moved to; `tim migrate` writes it at its end.
const MOVED_FILE: &str = "moved-to";

/// The data directory option, shared by many commands.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DataArg {
    /// The hub's data directory [default: tim in $XDG_DATA_HOME or ~/.local/share].
    #[arg(long, value_name = "DIR", env = "TIM_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
}

/// A data directory, which may not exist.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// The address of a hub for commands on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The address to connect to.
    pub(crate) address: TextAddress,
    /// The application that the hub serves.
    pub(crate) app_id: u32,
}

impl DataDir {
    /// The chosen directory, or the default one.
    pub(crate) fn new(chosen: Option<PathBuf>) -> Result<Self, Failure> {
        chosen.or_else(default_path).map(Self).ok_or_else(|| {
            Failure::usage("no data directory: the home directory is unknown")
                .hint("choose a directory with --data DIR")
        })
    }

    /// Whether it is the default directory.
    pub(crate) fn is_default(&self) -> bool {
        default_path().is_some_and(|usual| usual == self.0)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the directory, accessible to its owner only.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.0)
            .map_err(|error| self.cannot_write(&self.0, &error))
    }

    /// Whether a hub has stored something here.
    pub(crate) fn has_store(&self) -> bool {
        self.0.join("tim.sqlite3").exists()
    }

    /// The path of the app key.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.0.join(KEY_FILE)
    }

    /// The app key, if there is one.
    pub(crate) fn key(&self) -> Result<Option<String>, Failure> {
        let path = self.key_path();
        match fs::read_to_string(&path) {
            Ok(text) => key_text(&text, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(reading(format_args!("the app key {}", path.display()))(error)
                .hint("run commands for this hub as the user who runs `tim serve`, or pass --sig")),
        }
    }

    /// The app key, created if there is none, and whether it was created.
    pub(crate) fn key_or_new(&self) -> Result<(String, bool), Failure> {
        if let Some(key) = self.key()? {
            return Ok((key, false));
        }
        let path = self.key_path();
        let key = new_key()?;
        match self.write_new(&path, &format!("{key}\n")) {
            Ok(()) => Ok((key, true)),
            // Another process created one first: use that.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self
                .key()?
                .map(|key| (key, false))
                .ok_or_else(|| self.cannot_write(&path, &error)),
            Err(error) => Err(self.cannot_write(&path, &error)),
        }
    }

    /// The address of this directory's hub, if one was ever started.
    pub(crate) fn endpoint(&self) -> Result<Option<Endpoint>, Failure> {
        let path = self.0.join(ENDPOINT_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|fault| {
                Failure::usage(format_args!("invalid {}: {fault}", path.display()))
                    .hint("`tim serve` rewrites it at its start; --hub ADDRESS works without it")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(reading(path.display())(error)),
        }
    }

    /// Stores the address of the hub for local commands.
    pub(crate) fn write_endpoint(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let path = self.0.join(ENDPOINT_FILE);
        let text = toml::to_string(endpoint).map_err(Failure::failed)?;
        let written = self
            .write_temporary(&text)
            .and_then(|file| Ok(file.persist(&path)?));
        written
            .map(drop)
            .map_err(|error| self.cannot_write(&path, &error))
    }

    /// Where the messages of this directory were moved to, if they were.
    pub(crate) fn moved_to(&self) -> Option<String> {
        match fs::read_to_string(self.0.join(MOVED_FILE)) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Whoever cannot read where they are must not go on here.
            Err(error) => Some(format!("a place that cannot be read in {MOVED_FILE}: {error}")),
        }
    }

    /// Notes where the messages were moved to: a hub does not go on with those that are here.
    #[cfg(feature = "postgres")]
    pub(crate) fn note_moved(&self, place: &str) -> Result<(), Failure> {
        let path = self.0.join(MOVED_FILE);
        let written = self
            .write_temporary(&format!("{place}\n"))
            .and_then(|file| Ok(file.persist(&path)?));
        written
            .map(drop)
            .map_err(|error| self.cannot_write(&path, &error))
    }

    fn write_new(&self, path: &Path, text: &str) -> io::Result<()> {
        self.write_temporary(text)?.persist_noclobber(path)?;
        Ok(())
    }

    /// A complete temporary file, readable by its owner only, to be renamed into place.
    fn write_temporary(&self, text: &str) -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn cannot_write(&self, path: &Path, error: &io::Error) -> Failure {
        Failure::failed(format_args!("cannot write {}: {error}", path.display()))
            .hint("choose another data directory with --data DIR")
    }
}

/// The default data directory, if the environment defines one.
fn default_path() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base =
        absolute("XDG_DATA_HOME").or_else(|| Some(std::env::home_dir()?.join(".local").join("share")))?;
    Some(base.join("tim"))
}

/// The key in a file's text.
fn key_text(text: &str, path: &Path) -> Result<String, Failure> {
    let key = text.trim();
    if key.is_empty() {
        return Err(
            Failure::credentials(format_args!("the app key {} is empty", path.display())).hint(
                "restore the file, or remove it: `tim serve` then creates a key, and users need new UserSigs",
            ),
        );
    }
    Ok(key.to_owned())
}

/// Rejects keys that can be guessed; an unset variable, for one, yields an empty key.
pub(crate) fn check_key(key: &str, what: impl Display) -> Result<(), Failure> {
    if key.len() >= MIN_KEY_LEN {
        return Ok(());
    }
    Err(Failure::credentials(format_args!(
        "{what} has {} bytes, but needs at least {MIN_KEY_LEN}: whoever guesses it can log in as any user",
        key.len()
    ))
    .hint("check --key, TIM_KEY or the key file; without them `tim serve` generates a key"))
}

/// Reads a key from this file.
pub(crate) fn key_from(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(reading(format_args!("the app key {}", path.display())))?;
    key_text(&text, path)
}

/// 32 random bytes in hex.
fn new_key() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format_args!("cannot get random numbers: {error}")))?;
    Ok(crate::hex::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_cannot_be_read_says_that_the_messages_are_elsewhere() {
        let (_guard, data) = dir();
        assert_eq!(data.moved_to(), None);
        fs::create_dir(data.path().join(MOVED_FILE)).unwrap();
        let place = data.moved_to().unwrap();
        assert!(place.contains(MOVED_FILE), "{place}");
    }

    fn dir() -> (tempfile::TempDir, DataDir) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(Some(dir.path().join("tim"))).unwrap();
        data.create().unwrap();
        (dir, data)
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let (_guard, data) = dir();
        assert_eq!(data.key().unwrap(), None);
        let (key, new) = data.key_or_new().unwrap();
        assert!(
            new && key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{key}"
        );
        assert_eq!(data.key_or_new().unwrap(), (key.clone(), false));
        assert_eq!(data.key().unwrap(), Some(key));
        // Nothing temporary stays behind.
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn key_and_directory_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_guard, data) = dir();
        data.key_or_new().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.path().join(KEY_FILE)), 0o600);
        assert_eq!(mode(data.path()), 0o700);
    }

    #[test]
    fn an_endpoint_is_found_again_and_replaced() {
        let (_guard, data) = dir();
        assert_eq!(data.endpoint().unwrap(), None);
        for address in ["tim://127.0.0.1:7878", "unix:/run/tim.sock"] {
            let endpoint = Endpoint {
                address: address.parse().unwrap(),
                app_id: 5,
            };
            data.write_endpoint(&endpoint).unwrap();
            assert_eq!(data.endpoint().unwrap(), Some(endpoint));
        }
    }
}
