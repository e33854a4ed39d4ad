//! The client's side: which hubs are trusted, and connections to them.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::{TlsError, TlsProtocol, VERSIONS, ended, provider};
use crate::connect::Connector;

/// Which hubs a client trusts.
///
/// By default, those whose certificate is signed by an authority that the system trusts, if the feature `tls-platform` is enabled;
/// otherwise none.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    roots: Vec<CertificateDer<'static>>,
    /// Whether those of the system are trusted, too, although there are `roots`.
    and_platform: bool,
    name: Option<String>,
    #[cfg(feature = "tls12")]
    with_tls12: bool,
}

impl ClientTls {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM file, in addition to those of earlier calls, instead of those of the system.
    ///
    /// # Errors
    /// [`TlsError::File`]
    pub fn with_roots_from(mut self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        self.roots.extend(certificates(path)?);
        Ok(self)
    }

    /// Trusts the authorities of the system, too, beside those of files. Needs the feature `tls-platform`.
    #[must_use]
    pub const fn with_platform_roots(mut self) -> Self {
        self.and_platform = true;
        self
    }

    /// The name that the certificate must be for, instead of the host of the address: for a hub that is reached by another name, for
    /// example through a tunnel.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Speaks TLS 1.2, too, with servers that have nothing newer: for servers of others. A hub has TLS 1.3.
    #[cfg(feature = "tls12")]
    #[must_use]
    pub const fn with_tls12(mut self) -> Self {
        self.with_tls12 = true;
        self
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        #[cfg(feature = "tls12")]
        if self.with_tls12 {
            return super::OLDER_VERSIONS;
        }
        VERSIONS
    }

    fn config(&self, protocol: TlsProtocol) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions())
            .map_err(|error| TlsError::Other(error.to_string()))?;
        let wants_platform = self.and_platform || self.roots.is_empty();
        let mut config = if wants_platform {
            builder
                .dangerous() // the name of rustls for any verifier but its own
                .with_custom_certificate_verifier(self.platform_verifier()?)
                .with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for root in &self.roots {
                let added = roots.add(root.clone());
                added.map_err(|error| {
                    TlsError::Other(format!(
                        "a certificate that is to be trusted cannot be that of an authority: {error}"
                    ))
                })?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        config.alpn_protocols = protocol.names();
        Ok(config)
    }

    #[cfg(feature = "tls-platform")]
    fn platform_verifier(&self) -> Result<Arc<rustls_platform_verifier::Verifier>, TlsError> {
        rustls_platform_verifier::Verifier::new_with_extra_roots(self.roots.iter().cloned(), provider())
            .map(Arc::new)
            .map_err(|error| {
                TlsError::Other(format!(
                    "the authorities that the system trusts cannot be read: {error}"
                ))
            })
    }

    #[cfg(not(feature = "tls-platform"))]
    fn platform_verifier(&self) -> Result<Arc<tokio_rustls::rustls::client::WebPkiServerVerifier>, TlsError> {
        Err(TlsError::NoRoots)
    }
}

/// The certificates in a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::file(path, "there is no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::pem(path, &error)),
    }
}

/// Opens connections through another connector and puts TLS on them.
#[derive(Debug, Clone)]
pub struct TlsConnector<C> {
    connector: C,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// For errors.
    shown: Arc<str>,
}

impl<C: Connector> TlsConnector<C> {
    /// Connects with `connector` to a hub whose certificate must be for `host`, a name or an IP address.
    ///
    /// # Errors
    /// If nothing is trusted, or the host is not a name that a certificate can be for.
    pub fn new(connector: C, host: &str, tls: &ClientTls, protocol: TlsProtocol) -> Result<Self, TlsError> {
        let host = tls.name.as_deref().unwrap_or(host);
        Ok(Self {
            connector,
            config: Arc::new(tls.config(protocol)?),
            name: server_name(host)?,
            shown: host.into(),
        })
    }

    /// The same for another host: it trusts the same authorities, which are not read again.
    ///
    /// # Errors
    /// [`TlsError::BadName`]
    pub fn to(&self, connector: C, host: &str) -> Result<Self, TlsError> {
        Ok(Self {
            connector,
            config: Arc::clone(&self.config),
            name: server_name(host)?,
            shown: host.into(),
        })
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName(host.to_owned()))
}

impl<C: Connector> Connector for TlsConnector<C> {
    type Link = ClientTlsLink<C::Link>;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        let connecting = self.connector.connect();
        let tls = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        let (name, shown) = (self.name.clone(), Arc::clone(&self.shown));
        async move {
            let link = connecting.await?;
            match tls.connect(name, link).await {
                Ok(stream) => Ok(ClientTlsLink(Box::new(stream))),
                Err(error) => Err(TlsError::of_handshake(error, &shown)),
            }
        }
    }
}

/// The client's end of a TLS connection.
#[derive(Debug)]
pub struct ClientTlsLink<L>(Box<client::TlsStream<L>>);

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientTlsLink<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, bytes).map(ended)
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientTlsLink<L> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
