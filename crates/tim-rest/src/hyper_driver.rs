//! A driver on hyper, with a pool of connections and TLS as the system trusts.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_platform_verifier::Verifier;
use tokio::sync::Semaphore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::answer::MAX_ANSWER;
use crate::builder::Builder;
use crate::driver::{Driver, HttpRequest, HttpResponse, Posting, Sleeping};
use crate::error::{Error, TransportError, TransportErrorKind};

/// How long a connection is kept that nothing uses, and how many of them. A hub closes them after 15 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_IDLE: usize = 32;

/// Makes requests with hyper, by HTTP/1.1. From [`Builder::driver`]. It needs a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct HyperDriver {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// One for each request under way.
    places: Semaphore,
    timeout: Duration,
}

impl HyperDriver {
    pub(crate) fn new(builder: &Builder) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Before the other limit, so that it is certain that nothing was sent.
        tcp.set_connect_timeout(Some(builder.timeout / 2));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(builder)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self {
            client,
            places: Semaphore::new(builder.max_connections.clamp(1, Semaphore::MAX_PERMITS)),
            timeout: builder.timeout,
        })
    }

    async fn exchange(&self, post: HttpRequest) -> Result<HttpResponse, TransportError> {
        let request = Request::post(post.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("tim-rest/", env!("CARGO_PKG_VERSION")))
            .body(Full::from(post.body))
            .map_err(|error| TransportError::new(TransportErrorKind::NotConnected, error))?;
        let response = self.client.request(request).await.map_err(|error| {
            let kind = match error.is_connect() {
                true => TransportErrorKind::NotConnected,
                false => TransportErrorKind::Interrupted,
            };
            TransportError::new(kind, with_causes(&error))
        })?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| {
            let kind = match error.is::<LengthLimitError>() {
                true => TransportErrorKind::TooLong,
                false => TransportErrorKind::Interrupted,
            };
            TransportError::new(kind, with_causes(&*error))
        })?;
        Ok(HttpResponse::new(status, body.to_bytes()))
    }
}

impl Driver for HyperDriver {
    fn post(&self, post: HttpRequest) -> Posting<'_> {
        Box::pin(async move {
            let place = self.places.acquire().await;
            let _place =
                place.map_err(|error| TransportError::new(TransportErrorKind::NotConnected, error))?;
            let exchanged = tokio::time::timeout(self.timeout, self.exchange(post)).await;
            exchanged.unwrap_or_else(|error| Err(TransportError::new(TransportErrorKind::TimedOut, error)))
        })
    }

    fn sleep(&self, time: Duration) -> Sleeping<'_> {
        Box::pin(tokio::time::sleep(time))
    }

    fn unix_seconds(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    fn random(&self) -> u32 {
        // Only of a system without a source of random numbers; then the time has to do.
        getrandom::u32().unwrap_or_else(|_| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |since| since.subsec_nanos())
        })
    }
}

/// hyper's errors say in their causes what has happened.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn tls(builder: &Builder) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let wrong = |error: &dyn std::fmt::Display| Error::setup(format!("TLS cannot be set up: {error}"));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?;
    if !builder.has_tls() {
        let config = config.with_root_certificates(RootCertStore::empty());
        return Ok(config.with_no_client_auth());
    }
    let mut authorities = Vec::new();
    for path in &builder.authorities {
        authorities.extend(certificates(path)?);
    }
    let verifier = Verifier::new_with_extra_roots(authorities, provider).map_err(|error| wrong(&error))?;
    Ok(config
        .dangerous() // the name of rustls for any verifier but its own
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The certificates in a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::setup(format!(
            "no certificates can be read from {}: {error}",
            path.display()
        ))
    };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    match found {
        Ok(found) if found.is_empty() => Err(wrong(&"there are none in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(&error)),
    }
}
