//! The services that handlers and connections use, and how a hub starts them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_files::FileStore;
#[cfg(feature = "rest")]
use tim_proto::GroupId;
use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, UserId};
use tim_store::{
    Epochs, Hooks, Published, Purge, Store, StoreError, StoreReader, StoreWriter, Write, Writer, WriterConfig,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::error;

use crate::admission::{AccountLimiter, Backlog, LogLimiter, Network, PlaceLimits, Places, RateLimiter};
use crate::clock::Clock;
use crate::delivery::{
    AvChatRoomTips, FanOutQueue, GroupQueue, LiveQueue, RecentIds, Revocations, Withdrawals, start_fanout,
    start_live,
};
use crate::device::Device;
use crate::elsewhere::{Follower, Listener, begin_again};
use crate::files::Files;
use crate::merges::Merges;
use crate::metrics::Metrics;
use crate::options::HubOptions;
use crate::permissions::Permissions;
use crate::presence::PresenceRegistry;
use crate::push::Push;
use crate::randoms::Randoms;
use crate::reads::Reads;
use crate::refusal::Refusal;
use crate::retention::{Announcer, ProvenTime, Retention, Work};
use crate::settings::Settings;
use crate::steps::{Steps, Workers};
use crate::stopping::Stopping;
use crate::timer::Timer;
use crate::wakeups::together;
use crate::worker::{Worker, Workplace};

/// Everything that the connections of a hub share.
pub(crate) struct Services {
    pub(crate) options: HubOptions,
    pub(crate) settings: Arc<Settings>,
    /// Of messages.
    pub(crate) rate_limiter: RateLimiter<UserId>,
    /// Of what other requests cost.
    pub(crate) request_limiter: RateLimiter<UserId>,
    /// Of pieces of files, which cost what other requests do.
    pub(crate) piece_limiter: RateLimiter<UserId>,
    /// Of what everything costs that comes from those in a network who have logged in.
    pub(crate) network_limiter: RateLimiter<Network>,
    /// Of what everything costs that comes from the others in it.
    pub(crate) stranger_limiter: RateLimiter<Network>,
    /// Of the accounts that the first logins from a network open.
    pub(crate) network_accounts: AccountLimiter<Network>,
    /// Of the accounts that the messages of a user open.
    pub(crate) user_accounts: AccountLimiter<UserId>,
    /// Of calls of the REST interface, all together.
    #[cfg(feature = "rest")]
    pub(crate) rest_limiter: RateLimiter<()>,
    /// Of changes of a group's attributes.
    #[cfg(feature = "rest")]
    pub(crate) attribute_limiter: RateLimiter<GroupId>,
    /// What calls of the REST interface are sending.
    #[cfg(feature = "rest")]
    pub(crate) under_way: crate::delivery::UnderWay,
    pub(crate) places: Arc<Places>,
    pub(crate) backlog: Backlog<Device>,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Arc<Status>,
    /// In front of the store, which it uses. `None` in a stepped hub.
    _retention: Option<Retention>,
    announcer: Arc<Announcer>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) reads: Reads,
    pub(crate) files: Arc<Files>,
    #[cfg(feature = "http")]
    pub(crate) file_urls: crate::file_urls::FileUrls,
    /// Of all devices that catch up.
    pub(crate) merges: Arc<Merges>,
    pub(crate) withdrawals: Arc<Withdrawals>,
    /// Makes cursors of change numbers.
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) randoms: Arc<Randoms>,
    pub(crate) fanout: FanOutQueue,
    pub(crate) live: LiveQueue,
    pub(crate) recent_ids: Arc<RecentIds>,
    pub(crate) group_queue: Arc<GroupQueue>,
    pub(crate) timer: Timer,
    pub(crate) push: Push,
    /// To the other hubs on the same database.
    _listener: Option<Arc<Listener>>,
    #[cfg(feature = "outgoing")]
    pub(crate) callbacks: crate::callbacks::Callbacks,
    /// Behind the writer and the queues, which end them.
    workers: [Worker; 2],
}

/// Counts and logs what anybody on the network can cause.
pub(crate) struct Events {
    pub(crate) refused_logins: LogLimiter,
    /// Calls of the REST interface by somebody who may not make them.
    #[cfg(feature = "rest")]
    pub(crate) refused_calls: LogLimiter,
    pub(crate) turned_away: LogLimiter,
    /// Cursors that this store did not give out.
    pub(crate) foreign_cursors: LogLimiter,
    pub(crate) malformed_requests: LogLimiter,
    pub(crate) protocol_violations: LogLimiter,
    /// Devices that gave up what waited for them.
    pub(crate) shed: LogLimiter,
}

