//! A small-frame device: the client of `tim_transport_embedded` on a stream or a serial line, and the firmware around it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tim_client::transport::Connector;
use tim_proto::message::{Payload, SendOptions, to_vec};
use tim_proto::{ConversationId, ErrorCode, Message, MessageId, Priority, UserId};
use tim_transport_embedded::{
    Client, ClientConfig, Clock, Device, Error, Event as DeviceEvent, Framing, Instant, NetState, Resources,
    Runner, Transport,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};

use super::history::{
    Content, DeviceState, Event, Failed, ListEntry, Log, Mark, Returned, Said, Seen, Sent, Started,
    StartsFrom, What,
};
use super::net::{LifeLine, LinkEnd, SimulatedConnector};
use super::op::{Body, Call, DeviceFault, DeviceKind, DeviceRef, Plan, Target, Which};
use super::recorder::{APP, Shared, Sig};
use super::sdk::with_payload;
use super::seen;
use super::time::Steady;
use crate::End;

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
    /// Whether it has a connection. It stays ready without one.
    connected: Cell<bool>,
    /// What the firmware has in RAM: messages that were made and received in this life.
    own: RefCell<Vec<Own>>,
    held: RefCell<Vec<Seen>>,
}

/// What is in flash.
#[derive(Default)]
struct Kept {
    cursor: Vec<u8>,
    observations: usize,
    own: Vec<Own>,
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
        Rc::new(Self {
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

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(APP, self.user(), u64::from(self.link) + 1);
        config.window = self.shared.plan.settings.window.min(4);
        if self.kind == DeviceKind::Serial {
            config.framing = Framing::Serial;
        }
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
        let mut device = Device::new(self.config(), &sig, &mut buffers, seed, clock);
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
        let (client, mut runner) = device.split(transport);
        let mut calls = Calls {
            device: &self,
            client,
            commands,
            active: Vec::new(),
        };
        if self.wants_in.get() {
            calls.log_in();
        }
        self.drive(&mut runner, &mut calls).await;
    }

    async fn drive<T: Transport>(&self, runner: &mut Runner<'_, DeviceClock, T>, calls: &mut Calls<'_>) {
        loop {
            let paused_until = self.paused_until_ms.get();
            let now_ms = self.shared.steady.ms();
            if paused_until > now_ms {
                // A firmware that is busy elsewhere drives nothing.
                tokio::time::sleep(Duration::from_millis((paused_until - now_ms).min(500))).await;
                continue;
            }
            // Asking for the next event finishes the last one, and moves the cursor.
            let at_once = {
                let mut next = pin!(runner.next_event());
                poll_fn(|context| match next.as_mut().poll(context) {
                    Poll::Ready(event) => Poll::Ready(Some(self.event_of(&event))),
                    Poll::Pending => Poll::Ready(None),
                })
                .await
            };
            let event = match at_once {
                Some(event) => event,
                None => {
                    runner.cursor(|cursor| self.keep_cursor(cursor));
                    let mut next = pin!(runner.next_event());
                    poll_fn(|context| {
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
                self.observe(What::Event(event));
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
                Event::KickedOut(failure.code)
            }
            DeviceEvent::LoginFailed(failure) => {
                self.wants_in.set(false);
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
            DeviceEvent::TurnedAway(failure) => Event::Other(format!("turned away: {}", failure.code.0)),
            DeviceEvent::Malformed { kind } => Event::Other(format!("malformed {kind}")),
            _ => return None,
        })
    }

    /// Holds an entry, or removes the content of what it revokes.
    fn hold(&self, seen: &Seen) {
        let mut held = self.held.borrow_mut();
        match seen.content {
            Content::Revocation { sequence } => {
                let revoked = held
                    .iter_mut()
                    .filter(|held| held.log == seen.log && held.sequence == sequence);
                revoked.for_each(|held| (held.revoked, held.content) = (true, Content::Gone));
            }
            _ => held.push(seen.clone()),
        }
        if held.len() > MAX_HELD {
            held.remove(0);
        }
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
        self.own.take();
        self.held.take();
        self.observe(What::Ended);
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
            DeviceFault::Restart(after_ms) => {
                if !self.shared.plan.settings.keeps {
                    *self.kept.borrow_mut() = Kept::default();
                }
                self.kill();
                self.start_later(after_ms, false);
            }
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
        if self.wants_in.get() && !self.ready.get() {
            return Some(format!("{} is not ready", self.me));
        }
        if self.wants_in.get() && !self.connected.get() {
            return Some(format!("{} has no connection", self.me));
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

/// The calls of a device in progress.
struct Calls<'m> {
    device: &'m SmallDevice,
    client: Client<'m>,
    commands: mpsc::UnboundedReceiver<(u32, Call)>,
    active: Vec<Pin<Box<dyn Future<Output = ()> + 'm>>>,
}

impl<'m> Calls<'m> {
    fn poll(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some((step, op))) = self.commands.poll_recv(context) {
            self.begin(step, &op);
        }
        self.active
            .retain_mut(|call| call.as_mut().poll(context).is_pending());
    }

    /// Logs in by itself, as after a restart.
    fn log_in(&mut self) {
        let client = self.client;
        self.active.push(Box::pin(async move {
            let _ = client.login().await;
        }));
    }

    fn begin(&mut self, step: u32, op: &Call) {
        let (device, client) = (self.device, self.client);
        match op {
            Call::Login => {
                device.wants_in.set(true);
                self.run(step, op, None, async move {
                    let answer = client.login().await.inspect_err(|_| device.wants_in.set(false))?;
                    Ok(Returned::LoggedIn {
                        account: answer.account,
                    })
                });
            }
            Call::Logout => {
                device.wants_in.set(false);
                self.run(step, op, None, async move {
                    client.logout().await.map(|()| Returned::Done)
                });
            }
            Call::Send {
                to,
                body,
                priority,
                online_only,
                ..
            } => self.send(step, op, *to, *body, *priority, *online_only),
            Call::Resend(n) => self.send_again(step, op, *n, false),
            Call::ResendKept(n) => self.send_again(step, op, *n, true),
            Call::Revoke(which) => self.revoke(step, op, *which),
            Call::Read(target) => {
                let (conversation, log) = (device.conversation(*target), device.log(*target));
                self.run(step, op, None, async move {
                    let read = client.set_message_read(conversation).await?;
                    Ok(Returned::Read {
                        log,
                        read_sequence: Some(read.read_sequence),
                        unread: Some(read.unread.into()),
                    })
                });
            }
            Call::DeleteConversation(target) => {
                let (conversation, log) = (device.conversation(*target), device.log(*target));
                self.run(step, op, None, async move {
                    client.delete_conversation(conversation).await?;
                    Ok(Returned::Read {
                        log,
                        read_sequence: None,
                        unread: None,
                    })
                });
            }
            Call::List => self.run(step, op, None, async move {
                let me = device.user();
                let (entries, completed) = client
                    .get_conversation_list(&[], 0, |page| {
                        let entries = page.conversations.iter().map(|entry| list_entry(me, &entry));
                        (entries.collect::<Vec<_>>(), page.completed)
                    })
                    .await?;
                Ok(Returned::List {
                    entries,
                    truncated: !completed,
                })
            }),
            Call::Page { of, count, pages } => {
                let (conversation, log) = (device.conversation(*of), device.log(*of));
                let (count, pages) = (u16::from(*count), *pages);
                self.run(step, op, None, async move {
                    page_back(client, device.user(), conversation, log, count, pages).await
                });
            }
            Call::ConversationProfile(target) => {
                let conversation = device.conversation(*target);
                self.run(step, op, None, async move {
                    let me = device.user();
                    let entry = client
                        .get_conversation_profile(conversation, |profile| {
                            list_entry(me, &profile.conversation)
                        })
                        .await?;
                    Ok(Returned::List {
                        entries: vec![entry],
                        truncated: true,
                    })
                });
            }
            _ => device.skip(step, "a small device has no such call"),
        }
    }

    /// Observes a call and its result.
    fn run(
        &mut self,
        step: u32,
        op: &Call,
        message: Option<Sent>,
        call: impl Future<Output = Result<Returned, Error>> + 'm,
    ) {
        let device = self.device;
        device.observe(What::Called {
            call: step,
            op: op.clone(),
            message,
        });
        device.pending.set(device.pending.get() + 1);
        self.active.push(Box::pin(async move {
            let result = call.await;
            device.pending.set(device.pending.get().saturating_sub(1));
            if device.shared.plan.settings.keeps {
                device.kept.borrow_mut().own = device.own.borrow().clone();
            }
            device.observe(What::Resolved {
                call: step,
                result: result.map_err(failed),
            });
        }));
    }

    fn send(&mut self, step: u32, op: &Call, to: Target, body: Body, priority: u8, online_only: bool) {
        let (device, client) = (self.device, self.client);
        let (to, mark) = (device.conversation(to), Mark(step));
        let made = with_payload(body, mark, |payload| {
            client
                .create_message(to, payload)
                .map(|message| (message.id, said(&message.payload, mark)))
        });
        let (id, said) = match made {
            Ok(made) => made,
            Err(error) => return self.run(step, op, None, async move { Err(error) }),
        };
        let own = Own {
            mark,
            to,
            body,
            id,
            online_only,
            sequence: None,
            time_s: 0,
        };
        device.own.borrow_mut().push(own.clone());
        if device.shared.plan.settings.keeps {
            device.kept.borrow_mut().own.push(own.clone());
        }
        self.run(
            step,
            op,
            Some(device.sent(&own, said)),
            transmit(device, client, own, priority),
        );
    }

    fn send_again(&mut self, step: u32, op: &Call, n: u16, succeeded: bool) {
        let (device, client) = (self.device, self.client);
        let found = {
            let own = device.own.borrow();
            let of: Vec<&Own> = own
                .iter()
                .rev()
                .filter(|own| own.sequence.is_some() == succeeded)
                .collect();
            of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0))
                .map(|own| (*own).clone())
        };
        let Some(own) = found else {
            return device.skip(step, "there is no such message");
        };
        let said = with_payload(own.body, own.mark, |payload| said(&payload, own.mark));
        self.run(
            step,
            op,
            Some(device.sent(&own, said)),
            transmit(device, client, own, Priority::NORMAL.0),
        );
    }

    fn revoke(&mut self, step: u32, op: &Call, which: Which) {
        let (device, client) = (self.device, self.client);
        let me = device.user();
        let found = match which {
            Which::Own(n) => {
                let own = device.own.borrow();
                let of: Vec<&Own> = own.iter().rev().collect();
                let own = of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0));
                own.map(|own| (own.to, own.id, own.sequence.unwrap_or(0), Some(own.mark)))
            }
            Which::Of(target, n) => {
                let (held, log) = (device.held.borrow(), device.log(target));
                let of: Vec<&Seen> = held
                    .iter()
                    .rev()
                    .filter(|held| held.log == log && held.sequence > 0)
                    .collect();
                let seen = of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0));
                seen.map(|seen| {
                    (
                        device.conversation(target),
                        seen.id,
                        seen.sequence,
                        seen.content.mark(),
                    )
                })
            }
        };
        let Some((to, id, sequence, mark)) = found else {
            return device.skip(step, "there is no such message");
        };
        let log = Log::of(me, to);
        self.run(step, op, None, async move {
            let mut message = Message::new(tim_proto::message::Envelope::new(me), to, id, ());
            message.envelope.sequence = sequence;
            client.revoke_message(&message).await?;
            Ok(Returned::Revoked { log, sequence, mark })
        });
    }
}

