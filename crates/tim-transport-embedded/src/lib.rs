//! tim for microcontrollers: a chat client over any [`embedded_io_async`] transport. No std, no heap, no executor of its own.
//!
//! A firmware provides a transport (a UART, a TCP socket), a clock and some memory. [`Device::new`] creates a device from
//! them, and [`Device::split`] splits it into a [`Client`], which makes calls, and a [`Runner`], which owns the transport
//! and drives the device. The session logs in, reconnects with back-off, keeps requests in an outbox and resumes
//! deliveries; all of that happens while the runner is awaited.
//!
//! # A firmware with one task
//!
//! ```
//! use embedded_io_async::{Read, Write};
//! use tim_transport_embedded::proto::message::{GroupTip, Text};
//! use tim_transport_embedded::proto::{ConversationId, UserId};
//! use tim_transport_embedded::{
//!     Client, ClientConfig, Clock, Device, Error, Event, Framing, Resources, SerialPort,
//! };
//!
//! const KIOSK: UserId = match UserId::new("kiosk-1") {
//!     Ok(id) => id,
//!     Err(_) => panic!("invalid user id"),
//! };
//!
//! /// Runs until the hub ends the session for good. `rx` and `tx` are the halves of a buffered UART.
//! async fn kiosk(rx: impl Read, tx: impl Write, clock: impl Clock, random: u64) -> Result<(), Error> {
//!     let mut resources = Resources::<512, 512, 512>::new(); // or a static one
//!     let mut config = ClientConfig::new(1_400_000_000, KIOSK, 0xC0FFEE);
//!     config.framing = Framing::Serial;
//!     config.window = 2;
//!     let mut device = Device::new(config, "eJw…", &mut resources, random, clock);
//!     let (client, mut runner) = device.split(SerialPort::new(rx, tx));
//!
//!     runner.until(client.login(), |_| {}).await?;
//!     runner.until(client.wait_until_ready(), show).await?;
//!
//!     let desk = UserId::new("desk").map_err(|_| Error::Protocol)?;
//!     let mut hello = client.create_text_message(desk, "The lobby terminal is on. [微笑]")?;
//!     runner.until(client.send_message(&mut hello), show).await?;
//!
//!     loop {
//!         // Events borrow from the receive buffer; copy what is needed for longer.
//!         let unread = match runner.next_event().await {
//!             Event::Delivered(delivery) => {
//!                 show(Event::Delivered(delivery));
//!                 delivery.header.conversation_of(&KIOSK)
//!             }
//!             Event::KickedOut(_) | Event::LoginFailed(_) => return Ok(()),
//!             _ => continue,
//!         };
//!         // Fails while the device is not ready; the conversation then stays unread.
//!         let _ = runner.until(client.set_message_read(unread), show).await;
//!     }
//! }
//!
//! fn show(event: Event<'_>) {
//!     if let Event::Delivered(delivery) = event {
//!         // Only the decoders of the payloads that are asked for are linked; `delivery.message()` links all of them.
//!         if let Some(text) = delivery.header.payload::<Text>() {
//!             /* print delivery.header.sender() and text.text */
//!         } else if let Some(tip) = delivery.header.payload::<GroupTip>() {
//!             /* print tip.text(CHINESE) */
//!         }
//!     }
//! }
//! ```
//!
//! # Several tasks
//!
//! A [`Client`] is `Copy`, so any number of tasks can hold one; a single task holds the [`Runner`]. All of them run on one
//! executor, because the crate uses neither atomics nor locks. At most [`MAX_CALLS`] calls can be pending at a time. Where
//! tasks must be `'static`, as in embassy, put [`Resources`] and [`Device`] into a `StaticCell` each.
//!
//! ```
//! use tim_transport_embedded::{Client, Clock, Error, Event, Runner, Transport, proto::UserId};
//!
//! async fn receive<C: Clock, T: Transport>(mut runner: Runner<'_, C, T>) {
//!     while !matches!(runner.next_event().await, Event::KickedOut(_)) {}
//! }
//!
//! async fn send(client: Client<'_>, desk: UserId) -> Result<(), Error> {
//!     client.login().await?;
//!     client.wait_until_ready().await?;
//!     let mut door = client.create_text_message(desk, "The door is open.")?;
//!     client.send_message(&mut door).await?;
//!     Ok(())
//! }
//!
//! # async fn both<C: Clock, T: Transport>(client: Client<'_>, runner: Runner<'_, C, T>, desk: UserId) {
//! embassy_futures::select::select(receive(runner), send(client, desk)).await;
//! # }
//! ```
//!
//! While a task holds an event that [`Runner::next_event`] returned, the device is suspended and calls wait. The task that
//! drives must therefore not await a call while it holds an event, nor outside [`Runner::until`]: nothing would drive.
//!
//! # A message that survives a reset
//!
//! A device that must neither lose a message nor send it twice saves three things in flash before it sends: the recipient
//! ([`ConversationId`](proto::ConversationId), as text), the payload, and the 20 bytes of the message id. After a reset it
//! rebuilds the message with [`Client::restore_message`] and sends it. If the hub has already stored it, it is not stored
//! again. Other parts of the message, such as mentions (`message.extensions`), must be the same as well; priority and
//! `client_sequence` may differ. The record is deleted once sending has succeeded or was refused for good.
//!
//! The hub remembers an id for as long as it keeps messages (its `--retention`) and one day longer. A message that is sent
//! again after that counts as new. The id belongs to the account: a device of another user cannot use it.
//!
//! ```
//! use tim_transport_embedded::proto::message::Text;
//! use tim_transport_embedded::proto::{MessageId, UserId};
//! use tim_transport_embedded::{Client, Error};
//!
//! /// The record of one message in flash.
//! struct Record {
//!     id: [u8; MessageId::LEN],
//!     text: [u8; 64],
//!     len: usize,
//! }
//!
//! trait Flash {
//!     fn load(&self) -> Option<Record>;
//!     fn store(&self, record: Option<Record>);
//! }
//!
//! async fn report(client: Client<'_>, flash: &impl Flash, desk: UserId, text: &str) -> Result<(), Error> {
//!     let mut message = client.create_text_message(desk, text)?;
//!     let mut record = Record { id: message.id.to_bytes(), text: [0; 64], len: text.len() };
//!     record.text.get_mut(..text.len()).ok_or(Error::Protocol)?.copy_from_slice(text.as_bytes());
//!     flash.store(Some(record)); // before it is sent
//!     client.send_message(&mut message).await?;
//!     flash.store(None);
//!     Ok(())
//! }
//!
//! /// Call it after each reset, once the client is ready.
//! async fn resend(client: Client<'_>, flash: &impl Flash, desk: UserId) -> Result<(), Error> {
//!     let Some(record) = flash.load() else { return Ok(()) };
//!     let text = record.text.get(..record.len).and_then(|text| core::str::from_utf8(text).ok());
//!     let text = Text { text: text.unwrap_or("") };
//!     let mut message = client.restore_message(desk, text, MessageId::from_bytes(record.id))?;
//!     client.send_message(&mut message).await?;
//!     flash.store(None);
//!     Ok(())
//! }
//! ```
//!
//! # A TCP socket as a transport
//!
//! ```
//! use embassy_net::IpEndpoint;
//! use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
//! use tim_transport_embedded::Transport;
//!
//! struct Tcp<'s> {
//!     socket: TcpSocket<'s>,
//!     hub: IpEndpoint,
//! }
//!
//! impl Transport for Tcp<'_> {
//!     type Reader<'a> = TcpReader<'a> where Self: 'a;
//!     type Writer<'a> = TcpWriter<'a> where Self: 'a;
//!
//!     async fn connect(&mut self) -> bool {
//!         self.socket.abort(); // discards what a dropped `connect` left behind
//!         self.socket.connect(self.hub).await.is_ok()
//!     }
//!     fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
//!         self.socket.split()
//!     }
//!     async fn disconnect(&mut self) {
//!         self.socket.abort();
//!     }
//! }
//! ```
//!
//! # A clock that does not wrap
//!
//! The session's time has 64 bits and never goes back. [`WideningClock`] makes such a clock of a 32-bit counter; its
//! documentation says how often the counter must be read. With the feature `embassy-time` there is `EmbassyClock`.
//!
//! # Cancel safety
//!
//! Every future of this crate is cancel-safe: if it is dropped at any await and created again, nothing is lost and nothing
//! is repeated. A request that was made is completed; a message that is sent again is stored once. In return, the
//! transport's futures must be cancel-safe too, see [`Transport`].
//!
//! # Memory
//!
//! On a 32-bit target, a [`Device`] takes less than 1 KiB in addition to its [`Resources`]. The futures of a [`Runner`] hold
//! two buffers of 64 bytes.
#![no_std]

mod calls;
mod client;
mod clock;
mod device;
mod error;
mod runner;
mod shared;
mod transport;
mod wait;

pub use calls::NextReqMessageId;
pub use client::{Client, LoginResponse};
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use clock::{Clock, Counter, WideningClock};
pub use device::{Device, Resources};
pub use error::Error;
pub use runner::Runner;
pub use shared::MAX_CALLS;
pub use tim_session::{
    self as session, ClientConfig, Event, Framing, Instant, NetState, NotReadyReason, proto,
};
pub use transport::{MAX_ERRORS, NoisyReader, SerialPort, Transport};

// The size that the front page states.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<shared::Shared<'static>>() < 1024);
