//! Real sessions over a transport: the client's driver and the hub's connection, with faults between them and the transport.
//!
//! A *talk* is one session: a client sends some messages and receives others, over as many connections as it takes. Each message must
//! arrive once, in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::{Context, Poll};
use std::time::Duration;

use tim_client::proto::message::{Envelope, Payload, SendOptions, Text};
use tim_client::proto::request::{Done, Failure, LoginResponse, Send, SendResponse};
use tim_client::proto::wire::{FrameKind, decode_body};
use tim_client::proto::{ErrorCode, Message, MessageId};
use tim_client::transport::session::{
    ClientConfig, Event, Framing, HubConfig, HubEvent, HubOutput, Instant, NetState,
};
use tim_client::transport::{ClientBuffers, ClientDriver, Connector, HubConnection};
use tim_client::{ConversationId, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use super::faults::{Break, Faults, FaultyConnector, FaultyLink};
use super::{Acceptor, Ends};
use crate::check::{Stop, Verdict, ensure, ensure_eq};

const ACCOUNT: u64 = 144_115_200_000_000_001;
/// A text that makes about the largest frame.
const LARGEST: usize = 65_000;
/// How long a silent connection counts as alive.
const ALIVE: Duration = Duration::from_millis(150);
/// The most bytes that the hub queues for a connection.
const MAX_OUTGOING: usize = 128 * 1024;

/// What is said in a talk, and over what.
#[derive(Clone, Copy)]
pub(super) struct Talk {
    framing: Framing,
    /// How many messages each way.
    pub(super) messages: usize,
    /// The length of the texts.
    pub(super) len: usize,
    pub(super) client: Faults,
    pub(super) hub: Faults,
    /// The client's futures are dropped after each poll.
    drops: bool,
}

impl Talk {
    pub(super) const fn new(framing: Framing) -> Self {
        Self {
            framing,
            messages: 20,
            len: 40,
            client: Faults::NONE,
            hub: Faults::NONE,
            drops: false,
        }
    }

    /// The texts of a direction.
    pub(super) fn texts(&self, direction: &str) -> Vec<String> {
        let text = |n| format!("{direction} {n} {}", "x".repeat(self.len));
        (0..self.messages).map(text).collect()
    }

    /// The configuration of the client, which says who it is.
    pub(super) fn client_config(&self) -> Result<ClientConfig, Stop> {
        let mut config = ClientConfig::new(1, UserId::new("alice")?, 7);
        config.framing = self.framing;
        config.backoff_min = Duration::from_millis(10);
        config.backoff_max = Duration::from_secs(1);
        config.request_timeout = super::DEADLINE;
        config.resume_window = super::DEADLINE;
        if matches!(self.client.breaks.or(self.hub.breaks), Some((_, Break::Silent))) {
            (config.keep_alive, config.keep_alive_timeout) = (ALIVE, ALIVE);
            (config.login_timeout, config.serial_retry) = (2 * ALIVE, ALIVE);
        }
        Ok(config)
    }

    /// Whether a connection breaks.
    pub(super) const fn breaks(&self) -> bool {
        self.client.breaks.is_some() || self.hub.breaks.is_some()
    }
}

/// With pieces of one byte, and of a few.
pub(super) fn in_pieces(framing: Framing) -> impl Iterator<Item = Talk> {
    [1, 2, 7, 1000].into_iter().map(move |piece| {
        let mut talk = Talk::new(framing);
        (talk.client.piece, talk.hub.piece) = (piece, piece);
        talk.len = 400;
        talk
    })
}

/// With about the largest frames.
pub(super) const fn with_largest(framing: Framing) -> Talk {
    let mut talk = Talk::new(framing);
    (talk.messages, talk.len) = (8, LARGEST);
    talk
}

/// Whose connection breaks: after each byte of hello and login, and then some.
pub(super) fn that_break(framing: Framing) -> impl Iterator<Item = (u64, Talk)> {
    (0..160).chain((160..1200).step_by(43)).map(move |place| {
        let mut talk = Talk::new(framing);
        talk.messages = 14;
        let broken = match place % 2 {
            0 => &mut talk.client,
            _ => &mut talk.hub,
        };
        broken.breaks = Some((place, Break::Dropped));
        (place, talk)
    })
}

/// Whose connection falls silent, at either end.
pub(super) fn that_fall_silent(framing: Framing) -> impl Iterator<Item = (u64, Talk)> {
    let ends = [10, 90, 300]
        .into_iter()
        .flat_map(|place| [(place, true), (place, false)]);
    ends.map(move |(place, is_client)| {
        let mut talk = Talk::new(framing);
        talk.messages = 6;
        let broken = if is_client {
            &mut talk.client
        } else {
            &mut talk.hub
        };
        broken.breaks = Some((place, Break::Silent));
        (place, talk)
    })
}

pub(super) async fn pieces<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    for talk in in_pieces(ends.options.framing) {
        hold(ends, talk).await?;
    }
    Ok(String::new())
}