/// Whether the hub runs, stops or has failed.
pub(crate) struct Status {
    /// Whether the hub is about to end.
    pub(crate) stopping: Arc<Stopping>,
    /// Why the store has failed for good, if it has.
    pub(crate) failed: watch::Sender<Option<String>>,
}

impl Services {
    /// Starts the workers of a hub: writer, fan-out, live delivery and retention.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub(crate) fn start(
        options: HubOptions,
        store: Store,
        content: Option<FileStore>,
        status: &Arc<Status>,
        steps: Option<&Steps>,
    ) -> std::io::Result<Self> {
        let workplace = &steps.map_or(Workplace::Threads, |steps| Workplace::Steps(steps.wakeup()));
        let Store {
            writer: store,
            reader,
            bus,
        } = store;
        let failed = Arc::clone(status);
        reader.on_fatal(Box::new(move |error| failed.unreadable(error)));
        let clock = options.clock.clone();
        let metrics = Arc::new(Metrics::new());
        let reads = Reads::new(Arc::clone(&reader), workplace);
        let presence = Arc::new(PresenceRegistry::default());
        let permissions = Permissions::new(reads.clone(), Arc::clone(&presence), clock.clone());
        let permissions = Arc::new(permissions);
        let recent_ids = Arc::new(RecentIds::default());
        let randoms = Arc::new(Randoms::default());
        let (live, live_worker) = start_live(
            workplace,
            &presence,
            Arc::clone(&permissions),
            Arc::clone(&recent_ids),
            clock.clone(),
        )?;
        let revocations = Arc::new(Revocations::default());
        let withdrawals = Arc::new(Withdrawals::default());
        let (fanout, fanout_worker) = start_fanout(workplace, &presence, &revocations)?;
        let push = Push::new(
            options.push.clone(),
            clock.clone(),
            reads.clone(),
            Arc::clone(&presence),
        );
        let announcer = Announcer::new(Arc::clone(&presence), reads.clone(), Arc::clone(&withdrawals));
        let publisher = Publisher {
            fanout: fanout.clone(),
            push: push.handle(),
            revocations,
            withdrawals: Arc::clone(&withdrawals),
            status: Arc::clone(status),
        };
        let follower = Follower {
            presence: Arc::clone(&presence),
            permissions: Arc::clone(&permissions),
            announcer: Arc::clone(&announcer),
            live: live.clone(),
            push: push.handle(),
        };
        let mut hooks = hooks(publisher, follower, &presence, status, &clock);
        hooks.unknown = {
            let (presence, permissions) = (Arc::clone(&presence), Arc::clone(&permissions));
            let why = "it is unknown whether a commit was stored";
            Box::new(move || begin_again(&presence, &permissions, why))
        };
        let writer = Arc::new(start_writer(workplace, store, hooks)?);
        push.set_writer(&writer);
        let is_shared = bus.is_some();
        let listener = bus.map(|bus| {
            let listener = Listener {
                presence: Arc::clone(&presence),
                live: live.clone(),
                push: push.handle(),
                writer: Arc::clone(&writer),
                runtime: Handle::try_current().ok(),
            };
            listener.listen(&bus)
        });
        let group_queue = Arc::new(GroupQueue::new(
            options.limits.group_messages_per_second(),
            clock.clone(),
            reads.clone(),
            Arc::clone(&writer),
            live.clone(),
            Arc::clone(&recent_ids),
            Arc::clone(&metrics),
        ));
        let av_chat_room_tips = AvChatRoomTips {
            presence: Arc::clone(&presence),
            reads: reads.clone(),
            live: live.clone(),
            randoms: Arc::clone(&randoms),
            clock: clock.clone(),
        };
        let settings = Arc::new(Settings::new(&options));
        let unsent_life = options
            .files
            .as_ref()
            .map_or(Duration::ZERO, |files| files.unsent_life);
        let files = Files::new(
            content,
            unsent_life,
            reads.clone(),
            Arc::clone(&writer),
            Arc::clone(&settings),
            clock.clone(),
        );
        let files = files.shared(is_shared);
        let timer = Timer::new(
            clock,
            Arc::clone(&presence),
            Arc::clone(&group_queue),
            av_chat_room_tips,
        );
        // The options were checked.
        #[cfg(feature = "outgoing")]
        let callbacks = crate::callbacks::Callbacks::new(
            options.callbacks.clone(),
            options.app.id,
            options.clock.clone(),
            Arc::clone(&status.stopping),
        )
        .map_err(std::io::Error::other)?;
        let mut services = Self {
            settings,
            files: Arc::new(files),
            #[cfg(feature = "http")]
            file_urls: crate::file_urls::FileUrls::default(),
            rate_limiter: RateLimiter::default(),
            request_limiter: RateLimiter::default(),
            piece_limiter: RateLimiter::default(),
            network_limiter: RateLimiter::default(),
            stranger_limiter: RateLimiter::default(),
            #[cfg(feature = "rest")]
            rest_limiter: RateLimiter::default(),
            #[cfg(feature = "rest")]
            attribute_limiter: RateLimiter::default(),
            #[cfg(feature = "rest")]
            under_way: crate::delivery::UnderWay::default(),
            network_accounts: AccountLimiter::new(options.accounts_per_hour),
            user_accounts: AccountLimiter::new(options.accounts_per_hour),
            places: Places::new(place_limits(&options)),
            backlog: Backlog::new(options.max_backlog, options.max_connections),
            events: Events::new(),
            metrics,
            status: Arc::clone(status),
            merges: Arc::default(),
            _retention: None,
            announcer,
            withdrawals,
            writer,
            reads,
            epochs: reader.epochs(),
            timer,
            push,
            _listener: listener,
            #[cfg(feature = "outgoing")]
            callbacks,
            presence,
            permissions,
            randoms,
            fanout,
            live,
            recent_ids,
            group_queue,
            workers: [fanout_worker, live_worker],
            options,
        };
        services._retention = services.start_retention(&reader, steps)?;
        Ok(services)
    }

    /// Starts the tasks of the executor, if there is one by now.
    pub(crate) fn start_tasks(&self) {
        self.push.start();
        #[cfg(feature = "outgoing")]
        self.callbacks.start();
    }

    /// Starts retention. In a stepped hub it is a step, like the work of the other workers.
    fn start_retention(
        &self,
        reader: &Arc<dyn StoreReader>,
        steps: Option<&Steps>,
    ) -> std::io::Result<Option<Retention>> {
        let work = Work {
            writer: Arc::downgrade(&self.writer),
            reader: Arc::downgrade(reader),
            clock: self.options.clock.clone(),
            settings: Arc::clone(&self.settings),
            interval: self.options.purge_interval,
            time: ProvenTime::default(),
            presence: Arc::downgrade(&self.presence),
            told_of_use_ms: None,
            is_timed: steps.is_none(),
            announcer: Arc::downgrade(&self.announcer),
            files: Arc::downgrade(&self.files),
            metrics: Arc::clone(&self.metrics),
        };
        let Some(steps) = steps else {
            return Retention::start(work).map(Some);
        };
        let [fanout, live] = &self.workers;
        steps.set_workers(Workers {
            writer: Arc::downgrade(&self.writer),
            fanout: fanout.stepped(),
            live: live.stepped(),
            reads: self.reads.stepped(),
            retention: Mutex::new(work),
        });
        Ok(None)
    }

    /// The network whose limits apply to a connection from this address.
    pub(crate) fn network_of(&self, address: Option<IpAddr>) -> Option<Network> {
        let address = address?.to_canonical();
        let is_trusted = |trusted: &IpAddr| trusted.to_canonical() == address;
        (!self.options.trusted_addresses.iter().any(is_trusted)).then(|| address.into())
    }

    /// Refuses a UserSig that was made void after it was issued, and a user whom the operator keeps out. Reads the store.
    pub(crate) fn check_admitted(&self, user: &UserId, issued_s: u64) -> Result<(), Refusal> {
        let store = self.reads.store();
        if store.is_blocked(user)? && !planted::is(Fault::BlockedLogsIn) {
            let text = "this account is blocked";
            return Err(Refusal::new(ErrorCode::ACCOUNT_INVALID_USERSIG, text));
        }
        match store.user_sigs_valid_from(user)? > issued_s && !planted::is(Fault::VoidSigLogsIn) {
            true => Err(Refusal::new(ErrorCode::ACCOUNT_INVALID_USERSIG, "")),
            false => Ok(()),
        }
    }

    /// Has the writer try the store after a failure, unless something waits that does. A hub that is not ready gets no writes from others.
    pub(crate) fn write_nothing(&self) {
        if self.writer.stats().waiting == 0 {
            // Whether it could be written shows in what the writer counts.
            let _ = self.writer.submit(Write::Purge(Purge::NONE), drop);
        }
    }

    /// The wall clock: for what is shown and stored, and for what was agreed on in such times.
    pub(crate) fn now_ms(&self) -> u64 {
        self.options.clock.wall_ms()
    }

    /// The clock that nobody sets: for durations.
    pub(crate) fn steady_ms(&self) -> u64 {
        self.options.clock.steady_ms()
    }
}

