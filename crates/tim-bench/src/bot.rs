//! A scripted device: the plain client session, without the SDK on top.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_bench::Latency;
use tim_proto::message::{Payload, SendOptions, Text};
use tim_proto::request::{Failure, Request, Send, Upload};
use tim_proto::wire::FrameKind;
use tim_proto::{
    ClientSequence, ConversationId, ErrorCode, MAX_SUCCESSORS, MessageId, MessageRandom, Platform, Priority,
    UserId,
};
use tim_session::{ClientConfig, Event, RequestError, RequestId, Ticket};
use tim_testkit::messages;
use tim_transport_std::{AnyConnector, ClientBuffers, ClientDriver};

use crate::Result;
use crate::check::Place;
use crate::hub::Target;

/// The length of texts, unless another is wanted.
const TEXT_BYTES: usize = 157;
/// How often a request that the hub refuses for now is repeated.
const MAX_REPEATS: u32 = 600;
/// When, if the hub does not say.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

pub(crate) struct Bot {
    driver: ClientDriver<AnyConnector>,
    user: UserId,
    random: MessageRandom,
    sequence: ClientSequence,
    /// The text of its messages.
    pub(crate) text: Arc<str>,
    /// Messages without a response.
    pending: HashMap<RequestId, PendingMessage>,
    /// Messages to send under another id.
    again: Vec<PendingMessage>,
    /// Deliveries that arrived.
    pub(crate) delivered: u64,
    /// Messages that the hub stored.
    pub(crate) stored: u64,
    /// How many of those it had stored before. Repetitions after a cut are some; anything else was not measured.
    pub(crate) duplicates: u64,
    /// Where the hub says that it stored each message.
    pub(crate) acknowledged: Vec<(ConversationId, Place)>,
    /// The messages of one conversation that arrived, where they are wanted.
    pub(crate) inbox: Option<(ConversationId, Vec<Place>)>,
    failed: Option<String>,
    /// The outcome of each message, where it is wanted; a refusal is then not a failure.
    pub(crate) outcomes: Option<Vec<(RequestId, Result<(), ErrorCode>)>>,
    /// How long each message took until it was stored, from when it was due.
    pub(crate) latency: Latency,
    /// Pieces of a file without a response.
    pub(crate) pieces_under_way: usize,
    /// Where the hub stored the last message.
    last_sequence: u64,
}

/// A message without a response.
#[derive(Debug, Clone, Copy)]
struct PendingMessage {
    id: MessageId,
    to: ConversationId,
    priority: Priority,
    due: Instant,
    /// Ids that the hub has refused.
    refused: u32,
}

impl Bot {
    /// Logs in and waits until the session is ready.
    pub(crate) async fn login(target: &Target, name: &str, number: u32) -> Result<Self> {
        let mut bot = Self::new(target, name, number, |_| {})?;
        let now = bot.driver.now();
        bot.driver.session().login(now);
        while !bot.driver.session().is_ready() {
            bot.turn().await?;
        }
        Ok(bot)
    }

    /// Logs in as a device that has nothing, with this window, and waits for so many deliveries. Returns how many there were.
    pub(crate) async fn catch_up(
        target: &Target,
        name: &str,
        number: u32,
        window: u16,
        messages: u64,
    ) -> Result<u64> {
        let mut bot = Self::new(target, name, number, |config| config.window = window)?;
        let now = bot.driver.now();
        bot.driver.session().resume_from_start();
        bot.driver.session().login(now);
        while bot.delivered < messages {
            bot.turn().await?;
        }
        Ok(bot.delivered)
    }

