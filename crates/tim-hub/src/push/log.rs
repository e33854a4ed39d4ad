//! A sink that writes notifications into a file: for tests, and for what follows the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::notification::{Notification, PushError, PushSink, Sending};
use crate::threads::lock;

/// Appends each notification to a file, as a line of JSON. One that waits for a file that hangs holds no thread.
#[derive(Debug)]
pub struct PushLog {
    path: PathBuf,
    lines: Arc<Mutex<Lines>>,
    /// One notification is written at a time. Its thread keeps the permit, also when nobody waits for it any more.
    turn: Arc<Semaphore>,
}

/// A file of lines.
#[derive(Debug)]
struct Lines {
    file: File,
    /// Something may be in it behind the last line: part of one, from a disk that was full.
    is_cut: bool,
}

impl PushLog {
    /// Appends to this file, which is created if it does not exist, for its owner only. If it does not end with a line break, that comes
    /// first.
    ///
    /// # Errors
    /// The operating system's, or that it is no regular file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let lines = Arc::new(Mutex::new(Lines::open(&path)?));
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { path, lines, turn })
    }

    /// Opens the file anew, after something has renamed it. Blocks for as long as that takes.
    ///
    /// # Errors
    /// As for [`open`](Self::open). The file that was open stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let opened = Lines::open(&self.path)?;
        *lock(&self.lines) = opened;
        Ok(())
    }
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        // A pipe that nobody reads would block.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let what = "it is no regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        // What messages say is in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let is_cut = last != [b'\n'];
        Ok(Self { file, is_cut })
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let line_break = if self.is_cut { "\n" } else { "" };
        // Unless all of it is written.
        self.is_cut = true;
        self.file.write_all(format!("{line_break}{line}\n").as_bytes())?;
        self.is_cut = false;
        Ok(())
    }
}

impl PushSink for PushLog {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(async move {
            let unavailable = |error: &dyn std::fmt::Display| PushError::unavailable(error.to_string());
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            let turn = turn.map_err(|error| unavailable(&error))?;
            let line = notification.to_json().to_string();
            let lines = Arc::clone(&self.lines);
            let writing = tokio::task::spawn_blocking(move || {
                let written = lock(&lines).write(&line);
                drop(turn);
                written
            });
            match writing.await {
                Ok(written) => written.map_err(|error| unavailable(&error)),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn name(&self) -> &str {
        "log"
    }
}

impl Notification {
    /// As JSON: what [`PushLog`] writes. Fields that are absent are `null`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "user": self.user.as_str(),
            "platform": self.platform.to_string(),
            "token": self.token,
            "title": self.title,
            "text": self.text,
            "ext": self.extension,
            "badge": self.badge,
            "channel": self.channel,
            "conversation": self.conversation.to_string(),
            "sequence": self.sequence,
            "message": self.message.to_string(),
            "sender": self.sender.as_str(),
            "time": self.time,
            "expires": self.expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tim_proto::request::PushPlatform;
    use tim_proto::{ConversationId, MessageId, UserId};
    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    fn notification() -> Notification {
        Notification {
            id: "1".to_owned(),
            user: UserId::new("bob").unwrap(),
            platform: PushPlatform::IOS,
            token: "phone".to_owned(),
            title: "alice".to_owned(),
            text: "hello".to_owned(),
            extension: String::new(),
            badge: None,
            channel: None,
            conversation: ConversationId::System,
            sequence: 1,
            message: MessageId::NONE,
            sender: UserId::new("alice").unwrap(),
            time: 0,
            expires: 0,
        }
    }

    #[test]
    fn a_file_that_hangs_holds_one_thread_however_often_it_is_tried() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (log, notification) = (PushLog::open(&path).unwrap(), notification());
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let hangs = lock(&log.lines);
        for _ in 0..10 {
            let sent = runtime.block_on(async { timeout(Duration::ZERO, log.send(&notification)).await });
            assert!(sent.is_err(), "it takes too long");
        }
        assert_eq!(
            Arc::strong_count(&log.lines),
            2,
            "the log's, and that of the first"
        );
        drop(hangs);
        runtime.block_on(log.send(&notification)).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written.lines().count(), 2, "the first and the last");
    }
}
