//! What a connection holds while a device is logged in.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_store::{Changes, StoreError};
use tokio::sync::oneshot;
use tracing::debug_span;

use super::delivery_state::DeliveryState;
use super::login::{LoggedIn, Seat};
use crate::client_context::ClientContext;
use crate::delivery::Mark;
use crate::device::{Device, Mailbox};
use crate::handlers::{self, Outcome};
use crate::merges::HeldMerge;
use crate::metrics::Began;
use crate::refusal::Refusal;
use crate::service::Services;

/// How many bytes of requests are held at least before the session is not polled any more.
const MAX_HELD_BYTES: usize = 16 * 1024;

/// A device that is logged in on this connection.
pub(super) struct Online {
    pub(super) seat: Seat,
    pub(super) state: DeliveryState,
    /// Away while a request is on the read pool.
    pub(super) client: Option<ClientContext>,
    requests_per_second: u32,
    /// The request that is on the read pool. One at a time, so that the requests of a connection are handled in order.
    request: Option<RequestJob>,
    /// The requests that have come in meanwhile, at most as many as the session lets be open.
    #[allow(clippy::box_collection)] // smaller while there are none
    held: Option<Box<VecDeque<HeldRequest>>>,
    /// The reading of the log that is on the read pool.
    reading: Option<oneshot::Receiver<Reading>>,
    /// What the last reading has left for the next one; away while there is one.
    merge: Option<Box<HeldMerge>>,
}

// Each connection has one while a device is logged in.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Online>() <= 248);

/// What was read from the log, and when.
type Found = Result<(Changes, Mark), StoreError>;
/// With how long it took, in milliseconds.
type Reading = (Box<HeldMerge>, Found, u64);

/// A request on the read pool.
struct RequestJob {
    id: u32,
    kind: FrameKind,
    result: oneshot::Receiver<Handover>,
}

/// What comes back with the result of a request that was handled elsewhere.
type Handover = (ClientContext, Result<Outcome, Refusal>);

/// A request whose turn has not come.
struct HeldRequest {
    asked: Asked,
    body: Box<[u8]>,
}

/// What is to be sent for a request: the encoded response or the refusal, or nothing yet.
pub(super) type Handled = Result<Option<Vec<u8>>, Refusal>;

/// Which request is answered: its id, its kind, and when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: u32,
    pub(super) kind: FrameKind,
    pub(super) began: Began,
}

impl Online {
    /// The connection's part of a login.
    pub(super) fn new(services: &Services, login: LoggedIn) -> Self {
        let device = Arc::clone(login.client.device());
        Self {
            seat: login.seat,
            state: DeliveryState::new(device, Arc::clone(&services.epochs), login.start),
            requests_per_second: login.client.requests_per_second(),
            client: Some(login.client),
            request: None,
            held: None,
            reading: None,
            merge: None,
        }
    }

    pub(super) const fn device(&self) -> &Arc<Device> {
        self.state.device()
    }

    /// What the requests of the user may cost a second.
    pub(super) const fn requests_per_second(&self) -> u32 {
        self.requests_per_second
    }

    /// Whether a request is on the read pool: no other one is handled until it is back.
    pub(super) const fn is_busy(&self) -> bool {
        self.request.is_some()
    }

    /// Whether the session may end, if it is to end: a request that is on the read pool is answered first, but nobody who is kicked out waits
    /// for the application.
    pub(super) fn may_end(&self, mailbox: &Mailbox) -> bool {
        let is_kicked_out = mailbox.close_reason() == Some(ErrorCode::KICKED_OUT_REST_API);
        mailbox.is_closed() && (!self.is_busy() || (is_kicked_out && mailbox.is_asking()))
    }

