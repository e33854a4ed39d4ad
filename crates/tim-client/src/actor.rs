//! The client's task: it owns the session, does what the handles ask, and turns deliveries into events.
//!
//! Dropping a call's future cancels nothing half-done: once the task has the request, it sees it through. Nothing here
//! grows without bound: commands wait in a bounded channel while the outbox is full, deliveries are stopped by withheld
//! acknowledgements, and a hub that ignores its window is disconnected until there is room.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tim_proto::ErrorCode;
use tim_proto::request::AnyResponse as Answer;
use tim_transport_std::session::{Event as SessionEvent, Instant, RequestError, Ticket};
use tim_transport_std::{ClientDriver, Connector, StdClientSession};
use tokio::sync::{mpsc, oneshot};

use crate::client::LoginResponse;
use crate::shared::Stage;
use crate::state::State;
use crate::{GetConversationListResponse, ImError};

/// How many commands may wait for the task.
pub(crate) const MAX_COMMANDS: usize = 64;
/// How many events beside messages a stream may hold before the hub is taken for one that floods its clients.
const SPARE_EVENTS: usize = 64;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ImError>>;
/// Gives a request to the session; called again when the outbox was full.
pub(crate) type Submit =
    Box<dyn FnMut(&mut StdClientSession, Instant) -> Result<Ticket, RequestError> + Send>;
