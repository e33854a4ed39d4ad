//! An HTTP client for one URL of the application. It keeps connections alive, follows no redirects, and reads answers up to a limit.
//!
//! The caller limits the time: the future of a request can be dropped, and its connection goes with it.

use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use tim_transport_std::tls::TlsProtocol;

use super::body::Whole;
use super::place::{Connecting, Place};
use super::pool::{Again, Head, Pool, Progress};
use super::{AGENT, Endpoint, Failed, Fault, signature};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 128 * 1024;

/// A client for one URL.
pub(crate) struct HttpClient {
    endpoint: Endpoint,
    /// As in the endpoint, until there is another one.
    token: RwLock<String>,
    host: HeaderValue,
    place: Place,
    pool: Pool,
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl HttpClient {
    /// A client for this endpoint.
    ///
    /// # Errors
    /// What is wrong with its URL.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let place = Place::parse(&endpoint.url)?;
        let connecting = match &endpoint.over {
            Some(connector) => Connecting::over(connector.clone()),
            None => place.connecting(&endpoint.tls, TlsProtocol::Http)?,
        };
        let host = place.host_header()?;
        Ok(Self {
            token: RwLock::new(endpoint.token.clone()),
            endpoint,
            host,
            place,
            pool: Pool::new(connecting),
        })
    }

    /// Signs with the token of this endpoint from now on, if it has the same URL.
    pub(crate) fn set_token(&self, endpoint: &Endpoint) {
        if endpoint.url == self.endpoint.url {
            let mut token = self.token.write().unwrap_or_else(PoisonError::into_inner);
            token.clone_from(&endpoint.token);
        }
    }

    /// Posts JSON. `query` is added to that of the URL, with the signature behind it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post(
        &self,
        query: &str,
        body: Bytes,
        unix_seconds: u64,
        (again, progress): (Again, &Progress),
    ) -> Result<Answer, Failed> {
        let request = self.request(query, None, body, unix_seconds);
        let request = request.map_err(|what| Fault::Useless.because(what))?;
        let asking = self.pool.ask(request, MAX_ANSWER, (again, progress));
        let (head, body) = asking.await?;
        Ok(Answer {
            status: head.status,
            body,
        })
    }

    /// Posts JSON, of whose answer only the head counts.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post_for_head(
        &self,
        header: (HeaderName, &str),
        body: Bytes,
        unix_seconds: u64,
    ) -> Result<Head, String> {
        let request = self.request("", Some(header), body, unix_seconds)?;
        self.pool.send_for_head(request).await
    }

    fn request(
        &self,
        query: &str,
        header: Option<(HeaderName, &str)>,
        body: Bytes,
        unix_seconds: u64,
    ) -> Result<Request<Whole>, String> {
        let signature = {
            let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
            signature(&token, unix_seconds)
        };
        let parts = [self.place.query.as_str(), query, &signature];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let target = match parts.is_empty() {
            true => self.place.path.clone(),
            false => format!("{}?{}", self.place.path, parts.join("&")),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(HOST, self.host.clone())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.body(Whole(Some(body))).map_err(|error| error.to_string())
    }
}