    /// Whether as many requests are held as may be.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_busy() && self.held_bytes() >= MAX_HELD_BYTES
    }

    /// The bytes of the requests that are held.
    pub(super) fn held_bytes(&self) -> usize {
        let held = self.held.iter().flat_map(|held| held.iter());
        held.map(|request| request.body.len()).sum()
    }

    /// Handles a request, or holds it until those before it are answered.
    pub(super) fn take_request(&mut self, services: &Arc<Services>, asked: Asked, body: &[u8]) -> Handled {
        if !self.is_busy() {
            return self.handle(services, asked, body);
        }
        let body = body.into();
        let held = self.held.get_or_insert_default();
        held.push_back(HeldRequest { asked, body });
        Ok(None)
    }

    /// Handles the oldest request that is held, unless one is on the read pool.
    pub(super) fn handle_held(&mut self, services: &Arc<Services>) -> Option<(Asked, Handled)> {
        if self.is_busy() {
            return None;
        }
        let held = self.held.as_mut()?;
        let HeldRequest { asked, body } = held.pop_front()?;
        if held.is_empty() {
            self.held = None;
        }
        Some((asked, self.handle(services, asked, &body)))
    }

    /// Handles a request here, or on the read pool if the handler reads the store.
    fn handle(&mut self, services: &Arc<Services>, asked: Asked, body: &[u8]) -> Handled {
        let Asked { id, kind, began } = asked;
        let Some(mut client) = self.client.take() else {
            return Err(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""));
        };
        client.began = began;
        let span = debug_span!("request", id, %kind);
        #[cfg(feature = "outgoing")]
        if let Some(asking) = handlers::before(services, &client, kind, body) {
            let asking = match asking {
                Ok(asking) => asking,
                Err(refusal) => {
                    self.client = Some(client);
                    return Err(refusal);
                }
            };
            let (sender, result) = oneshot::channel();
            client.device().set_asking(true);
            let handling = handle_after(Arc::clone(services), client, (id, kind), asking, sender, span);
            tokio::spawn(handling);
            self.request = Some(RequestJob { id, kind, result });
            return Ok(None);
        }
        let outcome = handlers::admit_request(services, &client, kind)
            .and_then(|()| span.in_scope(|| handlers::handle(services, &mut client, id, kind, body)));
        if !matches!(outcome, Ok(Outcome::NeedsStore)) {
            self.client = Some(client);
            return outcome.map(into_response);
        }
        let (body, shared) = (Box::<[u8]>::from(body), Arc::clone(services));
        let result = services.reads.run(client.user(), move || {
            let outcome = span.in_scope(|| handlers::handle(&shared, &mut client, id, kind, &body));
            (client, outcome)
        });
        self.request = Some(RequestJob { id, kind, result });
        Ok(None)
    }

    /// The request that has come back from the read pool. `Err` if it is lost, and the client context with it.
    pub(super) fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Result<(Asked, Handled), Lost>> {
        let Some(job) = &mut self.request else {
            return Poll::Pending;
        };
        let Poll::Ready(result) = Pin::new(&mut job.result).poll(context) else {
            return Poll::Pending;
        };
        let (id, kind) = (job.id, job.kind);
        self.request = None;
        Poll::Ready(match result {
            Ok((client, outcome)) => {
                let began = client.began;
                self.client = Some(client);
                Ok((Asked { id, kind, began }, outcome.map(into_response)))
            }
            Err(_) => Err(Lost),
        })
    }

    /// Whether a reading of the log is on the read pool.
    pub(super) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Reads from the log on the read pool.
    pub(super) fn read(&mut self, services: &Services, request: tim_store::ChangesRequest) {
        let reads = services.reads.clone();
        let user = self.device().user();
        let held = self.merge.take();
        let mut held = held.unwrap_or_else(|| Box::new(HeldMerge::new(&services.merges)));
        let withdrawals = Arc::clone(&services.withdrawals);
        let clock = services.options.clock.clone();
        let reading = services.reads.run(user, move || {
            let begun_ms = clock.steady_ms();
            // Before the snapshot: what is withdrawn from now on may be in it.
            let mark = withdrawals.mark();
            let changes = reads.store().changes_after(&request, &mut held.merge);
            held.count();
            let took_ms = clock.steady_ms().saturating_sub(begun_ms);
            (held, changes.map(|changes| (changes, mark)), took_ms)
        });
        self.reading = Some(reading);
    }

    /// What was read from the log, and how many milliseconds that took.
    pub(super) fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<Result<(Found, u64), Lost>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Pending;
        };
        let Poll::Ready(read) = Pin::new(reading).poll(context) else {
            return Poll::Pending;
        };
        self.reading = None;
        Poll::Ready(match read {
            Ok((held, changes, took_ms)) => {
                self.merge = Some(held).filter(|held| !held.merge.is_empty());
                Ok((changes, took_ms))
            }
            Err(_) => Err(Lost),
        })
    }
}

/// Handles a request on the read pool when the application has been asked about it. Until then the connection holds its later requests, and
/// no thread waits.
#[cfg(feature = "outgoing")]
async fn handle_after(
    services: Arc<Services>,
    mut client: ClientContext,
    (id, kind): (u32, FrameKind),
    asking: impl Future<Output = handlers::Before>,
    handover: oneshot::Sender<Handover>,
    span: tracing::Span,
) {
    use handlers::Before;

    let before = asking.await;
    client.device().set_asking(false);
    let (body, asked) = match before {
        Before::Go(body, asked) => (body, Some(asked)),
        Before::Unasked(body) => (body, None),
        Before::Answer(body) => return drop(handover.send((client, Ok(Outcome::Response(body))))),
        Before::Refuse(refusal) => return drop(handover.send((client, Err(refusal)))),
        Before::Nothing => return drop(handover.send((client, Ok(Outcome::Later)))),
    };
    let was_asked = asked.is_some();
    asked.into_iter().for_each(|asked| client.begin_asked(asked));
    let user = client.user();
    let handled = services.reads.clone().run(user, move || {
        // What the session may do is as it is now, not as it was when the application was asked.
        let outcome = client
            .check_rights(services.steady_ms(), |user, issued_s| {
                services.check_admitted(user, issued_s)
            })
            .and_then(|()| match client.device().has_left() {
                // The device makes the request again when it is back, and the application is asked again. If that refuses it then, this
                // must not do it after all.
                true => Ok(Outcome::Later),
                false => span.in_scope(|| handlers::handle(&services, &mut client, id, kind, &body)),
            });
        client.end_asked();
        if let Err(refusal) = &outcome
            && was_asked
        {
            handlers::tell_refused(&services, user, kind, &body, refusal);
        }
        (client, outcome)
    });
    if let Ok(handled) = handled.await {
        let _ = handover.send(handled);
    }
}

/// The read pool has lost a job.
pub(super) struct Lost;

fn into_response(outcome: Outcome) -> Option<Vec<u8>> {
    match outcome {
        Outcome::Response(body) => Some(body),
        // On the read pool no handler needs the store otherwise.
        Outcome::Later | Outcome::NeedsStore => None,
    }
}
