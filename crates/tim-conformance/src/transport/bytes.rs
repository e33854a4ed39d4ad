//! The properties of the byte streams.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tim_client::transport::Connector;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::{Acceptor, Ends};
use crate::check::{Stop, Verdict, ensure, ensure_eq};

/// How many bytes are sent where the number matters.
const MANY: usize = 1 << 20;
/// How many bytes every transport holds for a reader that does not read yet.
const FEW: usize = 16;
/// More than any transport may hold back for a reader that does not read.
const TOO_MANY: usize = 64 << 20;
/// How long a writer may make no progress before it counts as waiting.
const WAITS: Duration = Duration::from_millis(300);

/// Writes bytes and flushes them.
pub(super) async fn send(link: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    link.write_all(bytes).await?;
    link.flush().await
}

/// Reads exactly these bytes.
pub(super) async fn expect(link: &mut (impl AsyncRead + Unpin), bytes: &[u8]) -> Result<(), Stop> {
    let mut read = vec![0; bytes.len()];
    link.read_exact(&mut read).await?;
    ensure!(read == bytes, "other bytes arrived than were sent");
    Ok(())
}

/// Bytes that differ from place to place, and by `seed`.
fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| byte()).collect()
}

/// Sends in pieces of odd lengths, so that borders of pieces have no meaning.
async fn send_in_pieces(link: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let (mut rest, mut len) = (bytes, 1);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        send(link, piece).await?;
        rest = behind;
        len = len * 3 % 65_521 + 1;
    }
    Ok(())
}

pub(super) async fn in_order<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let (client, hub) = ends.open().await?;
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (mut hub_reads, mut hub_writes) = tokio::io::split(hub);
    let (up, down) = (pattern(MANY, 1), pattern(MANY, 2));
    let sending = async {
        tokio::try_join!(
            send_in_pieces(&mut client_writes, &up),
            send_in_pieces(&mut hub_writes, &down),
        )?;
        Ok::<_, Stop>(())
    };
    tokio::try_join!(
        sending,
        expect(&mut hub_reads, &up),
        expect(&mut client_reads, &down)
    )?;
    Ok(String::new())
}

pub(super) async fn single_bytes<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let (mut client, mut hub) = ends.open().await?;
    for byte in 0..=255 {
        send(&mut client, &[byte]).await?;
        expect(&mut hub, &[byte]).await?;
        send(&mut hub, &[byte]).await?;
        expect(&mut client, &[byte]).await?;
    }
    Ok(String::new())
}

/// How often a write is to be dropped before it is done, and how many bytes are written for that at the most.
const DROPPED_WRITES: u32 = 100;
const FOR_DROPPED_WRITES: usize = 16 << 20;

/// The futures of reads, writes and flushes are dropped after their first poll, and the next write is of other bytes: what a write has
/// not reported was not written.
pub(super) async fn dropped_futures<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let (client, hub) = ends.open().await?;
    drops_futures(client, hub).await?;
    let (client, hub) = ends.open().await?;
    drops_futures(hub, client).await?;
    Ok(String::new())
}

async fn drops_futures(
    mut writer: impl AsyncWrite + Unpin,
    mut reader: impl AsyncRead + Unpin,
) -> Result<(), Stop> {
    let (mut sent, mut received) = (Vec::<u8>::new(), Vec::<u8>::new());
    let (mut dropped, mut round) = (0, 0_u64);
    while dropped < DROPPED_WRITES && sent.len() < FOR_DROPPED_WRITES {
        round += 1;
        // Of another length each time, from one byte to thousands.
        let bytes = pattern(1 + (round as usize * 7919) % 9000, round);
        match once(|context| Pin::new(&mut writer).poll_write(context, &bytes)).await {
            Some(len) => sent.extend(bytes.iter().take(len?)),
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
        }
        if round % 3 == 0 {
            let flushed = once(|context| Pin::new(&mut writer).poll_flush(context)).await;
            flushed.transpose()?;
        }
        // More is written than read, so that writes have to wait, and reads too when those were flushed.
        if round % 2 == 0 {
            read_once(&mut reader, &mut received).await?;
        }
    }
    let mut rest = vec![0; sent.len().saturating_sub(received.len())];
    tokio::try_join!(writer.flush(), reader.read_exact(&mut rest))?;
    received.extend(rest);
    let same = sent.iter().zip(&received).take_while(|(one, other)| one == other);
    let place = same.count();
    ensure!(
        sent == received,
        "after {dropped} dropped writes, {} bytes were written and {} arrived; they differ at byte {place}",
        sent.len(),
        received.len()
    );
    Ok(())
}

