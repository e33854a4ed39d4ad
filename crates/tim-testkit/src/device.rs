//! A device of the world: a real client session, its driver's state, and all that its application was told.

use std::collections::BTreeMap;

use tim_session::proto::message::{Payload, flags};
use tim_session::proto::request::{AnyResponse as Answer, Failure};
use tim_session::proto::{ConversationId, ErrorCode, UserId};
use tim_session::{ClientSession, Event, GrowBuffer, Instant, NetState, NotReadyReason, Output, Ticket};

/// An event as the application saw it, kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Seen {
    /// The line.
    Net(NetState),
    /// The hub let the device in.
    LoggedIn,
    /// The hub refused the login.
    LoginFailed(ErrorCode),
    /// SDK_READY.
    Ready,
    /// SDK_NOT_READY.
    NotReady(NotReadyReason),
    /// The hub ended the session.
    KickedOut(ErrorCode),
    /// An entry.
    Delivered {
        /// Of which conversation, as the device's user names it.
        conversation: ConversationId,
        /// Its place there.
        sequence: u64,
        /// Its text; empty if it is none.
        text: String,
        /// How long its payload is, if it came as a stub.
        stub_of: Option<u32>,
    },
    /// A request was answered.
    Answered {
        /// Which one.
        ticket: Ticket,
        /// The answer to a SEND says so: stored before.
        duplicate: bool,
        /// The texts of a page.
        texts: Vec<String>,
    },
    /// A FETCH was answered.
    Fetched {
        /// Which one.
        ticket: Ticket,
        /// How long the payload is in all.
        total: u32,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// A request failed.
    Failed {
        /// Which one.
        ticket: Ticket,
        /// Why.
        code: ErrorCode,
    },
    /// Anything else, in words.
    Other(String),
}

/// What a device's driver is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// There is no line, and none is asked for.
    Idle,
    /// A line is being opened; at this moment it is, or fails.
    Opening { at: Instant, succeeds: bool },
    /// This line is open.
    Open(u64),
}

/// A device.
#[derive(Debug)]
pub struct Device {
    pub(crate) session: ClientSession<&'static str, GrowBuffer>,
    pub(crate) driver: Driver,
    /// When the session wants to be polled next.
    pub(crate) wake: Option<Instant>,
    seen: Vec<(Instant, Seen)>,
    connects: Vec<Instant>,
    pub(crate) sent: u64,
    /// The serial line that it is on, if it is on one.
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
            seen: Vec::new(),
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

    /// All that the application was told, and when.
    #[must_use]
    pub fn seen(&self) -> &[(Instant, Seen)] {
        &self.seen
    }

    /// How often the application was told this.
    #[must_use]
    pub fn count(&self, wanted: &Seen) -> usize {
        self.seen.iter().filter(|(_, seen)| seen == wanted).count()
    }

    /// When the session asked for a connection.
    #[must_use]
    pub fn connects(&self) -> &[Instant] {
        &self.connects
    }

    /// The texts delivered, in the order of their arrival.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        fn text((_, seen): &(Instant, Seen)) -> Option<&str> {
            match seen {
                Seen::Delivered { text, .. } => Some(text),
                _ => None,
            }
        }
        self.seen.iter().filter_map(text).collect()
    }

    /// The answers to a request: exactly one in the end.
    #[must_use]
    pub fn outcomes(&self, wanted: Ticket) -> Vec<&Seen> {
        let about = |seen: &&Seen| match seen {
            Seen::Answered { ticket, .. } | Seen::Fetched { ticket, .. } | Seen::Failed { ticket, .. } => {
                *ticket == wanted
            }
            _ => false,
        };
        self.seen.iter().map(|(_, seen)| seen).filter(about).collect()
    }

    /// What is wrong with the order of deliveries: in each conversation, each sequence must follow the one before.
    ///
    /// # Errors
    /// A sentence about the first entry that was lost, came twice, or came out of order.
    pub fn check_order(&self) -> Result<(), String> {
        let mut last: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for (at, seen) in &self.seen {
            let Seen::Delivered {
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
            Output::Event(event) => seen(&event, &me),
        };
        self.seen.push((now, event));
        Some(Wish::Nothing)
    }
}

fn seen(event: &Event<'_>, me: &UserId) -> Seen {
    match *event {
        Event::NetState(state) => Seen::Net(state),
        Event::LoggedIn(_) => Seen::LoggedIn,
        Event::LoginFailed(failure) => Seen::LoginFailed(failure.code),
        Event::Ready => Seen::Ready,
        Event::NotReady(reason) => Seen::NotReady(reason),
        Event::KickedOut(failure) => Seen::KickedOut(failure.code),
        Event::Delivered(deliver) => Seen::Delivered {
            conversation: deliver.header.conversation_of(me),
            sequence: deliver.header.envelope.sequence,
            text: text(&deliver.message().payload),
            stub_of: (deliver.header.envelope.flags & flags::STUB != 0).then_some(deliver.payload_len),
        },
        Event::Answer { ticket, answer } => match answer.decode_any() {
            Ok(answer) => answered(ticket, &answer),
            Err(Failure { code, .. }) => Seen::Failed { ticket, code },
        },
        Event::Failed { ticket, failure } => Seen::Failed {
            ticket,
            code: failure.code,
        },
        ref other => Seen::Other(format!("{other:?}")),
    }
}

fn answered(ticket: Ticket, answer: &Answer<'_>) -> Seen {
    let (duplicate, texts) = match answer {
        Answer::Fetch(piece) => {
            return Seen::Fetched {
                ticket,
                total: piece.total,
                bytes: piece.bytes.to_vec(),
            };
        }
        Answer::Send(answer) => (answer.duplicate, Vec::new()),
        Answer::History(page) => (
            false,
            page.messages
                .iter()
                .map(|message| text(&message.payload))
                .collect(),
        ),
        _ => (false, Vec::new()),
    };
    Seen::Answered {
        ticket,
        duplicate,
        texts,
    }
}

fn text(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Text(text) => text.text.to_owned(),
        _ => String::new(),
    }
}