const fn place_limits(options: &HubOptions) -> PlaceLimits {
    PlaceLimits {
        half_open: options.max_half_open,
        established: options.max_connections,
        of_network: options.max_connections_per_address,
        serial: options.max_serial_ports,
    }
}

fn start_writer(workplace: &Workplace, store: Box<dyn StoreWriter>, hooks: Hooks) -> std::io::Result<Writer> {
    let config = WriterConfig::default();
    match workplace {
        Workplace::Threads => Writer::start(store, config, hooks),
        Workplace::Steps(wakeup) => {
            let wakeup = Arc::clone(wakeup);
            Ok(Writer::stepped(store, config, hooks, move || wakeup.notify_one()))
        }
    }
}

/// Where what was published goes.
#[derive(Clone)]
struct Publisher {
    fanout: FanOutQueue,
    push: Push,
    revocations: Arc<Revocations>,
    withdrawals: Arc<Withdrawals>,
    status: Arc<Status>,
}

impl Publisher {
    fn publish(&self, batch: Vec<Published>) {
        self.revocations.committed(&batch);
        self.withdrawals.committed(&batch);
        self.push.committed(&batch);
        // The fan-out ends only after the writer, unless it panics. Without it nothing would be delivered.
        if self.fanout.deliver(batch).is_err() {
            error!("the fan-out has ended; the hub stops");
            self.status.stopping.set();
            self.status
                .failed
                .send_replace(Some("the fan-out has ended".to_owned()));
        }
    }
}

