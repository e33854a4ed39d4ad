//! The bus between the hubs on one database: NOTIFY, on a connection of its own, outside of all other transactions.
//!
//! What is sent within [`PAUSE`] goes into one notification, as far as it fits. The same thread shows the others that this hub is there.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use tim_store::{Bus, BusEvent, BusReceiver};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::db::Connection;
use super::hubs;
use super::session::Place;
use super::value::params;

/// For how long what is sent is collected.
const PAUSE: Duration = Duration::from_millis(4);
/// How often the store looks whatever comes, in case a notification is lost.
const LOOK: Duration = Duration::from_secs(1);
/// How often a sign of life is given.
const BEAT: Duration = Duration::from_secs(5);
/// After how long a connection is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The bytes of a notification before they become text: its text may have 7,999.
const PAYLOAD: usize = 5_800;
/// The longest message.
const MAX_MESSAGE: usize = 1 << 20;
/// How much may wait.
const MAX_WAITING: usize = 4 << 20;
/// The parts of a message on the wire: what it is, its number, which part, and the length.
const HEADER: usize = 1 + 4 + 4 + 2;

/// What is sent.
#[derive(Default)]
struct Outgoing {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    has_written: bool,
}

/// Shared by the hub and the thread.
pub(super) struct Shared {
    outgoing: Mutex<Outgoing>,
    more: Notify,
    receive: OnceLock<BusReceiver>,
    /// The turn up to which the writer has seen everything.
    pub(super) seen: AtomicU64,
    is_ended: AtomicBool,
    /// Whether there are others.
    is_heard: AtomicBool,
}

impl Shared {
    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the others that there is a new turn.
    pub(super) fn has_written(&self) {
        self.outgoing().has_written = true;
        self.more.notify_one();
    }

    /// Whether there are other hubs.
    pub(super) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.more.notify_one();
    }

    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    fn hand_over(&self, event: BusEvent<'_>) {
        if let Some(receive) = self.receive.get() {
            receive(event);
        }
    }
}

/// The bus.
pub(super) struct PostgresBus(pub(super) Arc<Shared>);

impl Bus for PostgresBus {
    fn receive(&self, receive: BusReceiver) {
        let _ = self.0.receive.set(receive);
    }

    fn send(&self, message: Bytes) -> bool {
        if !self.0.is_heard.load(Ordering::Acquire) {
            return true;
        }
        let mut outgoing = self.0.outgoing();
        if message.len() > MAX_MESSAGE || outgoing.bytes + message.len() > MAX_WAITING {
            return false;
        }
        outgoing.bytes += message.len();
        outgoing.waiting.push_back(message);
        drop(outgoing);
        self.0.more.notify_one();
        true
    }
}

/// Starts the thread.
pub(super) fn start(place: Place, hub: u64, seen: u64) -> std::io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared {
        outgoing: Mutex::default(),
        more: Notify::new(),
        receive: OnceLock::new(),
        seen: AtomicU64::new(seen),
        is_ended: AtomicBool::new(false),
        is_heard: AtomicBool::new(false),
    });
    let worker = Worker {
        shared: Arc::clone(&shared),
        hub,
        channel: channel(&place.schema),
        place,
        number: 0,
        parts: HashMap::new(),
    };
    std::thread::Builder::new()
        .name("tim-bus".to_owned())
        .spawn(move || worker.run())?;
    Ok(shared)
}

/// The name of the channel of a schema, which is the same in all versions.
fn channel(schema: &str) -> String {
    let hash = schema.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("tim_{hash:016x}")
}

struct Worker {
    shared: Arc<Shared>,
    place: Place,
    hub: u64,
    channel: String,
    /// Of the newest message.
    number: u32,
    /// The message of each hub of which not all parts are here.
    parts: HashMap<u64, Parts>,
}

struct Parts {
    number: u32,
    next: u32,
    bytes: Vec<u8>,
}