impl SmallDevice {
    fn log(&self, target: Target) -> Log {
        Log::of(self.user(), self.conversation(target))
    }

    fn sent(&self, own: &Own, said: Said) -> Sent {
        Sent {
            log: Log::of(self.user(), own.to),
            from: self.user(),
            id: own.id,
            said,
            online_only: own.online_only,
        }
    }
}

fn said(payload: &Payload<'_>, mark: Mark) -> Said {
    Said {
        mark: Some(mark),
        ..Said::of(payload.kind(), &to_vec(payload))
    }
}

/// Sends a message, and keeps what the hub answered.
async fn transmit(
    device: &SmallDevice,
    client: Client<'_>,
    own: Own,
    priority: u8,
) -> Result<Returned, Error> {
    let text = own.mark;
    let body = own.body;
    // The payload has to live as long as the request.
    let bytes = with_payload(body, text, |payload| (payload.kind(), to_vec(&payload)));
    let payload = Payload::decode(bytes.0, &bytes.1);
    let mut message = client.restore_message(own.to, payload, own.id)?;
    message.priority = Priority(priority);
    let options = SendOptions::default().with_online_user_only(own.online_only);
    let answer = client.send_message_with(&mut message, options).await?;
    let id = message.id;
    for kept in device
        .own
        .borrow_mut()
        .iter_mut()
        .filter(|kept| kept.mark == own.mark)
    {
        (kept.id, kept.sequence, kept.time_s) = (id, Some(answer.sequence), answer.time);
    }
    Ok(Returned::Accepted {
        log: Log::of(device.user(), own.to),
        sequence: answer.sequence,
        id,
        time_s: answer.time,
        mark: own.mark,
    })
}