/// The result of a future that is polled once.
async fn once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|context| match poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn read_once(reader: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> Result<(), Stop> {
    let mut bytes = [0; 2000];
    let mut buffer = ReadBuf::new(&mut bytes);
    if let Some(read) = once(|context| Pin::new(&mut *reader).poll_read(context, &mut buffer)).await {
        read?;
        ensure!(!buffer.filled().is_empty(), "the connection ended");
        received.extend_from_slice(buffer.filled());
    }
    Ok(())
}

/// A transport without an end of one direction: all bytes before the end arrive, those too that were under way to the end that closes.
pub(super) async fn close<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    if ends.options.one_direction_at_a_time {
        return half_close(ends).await;
    }
    let (client, hub) = ends.open().await?;
    closes(client, hub).await?;
    let (client, hub) = ends.open().await?;
    closes(hub, client).await?;
    Ok(String::new())
}

async fn closes(
    mut first: impl AsyncRead + AsyncWrite + Unpin,
    mut second: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), Stop> {
    let last = pattern(FEW, 6);
    send(&mut second, &last).await?;
    finish(&mut first, &mut second, &pattern(10_000, 3)).await?;
    drop(second);
    let mut read = Vec::new();
    first.read_to_end(&mut read).await?;
    ensure!(
        read == last,
        "{} of {} bytes that were under way arrived",
        read.len(),
        last.len()
    );
    Ok(())
}

async fn half_close<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let (mut client, mut hub) = ends.open().await?;
    let last = pattern(10_000, 3);
    finish(&mut client, &mut hub, &last).await?;
    // The other direction is still open: the hub answers a LOGOUT, and says GOODBYE, behind the client's last byte.
    finish(&mut hub, &mut client, &last).await?;
    Ok(String::new())
}

/// Sends the last bytes of a direction. All of them arrive, and then its end.
async fn finish(
    from: &mut (impl AsyncWrite + Unpin),
    to: &mut (impl AsyncRead + Unpin),
    last: &[u8],
) -> Result<(), Stop> {
    let sending = async {
        send(from, last).await?;
        from.shutdown().await
    };
    let mut read = Vec::new();
    tokio::try_join!(sending, to.read_to_end(&mut read))?;
    ensure!(last.starts_with(&read), "other bytes arrived than were sent");
    ensure!(
        read == last,
        "{} of {} bytes before the end arrived",
        read.len(),
        last.len()
    );
    Ok(())
}

/// Reads until the end or an error; other bytes than these before it are a fault.
async fn ends_after(link: &mut (impl AsyncRead + Unpin), bytes: &[u8]) -> Result<(), Stop> {
    let mut read = Vec::new();
    // How a lost connection shows differs from transport to transport.
    let _ = link.read_to_end(&mut read).await;
    ensure!(bytes.starts_with(&read), "other bytes arrived than were sent");
    Ok(())
}

pub(super) async fn dropped<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    // In the middle of a frame: five of its bytes have left.
    let part = [0x10, 0x01, 0xff, 0x01, 0x02];
    let (mut client, mut hub) = ends.open().await?;
    send(&mut client, &part).await?;
    drop(client);
    ends_after(&mut hub, &part).await?;
    let (mut client, mut hub) = ends.open().await?;
    send(&mut hub, &part).await?;
    drop(hub);
    ends_after(&mut client, &part).await?;
    // And writing to nobody fails in the end; it does not go on for ever.
    let writing = async {
        let bytes = pattern(64 * 1024, 4);
        for _ in 0..TOO_MANY / bytes.len() {
            if send(&mut client, &bytes).await.is_err() {
                return Ok(());
            }
        }
        Err(Stop::fail("writing to a connection that is gone succeeds"))
    };
    writing.await?;
    Ok(String::new())
}