impl Worker {
    fn run(mut self) {
        let mut is_told = false;
        while !self.shared.is_ended() {
            match self.serve() {
                Ok(()) => is_told = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        warn!(%error, "the bus between the hubs is interrupted");
                    }
                    // What waits is of no use later.
                    *self.shared.outgoing() = Outgoing::default();
                    // Nobody says so now, but others go on writing.
                    self.shared.hand_over(BusEvent::Wrote);
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    /// Serves one connection until it is lost, or the hub ends.
    fn serve(&mut self) -> Result<(), String> {
        let db = self.place.session().map_err(|error| error.to_string())?;
        let text = |error: super::db::Error| error.to_string();
        db.batch(&format!("LISTEN {}", self.channel)).map_err(text)?;
        let mut beaten = None;
        let mut looked = Instant::now();
        let mut is_connected = false;
        while !self.shared.is_ended() {
            if self.shared.receive.get().is_none() {
                // Nobody takes it yet.
                std::thread::sleep(PAUSE);
                continue;
            }
            if beaten.is_none_or(|at: Instant| at.elapsed() >= BEAT) {
                self.beat(&db).map_err(text)?;
                beaten = Some(Instant::now());
            }
            if !std::mem::replace(&mut is_connected, true) {
                self.shared.hand_over(BusEvent::Connected);
                self.shared.hand_over(BusEvent::Wrote);
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.shared.hand_over(BusEvent::Wrote);
            }
            let shared = Arc::clone(&self.shared);
            let received = db
                .notified(async move {
                    if timeout(LOOK, shared.more.notified()).await.is_ok() {
                        sleep(PAUSE).await;
                    }
                })
                .map_err(text)?;
            let mut has_written = false;
            for payload in received {
                has_written |= self.take(&payload);
            }
            if has_written {
                looked = Instant::now();
                self.shared.hand_over(BusEvent::Wrote);
            }
            self.flush(&db).map_err(text)?;
        }
        Ok(())
    }

    fn beat(&mut self, db: &Connection) -> super::db::Result<()> {
        let hubs = hubs::beat(db, self.hub, self.shared.seen.load(Ordering::Acquire))?;
        let others: Vec<u64> = hubs.into_iter().filter(|hub| *hub != self.hub).collect();
        self.parts.retain(|hub, _| others.contains(hub));
        let is_new = !self.shared.is_heard.swap(!others.is_empty(), Ordering::AcqRel) && !others.is_empty();
        self.shared.hand_over(BusEvent::Hubs {
            own: self.hub,
            others: &others,
        });
        if is_new {
            self.shared.hand_over(BusEvent::Connected);
        }
        Ok(())
    }

    /// Sends what waits.
    fn flush(&mut self, db: &Connection) -> super::db::Result<()> {
        let Outgoing {
            waiting, has_written, ..
        } = std::mem::take(&mut *self.shared.outgoing());
        if waiting.is_empty() && !has_written {
            return Ok(());
        }
        // One commit for all.
        db.send("BEGIN");
        let statement = db.statement("SELECT pg_notify(?1::text, ?2::text)")?;
        for payload in self.payloads(&waiting) {
            let text = format!("{:x} {}", self.hub, STANDARD_NO_PAD.encode(payload));
            statement.run(params![self.channel.as_str(), text])?;
        }
        db.send("COMMIT");
        db.settle()
    }

    /// What goes into each notification. Each says that something was written.
    fn payloads(&mut self, messages: &VecDeque<Bytes>) -> Vec<Vec<u8>> {
        let mut payloads = vec![Vec::new()];
        for message in messages {
            self.number = self.number.wrapping_add(1);
            let mut left = &message[..];
            let mut part = 0_u32;
            loop {
                let mut free = PAYLOAD.saturating_sub(payloads.last().map_or(0, Vec::len));
                if free < HEADER + left.len().min(64) {
                    payloads.push(Vec::new());
                    free = PAYLOAD;
                }
                let Some(payload) = payloads.last_mut() else { break };
                let (here, rest) = left.split_at(left.len().min(free - HEADER));
                payload.push(u8::from(rest.is_empty()));
                payload.extend_from_slice(&self.number.to_be_bytes());
                payload.extend_from_slice(&part.to_be_bytes());
                payload.extend_from_slice(&u16::try_from(here.len()).unwrap_or(u16::MAX).to_be_bytes());
                payload.extend_from_slice(here);
                (left, part) = (rest, part + 1);
                if left.is_empty() {
                    break;
                }
            }
        }
        payloads
    }

    /// Takes a notification. Whether it is one of another hub.
    fn take(&mut self, payload: &str) -> bool {
        let Some((hub, text)) = payload.split_once(' ') else {
            return false;
        };
        let (Ok(hub), Ok(bytes)) = (u64::from_str_radix(hub, 16), STANDARD_NO_PAD.decode(text)) else {
            debug!("a notification is not of a hub");
            return false;
        };
        if hub == self.hub {
            return false;
        }
        // It has just come.
        self.shared.is_heard.store(true, Ordering::Release);
        let mut rest = &bytes[..];
        while let Some((part, behind)) = Part::split(rest) {
            self.take_part(hub, &part);
            rest = behind;
        }
        true
    }

    fn take_part(&mut self, hub: u64, part: &Part<'_>) {
        let parts = self.parts.entry(hub).or_insert_with(|| Parts {
            number: part.number,
            next: 0,
            bytes: Vec::new(),
        });
        if part.index == 0 {
            (parts.number, parts.next) = (part.number, 0);
            parts.bytes.clear();
        }
        let is_next = parts.number == part.number && parts.next == part.index;
        if !is_next || parts.bytes.len() + part.bytes.len() > MAX_MESSAGE {
            // What came before it is lost, so all of it is.
            self.parts.remove(&hub);
            return;
        }
        if part.is_last && part.index == 0 {
            return self.shared.hand_over(BusEvent::Message {
                from: hub,
                message: part.bytes,
            });
        }
        parts.bytes.extend_from_slice(part.bytes);
        parts.next += 1;
        if part.is_last
            && let Some(parts) = self.parts.remove(&hub)
        {
            self.shared.hand_over(BusEvent::Message {
                from: hub,
                message: &parts.bytes,
            });
        }
    }
}

/// A part of a message.
struct Part<'a> {
    is_last: bool,
    number: u32,
    index: u32,
    bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// The first part, and what is behind it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_last, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (bytes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let part = Self {
            is_last: *is_last == 1,
            number: u32::from_be_bytes(*number),
            index: u32::from_be_bytes(*index),
            bytes,
        };
        Some((part, rest))
    }
}
