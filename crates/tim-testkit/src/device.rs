//! A device of the world: a real client session, the state of its driver, and all events of its application.

use std::collections::BTreeMap;

use tim_session::proto::message::MessageFlags;
use tim_session::proto::request::{Failure, Fetch, History, RawResponse, Request, Send};
use tim_session::proto::{ConversationId, ErrorCode, UserId};
use tim_session::{ClientSession, Event, GrowBuffer, Instant, NetState, NotReadyReason, Output, RequestId};

use crate::messages::text_of;

/// An event, as the application observed it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Observed {
    /// The connection state changed.
    Net(NetState),
    /// The login was accepted.
    LoggedIn,
    /// The login was refused.
    LoginFailed(ErrorCode),
    /// SDK_READY.
    Ready,
    /// SDK_NOT_READY.
    NotReady(NotReadyReason),
    /// The hub ended the session.
    KickedOut(ErrorCode),
    /// An entry.
    Delivered {
        /// Its conversation, as the device's user names it.
        conversation: ConversationId,
        /// Its sequence there.
        sequence: u64,
        /// Its text; empty for other kinds.
        text: String,
        /// The length of its payload, if it was delivered as a stub.
        stub_of: Option<u32>,
    },
    /// A response arrived.
    Answered {
        /// Which one.
        ticket: RequestId,
        /// The response to SEND says that the message was stored before.
        duplicate: bool,
        /// The texts of a page.
        texts: Vec<String>,
    },
    /// A response to FETCH arrived.
    Fetched {
        /// Which one.
        ticket: RequestId,
        /// The length of the whole payload.
        total: u32,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// A request failed.
    Failed {
        /// Which one.
        ticket: RequestId,
        /// Why.
        code: ErrorCode,
    },
    /// Anything else, in words.
    Other(String),
}

/// The state of a device's driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// No connection, and none is wanted.
    Idle,
    /// A connection is being opened; this is when it is open, or fails.
    Opening { at: Instant, succeeds: bool },
    /// This link is open.
    Open(u64),
}

/// A device.
#[derive(Debug)]
pub struct Device {
    pub(crate) session: ClientSession<&'static str, GrowBuffer>,
    pub(crate) driver: Driver,
    /// When the session wants to be polled next.
    pub(crate) wake: Option<Instant>,
    observed: Vec<(Instant, Observed)>,
    connects: Vec<Instant>,
    pub(crate) sent: u64,
    /// The serial link that it is on, if it is on one.
    pub(crate) serial: Option<u64>,
}

/// What the session wants of the driver.
pub(crate) enum Wish {
    Connect,
    Disconnect,
    Nothing,
}

impl Device {
    pub(crate) fn new(session: ClientSession<&'static str, GrowBuffer>) -> Self {
        Self {
            session,
            driver: Driver::Idle,
            wake: None,
            observed: Vec::new(),
            connects: Vec::new(),
            sent: 0,
            serial: None,
        }
    }

    /// The session itself.
    #[must_use]
    pub const fn session(&self) -> &ClientSession<&'static str, GrowBuffer> {
        &self.session
    }

    /// All events of the application, and when.
    #[must_use]
    pub fn observed(&self) -> &[(Instant, Observed)] {
        &self.observed
    }

    /// How often this event happened.
    #[must_use]
    pub fn count(&self, wanted: &Observed) -> usize {
        self.observed.iter().filter(|(_, seen)| seen == wanted).count()
    }

    /// When the session asked for a connection.
    #[must_use]
    pub fn connects(&self) -> &[Instant] {
        &self.connects
    }

    /// The texts delivered, in the order of their arrival.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        fn text((_, seen): &(Instant, Observed)) -> Option<&str> {
            match seen {
                Observed::Delivered { text, .. } => Some(text),
                _ => None,
            }
        }
        self.observed.iter().filter_map(text).collect()
    }

    /// The responses to a request, and its failures: exactly one in the end.
    #[must_use]
    pub fn outcomes(&self, wanted: RequestId) -> Vec<&Observed> {
        let about = |seen: &&Observed| match seen {
            Observed::Answered { ticket, .. }
            | Observed::Fetched { ticket, .. }
            | Observed::Failed { ticket, .. } => *ticket == wanted,
            _ => false,
        };
        self.observed.iter().map(|(_, seen)| seen).filter(about).collect()
    }

    /// What is wrong with the order of deliveries: in each conversation, each sequence must follow the one before.
    ///
    /// # Errors
    /// A sentence about the first entry that was lost, came twice, or came out of order.
    pub fn check_order(&self) -> Result<(), String> {
        let mut last: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for (at, seen) in &self.observed {
            let Observed::Delivered {
                conversation,
                sequence,
                ..
            } = seen
            else {
                continue;
            };
            let expected = last.get(conversation).map_or(*sequence, |last| last + 1);
            if *sequence != expected {
                return Err(format!(
                    "{conversation}: {sequence} instead of {expected} at {at:?}"
                ));
            }
            last.insert(*conversation, *sequence);
        }
        Ok(())
    }

    /// Polls once; `None` when the session waits.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Wish> {
        let me = self.session.config().user;
        let event = match self.session.poll(now) {
            Output::Wait(until) => {
                self.wake = until;
                return None;
            }
            Output::Connect => {
                self.connects.push(now);
                return Some(Wish::Connect);
            }
            Output::Disconnect => return Some(Wish::Disconnect),
            Output::Event(event) => observe(&event, &me),
        };
        self.observed.push((now, event));
        Some(Wish::Nothing)
    }
}

fn observe(event: &Event<'_>, me: &UserId) -> Observed {
    match *event {
        Event::NetState(state) => Observed::Net(state),
        Event::LoggedIn(_) => Observed::LoggedIn,
        Event::LoginFailed(failure) => Observed::LoginFailed(failure.code),
        Event::Ready => Observed::Ready,
        Event::NotReady(reason) => Observed::NotReady(reason),
        Event::KickedOut(failure) => Observed::KickedOut(failure.code),
        Event::Delivered(deliver) => Observed::Delivered {
            conversation: deliver.header.conversation_of(me),
            sequence: deliver.header.envelope.sequence,
            text: text_of(&deliver.message().payload),
            stub_of: (deliver.header.envelope.flags.contains(MessageFlags::STUB))
                .then_some(deliver.payload_len),
        },
        Event::Response { id, response } => observe_response(id, &response).unwrap_or_else(|failure| {
            let (ticket, code) = (id, failure.code);
            Observed::Failed { ticket, code }
        }),
        Event::Failed { id, failure } => Observed::Failed {
            ticket: id,
            code: failure.code,
        },
        ref other => Observed::Other(format!("{other:?}")),
    }
}

fn observe_response(ticket: RequestId, response: &RawResponse<'_>) -> Result<Observed, Failure<'static>> {
    let (mut duplicate, mut texts) = (false, Vec::new());
    match response.kind() {
        Fetch::KIND => {
            let piece = response.decode::<Fetch>()?;
            return Ok(Observed::Fetched {
                ticket,
                total: piece.total,
                bytes: piece.bytes.to_vec(),
            });
        }
        Send::KIND => duplicate = response.decode::<Send<'_>>()?.duplicate,
        History::KIND => {
            let page = response.decode::<History<'_>>()?;
            texts.extend(page.messages.iter().map(|message| text_of(&message.payload)));
        }
        _ => {}
    }
    Ok(Observed::Answered {
        ticket,
        duplicate,
        texts,
    })
}
