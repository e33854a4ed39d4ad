//! A lobby terminal: it shows the messages of a group and those sent to the kiosk, and sends messages at the press of a key.
//!
//! The hub is at the other end of a serial port. The session logs in, reconnects, and delivers each message once and in order;
//! this crate is the application. Four futures share one task: they show events, handle keys, run errands, and keep the kiosk
//! logged in. Its power can be cut at any time: what it has shown and what it is sending is in flash.
#![no_std]
#![no_main]

#[allow(unsafe_code, reason = "registers, interrupts and the start of the executor")]
mod board;
mod keys;
mod long_text;
mod picture;
mod screen;
mod settings;
mod store;

use core::cell::Cell;

use board::{Board, Flash};
use embassy_executor::Spawner;
use embassy_futures::join::join4;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::mutex::Mutex;
use embassy_sync::signal::Signal;
use embassy_time::Timer;
use keys::Keys;
use long_text::LongText;
use screen::{Arrival, Screen, name};
use static_cell::StaticCell;
use store::Store;
use tim_transport_embedded::proto::message::MessageFlags;
use tim_transport_embedded::proto::request::FetchResponse;
use tim_transport_embedded::proto::unread::HubCount;
use tim_transport_embedded::proto::{ConversationId, MessageKind, wire};
use tim_transport_embedded::session::MAX_CURSOR_LEN;
use tim_transport_embedded::{
    Client, Device, EmbassyClock, Error, Event, Events, NetState, Resources, SerialPort,
};

/// The size of a frame on a serial port.
const RX: usize = wire::serial_encoded_max_len(settings::MAX_FRAME + 2);
const TX: usize = 1024;
const OUTBOX: usize = 512;

#[cortex_m_rt::entry]
fn main() -> ! {
    let board = board::start();
    board::run(|spawner: Spawner| {
        // The task's memory is static, and free: nothing else was spawned.
        if let Ok(kiosk) = kiosk(board) {
            spawner.spawn(kiosk);
        }
    })
}

#[embassy_executor::task]
async fn kiosk(board: Board) {
    let Board { console, line, flash } = board;
    static RESOURCES: StaticCell<Resources<RX, TX, OUTBOX>> = StaticCell::new();
    let resources = RESOURCES.init(Resources::new());
    let screen = Screen::new(console.sender.into_printer());
    // A line that the power cut in the middle ends here.
    screen.show("");
    screen.show(format_args!(
        "tim kiosk: {} in {}; ? for help",
        settings::USER,
        settings::GROUP
    ));
    let Ok(mut store) = Store::open(flash).await else {
        return screen.show("-- the flash is broken");
    };
    let seed = board::seed() ^ u64::from(store.starts()).rotate_right(16);
    let mut device = Device::new(
        settings::session(settings::device()),
        settings::USER_SIG,
        resources,
        seed,
        EmbassyClock,
    );
    // False at the first start: new messages only.
    device.resume_from(store.cursor());
    if let Ok(entry) = store.entry().await {
        screen.show_kept(entry);
    }
    // Messages of different kiosks, and of different starts, have different numbers.
    let numbered = (settings::device() as u32).wrapping_mul(1_000_000);
    let numbered = numbered.wrapping_add(store.starts().wrapping_mul(1000));
    let (client, runner) = device.split(SerialPort::new(line.receiver, line.sender));
    let kiosk = Kiosk {
        client,
        screen,
        errands: Channel::new(),
        ready: Cell::new(false),
        begin: Signal::new(),
        out: Signal::new(),
        store: Mutex::new(store),
    };
    join4(
        runner.run(async |events| kiosk.show_events(events).await),
        Keys::new(client, &kiosk.screen, &kiosk.store, numbered).obey(console.receiver, &kiosk.begin),
        kiosk.run_errands(),
        kiosk.stay_logged_in(),
    )
    .await;
}

/// The state that the futures share.
struct Kiosk<'m> {
    client: Client<'m>,
    screen: Screen,
    errands: Channel<NoopRawMutex, Errand, 4>,
    /// Whether requests are accepted.
    ready: Cell<bool>,
    /// Set when requests are accepted again.
    begin: Signal<NoopRawMutex, ()>,
    /// Set when the hub has ended the session.
    out: Signal<NoopRawMutex, ()>,
    store: SharedStore,
}

/// The store, which the deliveries and the keys share.
type SharedStore = Mutex<NoopRawMutex, Store<Flash>>;

/// A call that an event makes necessary. A call completes only after the event has been handled, so errands run beside the
/// events.
enum Errand {
    /// Request the number of unread messages in the lobby.
    CountUnread,
    /// Fetch a message that was too long to be delivered.
    Fetch {
        conversation: ConversationId,
        sequence: u64,
        kind: MessageKind,
        len: u32,
    },
}

