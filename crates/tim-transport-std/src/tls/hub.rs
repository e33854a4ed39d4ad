//! The hub's side: its certificate, which can be replaced, and connections whose TLS handshake is part of reading from them.
//!
//! A connection is served like any other from the moment it is accepted. TLS handshakes therefore run concurrently, and each counts as a
//! connection that has not logged in: a client that stops in the middle holds up nobody. It is dropped like others that do not log in, or
//! when the time of the TLS handshake is up.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::Ticketer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error, InconsistentKeys};
use tokio_rustls::{Accept, server};
use tracing::{debug, info};

use super::client::certificates;
use super::{TlsError, TlsProtocol, VERSIONS, ended, provider};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many bytes rustls buffers for a client that does not read.
const MAX_BUFFER: usize = 16 * 1024;
/// What a record has beside its fragment, as rustls counts it.
const RECORD_OVERHEAD: usize = 5;
/// The shortest time between two lines in the log about failed handshakes.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The certificate of a hub. Clones share it: [`load`](Self::load) replaces it for all of them.
#[derive(Debug, Clone)]
pub struct HubTls {
    shared: Arc<Shared>,
    handshake: Duration,
    max_fragment: Option<usize>,
}

#[derive(Debug)]
struct Shared {
    configs: Mutex<Configs>,
    failures: Mutex<Failures>,
}

/// One for each protocol, of the same certificate.
#[derive(Debug, Clone)]
struct Configs {
    tim: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

/// What was logged about failed handshakes: when, and how many have failed since.
#[derive(Debug, Default)]
struct Failures {
    logged: Option<Instant>,
    suppressed: u64,
}

impl HubTls {
    /// Reads the certificate, with any intermediate certificates after it, and its private key, both in PEM.
    ///
    /// # Errors
    /// [`TlsError::File`], and [`TlsError::KeyMismatch`].
    pub fn from_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let configs = Configs::read(certificate.as_ref(), key.as_ref())?;
        Ok(Self {
            shared: Arc::new(Shared {
                configs: Mutex::new(configs),
                failures: Mutex::default(),
            }),
            handshake: HANDSHAKE,
            max_fragment: None,
        })
    }

    /// How long a handshake may take. Default: 10 seconds.
    #[must_use]
    pub const fn with_handshake_time(mut self, time: Duration) -> Self {
        self.handshake = time;
        self
    }

    /// How many bytes a record to a client of [`TlsProtocol::Tim`] carries at most, for devices whose receive buffer is not as long as
    /// the longest record: they cannot negotiate it with rustls. From [`LEAST_FRAGMENT`](Self::LEAST_FRAGMENT) to [`MAX_FRAGMENT`](Self::MAX_FRAGMENT),
    /// which is the default. A device that does not join parts of a handshake message needs the certificate in one record.
    #[must_use]
    pub fn with_max_fragment(mut self, len: usize) -> Self {
        self.max_fragment = Some(len.clamp(Self::LEAST_FRAGMENT, Self::MAX_FRAGMENT));
        lock(&self.shared.configs).limit(self.max_fragment);
        self
    }

    /// The least length of [`with_max_fragment`](Self::with_max_fragment): short certificates fit.
    pub const LEAST_FRAGMENT: usize = 1024;
    /// The greatest one: what TLS allows.
    pub const MAX_FRAGMENT: usize = 16 * 1024;

