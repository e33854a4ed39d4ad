//! A device on the hub under test: the driver without an executor, on a thread of its own, and what it has in flash.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tim_client::proto::message::{Envelope, Payload, SendOptions};
use tim_client::proto::{ConversationId, MessageId, Priority, UserId};
use tim_transport_embedded::{
    ClientConfig, ConnectionLost, Event, OutboxStorage, PolledClock, PolledDevice, PolledTransport,
    Resources, StorageFailed,
};
use tokio::io::ReadBuf;
use tokio::runtime::Handle;

use crate::check::{Stop, ensure};
use crate::lab::Lab;
use crate::target::{Link, Target};

/// How long a device waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for an answer that does not come.
const ANSWER: Duration = Duration::from_millis(500);

/// What a device keeps over its resets.
#[derive(Default)]
pub(crate) struct Flash {
    cursor: Vec<u8>,
    pub(crate) outbox: Vec<(MessageId, Vec<u8>)>,
}

impl OutboxStorage for Flash {
    async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<(), StorageFailed> {
        self.outbox.push((*id, record.to_vec()));
        Ok(())
    }

    async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        self.outbox.retain(|(other, _)| other != id);
        Ok(())
    }

    async fn oldest(&mut self, record: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        let Some((id, kept)) = self.outbox.first() else {
            return Ok(None);
        };
        let room = record.get_mut(..kept.len()).ok_or(StorageFailed)?;
        room.copy_from_slice(kept);
        Ok(Some((*id, kept.len())))
    }
}

/// An entry that a device was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) to: ConversationId,
    pub(crate) from: UserId,
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) priority: Priority,
    pub(crate) text: String,
}

/// What becomes of what a device writes and reads.
#[derive(Default)]
struct Line {
    /// Nothing of what it writes arrives.
    is_mute: AtomicBool,
    /// Nothing arrives at it.
    is_deaf: AtomicBool,
    /// The check has ended, or there is no hub.
    ends: AtomicBool,
}

/// A device from one reset to the next.
pub(crate) struct Firmware<'m> {
    device: PolledDevice<'m, Wire, HostClock>,
    pub(crate) flash: Flash,
    line: Arc<Line>,
    /// Whether an entry came as a compact delivery.
    pub(crate) got_compact: bool,
}

/// How a device is configured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Boot {
    /// It asks for compact deliveries.
    pub(crate) compact: bool,
    /// It soon gives up waiting for an answer.
    pub(crate) unanswered: bool,
}

/// Boots a device, does something with it, and resets it. `number` is that of the device.
pub(crate) async fn boot<T: Send + 'static>(
    lab: &Lab,
    (user, number): (UserId, u64),
    flash: Flash,
    options: Boot,
    work: impl FnOnce(&mut Firmware<'_>) -> Result<T, Stop> + Send + 'static,
) -> Result<(T, Flash), Stop> {
    let line = Arc::new(Line::default());
    let wire = Wire {
        target: lab.target(),
        handle: Handle::current(),
        line: Arc::clone(&line),
        link: None,
    };
    let mut config = ClientConfig::new(lab.target().app(), user, number);
    if options.unanswered {
        config.request_timeout = ANSWER;
    }
    config.compact = options.compact;
    let sig = lab.target().sign(&user);
    let seed = getrandom::u64().map_err(|error| Stop::fail(format_args!("no random numbers: {error}")))?;
    // A check that is given up ends the device.
    let ends = EndsLine(Arc::clone(&line));
    let life = tokio::task::spawn_blocking(move || {
        let mut buffers = Resources::<1024, 1024, 1024>::new();
        let clock = HostClock(Instant::now());
        let mut device = PolledDevice::new(config, sig.as_str(), &mut buffers, seed, wire, clock);
        if !flash.cursor.is_empty() {
            ensure!(
                device.session().resume_from(&flash.cursor),
                "the device does not take the cursor that it was given"
            );
        }
        device.login();
        let mut firmware = Firmware {
            device,
            flash,
            line,
            got_compact: false,
        };
        let done = work(&mut firmware)?;
        Ok((done, firmware.flash))
    });
    let done = life
        .await
        .map_err(|error| Stop::fail(format_args!("the device failed: {error}")))?;
    drop(ends);
    done
}

struct EndsLine(Arc<Line>);

impl Drop for EndsLine {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

impl Firmware<'_> {
    /// Waits until it is ready.
    pub(crate) fn enter(&mut self) -> Result<(), Stop> {
        let deadline = Instant::now() + PATIENCE;
        while !self.device.is_ready() {
            self.step(deadline, "being ready")?;
        }
        self.save_cursor();
        Ok(())
    }

