//! Logging in, and the time limit of a command.

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tim_client::transport::tls::TlsError;
use tim_client::transport::{AnyConnector, ConnectionEnd, Connector};
use tim_client::{Client, ErrorCode, EventStream, ImError, Limits, Message, UserId};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::connect::{Hubs, Login};
use crate::error::Failure;
use crate::terminal::Safe;

/// When to report that connecting takes long.
const SLOW: Duration = Duration::from_secs(1);

/// A user, logged in and ready.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) me: UserId,
    hubs: Hubs,
    timeout: Duration,
    /// The deadline of the command's requests.
    until: Cell<Instant>,
    gave_up: Cell<bool>,
    /// The message that is being sent.
    sending: RefCell<Option<Message>>,
    trouble: Arc<Trouble>,
}

impl Session {
    /// Logs in and waits until the session is ready. An unreachable hub and an exceeded time limit are failures; a connection
    /// that is lost later is reopened by the client.
    ///
    /// The stream has all events from the login on; it must be read or dropped.
    pub(crate) async fn open(login: Login) -> Result<(Self, EventStream), Failure> {
        let Login {
            user: me,
            user_sig,
            app,
            hubs,
            connector,
            timeout,
        } = login;
        let trouble = Arc::new(Trouble::default());
        let connector = Dial {
            connector,
            trouble: Arc::clone(&trouble),
        };
        let limits = Limits::new().with_login_timeout_millis(timeout.saturating_mul(1000));
        let timeout = Duration::from_secs(timeout.into());
        let until = Instant::now() + timeout;
        let client = Client::builder(app, me, user_sig)
            .limits(limits)
            .session(|config| config.framing = hubs.framing())
            .build(connector);
        let events = client.events();
        let ready = async {
            // The client applies the time limit to the login itself.
            client.login().await.map_err(failure)?;
            let ready = timeout_at(until, client.wait_until_ready()).await;
            ready
                .map_err(|_| {
                    let seconds = timeout.as_secs();
                    Failure::unreachable(format_args!(
                        "the hub at {hubs} accepted the login of {me}, but did not deliver the pending messages within {seconds} s"
                    ))
                    .hint(LONGER)
                })?
                .map_err(failure)
        };
        let slow = async {
            tokio::time::sleep(SLOW).await;
            // A closed stderr is no reason to fail.
            let _ = writeln!(io::stderr(), "connecting to {hubs} ...");
            std::future::pending().await
        };
        tokio::select! {
            // An answer of the hub takes precedence over a lost connection.
            biased;
            result = ready => result?,
            error = trouble.first() => return Err(unreachable(&hubs, &error)),
            () = slow => {}
        }
        let session = Self {
            client,
            me,
            hubs,
            timeout,
            until: Cell::new(until),
            gave_up: Cell::new(false),
            sending: RefCell::new(None),
            trouble,
        };
        Ok((session, events))
    }

    /// Logs in, runs a command that ignores incoming messages within its time limit, and logs out.
    pub(crate) fn run<T>(
        login: Login,
        command: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        block_on(async {
            let (session, events) = Self::open(login).await?;
            drop(events);
            let result = session.in_time(command(&session)).await;
            session.close().await;
            result
        })
    }

    /// Runs the command's requests within its time limit.
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
                break; // the deadline was not extended meanwhile
            }
        }
        self.gave_up.set(true);
        let refusal = self.sending.borrow().as_ref().and_then(Message::refusal);
        Err(match (self.trouble.take(), refusal) {
            (Some(error), _) => unreachable(&self.hubs, &error),
            (None, Some(refusal)) => failure(refusal).hint(WAITED),
            (None, None) => Failure::unreachable(format_args!(
                "no answer from the hub at {} within {} s",
                self.hubs,
                self.timeout.as_secs()
            ))
            .hint(LONGER),
        })
    }

    /// Notes the message that is being sent: at the deadline, what it waits for is the failure.
    pub(crate) fn note_sending(&self, message: &Message) {
        *self.sending.borrow_mut() = Some(message.clone());
    }

    /// Restarts the time limit, for the next of several requests.
    pub(crate) fn extend_deadline(&self) {
        self.until.set(Instant::now() + self.timeout);
    }

    /// Logs out, unless the hub does not answer.
    pub(crate) async fn close(self) {
        if !self.gave_up.get() {
            // A hub that is gone needs no logout.
            let _ = self.client.logout().await;
        }
    }
}

/// The hint if the hub refused until the time limit.
const WAITED: &str = "the hub has refused it until now; --timeout SECONDS waits longer";
/// The hint for an exceeded time limit.
const LONGER: &str = "the request may have been carried out all the same; --timeout SECONDS waits longer";

fn unreachable(hubs: &Hubs, error: &io::Error) -> Failure {
    let hint = TlsError::of(error).map_or(
        "start one with `tim serve`, or pass its address with --hub ADDRESS",
        tls_hint,
    );
    Failure::unreachable(format_args!("cannot reach a hub at {hubs}: {error}")).hint(hint)
}

/// What to do when TLS fails.
fn tls_hint(error: &TlsError) -> &'static str {
    match error {
        TlsError::WrongName { .. } => {
            "name the hub in --hub as its certificate does, or pass the name in the certificate with --tls-name NAME"
        }
        TlsError::UnknownIssuer { .. } => {
            "pass the certificate of the hub's authority with --tls-ca FILE, if you have it from the hub's operator"
        }
        TlsError::Expired { .. } => {
            "the hub's operator puts the renewed certificate in place and sends `tim serve` a SIGHUP"
        }
        TlsError::NotTls => "a hub without TLS has a tim:// address",
        _ => "the hub's log says more",
    }
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

/// The failure of an SDK call. Its text may come from the hub, and is printed on one line.
pub(crate) fn failure(error: ImError) -> Failure {
    let code = error.code;
    let error = error.to_string();
    let error = Safe::line(&error);
    match code {
        ErrorCode::NETWORK_ERROR | ErrorCode::NETWORK_TIMEOUT => {
            Failure::unreachable(error).hint("the hub may be down; `tim serve` starts one")
        }
        ErrorCode::NOT_A_HUB => Failure::failed(error)
            .hint("a hub with TLS has a tims:// address, such as --hub tims://HOST:PORT"),
        ErrorCode(70_001) => {
            Failure::credentials(error).hint("get a new UserSig, or create one with `tim sig make`")
        }
        ErrorCode(70_000..=79_999) => Failure::credentials(error)
            .hint("`tim sig inspect` decodes a UserSig; it must be signed with this hub's app key"),
        ErrorCode(20_016 | 10_031) => Failure::failed(error)
            .hint("messages can be revoked for two minutes, unless the hub is configured otherwise"),
        _ => Failure::failed(error),
    }
}

/// A connector that keeps the error of a connection that could not be opened.
struct Dial {
    connector: AnyConnector,
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
    type Link = <AnyConnector as Connector>::Link;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let (connecting, trouble) = (self.connector.connect(), Arc::clone(&self.trouble));
        async move {
            let link = connecting.await;
            link.map_err(|error| {
                let kind = error.kind();
                trouble.note(error);
                kind.into()
            })
        }
    }

    fn logged_in(&mut self) {
        self.connector.logged_in();
    }

    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        self.connector.ended(end)
    }
}
