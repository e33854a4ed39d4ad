//! The handle that makes calls; what a device is logged in as.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use tim_session::proto::request::Request;
use tim_session::proto::wire::{Encode, FrameKind};
use tim_session::{Instant, RequestError};

use crate::shared::{Login, Shared};
use crate::wait::{Claim, Stage};
use crate::{Clock, Error};

/// Makes the calls, which have the names that they have in `tim-client`.
///
/// A copy is as good as the original, so each task can have its own. A call goes on while somebody drives
/// ([`Runner`](crate::Runner)). Every call is cancel-safe: dropped before it was polled, it did nothing; dropped later, its
/// request is seen through and the answer is nobody's. A message can be sent again then: the hub keeps it once. A future that
/// nobody polls any more must be dropped, since the session waits for it to read its answer.
#[derive(Clone, Copy)]
pub struct Client<'m> {
    pub(crate) shared: &'m Shared<'m>,
    pub(crate) clock: &'m dyn Clock,
}

impl fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("user", &self.shared.user)
            .finish_non_exhaustive()
    }
}

/// The answer to [`Client::login`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct LoginResponse {
    /// The user's account number (`tinyID`).
    pub account: u64,
    /// Whether the device was logged in already.
    pub repeat_login: bool,
}

impl<'m> Client<'m> {
    /// `login`: begins to log in and waits until the hub has let the device in, however long the line takes; drop the future
    /// to stop waiting. The device then stays logged in, over any number of connections, until [`Client::logout`] or the
    /// hub's word that it must not come back.
    ///
    /// # Errors
    /// [`Error::Refused`] with the hub's code; [`Error::Busy`].
    pub async fn login(&self) -> Result<LoginResponse, Error> {
        let claim = self.shared.claim()?;
        let mut begun = false;
        poll_fn(|context| match self.shared.login.get() {
            Login::Done => Poll::Ready(Ok(LoginResponse {
                account: self.shared.account.get(),
                repeat_login: !begun,
            })),
            Login::Ended(code) if begun => Poll::Ready(Err(Error::Refused(code))),
            Login::Never | Login::Ended(_) => {
                begun = self.begin_login();
                claim.wait(context)
            }
            Login::UnderWay => {
                begun = true;
                claim.wait(context)
            }
            Login::Leaving => claim.wait(context),
        })
        .await
    }

    fn begin_login(&self) -> bool {
        let Ok(mut session) = self.shared.session.try_borrow_mut() else {
            return false;
        };
        session.login(self.now());
        self.shared.login.set(Login::UnderWay);
        self.shared.driver.set();
        true
    }

    /// `logout`: leaves on purpose, and waits until that is done. Calls under way fail.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn logout(&self) -> Result<(), Error> {
        let claim = self.shared.claim()?;
        let mut begun = false;
        poll_fn(|context| {
            match self.shared.login.get() {
                Login::Never | Login::Ended(_) => return Poll::Ready(Ok(())),
                Login::UnderWay | Login::Done if !begun => {
                    if let Ok(mut session) = self.shared.session.try_borrow_mut() {
                        session.logout(self.now());
                        self.shared.login.set(Login::Leaving);
                        self.shared.driver.set();
                        begun = true;
                    }
                }
                _ => {}
            }
            claim.wait(context)
        })
        .await
    }

    /// Whether calls are taken (S83): from [`Event::Ready`](crate::Event::Ready) to
    /// [`Event::NotReady`](crate::Event::NotReady), short cuts of the line included.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.get()
    }

    /// Waits until calls are taken.
    ///
    /// # Errors
    /// [`Error::NotReady`] with `USER_NOT_LOGGED_IN` if there was no login, or with the reason why the device is not logged
    /// in any more; [`Error::Busy`].
    pub async fn wait_until_ready(&self) -> Result<(), Error> {
        let claim = self.shared.claim()?;
        poll_fn(|context| match self.shared.login.get() {
            _ if self.is_ready() => Poll::Ready(Ok(())),
            Login::UnderWay | Login::Done => claim.wait(context),
            Login::Never | Login::Leaving | Login::Ended(_) => Poll::Ready(Err(self.shared.refusal())),
        })
        .await
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Makes a request and hands its response to `read`, in place.
    pub(crate) async fn call<R: Request, T>(
        &self,
        request: &R,
        read: impl FnOnce(R::Response<'_>) -> T,
    ) -> Result<T, Error> {
        let claim = self.request(R::KIND, request).await?;
        let result = {
            let session = self.shared.session.try_borrow().map_err(|_| Error::Protocol)?;
            let response = self.shared.outcome(&session)?;
            response.decode::<R>().map(read).map_err(|_| Error::Protocol)
        };
        drop(claim);
        result
    }

    /// Makes a request and waits for its response, which stays in the session until the claim is dropped.
    async fn request(&self, kind: FrameKind, body: &dyn Encode) -> Result<Claim<'m>, Error> {
        let claim = self.shared.claim()?;
        poll_fn(|context| self.poll_request(&claim, kind, body, context)).await?;
        Ok(claim)
    }

    fn poll_request(
        &self,
        claim: &Claim<'_>,
        kind: FrameKind,
        body: &dyn Encode,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        match claim.slot.stage.get() {
            Stage::Answered => return Poll::Ready(Ok(())),
            Stage::Answer(_) => return claim.wait(context),
            Stage::Free | Stage::Change => {}
        }
        // While the application looks at an event, and while the outbox is full, the call waits.
        if let Ok(mut session) = self.shared.session.try_borrow_mut() {
            match session.request_untyped(self.now(), kind, body) {
                Ok(id) => {
                    claim.slot.stage.set(Stage::Answer(id));
                    self.shared.driver.set();
                }
                Err(RequestError::Full) if session.pending() > 0 => {}
                Err(error) => return Poll::Ready(Err(self.shared.request_error(error))),
            }
        }
        claim.wait(context)
    }
}