pub(super) async fn dropped_futures<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    for piece in [1, usize::MAX] {
        let mut talk = Talk::new(ends.options.framing);
        talk.client.piece = piece;
        talk.drops = true;
        talk.len = 400;
        hold(ends, talk).await?;
    }
    Ok(String::new())
}

pub(super) async fn largest<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    let talk = with_largest(ends.options.framing);
    hold(ends, talk).await
}

pub(super) async fn breaks_anywhere<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    for (place, talk) in that_break(ends.options.framing) {
        hold(ends, talk).await.map_err(|stop| at(place, &stop))?;
    }
    Ok(String::new())
}

pub(super) async fn half_open<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>) -> Verdict {
    for (place, talk) in that_fall_silent(ends.options.framing) {
        hold(ends, talk).await.map_err(|stop| at(place, &stop))?;
    }
    Ok(String::new())
}

pub(super) fn at(place: u64, stop: &Stop) -> Stop {
    Stop::fail(format_args!("after {place} bytes: {stop}"))
}

/// Holds a talk. All messages of both directions arrive, each once and in order.
async fn hold<C: Connector, A: Acceptor>(ends: &mut Ends<C, A>, talk: Talk) -> Verdict {
    let (up, down) = (talk.texts("up"), talk.texts("down"));
    let mut hub = Hub::new(talk, down.clone())?;
    let mut client = TalkingClient::new(talk, ends.connector.clone(), up.clone())?;
    let acceptor = &mut ends.acceptor;
    {
        let mut serving = std::pin::pin!(hub.serve(acceptor));
        let mut talking = std::pin::pin!(client.talk(down.len()));
        tokio::select! {
            biased;
            served = &mut serving => served?,
            talked = &mut talking => talked?,
        }
    }
    ensure_eq!(hub.stored, up, "the messages that the hub received");
    ensure_eq!(
        client.seen.delivered,
        down,
        "the messages that the client was delivered"
    );
    ensure!(
        !talk.breaks() || client.seen.connections > 1,
        "the connection did not break"
    );
    Ok(String::new())
}

struct TalkingClient<C: Connector> {
    driver: ClientDriver<FaultyConnector<C>>,
    drops: bool,
    to_send: VecDeque<String>,
    /// Numbers the messages that were sent.
    sent: u32,
    seen: Seen,
}

/// What a client has seen.
#[derive(Default)]
pub(super) struct Seen {
    answered: usize,
    pub(super) delivered: Vec<String>,
    pub(super) connections: u32,
    fault: Option<String>,
}

impl Seen {
    pub(super) fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Response { .. } => self.answered += 1,
            Event::Delivered(delivery) => {
                let text = delivery.header.payload::<Text<'_>>();
                self.delivered
                    .push(text.map_or_else(String::new, |text| text.text.to_owned()));
            }
            Event::NetState(NetState::Connecting) => self.connections += 1,
            Event::NetState(_) | Event::LoggedIn(_) | Event::Ready => {}
            other => self.fault = Some(format!("{other:?}")),
        }
    }

    /// What a session never reports here.
    pub(super) fn fault(&mut self) -> Result<(), Stop> {
        self.fault.take().map_or(Ok(()), |fault| {
            Err(Stop::fail(format_args!("the session reports {fault}")))
        })
    }
}

