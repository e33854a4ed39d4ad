//! A device that does as it is told: the plain client session, without the SDK on top.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use tim_proto::message::{Envelope, Message, SendOptions, Text};
use tim_proto::request::{AnyRequest as Request, AnyResponse as Answer};
use tim_proto::wire::FrameKind;
use tim_proto::{
    ClientSequence, ConversationId, ErrorCode, MAX_SUCCESSORS, MessageId, MessageRandom, Platform, Priority,
    UserId,
};
use tim_session::{ClientConfig, Event, RequestError, Ticket};
use tim_transport_std::{ClientBuffers, ClientDriver, TcpConnector};

use crate::Result;
use crate::hub::Target;

/// What is said: 57 characters, as people write.
const TEXT: &str = "今天下午三点在老地方见面吧,记得带上昨天说的那本书,还有上次借的雨伞[微笑],天气预报说傍晚可能会下大雨[下雨]。";

pub(crate) struct Bot {
    driver: ClientDriver<TcpConnector>,
    user: UserId,
    random: MessageRandom,
    sequence: ClientSequence,
    /// What is not answered yet.
    under_way: HashMap<Ticket, Sent>,
    /// What is to be sent under another id.
    again: Vec<Sent>,
    /// Messages of others that came in.
    pub(crate) delivered: u64,
    /// Messages that the hub answered, with their place.
    pub(crate) stored: u64,
    /// How many of those it had stored before. A repetition after a cut makes some; otherwise nothing was measured.
    pub(crate) duplicates: u64,
    failed: Option<String>,
    /// What became of each message, for whoever wants to know; a refusal is no failure then.
    pub(crate) outcomes: Option<Vec<(Ticket, Result<(), ErrorCode>)>>,
}

/// A message under way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: MessageId,
    to: ConversationId,
    priority: Priority,
    /// How many ids the hub has refused.
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
            under_way: HashMap::new(),
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

    /// Deals with what there is, then waits for more.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        self.look()?;
        self.driver.progress().await;
        self.look()
    }

    fn look(&mut self) -> Result<()> {
        let Self {
            driver,
            random,
            under_way,
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
                Event::Answer { ticket, answer } if answer.kind() == FrameKind::SEND => {
                    under_way.remove(&ticket);
                    *stored += 1;
                    let is_duplicate = answer
                        .decode::<tim_proto::request::Send<'_>>()
                        .is_ok_and(|sent| sent.duplicate);
                    *duplicates += u64::from(is_duplicate);
                    outcomes.iter_mut().for_each(|all| all.push((ticket, Ok(()))));
                }
                Event::Failed { ticket, failure }
                    if failure.code == ErrorCode::MESSAGE_ID_REUSED
                        && under_way
                            .get(&ticket)
                            .is_some_and(|sent| sent.refused < MAX_SUCCESSORS) =>
                {
                    again.extend(under_way.remove(&ticket).map(|sent| Sent {
                        id: sent.id.successor(device),
                        refused: sent.refused + 1,
                        ..sent
                    }));
                }
                Event::Failed { ticket, failure } if outcomes.is_some() => {
                    under_way.remove(&ticket);
                    outcomes
                        .iter_mut()
                        .for_each(|all| all.push((ticket, Err(failure.code))));
                }
                Event::Failed { failure, .. } | Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                    *failed = Some(format!("{} {}", failure.code.explain(), failure.text));
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

    /// Sends a message and does not wait. `false`: too many wait already.
    pub(crate) fn start_send(&mut self, to: ConversationId) -> Result<bool> {
        Ok(self.start_send_as(to, Priority::NORMAL)?.is_some())
    }

    /// The same with this priority, and the ticket of the message.
    pub(crate) fn start_send_as(&mut self, to: ConversationId, priority: Priority) -> Result<Option<Ticket>> {
        let id = MessageId {
            sender: self.driver.session().account(),
            client_time: unix_seconds(),
            random: self.random.draw(),
        };
        self.submit(Sent {
            id,
            to,
            priority,
            refused: 0,
        })
    }

    /// Hands a message to the session; `None` if too many wait.
    fn submit(&mut self, sent: Sent) -> Result<Option<Ticket>> {
        let message = Message {
            envelope: Envelope {
                sequence: 0,
                time: sent.id.client_time,
                flags: 0,
                origin: 0,
                from: self.user,
            },
            to: sent.to,
            id: sent.id,
            client_sequence: u64::from(self.sequence.draw()),
            priority: sent.priority,
            payload: Text { text: TEXT },
            extensions: Default::default(),
        };
        let now = self.driver.now();
        match self.driver.session().send(now, &message, SendOptions::default()) {
            Ok(ticket) => {
                self.under_way.insert(ticket, sent);
                Ok(Some(ticket))
            }
            Err(RequestError::Full) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An error if the hub had stored some of the messages before: then less was measured than it seems.
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

    /// Makes a request and returns what `read` makes of its answer.
    pub(crate) async fn ask<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(&Answer<'_>) -> Option<T>,
    ) -> Result<T> {
        let now = self.driver.now();
        let asked: Ticket = self.driver.session().request(now, request)?;
        let mut result = None;
        loop {
            self.driver.poll_events(|event| {
                match event {
                    Event::Answer { ticket, answer } if ticket == asked => {
                        let answer = answer.decode_any().map_err(|failure| failure.text.to_owned());
                        result = Some(answer.and_then(|answer| {
                            read(&answer).ok_or_else(|| "an answer of the wrong kind".to_owned())
                        }));
                    }
                    Event::Failed { ticket, failure } if ticket == asked => {
                        result = Some(Err(format!("{} {}", failure.code.explain(), failure.text)));
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

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
