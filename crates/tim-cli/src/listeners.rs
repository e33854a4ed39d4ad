//! Where the hub listens: the addresses of `--listen`, checked, opened and served together.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tim_hub::tls::{HubTls, TlsError, TlsProtocol};
use tim_hub::websocket::{AcceptOptions, ClientAddress, WebSocketAcceptor};
use tim_hub::{HttpOptions, Hub, HubError, Listener, TlsListener, WebSocketListener};
use tim_transport_std::Address;
use tim_transport_std::address::{HostPort, SerialAddress, WebSocketAddress};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::address::HttpAddress;
use crate::config::{ProxyHeader, Settings};
use crate::error::Failure;

/// The listeners of a hub before they are served.
pub(crate) struct Listeners {
    open: Vec<Open>,
    tls: Option<HubTls>,
    /// Files, under URLs that begin as the options say.
    http: Option<(Http, HttpOptions)>,
    metrics: Option<Http>,
    /// The files of Unix sockets, which are removed when the hub has stopped.
    #[cfg(unix)]
    sockets: Vec<tim_transport_std::unix::SocketFile>,
}

/// Where HTTP is served.
struct Http {
    listener: HttpKind,
    /// The address that it has got.
    address: HttpAddress,
}

enum HttpKind {
    Plain(TcpListener),
    Tls(TlsListener<TcpListener>),
}

/// A listener, and the address that it has got.
struct Open {
    address: Address,
    listener: Kind,
}

enum Kind {
    Tcp(TcpListener),
    Tls(TlsListener<TcpListener>),
    WebSocket(WebSocketListener<TcpListener>),
    WebSocketTls(WebSocketListener<TlsListener<TcpListener>>),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

/// What is needed to listen, found to be in order before the store is opened.
pub(crate) struct Plan {
    addresses: Vec<Address>,
    tls: Option<HubTls>,
    accept: AcceptOptions,
    max_handshakes: usize,
    http: HttpAddress,
    metrics: HttpAddress,
    /// With the base that was set, if one was.
    http_options: HttpOptions,
    #[cfg(unix)]
    socket_mode: u32,
}

impl Plan {
    /// Checks the settings: that TLS has its files, and that nothing is readable on the way unless that is allowed.
    pub(crate) async fn of(settings: &Settings) -> Result<Self, Failure> {
        let addresses: Vec<_> = settings.listen.iter().map(|address| address.0.clone()).collect();
        let tls = tls(settings)?;
        for address in &addresses {
            check_address(address, tls.is_some())?;
        }
        let over_https = [&settings.http, &settings.metrics];
        let over_https = over_https
            .into_iter()
            .find(|address| matches!(address.0, Some((true, _))));
        let needs_tls = over_https.is_some();
        if let Some(address) = over_https
            && tls.is_none()
        {
            return Err(no_certificate(address));
        }
        if tls.is_some() && !needs_tls && !addresses.iter().any(needs_certificate) {
            warn!("there is a certificate, but no address to use it at, such as --listen tims://0.0.0.0");
        }
        let is_web_socket = |address: &Address| matches!(address, Address::WebSocket(_));
        if !settings.trusted_proxy.is_empty() && !addresses.iter().any(is_web_socket) {
            warn!("--trusted-proxy applies to ws:// and wss:// addresses, and there is none");
        }
        if settings.http.0.is_none() && !settings.admin.is_empty() {
            return Err(Failure::usage(
                "--admin needs --http ADDRESS, where the REST interface is served",
            ));
        }
        let http_options = http_options(settings)?;
        check_plaintext(settings, &addresses).await?;
        Ok(Self {
            addresses,
            tls,
            accept: accept_options(settings),
            max_handshakes: usize::try_from(settings.max_half_open).unwrap_or(usize::MAX),
            http: settings.http.clone(),
            metrics: settings.metrics.clone(),
            http_options,
            #[cfg(unix)]
            socket_mode: settings.socket_mode.0,
        })
    }

