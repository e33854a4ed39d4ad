//! What the handles and the client's task share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tim_proto::planted::{self, Fault};
use tim_proto::request::DownloadResponse;
use tim_proto::vendor::capability::Capabilities;
use tim_proto::vendor::limits::Limits;
use tim_proto::{ClientSequence, MessageRandom, UserId};
use tim_transport_std::session::ClientConfig;
use tokio::sync::watch;

use crate::bus::Bus;
use crate::files::Uploads;
use crate::handlers::Handlers;
use crate::state::groups::AvChatRooms;
use crate::state::{Config, Messages, Status};
use crate::system::WallClock;

/// The largest piece of a stub that is fetched at a time, in bytes.
const MAX_FETCH_PIECE: u32 = 16 * 1024;
/// The largest piece of a file that is requested at a time, in bytes.
const MAX_FILE_PIECE: u32 = 60 * 1024;
/// The largest overhead of a frame with a piece of a stub.
const FETCH_OVERHEAD: u32 = 32;

/// What the handles and the client's task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) user: UserId,
    pub(crate) device: u64,
    pub(crate) limits: Limits,
    pub(crate) capabilities: Capabilities,
    /// How much of a stub is fetched at a time, so that it fits into a frame.
    pub(crate) fetch_piece: u32,
    /// How much of a file is requested at a time, so that it fits into a frame.
    pub(crate) file_piece: u32,
    /// The uploads that are under way.
    pub(crate) uploads: Uploads,
    /// The account number, 0 before the first login.
    account: AtomicU64,
    wall_clock: WallClock,
    ids: Mutex<Ids>,
    /// The unread messages in all conversations that count.
    total_unread: AtomicU64,
    pub(crate) status: watch::Sender<ClientStatus>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) handlers: Handlers,
    pub(crate) messages: Arc<Messages>,
    pub(crate) av_chat_rooms: Arc<AvChatRooms>,
}

/// The state of the client, for its handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientStatus {
    pub(crate) session: Status,
    /// The client waits for the application to read its events.
    pub(crate) stalled: bool,
}

impl Shared {
    /// `random` is any number, for message ids.
    pub(crate) fn new(
        config: &ClientConfig,
        limits: Limits,
        capabilities: Capabilities,
        bus: Bus,
        wall_clock: WallClock,
        random: u64,
    ) -> Self {
        Self {
            user: config.user,
            device: config.device,
            fetch_piece: config
                .max_frame
                .saturating_sub(FETCH_OVERHEAD)
                .clamp(1, MAX_FETCH_PIECE),
            file_piece: config
                .max_frame
                .saturating_sub(DownloadResponse::OVERHEAD as u32)
                .clamp(1, MAX_FILE_PIECE),
            uploads: Uploads::default(),
            limits,
            capabilities,
            account: AtomicU64::new(0),
            ids: Mutex::new(Ids {
                random: MessageRandom::new(match planted::is(Fault::IdsDrawnAgain) {
                    true => 0,
                    false => random,
                }),
                sequence: ClientSequence::at(wall_clock.unix_millis() / 1000),
            }),
            wall_clock,
            total_unread: AtomicU64::new(0),
            status: watch::Sender::new(ClientStatus {
                session: Status::NEW,
                stalled: false,
            }),
            bus: Arc::new(bus),
            handlers: Handlers::default(),
            messages: Arc::new(Messages::new(config.user)),
            av_chat_rooms: Arc::default(),
        }
    }

    /// The configuration of the client's state.
    pub(crate) fn state_config(&self) -> Config {
        Config {
            user: self.user,
            device: self.device,
            conversations: self.limits.conversations() as usize,
            fetch_piece: self.fetch_piece,
            capacity: self.bus.capacity(),
        }
    }

    pub(crate) fn account(&self) -> u64 {
        self.account.load(Ordering::Relaxed)
    }

    /// The hub has accepted the login.
    pub(crate) fn logged_in(&self, account: u64, hub_time_ms: u64) {
        self.account.store(account, Ordering::Relaxed);
        if !planted::is(Fault::IdsDrawnAgain) {
            self.ids().random.logged_in(self.device, hub_time_ms);
        }
    }

    pub(crate) fn total_unread(&self) -> u64 {
        self.total_unread.load(Ordering::Relaxed)
    }

    pub(crate) fn set_total_unread(&self, total: u64) {
        self.total_unread.store(total, Ordering::Relaxed);
    }

    /// The time of day, in seconds since 1970.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.wall_clock.unix_millis() / 1000
    }

    /// The random number of a new id.
    pub(crate) fn draw_random(&self) -> u32 {
        self.ids().random.draw()
    }

    /// The number of a new message (`clientSequence`).
    pub(crate) fn draw_sequence(&self) -> u32 {
        self.ids().sequence.draw()
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> ClientStatus {
        *self.status.borrow()
    }

    pub(crate) fn set_status(&self, change: impl FnOnce(&mut ClientStatus)) {
        self.status.send_if_modified(|status| {
            let before = *status;
            change(status);
            *status != before
        });
    }
}

/// The generators of message numbers.
#[derive(Debug)]
struct Ids {
    random: MessageRandom,
    sequence: ClientSequence,
}