    /// Replaces the certificate and the key. Open connections continue. New ones get the new certificate, also those that would resume
    /// a TLS session of the old one.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files). The old certificate then stays in use.
    pub fn load(&self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<(), TlsError> {
        let mut configs = Configs::read(certificate.as_ref(), key.as_ref())?;
        configs.limit(self.max_fragment);
        *lock(&self.shared.configs) = configs;
        Ok(())
    }

    /// What puts TLS on the connections of one listener.
    #[must_use]
    pub fn acceptor(&self, protocol: TlsProtocol) -> TlsAcceptor {
        TlsAcceptor {
            tls: self.clone(),
            protocol,
            open: watch::Sender::new(()),
        }
    }

    fn config(&self, protocol: TlsProtocol) -> Arc<ServerConfig> {
        let configs = lock(&self.shared.configs);
        Arc::clone(match protocol {
            TlsProtocol::Tim => &configs.tim,
            TlsProtocol::Http => &configs.http,
            TlsProtocol::Http2 => &configs.http2,
        })
    }
}

impl Shared {
    fn note_failure(&self, error: &io::Error) {
        debug!(%error, "a TLS handshake has failed");
        let mut failures = lock(&self.failures);
        let now = Instant::now();
        if failures.logged.is_some_and(|logged| now < logged + LOG_EVERY) {
            failures.suppressed += 1;
            return;
        }
        let suppressed = std::mem::take(&mut failures.suppressed);
        failures.logged = Some(now);
        info!(%error, suppressed, "TLS handshakes fail");
    }
}

impl Configs {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::file(key, "there is no private key in it"),
            error => TlsError::pem(key, &error),
        })?;
        let provider = provider();
        let certified = CertifiedKey::from_der(chain, secret, &provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            Error::InvalidCertificate(fault) => TlsError::file(
                certificate,
                format_args!("the certificate cannot be used: {fault}"),
            ),
            fault => TlsError::file(key, format_args!("the private key cannot be used: {fault}")),
        })?;
        let other = |error: Error| TlsError::Other(error.to_string());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // Sessions are resumed without a table here. The key of the tickets goes with the certificate.
        config.ticketer = Ticketer::new().map_err(other)?;
        let (mut http, mut http2) = (config.clone(), config.clone());
        http.ticketer = Ticketer::new().map_err(other)?;
        http2.ticketer = Ticketer::new().map_err(other)?;
        config.alpn_protocols = TlsProtocol::Tim.names();
        http.alpn_protocols = TlsProtocol::Http.names();
        http2.alpn_protocols = TlsProtocol::Http2.names();
        Ok(Self {
            tim: Arc::new(config),
            http: Arc::new(http),
            http2: Arc::new(http2),
        })
    }

    fn limit(&mut self, max_fragment: Option<usize>) {
        let max_fragment = max_fragment.map(|len| len + RECORD_OVERHEAD);
        Arc::make_mut(&mut self.tim).max_fragment_size = max_fragment;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts TLS on accepted connections; from [`HubTls::acceptor`]. When it is dropped, handshakes under way end, and connections whose
/// handshake is over go on.
#[derive(Debug)]
pub struct TlsAcceptor {
    tls: HubTls,
    protocol: TlsProtocol,
    /// Says when this is dropped.
    open: watch::Sender<()>,
}

impl TlsAcceptor {
    /// Puts TLS on a connection that was just accepted. Does not wait: the handshake takes place while the stream is read. Must be
    /// called within a tokio runtime with time enabled.
    pub fn accept<L: AsyncRead + AsyncWrite + Unpin>(&self, link: L) -> HubTlsLink<L> {
        let acceptor = tokio_rustls::TlsAcceptor::from(self.tls.config(self.protocol));
        let accept = acceptor.accept_with(link, |session| session.set_buffer_limit(Some(MAX_BUFFER)));
        let (time, mut open) = (self.tls.handshake, self.open.subscribe());
        let end = async move {
            match tokio::time::timeout(time, open.changed()).await {
                Ok(_) => TlsError::Stopped,
                Err(_) => TlsError::TimedOut(time),
            }
        };
        HubTlsLink(State::Handshake(Box::new(Handshake {
            accept,
            end: Box::pin(end),
            shared: Arc::clone(&self.tls.shared),
        })))
    }
}

/// The hub's end of a TLS connection; from [`TlsAcceptor::accept`].
pub struct HubTlsLink<L>(State<L>);

enum State<L> {
    Handshake(Box<Handshake<L>>),
    Open(Box<server::TlsStream<L>>),
    Failed,
}

struct Handshake<L> {
    accept: Accept<L>,
    /// Ready when it must be over.
    end: Pin<Box<dyn Future<Output = TlsError> + Send>>,
    shared: Arc<Shared>,
}

impl<L> std::fmt::Debug for HubTlsLink<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            State::Handshake(_) => "HubTlsLink(handshake)",
            State::Open(_) => "HubTlsLink(open)",
            State::Failed => "HubTlsLink(failed)",
        })
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> HubTlsLink<L> {
    /// Completes the handshake before the first read. Otherwise the first reads and writes do: it makes progress only while this, a read
    /// or a write is polled. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn handshake(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_open(context).map_ok(drop)).await
    }

    /// The stream, once the handshake is over.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut server::TlsStream<L>>>> {
        if let State::Handshake(handshake) = &mut self.0 {
            let result = match Pin::new(&mut handshake.accept).poll(context) {
                Poll::Ready(result) => result.map_err(|error| TlsError::of_handshake(error, "the client")),
                Poll::Pending => Err(ready!(handshake.end.as_mut().poll(context)).into()),
            };
            match result {
                Ok(stream) => self.0 = State::Open(Box::new(stream)),
                Err(error) => {
                    handshake.shared.note_failure(&error);
                    self.0 = State::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.0 {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Handshake(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncRead for HubTlsLink<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?
            .poll_read(context, bytes)
            .map(ended)
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HubTlsLink<L> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Open(stream) => Pin::new(stream).poll_flush(context),
            // Nothing was accepted for writing yet.
            State::Handshake(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Open(stream) => Pin::new(stream).poll_shutdown(context),
            State::Handshake(handshake) => match handshake.accept.get_mut() {
                Some(link) => Pin::new(link).poll_shutdown(context),
                None => Poll::Ready(Ok(())),
            },
            State::Failed => Poll::Ready(Ok(())),
        }
    }
}
