//! Lines of stdin, read on a thread of its own: an idle pipe must not block the connection to the hub.

use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::thread;

use tokio::sync::mpsc;

use crate::error::{Failure, reading};

/// How many lines are read ahead.
const READ_AHEAD: usize = 64;
/// The longest line that is read; no message is as long.
const MAX_LINE: usize = 1024 * 1024;

/// A line without its end, numbered from 1, or the reason why it is not text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) text: Result<String, BadLine>,
}

/// Why a line is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLine {
    /// The byte at this position, counted from 1, is not UTF-8.
    NotUtf8(usize),
    /// More than [`MAX_LINE`] bytes.
    TooLong,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8(at) => write!(f, "byte {at} is not UTF-8"),
            Self::TooLong => write!(f, "longer than {} KiB", MAX_LINE / 1024),
        }
    }
}

/// The lines of stdin.
pub(crate) struct Stdin(mpsc::Receiver<io::Result<Line>>);

impl Stdin {
    /// Starts reading.
    pub(crate) fn start() -> Self {
        let (send, lines) = mpsc::channel(READ_AHEAD);
        thread::spawn(move || {
            for line in read_lines(io::stdin().lock()) {
                if send.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Line, Failure>> {
        let line = self.0.recv().await?;
        Some(line.map_err(reading("stdin")))
    }
}

/// The lines of an input. A line that is not text is reported and skipped.
fn read_lines(mut input: impl BufRead) -> impl Iterator<Item = io::Result<Line>> {
    let (mut bytes, mut number) = (Vec::new(), 0);
    std::iter::from_fn(move || {
        bytes.clear();
        let read = input
            .by_ref()
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        number += 1;
        if bytes.len() > MAX_LINE && bytes.last() != Some(&b'\n') {
            return Some(input.skip_until(b'\n').map(|_| Line {
                number,
                text: Err(BadLine::TooLong),
            }));
        }
        // Editors on Windows begin a file with a byte order mark.
        let line = bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1);
        let line = line.unwrap_or(&bytes);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = match str::from_utf8(line) {
            Ok(text) => Ok(text.to_owned()),
            Err(fault) => Err(BadLine::NotUtf8(fault.valid_up_to() + 1)),
        };
        Some(Ok(Line { number, text }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Line> {
        read_lines(input).map(Result::unwrap).collect()
    }

    fn good(number: u64, text: &str) -> Line {
        let text = Ok(text.to_owned());
        Line { number, text }
    }

    #[test]
    fn a_bad_line_is_told_and_the_others_are_read() {
        let bad = |number, fault| Line {
            number,
            text: Err(fault),
        };
        assert_eq!(
            lines(b"one\n\nab\xf0\x9f\x91\ntwo\r\n\xff"),
            [
                good(1, "one"),
                good(2, ""),
                bad(3, BadLine::NotUtf8(3)),
                good(4, "two"),
                bad(5, BadLine::NotUtf8(1)),
            ]
        );
        let long = "x".repeat(MAX_LINE);
        let input = format!("{long}y\n{long}\nend");
        assert_eq!(
            lines(input.as_bytes()),
            [bad(1, BadLine::TooLong), good(2, &long), good(3, "end")]
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(
            lines("\u{feff}one\n\u{feff}two".as_bytes()),
            [good(1, "one"), good(2, "\u{feff}two")]
        );
    }
}
