//! A hub serves HTTP beside its own protocol.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use super::{GOODBYE_TIMEOUT, Hub, HubError};
use crate::http::{HttpOptions, Server, Surface};
use crate::listener::Listener;

impl Hub {
    /// Serves files by HTTP/1.1, and with the feature `rest` the REST interface if there is an administrator, until `stop` is ready
    /// or the hub stops. Then it waits a moment for downloads to end, and returns. From now on, FILE_URL makes URLs, which are signed
    /// with the app key and expire. For TLS, pass a `TlsListener` with `TlsProtocol::Http`.
    ///
    /// A URL gives access to what the user for whom it was made may read. The hub checks this at each request, and again for each
    /// piece that it sends. The first piece is read before the status is sent: 404 if the file is gone or may not be read, 500 if its
    /// content is damaged, 503 if it cannot be read for now.
    ///
    /// # Errors
    /// [`HubError::Options`] for options that cannot work.
    pub async fn serve_http(
        &self,
        listener: impl Listener,
        options: HttpOptions,
        stop: impl Future<Output = ()>,
    ) -> Result<(), HubError> {
        options.check().map_err(HubError::Options)?;
        self.services.file_urls.set(&options.base, options.url_life);
        self.serve_paths(listener, options, Surface::Public, stop).await;
        Ok(())
    }

    /// Serves `/metrics` for Prometheus until `stop` is ready or the hub stops, with `/healthz` and `/readyz`, which
    /// [`serve_http`](Self::serve_http) has, too. Whoever reaches this listener sees how much the hub is used, and nothing of its users:
    /// let it listen where only the operator's programs come.
    pub async fn serve_metrics(&self, listener: impl Listener, stop: impl Future<Output = ()>) {
        // Nothing here has a URL.
        let options = HttpOptions::new("http://localhost");
        self.serve_paths(listener, options, Surface::Operator, stop).await;
    }

    /// Carries out a call of the REST interface that this process makes itself, without HTTP: what `POST` of the body, a JSON object, to
    /// the path would do, such as `/v4/openim/sendmsg`. Returns the JSON object that answers it. Needs a runtime of tokio. The call is
    /// carried out whether or not the future is polled to its end once it has been polled.
    ///
    /// The caller answers for the administrator: whether the user is one is not checked, nor are a UserSig and the rate of calls.
    #[cfg(feature = "rest")]
    pub async fn call_rest(&self, admin: tim_proto::UserId, path: &str, body: &[u8]) -> String {
        crate::http::call_within(&self.services, admin, path, body).await
    }

    async fn serve_paths(
        &self,
        mut listener: impl Listener,
        options: HttpOptions,
        surface: Surface,
        stop: impl Future<Output = ()>,
    ) {
        let server = Arc::new(Server::new(Arc::clone(&self.services), options, surface));
        let mut stop = std::pin::pin!(stop);
        let mut stopping = std::pin::pin!(Arc::clone(&self.status.stopping).listener().wait());
        let closing = watch::Sender::new(false);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = &mut stopping => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((link, peer)) => {
                        let address = peer.address();
                        match server.enter(address) {
                            Some(place) => {
                                let (server, closing) = (Arc::clone(&server), closing.subscribe());
                                connections.spawn(async move {
                                    server.serve(link, address, place, closing).await;
                                });
                            }
                            None => self.note_turned_away(peer.name()),
                        }
                    }
                    Err(error) => {
                        warn!(%error, "an HTTP connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(listener);
        let _ = closing.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, all).await;
        // Those that go on are cut off.
        connections.shutdown().await;
    }
}
