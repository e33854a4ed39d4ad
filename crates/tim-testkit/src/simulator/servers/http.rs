//! As much of HTTP/1.1 as a server needs that the hub posts to.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// The longest request that is read.
const MAX_REQUEST: usize = 1 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    /// Its body.
    pub(super) body: Vec<u8>,
    /// `Idempotency-Key`.
    pub(super) key: Option<String>,
}

/// A connection from the hub.
pub(super) struct Connection {
    stream: DuplexStream,
    read: Vec<u8>,
}

impl Connection {
    pub(super) const fn new(stream: DuplexStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The next request; `None` if the hub has closed the connection.
    pub(super) async fn request(&mut self) -> Option<Request> {
        loop {
            if let Some((request, len)) = parse(&self.read) {
                self.read.drain(..len);
                return Some(request);
            }
            assert!(
                self.read.len() < MAX_REQUEST,
                "the hub sends a request without end"
            );
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Answers; whether the hub was still there.
    pub(super) async fn answer(&mut self, status: u16, headers: &str, body: &str) -> bool {
        let len = body.len();
        let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: {len}\r\n{headers}\r\n{body}");
        self.stream.write_all(answer.as_bytes()).await.is_ok()
    }

    /// Answers with the beginning of something.
    pub(super) async fn answer_half(&mut self) {
        let _ = self.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Len").await;
    }

    /// Ready when the hub has closed the connection.
    pub(super) async fn closed(&mut self) {
        while self
            .stream
            .read_buf(&mut self.read)
            .await
            .is_ok_and(|read| read > 0)
        {}
    }
}

/// A whole request at the beginning of these bytes, and its length.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_len]);
    let value = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().to_owned())
    };
    let body_len = value("content-length").and_then(|value| value.parse::<usize>().ok());
    let body_len = body_len.unwrap_or_else(|| panic!("a request without its length: {head}"));
    let body = bytes.get(head_len..head_len + body_len)?.to_vec();
    let key = value("idempotency-key");
    Some((Request { body, key }, head_len + body_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_after_another() {
        let one = b"POST /?a=b HTTP/1.1\r\nhost: x\r\nIdempotency-Key: k\r\ncontent-length: 3\r\n\r\nabc";
        let bytes = [&one[..], b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"].concat();
        assert!(parse(&bytes[..one.len() - 1]).is_none());
        let (first, len) = parse(&bytes).unwrap();
        assert_eq!(
            (first.body.as_slice(), first.key.as_deref(), len),
            (&b"abc"[..], Some("k"), one.len())
        );
        let (second, len) = parse(&bytes[len..]).unwrap();
        assert_eq!(
            (second.body.len(), second.key, len),
            (0, None, bytes.len() - one.len())
        );
    }
}
