//! A scripted device: the plain client session on TCP, without the SDK on top.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{Failure, Request, Send};
use tim_proto::wire::FrameKind;
use tim_proto::{
    ClientSequence, ConversationId, ErrorCode, MAX_SUCCESSORS, MessageId, MessageRandom, Platform, Priority,
    UserId,
};
use tim_session::{ClientConfig, Event, RequestError, RequestId};
use tim_testkit::messages;
use tim_transport_std::{ClientBuffers, ClientDriver, TcpConnector};

use crate::Result;
use crate::hub::Target;

/// The text of messages: 57 characters, as people write.
const TEXT: &str = "今天下午三点在老地方见面吧,记得带上昨天说的那本书,还有上次借的雨伞[微笑],天气预报说傍晚可能会下大雨[下雨]。";

pub(crate) struct Bot {
    driver: ClientDriver<TcpConnector>,
    user: UserId,
    random: MessageRandom,
    sequence: ClientSequence,
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
    failed: Option<String>,
    /// The outcome of each message, where it is wanted; a refusal is then not a failure.
    pub(crate) outcomes: Option<Vec<(RequestId, Result<(), ErrorCode>)>>,
}

/// A message without a response.
#[derive(Debug, Clone, Copy)]
struct PendingMessage {
    id: MessageId,
    to: ConversationId,
    priority: Priority,
    /// Ids that the hub has refused.
    refused: u32,
}

impl Bot {
    /// Logs in and waits until the session is ready.
    pub(crate) async fn login(target: &Target, name: &str, number: u32) -> Result<Self> {
        let user = UserId::new(name)?;
        let mut config = ClientConfig::new(target.app.id, user, u64::from(number) + 1);
        config.platform = Platform::DESKTOP;
        let connector = TcpConnector::new(target.address);
        let seed = RandomState::new().hash_one(number);
        let mut driver = ClientDriver::new(
            config,
            target.sig(&user),
            ClientBuffers::default(),
            seed,
            connector,
        );
        let now = driver.now();
        driver.session().login(now);
        let mut bot = Self {
            driver,
            user,
            random: MessageRandom::new(seed),
            sequence: ClientSequence::at(unix_seconds()),
            pending: HashMap::new(),
            again: Vec::new(),
            delivered: 0,
            stored: 0,
            duplicates: 0,
            failed: None,
            outcomes: None,
        };
        while !bot.driver.session().is_ready() {
            bot.turn().await?;
        }
        Ok(bot)
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
            failed,
            outcomes,
            ..
        } = self;
        let device = driver.session().config().device;
        driver.poll_events(|event| {
            match event {
                Event::Delivered(_) => *delivered += 1,
                Event::LoggedIn(answer) => random.logged_in(device, answer.time_ms),
                Event::Response {
                    id: ticket,
                    response: answer,
                } if answer.kind() == FrameKind::SEND => {
                    pending.remove(&ticket);
                    *stored += 1;
                    let is_duplicate = answer.decode::<Send<'_>>().is_ok_and(|sent| sent.duplicate);
                    *duplicates += u64::from(is_duplicate);
                    outcomes.iter_mut().for_each(|all| all.push((ticket, Ok(()))));
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
        let id = MessageId {
            sender: self.driver.session().account(),
            client_time: unix_seconds(),
            random: self.random.draw(),
        };
        self.submit(PendingMessage {
            id,
            to,
            priority,
            refused: 0,
        })
    }

    /// Hands a message to the session; `None` if too many wait.
    fn submit(&mut self, sent: PendingMessage) -> Result<Option<RequestId>> {
        let mut message = messages::message(self.user, sent.to, Text::new(TEXT));
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

    /// Makes a request and returns what `read` makes of its response.
    pub(crate) async fn call<R: Request, T>(
        &mut self,
        request: &R,
        read: impl Fn(R::Response<'_>) -> T,
    ) -> Result<T> {
        let now = self.driver.now();
        let ticket = self.driver.session().request(now, request)?;
        let mut result = None;
        loop {
            self.driver.poll_events(|event| {
                match event {
                    Event::Response { id, response } if id == ticket.id() => {
                        let response = ticket.response(&response);
                        result = Some(response.map(&read).map_err(reason));
                    }
                    Event::Failed { id, failure } if id == ticket.id() => {
                        result = Some(Err(reason(failure)));
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            });
            if let Some(result) = result {
                return result.map_err(Into::into);
            }
            self.driver.progress().await;
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
