//! Where a request goes, as a URL says it, and connections there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use tim_transport_std::tls::{ClientTls, TlsConnector, TlsProtocol};
use tim_transport_std::{Connector, TcpConnector};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::threads::lock;

/// An `http://` or `https://` URL in its parts.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) is_tls: bool,
    pub(crate) authority: Authority,
    /// It begins with a slash.
    pub(crate) path: String,
    /// Without the question mark; maybe empty.
    pub(crate) query: String,
}

impl Place {
    /// # Errors
    /// What is wrong with the URL, and how one is written.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("this is no URL to send requests to, {what}: write http://HOST/PATH or https://HOST/PATH")
        };
        let uri: Uri = url
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| wrong(&error.to_string()))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(wrong("its host is missing, or has a user before it"));
        }
        let has_port = authority.as_str() != authority.host();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(wrong("its port is no number from 1 to 65535"));
        }
        let path = match uri.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        Ok(Self {
            is_tls,
            authority: authority.clone(),
            path,
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        let default = if self.is_tls { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    /// The host without the brackets of an IPv6 address, as it stands in certificates.
    pub(crate) fn host(&self) -> &str {
        self.authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
    }

    pub(crate) fn tcp(&self) -> TcpConnector {
        TcpConnector::new(format!("{}:{}", self.authority.host(), self.port()))
    }

    pub(crate) fn host_header(&self) -> Result<HeaderValue, String> {
        HeaderValue::from_str(self.authority.as_str()).map_err(|error| error.to_string())
    }

    /// Connections to it.
    ///
    /// # Errors
    /// What is wrong with the host, or with what is trusted.
    pub(crate) fn connecting(&self, tls: &ClientTls, protocol: TlsProtocol) -> Result<Connecting, String> {
        if !self.is_tls {
            return Ok(Connecting::plain(self.tcp()));
        }
        let connector = TlsConnector::new(self.tcp(), self.host(), tls, protocol);
        Ok(Connecting::tls(connector.map_err(|error| error.to_string())?))
    }
}

/// Opens connections.
pub(crate) struct Connecting(Mutex<AnyConnector>);

enum AnyConnector {
    Plain(TcpConnector),
    Tls(TlsConnector<TcpConnector>),
    Over(Over),
}

/// A connection that is being opened.
type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Link>>> + Send>>;

/// A connector of the program that embeds the hub. Clones are the same one.
#[derive(Clone)]
pub(super) struct Over(Arc<Mutex<dyn FnMut() -> Opening + Send>>);

impl Over {
    pub(super) fn new(mut connector: impl Connector) -> Self {
        Self(Arc::new(Mutex::new(move || -> Opening {
            let opening = connector.connect();
            Box::pin(async move {
                let link: Box<dyn Link> = Box::new(opening.await?);
                Ok(link)
            })
        })))
    }
}

/// A connection, with or without TLS.
pub(super) trait Link: AsyncRead + AsyncWrite + Unpin + Send {}

impl<L: AsyncRead + AsyncWrite + Unpin + Send> Link for L {}

impl Connecting {
    fn plain(connector: TcpConnector) -> Self {
        Self(Mutex::new(AnyConnector::Plain(connector)))
    }

    pub(super) fn tls(connector: TlsConnector<TcpConnector>) -> Self {
        Self(Mutex::new(AnyConnector::Tls(connector)))
    }

    pub(super) fn over(connector: Over) -> Self {
        Self(Mutex::new(AnyConnector::Over(connector)))
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Link>> {
        enum Opening<P, T> {
            Plain(P),
            Tls(T),
            Over(self::Opening),
        }
        let opening = match &mut *lock(&self.0) {
            AnyConnector::Plain(tcp) => Opening::Plain(tcp.connect()),
            AnyConnector::Tls(tls) => Opening::Tls(tls.connect()),
            AnyConnector::Over(over) => Opening::Over((lock(&over.0))()),
        };
        Ok(match opening {
            Opening::Plain(link) => Box::new(link.await?),
            Opening::Tls(link) => Box::new(link.await?),
            Opening::Over(link) => link.await?,
        })
    }
}
