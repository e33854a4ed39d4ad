//! HTTP/1.1: the files of messages at signed URLs, and the REST interface.
//!
//! A connection may take a limited time for the head of a request, also for the first one, and for each write. [`places`] limits their
//! number. [`Server::respond`] chooses by the path: what else is served here belongs there.

mod body;
mod files;
mod headers;
mod operator;
mod patience;
mod places;
#[cfg(feature = "rest")]
mod rest;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tim_transport_std::forwarded::ClientAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tracing::debug;

use crate::admission::Network;
use crate::file_urls::FILES;
use crate::metrics::Metrics;
use crate::service::Services;
use body::{Held, ResponseBody};
pub(crate) use operator::Surface;
use patience::Patient;
pub(crate) use places::Place;
use places::Places;
#[cfg(feature = "rest")]
pub(crate) use rest::call_within;

/// The longest head of a request that fits.
const MAX_HEAD: usize = 16 * 1024;
/// How long a connection that is to make room may take to send what is left, if no request is under way.
const LEAVE_TIME: Duration = Duration::from_secs(1);
/// A header that no request has.
const NO_HEADER: &str = "x-no-header";
/// The most lines in it.
const MAX_HEADERS: usize = 64;

/// How [`Hub::serve_http`](crate::Hub::serve_http) works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The prefix of the URLs of files, such as `https://hub.example.org`: where clients reach the listener or the proxy in front of it.
    pub base: String,
    /// The time after which a URL expires. Default 1 h.
    pub url_life: Duration,
    /// The maximum number of connections. Default 1,000.
    pub max_connections: usize,
    /// The maximum number of them from one address; 0 is no limit. It does not apply to
    /// [`trusted_addresses`](crate::HubOptions::trusted_addresses). Default 100.
    pub max_connections_per_address: usize,
    /// The addresses of reverse proxies in front of the listener. From these, connections are not limited, but the requests under way of
    /// each client, of which there may be as many as connections from one address. Default: none.
    pub trusted_proxies: Vec<IpAddr>,
    /// Which header of a trusted proxy has the client's address. Default: none, so that all its clients are one.
    pub client_address: ClientAddress,
    /// How long a client may take for the head of a request, from when it has connected or has got the last response. Default 15 s.
    pub head_timeout: Duration,
    /// How long a client may take for the body of a request. Default 15 s.
    pub body_timeout: Duration,
    /// How long a client may take to receive anything more of a response. Default 30 s.
    pub write_timeout: Duration,
}

impl HttpOptions {
    /// The defaults, for a listener that is reached at URLs that begin so.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            url_life: Duration::from_secs(3600),
            max_connections: 1_000,
            max_connections_per_address: 100,
            trusted_proxies: Vec::new(),
            client_address: ClientAddress::OfConnection,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
        }
    }

    /// Checks the options, as [`Hub::serve_http`](crate::Hub::serve_http) does.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let Self { base, .. } = self;
        let rest = base
            .strip_prefix("https://")
            .or_else(|| base.strip_prefix("http://"));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if rest.is_none_or(str::is_empty) || !base.bytes().all(is_plain) {
            return Err(format!(
                "{base:?} is not how a URL of a file begins: write http:// or https://, a host and a path, such as https://hub.example.org"
            ));
        }
        if self.max_connections == 0 || self.url_life.as_secs() == 0 {
            return Err(
                "URLs of files are good for a second at least, and HTTP has a connection at least".to_owned(),
            );
        }
        Ok(())
    }
}

/// What all HTTP connections share.
pub(crate) struct Server {
    services: Arc<Services>,
    options: HttpOptions,
    surface: Surface,
    /// For what reads the disk for the operator.
    looks: Arc<Semaphore>,
    places: Arc<Places>,
}