impl Kiosk<'_> {
    /// Shows events, forever.
    async fn show_events(&self, mut events: Events<'_>) {
        let screen = &self.screen;
        loop {
            let mut arrival = None;
            match events.next_event().await {
                Event::NetState(NetState::Connected) => {
                    screen.show("-- connected");
                    // Messages may have been read on another device meanwhile.
                    screen.count_anew();
                    if self.ready.get() {
                        self.run(Errand::CountUnread);
                    }
                }
                Event::NetState(NetState::Disconnected) => screen.show("-- connection lost"),
                Event::Ready => {
                    screen.show("-- ready");
                    self.ready.set(true);
                    self.begin.signal(());
                    self.run(Errand::CountUnread);
                }
                Event::NotReady(reason) => {
                    screen.show(format_args!("-- not ready: {reason:?}"));
                    self.ready.set(false);
                }
                Event::KickedOut(failure) => {
                    screen.show(format_args!("-- put out: {}", failure.code));
                    self.out.signal(());
                }
                Event::Delivered(delivery) => arrival = Arrival::new(&delivery),
                Event::Gap(gap) if gap.is_restored() => {
                    screen.show("-- the hub has lost messages");
                    screen.count_anew();
                    self.run(Errand::CountUnread);
                }
                Event::Gap(gap) => screen.show(format_args!(
                    "{} #{}-#{} are gone",
                    name(&gap.conversation),
                    gap.from,
                    gap.to
                )),
                // The hub does not know the number.
                Event::ConversationChanged(change) if change.counted == 0 => self.run(Errand::CountUnread),
                Event::ConversationChanged(change) if change.conversation == lobby() => {
                    self.take_count((&change).into());
                }
                _ => {} // not relevant in a lobby
            }
            self.keep_position(&events, arrival.as_ref()).await;
            if let Some(arrival) = arrival {
                self.show_arrival(&arrival);
            }
        }
    }

    /// Saves where the deliveries have come to, with the entry in hand. It is shown afterwards: if the power is cut in between, it is
    /// shown at the next start.
    async fn keep_position(&self, events: &Events<'_>, arrival: Option<&Arrival>) {
        let mut cursor = heapless::Vec::<u8, MAX_CURSOR_LEN>::new();
        // It is never longer.
        let _ = events.cursor(|bytes| cursor.extend_from_slice(bytes));
        let entry = arrival.map_or(&[][..], Arrival::as_bytes);
        if self.store.lock().await.reach(&cursor, entry).await.is_err() {
            self.screen.show("-- the flash is broken");
        }
    }

    fn show_arrival(&self, arrival: &Arrival) {
        let message = &arrival.message();
        self.screen.show_arrival(message);
        if message.envelope.flags.contains(MessageFlags::STUB) {
            self.run(Errand::Fetch {
                conversation: message.conversation_of(&settings::USER),
                sequence: message.envelope.sequence,
                kind: message.payload.kind(),
                len: arrival.payload_len,
            });
        }
    }

    /// The hub reported the number of unread messages in the lobby.
    fn take_count(&self, count: HubCount) {
        if !self.screen.take_count(count) {
            self.run(Errand::CountUnread);
        }
    }

    /// Queues an errand. If there are too many, the stub remains visible, and the count is corrected the next time.
    fn run(&self, errand: Errand) {
        if self.errands.try_send(errand).is_err() {
            self.screen.show("-- too much at a time");
        }
    }

    async fn run_errands(&self) {
        loop {
            let done = match self.errands.receive().await {
                Errand::CountUnread => self.count_unread().await,
                Errand::Fetch {
                    conversation,
                    sequence,
                    kind: MessageKind::TEXT,
                    ..
                } => self.read_out(conversation, sequence).await,
                Errand::Fetch { kind, len, .. } => {
                    self.screen.show(format_args!("  | {len} bytes of {kind}"));
                    Ok(())
                }
            };
            self.show_error(done);
        }
    }

    async fn count_unread(&self) -> Result<(), Error> {
        let count = self
            .client
            .get_conversation_profile(lobby(), |profile| HubCount::from(&profile.conversation))
            .await;
        match count {
            Ok(count) => self.take_count(count),
            Err(Error::Refused { .. }) => {} // there is no such group yet
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Fetches a long text and shows each piece as it arrives.
    async fn read_out(&self, conversation: ConversationId, sequence: u64) -> Result<(), Error> {
        let (mut text, mut offset) = (LongText::new(), 0);
        loop {
            let show = |piece: &FetchResponse<'_>| text.take(piece, &self.screen);
            if !self.client.fetch(conversation, sequence, offset, show).await? {
                break;
            }
            offset = text.offset;
        }
        let (length, sum) = text.length_and_sum();
        let conversation = name(&conversation);
        self.screen.show(format_args!(
            "{conversation} #{sequence} has {length} bytes, sum {sum:08x}"
        ));
        Ok(())
    }

    /// Logs in, and again after the hub has ended the session, because the kiosk is unattended.
    async fn stay_logged_in(&self) {
        loop {
            match self.client.login().await {
                Ok(_) => self.out.wait().await,
                Err(error) => self.show_error(Err(error)),
            }
            Timer::after_secs(10).await;
        }
    }

    fn show_error(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.screen.show(format_args!("-- {error}"));
        }
    }
}

fn lobby() -> ConversationId {
    ConversationId::Group(settings::GROUP)
}
