//! The client's task. It moves: events of the session into the [`State`], the state's queries and the application's calls
//! into the session, effects to the event streams and the callers.
//!
//! Dropping the future of a call cancels nothing half-done: once the task has the call, it completes it. Memory is bounded:
//! commands wait in a bounded channel while the outbox is full, deliveries are held back by withheld acknowledgements, and
//! a hub that ignores its window is disconnected until the application has caught up.

use std::collections::HashMap;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tim_proto::ErrorCode;
use tim_transport_std::session::{Event as SessionEvent, Instant, RequestError, RequestId, SessionStats};
use tim_transport_std::{ClientDriver, Connector};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::call::{PendingCall, Reply};
use crate::client::LoginResponse;
use crate::shared::Shared;
use crate::state::{Effect, Moment, Query, SessionEffect, Stage, State, Waiter};
use crate::trace::{RequestTrace, client_span};
use crate::{GetConversationListResponse, ImError};

/// How many commands may wait for the task.
pub(crate) const MAX_COMMANDS: usize = 64;
/// How many events besides messages a stream may hold before the hub counts as flooding.
const SPARE_EVENTS: usize = 64;

/// How many times the capacity of a stream may wait for missing parts when a connection begins.
const MAX_CARRIED: usize = 8;
/// How much may wait behind missing parts before this client waits itself.
const MAX_BACKLOG: usize = 4096;

/// What a handle asks the task for.
pub(crate) enum Command {
    Login(Reply<LoginResponse>),
    Logout(Reply<()>),
    SetUserSig(String, Reply<()>),
    /// The latest so many conversations.
    List(usize, Reply<GetConversationListResponse>),
    Stats(Reply<SessionStats>),
    Call(Box<dyn PendingCall>),
}

pub(crate) struct Actor<C: Connector> {
    driver: ClientDriver<C>,
    commands: mpsc::Receiver<Command>,
    state: State,
    outlet: Outlet,
    /// Requests that wait for their response.
    pending: HashMap<RequestId, Pending>,
    /// A call that did not fit into the outbox.
    parked: Option<Box<dyn PendingCall>>,
    login_deadline: Option<Instant>,
    /// A logout is in progress.
    logging_out: bool,
    /// The last handle is gone.
    closing: bool,
    /// Which connection it is, and how many deliveries waited when it began.
    carried: (u32, usize),
}

/// A request that waits for its response.
struct Pending {
    origin: Origin,
    trace: RequestTrace,
}

enum Origin {
    Query(Query),
    Call(Box<dyn PendingCall>),
}

/// Where effects go, except those for the session.
struct Outlet {
    shared: Arc<Shared>,
    login: Option<Reply<LoginResponse>>,
    logouts: Vec<Reply<()>>,
    lists: HashMap<Waiter, Reply<GetConversationListResponse>>,
    last_waiter: u64,
    /// Effects on the session, which cannot be applied while its events are being polled.
    for_session: Vec<SessionEffect>,
}

