//! tim for devices: a chat client over any [`embedded_io_async`] line. No std, no heap, no executor of its own.
//!
//! A firmware has a line (a UART, a TCP socket), a clock and some memory. [`Device::new`] makes a device of them, and
//! [`Device::split`] gives its two ends: a [`Client`], which makes the calls, and [`Events`], which owns the line and
//! *drives*. Login, reconnecting, back-off, the outbox and resume are the session's, and happen while somebody drives.
//!
//! # A firmware of one task
//!
//! ```
//! use embedded_io_async::{Read, Write};
//! use tim_transport_embedded::proto::message::{GroupTip, Text};
//! use tim_transport_embedded::proto::{ConversationId, UserId};
//! use tim_transport_embedded::{Client, ClientConfig, Clock, Device, Error, Event, Framing, Memory, SerialLine};
//!
//! const KIOSK: UserId = match UserId::new("kiosk-1") {
//!     Ok(id) => id,
//!     Err(_) => panic!("no user id"),
//! };
//!
//! /// Runs until the hub says that the device must not come back. `rx` and `tx` are a buffered UART's halves.
//! async fn kiosk(rx: impl Read, tx: impl Write, clock: impl Clock, random: u64) -> Result<(), Error> {
//!     let mut memory = Memory::<512, 512, 512>::new(); // or a static one
//!     let mut config = ClientConfig::new(1_400_000_000, KIOSK, 0xC0FFEE);
//!     config.framing = Framing::Serial;
//!     config.window = 2;
//!     let mut device = Device::new(config, "eJw…", &mut memory, random, clock);
//!     let (client, mut events) = device.split(SerialLine::new(rx, tx));
//!
//!     events.until(client.login(), |_| {}).await?;
//!     events.until(client.wait_until_ready(), show).await?;
//!
//!     let desk = UserId::new("desk").map_err(|_| Error::Protocol)?;
//!     let mut hello = client.create_text_message(desk, "The lobby's terminal is on. [微笑]")?;
//!     events.until(client.send_message(&mut hello), show).await?;
//!
//!     loop {
//!         // An event is looked at in place; what is needed for longer is copied out of it.
//!         let unread = match events.next_event().await {
//!             Event::Delivered(delivery) => {
//!                 show(Event::Delivered(delivery));
//!                 delivery.header.conversation_of(&KIOSK)
//!             }
//!             Event::KickedOut(_) | Event::LoginFailed(_) => return Ok(()),
//!             _ => continue,
//!         };
//!         // Without a line, or before all that waited has come, it stays unread.
//!         let _ = events.until(client.set_message_read(unread), show).await;
//!     }
//! }
//!
//! fn show(event: Event<'_>) {
//!     if let Event::Delivered(delivery) = event {
//!         // What is not asked for is not linked; `delivery.message()` has it all.
//!         if let Some(said) = delivery.header.payload::<Text>() {
//!             /* print delivery.header.sender() and said.text */
//!         } else if let Some(tip) = delivery.header.payload::<GroupTip>() {
//!             /* print tip.text(CHINESE) */
//!         }
//!     }
//! }
//! ```
//!
//! # Two tasks
//!
//! Any number of tasks may hold a [`Client`], which is `Copy`; one holds the [`Events`]. All run on one executor, for there
//! are no atomics and no locks in here. At most [`MAX_CALLS`] calls can be under way at a time. Where tasks must be `'static`,
//! as embassy's are, [`Memory`] and [`Device`] go into a `StaticCell` each.
//!
//! ```
//! use tim_transport_embedded::{Client, Clock, Error, Event, Events, Line, proto::UserId};
//!
//! async fn receive<T: Clock, L: Line>(mut events: Events<'_, T, L>) {
//!     while !matches!(events.next_event().await, Event::KickedOut(_)) {}
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
//! # async fn both<T: Clock, L: Line>(client: Client<'_>, events: Events<'_, T, L>, desk: UserId) {
//! embassy_futures::select::select(receive(events), send(client, desk)).await;
//! # }
//! ```
//!
//! While a task looks at an event that [`Events::next_event`] returned, nothing moves, and calls wait. So the task that
//! drives must not await a call while it holds an event or outside [`Events::until`]: nobody would drive.
//!
//! # A message that survives a reset
//!
//! A device that must not lose what it had to say, and not say it twice, keeps three things in flash before it sends: to whom
//! ([`ConversationId`](proto::ConversationId), as text), the payload, and the 20 bytes of the id. After a reset it makes the
//! message again with [`Client::restore_message`] and sends it; if the hub has it already, it stays one entry. What else a
//! message has, such as mentions (`message.extensions`), must be the same as well; priority and `client_sequence` need not be.
//! The record goes when sending has succeeded, or was refused for good.
//!
//! The hub remembers an id for as long as it keeps messages (its `--retention`) and a day longer. A message that is sent again
//! after that is a new one. The id is bound to the account: another user's device cannot send it.
//!
//! ```
//! use tim_transport_embedded::proto::message::Text;
//! use tim_transport_embedded::proto::{MessageId, UserId};
//! use tim_transport_embedded::{Client, Error};
//!
//! /// What is kept in flash of one message.
//! struct Kept {
//!     id: [u8; MessageId::LEN],
//!     text: [u8; 64],
//!     len: usize,
//! }
//!
//! trait Flash {
//!     fn load(&self) -> Option<Kept>;
//!     fn store(&self, kept: Option<Kept>);
//! }
//!
//! async fn report(client: Client<'_>, flash: &impl Flash, desk: UserId, text: &str) -> Result<(), Error> {
//!     let mut message = client.create_text_message(desk, text)?;
//!     let mut kept = Kept { id: message.id.to_bytes(), text: [0; 64], len: text.len() };
//!     kept.text.get_mut(..text.len()).ok_or(Error::Protocol)?.copy_from_slice(text.as_bytes());
//!     flash.store(Some(kept)); // before it is sent
//!     client.send_message(&mut message).await?;
//!     flash.store(None);
//!     Ok(())
//! }
//!
//! /// After each reset, when the client is ready.
//! async fn catch_up(client: Client<'_>, flash: &impl Flash, desk: UserId) -> Result<(), Error> {
//!     let Some(kept) = flash.load() else { return Ok(()) };
//!     let text = kept.text.get(..kept.len).and_then(|text| core::str::from_utf8(text).ok());
//!     let text = Text { text: text.unwrap_or("") };
//!     let mut message = client.restore_message(desk, text, MessageId::from_bytes(kept.id))?;
//!     client.send_message(&mut message).await?;
//!     flash.store(None);
//!     Ok(())
//! }
//! ```
//!
//! # A TCP socket as a line
//!
//! ```
//! use embassy_net::IpEndpoint;
//! use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
//! use tim_transport_embedded::Line;
//!
//! struct Tcp<'s> {
//!     socket: TcpSocket<'s>,
//!     hub: IpEndpoint,
//! }
//!
//! impl Line for Tcp<'_> {
//!     type Reader<'a> = TcpReader<'a> where Self: 'a;
//!     type Writer<'a> = TcpWriter<'a> where Self: 'a;
//!
//!     async fn connect(&mut self) -> bool {
//!         self.socket.abort(); // what an opening that was dropped has left
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
//! A session's time has 64 bits and never goes back. A board with a counter of 32 bits makes a clock of it with
//! [`WideningClock`]; it says how often the counter has to be read. With the feature `embassy-time` there is `EmbassyClock`.
//!
//! # What can be dropped
//!
//! Every future of this crate is cancel-safe: dropped at any await and made anew, it loses nothing and doubles nothing. A
//! request that was made is seen through; a message that is sent again is kept once. In turn the line's futures must be
//! cancel-safe too, see [`Line`].
//!
//! # Memory
//!
//! What [`Memory`] says, a session and some words for each call that can be under way: [`Device`] is under 1 KiB beside
//! the buffers. The futures of [`Events`] hold two portions of 64 bytes.
#![no_std]

mod calls;
mod client;
mod clock;
mod device;
mod error;
mod events;
mod line;
mod shared;
mod wait;

pub use calls::NextReqMessageId;
pub use client::{Client, LoginResponse};
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use clock::{Clock, Counter, WideningClock};
pub use device::{Device, Memory};
pub use error::Error;
pub use events::Events;
pub use line::{Line, MAX_ERRORS, NoisyReader, SerialLine};
pub use shared::MAX_CALLS;
pub use tim_session::{
    self as session, ClientConfig, Event, Framing, Instant, NetState, NotReadyReason, proto,
};

// What the front page says of a device's size, on machines of any width.
const _: () = assert!(size_of::<shared::Shared<'static>>() < 1024);
