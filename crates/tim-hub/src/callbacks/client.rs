//! The endpoint of callbacks: requests to it, the queue of what it is told, and when it is left alone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value};
use tim_proto::{MessageId, UserId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

use super::breaker::{Breaker, Cause};
use super::under_way::{Passage, UnderWay};
use super::{CallbackCommand, Platform};
use crate::admission::LogLimiter;
use crate::clock::Clock;
use crate::outgoing::{Again, Endpoint, Failed, Fault, HttpClient, Progress};
use crate::stopping::Stopping;
use crate::threads::lock;

/// How many requests about what is to come may be under way.
const MAX_BEFORE: usize = 256;
/// How many further ones may wait for one of them to end, within their time. Beyond that they are not made.
const MAX_WAITING_BEFORE: usize = 1024;
/// The longest time for an answer; longer ones are as long.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// How many bytes may wait in the queue.
const MAX_QUEUED_BYTES: usize = 16 << 20;

/// How a hub calls a server of the application.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallbackOptions {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it is asked and told. Default all.
    pub commands: Vec<CallbackCommand>,
    /// How long it may take for an answer. Default 2 s.
    pub timeout: Duration,
    /// Whether to refuse what the application is asked about if there is no usable answer. Otherwise it is allowed. Default false.
    pub refuse_without_answer: bool,
    /// How many events may wait that it is to be told of. Further ones are dropped and counted. Default 4,096.
    pub max_waiting: usize,
    /// How many of them may be under way. Default 16.
    pub max_concurrent: usize,
}

impl CallbackOptions {
    /// The defaults, with this endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            commands: CallbackCommand::ALL.to_vec(),
            timeout: Duration::from_secs(2),
            refuse_without_answer: false,
            max_waiting: 4_096,
            max_concurrent: 16,
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        HttpClient::new(self.endpoint.clone()).map(drop)
    }
}

/// What a hub has counted of callbacks since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallbackStats {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests without an answer that decides.
    pub failed: u64,
    /// Questions that were not asked, as the endpoint had failed too often, or too many others were under way.
    pub skipped: u64,
    /// Events that wait.
    pub waiting: usize,
    /// Events that were dropped: too many waited, or the endpoint had failed too often.
    pub dropped: u64,
    /// Whether the endpoint is left alone for now.
    pub is_open: bool,
}

/// The callbacks of a hub, if it has an endpoint.
#[derive(Clone)]
pub(crate) struct Callbacks(Option<Arc<Inner>>);

struct Inner {
    options: CallbackOptions,
    client: HttpClient,
    app: u32,
    clock: Clock,
    stopping: Arc<Stopping>,
    /// For the questions that are under way.
    before: Semaphore,
    /// For these and those that wait.
    places: Semaphore,
    under_way: Arc<UnderWay>,
    /// For questions, and for events: a server that hangs on the ones may answer the others.
    before_breaker: Mutex<Breaker>,
    after_breaker: Mutex<Breaker>,
    queue: Mutex<Queue>,
    wakeup: Arc<Notify>,
    is_running: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    dropped: AtomicU64,
    log: LogLimiter,
}

/// A place among those that wait, and one among those that are asked.
type Turn<'a> = (SemaphorePermit<'a>, SemaphorePermit<'a>);

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
}

/// A request about something.
struct Event {
    command: CallbackCommand,
    platform: Platform,
    cause: Cause,
    body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The application was not asked, or has not answered what it was asked.
    NoAnswer,
    /// The hub stops.
    Stopping,
}

impl Callbacks {
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn new(
        options: Option<CallbackOptions>,
        app: u32,
        clock: Clock,
        stopping: Arc<Stopping>,
    ) -> Result<Self, String> {
        let Some(options) = options else {
            return Ok(Self(None));
        };
        Ok(Self(Some(Arc::new(Inner {
            client: HttpClient::new(options.endpoint.clone())?,
            options,
            app,
            clock,
            stopping,
            before: Semaphore::new(MAX_BEFORE),
            places: Semaphore::new(MAX_BEFORE + MAX_WAITING_BEFORE),
            under_way: Arc::default(),
            before_breaker: Mutex::default(),
            after_breaker: Mutex::default(),
            queue: Mutex::default(),
            wakeup: Arc::default(),
            is_running: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            log: LogLimiter::new(),
        }))))
    }

