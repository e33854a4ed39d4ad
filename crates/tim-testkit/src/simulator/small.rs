//! A small-frame device: the client of `tim_transport_embedded` on a stream or a serial line, and the firmware around it.

mod calls;
mod outbox;
mod transport;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use tim_proto::planted::{self, Fault};
use tim_proto::{ConversationId, ErrorCode, MessageId, UserId};
use tim_transport_embedded::{
    ClientConfig, Device, Event as DeviceEvent, Events, Framing, NetState, Resources,
};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, spawn_local};

use self::calls::Calls;
use self::outbox::Record;
use self::transport::{DeviceClock, DeviceTransport, Way};
use super::history::{Content, DeviceState, Event, Log, Mark, Seen, Started, StartsFrom, What};
use super::network::LifeLine;
use super::op::{Body, Call, CutPoint, DeviceFault, DeviceKind, DeviceRef, Plan, Target};
use super::recorder::{APP, Shared, Sig};
use super::seen;

/// The buffers of a device.
type Buffers = Resources<640, 768, 1024>;

/// A device, running or not.
pub(crate) struct SmallDevice {
    shared: Rc<Shared>,
    me: DeviceRef,
    kind: DeviceKind,
    pub(crate) link: u32,
    kept: RefCell<Kept>,
    running: RefCell<Option<Running>>,
    lives: Cell<u32>,
    wants_in: Cell<bool>,
    paused_until_ms: Cell<u64>,
    pending: Cell<usize>,
    ready: Cell<bool>,
    connected: Cell<bool>,
    /// What the firmware has in RAM: messages that were made and received in this life.
    own: RefCell<Vec<Own>>,
    held: RefCell<Vec<Seen>>,
    this: Weak<Self>,
    /// Where its power goes next, and for how many milliseconds.
    cut: Cell<Option<(CutPoint, u32)>>,
    /// How often it has used its storage, and sent a record again.
    writes: Cell<u32>,
    resends: Cell<u32>,
    /// One at a time uses the outbox in the storage.
    turn: Mutex<()>,
}

/// What is in flash.
#[derive(Default)]
struct Kept {
    cursor: Vec<u8>,
    observations: usize,
    own: Vec<Own>,
    /// The messages that are not answered, oldest first.
    outbox: Vec<Record>,
    sig: Option<Sig>,
}

/// A message that the device has made: what a firmware has to keep to send it again.
#[derive(Clone)]
struct Own {
    mark: Mark,
    to: ConversationId,
    body: Body,
    id: MessageId,
    online_only: bool,
    /// What the hub answered.
    sequence: Option<u64>,
    time_s: u64,
}

struct Running {
    commands: mpsc::UnboundedSender<(u32, Call)>,
    line: LifeLine,
    task: JoinHandle<()>,
}