    /// The next entry, with which the cursor is saved. It is not acknowledged yet.
    pub(crate) fn receives(&mut self) -> Result<Entry, Stop> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(entry) = self.step(deadline, "an entry")? {
                self.save_cursor();
                return Ok(entry);
            }
        }
    }

    fn save_cursor(&mut self) {
        self.flash.cursor = self.device.cursor().to_vec();
    }

    fn step(&mut self, deadline: Instant, what: &str) -> Result<Option<Entry>, Stop> {
        let is_over = Instant::now() > deadline || self.line.ends.load(Ordering::Relaxed);
        ensure!(!is_over, "a device waited for {what} in vain");
        match self.device.poll() {
            Some(Event::Delivered(delivery)) => {
                self.got_compact = delivery.encoded().is_none();
                let message = delivery.message();
                let Envelope {
                    sequence, time, from, ..
                } = message.envelope;
                Ok(Some(Entry {
                    id: message.id,
                    to: message.to,
                    from,
                    sequence,
                    time,
                    priority: message.priority,
                    text: match message.payload {
                        Payload::Text(text) => text.text.to_owned(),
                        _ => String::new(),
                    },
                }))
            }
            Some(Event::LoginFailed(failure) | Event::KickedOut(failure)) => {
                Err(Stop::fail(format_args!("a device was refused: {}", failure.code)))
            }
            Some(_) => Ok(None),
            None => {
                pause();
                Ok(None)
            }
        }
    }

    /// Sends a text.
    pub(crate) fn says(&mut self, to: UserId, text: &str) -> Result<Entry, Stop> {
        let mut message = self.device.create_text_message(to, text).map_err(Stop::fail)?;
        self.device
            .send_message(&mut message, |_| {})
            .map_err(|error| Stop::fail(format_args!("a device sends {text:?}: {error}")))?;
        Ok(Entry {
            id: message.id,
            to: message.to,
            from: message.envelope.from,
            sequence: message.envelope.sequence,
            time: message.envelope.time,
            priority: message.priority,
            text: text.to_owned(),
        })
    }

    /// Sends a text that is kept, and gets no answer. With `arrives` the hub gets it.
    pub(crate) fn says_unanswered(&mut self, to: UserId, text: &str, arrives: bool) -> Result<(), Stop> {
        self.line.is_mute.store(!arrives, Ordering::Relaxed);
        self.line.is_deaf.store(true, Ordering::Relaxed);
        let mut message = self.device.create_text_message(to, text).map_err(Stop::fail)?;
        let mut record = [0; 256];
        let sent = self.device.send_kept_message(
            &mut message,
            SendOptions::default(),
            &mut self.flash,
            &mut record,
            |_| {},
        );
        ensure!(
            sent.is_err(),
            "a message was answered on a line that carries nothing"
        );
        Ok(())
    }

    /// Sends what is kept. Returns for each message whether the hub had it.
    pub(crate) fn resends(&mut self) -> Result<Vec<bool>, Stop> {
        let mut record = [0; 256];
        let mut had = Vec::new();
        let mut refused = None;
        let mut storage = std::mem::take(&mut self.flash);
        let resent = self.device.resend_kept(
            &mut storage,
            &mut record,
            |_, sent| match sent {
                Ok(sent) => had.push(sent.duplicate),
                Err(error) => refused = Some(error),
            },
            |_| {},
        );
        self.flash = storage;
        ensure!(refused.is_none(), "a kept message was refused: {refused:?}");
        resent.map_err(|error| Stop::fail(format_args!("what is kept was not sent: {error}")))?;
        Ok(had)
    }
}

/// A stream to the hub, which a device polls.
struct Wire {
    target: Target,
    handle: Handle,
    line: Arc<Line>,
    link: Option<Link>,
}

impl Wire {
    /// Moves bytes, if that can be done at once.
    fn poll<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut Link>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<Option<T>, ConnectionLost> {
        let link = self.link.as_mut().ok_or(ConnectionLost)?;
        match act(Pin::new(link), &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(done)) => Ok(Some(done)),
            Poll::Ready(Err(_)) => Err(ConnectionLost),
            Poll::Pending => Ok(None),
        }
    }
}

impl PolledTransport for Wire {
    fn connect(&mut self) -> Poll<bool> {
        self.link = self.handle.block_on(self.target.connect()).ok();
        if self.link.is_none() {
            self.line.ends.store(true, Ordering::Relaxed);
        }
        Poll::Ready(self.link.is_some())
    }

    fn disconnect(&mut self) {
        self.link = None;
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConnectionLost> {
        if self.line.is_deaf.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut into = ReadBuf::new(buffer);
        match self.poll(|link, context| tokio::io::AsyncRead::poll_read(link, context, &mut into))? {
            Some(()) if into.filled().is_empty() => Err(ConnectionLost),
            Some(()) => Ok(into.filled().len()),
            None => Ok(0),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionLost> {
        if self.line.is_mute.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.poll(|link, context| tokio::io::AsyncWrite::poll_write(link, context, bytes))?;
        Ok(written.unwrap_or(0))
    }

    fn flush(&mut self) -> Result<(), ConnectionLost> {
        self.poll(tokio::io::AsyncWrite::poll_flush).map(|_| ())
    }
}

struct HostClock(Instant);

impl PolledClock for HostClock {
    fn now(&mut self) -> tim_transport_embedded::Instant {
        let micros = self.0.elapsed().as_micros();
        tim_transport_embedded::Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn idle(&mut self, _until: Option<tim_transport_embedded::Instant>) {
        pause();
    }
}

/// Looks again soon: nothing wakes this thread when bytes arrive.
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