    /// Listens at all addresses.
    pub(crate) async fn open(self) -> Result<Listeners, Failure> {
        let mut listeners = Listeners {
            open: Vec::new(),
            tls: self.tls.clone(),
            http: self.open_files().await?,
            metrics: self.open_http(&self.metrics).await?,
            #[cfg(unix)]
            sockets: Vec::new(),
        };
        for address in &self.addresses {
            let (address, listener) = match address {
                Address::Tcp(place) => {
                    let (listener, address) = bind(place, address).await?;
                    (address, Kind::Tcp(listener))
                }
                Address::Tls(place) => {
                    let (listener, address) = bind(place, address).await?;
                    (address, Kind::Tls(self.with_tls(listener, TlsProtocol::Tim)?))
                }
                Address::WebSocket(url) => {
                    let (listener, address) = bind(url.host_port(), address).await?;
                    (address, self.web_socket(listener, url)?)
                }
                #[cfg(unix)]
                Address::Unix(socket) => {
                    let opened = tim_transport_std::unix::listen(socket.path(), self.socket_mode).await;
                    let (listener, file) = opened.map_err(|error| {
                        Failure::failed(format_args!("cannot listen at {address}: {error}")).hint(
                            "choose another path; a socket that a killed hub has left behind is replaced",
                        )
                    })?;
                    listeners.sockets.push(file);
                    (address.clone(), Kind::Unix(listener))
                }
                // Serial ports are opened elsewhere.
                _ => continue,
            };
            listeners.open.push(Open { address, listener });
        }
        Ok(listeners)
    }

    async fn open_files(&self) -> Result<Option<(Http, HttpOptions)>, Failure> {
        let http = self.open_http(&self.http).await?;
        Ok(http.map(|http| {
            let mut options = self.http_options.clone();
            if options.base.is_empty() {
                options.base = http.address.to_string();
            }
            (http, options)
        }))
    }

    async fn open_http(&self, address: &HttpAddress) -> Result<Option<Http>, Failure> {
        let Some((is_tls, place)) = &address.0 else {
            return Ok(None);
        };
        // As an address of the hub at the same place.
        let (listener, got) = bind(place, &Address::Tcp(place.clone())).await?;
        let got = got.host_port().cloned().unwrap_or_else(|| place.clone());
        let address = HttpAddress(Some((*is_tls, got)));
        let listener = match is_tls {
            true => HttpKind::Tls(self.with_tls(listener, TlsProtocol::Http)?),
            false => HttpKind::Plain(listener),
        };
        Ok(Some(Http { listener, address }))
    }

    fn with_tls(
        &self,
        listener: TcpListener,
        protocol: TlsProtocol,
    ) -> Result<TlsListener<TcpListener>, Failure> {
        let tls = self.tls.as_ref();
        let tls = tls.ok_or_else(|| Failure::usage("there is no certificate"))?;
        Ok(TlsListener::with_protocol(listener, tls, protocol))
    }

    /// WebSocket at the path of this address.
    fn web_socket(&self, listener: TcpListener, url: &WebSocketAddress) -> Result<Kind, Failure> {
        let mut options = self.accept.clone();
        options.path = Some(url.path().to_owned());
        let acceptor = WebSocketAcceptor::new(options);
        Ok(match url.is_tls() {
            false => Kind::WebSocket(
                WebSocketListener::new(listener, acceptor).with_max_handshakes(self.max_handshakes),
            ),
            true => {
                let listener = self.with_tls(listener, TlsProtocol::Http)?;
                let listener = WebSocketListener::new(listener, acceptor);
                Kind::WebSocketTls(listener.with_max_handshakes(self.max_handshakes))
            }
        })
    }
}

/// How files are served; the base is empty if it is to be the address that is listened at.
fn http_options(settings: &Settings) -> Result<HttpOptions, Failure> {
    let wrong =
        |option: &str, error: &dyn std::fmt::Display| Failure::usage(format_args!("{option}: {error}"));
    let mut options = HttpOptions::new("http://localhost");
    options.url_life = Duration::from_secs(settings.file_url_life.0);
    let proxies = accept_options(settings);
    options.trusted_proxies = proxies.trusted_proxies;
    options.client_address = proxies.client_address;
    options
        .check()
        .map_err(|error| wrong("--file-url-life", &error))?;
    options.base.clone_from(&settings.http_url);
    if !options.base.is_empty() {
        options.check().map_err(|error| wrong("--http-url", &error))?;
    }
    Ok(options)
}

/// Whether it is an address to listen at, and what it needs is there.
fn check_address(address: &Address, has_certificate: bool) -> Result<(), Failure> {
    if needs_certificate(address) && !has_certificate {
        return Err(no_certificate(address));
    }
    match address {
        Address::WebSocket(url) if url.path().contains('?') => Err(Failure::usage(format_args!(
            "listening at {address} is not possible with a query"
        ))
        .hint("leave out the part from the question mark: whatever query a client has, it is not looked at")),
        Address::Tcp(_) | Address::Tls(_) | Address::WebSocket(_) | Address::Serial(_) => Ok(()),
        #[cfg(unix)]
        Address::Unix(_) => Ok(()),
        _ => Err(
            Failure::usage(format_args!("this program cannot listen at {address}"))
                .hint("it listens at tim://, tims://, ws://, wss:// and, on Unix, unix: addresses"),
        ),
    }
}

fn no_certificate(address: &impl std::fmt::Display) -> Failure {
    Failure::usage(format_args!("listening at {address} needs a certificate"))
        .hint("--tls-cert FILE and --tls-key FILE name it and its private key, both in PEM")
}

const fn needs_certificate(address: &Address) -> bool {
    match address {
        Address::Tls(_) => true,
        Address::WebSocket(url) => url.is_tls(),
        _ => false,
    }
}

/// Whose word about the address of a client is taken.
fn accept_options(settings: &Settings) -> AcceptOptions {
    let mut options = AcceptOptions::default();
    options.trusted_proxies.clone_from(&settings.trusted_proxy);
    options.client_address = match settings.proxy_header {
        ProxyHeader::XForwardedFor => ClientAddress::XForwardedFor,
        ProxyHeader::Forwarded => ClientAddress::Forwarded,
    };
    options
}

impl Listeners {
    /// The addresses, in the order in which they were given. A port 0 has become the one that was free.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.open.iter().map(|open| &open.address)
    }