impl<C: Connector> TalkingClient<C> {
    fn new(talk: Talk, connector: C, texts: Vec<String>) -> Result<Self, Stop> {
        let config = talk.client_config()?;
        let faults = talk.client;
        let connector = FaultyConnector { connector, faults };
        let mut driver = ClientDriver::new(config, "sig".to_owned(), ClientBuffers::default(), 1, connector);
        // From the beginning, also if the first connection breaks before anything was delivered.
        driver.session().resume_from_start();
        Ok(Self {
            driver,
            drops: talk.drops,
            to_send: texts.into(),
            sent: 0,
            seen: Seen::default(),
        })
    }

    async fn talk(&mut self, expected: usize) -> Result<(), Stop> {
        let all = self.to_send.len();
        let now = self.driver.now();
        self.driver.session().login(now);
        loop {
            self.take_events()?;
            self.send()?;
            if self.seen.answered == all && self.seen.delivered.len() >= expected {
                return Ok(());
            }
            if self.drops {
                // Polled once, and dropped; then once more after a moment, which is over at once if anything happens.
                let driver = &mut self.driver;
                let polled = poll_fn(|context| Poll::Ready(driver.poll_progress(context).is_ready()));
                if !polled.await {
                    let _ = tokio::time::timeout(Duration::from_millis(1), self.driver.progress()).await;
                }
            } else {
                self.driver.progress().await;
            }
        }
    }

    fn take_events(&mut self) -> Result<(), Stop> {
        let seen = &mut self.seen;
        self.driver.poll_events(|event| {
            seen.take(&event);
            ControlFlow::Continue(())
        });
        self.seen.fault()
    }

    fn send(&mut self) -> Result<(), Stop> {
        let to = ConversationId::C2c(UserId::new("bob")?);
        let now = self.driver.now();
        while let Some(text) = self.to_send.front().filter(|_| self.driver.session().is_ready()) {
            let message = message(to, self.sent, text)?;
            if self
                .driver
                .session()
                .send(now, &message, SendOptions::default())
                .is_err()
            {
                break; // the outbox is full
            }
            self.sent += 1;
            self.to_send.pop_front();
        }
        Ok(())
    }
}

pub(super) fn message(to: ConversationId, number: u32, text: &str) -> Result<Message<'_>, Stop> {
    let id = MessageId {
        sender: ACCOUNT,
        client_time: 1_700_000_000,
        random: number,
    };
    let envelope = Envelope::new(UserId::new("alice")?).with_origin(7);
    Ok(Message::new(envelope, to, id, Payload::Text(Text::new(text))))
}

/// What a hub does next.
enum Step {
    LogIn(Vec<u8>),
    Send(u32, MessageId, String),
    Refuse(u32),
    More,
    Wait(Option<Instant>),
    Close,
}

/// A hub of one account.
pub(super) struct Hub {
    config: HubConfig,
    faults: Faults,
    /// What it has for the client, encoded.
    deliveries: Vec<Vec<u8>>,
    /// How many of them were handed over on this connection or acknowledged on an earlier one.
    next: usize,
    ids: Vec<MessageId>,
    pub(super) stored: Vec<String>,
}

