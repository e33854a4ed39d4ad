//! A device that runs an application on the SDK: a real [`Client`], what its application keeps, and a reader of its events.

mod calls;
mod files;

pub(crate) use calls::{page_back, with_payload};
use files::Progress;
pub(crate) use files::download;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tim_client::{Client, Event as SdkEvent, EventStream, Limits, Message, NetState, Status};
use tim_proto::UserId;
use tokio::task::{JoinHandle, spawn_local};

use super::history::{
    DeviceState, Event, GroupSeen, ListEntry, Log, Mark, Returned, Seen, Started, StartsFrom, What,
};
use super::network::LifeLine;
use super::op::{Call, DeviceFault, DeviceRef};
use super::recorder::{APP, Shared, Sig};
use super::seen;
use super::time::Wall;

/// How many messages of one conversation an application holds.
const MAX_HELD: usize = 400;

/// A device, running or not.
pub(crate) struct SdkDevice {
    shared: Rc<Shared>,
    me: DeviceRef,
    /// Its number in the network.
    pub(crate) link: u32,
    wall: Wall,
    kept: RefCell<Kept>,
    running: RefCell<Option<Rc<Running>>>,
    lives: Cell<u32>,
    wants_in: Cell<bool>,
    paused_until_ms: Cell<u64>,
    /// Whether it has a connection. It stays ready without one.
    connected: Cell<bool>,
}

/// What survives a restart.
#[derive(Default)]
struct Kept {
    /// The cursor, and how many observations there were when it was kept.
    cursor: Vec<u8>,
    observations: usize,
    own: Vec<KeptMessage>,
    sig: Option<Sig>,
}

/// A message that the application has kept.
#[derive(Clone)]
struct KeptMessage {
    mark: Mark,
    /// Before it was sent.
    before: Vec<u8>,
    /// As it was last kept.
    now: Vec<u8>,
}

/// One life of the application.
pub(crate) struct Running {
    pub(crate) client: Client,
    line: LifeLine,
    own: RefCell<Vec<Own>>,
    /// By log: the messages that the application holds, oldest first.
    held: RefCell<BTreeMap<Log, Vec<Message>>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    pending: Cell<usize>,
    list: RefCell<Option<Vec<ListEntry>>>,
    truncated: Cell<bool>,
    /// How many conversations the published list has at most.
    depth: Cell<usize>,
    total: Cell<Option<u64>>,
}

/// A message that the application has made.
#[derive(Clone)]
struct Own {
    mark: Mark,
    message: Message,
    before: Vec<u8>,
    /// What was told of its upload; `None` as long as it has no file, or was not given it again.
    progress: Option<Progress>,
}

impl Running {
    fn hold(&self, me: UserId, messages: &[Message]) {
        let mut held = self.held.borrow_mut();
        for message in messages {
            let log = held.entry(Log::of(me, message.conversation_id())).or_default();
            if !log.iter().any(|other| other.is_same(message)) {
                log.push(message.clone());
            }
            if log.len() > MAX_HELD {
                log.remove(0);
            }
        }
    }

    /// The messages of a log that have a sequence, the newest first.
    fn newest(&self, log: Log) -> Vec<Message> {
        let held = self.held.borrow();
        let mut messages: Vec<Message> = held.get(&log).into_iter().flatten().cloned().collect();
        messages.retain(|message| message.sequence() > 0);
        messages.sort_by_key(|message| std::cmp::Reverse(message.sequence()));
        messages
    }

    /// A list was published. It is cut off if it is as long as it can be.
    fn show(&self, list: &[ListEntry]) {
        *self.list.borrow_mut() = Some(list.to_vec());
        self.truncated.set(list.len() >= self.depth.get());
    }
}

impl SdkDevice {
    pub(crate) fn new(shared: &Rc<Shared>, me: DeviceRef, link: u32) -> Rc<Self> {
        Rc::new(Self {
            wall: Wall::new(shared.steady),
            shared: Rc::clone(shared),
            me,
            link,
            kept: RefCell::default(),
            running: RefCell::default(),
            lives: Cell::new(0),
            wants_in: Cell::new(false),
            paused_until_ms: Cell::new(0),
            connected: Cell::new(false),
        })
    }

    fn user(&self) -> UserId {
        self.me.user_id()
    }

    /// The device id.
    fn number(&self) -> u64 {
        u64::from(self.link) + 1
    }

    fn observe(&self, what: What) {
        self.shared.observe(Some(self.me), what);
    }