    /// Whether there is an endpoint.
    pub(crate) const fn are_there(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn wants(&self, command: CallbackCommand) -> bool {
        self.0
            .as_ref()
            .is_some_and(|inner| inner.options.commands.contains(&command))
    }

    pub(crate) fn refuses_without_answer(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|inner| inner.options.refuse_without_answer)
    }

    /// Signs with the token of these options from now on, if they have the same URL.
    pub(crate) fn set_token(&self, options: Option<&CallbackOptions>) {
        if let (Some(inner), Some(options)) = (&self.0, options) {
            inner.client.set_token(&options.endpoint);
        }
    }

    /// Starts the task that tells of events, unless it runs or there is no runtime yet.
    pub(crate) fn start(&self) {
        let Some(inner) = &self.0 else { return };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !inner.is_running.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(inner), Arc::clone(&inner.wakeup)));
        }
    }

    /// Asks, and lets `decide` look at the answer: one that decides nothing is none. What waits holds no body yet.
    pub(crate) async fn ask<T>(
        &self,
        command: CallbackCommand,
        platform: Platform,
        body: impl FnOnce() -> Map<String, Value>,
        decide: impl FnOnce(&Map<String, Value>) -> Result<T, String>,
    ) -> Result<T, Unanswered> {
        let Some(inner) = &self.0 else {
            return Err(Unanswered::NoAnswer);
        };
        if inner.stopping.is_set() {
            return Err(Unanswered::Stopping);
        }
        let asked = async {
            let deadline = inner.deadline();
            let (_turn, has_waited) = inner.turn(deadline).await?;
            let event = Event::new(command, platform, body());
            let cause = event.cause;
            if !lock(&inner.before_breaker).admits(Instant::now(), cause) {
                return None;
            }
            let progress = Progress::default();
            let asking = inner.request(event, Again::IfUnanswered, &progress);
            let answer = inner.in_time(deadline, asking, &progress).await;
            // What had less time than others says nothing of the endpoint.
            if has_waited && answer.is_err() && Instant::now() >= deadline {
                return None;
            }
            let decided = answer.and_then(|answer| {
                let decided = about(command, answer).and_then(|answer| decide(&answer));
                decided.map_err(|what| Fault::Useless.because(what))
            });
            inner.note(&inner.before_breaker, command, cause, decided.as_ref().err());
            Some(decided.map_err(|_| Unanswered::NoAnswer))
        };
        let decided = tokio::select! {
            biased;
            () = Arc::clone(&inner.stopping).listener().wait() => return Err(Unanswered::Stopping),
            decided = asked => decided,
        };
        decided.unwrap_or_else(|| {
            inner.skipped.fetch_add(1, Ordering::Relaxed);
            Err(Unanswered::NoAnswer)
        })
    }

    /// The message with this id is allowed. It is under way until its sender has the answer.
    pub(crate) fn allowed(&self, id: MessageId) -> Option<Passage> {
        self.0.as_ref().map(|inner| inner.under_way.enter(id))
    }

    /// Waits until no message with this id is under way.
    ///
    /// # Errors
    /// [`Unanswered::Stopping`] if the hub stops before that.
    pub(crate) async fn settled(&self, id: &MessageId) -> Result<(), Unanswered> {
        let Some(inner) = &self.0 else { return Ok(()) };
        tokio::select! {
            biased;
            () = Arc::clone(&inner.stopping).listener().wait() => Err(Unanswered::Stopping),
            () = inner.under_way.settled(id) => Ok(()),
        }
    }

    /// Tells of an event, later.
    pub(crate) fn tell(&self, command: CallbackCommand, platform: Platform, body: Map<String, Value>) {
        let Some(inner) = &self.0 else { return };
        let event = Event::new(command, platform, body);
        let len = event.body.len();
        let mut queue = lock(&inner.queue);
        let is_full = queue.events.len() >= inner.options.max_waiting
            || queue.bytes.saturating_add(len) > MAX_QUEUED_BYTES;
        if is_full {
            drop(queue);
            return inner.drop_event(command);
        }
        queue.bytes += len;
        queue.events.push_back(event);
        drop(queue);
        inner.wakeup.notify_one();
    }

    pub(crate) fn stats(&self) -> CallbackStats {
        let Some(inner) = &self.0 else {
            return CallbackStats::default();
        };
        CallbackStats {
            answered: inner.answered.load(Ordering::Relaxed),
            failed: inner.failed.load(Ordering::Relaxed),
            skipped: inner.skipped.load(Ordering::Relaxed),
            waiting: lock(&inner.queue).events.len(),
            dropped: inner.dropped.load(Ordering::Relaxed),
            is_open: inner.is_open(),
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

/// The task ends with the hub.
impl Drop for Inner {
    fn drop(&mut self) {
        self.wakeup.notify_one();
    }
}

impl Inner {
    /// Waits for the turn of a question, and says whether it had to; `None` if it is not to be asked: the endpoint is left alone, too many
    /// wait, or its time is over. That says nothing of the endpoint.
    async fn turn(&self, deadline: Instant) -> Option<(Turn<'_>, bool)> {
        if lock(&self.before_breaker).is_open(Instant::now()) {
            return None;
        }
        let place = self.places.try_acquire().ok()?;
        if let Ok(turn) = self.before.try_acquire() {
            return Some(((place, turn), false));
        }
        let turn = tokio::time::timeout_at(deadline, self.before.acquire()).await;
        Some(((place, turn.ok()?.ok()?), true))
    }

    /// Until when a request that begins now may take.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now + self.options.timeout.min(MAX_TIMEOUT)
    }

    async fn request(
        &self,
        event: Event,
        again: Again,
        progress: &Progress,
    ) -> Result<Map<String, Value>, Failed> {
        let Event {
            command,
            platform,
            body,
            ..
        } = event;
        let query = format!(
            "SdkAppid={}&CallbackCommand={command}&contenttype=json&ClientIP=&OptPlatform={}",
            self.app,
            platform.name()
        );
        let answer = self
            .client
            .post(&query, body, self.clock.wall_ms() / 1000, (again, progress))
            .await?;
        if answer.status != StatusCode::OK {
            return Err(Fault::Useless.because(format_args!("it answers {}", answer.status)));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(Fault::Useless.because("its answer is JSON, but no object")),
            Err(error) => Err(Fault::Useless.because(format_args!("its answer is no JSON: {error}"))),
        }
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Failed>>,
        progress: &Progress,
    ) -> Result<T, Failed> {
        let done = tokio::time::timeout_at(deadline, work).await;
        done.unwrap_or_else(|_| {
            let timeout = self.options.timeout;
            let what = format_args!("it has not answered within {timeout:?}");
            Err(progress.fault().because(what))
        })
    }

    /// Whether the endpoint is left alone for now, with questions or with events.
    fn is_open(&self) -> bool {
        let now = Instant::now();
        lock(&self.before_breaker).is_open(now) || lock(&self.after_breaker).is_open(now)
    }

    fn note(
        &self,
        breaker: &Mutex<Breaker>,
        command: CallbackCommand,
        cause: Cause,
        failure: Option<&Failed>,
    ) {
        let Some(Failed { fault, what }) = failure else {
            lock(breaker).worked();
            self.answered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let opens = lock(breaker).failed(Instant::now(), cause, *fault);
        self.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
            warn!(%command, what, suppressed, "a callback has failed");
        }
        if opens {
            warn!("callbacks have failed too often; the endpoint is left alone for a while");
        }
    }

    fn drop_event(&self, command: CallbackCommand) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.take(self.clock.steady_ms()) {
            warn!(%command, suppressed, "an event was dropped: too many wait, or the endpoint fails");
        }
    }

    fn next(&self) -> Option<Event> {
        let mut queue = lock(&self.queue);
        let event = queue.events.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(event.body.len());
        Some(event)
    }
}