/// A connection in the metrics.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.http_connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.http_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(crate) fn new(services: Arc<Services>, options: HttpOptions, surface: Surface) -> Self {
        Self {
            services,
            places: Places::new(options.max_connections, options.max_connections_per_address),
            options,
            surface,
            looks: Arc::new(Semaphore::new(operator::MAX_LOOKS)),
        }
    }

    /// A place for one more connection from this address, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        // What comes from a proxy counts with its client, request by request.
        let network = match self.is_proxy(address) {
            true => None,
            false => self.services.network_of(address),
        };
        self.places.connection(network)
    }

    fn is_proxy(&self, address: Option<IpAddr>) -> bool {
        let proxies = &self.options.trusted_proxies;
        address.is_some_and(|address| {
            proxies
                .iter()
                .any(|proxy| proxy.to_canonical() == address.to_canonical())
        })
    }

    /// Responds to a request from this address, which may be that of a proxy.
    async fn respond_from(
        self: &Arc<Self>,
        request: Request<Incoming>,
        address: Option<IpAddr>,
    ) -> Response<Held> {
        let Some(proxy) = address.filter(|_| self.is_proxy(address)) else {
            let network = self.services.network_of(address);
            return self.respond(request, network).await.map(Held::from);
        };
        let kind = self.options.client_address;
        let lines = request.headers().get_all(kind.header().unwrap_or(NO_HEADER));
        let lines = lines.iter().map(HeaderValue::as_bytes);
        let Some(client) = kind.of(lines, proxy, &self.options.trusted_proxies) else {
            let text = "The proxy does not name the address of its client.\n";
            return headers::error(StatusCode::BAD_REQUEST, text).map(Held::from);
        };
        let network = self.services.network_of(Some(client));
        let Some(place) = self.places.request(network) else {
            return headers::error(StatusCode::TOO_MANY_REQUESTS, files::BUSY).map(Held::from);
        };
        let response = self.respond(request, network).await;
        response.map(|body| Held::with_place(body, place))
    }

    /// Serves a connection until it is over, or has answered what it was asked when `closing` is set.
    pub(crate) async fn serve<L: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: Arc<Self>,
        link: L,
        address: Option<IpAddr>,
        place: Place,
        mut closing: watch::Receiver<bool>,
    ) {
        let _counted = Counted::new(&self.services.metrics);
        let place = Arc::new(place);
        let link = Patient::new(link, self.options.write_timeout);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.head_timeout)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS);
        let of_requests = Arc::clone(&place);
        let service = service_fn(move |request| {
            let (server, under_way) = (Arc::clone(&self), of_requests.begin());
            async move {
                let response = server.respond_from(request, address).await;
                Ok::<_, Infallible>(response.map(|body| body.of(under_way)))
            }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(link), service));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = async { drop(closing.wait_for(|closing| *closing).await) } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = place.told_to_leave() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(LEAVE_TIME, connection.as_mut()).await {
                    Ok(ended) => ended,
                    Err(_) if place.is_busy() => connection.await,
                    // The rest of a request has not come.
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "an HTTP connection broke");
        }
    }

    /// The response to a request: what is served is chosen by its path.
    async fn respond(&self, request: Request<Incoming>, network: Option<Network>) -> Response<ResponseBody> {
        let (method, path) = (request.method(), request.uri().path());
        // A status of success would open a tunnel.
        if *method == Method::CONNECT {
            return headers::error(StatusCode::NOT_IMPLEMENTED, "There are no tunnels here.\n");
        }
        let of_operator = operator::respond(&self.services, self.surface, &self.looks, method, path);
        if let Some(response) = of_operator.await {
            return response;
        }
        if self.surface == Surface::Operator {
            return headers::error(StatusCode::NOT_FOUND, "There is nothing here.\n");
        }
        #[cfg(feature = "rest")]
        if request.uri().path().starts_with(rest::PREFIX) && self.has_rest() {
            return self.call(request, network).await;
        }
        #[cfg(feature = "rest")]
        if request.uri().path() == rest::openapi::PATH && self.has_rest() {
            return rest::openapi::respond(request.method(), request.headers());
        }
        // Whoever reads files has a URL that the hub has signed.
        let _ = network;
        let Some(token) = request.uri().path().strip_prefix(FILES) else {
            return headers::error(StatusCode::NOT_FOUND, files::NOT_FOUND);
        };
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return headers::only_read("Files are read with GET.\n");
        }
        files::respond(&self.services, token, request.method(), request.headers()).await
    }
}