    fn running(&self) -> Option<Rc<Running>> {
        self.running.borrow().clone()
    }

    /// A UserSig that is valid now: the kept one, or a new one of the application's server.
    fn sig(&self, seconds: u64) -> String {
        let kept = &mut self.kept.borrow_mut().sig;
        let is_good = kept.as_ref().is_some_and(|sig| sig.is_good(&self.shared));
        if !is_good {
            *kept = Some(self.shared.user_sig(self.user(), seconds));
        }
        kept.as_ref().map(|sig| sig.text.clone()).unwrap_or_default()
    }

    /// A login was refused. If that is because of the UserSig, the next one has another one.
    fn drop_sig(&self, code: tim_proto::ErrorCode) {
        if seen::is_of_sig(code) {
            self.kept.borrow_mut().sig = None;
        }
    }

    fn build(&self, from: &StartsFrom, cursor: &[u8], line: &LifeLine, seed: u64) -> Client {
        let settings = &self.shared.plan.settings;
        let (window, max_frame) = (settings.window, settings.max_frame);
        let wall = self.wall.clone();
        let builder = Client::builder(APP, self.user(), self.sig(settings.sig_seconds))
            .device(self.number())
            .event_capacity(settings.event_capacity)
            .session(|config| (config.window, config.max_frame) = (window, max_frame))
            .wall_clock(move || wall.ms())
            .seed(seed);
        let builder = match from {
            StartsFrom::Now => builder,
            StartsFrom::Start => builder.resume_from_start(),
            StartsFrom::Cursor { .. } => builder.resume_from(cursor),
        };
        builder.build(self.shared.network.connector(self.link, line.clone()))
    }

    /// Starts the application, unless it runs.
    pub(crate) fn start(self: &Rc<Self>, from_start: bool) {
        if self.running.borrow().is_some() {
            return;
        }
        let life = self.lives.replace(self.lives.get() + 1);
        let (cursor, kept_at, messages) = {
            let kept = self.kept.borrow();
            (kept.cursor.clone(), kept.observations, kept.own.clone())
        };
        let from = match (from_start, cursor.is_empty()) {
            (true, _) => StartsFrom::Start,
            (false, true) => StartsFrom::Now,
            (false, false) => StartsFrom::Cursor {
                observations: kept_at,
            },
        };
        let line = LifeLine::default();
        let mut rng = self.shared.rng(u64::from(self.link) << 32 | u64::from(life));
        let client = self.build(&from, &cursor, &line, rng.draw());
        self.observe(What::Started(Started {
            life,
            from,
            twin: false,
        }));
        let restored = messages.into_iter().filter_map(|kept| {
            let message = client.restore_message(&kept.now).ok()?;
            Some(Own {
                mark: kept.mark,
                message,
                before: kept.before,
                progress: None,
            })
        });
        let own: Vec<Own> = restored.collect();
        let events = client.events();
        let running = Rc::new(Running {
            client,
            line,
            own: RefCell::new(own),
            held: RefCell::default(),
            tasks: RefCell::default(),
            pending: Cell::new(0),
            list: RefCell::default(),
            truncated: Cell::new(false),
            depth: Cell::new(Limits::new().conversations() as usize),
            total: Cell::new(None),
        });
        let reader = spawn_local(Rc::clone(self).read(Rc::clone(&running), events));
        running.tasks.borrow_mut().push(reader);
        *self.running.borrow_mut() = Some(Rc::clone(&running));
        if self.wants_in.get() {
            self.log_in_again(&running);
        }
    }

    /// Logs in by itself, as an application does that was logged in when it ended.
    fn log_in_again(self: &Rc<Self>, running: &Rc<Running>) {
        let (device, life) = (Rc::clone(self), Rc::clone(running));
        let task = spawn_local(async move {
            loop {
                let sig = device.sig(device.shared.plan.settings.sig_seconds);
                let _ = life.client.set_user_sig(sig).await;
                device.wants_in.set(true);
                match life.client.login().await {
                    Ok(_) => return,
                    Err(error) if error.code == tim_proto::ErrorCode::REPEAT_LOGIN => return,
                    Err(error) => {
                        device.drop_sig(error.code);
                        tokio::time::sleep(Duration::from_secs(1)).await
                    }
                }
            }
        });
        running.tasks.borrow_mut().push(task);
    }