impl Hub {
    pub(super) fn new(talk: Talk, texts: Vec<String>) -> Result<Self, Stop> {
        let mut config = HubConfig::default();
        config.framing = talk.framing;
        if matches!(talk.client.breaks.or(talk.hub.breaks), Some((_, Break::Silent))) {
            (config.keep_alive, config.keep_alive_timeout) = (ALIVE, ALIVE);
            (config.login_timeout, config.serial_retry) = (2 * ALIVE, ALIVE);
        }
        let to = ConversationId::C2c(UserId::new("alice")?);
        let mut deliveries = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let mut message = message(to, number as u32, text)?;
            message.envelope = Envelope::new(UserId::new("bob")?)
                .with_sequence(number as u64 + 1)
                .with_time(1_700_000_000)
                .with_origin(8);
            deliveries.push(message.to_encoded().as_bytes().to_vec());
        }
        Ok(Self {
            config,
            faults: talk.hub,
            deliveries,
            next: 0,
            ids: Vec::new(),
            stored: Vec::new(),
        })
    }

    /// Serves the newest connection, one after another, for ever.
    pub(super) async fn serve<A: Acceptor>(&mut self, acceptor: &mut A) -> Result<(), Stop> {
        let mut link = acceptor.accept().await?;
        loop {
            let link_now = FaultyLink::new(link, self.faults.next());
            let mut connection = HubConnection::new(link_now, self.config, MAX_OUTGOING);
            let served = {
                let serving = poll_fn(|context| self.poll(&mut connection, context));
                tokio::select! {
                    biased;
                    accepted = acceptor.accept() => Some(accepted?),
                    () = serving => None,
                }
            };
            drop(connection);
            link = match served {
                Some(newer) => newer,
                None => acceptor.accept().await?,
            };
        }
    }

    /// Ready when the connection has ended.
    fn poll<L: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut HubConnection<L>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let Some(wake) = self.take_events(connection) else {
                return Poll::Ready(());
            };
            self.deliver(connection);
            if let Poll::Ready(Err(_)) = connection.poll_send(context) {
                return Poll::Ready(());
            }
            match connection.poll_receive(context) {
                Poll::Ready(Ok(true)) => continue,
                Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            match wake {
                Some(wake) if connection.poll_until(context, wake).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }

    /// Answers what has arrived. Returns when to do it again, or `None` if the connection ends.
    fn take_events<L: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut HubConnection<L>,
    ) -> Option<Option<Instant>> {
        loop {
            let now = connection.now();
            let session = connection.session();
            let step = match session.poll(now) {
                HubOutput::Event(HubEvent::Login(login)) => Step::LogIn(login.cursor.to_vec()),
                HubOutput::Event(HubEvent::Request { id, request }) => {
                    let content = request.decode::<Send<'_>>().map(|send| send.content);
                    match content.map(|content| (content.id, decode_body::<Text<'_>>(content.payload))) {
                        Ok((message, Ok(text))) => Step::Send(id, message, text.text.to_owned()),
                        _ => Step::Refuse(id),
                    }
                }
                HubOutput::Event(_) => Step::More,
                HubOutput::Wait(until) => Step::Wait(until),
                HubOutput::Close(_) => Step::Close,
            };
            let answered = match step {
                Step::LogIn(cursor) => {
                    let position = cursor.try_into().map_or(0, u32::from_le_bytes);
                    self.next = position as usize;
                    let position = position.to_le_bytes();
                    let welcome = LoginResponse::new(ACCOUNT).with_time_ms(1).with_cursor(&position);
                    let accepted = session.accept(&welcome);
                    accepted.and_then(|()| session.push(FrameKind::SYNCED, &Done))
                }
                Step::Send(id, message, text) => {
                    if !self.ids.contains(&message) {
                        self.ids.push(message);
                        self.stored.push(text);
                    }
                    let sequence =
                        self.ids.iter().position(|id| *id == message).unwrap_or_default() as u64 + 1;
                    let response = SendResponse::new(sequence, 1_700_000_000);
                    session.respond_untyped(id, FrameKind::SEND, &response)
                }
                Step::Refuse(id) => session.fail(id, &Failure::new(ErrorCode::UNSUPPORTED_REQUEST, "")),
                Step::More => Ok(()),
                Step::Wait(until) => return Some(until),
                Step::Close => return None,
            };
            if answered.is_err() {
                return None;
            }
        }
    }

    fn deliver<L: AsyncRead + AsyncWrite + Unpin>(&mut self, connection: &mut HubConnection<L>) {
        let session = connection.session();
        while let Some(message) = self.deliveries.get(self.next) {
            let cursor = (self.next as u32 + 1).to_le_bytes();
            if session.deliver(&cursor, 0, message).is_err() {
                return; // not now
            }
            self.next += 1;
        }
    }
}