    /// The address for commands on this machine: the first that needs no certificate, else the first.
    pub(crate) fn local(&self) -> Option<Address> {
        let easy = self.addresses().find(|address| !needs_certificate(address));
        let chosen = easy.or_else(|| self.addresses().next())?;
        Some(reachable(chosen.clone()))
    }

    /// Where files are served by HTTP.
    pub(crate) fn http(&self) -> Option<&HttpAddress> {
        self.http.as_ref().map(|(http, _)| &http.address)
    }

    /// Where metrics are served.
    pub(crate) fn metrics(&self) -> Option<&HttpAddress> {
        self.metrics.as_ref().map(|http| &http.address)
    }

    /// The certificate, to replace it.
    pub(crate) const fn tls(&self) -> Option<&HubTls> {
        self.tls.as_ref()
    }

    /// Serves all until one ends, which happens when `stop` is ready or the store has failed. All have ended then, and the hub
    /// has shut down.
    pub(crate) async fn serve(self, hub: &Arc<Hub>, stop: impl Future<Output = ()>) -> Result<(), HubError> {
        let stopping = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for Open { listener, .. } in self.open {
            let (hub, stop) = (Arc::clone(hub), stopping.subscribe());
            match listener {
                Kind::Tcp(listener) => tasks.spawn(serve_one(hub, listener, stop)),
                Kind::Tls(listener) => tasks.spawn(serve_one(hub, listener, stop)),
                Kind::WebSocket(listener) => tasks.spawn(serve_one(hub, listener, stop)),
                Kind::WebSocketTls(listener) => tasks.spawn(serve_one(hub, listener, stop)),
                #[cfg(unix)]
                Kind::Unix(listener) => tasks.spawn(serve_one(hub, listener, stop)),
            };
        }
        if let Some((http, options)) = self.http {
            let (hub, stop) = (Arc::clone(hub), is_set(stopping.subscribe()));
            match http.listener {
                HttpKind::Plain(listener) => {
                    tasks.spawn(async move { hub.serve_http(listener, options, stop).await })
                }
                HttpKind::Tls(listener) => {
                    tasks.spawn(async move { hub.serve_http(listener, options, stop).await })
                }
            };
        }
        if let Some(http) = self.metrics {
            let (hub, stop) = (Arc::clone(hub), is_set(stopping.subscribe()));
            tasks.spawn(async move {
                match http.listener {
                    HttpKind::Plain(listener) => hub.serve_metrics(listener, stop).await,
                    HttpKind::Tls(listener) => hub.serve_metrics(listener, stop).await,
                }
                Ok(())
            });
        }
        // Serial ports alone have no listener that would hear of it.
        let mut result = Ok(());
        tokio::select! {
            () = stop => {}
            reason = hub.failed() => result = Err(HubError::Store(reason)),
        }
        let _ = stopping.send(true);
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| Err(HubError::Io(std::io::Error::other(error))));
            result = result.and(ended);
        }
        if !hub.is_stopping() {
            hub.shut_down().await;
        }
        result
    }
}

/// Ready when the value is true, or nobody can set it any more.
async fn is_set(mut value: watch::Receiver<bool>) {
    drop(value.wait_for(|value| *value).await);
}

async fn serve_one(
    hub: Arc<Hub>,
    listener: impl Listener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), HubError> {
    hub.serve(listener, async move {
        let _ = stop.wait_for(|stop| *stop).await;
    })
    .await
}