impl<C: Connector> Actor<C> {
    pub(crate) fn new(
        driver: ClientDriver<C>,
        commands: mpsc::Receiver<Command>,
        state: State,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            driver,
            commands,
            state,
            outlet: Outlet {
                shared,
                login: None,
                logouts: Vec::new(),
                lists: HashMap::new(),
                last_waiter: 0,
                for_session: Vec::new(),
            },
            pending: HashMap::new(),
            parked: None,
            login_deadline: None,
            logging_out: false,
            closing: false,
            carried: (0, 0),
        }
    }

    pub(crate) async fn run(self) {
        let span = client_span(&self.outlet.shared.user, self.outlet.shared.device);
        self.run_untraced().instrument(span).await;
    }

    async fn run_untraced(mut self) {
        loop {
            self.turn();
            if self.closing && !self.driver.is_open() {
                break;
            }
            match self.wait().await {
                Poll::Ready(Some(command)) => self.execute(command),
                Poll::Ready(None) => self.close(),
                Poll::Pending => {}
            }
        }
    }

    /// Waits until the driver has moved something, a command has arrived, a stream has free space again, or a deadline is
    /// reached. Returns the command, if there is one; `Ready(None)` once the last handle is gone.
    async fn wait(&mut self) -> Poll<Option<Command>> {
        let is_behind = self.state.status().ready && self.state.backlog() >= MAX_BACKLOG;
        let takes_commands = !self.closing && !is_behind && self.parked.is_none() && self.has_capacity();
        let deadline = self.state.deadline(self.driver.now());
        let deadline = deadline.into_iter().chain(self.login_deadline).min();
        let clock = self.driver.clock();
        let mut timer = pin!(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(clock.deadline(deadline)).await,
                None => std::future::pending().await,
            }
        });
        let shared = self.outlet.shared.clone();
        let mut free_space = pin!(shared.bus.free_space());
        let (driver, commands) = (&mut self.driver, &mut self.commands);
        poll_fn(move |context| {
            let moved = driver.poll_progress(context).is_ready();
            let command = match takes_commands {
                true => commands.poll_recv(context),
                false => Poll::Pending,
            };
            let woken =
                free_space.as_mut().poll(context).is_ready() | timer.as_mut().poll(context).is_ready();
            if moved || woken || command.is_ready() {
                Poll::Ready(command)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Does everything that is possible without waiting.
    fn turn(&mut self) {
        self.limit_backlog();
        self.poll_events();
        let connection = self.driver.span().clone();
        connection.in_scope(|| self.after_events());
    }

    fn after_events(&mut self) {
        self.check_login_deadline();
        self.apply_to_session();
        if self.logging_out && !self.driver.is_open() {
            self.logged_out();
        }
        if let Some(call) = self.parked.take() {
            self.submit(call);
        }
        self.send_queries();
        self.state.publish_updates(self.outlet.moment(self.driver.now()));
        self.outlet.apply(&mut self.state);
        self.limit_backlog();
    }

    fn poll_events(&mut self) {
        let (state, outlet, pending) = (&mut self.state, &mut self.outlet, &mut self.pending);
        let clock = self.driver.clock();
        self.driver.poll_events(|event| {
            let (id, response) = match event {
                SessionEvent::Response { id, response } => (id, Ok(response)),
                SessionEvent::Failed { id, failure } => (id, Err(failure.into())),
                other => {
                    state.handle(&other);
                    outlet.apply(state);
                    return ControlFlow::Continue(());
                }
            };
            let Some(Pending { origin, trace }) = pending.remove(&id) else {
                return ControlFlow::Continue(());
            };
            let now = clock.now();
            trace.finished(now, response.as_ref().err());
            match origin {
                Origin::Query(query) => {
                    state.query_done(now, &query, response);
                    outlet.apply(state);
                }
                Origin::Call(mut call) => {
                    call.finish(state, response);
                    outlet.apply(state);
                    call.reply();
                }
            }
            ControlFlow::Continue(())
        });
        self.state.passed(self.driver.session().cursor());
    }

    /// Applies the effects on the session.
    fn apply_to_session(&mut self) {
        for effect in std::mem::take(&mut self.outlet.for_session) {
            match effect {
                SessionEffect::UseUserSig(user_sig) => drop(self.driver.session().set_user_sig(user_sig)),
                SessionEffect::LogOut => self.log_out(),
            }
        }
    }

    /// Publishes what is complete, and requests what is missing.
    fn send_queries(&mut self) {
        let moment = self.outlet.moment(self.driver.now());
        while let Some(query) = self.state.poll_query(moment) {
            if !self.has_capacity() {
                break;
            }
            let session = self.driver.session();
            let (kind, sent) =
                query.submit(|kind, body| (kind, session.request_untyped(moment.now, kind, body)));
            match sent {
                Ok(id) => {
                    self.state.query_sent(&query);
                    let trace = RequestTrace::new(kind, id, moment.now);
                    let origin = Origin::Query(query);
                    self.pending.insert(id, Pending { origin, trace });
                }
                Err(RequestError::Full) => break,
                Err(RequestError::NotReady) if !self.state.must_not_wait() => break,
                Err(error) => {
                    let error = self.refusal(error);
                    self.state.query_done(moment.now, &query, Err(error));
                }
            }
        }
    }

    /// Slows the hub down while the application has enough to read.
    fn limit_backlog(&mut self) {
        let (bus, waiting) = (&self.outlet.shared.bus, self.state.waiting());
        // What waits for missing parts needs the hub, so that it does not keep the client from connecting.
        let is_unread = bus.is_full(0);
        let full = bus.is_full(waiting);
        let window = usize::from(self.driver.session().config().window);
        let backlog = bus.longest() + waiting;
        // Each connection brings a window more, and only a connection brings what is missing.
        let connection = self.driver.session().stats().reconnects;
        if self.carried.0 != connection {
            self.carried = (connection, backlog.min(MAX_CARRIED * bus.capacity()));
        }
        let flooded = backlog >= bus.capacity().max(self.carried.1) + 2 * window + SPARE_EVENTS;
        self.outlet.shared.set_status(|status| status.stalled = full);
        self.driver.session().hold_acknowledgements(full);
        self.driver.allow_connecting(!is_unread);
        if flooded {
            tracing::warn!("the hub ignores its window and is disconnected");
            self.driver.drop_connection();
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Login(reply) => self.login(reply),
            Command::Logout(reply) => {
                self.outlet.logouts.push(reply);
                self.log_out();
            }
            Command::SetUserSig(user_sig, reply) => {
                let replaced = self.driver.session().set_user_sig(user_sig.clone());
                self.state.user_sig_set(user_sig, replaced);
                let _ = reply.send(Ok(()));
            }
            Command::List(depth, reply) => {
                let waiter = self.outlet.wait_for_list(reply);
                self.state.list(depth, waiter);
            }
            Command::Stats(reply) => {
                let _ = reply.send(Ok(self.driver.session().stats()));
            }
            Command::Call(call) => self.submit(call),
        }
        self.outlet.apply(&mut self.state);
    }

    fn login(&mut self, reply: Reply<LoginResponse>) {
        let response = match self.state.status().stage {
            _ if self.logging_out => Err(ImError::new(
                ErrorCode::INVALID_OPERATION,
                "a logout is in progress",
            )),
            Stage::LoggedIn => Ok(self.state.login_response(true)),
            Stage::LoggingIn => Err(ErrorCode::REPEAT_LOGIN.into()),
            Stage::New | Stage::Ended(_) => {
                let now = self.driver.now();
                let timeout = self.outlet.shared.limits.login_timeout_millis();
                self.login_deadline = Some(now + Duration::from_millis(timeout.into()));
                self.outlet.login = Some(reply);
                self.state.begin_login();
                return self.driver.session().login(now);
            }
        };
        let _ = reply.send(response);
    }

    fn check_login_deadline(&mut self) {
        if self.state.status().stage != Stage::LoggingIn {
            self.login_deadline = None;
        }
        let now = self.driver.now();
        if self.login_deadline.take_if(|deadline| *deadline <= now).is_some() {
            let connection_error = self.driver.last_error().map(ToString::to_string);
            self.state.login_timed_out(connection_error);
            self.outlet.apply(&mut self.state);
        }
    }

    fn log_out(&mut self) {
        self.logging_out = true;
        let now = self.driver.now();
        self.driver.session().logout(now);
    }

    /// The logout is done.
    fn logged_out(&mut self) {
        self.logging_out = false;
        self.state.logged_out();
        self.outlet.apply(&mut self.state);
        for reply in self.outlet.logouts.drain(..) {
            let _ = reply.send(Ok(()));
        }
    }

    fn close(&mut self) {
        self.closing = true;
        self.log_out();
    }

    fn submit(&mut self, mut call: Box<dyn PendingCall>) {
        // The session may be ready before all that waited at the hub is published.
        let now = self.driver.now();
        let submitted = if self.state.status().ready {
            self.driver
                .session()
                .request_untyped(now, call.kind(), call.body())
        } else {
            Err(RequestError::NotReady)
        };
        match submitted {
            Ok(id) => {
                let trace = RequestTrace::new(call.kind(), id, now);
                let origin = Origin::Call(call);
                self.pending.insert(id, Pending { origin, trace });
            }
            Err(RequestError::Full) => self.parked = Some(call),
            Err(error) => {
                let error = self.refusal(error);
                call.finish(&mut self.state, Err(error));
                self.outlet.apply(&mut self.state);
                call.reply();
            }
        }
    }

    fn refusal(&self, error: RequestError) -> ImError {
        match error {
            RequestError::NotReady => self.state.status().refusal().into(),
            other => ImError::new(other.code(), other.to_string()),
        }
    }

    /// Whether the session takes another request.
    fn has_capacity(&mut self) -> bool {
        let session = self.driver.session();
        session.pending() < usize::from(session.config().max_pending)
    }
}

impl Outlet {
    fn moment(&self, now: Instant) -> Moment {
        Moment {
            now,
            has_listeners: self.shared.bus.has_streams(),
        }
    }

    fn wait_for_list(&mut self, reply: Reply<GetConversationListResponse>) -> Waiter {
        self.last_waiter += 1;
        let waiter = Waiter(self.last_waiter);
        self.lists.insert(waiter, reply);
        waiter
    }

    fn apply(&mut self, state: &mut State) {
        let shared = &self.shared;
        while let Some(effect) = state.poll_effect() {
            match effect {
                Effect::Publish(event) => shared.bus.publish(&event),
                Effect::Delivered { event, mark } => shared.bus.deliver(event.as_ref(), mark),
                Effect::Status(session) => shared.set_status(|status| status.session = session),
                Effect::TotalUnread(total) => shared.set_total_unread(total),
                Effect::LoggedIn {
                    account,
                    hub_time_ms,
                    cursor,
                } => {
                    shared.logged_in(account, hub_time_ms);
                    shared.bus.start_at(&cursor);
                }
                Effect::LoginDone(result) => {
                    let _ = self.login.take().map(|reply| reply.send(result));
                }
                Effect::ListDone(waiter, result) => {
                    let _ = self.lists.remove(&waiter).map(|reply| reply.send(result));
                }
                Effect::Session(effect) => self.for_session.push(effect),
            }
        }
    }
}

/// The task has ended, or the runtime has dropped it. Incomplete deliveries stay behind the cursor.
impl<C: Connector> Drop for Actor<C> {
    fn drop(&mut self) {
        self.state.logged_out();
        self.outlet.apply(&mut self.state);
        self.outlet.shared.bus.close();
    }
}
