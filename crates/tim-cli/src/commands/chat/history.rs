//! The history of input lines, in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How many lines are kept.
const KEPT: usize = 1000;

/// The history file.
#[derive(Debug)]
pub(super) struct HistoryFile(PathBuf);

impl HistoryFile {
    /// In this directory.
    pub(super) fn new(data: &Path) -> Self {
        Self(data.join("chat_history"))
    }

    /// The stored lines, oldest first; a file that has grown long is cut to its end. Empty if the file cannot be read, which
    /// must not prevent a chat.
    pub(super) fn lines(&self) -> Vec<String> {
        let Ok(bytes) = fs::read(&self.0) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        let kept = all.get(all.len().saturating_sub(KEPT)..).unwrap_or(&[]);
        if all.len() > 2 * KEPT {
            let _ = self.replace(kept);
        }
        kept.iter().map(|line| (*line).to_owned()).collect()
    }

    /// Appends a line.
    pub(super) fn add(&self, line: &str) -> io::Result<()> {
        if line.trim().is_empty() || line.contains(['\n', '\r']) {
            return Ok(());
        }
        // One write, so that concurrent chats do not mix their lines.
        private(OpenOptions::new().append(true))
            .open(&self.0)?
            .write_all(format!("{line}\n").as_bytes())
    }

    fn replace(&self, lines: &[&str]) -> io::Result<()> {
        let new = self.0.with_extension("new");
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        private(OpenOptions::new().write(true).truncate(true))
            .open(&new)?
            .write_all(text.as_bytes())?;
        fs::rename(new, &self.0)
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.create(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_for_their_user_only_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let file = HistoryFile::new(dir.path());
        assert!(file.lines().is_empty());
        for line in ["one", "", "好[呲牙]", "two\nlines"] {
            file.add(line).unwrap();
        }
        assert_eq!(file.lines(), ["one", "好[呲牙]"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&file.0).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        for n in 0..2 * KEPT {
            file.add(&n.to_string()).unwrap();
        }
        let lines = file.lines();
        assert_eq!(
            (lines.len(), lines.last().map(String::as_str)),
            (KEPT, Some("1999"))
        );
        assert_eq!(
            fs::read_to_string(&file.0).unwrap().lines().count(),
            KEPT,
            "and the file is cut"
        );
    }
}