/// The certificate of the settings, if there is one.
fn tls(settings: &Settings) -> Result<Option<HubTls>, Failure> {
    let (certificate, key) = (&settings.tls_cert, &settings.tls_key);
    match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) => Ok(None),
        (false, false) => {
            let tls = HubTls::from_files(certificate, key).map_err(cannot_use)?;
            with_max_fragment(tls, settings.tls_max_fragment).map(Some)
        }
        (true, false) => Err(Failure::usage(
            "--tls-key needs --tls-cert FILE, the certificate of that key",
        )),
        (false, true) => Err(Failure::usage(
            "--tls-cert needs --tls-key FILE, the private key of that certificate",
        )),
    }
}

fn with_max_fragment(tls: HubTls, len: u32) -> Result<HubTls, Failure> {
    match len as usize {
        0 => Ok(tls),
        len @ HubTls::LEAST_FRAGMENT..=HubTls::MAX_FRAGMENT => Ok(tls.with_max_fragment(len)),
        len => Err(Failure::usage(format!(
            "--tls-max-fragment is {len}; it can be 0, or from {} to {}",
            HubTls::LEAST_FRAGMENT,
            HubTls::MAX_FRAGMENT
        ))),
    }
}

fn cannot_use(error: TlsError) -> Failure {
    Failure::usage(error).hint("--tls-cert and --tls-key name files in PEM, of one certificate")
}

/// Refuses to let everybody on the way read what travels, unless that is allowed.
async fn check_plaintext(settings: &Settings, addresses: &[Address]) -> Result<(), Failure> {
    let plain = addresses.iter().filter(|address| address.is_plaintext());
    let mut plain: Vec<_> = plain
        .filter_map(|address| Some((address.to_string(), address.host_port()?.clone())))
        .collect();
    let serial = settings.serial_tcp_listen.iter();
    plain.extend(serial.map(|address| (address.to_string(), HostPort::from(*address))));
    for http in [&settings.http, &settings.metrics] {
        if let Some((false, place)) = &http.0 {
            plain.push((http.to_string(), place.clone()));
        }
    }
    for (address, place) in plain {
        if is_loopback(&place).await? {
            continue;
        }
        if !settings.allow_plaintext {
            return Err(Failure::usage(format_args!(
                "listening at {address} without TLS would let everybody on the way read messages, and UserSigs to log in with"
            ))
            .hint(
                "use tims:// or wss:// with --tls-cert and --tls-key, or a loopback address behind a proxy; --allow-plaintext listens all the same",
            ));
        }
        warn!(%address, "connections to this address are not encrypted: eavesdroppers can read UserSigs and log in as their users");
    }
    Ok(())
}

async fn is_loopback(place: &HostPort) -> Result<bool, Failure> {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    if let Some(ip) = place.ip() {
        return Ok(is_loopback(ip));
    }
    let found = tokio::net::lookup_host(place.to_string()).await;
    let mut found = found.map_err(|error| {
        Failure::usage(format_args!("cannot listen at {place}: {error}"))
            .hint("name an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all")
    })?;
    Ok(found.all(|address| is_loopback(address.ip())))
}

/// Listens at a host and port; the address that it has got.
async fn bind(place: &HostPort, address: &Address) -> Result<(TcpListener, Address), Failure> {
    let bound = async {
        let listener = TcpListener::bind(place.to_string()).await?;
        let got = listener.local_addr()?;
        Ok((listener, got))
    };
    let (listener, got) = bound.await.map_err(|error: std::io::Error| {
        Failure::failed(format_args!("cannot listen at {address}: {error}")).hint(format_args!(
            "--listen {}://127.0.0.1:0 takes any free port",
            address.scheme()
        ))
    })?;
    Ok((listener, address.clone().with_host_port(got.into())))
}

/// The serial ports among the addresses.
pub(crate) fn serial_ports(settings: &Settings) -> impl Iterator<Item = &SerialAddress> {
    settings.listen.iter().filter_map(|address| match &address.0 {
        Address::Serial(port) => Some(port),
        _ => None,
    })
}

/// An address at which a hub that listens at all addresses of this machine is reached.
fn reachable(address: Address) -> Address {
    let loopback: IpAddr = match address.host_port().and_then(HostPort::ip) {
        Some(IpAddr::V4(ip)) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        _ => return address,
    };
    let port = address.host_port().map_or(0, HostPort::port);
    address.with_host_port(SocketAddr::new(loopback, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_at_the_loopback_one() {
        for (listen, found) in [
            ("127.0.0.1:7878", "tim://127.0.0.1:7878"),
            ("0.0.0.0:1", "tim://127.0.0.1:1"),
            ("tims://[::]:2", "tims://[::1]:2"),
            ("ws://0.0.0.0:3/tim", "ws://127.0.0.1:3/tim"),
            ("unix:/run/tim.sock", "unix:/run/tim.sock"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), found);
        }
    }
}
