//! The head of an HTTP request or response: how it is read, and what both ends look for in it.

use std::io;

use httparse::Header;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::forwarded::text;

/// The most headers of a head.
pub(super) const MAX_HEADERS: usize = 64;
/// How many bytes are read at a time.
const CHUNK: usize = 1024;
const END: &[u8] = b"\r\n\r\n";

/// Why a head could not be read.
#[derive(Debug)]
pub(super) enum HeadError {
    Io(io::Error),
    /// It is longer than the limit.
    TooLong,
    /// What arrives does not begin as HTTP does.
    NotHttp,
}

/// Reads up to the end of a head. Returns it, and what arrived behind it. `first` says which bytes it may begin with.
pub(super) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
    first: fn(u8) -> bool,
) -> Result<(Vec<u8>, Vec<u8>), HeadError> {
    let mut head = Vec::new();
    loop {
        let searched = head.len().saturating_sub(END.len() - 1);
        let room = CHUNK.min((max + 1).saturating_sub(head.len())) as u64;
        let len = (&mut *stream)
            .take(room)
            .read_buf(&mut head)
            .await
            .map_err(HeadError::Io)?;
        if len == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        if !head.first().copied().is_some_and(first) {
            return Err(HeadError::NotHttp);
        }
        let tail = head.get(searched..).unwrap_or_default();
        let end = tail.windows(END.len()).position(|bytes| bytes == END);
        let end = end.map(|at| searched + at + END.len());
        if end.unwrap_or(head.len()) > max {
            return Err(HeadError::TooLong);
        }
        if let Some(end) = end {
            let behind = head.split_off(end);
            return Ok((head, behind));
        }
    }
}

/// The value of the only header of this name; `Err` if there are several, or if it is not ASCII.
pub(super) fn single<'h>(headers: &[Header<'h>], name: &str) -> Result<Option<&'h str>, ()> {
    let mut found = values(headers, name);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value).map(Some).ok_or(()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Whether one of the headers of this name has the token in its list.
pub(super) fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    values(headers, name)
        .filter_map(text)
        .any(|value| tokens(value).any(|one| one.eq_ignore_ascii_case(token)))
}

/// The values of the headers of this name, in order.
pub(super) fn values<'h>(headers: &[Header<'h>], name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

pub(super) fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_ends_where_it_ends_however_it_is_cut() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for max in [27, 28, 1000] {
            for piece in [1, 2, 3, 5, 1000] {
                let (mut here, there) = tokio::io::duplex(piece);
                let write = async {
                    let mut there = there;
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut there, bytes).await;
                };
                let (read, ()) = tokio::join!(read_head(&mut here, max, |b| b == b'G'), async {
                    tokio::select! {
                        () = write => {}
                        () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
                    }
                });
                match read {
                    Ok((head, behind)) => {
                        assert_eq!((head.len(), bytes.starts_with(&head)), (27, true));
                        assert!(b"rest".starts_with(&behind[..]));
                    }
                    Err(error) => panic!("{max} {piece}: {error:?}"),
                }
            }
        }
        let mut long = &bytes[..];
        assert!(matches!(
            read_head(&mut long, 26, |_| true).await,
            Err(HeadError::TooLong)
        ));
        let mut other = &b"tim\x1a"[..];
        assert!(matches!(
            read_head(&mut other, 26, |b| b.is_ascii_uppercase()).await,
            Err(HeadError::NotHttp)
        ));
    }
}
