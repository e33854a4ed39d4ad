//! The client: makes calls with a driver, and repeats those that it may.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tim_usersig::App;

use crate::administrator::Administrator;
use crate::answer::{Command, Request, response};
use crate::builder::Builder;
use crate::driver::{Driver, HttpRequest};
use crate::error::{Again, Error};

/// How long is waited before a call is made for the second time, and at most, in milliseconds. In between it doubles.
const FIRST_WAIT_MS: u64 = 200;
const LONGEST_WAIT_MS: u64 = 5_000;

/// A client of the REST interface. It can be cloned, and used by any number of tasks at a time.
///
/// There is a method for each command that the crate knows; [`call`](Self::call) makes any other.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    administrator: Administrator,
    driver: Box<dyn Driver>,
    attempts: u32,
}

impl Client {
    /// Begins with a client of the service at an address, `https://console.tim.qq.com` or that of a hub, for an application, one of its
    /// administrators and its app key.
    pub fn builder(
        base: impl Into<String>,
        app_id: u32,
        administrator: impl Into<String>,
        key: impl Into<String>,
    ) -> Builder {
        Builder::new(base.into(), App::new(app_id, key), administrator.into())
    }

    pub(crate) fn new(administrator: Administrator, driver: Box<dyn Driver>, attempts: u32) -> Self {
        let inner = Inner {
            administrator,
            driver,
            attempts,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes a call. Each method for a command does this.
    ///
    /// A call that fails in a way that may pass is repeated with growing pauses, if it [is repeatable](Request::IS_REPEATABLE) or it is
    /// certain that it was not carried out: there was no connection, or the service has refused it as too frequent. Dropping the future
    /// ends the call; whether it is carried out then is not known.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::is_retryable`] says whether the same call may work later.
    pub async fn request<R: Request>(&self, mut request: R) -> Result<R::Response, Error> {
        request.complete(self.inner.driver.random());
        let body = written(&request)?;
        drop(request);
        response::<R>(self.exchange(Command::of::<R>(), body).await?)
    }

    /// Makes a call of a command that this crate may not know, and returns the fields of the answer. It is repeated only if it is certain
    /// that it was not carried out.
    ///
    /// ```no_run
    /// # async fn rename(tim: &tim_rest::Client) -> Result<(), tim_rest::Error> {
    /// let body = serde_json::json!({"From_Account": "bob", "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "Bob"}]});
    /// let answer = tim.call("profile", "portrait_set", &body).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn call(
        &self,
        service: &str,
        command: &str,
        body: &impl Serialize,
    ) -> Result<Map<String, Value>, Error> {
        let command = Command::named(service, command)?;
        let body = written(body)?;
        self.exchange(command, body).await
    }

    async fn exchange(&self, command: Command<'_>, body: Vec<u8>) -> Result<Map<String, Value>, Error> {
        let Inner {
            administrator,
            driver,
            attempts,
        } = &*self.inner;
        let (mut attempt, mut has_new_user_sig) = (1, false);
        loop {
            let url = administrator.url(&command, driver.unix_seconds(), driver.random());
            let answer = driver.post(HttpRequest::new(url, body.clone())).await;
            let read = answer
                .map_err(Error::from)
                .and_then(|answer| command.read(&answer));
            let error = match read {
                Ok(fields) => return Ok(fields),
                Err(error) => error,
            };
            // Void since a kick of the administrator, or the clock was wrong when it was made.
            if error.is_about_user_sig() && !has_new_user_sig {
                administrator.forget_user_sig();
                has_new_user_sig = true;
                continue;
            }
            let is_safe = match error.again() {
                Again::NotDone => true,
                Again::MayBeDone => command.is_repeatable,
                Again::Never => false,
            };
            if !is_safe || attempt >= *attempts {
                return Err(error);
            }
            driver.sleep(pause(attempt, driver.random())).await;
            attempt += 1;
        }
    }
}

/// The pause behind an attempt: from half of the whole one on, so that many clients do not come back at once.
fn pause(attempt: u32, random: u32) -> Duration {
    let doublings = (attempt - 1).min(10);
    let whole = (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS);
    Duration::from_millis(whole / 2 + u64::from(random) % (whole / 2 + 1))
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::setup(format!("the request cannot be written: {error}")))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("administrator", &self.inner.administrator)
            .finish_non_exhaustive()
    }
}
