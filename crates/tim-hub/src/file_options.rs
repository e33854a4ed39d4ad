//! The options of the files of a hub.

use std::path::PathBuf;
use std::time::Duration;

use tim_files::FileStoreOptions;

/// How long a file waits for the message that it was uploaded for, by default.
const UNSENT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the files of a hub are.
#[derive(Clone)]
#[non_exhaustive]
pub struct FileOptions {
    /// The directory of uploads, and of content unless [`store`](Self::store) says otherwise.
    pub directory: PathBuf,
    /// How the file store works.
    pub store: FileStoreOptions,
    /// How long a file waits for the message that it was uploaded for. Default: a day.
    pub unsent_life: Duration,
}

impl FileOptions {
    /// Files in this directory. The secret from which their names are derived is drawn at random.
    ///
    /// # Errors
    /// The operating system's, if it has no random numbers.
    pub fn new(directory: impl Into<PathBuf>) -> std::io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        Ok(Self::with_secret(directory, secret))
    }

    /// Files in this directory, with the secret from which their names are derived. It must be impossible to guess.
    #[must_use]
    pub fn with_secret(directory: impl Into<PathBuf>, secret: [u8; 32]) -> Self {
        Self {
            directory: directory.into(),
            store: FileStoreOptions::new(secret),
            unsent_life: UNSENT_LIFE,
        }
    }
}
