//! The handle: logging in and out, events, and the path of all calls.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::{Renew, Request};
use tim_proto::{ErrorCode, UserId};
use tim_transport_std::session::SessionStats;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::ImError;
use crate::actor::Command;
use crate::bus::EventStream;
use crate::call::{EncodedRequest, Reply, call, encoded};
use crate::event::{Event, EventKind};
use crate::handlers::{HandlerId, dispatch};
use crate::shared::Shared;
use crate::state::Stage;
use crate::state::State;

/// How long a full event stream may delay readiness before [`Client::wait_until_ready`] fails.
const STALL: Duration = Duration::from_secs(5);

/// A device of a user, logged in or not. A clone is another handle of the same client; when the last handle is dropped,
/// the client logs out and ends. (A handler that holds a handle keeps the client alive.)
///
/// Every call is a request to the client's task. Dropping the future of a call cancels nothing half-done: either the task
/// has the whole request and completes it, or nothing has happened. Calls wait while too many requests are pending.
///
/// The crate emits [`tracing`] spans for the client, its connections and its requests. They carry user ids and error codes,
/// never the content of messages or a UserSig.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) runtime: Handle,
}

/// The response of [`Client::login`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginResponse {
    /// The user's account number (`tinyID`).
    pub account: u64,
    /// The user's display name; may be empty.
    pub nick: String,
    /// Whether the client was already logged in (`repeatLogin`).
    pub repeat_login: bool,
}

impl Client {
    /// Logs in. Returns when the hub has accepted the login; [`Event::SdkReady`] follows when everything that waited at the
    /// hub has arrived. The client then stays logged in over any number of connections, until [`Client::logout`] or a
    /// refusal.
    ///
    /// # Errors
    /// The hub's refusal; [`ErrorCode::NETWORK_TIMEOUT`] if no hub responds within the login time-out of the limits, with
    /// the last reason in the text; [`ErrorCode::REPEAT_LOGIN`] while a login is in progress.
    pub async fn login(&self) -> Result<LoginResponse, ImError> {
        self.command(Command::Login).await
    }

    /// Logs out. Pending requests fail. The client can log in again later.
    ///
    /// # Errors
    /// [`ErrorCode::LOGGED_OUT`] if the client has ended.
    pub async fn logout(&self) -> Result<(), ImError> {
        self.command(Command::Logout).await
    }

    /// Replaces the UserSig: for future logins, and at once for the current session, which ends when its UserSig expires
    /// ([`Event::UserSigExpiring`] announces that).
    ///
    /// # Errors
    /// [`ErrorCode::LOGGED_OUT`] if the client has ended; the hub's refusal of the new UserSig. The session then continues
    /// with the previous one, also over further connections.
    pub async fn set_user_sig(&self, user_sig: impl Into<String>) -> Result<(), ImError> {
        let user_sig = user_sig.into();
        let renewed = user_sig.clone();
        self.command(|reply| Command::SetUserSig(user_sig, reply)).await?;
        if !self.is_ready() {
            return Ok(());
        }
        let request = encoded(&Renew::new(&renewed));
        self.call_with(request, move |state, response| {
            state.user_sig_answered(renewed, response.as_ref().err());
            response.map(|_| ())
        })
        .await
    }

