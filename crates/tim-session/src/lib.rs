//! The two ends of a tim connection, as machines without input or output of their own. No std, no heap.
//!
//! [`ClientSession`] is a user's device: it logs in, stays logged in over any number of connections, keeps every request
//! until it is answered or timed out, and hands over each message once. [`HubSession`] is the hub's end of one
//! connection. Neither opens a socket, reads a clock or draws a random number: a *driver* moves the bytes, passes the
//! time, and gives a seed. The same machines run on a microcontroller and in the hub.
//!
//! # Driving a session
//!
//! Four things go in and out, in any order and any portion, and none of them waits:
//!
//! - received bytes: read into [`ClientSession::space`], then [`ClientSession::received`];
//! - bytes to send: write what [`ClientSession::outgoing`] shows, then confirm with [`ClientSession::transmitted`];
//! - time and events: [`ClientSession::poll`] until it says [`Output::Wait`];
//! - commands: [`ClientSession::request`] and its relatives, which return at once.
//!
//! A driver keeps no protocol state, so it can be cancelled between any two calls without losing anything.
//! Bytes to send are a view beside `poll`, not one of its outputs, so that a blocked line never keeps events back and
//! two tasks can share a session. Poll after everything that went in: a session acts on bytes and time only there. A
//! late poll costs nothing but time: what was received before it counts as received in time.
//!
//! A whole device, with the simplest driver that there is:
//!
//! ```no_run
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::time::Duration;
//!
//! use tim_session::proto::message::Text;
//! use tim_session::proto::UserId;
//! use tim_session::{ClientConfig, ClientSession, Event, FixedBuffer, Instant, Output};
//!
//! type Device<'b> = ClientSession<&'static str, FixedBuffer<'b>>;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (mut rx, mut tx, mut outbox) = ([0; 4096], [0; 2048], [0; 2048]);
//!     let config = ClientConfig::new(1_400_000_000, UserId::new("kiosk-1")?, 0xC0FFEE);
//!     let (rx, tx, outbox) = (FixedBuffer(&mut rx), FixedBuffer(&mut tx), FixedBuffer(&mut outbox));
//!     let mut session: Device<'_> = ClientSession::new(config, "eJw…", rx, tx, outbox, 0x5EED);
//!     let start = std::time::Instant::now();
//!     let now = || Instant::from_micros(start.elapsed().as_micros() as u64);
//!     let mut line: Option<TcpStream> = None;
//!     session.login(now());
//!     loop {
//!         // What the session wants, until it wants nothing more.
//!         let wake = loop {
//!             match session.poll(now()) {
//!                 Output::Event(Event::Delivered(delivery)) => {
//!                     if let Some(said) = delivery.header.payload::<Text>() {
//!                         println!("{}: {}", delivery.header.sender(), said.text);
//!                     }
//!                 }
//!                 Output::Event(Event::LoginFailed(refusal) | Event::KickedOut(refusal)) => {
//!                     return Err(refusal.code.explain().to_string().into());
//!                 }
//!                 Output::Event(_) => {} // answers, readiness, the line, and what later versions add
//!                 Output::Connect => match TcpStream::connect("localhost:7400") {
//!                     Ok(stream) => {
//!                         line = Some(stream);
//!                         session.connected(now());
//!                     }
//!                     Err(_) => session.disconnected(now()),
//!                 },
//!                 Output::Disconnect => line = None,
//!                 Output::Wait(wake) => break wake,
//!             }
//!         };
//!         let pause = wake.map_or(Duration::MAX, |wake| wake.since(now()));
//!         let pause = pause.clamp(Duration::from_millis(1), Duration::from_secs(1));
//!         match &mut line {
//!             None => std::thread::sleep(pause),
//!             Some(stream) => {
//!                 if exchange(&mut session, stream, pause, now).is_err() {
//!                     line = None;
//!                     session.disconnected(now());
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! /// Sends what there is to send, then waits for bytes, but not longer than `pause`.
//! fn exchange(
//!     session: &mut Device<'_>,
//!     stream: &mut TcpStream,
//!     pause: Duration,
//!     now: impl Fn() -> Instant,
//! ) -> io::Result<()> {
//!     while !session.outgoing().is_empty() {
//!         let sent = stream.write(session.outgoing())?;
//!         session.transmitted(sent);
//!     }
//!     stream.set_read_timeout(Some(pause))?;
//!     match stream.read(session.space(1024)) {
//!         Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
//!         Ok(len) => Ok(session.received(now(), len)),
//!         Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
//!         Err(error) => Err(error),
//!     }
//! }
//! ```
//!
//! # The order of events
//!
//! - *Getting in*: `NetState(Connecting)` and [`Output::Connect`] for each try; `LoggedIn`, `NetState(Connected)`,
//!   deliveries, and when all that was there at login has come, `Ready` (S84). Requests are taken from then on (S83).
//! - *A cut*: `NetState(Disconnected)`, then getting in again. `Ready` is not repeated unless `NotReady(ConnectionLost)`
//!   (S85) came, which it does when the cut lasts longer than [`ClientConfig::resume_window`]. Requests under way are
//!   sent again; each still has its one answer or failure, within [`ClientConfig::request_timeout`] of its making.
//! - *An end*: what ended it (`KickedOut`, `LoginFailed`; nothing after a [`ClientSession::logout`]), `Failed` for each
//!   request that waits, `NotReady` if there was a `Ready`, [`Output::Disconnect`]. Only `LoginFailed` that this device
//!   itself found out (no version in common, buffers too small) comes behind `Failed`. Then all is quiet until
//!   [`ClientSession::login`].
//!
//! A delivery counts as taken when the application polls again. It is then acknowledged, unless
//! [`ClientSession::hold_acknowledgements`] says otherwise, and [`ClientSession::cursor`] stands behind it: what a device
//! keeps over a restart.
//!
//! # Memory
//!
//! A session is a plain value of under 1 KiB beside three buffers of the caller's: slices ([`FixedBuffer`]), or what grows
//! on a heap up to a limit (`GrowBuffer`, with the feature `alloc`). 512 bytes each do for a small device
//! (see [`ClientSession::new`]). Nothing else is allocated, ever, and no input makes a session panic.
//!
//! # Message ids
//!
//! The caller of [`ClientSession::send`] makes the id. Three rules keep a message single and whole:
//!
//! - Draw the random number from a [`MessageRandom`](proto::MessageRandom), and pass it each
//!   [`LoginResponse`](proto::request::LoginResponse) ([`logged_in`](proto::MessageRandom::logged_in)): ids of devices with the same
//!   seed then differ.
//! - On [`Event::Failed`] with `MESSAGE_ID_REUSED` the hub has another message under the id. Send this one again under
//!   [`MessageId::successor`](proto::MessageId::successor), at most [`MAX_SUCCESSORS`](proto::MAX_SUCCESSORS) times.
//! - To send a message again after a reset, keep the 20 bytes of [`MessageId::to_bytes`](proto::MessageId::to_bytes), the
//!   conversation, the payload and the extensions. The hub knows the id for as long as it keeps messages and a day longer.
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod buffer;
mod client;
mod config;
#[cfg(feature = "defmt")]
mod defmt;
mod hub;
mod keepalive;
mod link;
mod stats;
mod time;

#[cfg(feature = "alloc")]
pub use buffer::GrowBuffer;
pub use buffer::{Buffer, FixedBuffer};
pub use client::{
    ClientConfig, ClientSession, Event, MAX_CURSOR_LEN, NetState, NotReadyReason, Output, RequestError,
    RequestId, Ticket,
};
pub use config::ConfigError;
pub use hub::{CloseReason, DeliverError, HubConfig, HubEvent, HubOutput, HubSession, SendError};
pub use link::Framing;
pub use stats::SessionStats;
pub use tim_proto as proto;
pub use time::Instant;