/// Takes the answer to a request, and passes it on to whoever asked.
pub(crate) type Finish = Box<dyn FnOnce(&mut State, Result<&Answer<'_>, ImError>) + Send>;

/// What a handle can ask for.
pub(crate) enum Command {
    Login(Reply<LoginResponse>),
    Logout(Reply<()>),
    SetUserSig(String, Reply<()>),
    /// The latest so many conversations.
    List(usize, Reply<GetConversationListResponse>),
    Call(Call),
}

/// A request to the hub, and what to do with the answer.
pub(crate) struct Call {
    pub(crate) submit: Submit,
    pub(crate) finish: Finish,
}

pub(crate) struct Actor<C: Connector> {
    driver: ClientDriver<C>,
    commands: mpsc::Receiver<Command>,
    state: State,
    pending: HashMap<Ticket, Finish>,
    /// A call for which the outbox had no room.
    parked: Option<Call>,
    login_deadline: Option<Instant>,
    leaving: Vec<Reply<()>>,
    /// A logout was asked for and is not done.
    logging_out: bool,
    /// The last handle is gone.
    closing: bool,
}

impl<C: Connector> Actor<C> {
    pub(crate) fn new(driver: ClientDriver<C>, commands: mpsc::Receiver<Command>, state: State) -> Self {
        Self {
            driver,
            commands,
            state,
            pending: HashMap::new(),
            parked: None,
            login_deadline: None,
            leaving: Vec::new(),
            logging_out: false,
            closing: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let bus = self.state.shared.bus.clone();
        loop {
            self.turn();
            if self.closing && !self.driver.is_open() {
                break;
            }
            let takes_commands = !self.closing && self.parked.is_none() && self.has_room();
            let clock = self.driver.clock();
            let login_due = sleep_until(self.login_deadline.map(|deadline| clock.deadline(deadline)));
            let news_due = sleep_until(self.state.news_due());
            tokio::select! {
                () = self.driver.progress() => {}
                command = self.commands.recv(), if takes_commands => match command {
                    Some(command) => self.execute(command),
                    None => self.close(),
                },
                () = bus.room() => {}
                () = login_due => self.login_timed_out(),
                () = news_due => {}
            }
        }
    }

    /// Everything that can be done without waiting.
    fn turn(&mut self) {
        self.mind_the_backlog();
        let (state, pending) = (&mut self.state, &mut self.pending);
        self.driver.poll_events(|event| {
            match event {
                SessionEvent::Answer { ticket, answer } => {
                    if let Some(finish) = pending.remove(&ticket) {
                        let answer = answer.decode_any();
                        finish(state, answer.as_ref().map_err(|failure| (*failure).into()));
                    }
                }
                SessionEvent::Failed { ticket, failure } => {
                    if let Some(finish) = pending.remove(&ticket) {
                        finish(state, Err(failure.into()));
                    }
                }
                other => state.take_event(&other),
            }
            ControlFlow::Continue(())
        });
        if let Some(user_sig) = self.state.take_put_back() {
            let _ = self.driver.session().set_user_sig(user_sig);
        }
        if let Some(error) = self.state.hopeless() {
            self.state.login_failed(error);
            self.log_out();
        }
        if !matches!(self.state.shared.status().stage, Stage::LoggingIn) {
            self.login_deadline = None;
        }
        if self.logging_out && !self.driver.is_open() {
            self.left();
        }
        if let Some(call) = self.parked.take() {
            self.submit(call);
        }
        self.settle_inbound();
        self.mind_the_backlog();
    }

    /// Turns deliveries into events, and asks for what they lack.
    fn settle_inbound(&mut self) {
        while let Some(question) = self.state.next_question() {
            if !self.has_room() {
                break;
            }
            let now = self.driver.now();
            match self.driver.session().request(now, &question.request()) {
                Ok(ticket) => {
                    self.state.asked(&question);
                    self.pending.insert(
                        ticket,
                        Box::new(move |state, answer| state.answered(&question, answer)),
                    );
                }
                Err(RequestError::Full) => break,
                Err(RequestError::NotReady) if !self.state.must_not_wait() => break,
                Err(error) => {
                    let error = self.refusal(error);
                    self.state.answered(&question, Err(error));
                }
            }
        }
        self.state.publish();
    }

    /// Slows the hub down while the application has enough to read.
    fn mind_the_backlog(&mut self) {
        let bus = &self.state.shared.bus;
        let full = bus.backlog() + self.state.waiting() >= bus.capacity();
        let window = usize::from(self.driver.session().config().window);
        let flooded = bus.longest() + self.state.waiting() >= bus.capacity() + 2 * window + SPARE_EVENTS;
        self.state.shared.set_status(|status| status.stalled = full);
        self.driver.session().hold_acknowledgements(full);
        self.driver.allow_connecting(!full);
        if flooded {
            self.driver.drop_connection();
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Login(reply) => self.login(reply),
            Command::Logout(reply) => {
                self.leaving.push(reply);
                self.log_out();
            }
            Command::SetUserSig(user_sig, reply) => {
                let replaced = self.driver.session().set_user_sig(user_sig.clone());
                self.state.user_sig_set(user_sig, replaced);
                let _ = reply.send(Ok(()));
            }
            Command::List(depth, reply) => self.state.list(depth, reply),
            Command::Call(call) => self.submit(call),
        }
    }

    fn login(&mut self, reply: Reply<LoginResponse>) {
        let refusal = match self.state.shared.status().stage {
            _ if self.logging_out => ImError::new(ErrorCode::INVALID_OPERATION, "the logout is under way"),
            Stage::LoggedIn => {
                let _ = reply.send(Ok(self.state.login_response(true)));
                return;
            }
            Stage::LoggingIn => ErrorCode::REPEAT_LOGIN.into(),
            Stage::New | Stage::Ended(_) => {
                let now = self.driver.now();
                let timeout = self.state.shared.limits.login_timeout_millis();
                self.login_deadline = Some(now + std::time::Duration::from_millis(timeout.into()));
                self.state.begin_login(reply);
                self.driver.session().login(now);
                return;
            }
        };
        let _ = reply.send(Err(refusal));
    }

    fn login_timed_out(&mut self) {
        // The last thing that went wrong is the one to tell: the line, what the hub said, or that nobody says anything.
        let timeout = |reason: String| ImError::new(ErrorCode::NETWORK_TIMEOUT, reason);
        let said = self.state.take_turned_away();
        let error = match (self.driver.last_error(), said) {
            (Some(error), _) => timeout(format!("the hub cannot be reached: {error}")),
            (None, Some(said)) => said,
            (None, None) => timeout("something answers there, but not as a hub does".to_owned()),
        };
        self.login_deadline = None;
        self.state.login_failed(error);
        self.log_out();
    }

    fn log_out(&mut self) {
        self.logging_out = true;
        let now = self.driver.now();
        self.driver.session().logout(now);
    }

    /// The logout is done.
    fn left(&mut self) {
        self.logging_out = false;
        self.state.logged_out();
        for reply in self.leaving.drain(..) {
            let _ = reply.send(Ok(()));
        }
    }

    fn close(&mut self) {
        self.closing = true;
        self.log_out();
    }

    fn submit(&mut self, mut call: Call) {
        // The session may be ready before the application has been handed all that was waiting (S83, S84).
        if !self.state.shared.status().ready {
            let error = self.refusal(RequestError::NotReady);
            return (call.finish)(&mut self.state, Err(error));
        }
        let now = self.driver.now();
        match (call.submit)(self.driver.session(), now) {
            Ok(ticket) => {
                self.pending.insert(ticket, call.finish);
            }
            Err(RequestError::Full) => self.parked = Some(call),
            Err(error) => {
                let error = self.refusal(error);
                (call.finish)(&mut self.state, Err(error));
            }
        }
    }

    fn refusal(&self, error: RequestError) -> ImError {
        match error {
            RequestError::NotReady => self.state.shared.status().refusal().into(),
            other => ImError::new(other.code(), other.to_string()),
        }
    }

    fn has_room(&mut self) -> bool {
        let session = self.driver.session();
        session.pending() < usize::from(session.config().max_pending)
    }
}

/// Sleeps until then; for ever without a time.
async fn sleep_until(then: Option<tokio::time::Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
