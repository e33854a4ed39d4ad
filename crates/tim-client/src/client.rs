//! The handle: logging in and out, events, and what all calls are made of.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::{Renew, Request};
use tim_proto::{ErrorCode, UserId};
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

/// How long a full event stream may keep the client from getting ready before somebody is told.
const STALL: Duration = Duration::from_secs(5);

/// A user's device, logged in or not. A clone is another handle of the same client; when the last handle is dropped, the
/// client logs out and ends. (A handler that holds a handle keeps the client alive.)
///
/// Every call is a request to the client's task. Dropping a call's future cancels nothing half-done: either the task has
/// the whole request and sees it through, or nothing has happened. Calls wait while too many others are unanswered.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) runtime: Handle,
}

/// The answer to [`Client::login`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginResponse {
    /// The user's account number (`tinyID`).
    pub account: u64,
    /// The name shown for the user; may be empty.
    pub nick: String,
    /// Whether the client was logged in already (`repeatLogin`).
    pub repeat_login: bool,
}

impl Client {
    /// Logs in. Done when the hub has accepted; [`Event::SdkReady`] follows when all that was waiting has arrived. From
    /// then on the client stays logged in over any number of connections, until [`Client::logout`] or a refusal.
    ///
    /// # Errors
    /// The hub's refusal; [`ErrorCode::NETWORK_TIMEOUT`] if no hub answers within the limit's login time-out, with the
    /// last reason in its text; [`ErrorCode::REPEAT_LOGIN`] while a login is under way.
    pub async fn login(&self) -> Result<LoginResponse, ImError> {
        self.command(Command::Login).await
    }

    /// Logs out. Requests that wait for an answer fail. Later the client can log in again.
    ///
    /// # Errors
    /// [`ErrorCode::LOGGED_OUT`] if the client has ended.
    pub async fn logout(&self) -> Result<(), ImError> {
        self.command(Command::Logout).await
    }

    /// Replaces the UserSig: for logins from now on, and at once for the session that is on, which ends when its UserSig does
    /// ([`Event::UserSigExpiring`] tells of that before).
    ///
    /// # Errors
    /// [`ErrorCode::LOGGED_OUT`] if the client has ended; the hub's refusal of the new UserSig, with which the session goes
    /// on as it was, also over further connections.
    pub async fn set_user_sig(&self, user_sig: impl Into<String>) -> Result<(), ImError> {
        let user_sig = user_sig.into();
        let renewed = user_sig.clone();
        self.command(|reply| Command::SetUserSig(user_sig, reply)).await?;
        if !self.is_ready() {
            return Ok(());
        }
        let request = encoded(&Renew { user_sig: &renewed });
        self.call_with(request, move |state, response| {
            state.user_sig_answered(renewed, response.as_ref().err());
            response.map(|_| ())
        })
        .await
    }

    /// Whether calls are taken (S83): from [`Event::SdkReady`] to [`Event::SdkNotReady`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.status().session.ready
    }

    /// Waits until calls are taken.
    ///
    /// # Errors
    /// [`ErrorCode::USER_NOT_LOGGED_IN`] if there was no login; why the client is not logged in any more; or
    /// [`ErrorCode::INVALID_OPERATION`] if for five seconds nobody reads an [`EventStream`] that holds as much as it may,
    /// since readiness comes behind what waited at the hub.
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
                    let text = "what waited at the hub must be read from the event stream first";
                    return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
                }
            }
        }
    }

    /// Where this device stands: behind the last event that every stream is done with (and every handler has returned
    /// from). An application that keeps it, along with what it made of the events, goes on there with
    /// [`ClientBuilder::resume_from`](crate::ClientBuilder::resume_from). Empty before the first login.
    #[must_use]
    pub fn cursor(&self) -> Vec<u8> {
        self.shared.bus.cursor()
    }

    /// Whose client this is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.shared.user
    }

    /// The device's number.
    #[must_use]
    pub fn device(&self) -> u64 {
        self.shared.device
    }

    /// The events from now on; see [`EventStream`] for what happens when it is read slowly.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.shared.bus.subscribe()
    }

    /// Calls `handler` with every event of this kind from now on, in order (S129, S132). Handlers run one after another
    /// in a task of their own; while one works, the next events wait, and the hub is slowed down like by a slow
    /// [`EventStream`]. A handler must not block: spawn what takes long.
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

    /// Takes a handler off again; whether it was there.
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
        let permit = self.commands.reserve().await.map_err(|_| ImError::ended())?;
        let (reply, result) = oneshot::channel();
        permit.send(Command::Call(call::<R, T>(request, accept, reply)));
        result.await.unwrap_or_else(|_| Err(ImError::ended()))
    }
}