pub(super) async fn back_pressure<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let (client, hub) = ends.open().await?;
    fills_up(client, hub).await?;
    let (client, hub) = ends.open().await?;
    fills_up(hub, client).await?;
    Ok(String::new())
}

/// A writer whose reader does not read waits, and goes on where it was when the reader does.
async fn fills_up(
    mut writer: impl AsyncWrite + Unpin,
    mut reader: impl AsyncRead + Unpin,
) -> Result<(), Stop> {
    let piece = pattern(32 * 1024, 5);
    let mut written = 0;
    loop {
        let at = written % piece.len();
        let rest = piece.get(at..).unwrap_or_default();
        match tokio::time::timeout(WAITS, writer.write(rest)).await {
            Ok(len) => written += len?,
            Err(_) => break,
        }
        ensure!(
            written < TOO_MANY,
            "a writer may run {TOO_MANY} bytes ahead of its reader"
        );
    }
    let mut read = 0;
    let mut bytes = vec![0; piece.len()];
    let mut reading = pin!(async {
        while read < written {
            let len = reader.read(&mut bytes).await?;
            ensure!(
                len > 0,
                "the connection ended with {} bytes on their way",
                written - read
            );
            for byte in bytes.iter().take(len) {
                let sent = piece.get(read % piece.len());
                ensure_eq!(Some(byte), sent, "byte {read} behind a full connection");
                read += 1;
            }
        }
        Ok::<_, Stop>(())
    });
    // What a transport holds back itself leaves while the writer is polled.
    let flushing = async {
        writer.flush().await?;
        Ok::<_, Stop>(())
    };
    let (read, flushed) = tokio::join!(&mut reading, flushing);
    read?;
    flushed
}

pub(super) async fn separate<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(ends.open().await?);
    }
    for (number, (client, hub)) in open.iter_mut().enumerate() {
        let number = number as u64;
        send(client, &pattern(FEW, number)).await?;
        send(hub, &pattern(FEW, 100 + number)).await?;
    }
    // One of them ends; the others go on.
    drop(open.remove(1));
    for (number, (client, hub)) in [0, 2, 3].into_iter().zip(&mut open) {
        expect(hub, &pattern(FEW, number)).await?;
        expect(client, &pattern(FEW, 100 + number)).await?;
    }
    Ok(String::new())
}

pub(super) async fn given_up<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    for _ in 0..3 {
        drop(ends.connector.connect());
        let mut opening = pin!(ends.connector.connect());
        // Polled once, and given up.
        let _ = tokio::time::timeout(Duration::ZERO, &mut opening).await;
    }
    let connecting = ends.connector.connect();
    let client = async {
        let mut link = connecting.await?;
        send(&mut link, b"this one").await?;
        Ok::<_, Stop>(link)
    };
    // Those given up may arrive, and then end.
    let hub = async {
        loop {
            let mut link = ends.acceptor.accept().await?;
            let mut read = [0; 8];
            if link.read_exact(&mut read).await.is_ok() {
                ensure_eq!(&read, b"this one", "the first bytes");
                return Ok::<_, Stop>(link);
            }
        }
    };
    let (_client, _hub) = tokio::try_join!(client, hub)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_that_are_wrong_are_not_called_missing() {
        for (arrived, reason) in [
            (&b"ba"[..], "other bytes arrived than were sent"),
            (b"abc", "other bytes arrived than were sent"),
            (b"a", "1 of 2 bytes before the end arrived"),
        ] {
            let mut arrived = arrived;
            let stop = finish(&mut tokio::io::sink(), &mut arrived, b"ab")
                .await
                .unwrap_err();
            assert!(stop.to_string().contains(reason), "{stop}");
        }
        assert!(
            finish(&mut tokio::io::sink(), &mut &b"ab"[..], b"ab")
                .await
                .is_ok()
        );
    }
}
