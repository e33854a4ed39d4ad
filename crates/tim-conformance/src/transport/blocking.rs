//! The kit for blocking streams: what the blocking client needs of them, and its sessions over them.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use tim_client::transport::session::Framing;
use tim_client::{ConversationId, UserId};
use tim_transport_std::blocking::{BlockingClient, BlockingConnector, BlockingStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::faults::{Faults, FaultyLink};
use super::talk::{self, Hub, Seen, Talk};
use super::{Acceptor, Checks, DEADLINE, TransportReport, bytes};
use crate::check::{Stop, Verdict, ensure, ensure_eq};

/// The limit of reads and writes.
const LIMIT: Duration = Duration::from_millis(20);
/// How much a writer writes to a reader that does not read.
const PLENTY: usize = 64 << 20;

/// The two sides of a transport whose client's side blocks.
struct BlockingEnds<C, A> {
    connector: C,
    acceptor: A,
}

/// Checks a transport whose client's side is blocking, as [`check`](super::check) does others. Its sessions are those of
/// [`BlockingClient`]. Must be called on a tokio runtime whose time is enabled.
///
/// ```
/// use tim_conformance::transport::check_blocking;
/// use tim_transport_std::blocking::TcpStreams;
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let connector = TcpStreams::new(listener.local_addr()?);
/// let report = check_blocking(connector, listener).await;
/// assert!(report.is_conforming(), "{report}");
/// # Ok(())
/// # }
/// ```
pub async fn check_blocking<C, A>(connector: C, acceptor: A) -> TransportReport
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    let mut ends = BlockingEnds { connector, acceptor };
    let mut checks = Checks::default();
    let limited = checks.within(limits(&mut ends)).await;
    checks.add("a read or write that takes too long moves nothing", limited);
    let dropped = checks.within(dropped(&mut ends)).await;
    checks.add("the end of a connection that is dropped is noticed", dropped);
    let waits = checks.within(back_pressure(&mut ends)).await;
    checks.add("a writer waits for its reader", waits);
    let pieces = talk::in_pieces(Framing::Stream).map(|talk| (0, talk));
    let largest = [(0, talk::with_largest(Framing::Stream))];
    let breaks = talk::that_break(Framing::Stream);
    let silent = talk::that_fall_silent(Framing::Stream);
    let verdict = checks.within(hold_all(&mut ends, pieces)).await;
    checks.add("sessions: pieces of one byte, and of a few", verdict);
    let verdict = checks.within(hold_all(&mut ends, largest)).await;
    checks.add("sessions: the largest frames, both ways", verdict);
    let verdict = checks.within(hold_all(&mut ends, breaks)).await;
    checks.add("sessions: the connection breaks at any byte", verdict);
    let verdict = checks.within(hold_all(&mut ends, silent)).await;
    checks.add("sessions: the connection falls silent at either end", verdict);
    checks.into_report()
}

/// Runs what blocks on a thread of its own.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Stop> + Send + 'static,
) -> Result<T, Stop> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Stop::fail(error)))
}

impl<C, A> BlockingEnds<C, A>
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    /// A connection: the client's end and the hub's.
    async fn open(&mut self) -> Result<(C::Stream, A::Link), Stop> {
        let mut connector = self.connector.clone();
        let client = apart(move || {
            let mut stream = connector.open(DEADLINE)?;
            stream.limit(DEADLINE)?;
            stream.write_all(&[0x11])?;
            stream.flush()?;
            Ok(stream)
        });
        let hub = async {
            let mut link = self.acceptor.accept().await?;
            bytes::expect(&mut link, &[0x11]).await?;
            Ok::<_, Stop>(link)
        };
        tokio::try_join!(client, hub)
    }
}

/// Whether a read or write was given up because its limit had passed.
fn is_late<T>(result: &io::Result<T>) -> bool {
    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    result.as_ref().is_err_and(|error| late.contains(&error.kind()))
}

async fn limits<C, A>(ends: &mut BlockingEnds<C, A>) -> Verdict
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    let (mut stream, mut link) = ends.open().await?;
    let mut stream = apart(move || {
        stream.limit(LIMIT)?;
        let start = Instant::now();
        let read = stream.read(&mut [0; 16]);
        ensure!(is_late(&read), "a read of nothing ended with {read:?}");
        let took = start.elapsed();
        ensure!(took >= LIMIT / 2, "a read of nothing ended after {took:?}");
        Ok(stream)
    })
    .await?;
    bytes::send(&mut link, b"what comes later").await?;
    apart(move || {
        stream.limit(DEADLINE)?;
        let mut found = [0; 16];
        stream.read_exact(&mut found)?;
        ensure_eq!(
            found,
            *b"what comes later",
            "the bytes after a read that was late"
        );
        Ok(String::new())
    })
    .await
}

async fn dropped<C, A>(ends: &mut BlockingEnds<C, A>) -> Verdict
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    let (mut stream, link) = ends.open().await?;
    drop(link);
    apart(move || {
        let read = stream.read(&mut [0; 16]);
        ensure!(
            !is_late(&read) && !matches!(read, Ok(1..)),
            "a read ended with {read:?}"
        );
        Ok(String::new())
    })
    .await
}