async fn page_back(
    client: Client<'_>,
    me: UserId,
    conversation: ConversationId,
    log: Log,
    count: u16,
    pages: u8,
) -> Result<Returned, Error> {
    let (mut entries, mut next, mut completed) = (Vec::new(), None, false);
    for _ in 0..pages.max(1) {
        let mut older: Vec<Seen> = Vec::new();
        next = client
            .get_message_list(conversation, next.as_ref(), count, |page| {
                older = page
                    .messages
                    .iter()
                    .map(|message| seen::of_message(me, &message))
                    .collect();
            })
            .await?;
        older.append(&mut entries);
        entries = older;
        completed = next.is_none();
        if completed {
            break;
        }
    }
    Ok(Returned::Page {
        log,
        entries,
        completed,
    })
}

fn list_entry(me: UserId, entry: &tim_proto::conversation::Conversation<'_>) -> ListEntry {
    ListEntry {
        log: Log::of(me, entry.id),
        unread: entry.unread.into(),
        read_sequence: entry.read_sequence,
        last_sequence: entry.last_sequence,
        last: entry.last_message().map(|last| seen::of_message(me, &last)),
        receive_option: entry.receive_option,
        name: entry.name.to_owned(),
        at: entry.at.iter().map(|at| at.sequence).collect(),
    }
}

