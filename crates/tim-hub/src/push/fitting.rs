//! Notifications as JSON of a limited size.

use sha2::{Digest as _, Sha256};

use super::notification::Notification;

const ELLIPSIS: char = '…';

/// What `write` makes of a notification, with a text that is as short as needed for so many bytes. Nothing if the rest is too long by
/// itself.
pub(super) fn fitting(
    notification: &Notification,
    most: usize,
    write: impl Fn(&Notification, &str) -> String,
) -> Option<String> {
    let mut text = notification.text.clone();
    loop {
        let written = write(notification, &text);
        let excess = written.len().saturating_sub(most);
        if excess == 0 {
            return Some(written);
        }
        let kept = text.trim_end_matches(ELLIPSIS).len();
        if kept == 0 {
            return None;
        }
        // What is escaped is longer there than here, so that this may take more than one step, each of which takes a part of what is left.
        let cut = (excess / 6).max(kept / 8).max(ELLIPSIS.len_utf8() + 1);
        let mut end = kept.saturating_sub(cut);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push(ELLIPSIS);
    }
}

/// The SHA-256 of the id: where a push service wants something of a fixed size that is the same each time.
pub(super) fn digest(notification: &Notification) -> [u8; 32] {
    Sha256::digest(notification.id.as_bytes()).into()
}
