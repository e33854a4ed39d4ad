//! Requests: they are handled in order, here or on the read pool, and answered when their responses are there.
//!
//! While one of them is on the read pool, the session goes on: it answers PINGs and takes ACKs. Requests that come in meanwhile
//! are held, up to a bound. Beyond it the session takes no requests.

use std::task::{Context, Poll};

use tim_proto::ErrorCode;
use tim_proto::request::Failure;
use tim_session::{CloseReason, HubEvent, HubOutput, Instant, SendError};
use tokio::io::{AsyncRead, AsyncWrite};

use super::login::LoginRequest;
use super::online::{Asked, Handled, Lost};
use super::{Connection, Stage};
use crate::device::Response;
use crate::encoding::Raw;
use crate::refusal::Refusal;

/// How many requests a connection handles in one round.
const MAX_EVENTS: usize = 16;

/// An output of the session, without what it borrows.
enum SessionOutput {
    Login(LoginRequest),
    Handled { asked: Asked, handled: Handled },
    Close(CloseReason),
    More,
    Wait(Option<Instant>),
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Takes what the client has sent; whether there was anything.
    pub(super) fn take_events(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..MAX_EVENTS {
            if self.takes_nothing() {
                return moved;
            }
            if self.handle_held() {
                moved = true;
                continue;
            }
            let (now, is_held_up) = (self.io.now(), self.is_held_up());
            self.io.session().hold_requests(is_held_up);
            let output = match self.io.session().poll(now) {
                HubOutput::Wait(until) => SessionOutput::Wait(until),
                HubOutput::Close(reason) => SessionOutput::Close(reason),
                HubOutput::Event(HubEvent::Login(login)) => SessionOutput::Login(login.into()),
                HubOutput::Event(HubEvent::Request { id, request }) => {
                    let (kind, began) = (request.kind(), self.services.metrics.now());
                    let asked = Asked { id, kind, began };
                    let handled = match &mut self.stage {
                        Stage::Online(online) => online.take_request(&self.services, asked, request.body()),
                        _ => Err(Refusal::new(ErrorCode::USER_NOT_LOGGED_IN, "")),
                    };
                    SessionOutput::Handled { asked, handled }
                }
                HubOutput::Event(_) => SessionOutput::More,
            };
            self.charge_idle_frames();
            match output {
                SessionOutput::Wait(until) => {
                    self.wake = until;
                    return moved;
                }
                SessionOutput::More => {}
                SessionOutput::Close(reason) => {
                    self.close(reason);
                    return true;
                }
                SessionOutput::Login(login) => {
                    self.handled = self.handled.wrapping_add(1);
                    self.begin_login(login);
                }
                SessionOutput::Handled { asked, handled } => {
                    self.handled = self.handled.wrapping_add(1);
                    self.charge_request(asked.kind);
                    self.finish(asked, handled);
                }
            }
            moved = true;
        }
        moved
    }

    /// Whether nothing that the client has sent is taken now: it is paused, or there is no capacity for responses. A session that
    /// ends does not wait.
    pub(super) fn takes_nothing(&mut self) -> bool {
        !self.ending && (self.is_paused() || !self.has_capacity())
    }

    /// Handles the oldest request that is held; whether there was one whose turn it is.
    fn handle_held(&mut self) -> bool {
        let held = match &mut self.stage {
            Stage::Online(online) if !self.ending => online.handle_held(&self.services),
            _ => None,
        };
        let Some((asked, handled)) = held else {
            return false;
        };
        self.finish(asked, handled);
        true
    }

    /// Answers the request that has come back from the read pool; whether there was one.
    pub(super) fn finish_request(&mut self, context: &mut Context<'_>) -> bool {
        if !self.has_capacity() {
            return false;
        }
        let Stage::Online(online) = &mut self.stage else {
            return false;
        };
        match online.poll_request(context) {
            Poll::Pending => false,
            Poll::Ready(Ok((asked, handled))) => {
                self.finish(asked, handled);
                true
            }
            Poll::Ready(Err(Lost)) => {
                self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
                true
            }
        }
    }

    /// Sends a response from the mailbox. `newest` is the newest change of those that were there with it.
    pub(super) fn send_response(&mut self, response: Response, newest: u64) {
        if let Stage::Online(online) = &mut self.stage {
            online
                .state
                .note_answered(self.io.session(), response.change, newest);
        }
        let asked = Asked {
            id: response.request,
            kind: response.kind,
            began: response.began,
        };
        self.finish(asked, response.result.map(Some));
    }

    /// Sends the answer to a request, if there is one yet.
    pub(super) fn finish(&mut self, asked: Asked, handled: Handled) {
        let Asked { id, kind, began } = asked;
        if !matches!(handled, Ok(None)) {
            let metrics = &self.services.metrics;
            metrics.answered(kind, began, handled.as_ref().err());
        }
        let body = match handled {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(refusal) => return self.fail(id, &refusal),
        };
        let refusal = match self.io.session().respond_untyped(id, kind, &Raw(&body)) {
            Ok(()) | Err(SendError::NotOnline) => return,
            Err(SendError::TooLarge { .. }) => {
                Refusal::new(ErrorCode::FRAME_TOO_LARGE, "the answer is larger than you take")
            }
            Err(_) => Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""),
        };
        self.fail(id, &refusal);
    }

    /// Answers a request with an error. Without capacity even for that, the connection is of no use.
    fn fail(&mut self, id: u32, refusal: &Refusal) {
        self.charge(1);
        let failure = refusal.failure();
        if self.io.session().fail(id, &failure).is_ok() {
            return;
        }
        let short = Failure::new(failure.code, "").with_retry_after_ms(failure.retry_after_ms);
        if let Err(SendError::Full | SendError::TooLarge { .. }) = self.io.session().fail(id, &short) {
            self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
        }
    }

    /// Whether a request is on the read pool. No other one is handled, and the hub does not end the session, until it is answered.
    pub(super) fn is_busy(&self) -> bool {
        matches!(&self.stage, Stage::Online(online) if online.is_busy())
    }

    /// Whether so many requests are held that no more are taken.
    pub(super) fn is_held_up(&self) -> bool {
        matches!(&self.stage, Stage::Online(online) if online.is_held_up())
    }
}
