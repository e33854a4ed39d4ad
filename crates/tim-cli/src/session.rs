//! A client that is logged in, or a failure that says why not.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tim_client::transport::{Connector, TcpConnector};
use tim_client::{Client, ErrorCode, EventStream, ImError, Limits, UserId};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::connect::Login;
use crate::error::Failure;
use crate::terminal::Safe;

/// After how long somebody who waits is told for what.
const SLOW: Duration = Duration::from_secs(1);

/// A user, logged in and ready.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) me: UserId,
    hub: String,
    timeout: Duration,
    /// Until when the hub has to answer, where the command is one that gives up.
    until: Cell<Instant>,
    gave_up: Cell<bool>,
    trouble: Arc<Trouble>,
}

impl Session {
    /// Logs in. A hub that cannot be reached is a failure at once; lost later, the client comes back by itself. Not to be ready
    /// within the login's time-out is a failure too.
    ///
    /// The events from the login on are in the stream, which must be read or dropped.
    pub(crate) async fn open(login: Login) -> Result<(Self, EventStream), Failure> {
        let Login {
            user: me,
            user_sig,
            app,
            hub,
            timeout,
        } = login;
        let trouble = Arc::new(Trouble::default());
        let connector = Dial {
            tcp: TcpConnector::new(&hub),
            trouble: Arc::clone(&trouble),
        };
        let limits = Limits::new().with_login_timeout_millis(timeout.saturating_mul(1000));
        let timeout = Duration::from_secs(timeout.into());
        let until = Instant::now() + timeout;
        let client = Client::builder(app, me, user_sig).limits(limits).build(connector);
        let events = client.events();
        let ready = async {
            // The client says itself what kept it from logging in in time.
            client.login().await.map_err(failure)?;
            let ready = timeout_at(until, client.wait_until_ready()).await;
            ready
                .map_err(|_| {
                    let seconds = timeout.as_secs();
                    Failure::unreachable(format_args!(
                        "the hub at {hub} let {me} in, but has not delivered what was waiting within {seconds} s"
                    ))
                    .hint(LONGER)
                })?
                .map_err(failure)
        };
        let slow = async {
            tokio::time::sleep(SLOW).await;
            // If stderr is gone, nobody reads along.
            let _ = writeln!(io::stderr(), "connecting to {hub} ...");
            std::future::pending().await
        };
        tokio::select! {
            // What the hub says goes before what happened to the line.
            biased;
            result = ready => result?,
            error = trouble.first() => return Err(unreachable(&hub, &error)),
            () = slow => {}
        }
        let session = Self {
            client,
            me,
            hub,
            timeout,
            until: Cell::new(until),
            gave_up: Cell::new(false),
            trouble,
        };
        Ok((session, events))
    }

    /// Does what a command is for, in what is left of its time.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        loop {
            let until = self.until.get();
            if let Ok(done) = timeout_at(until, &mut work).await {
                return done;
            }
            if until == self.until.get() {
                break; // no time was added meanwhile
            }
        }
        self.gave_up.set(true);
        Err(match self.trouble.take() {
            Some(error) => unreachable(&self.hub, &error),
            None => Failure::unreachable(format_args!(
                "no answer from the hub at {} within {} s",
                self.hub,
                self.timeout.as_secs()
            ))
            .hint(LONGER),
        })
    }

    /// An answer has come, and the next request has all the time again.
    pub(crate) fn goes_on(&self) {
        self.until.set(Instant::now() + self.timeout);
    }

    /// Says goodbye to the hub, unless it is one that does not answer.
    pub(crate) async fn close(self) {
        if !self.gave_up.get() {
            // A hub that is gone need not be told.
            let _ = self.client.logout().await;
        }
    }
}

/// What to do about a hub that is slow.
const LONGER: &str = "a change that was asked for may have been made; --timeout SECONDS waits longer";

fn unreachable(hub: &str, error: &io::Error) -> Failure {
    Failure::unreachable(format_args!("cannot reach a hub at {hub}: {error}"))
        .hint("start one with `tim serve`, or say where it is with --hub HOST:PORT")
}

/// Runs a command's asynchronous part.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?
        .block_on(work)
}

/// Runs a command's asynchronous part on as many threads as there are processors.
pub(crate) fn block_on_threads<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Runtime::new();
    runtime
        .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?
        .block_on(work)
}

/// What an error of a call means for the program. Its text may be the hub's, and stays on one line.
pub(crate) fn failure(error: ImError) -> Failure {
    let code = error.code;
    let error = error.to_string();
    let error = Safe::line(&error);
    match code {
        ErrorCode::NETWORK_ERROR | ErrorCode::NETWORK_TIMEOUT => {
            Failure::unreachable(error).hint("the hub may be down; `tim serve` starts one")
        }
        ErrorCode(70_001) => {
            Failure::credentials(error).hint("get a new UserSig, or make one with `tim sig make`")
        }
        ErrorCode(70_000..=79_999) => Failure::credentials(error)
            .hint("`tim sig inspect` shows what a UserSig says; it must be signed with this hub's app key"),
        ErrorCode(20_016 | 10_031) => Failure::failed(error)
            .hint("a message can be revoked for two minutes, unless the hub is set otherwise"),
        _ => Failure::failed(error),
    }
}

/// TCP, with a note of the first connection that could not be opened.
struct Dial {
    tcp: TcpConnector,
    trouble: Arc<Trouble>,
}

#[derive(Default)]
struct Trouble {
    error: Mutex<Option<io::Error>>,
    noted: Notify,
}

impl Trouble {
    fn note(&self, error: io::Error) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.noted.notify_one();
    }

    async fn first(&self) -> io::Error {
        loop {
            self.noted.notified().await;
            if let Some(error) = self.take() {
                return error;
            }
        }
    }

    fn take(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Connector for Dial {
    type Link = <TcpConnector as Connector>::Link;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let (connecting, trouble) = (self.tcp.connect(), Arc::clone(&self.trouble));
        async move {
            let link = connecting.await;
            link.map_err(|error| {
                let kind = error.kind();
                trouble.note(error);
                kind.into()
            })
        }
    }
}
