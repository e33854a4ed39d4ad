//! An HTTP client for many servers, whose names come from outside: over TLS only, and with a bounded number of them at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tim_transport_std::TcpConnector;
use tim_transport_std::tls::{ClientTls, TlsConnector, TlsProtocol};

use super::AGENT;
use super::body::Whole;
use super::place::{Connecting, Place};
use super::pool::{Head, Pool};
use crate::threads::lock;

/// Of how many servers connections are kept.
const MAX_HOSTS: usize = 64;

/// A client for many servers.
pub(crate) struct HostsClient {
    /// What is trusted; each server has its own name.
    tls: TlsConnector<TcpConnector>,
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

impl HostsClient {
    /// # Errors
    /// What is wrong with what is trusted.
    pub(crate) fn new(tls: &ClientTls) -> Result<Self, String> {
        let nowhere = TcpConnector::new("localhost:443");
        let tls = TlsConnector::new(nowhere, "localhost", tls, TlsProtocol::Http);
        Ok(Self {
            tls: tls.map_err(|error| error.to_string())?,
            pools: Mutex::default(),
        })
    }

    /// Posts a body to a place, of whose answer only the head counts. It is spoken to over TLS, whatever its URL says.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn post(
        &self,
        place: &Place,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Head, String> {
        let target = match place.query.as_str() {
            "" => place.path.clone(),
            query => format!("{}?{query}", place.path),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(HOST, place.host_header()?)
            .header(USER_AGENT, AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Whole(Some(body)))
            .map_err(|error| error.to_string())?;
        self.pool(place)?.send_for_head(request).await
    }

    fn pool(&self, place: &Place) -> Result<Arc<Pool>, String> {
        let mut pools = lock(&self.pools);
        let name = place.authority.as_str().to_ascii_lowercase();
        if let Some(pool) = pools.get(&name) {
            return Ok(Arc::clone(pool));
        }
        if pools.len() >= MAX_HOSTS {
            // The push services of browsers are few; more names than that are those of one service, and cost a connection again.
            pools.clear();
        }
        let tls = self.tls.to(place.tcp(), place.host());
        let pool = Arc::new(Pool::new(Connecting::tls(
            tls.map_err(|error| error.to_string())?,
        )));
        pools.insert(name, Arc::clone(&pool));
        Ok(pool)
    }
}
