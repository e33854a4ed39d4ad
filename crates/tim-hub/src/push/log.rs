//! A sink that writes notifications into a file: for tests, and for what follows the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::notification::{Notification, PushError, PushSink, Sending};
use crate::threads::lock;

/// Appends each notification to a file, as a line of JSON.
#[derive(Debug)]
pub struct PushLog(Arc<Mutex<File>>);

impl PushLog {
    /// Appends to this file, which is created if it does not exist, for its owner only.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        // What messages say is in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self(Arc::new(Mutex::new(options.open(path)?))))
    }
}

impl PushSink for PushLog {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        let mut line = notification.to_json().to_string();
        line.push('\n');
        let file = Arc::clone(&self.0);
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || lock(&file).write_all(line.as_bytes())).await;
            match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(PushError::unavailable(error.to_string())),
                Err(error) => Err(PushError::unavailable(error.to_string())),
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