impl SmallDevice {
    pub(crate) fn new(shared: &Rc<Shared>, me: DeviceRef, kind: DeviceKind, link: u32) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            cut: Cell::new(None),
            writes: Cell::new(0),
            resends: Cell::new(0),
            turn: Mutex::new(()),
            shared: Rc::clone(shared),
            me,
            kind,
            link,
            kept: RefCell::default(),
            running: RefCell::default(),
            lives: Cell::new(0),
            wants_in: Cell::new(false),
            paused_until_ms: Cell::new(0),
            pending: Cell::new(0),
            ready: Cell::new(false),
            connected: Cell::new(false),
            own: RefCell::default(),
            held: RefCell::default(),
        })
    }

    fn user(&self) -> UserId {
        self.me.user_id()
    }

    fn observe(&self, what: What) {
        self.shared.observe(Some(self.me), what);
    }

    fn sig(&self) -> String {
        let kept = &mut self.kept.borrow_mut().sig;
        if !kept.as_ref().is_some_and(|sig| sig.is_good(&self.shared)) {
            *kept = Some(
                self.shared
                    .user_sig(self.user(), self.shared.plan.settings.sig_seconds),
            );
        }
        kept.as_ref().map(|sig| sig.text.clone()).unwrap_or_default()
    }

    /// The hub has ended the session, or refused it. If that is because of the UserSig, the next life has another one.
    fn drop_sig(&self, code: ErrorCode) {
        if seen::is_of_sig(code) || code == ErrorCode::KICKED_OUT_REST_API {
            self.kept.borrow_mut().sig = None;
        }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(APP, self.user(), u64::from(self.link) + 1);
        config.window = self.shared.plan.settings.window.min(4);
        if self.kind == DeviceKind::Serial {
            config.framing = Framing::Serial;
        }
        // Half of the devices.
        config.compact = self.link % 2 == 1;
        config.compact_numbers = true; // the invariants compare them
        config
    }

    /// Starts the device, unless it runs.
    pub(crate) fn start(self: &Rc<Self>, from_start: bool) {
        if self.running.borrow().is_some() {
            return;
        }
        let life = self.lives.replace(self.lives.get() + 1);
        let (cursor, observations) = {
            let kept = self.kept.borrow();
            *self.own.borrow_mut() = kept.own.clone();
            (kept.cursor.clone(), kept.observations)
        };
        let from = match (from_start, cursor.is_empty()) {
            (true, _) => StartsFrom::Start,
            (false, true) => StartsFrom::Now,
            (false, false) => StartsFrom::Cursor { observations },
        };
        self.observe(What::Started(Started {
            life,
            from,
            twin: false,
        }));
        let line = LifeLine::default();
        let seed = self
            .shared
            .rng(u64::from(self.link) << 32 | u64::from(life))
            .draw();
        let (commands, receiver) = mpsc::unbounded_channel();
        let task = spawn_local(Rc::clone(self).live(from, cursor, line.clone(), seed, receiver));
        let running = Running { commands, line, task };
        *self.running.borrow_mut() = Some(running);
    }

    /// One life.
    async fn live(
        self: Rc<Self>,
        from: StartsFrom,
        cursor: Vec<u8>,
        line: LifeLine,
        seed: u64,
        commands: mpsc::UnboundedReceiver<(u32, Call)>,
    ) {
        let sig = self.sig();
        let mut buffers = Box::new(Buffers::new());
        let clock = DeviceClock(self.shared.steady);
        let mut device = Device::new(self.config(), sig.as_str(), &mut buffers, seed, clock);
        match from {
            StartsFrom::Now => {}
            StartsFrom::Start => device.resume_from_start(),
            StartsFrom::Cursor { .. } => drop(device.resume_from(&cursor)),
        }
        let transport = DeviceTransport {
            way: match self.kind {
                DeviceKind::Serial => Way::Serial(self.shared.network.serial_line(self.link)),
                _ => Way::Stream(self.shared.network.connector(self.link, line)),
            },
            link: RefCell::new(None),
        };
        let (client, runner) = device.split(transport);
        let mut calls = Calls {
            device: &self,
            client,
            commands,
            active: Vec::new(),
            drain: None,
        };
        if self.wants_in.get() {
            calls.log_in();
        }
        runner
            .run(async |mut events| self.take_events(&mut events, &mut calls).await)
            .await;
    }

    async fn take_events(&self, events: &mut Events<'_>, calls: &mut Calls<'_>) {
        loop {
            if self.is_off() {
                return std::future::pending().await;
            }
            let paused_until = self.paused_until_ms.get();
            let now_ms = self.shared.steady.ms();
            if paused_until > now_ms {
                // A firmware that is busy elsewhere takes no events.
                tokio::time::sleep(Duration::from_millis((paused_until - now_ms).min(500))).await;
                continue;
            }
            // Asking for the next event finishes the last one.
            let at_once = {
                let mut next = pin!(events.next_event());
                poll_fn(|context| match next.as_mut().poll(context) {
                    Poll::Ready(event) => Poll::Ready(Some(self.event_of(&event))),
                    Poll::Pending => Poll::Ready(None),
                })
                .await
            };
            let event = match at_once {
                Some(event) => event,
                None => {
                    events.cursor(|cursor| self.keep_cursor(cursor));
                    let mut next = pin!(events.next_event());
                    poll_fn(|context| {
                        if self.is_off() {
                            return Poll::Pending;
                        }
                        let event = next.as_mut().poll(context).map(|event| self.event_of(&event));
                        if event.is_pending() {
                            calls.poll(context);
                        }
                        event
                    })
                    .await
                }
            };
            if let Some(event) = event {
                // While the event is held, the cursor stands behind it.
                if planted::is(Fault::CursorWithoutEntry) {
                    events.cursor(|cursor| self.keep_cursor(cursor));
                }
                let is_entry = matches!(event, Event::Received(_));
                if is_entry {
                    self.reaches(CutPoint::Delivered).await;
                }
                // The entry and the cursor are one record.
                self.observe(What::Event(event));
                events.cursor(|cursor| self.keep_cursor(cursor));
                if is_entry {
                    self.reaches(CutPoint::Saved).await;
                }
            }
        }
    }

    fn keep_cursor(&self, cursor: &[u8]) {
        let mut kept = self.kept.borrow_mut();
        if self.shared.plan.settings.keeps && kept.cursor != cursor {
            (kept.cursor, kept.observations) = (cursor.to_vec(), self.shared.observed());
        }
    }

    fn event_of(&self, event: &DeviceEvent<'_>) -> Option<Event> {
        let me = self.user();
        Some(match event {
            DeviceEvent::Ready => {
                self.ready.set(true);
                Event::Ready
            }
            DeviceEvent::NotReady(reason) => {
                self.ready.set(false);
                Event::NotReady(format!("{reason:?}"))
            }
            DeviceEvent::KickedOut(failure) => {
                self.ready.set(false);
                self.wants_in.set(false);
                self.drop_sig(failure.code);
                Event::KickedOut(failure.code)
            }
            DeviceEvent::LoginFailed(failure) => {
                self.wants_in.set(false);
                self.drop_sig(failure.code);
                Event::LoginFailed(failure.code)
            }
            DeviceEvent::Delivered(delivery) => {
                let seen = seen::of_message(me, &delivery.message());
                self.hold(&seen);
                Event::Received(vec![seen])
            }
            DeviceEvent::Gap(gap) if gap.is_restored() => Event::RestoredGap,
            DeviceEvent::Gap(gap) => Event::Gap {
                log: Log::of(me, gap.conversation),
                from: gap.from,
                to: gap.to,
            },
            DeviceEvent::Expiring(expiring) => Event::SigExpiring(expiring.expires),
            DeviceEvent::NetState(state) => {
                self.connected.set(*state == NetState::Connected);
                Event::Other(format!("net {state:?}"))
            }
            DeviceEvent::ConversationChanged(change) => Event::Other(format!(
                "{} unread {} read {}",
                Log::of(me, change.conversation),
                change.unread,
                change.read_sequence
            )),
            DeviceEvent::TurnedAway(failure) => Event::TurnedAway(failure.code),
            DeviceEvent::Malformed { kind } => Event::Other(format!("malformed {kind}")),
            _ => return None,
        })
    }

    /// Holds an entry, or removes the content of what it revokes.
    fn hold(&self, seen: &Seen) {
        let mut held = self.held.borrow_mut();
        match seen.content {
            Content::Revocation { sequence } => forget(&mut held, seen.log, sequence),
            _ => held.push(seen.clone()),
        }
        if held.len() > MAX_HELD {
            held.remove(0);
        }
    }

    /// An entry is revoked: the device removes its content.
    fn take_revocation(&self, log: Log, sequence: u64) {
        forget(&mut self.held.borrow_mut(), log, sequence);
    }

    /// Ends the device without warning.
    pub(crate) fn kill(&self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.task.abort();
        let life = u64::from(self.lives.get()) << 32 | u64::from(self.link);
        running.line.end(self.shared.rng(life).percent(50));
        self.pending.set(0);
        self.ready.set(false);
        self.connected.set(false);
        self.own.take();
        self.held.take();
        self.observe(What::Ended);
    }

    fn is_off(&self) -> bool {
        self.running.borrow().is_none()
    }

    fn is_cut_at(&self, point: CutPoint) -> bool {
        self.cut.get().is_some_and(|(at, _)| at == point)
    }

    /// Ends with the device if its power goes here.
    async fn reaches(&self, point: CutPoint) {
        if self.is_cut_at(point) {
            self.cut_power().await;
        }
    }

    /// The power goes, and comes back later. Does not return.
    async fn cut_power(&self) {
        if let (Some((_, after_ms)), Some(this)) = (self.cut.take(), self.this.upgrade()) {
            this.restart(after_ms);
        }
        std::future::pending().await
    }

    fn restart(self: &Rc<Self>, after_ms: u32) {
        if !self.shared.plan.settings.keeps {
            *self.kept.borrow_mut() = Kept::default();
        }
        self.kill();
        self.start_later(after_ms, false);
    }

    /// Something happens to the device.
    pub(crate) fn fault(self: &Rc<Self>, fault: DeviceFault) {
        match fault {
            // A device of this kind has one instance, and takes its time from the hub.
            DeviceFault::Twin(_) | DeviceFault::ClockJump(_) => return,
            _ => self.observe(What::DeviceFault(fault)),
        }
        match fault {
            DeviceFault::ReadsNothing(ms) => {
                self.paused_until_ms.set(self.shared.steady.ms() + u64::from(ms))
            }
            DeviceFault::Restart(after_ms) => self.restart(after_ms),
            DeviceFault::PowerCut(point, after_ms) => self.cut.set(Some((point, after_ms))),
            DeviceFault::Reset { after_ms, from_start } => {
                *self.kept.borrow_mut() = Kept::default();
                self.kill();
                self.start_later(after_ms, from_start);
            }
            DeviceFault::Twin(_) | DeviceFault::ClockJump(_) => {}
        }
    }

    fn start_later(self: &Rc<Self>, after_ms: u32, from_start: bool) {
        let (device, life) = (Rc::clone(self), self.lives.get());
        spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
            if device.lives.get() == life {
                device.start(from_start);
            }
        });
    }

    /// Makes a call.
    pub(crate) fn call(self: &Rc<Self>, step: u32, op: &Call) {
        if *op == Call::Login {
            self.start(false);
        }
        match &*self.running.borrow() {
            Some(running) => drop(running.commands.send((step, op.clone()))),
            None => self.skip(step, "the device does not run"),
        }
    }

    fn skip(&self, step: u32, why: &'static str) {
        self.observe(What::Skipped { call: step, why });
    }

    pub(crate) fn settle(self: &Rc<Self>) {
        self.paused_until_ms.set(0);
        self.cut.set(None);
        let wanted = self.wants_in.replace(true);
        let is_running = self.running.borrow().is_some();
        if is_running && !wanted {
            // With the UserSig that it has it may have been refused.
            self.kill();
        }
        self.start(false);
    }

    pub(crate) fn unsettled(&self) -> Option<String> {
        self.running.borrow().as_ref()?;
        if self.wants_in.get() && !(self.ready.get() && self.connected.get()) {
            return Some(format!("{} is not ready", self.me));
        }
        if self.wants_in.get() && self.has_kept() {
            return Some(format!("{} has messages that are not answered", self.me));
        }
        (self.pending.get() > 0).then(|| format!("{} waits for {} calls", self.me, self.pending.get()))
    }

    pub(crate) fn state(&self) -> DeviceState {
        DeviceState {
            device: self.me,
            wants_in: self.wants_in.get(),
            ready: self.ready.get(),
            list: None,
            truncated: false,
            total_unread: None,
            held: self.held.borrow().clone(),
            sig_since_s: self.kept.borrow().sig.as_ref().map(|sig| sig.since_s),
        }
    }

    fn named(&self, user: u8) -> UserId {
        Plan::user(user % self.shared.plan.population.users.len().max(1) as u8)
    }

    fn conversation(&self, target: Target) -> ConversationId {
        match target {
            Target::User(user) => ConversationId::C2c(self.named(user)),
            Target::Group(group) => ConversationId::Group(Plan::group(group)),
            Target::System => ConversationId::System,
        }
    }
}

/// How many entries a device holds.
const MAX_HELD: usize = 400;

fn forget(held: &mut [Seen], log: Log, sequence: u64) {
    let revoked = held
        .iter_mut()
        .filter(|held| (held.log, held.sequence) == (log, sequence));
    revoked.for_each(|held| (held.revoked, held.content) = (true, Content::Gone));
}
