//! The handle that makes calls: login, logout and requests.

use core::fmt;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, ready};

use tim_session::proto::ErrorCode;
use tim_session::proto::request::{Renew, Request};
use tim_session::proto::wire::{Encode, FrameKind};
use tim_session::{Instant, RequestError};

use crate::caller::Caller;
use crate::ids::Ids;
use crate::shared::{Login, Shared};
use crate::wait::{Claim, Stage};
use crate::{Clock, Error, Framing, FramingChoice};

/// Makes calls. They have the names of the calls of `tim-client`.
///
/// A client is `Copy`, so that each task can have its own. Calls complete while the [`Runner`](crate::Runner) is awaited.
///
/// Every call is cancel-safe: if its future is dropped before the first poll, nothing happens; if it is dropped later, the
/// request is completed and its response is discarded. A message can then be sent again: the hub stores it once. A future
/// that is no longer polled must be dropped, because the session waits until its response has been read.
#[derive(Clone, Copy)]
pub struct Client<'m, F: FramingChoice = Framing> {
    pub(crate) shared: &'m Shared<'m, F>,
    pub(crate) clock: &'m dyn Clock,
}

impl<F: FramingChoice> fmt::Debug for Client<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("user", &self.shared.ids.user)
            .finish_non_exhaustive()
    }
}

/// The result of [`Client::login`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct LoginResponse {
    /// The user's account number (`tinyID`).
    pub account: u64,
    /// Whether the device was already logged in.
    pub repeat_login: bool,
}