    /// Ends the application without warning. Whether the hub learns of it is chance.
    pub(crate) fn kill(&self) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.connected.set(false);
        running.tasks.take().iter().for_each(JoinHandle::abort);
        let life = u64::from(self.lives.get()) << 32 | u64::from(self.link);
        running.line.end(self.shared.rng(life).percent(70));
        self.observe(What::Ended);
    }

    /// Something happens to the device.
    pub(crate) fn fault(self: &Rc<Self>, fault: DeviceFault) {
        self.observe(What::DeviceFault(fault));
        match fault {
            DeviceFault::ReadsNothing(ms) => {
                self.paused_until_ms.set(self.shared.steady.ms() + u64::from(ms))
            }
            DeviceFault::Restart(after_ms) => {
                if !self.shared.plan.settings.keeps {
                    self.forget();
                }
                self.kill();
                self.start_later(after_ms, false);
            }
            DeviceFault::Reset { after_ms, from_start } => {
                self.kill();
                self.forget();
                self.start_later(after_ms, from_start);
            }
            DeviceFault::PowerCut(..) => {} // only firmware
            DeviceFault::Twin(ms) => self.twin(ms),
            DeviceFault::ClockJump(seconds) => self.wall.jump(seconds * 1000),
        }
    }

    fn forget(&self) {
        *self.kept.borrow_mut() = Kept::default();
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

    /// A second instance with the same device id.
    fn twin(self: &Rc<Self>, for_ms: u32) {
        let life = self.lives.replace(self.lives.get() + 1);
        let line = LifeLine::default();
        let mut rng = self.shared.rng(u64::from(self.link) << 32 | u64::from(life));
        let client = self.build(&StartsFrom::Now, &[], &line, rng.draw());
        self.observe(What::Started(Started {
            life,
            from: StartsFrom::Now,
            twin: true,
        }));
        spawn_local(async move {
            let time = Duration::from_millis(for_ms.into());
            let _ = tokio::time::timeout(time, async {
                let _ = client.login().await;
                std::future::pending::<()>().await
            })
            .await;
            line.end(true);
        });
    }

    /// Reads the events, and keeps the cursor.
    async fn read(self: Rc<Self>, running: Rc<Running>, mut events: EventStream) {
        // The messages since the application last had nothing to read.
        let mut waited = 0;
        loop {
            let paused_until = self.paused_until_ms.get();
            if paused_until > self.shared.steady.ms() {
                waited = 0;
                let wait = (paused_until - self.shared.steady.ms()).min(500);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                continue;
            }
            let event = std::future::poll_fn(|context| {
                let event = events.poll_next_event(context);
                // Asking for the next one finishes the last one.
                if self.shared.plan.settings.keeps {
                    let cursor = running.client.cursor();
                    let mut kept = self.kept.borrow_mut();
                    if kept.cursor != cursor {
                        (kept.cursor, kept.observations) = (cursor, self.shared.observed());
                    }
                }
                if event.is_pending() {
                    waited = 0;
                }
                event
            });
            let Some(event) = event.await else { return };
            if let SdkEvent::MessageReceived(messages) = &event {
                waited += messages.len() as u64;
                let settings = &self.shared.plan.settings;
                let most = settings.event_capacity as u64 + 2 * u64::from(settings.window);
                self.shared
                    .measure("messages that wait for an application", waited, most);
            }
            self.take(&running, &event);
        }
    }

    fn take(&self, running: &Running, event: &SdkEvent) {
        let me = self.user();
        let event = match event {
            SdkEvent::SdkReady => Event::Ready,
            SdkEvent::SdkNotReady(reason) => Event::NotReady(format!("{reason:?}")),
            SdkEvent::MessageReceived(messages) => {
                running.hold(me, messages);
                Event::Received(seen::of_instances(me, messages))
            }
            SdkEvent::MessageRevoked(messages) => {
                // Before the cursor moves.
                self.keep_own(running);
                Event::Revoked(seen::of_instances(me, messages))
            }
            SdkEvent::ConversationListUpdated(list) => {
                let list: Vec<ListEntry> = list
                    .iter()
                    .map(|entry| seen::of_conversation(me, entry))
                    .collect();
                running.show(&list);
                Event::List(list)
            }
            SdkEvent::TotalUnreadMessageCountUpdated(total) => {
                running.total.set(Some(*total));
                Event::TotalUnread(*total)
            }
            SdkEvent::GroupListUpdated(groups) => Event::Groups(
                groups
                    .iter()
                    .map(|group| seen::of_group(group))
                    .collect::<Vec<GroupSeen>>(),
            ),
            SdkEvent::KickedOut(error) => {
                self.wants_in.set(false);
                Event::KickedOut(error.code)
            }
            SdkEvent::UserSigExpiring(at) => Event::SigExpiring(*at),
            SdkEvent::Gap(gap) if gap.is_restored() => Event::RestoredGap,
            SdkEvent::Gap(gap) => Event::Gap {
                log: Log::of(me, gap.conversation),
                from: gap.from,
                to: gap.to,
            },
            SdkEvent::NetStateChange(state) => {
                self.connected.set(*state == NetState::Connected);
                Event::Other(format!("net {state:?}"))
            }
            other => Event::Other(other.name().to_owned()),
        };
        self.observe(What::Event(event));
    }

    /// Calls the client. The result is observed when it comes.
    pub(crate) fn call(self: &Rc<Self>, step: u32, op: &Call) {
        if *op == Call::Login && self.running.borrow().is_none() {
            self.start(false);
        }
        let Some(running) = self.running() else {
            return self.observe(What::Skipped {
                call: step,
                why: "the application does not run",
            });
        };
        let prepared = match self.prepare(&running, step, op) {
            Ok(prepared) => prepared,
            Err(why) => return self.observe(What::Skipped { call: step, why }),
        };
        let mark = prepared.sent.and_then(|sent| sent.said.mark);
        self.observe(What::Called {
            call: step,
            op: op.clone(),
            message: prepared.sent,
        });
        running.pending.set(running.pending.get() + 1);
        let (device, life) = (Rc::clone(self), Rc::clone(&running));
        let task = spawn_local(async move {
            let result = prepared.future.await;
            life.pending.set(life.pending.get() - 1);
            device.keep_own(&life);
            device.observe_progress(&life, step, mark);
            device.observe(What::Resolved {
                call: step,
                result: result.map_err(|error| seen::failed_call(&error)),
            });
        });
        let mut tasks = running.tasks.borrow_mut();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Keeps the own messages in their current state.
    fn keep_own(&self, running: &Running) {
        if !self.shared.plan.settings.keeps {
            return;
        }
        let own = running.own.borrow();
        let mut kept = self.kept.borrow_mut();
        kept.own = own
            .iter()
            .map(|own| KeptMessage {
                mark: own.mark,
                before: own.before.clone(),
                now: own.message.to_bytes(),
            })
            .collect();
    }

    /// Sees to it that the device runs and logs in, as at the end of all faults.
    pub(crate) fn settle(self: &Rc<Self>) {
        self.paused_until_ms.set(0);
        let wanted = self.wants_in.replace(true);
        match self.running() {
            None => self.start(false),
            Some(running) if !wanted || !running.client.is_ready() => self.log_in_again(&running),
            Some(_) => {}
        }
    }

    /// What has not settled.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let running = self.running()?;
        let me = self.me;
        if self.wants_in.get() && !running.client.is_ready() {
            return Some(format!("{me} is not ready"));
        }
        if self.wants_in.get() && !self.connected.get() {
            return Some(format!("{me} has no connection"));
        }
        (running.pending.get() > 0).then(|| format!("{me} waits for {} calls", running.pending.get()))
    }

    pub(crate) fn state(&self) -> DeviceState {
        let me = self.user();
        let running = self.running();
        let held: Vec<Seen> = running
            .iter()
            .flat_map(|running| {
                let held = running.held.borrow();
                let received = held
                    .values()
                    .flatten()
                    .map(|message| seen::of_instance(me, message));
                let own = running.own.borrow();
                let own = own.iter().filter(|own| own.message.status() == Status::Success);
                let own = own.map(|own| seen::of_instance(me, &own.message));
                received.chain(own).collect::<Vec<_>>()
            })
            .collect();
        DeviceState {
            device: self.me,
            wants_in: self.wants_in.get(),
            ready: running.as_ref().is_some_and(|running| running.client.is_ready()),
            list: running.as_ref().and_then(|running| running.list.borrow().clone()),
            truncated: running.as_ref().is_some_and(|running| running.truncated.get()),
            total_unread: running.as_ref().and_then(|running| running.total.get()),
            held,
            sig_since_s: self.kept.borrow().sig.as_ref().map(|sig| sig.since_s),
        }
    }
}

/// What a call does, and the message that it sends.
struct Prepared {
    sent: Option<super::history::Sent>,
    future: std::pin::Pin<Box<dyn Future<Output = Result<Returned, tim_client::ImError>>>>,
}