    /// Whether calls are accepted: from [`Event::SdkReady`] to [`Event::SdkNotReady`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.status().session.ready
    }

    /// Waits until calls are accepted.
    ///
    /// # Errors
    /// [`ErrorCode::USER_NOT_LOGGED_IN`] if there was no login; the reason why the client is no longer logged in; or
    /// [`ErrorCode::INVALID_OPERATION`] if an [`EventStream`] is full and not read for five seconds, since readiness comes
    /// after the deliveries that waited at the hub.
    pub async fn wait_until_ready(&self) -> Result<(), ImError> {
        let mut changes = self.shared.status.subscribe();
        loop {
            let status = *changes.borrow_and_update();
            match status.session.stage {
                _ if status.session.ready => return Ok(()),
                Stage::New | Stage::Ended(_) => return Err(status.session.refusal().into()),
                Stage::LoggingIn | Stage::LoggedIn => {}
            }
            let patience = if status.stalled { STALL } else { Duration::MAX };
            match tokio::time::timeout(patience, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ImError::ended()),
                Err(_) => {
                    let text = "the event stream is full; read it first";
                    return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
                }
            }
        }
    }

    /// The position of this device: behind the last event that every stream has processed (and every handler has returned
    /// from). An application that persists it together with its own data resumes there with
    /// [`ClientBuilder::resume_from`](crate::ClientBuilder::resume_from). Empty before the first login.
    #[must_use]
    pub fn cursor(&self) -> Vec<u8> {
        self.shared.bus.cursor()
    }

    /// The user of this client.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.shared.user
    }

    /// The device id.
    #[must_use]
    pub fn device(&self) -> u64 {
        self.shared.device
    }

    /// The counters of the session: frames, bytes, reconnects, malformed frames, round-trip time.
    ///
    /// # Errors
    /// [`ErrorCode::LOGGED_OUT`] if the client has ended.
    pub async fn stats(&self) -> Result<SessionStats, ImError> {
        self.command(Command::Stats).await
    }

    /// The events from now on; see [`EventStream`] for what happens when it is read slowly.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.shared.bus.subscribe()
    }

    /// Calls `handler` with every event of this kind from now on, in order. Handlers run one after another in a task of
    /// their own; while one runs, the next events wait, and the hub is slowed down as by a slow [`EventStream`]. A handler
    /// must not block: spawn a task for long work.
    pub fn on(&self, kind: EventKind, handler: impl Fn(&Event) + Send + Sync + 'static) -> HandlerId {
        let (id, stream) = self
            .shared
            .handlers
            .add(kind, Arc::new(handler), &self.shared.bus);
        if let Some(stream) = stream {
            self.runtime.spawn(dispatch(self.shared.clone(), stream));
        }
        id
    }

    /// Removes a handler. Returns whether it was registered.
    pub fn off(&self, id: HandlerId) -> bool {
        self.shared.handlers.remove(id)
    }

    pub(crate) async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ImError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| ImError::ended())?;
        answer.await.unwrap_or_else(|_| Err(ImError::ended()))
    }

    /// Makes a request. Returns what `accept` makes of the response; it runs in the client's task, in the order of events.
    pub(crate) async fn call<R: Request + 'static, T: Send + 'static>(
        &self,
        request: EncodedRequest<R>,
        accept: impl FnOnce(&mut State, R::Response<'_>) -> T + Send + 'static,
    ) -> Result<T, ImError> {
        self.call_with(request, |state, response| Ok(accept(state, response?)))
            .await
    }

    /// [`Client::call`] for a call that handles its failure.
    pub(crate) async fn call_with<R: Request + 'static, T: Send + 'static>(
        &self,
        request: EncodedRequest<R>,
        accept: impl FnOnce(&mut State, Result<R::Response<'_>, ImError>) -> Result<T, ImError> + Send + 'static,
    ) -> Result<T, ImError> {
        let result = self.submit(request, accept).await?;
        result.await.unwrap_or_else(|_| Err(ImError::ended()))
    }

    /// Makes a request, and does not wait for the response.
    pub(crate) async fn submit<R: Request + 'static, T: Send + 'static>(
        &self,
        request: EncodedRequest<R>,
        accept: impl FnOnce(&mut State, Result<R::Response<'_>, ImError>) -> Result<T, ImError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, ImError>>, ImError> {
        let permit = self.commands.reserve().await.map_err(|_| ImError::ended())?;
        let (reply, result) = oneshot::channel();
        permit.send(Command::Call(call::<R, T>(request, accept, reply)));
        Ok(result)
    }
}