    fn new(target: &Target, name: &str, number: u32, adapt: impl FnOnce(&mut ClientConfig)) -> Result<Self> {
        let user = UserId::new(name)?;
        let mut config = ClientConfig::new(target.app.id, user, u64::from(number) + 1);
        config.platform = Platform::DESKTOP;
        adapt(&mut config);
        let connector = target.connector()?;
        let seed = RandomState::new().hash_one(number);
        let driver = ClientDriver::new(
            config,
            target.sig(&user),
            ClientBuffers::default(),
            seed,
            connector,
        );
        Ok(Self {
            driver,
            user,
            random: MessageRandom::new(seed),
            sequence: ClientSequence::at(unix_seconds()),
            text: tim_bench::text_of(TEXT_BYTES).into(),
            pending: HashMap::new(),
            again: Vec::new(),
            delivered: 0,
            stored: 0,
            duplicates: 0,
            acknowledged: Vec::new(),
            inbox: None,
            failed: None,
            outcomes: None,
            latency: Latency::new(),
            pieces_under_way: 0,
            last_sequence: 0,
        })
    }

    /// Handles events, then waits for more.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        self.handle_events()?;
        self.driver.progress().await;
        self.handle_events()
    }

    fn handle_events(&mut self) -> Result<()> {
        let Self {
            driver,
            random,
            pending,
            again,
            delivered,
            stored,
            duplicates,
            acknowledged,
            inbox,
            failed,
            outcomes,
            latency,
            pieces_under_way,
            last_sequence,
            ..
        } = self;
        let device = driver.session().config().device;
        driver.poll_events(|event| {
            match event {
                Event::Delivered(delivery) => {
                    *delivered += 1;
                    let (envelope, content) = (delivery.header.envelope, delivery.header.content);
                    if let Some((_, places)) = inbox.as_mut().filter(|(wanted, _)| *wanted == content.to) {
                        places.push(Place {
                            sequence: envelope.sequence,
                            id: content.id,
                        });
                    }
                }
                Event::LoggedIn(answer) => random.logged_in(device, answer.time_ms),
                Event::Response {
                    id: ticket,
                    response: answer,
                } if answer.kind() == FrameKind::SEND => {
                    let Ok(sent) = answer.decode::<Send<'_>>() else {
                        *failed = Some("the hub's response to a message is malformed".to_owned());
                        return ControlFlow::Break(());
                    };
                    *stored += 1;
                    *last_sequence = sent.sequence;
                    *duplicates += u64::from(sent.duplicate);
                    let (sequence, asked) = (sent.sequence, pending.remove(&ticket));
                    latency.extend(asked.as_ref().map(|asked| asked.due.elapsed()));
                    // What is not stored has no sequence.
                    let asked = asked.filter(|_| sequence > 0);
                    acknowledged
                        .extend(asked.map(|PendingMessage { id, to, .. }| (to, Place { sequence, id })));
                    outcomes.iter_mut().for_each(|all| all.push((ticket, Ok(()))));
                }
                Event::Response { response, .. } if response.kind() == FrameKind::UPLOAD => {
                    *pieces_under_way -= 1;
                }
                Event::Failed { id: ticket, failure }
                    if failure.code == ErrorCode::MESSAGE_ID_REUSED
                        && pending
                            .get(&ticket)
                            .is_some_and(|sent| sent.refused < MAX_SUCCESSORS) =>
                {
                    again.extend(pending.remove(&ticket).map(|sent| PendingMessage {
                        id: sent.id.successor(device),
                        refused: sent.refused + 1,
                        ..sent
                    }));
                }
                Event::Failed { id: ticket, failure } if outcomes.is_some() => {
                    pending.remove(&ticket);
                    outcomes
                        .iter_mut()
                        .for_each(|all| all.push((ticket, Err(failure.code))));
                }
                Event::Failed { failure, .. } | Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                    *failed = Some(reason(failure));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        if let Some(reason) = failed.take() {
            return Err(reason.into());
        }
        while let Some(sent) = self.again.pop() {
            if self.submit(sent)?.is_none() {
                self.again.push(sent);
                break;
            }
        }
        Ok(())
    }

    /// Sends a message without waiting; `false` if too many wait already.
    pub(crate) fn start_send(&mut self, to: ConversationId) -> Result<bool> {
        Ok(self.start_send_as(to, Priority::NORMAL)?.is_some())
    }

    /// The same with this priority; returns the ticket of the message.
    pub(crate) fn start_send_as(
        &mut self,
        to: ConversationId,
        priority: Priority,
    ) -> Result<Option<RequestId>> {
        self.start_send_due(to, priority, Instant::now())
    }

    /// The same of a message that was due at this time.
    pub(crate) fn start_send_due(
        &mut self,
        to: ConversationId,
        priority: Priority,
        due: Instant,
    ) -> Result<Option<RequestId>> {
        let id = MessageId {
            sender: self.driver.session().account(),
            client_time: unix_seconds(),
            random: self.random.draw(),
        };
        self.submit(PendingMessage {
            id,
            to,
            priority,
            due,
            refused: 0,
        })
    }

    /// Hands a message to the session; `None` if too many wait.
    fn submit(&mut self, sent: PendingMessage) -> Result<Option<RequestId>> {
        let text = Arc::clone(&self.text);
        let mut message = messages::message(self.user, sent.to, Text::new(&text));
        message.id = sent.id;
        message.client_sequence = u64::from(self.sequence.draw());
        message.priority = sent.priority;
        let now = self.driver.now();
        match self.driver.session().send(now, &message, SendOptions::default()) {
            Ok(ticket) => {
                self.pending.insert(ticket.id(), sent);
                Ok(Some(ticket.id()))
            }
            Err(RequestError::Full) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if the hub had stored some of the messages before: then less was measured than it seems.
    pub(crate) fn check_stored(&self) -> Result<()> {
        match self.duplicates {
            0 => Ok(()),
            count => Err(format!(
                "{count} of {} messages were answered as duplicates: the hub stored nothing for them",
                self.stored
            )
            .into()),
        }
    }

    /// How many messages are without a response.
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len() + self.again.len()
    }

    /// How many messages can be without a response at the same time.
    pub(crate) fn most_under_way(&mut self) -> usize {
        self.driver.session().config().max_pending.into()
    }

    /// A random number for a group.
    pub(crate) const fn draw(&mut self) -> u32 {
        self.random.draw()
    }

    /// Sends a message and waits until it is stored.
    pub(crate) async fn send(&mut self, to: ConversationId) -> Result<()> {
        let stored = self.stored;
        self.start_send(to)?;
        while self.stored == stored {
            self.turn().await?;
        }
        Ok(())
    }

    /// Where the hub says that it stored the messages of one conversation, since this was asked last.
    pub(crate) fn take_acknowledged(&mut self, of: ConversationId) -> Vec<Place> {
        let (taken, left) = self.acknowledged.drain(..).partition(|(to, _)| *to == of);
        self.acknowledged = left;
        let taken: Vec<(ConversationId, Place)> = taken;
        taken.into_iter().map(|(_, place)| place).collect()
    }

    /// Sends a piece of a file without waiting.
    pub(crate) fn start_piece(&mut self, upload: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        let now = self.driver.now();
        self.driver
            .session()
            .request(now, &Upload::new(upload, offset, bytes))?;
        self.pieces_under_way += 1;
        Ok(())
    }

    /// Sends a message with this payload, and waits until it is stored. Returns its sequence.
    pub(crate) async fn send_payload<'a>(
        &mut self,
        to: ConversationId,
        payload: impl Into<Payload<'a>>,
    ) -> Result<u64> {
        let mut message = messages::message(self.user, to, payload.into());
        message.id = MessageId {
            sender: self.driver.session().account(),
            client_time: unix_seconds(),
            random: self.random.draw(),
        };
        let now = self.driver.now();
        let stored = self.stored;
        self.last_sequence = 0;
        self.driver
            .session()
            .send(now, &message, SendOptions::default())?;
        while self.stored == stored {
            self.turn().await?;
        }
        Ok(self.last_sequence)
    }

    /// Makes a request and returns what `read` makes of its response.
    pub(crate) async fn call<R: Request, T>(
        &mut self,
        request: &R,
        read: impl Fn(R::Response<'_>) -> T,
    ) -> Result<T> {
        self.attempt(request, read)
            .await?
            .map_err(|refusal| refusal.reason.into())
    }

    /// The same, again and again while the hub refuses it for now: a hub may limit the rate of requests.
    pub(crate) async fn call_patiently<R: Request, T>(
        &mut self,
        request: &R,
        read: impl Fn(R::Response<'_>) -> T,
    ) -> Result<T> {
        for _ in 0..MAX_REPEATS {
            match self.attempt(request, &read).await? {
                Err(Refusal {
                    again: Some(after), ..
                }) => tokio::time::sleep(after).await,
                other => return other.map_err(|refusal| refusal.reason.into()),
            }
        }
        Err("the hub refuses a request for longer than the measurement waits".into())
    }

    /// Makes these requests, so many of them at once, and passes the response of each to `read`, with the number of the request.
    /// Responses come in any order.
    pub(crate) async fn call_each<R: Request>(
        &mut self,
        requests: impl IntoIterator<Item = R>,
        at_once: usize,
        mut read: impl FnMut(usize, R::Response<'_>) -> Result<()>,
    ) -> Result<()> {
        let (mut requests, mut asked) = (requests.into_iter().enumerate(), Vec::new());
        loop {
            while asked.len() < at_once
                && let Some((number, request)) = requests.next()
            {
                let now = self.driver.now();
                asked.push((number, self.driver.session().request(now, &request)?));
            }
            if asked.is_empty() {
                return Ok(());
            }
            self.driver.progress().await;
            let mut outcome = Ok(());
            self.driver.poll_events(|event| {
                let (Event::Response { id, .. } | Event::Failed { id, .. }) = &event else {
                    return ControlFlow::Continue(());
                };
                let place = asked
                    .iter()
                    .position(|(_, ticket): &(_, Ticket<R>)| ticket.id() == *id);
                let Some((number, ticket)) = place.map(|place| asked.swap_remove(place)) else {
                    return ControlFlow::Continue(());
                };
                let response = match &event {
                    Event::Response { response, .. } => ticket.response(response),
                    Event::Failed { failure, .. } => Err(*failure),
                    _ => return ControlFlow::Continue(()),
                };
                outcome = match response {
                    Ok(response) => read(number, response),
                    Err(failure) => Err(Refusal::from(failure).reason.into()),
                };
                match outcome {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            outcome?;
        }
    }

    async fn attempt<R: Request, T>(
        &mut self,
        request: &R,
        read: impl Fn(R::Response<'_>) -> T,
    ) -> Result<Result<T, Refusal>> {
        let now = self.driver.now();
        let ticket = self.driver.session().request(now, request)?;
        let mut result = None;
        loop {
            self.driver.poll_events(|event| {
                match event {
                    Event::Response { id, response } if id == ticket.id() => {
                        let response = ticket.response(&response);
                        result = Some(response.map(&read).map_err(Refusal::from));
                    }
                    Event::Failed { id, failure } if id == ticket.id() => {
                        result = Some(Err(failure.into()));
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            });
            if let Some(result) = result {
                return Ok(result);
            }
            self.driver.progress().await;
        }
    }
}

/// A request that the hub refused.
struct Refusal {
    reason: String,
    /// When it may be made again.
    again: Option<Duration>,
}

impl From<Failure<'_>> for Refusal {
    fn from(failure: Failure<'_>) -> Self {
        let transient = failure.code.is_transient().then_some(REPEAT_AFTER);
        Self {
            reason: reason(failure),
            again: failure.retry_after().or(transient),
        }
    }
}

fn reason(failure: Failure<'_>) -> String {
    format!("{} {}", failure.code.explain(), failure.text)
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