/// The hooks of the writer, which feed the fan-out.
fn hooks(
    publisher: Publisher,
    follower: Follower,
    presence: &Arc<PresenceRegistry>,
    status: &Arc<Status>,
    clock: &Clock,
) -> Hooks {
    let (everybody, clock, no_store) = (Arc::clone(presence), clock.clone(), Arc::clone(status));
    let of_others = publisher.clone();
    Hooks {
        now_ms: Box::new(move || clock.wall_ms()),
        published: Box::new(move |batch| publisher.publish(batch)),
        elsewhere: Box::new(move |elsewhere| {
            together(|| follower.follow(elsewhere, |batch| of_others.publish(batch)));
        }),
        answers: Box::new(|answer| together(answer)),
        unknown: Box::new(|| ()),
        fatal: Box::new(move |error: StoreError| {
            error!(%error, "the store failed; the hub stops");
            // First, and also if nobody waits for the failure in `serve`.
            no_store.stop(&everybody);
            no_store.failed.send_replace(Some(error.to_string()));
        }),
    }
}

impl Status {
    pub(crate) fn new() -> Self {
        Self {
            stopping: Arc::default(),
            failed: watch::Sender::new(None),
        }
    }

    /// No more connections, and a GOODBYE to those that exist.
    pub(crate) fn stop(&self, presence: &PresenceRegistry) {
        self.stopping.set();
        presence.close_all(ErrorCode::SERVER_SHUTTING_DOWN);
    }

    /// The store cannot be read any more.
    fn unreadable(&self, error: &StoreError) {
        // Also if nobody waits for the failure in `serve`: each connection says goodbye by itself.
        self.stopping.set();
        // Many connections may find that out at a time; the first one is reported.
        self.failed.send_if_modified(|reason| {
            let is_first = reason.is_none();
            if is_first {
                error!(%error, "the store cannot be read; the hub stops");
                *reason = Some(error.to_string());
            }
            is_first
        });
    }
}

impl Events {
    const fn new() -> Self {
        Self {
            refused_logins: LogLimiter::new(),
            #[cfg(feature = "rest")]
            refused_calls: LogLimiter::new(),
            turned_away: LogLimiter::new(),
            foreign_cursors: LogLimiter::new(),
            malformed_requests: LogLimiter::new(),
            protocol_violations: LogLimiter::new(),
            shed: LogLimiter::new(),
        }
    }
}