impl<F: FramingChoice> Client<'_, F> {
    /// `login`: starts to log in and waits until the hub has accepted the login, however long the connection takes. Drop the
    /// future to stop waiting. The device then stays logged in, across any number of connections, until [`Client::logout`] or
    /// until the hub ends the session for good.
    ///
    /// A hub that refuses the login for the moment does not end this: the device tries again by itself, not before the time that the hub
    /// named. [`Event::TurnedAway`](crate::Event::TurnedAway) has the code and that time.
    ///
    /// # Errors
    /// [`Error::Refused`] with the hub's code, or with `FRAME_TOO_LARGE` if the device's buffers are too small to log in;
    /// [`Error::LoggedOut`] if another task logs out meanwhile; [`Error::Busy`].
    pub async fn login(&self) -> Result<LoginResponse, Error> {
        let claim = self.shared.claim()?;
        let mut begun = false;
        poll_fn(|context| match self.shared.login.get() {
            Login::Done => Poll::Ready(Ok(LoginResponse {
                account: self.shared.ids.account.get(),
                repeat_login: !begun,
            })),
            Login::Ended(ErrorCode::LOGGED_OUT) if begun => Poll::Ready(Err(Error::LoggedOut)),
            Login::Ended(code) if begun => Poll::Ready(Err(Error::Refused {
                code,
                retry_after_ms: 0,
            })),
            Login::Never | Login::Ended(_) => {
                begun = self.begin_login();
                claim.wait(context)
            }
            Login::InProgress => {
                begun = true;
                claim.wait(context)
            }
            Login::LoggingOut => claim.wait(context),
        })
        .await
    }

    fn begin_login(&self) -> bool {
        let Ok(mut session) = self.shared.session.try_borrow_mut() else {
            return false;
        };
        session.login(self.now());
        self.shared.login.set(Login::InProgress);
        self.shared.driver.set();
        true
    }

    /// `logout`: logs out and waits until that has completed. Pending calls fail.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn logout(&self) -> Result<(), Error> {
        let claim = self.shared.claim()?;
        let mut begun = false;
        poll_fn(|context| {
            match self.shared.login.get() {
                Login::Never | Login::Ended(_) => return Poll::Ready(Ok(())),
                // It has completed, and another task has begun to log in again.
                Login::InProgress | Login::Done if begun => return Poll::Ready(Ok(())),
                Login::InProgress | Login::Done => {
                    if let Ok(mut session) = self.shared.session.try_borrow_mut() {
                        session.logout(self.now());
                        self.shared.login.set(Login::LoggingOut);
                        self.shared.driver.set();
                        begun = true;
                    }
                }
                Login::LoggingOut => begun = true,
            }
            claim.wait(context)
        })
        .await
    }

    /// Whether requests are accepted: from [`Event::Ready`](crate::Event::Ready) to
    /// [`Event::NotReady`](crate::Event::NotReady), which includes short losses of the connection.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.get()
    }

    /// Waits until requests are accepted.
    ///
    /// # Errors
    /// [`Error::NotReady`] with `USER_NOT_LOGGED_IN` if there was no login, or with the reason why the device is no longer
    /// logged in; [`Error::Busy`].
    pub async fn wait_until_ready(&self) -> Result<(), Error> {
        let claim = self.shared.claim()?;
        poll_fn(|context| match self.shared.login.get() {
            _ if self.is_ready() => Poll::Ready(Ok(())),
            Login::InProgress | Login::Done => claim.wait(context),
            Login::Never | Login::LoggingOut | Login::Ended(_) => Poll::Ready(Err(self.shared.refusal())),
        })
        .await
    }

    /// Until when the device has nothing to do if nothing arrives and no call is made: a processor that sleeps deeply between
    /// events can sleep that long. `None` if it waits for no time. Known while the [`Runner`](crate::Runner) is awaited.
    #[must_use]
    pub const fn next_wakeup(&self) -> Option<Instant> {
        self.shared.wakeup.get()
    }

    /// Extends the session with a new UserSig, and logs in with it from now on: for a device that was created with a
    /// [`UserSig::in_buffer`](crate::UserSig::in_buffer).
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it does not fit into that buffer, or into a request; otherwise as [`Client::send_message`]. The old one
    /// stays.
    pub async fn renew_user_sig(&self, user_sig: &str) -> Result<(), Error> {
        self.check_user_sig(user_sig).await?;
        self.call(&Renew::new(user_sig), |_| ()).await?;
        // Nothing holds the session while a call goes on that has had its response.
        let mut session = self.shared.session.try_borrow_mut().map_err(|_| Error::Busy)?;
        session.user_sig_mut().replace(user_sig)
    }

    /// Waits while the application holds an event.
    async fn check_user_sig(&self, user_sig: &str) -> Result<(), Error> {
        let claim = self.shared.claim()?;
        poll_fn(|context| match self.shared.session.try_borrow_mut() {
            Ok(mut session) => Poll::Ready(session.user_sig_mut().check(user_sig)),
            Err(_) => claim.wait(context),
        })
        .await
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Makes a request and passes its response, in place, to `read`.
    // One state machine per call, and all that does not depend on the request's type in `PendingRequest::poll`.
    pub(crate) fn call<R: Request, T>(
        &self,
        request: &R,
        read: impl FnOnce(&R::Response<'_>) -> T,
    ) -> impl Future<Output = Result<T, Error>> {
        let mut pending = PendingRequest {
            client: self,
            claim: None,
        };
        let mut read = Some(read);
        poll_fn(move |context| {
            ready!(pending.poll(R::KIND, request, context))?;
            let result = pending.client.shared.response::<R, T>(&mut read);
            pending.claim = None;
            Poll::Ready(result)
        })
    }
}

impl<F: FramingChoice> Caller for Client<'_, F> {
    fn ids(&self) -> &Ids {
        &self.shared.ids
    }

    fn refusal(&self) -> Error {
        self.shared.refusal()
    }
}

/// A request until its response has arrived.
struct PendingRequest<'c, 'm, F: FramingChoice> {
    client: &'c Client<'m, F>,
    claim: Option<Claim<'m, F>>,
}

impl<F: FramingChoice> PendingRequest<'_, '_, F> {
    /// Ready when the session shows the response, which it does until the claim is dropped.
    fn poll(
        &mut self,
        kind: FrameKind,
        body: &dyn Encode,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let Client { shared, clock } = *self.client;
        let claim = match &mut self.claim {
            Some(claim) => claim,
            None => self.claim.insert(shared.claim()?),
        };
        match claim.slot.stage.get() {
            Stage::Responded => return Poll::Ready(Ok(())),
            Stage::Pending(_) => return claim.wait(context),
            Stage::Free | Stage::Waiting => {}
        }
        // The call waits while the application holds an event, and while the outbox is full.
        if let Ok(mut session) = shared.session.try_borrow_mut() {
            match session.request_untyped(clock.now(), kind, body) {
                Ok(id) => {
                    claim.slot.stage.set(Stage::Pending(id));
                    shared.driver.set();
                }
                Err(RequestError::Full) if session.pending() > 0 => {}
                Err(error) => return Poll::Ready(Err(shared.request_error(error))),
            }
        }
        claim.wait(context)
    }
}