fn failed(error: Error) -> Failed {
    let may_have_happened = matches!(error, Error::TimedOut | Error::Ended(_) | Error::Protocol);
    let failed = seen::failed(error.code(), error.to_string());
    Failed {
        unknown: may_have_happened || matches!(error, Error::Refused(ErrorCode::OUTCOME_UNKNOWN)),
        ..failed
    }
}

/// tokio's time, as a device counts it.
#[derive(Debug, Clone, Copy)]
struct DeviceClock(Steady);

impl Clock for DeviceClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    async fn wait_until(&self, moment: Instant) {
        tokio::time::sleep_until(self.0.at(moment)).await;
    }
}

/// How a device reaches the hub.
enum Way {
    Stream(SimulatedConnector),
    Serial(super::net::SharedLine),
}

struct DeviceTransport {
    way: Way,
    link: RefCell<Option<LinkEnd>>,
}

impl Transport for DeviceTransport {
    type Reader<'a> = Half<'a>;
    type Writer<'a> = Half<'a>;

    async fn connect(&mut self) -> bool {
        let link = match &mut self.way {
            Way::Stream(connector) => connector.connect().await.ok(),
            Way::Serial(line) => Some(self.link.take().unwrap_or_else(|| line.end(End::Device))),
        };
        *self.link.borrow_mut() = link;
        self.link.borrow().is_some()
    }

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(&self.link), Half(&self.link))
    }

    async fn disconnect(&mut self) {
        if let Way::Stream(_) = self.way {
            self.link.take();
        }
    }
}

/// One direction of the device's end.
struct Half<'a>(&'a RefCell<Option<LinkEnd>>);

impl ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl Half<'_> {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut LinkEnd) -> Poll<std::io::Result<T>>,
    ) -> Poll<Result<T, ErrorKind>> {
        match &mut *self.0.borrow_mut() {
            Some(link) => act(link).map_err(|_| ErrorKind::ConnectionReset),
            None => Poll::Ready(Err(ErrorKind::NotConnected)),
        }
    }
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| self.with(|link| link.poll_receive(context, buffer))).await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| self.with(|link| link.poll_send(context, bytes))).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