impl Event {
    fn new(command: CallbackCommand, platform: Platform, body: Map<String, Value>) -> Self {
        Self {
            command,
            platform,
            cause: cause(&body),
            body: Value::Object(body).to_string().into(),
        }
    }
}

/// Who does what a request is about.
fn cause(body: &Map<String, Value>) -> Cause {
    let names = [
        "From_Account",
        "Operator_Account",
        "Requestor_Account",
        "Owner_Account",
        "Report_Account",
    ];
    let of_device = body.get("Info").and_then(|info| info.get("To_Account"));
    let of_friends = body
        .get("PairList")
        .and_then(|pairs| pairs.get(0)?.get("From_Account"));
    let named = names.iter().find_map(|name| body.get(*name));
    let user = named.or(of_device).or(of_friends)?;
    UserId::new(user.as_str()?).ok()
}

/// The answer, unless it says itself that it is one to another command.
fn about(command: CallbackCommand, answer: Map<String, Value>) -> Result<Map<String, Value>, String> {
    match answer.get("CallbackCommand").and_then(Value::as_str) {
        Some(other) if other != command.name() => Err(format!("it answers {other:?}")),
        _ => Ok(answer),
    }
}

/// Tells of events, until the hub is gone.
async fn run(callbacks: Weak<Inner>, wakeup: Arc<Notify>) {
    let mut under_way = JoinSet::new();
    loop {
        let Some(inner) = callbacks.upgrade() else { return };
        while under_way.len() < inner.options.max_concurrent.max(1) {
            let Some(event) = inner.next() else {
                break;
            };
            let (command, cause) = (event.command, event.cause);
            if !lock(&inner.after_breaker).admits(Instant::now(), cause) {
                inner.drop_event(command);
                continue;
            }
            let inner = Arc::clone(&inner);
            under_way.spawn(async move {
                let progress = Progress::default();
                let telling = inner.request(event, Again::IfUnsent, &progress);
                let deadline = inner.deadline();
                let told = inner.in_time(deadline, telling, &progress).await;
                inner.note(&inner.after_breaker, command, cause, told.err().as_ref());
            });
        }
        drop(inner);
        tokio::select! {
            biased;
            Some(_) = under_way.join_next() => {}
            () = wakeup.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callbacks to an endpoint that nobody listens at, and a question that must not be asked.
    fn callbacks() -> Callbacks {
        let options = CallbackOptions::new(Endpoint::new("http://127.0.0.1:1/"));
        Callbacks::new(Some(options), 1, Clock::system(), Arc::default()).unwrap()
    }

    async fn ask_in_vain(callbacks: &Callbacks) {
        let body = || panic!("there is a body");
        let asked = callbacks.ask(CallbackCommand::BeforeC2c, Platform::Device, body, |_| Ok(()));
        assert!(matches!(asked.await, Err(Unanswered::NoAnswer)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_whose_turn_does_not_come_is_no_failure_of_the_endpoint() {
        let callbacks = callbacks();
        let inner = callbacks.0.as_ref().unwrap();
        let all = inner.before.acquire_many(MAX_BEFORE as u32).await.unwrap();
        let start = Instant::now();
        for n in 1..=10 {
            ask_in_vain(&callbacks).await;
            assert_eq!(start.elapsed().as_secs(), n * inner.options.timeout.as_secs());
        }
        let stats = callbacks.stats();
        assert_eq!((stats.failed, stats.skipped, stats.is_open), (0, 10, false));
        assert_eq!(inner.places.available_permits(), MAX_BEFORE + MAX_WAITING_BEFORE);
        drop(all);
    }

    #[tokio::test]
    async fn a_question_that_had_to_wait_and_then_has_no_time_left_is_no_failure_of_the_endpoint() {
        // It takes connections and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let mut options = CallbackOptions::new(Endpoint::new(url));
        options.timeout = Duration::from_millis(400);
        let callbacks = Callbacks::new(Some(options), 1, Clock::system(), Arc::default()).unwrap();
        let inner = callbacks.0.as_ref().unwrap();
        let all = inner.before.acquire_many(MAX_BEFORE as u32).await.unwrap();
        let ask = || callbacks.ask(CallbackCommand::BeforeC2c, Platform::Device, Map::new, |_| Ok(()));
        let (asked, ()) = tokio::join!(ask(), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(all);
        });
        assert!(matches!(asked, Err(Unanswered::NoAnswer)));
        let stats = callbacks.stats();
        assert_eq!((stats.failed, stats.skipped), (0, 1));
        // Without having waited, it is one.
        assert!(matches!(ask().await, Err(Unanswered::NoAnswer)));
        let stats = callbacks.stats();
        assert_eq!((stats.failed, stats.skipped), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_questions_the_last_ones_are_not_asked() {
        let callbacks = callbacks();
        let inner = callbacks.0.as_ref().unwrap();
        let _all = inner.before.acquire_many(MAX_BEFORE as u32).await.unwrap();
        let _under_way = inner.places.acquire_many(MAX_BEFORE as u32).await.unwrap();
        let mut waiting = JoinSet::new();
        for _ in 0..MAX_WAITING_BEFORE {
            let callbacks = callbacks.clone();
            waiting.spawn(async move { ask_in_vain(&callbacks).await });
        }
        while inner.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        ask_in_vain(&callbacks).await;
        assert_eq!((start.elapsed(), callbacks.stats().skipped), (Duration::ZERO, 1));
        waiting.join_all().await;
        assert_eq!(callbacks.stats().skipped, MAX_WAITING_BEFORE as u64 + 1);
    }
}