async fn back_pressure<C, A>(ends: &mut BlockingEnds<C, A>) -> Verdict
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    let (mut stream, mut link) = ends.open().await?;
    let (stream, written) = apart(move || {
        stream.limit(LIMIT)?;
        let mut written = 0_usize;
        while written < PLENTY {
            let piece: Vec<u8> = (written..written + 4096)
                .map(|place| (place % 251) as u8)
                .collect();
            let wrote = stream.write(&piece);
            match wrote {
                Ok(len) => written += len,
                late if is_late(&late) => return Ok((stream, written)),
                other => return Err(Stop::fail(format_args!("a write ended with {other:?}"))),
            }
        }
        Err(Stop::fail(format_args!("{PLENTY} bytes are under way")))
    })
    .await?;
    let mut found = vec![0; written];
    link.read_exact(&mut found).await?;
    let is_right = found
        .iter()
        .enumerate()
        .all(|(place, byte)| *byte == (place % 251) as u8);
    ensure!(is_right, "the bytes are others than those that were written");
    drop(stream);
    link.shutdown().await.ok();
    Ok(String::new())
}

async fn hold_all<C, A>(
    ends: &mut BlockingEnds<C, A>,
    talks: impl IntoIterator<Item = (u64, Talk)>,
) -> Verdict
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    for (place, talk) in talks {
        let held = hold(ends, talk).await;
        held.map_err(|stop| talk::at(place, &stop))?;
    }
    Ok(String::new())
}

/// Holds a talk. All messages of both directions arrive, each once and in order.
async fn hold<C, A>(ends: &mut BlockingEnds<C, A>, talk: Talk) -> Verdict
where
    C: BlockingConnector<Stream: Send> + Clone + Send + 'static,
    A: Acceptor,
{
    let (up, down) = (talk.texts("up"), talk.texts("down"));
    let mut hub = Hub::new(talk, down.clone())?;
    let connector = FaultyStreams {
        connector: ends.connector.clone(),
        faults: talk.client,
    };
    let (texts, expected) = (up.clone(), down.len());
    let talking = apart(move || converse(&talk, connector, &texts, expected));
    let seen = tokio::select! {
        biased;
        served = hub.serve(&mut ends.acceptor) => {
            served?;
            return Err(Stop::fail("the acceptor has ended"));
        }
        seen = talking => seen?,
    };
    ensure_eq!(hub.stored, up, "the messages that the hub received");
    ensure_eq!(seen.delivered, down, "the messages that the client was delivered");
    ensure!(
        !talk.breaks() || seen.connections > 1,
        "the connection did not break"
    );
    Ok(String::new())
}

/// The client's part.
fn converse<C: BlockingConnector>(
    talk: &Talk,
    connector: FaultyStreams<C>,
    texts: &[String],
    expected: usize,
) -> Result<Seen, Stop> {
    let mut seen = Seen::default();
    let mut client = BlockingClient::new(talk.client_config()?, "sig", connector, 1);
    client.session().resume_from_start();
    client
        .login(DEADLINE, |event| seen.take(&event))
        .map_err(Stop::fail)?;
    let to = ConversationId::C2c(UserId::new("bob")?);
    for (number, text) in texts.iter().enumerate() {
        let mut message = talk::message(to, number as u32, text)?;
        let stored = client.send_message(&mut message, |event| seen.take(&event));
        stored.map_err(Stop::fail)?;
    }
    if seen.delivered.len() < expected {
        client.run(DEADLINE, |event| {
            seen.take(&event);
            match seen.delivered.len() < expected {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
    }
    seen.fault()?;
    Ok(seen)
}

/// Opens streams with faults: the first one with those that break it, if there are such, and the others without.
struct FaultyStreams<C> {
    connector: C,
    faults: Faults,
}

impl<C: BlockingConnector> BlockingConnector for FaultyStreams<C> {
    type Stream = FaultyLink<C::Stream>;

    fn open(&mut self, limit: Duration) -> io::Result<Self::Stream> {
        let faults = self.faults.next();
        Ok(FaultyLink::new(self.connector.open(limit)?, faults))
    }
}

impl<S: Read> Read for FaultyLink<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(most) = self.allowance()? else {
            thread::sleep(LIMIT);
            return Err(io::ErrorKind::TimedOut.into());
        };
        let most = most.min(buffer.len());
        let read = self.link()?.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.pass(read);
        Ok(read)
    }
}

impl<S: Write> Write for FaultyLink<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(most) = self.allowance()? else {
            return Ok(bytes.len());
        };
        let part = bytes.get(..most.min(bytes.len())).unwrap_or_default();
        let written = self.link()?.write(part)?;
        self.pass(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link()?.flush()
    }
}

impl<S: BlockingStream> BlockingStream for FaultyLink<S> {
    fn limit(&mut self, limit: Duration) -> io::Result<()> {
        self.link()?.limit(limit)
    }
}
