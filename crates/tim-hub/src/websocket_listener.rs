//! A listener that puts WebSocket on the connections of another one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;

use tim_transport_std::websocket::{HandshakeError, WebSocketAcceptor, WebSocketLink};
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use crate::admission::Network;
use crate::listener::{Listener, Peer};

/// How many handshakes can be under way by default.
const MAX_HANDSHAKES: usize = 1000;

type Connected<L> = (WebSocketLink<<L as Listener>::Link>, Peer);

/// WebSocket on the connections of another listener: of a `TcpListener` for `ws://` addresses, of a `TlsListener` with
/// `TlsProtocol::Http` for `wss://` addresses.
///
/// Handshakes run concurrently, so a slow client keeps nobody waiting. A connection becomes one of the hub when its handshake is
/// complete, with the client's address that a trusted proxy names. If there are too many handshakes, the oldest one of the address that
/// has most of them is dropped; an IPv6 network of 64 bits counts as one address.
///
/// ```no_run
/// use tim_hub::usersig::App;
/// use tim_hub::websocket::{AcceptOptions, ClientAddress, WebSocketAcceptor};
/// use tim_hub::{Hub, HubOptions, WebSocketListener};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::open("/var/lib/tim", HubOptions::new(App::new(1_400_000_000, "a key that nobody guesses")))?;
/// let mut options = AcceptOptions::default();
/// options.path = Some("/tim".to_owned());
/// options.client_address = ClientAddress::XForwardedFor;
/// options.trusted_proxies = vec!["127.0.0.1".parse()?];
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let listener = WebSocketListener::new(listener, WebSocketAcceptor::new(options));
/// hub.serve(listener, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocketListener<L: Listener> {
    listener: L,
    acceptor: WebSocketAcceptor,
    max_handshakes: usize,
    running: JoinSet<Result<Connected<L>, (HandshakeError, Peer)>>,
    /// The handshakes under way, oldest first, and some that are over.
    started: VecDeque<(AbortHandle, Option<Network>)>,
}

impl<L: Listener> WebSocketListener<L> {
    /// Serves WebSocket on the connections of `listener`.
    #[must_use]
    pub fn new(listener: L, acceptor: WebSocketAcceptor) -> Self {
        Self {
            listener,
            acceptor,
            max_handshakes: MAX_HANDSHAKES,
            running: JoinSet::new(),
            started: VecDeque::new(),
        }
    }

    /// How many handshakes can be under way. Default 1,000; at least 1.
    #[must_use]
    pub fn with_max_handshakes(self, max: usize) -> Self {
        let max_handshakes = max.max(1);
        Self {
            max_handshakes,
            ..self
        }
    }

    fn start(&mut self, link: L::Link, peer: Peer) {
        if self.started.len() >= self.max_handshakes {
            self.started.retain(|(handshake, _)| !handshake.is_finished());
        }
        if self.started.len() >= self.max_handshakes {
            self.drop_one();
        }
        let address = peer.address();
        let accepting = self.acceptor.accept(link, address);
        let handshake = self.running.spawn(async move {
            match accepting.await {
                Ok(accepted) => Ok((accepted.link, behind_proxy(peer, accepted.address))),
                Err(error) => Err((error, peer)),
            }
        });
        self.started.push_back((handshake, address.map(Network::from)));
    }

    /// Drops the oldest handshake of the address that has most of them.
    fn drop_one(&mut self) {
        let mut counts = HashMap::new();
        for (_, network) in &self.started {
            *counts.entry(*network).or_insert(0_usize) += 1;
        }
        let most = counts.values().copied().max();
        let of_most = |(_, network): &(AbortHandle, Option<Network>)| counts.get(network).copied() == most;
        let oldest = self.started.iter().position(of_most);
        if let Some((handshake, _)) = oldest.and_then(|at| self.started.remove(at)) {
            handshake.abort();
        }
    }
}

/// The peer with the address that its proxy names.
fn behind_proxy(peer: Peer, address: Option<IpAddr>) -> Peer {
    match address {
        Some(address) if peer.address().map(|own| own.to_canonical()) != Some(address) => {
            Peer::new(format!("{address} behind {}", peer.name())).with_address(address)
        }
        _ => peer,
    }
}

impl<L: Listener> Listener for WebSocketListener<L> {
    type Link = WebSocketLink<L::Link>;

    async fn accept(&mut self) -> io::Result<(Self::Link, Peer)> {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => match done {
                    Ok(Ok(connection)) => return Ok(connection),
                    Ok(Err((error, peer))) => debug!(peer = peer.name(), %error, "no WebSocket connection"),
                    Err(_) => {} // it was dropped for a newer one
                },
                accepted = self.listener.accept() => {
                    let (link, peer) = accepted?;
                    self.start(link, peer);
                }
            }
        }
    }
}
