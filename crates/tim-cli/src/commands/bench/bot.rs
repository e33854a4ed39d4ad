//! A device that does as it is told: the plain client session, without the SDK on top.

use std::ops::ControlFlow;

use tim_proto::message::{Envelope, Message, SendOptions, Text};
use tim_proto::request::{Answer, Request};
use tim_proto::wire::FrameKind;
use tim_proto::{ConversationId, ErrorCode, MessageId, Platform, Priority, UserId};
use tim_session::{ClientConfig, Event, RequestError, Ticket};
use tim_transport_std::{ClientBuffers, ClientDriver, TcpConnector};

use super::hub::Target;
use crate::error::Failure;

/// What is said: 57 characters, as people write.
const TEXT: &str = "今天下午三点在老地方见面吧,记得带上昨天说的那本书,还有上次借的雨伞[微笑],天气预报说傍晚可能会下大雨[下雨]。";

pub(super) struct Bot {
    driver: ClientDriver<TcpConnector>,
    user: UserId,
    sent: u32,
    number: u32,
    /// Messages of others that came in.
    pub(super) delivered: u64,
    /// Messages that the hub answered as stored.
    pub(super) stored: u64,
    failed: Option<String>,
    /// What became of each message, for whoever wants to know; a refusal is no failure then.
    pub(super) outcomes: Option<Vec<(Ticket, Result<(), ErrorCode>)>>,
}

impl Bot {
    /// Logs in and waits until the session is ready.
    pub(super) async fn login(target: &Target, name: &str, number: u32) -> Result<Self, Failure> {
        let user = UserId::new(name).map_err(Failure::usage)?;
        let mut config = ClientConfig::new(target.app.id, user, u64::from(number) + 1);
        config.platform = Platform::DESKTOP;
        let connector = TcpConnector::new(target.address);
        let mut driver = ClientDriver::new(
            config,
            target.sig(&user),
            ClientBuffers::default(),
            u64::from(number),
            connector,
        );
        let now = driver.now();
        driver.session().login(now);
        let mut bot = Self {
            driver,
            user,
            sent: 0,
            number,
            delivered: 0,
            stored: 0,
            failed: None,
            outcomes: None,
        };
        while !bot.driver.session().is_ready() {
            bot.turn().await?;
        }
        Ok(bot)
    }

    /// Deals with what there is, then waits for more.
    pub(super) async fn turn(&mut self) -> Result<(), Failure> {
        self.look()?;
        self.driver.progress().await;
        self.look()
    }

    fn look(&mut self) -> Result<(), Failure> {
        let Self {
            driver,
            delivered,
            stored,
            failed,
            outcomes,
            ..
        } = self;
        driver.poll_events(|event| {
            match event {
                Event::Delivered(_) => *delivered += 1,
                Event::Answer { ticket, answer } if answer.kind == FrameKind::SEND => {
                    *stored += 1;
                    outcomes.iter_mut().for_each(|all| all.push((ticket, Ok(()))));
                }
                Event::Failed { ticket, failure } if outcomes.is_some() => {
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
        match failed.take() {
            Some(reason) => Err(Failure::failed(reason)),
            None => Ok(()),
        }
    }

    /// Sends a message and does not wait. `false`: too many wait already.
    pub(super) fn start_send(&mut self, to: ConversationId) -> Result<bool, Failure> {
        Ok(self.start_send_as(to, Priority::NORMAL)?.is_some())
    }

    /// The same with this priority, and the ticket of the message.
    pub(super) fn start_send_as(
        &mut self,
        to: ConversationId,
        priority: Priority,
    ) -> Result<Option<Ticket>, Failure> {
        self.sent += 1;
        let account = self.driver.session().account();
        // A number of its own for each bot, in case two are the same user.
        let random = self.sent.wrapping_add(self.number << 20);
        let message = Message {
            envelope: Envelope {
                sequence: 0,
                time: 1,
                flags: 0,
                origin: 0,
                from: self.user,
            },
            to,
            id: MessageId {
                sender: account,
                client_time: u64::from(self.sent),
                random,
            },
            client_sequence: u64::from(self.sent),
            priority,
            payload: Text { text: TEXT },
            extensions: Default::default(),
        };
        let now = self.driver.now();
        match self.driver.session().send(now, &message, SendOptions::default()) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(RequestError::Full) => {
                self.sent -= 1;
                Ok(None)
            }
            Err(error) => Err(Failure::failed(error)),
        }
    }

    /// Sends a message and waits until it is stored.
    pub(super) async fn send(&mut self, to: ConversationId) -> Result<(), Failure> {
        let stored = self.stored;
        self.start_send(to)?;
        while self.stored == stored {
            self.turn().await?;
        }
        Ok(())
    }

    /// Makes a request and returns what `read` makes of its answer.
    pub(super) async fn ask<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(&Answer<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let now = self.driver.now();
        let asked: Ticket = self
            .driver
            .session()
            .request(now, request)
            .map_err(Failure::failed)?;
        let mut result = None;
        loop {
            self.driver.poll_events(|event| {
                match event {
                    Event::Answer { ticket, answer } if ticket == asked => {
                        let answer = answer.decode().map_err(|fault| fault.to_string());
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
                return result.map_err(Failure::failed);
            }
            self.driver.progress().await;
        }
    }
}
