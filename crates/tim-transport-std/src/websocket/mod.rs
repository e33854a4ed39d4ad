//! WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)): for networks that let nothing else through, behind reverse proxies, and
//! for browsers.
//!
//! The bytes of a connection travel in binary messages. The boundaries of messages mean nothing: either end, and a proxy between them, may
//! cut the bytes into messages as it likes. The subprotocol is [`SUBPROTOCOL`]; a client that does not offer it is refused. Text
//! messages end the connection.
//!
//! A [`WebSocketConnector`] opens connections over those of any other [`Connector`](crate::Connector): TCP for `ws://`, TLS for `wss://`.
//! A [`WebSocketAcceptor`] makes the hub's end of one over any byte stream. Both ends are a [`WebSocketLink`].
//!
//! A link differs from a TCP connection in one way: closing it closes both directions, because WebSocket cannot close one alone. Bytes
//! that were sent before still arrive.
//!
//! # Behind a reverse proxy
//!
//! The proxy must pass on the upgrade. In nginx:
//!
//! ```text
//! location /tim {
//!     proxy_pass http://127.0.0.1:8080;
//!     proxy_http_version 1.1;
//!     proxy_set_header Upgrade $http_upgrade;
//!     proxy_set_header Connection "upgrade";
//!     proxy_set_header Host $host;
//!     proxy_set_header X-Forwarded-For $remote_addr;
//!     proxy_read_timeout 120s;
//! }
//! ```
//!
//! - Without the headers `Upgrade` and `Connection`, the hub responds 426, and the client is told so.
//! - **Idle connections.** A proxy cuts a connection on which nothing has passed for a while, nginx after 60 s (`proxy_read_timeout`). A
//!   client of tim sends a PING when it has received nothing for 30 s (`ClientConfig::keep_alive`), and the hub responds, so such a
//!   connection is never idle for longer. If the limit of the proxy is shorter, lower `keep_alive` below it. If other clients leave
//!   keepalive to the hub, lower that of the hub (`HubConfig::keep_alive`, 75 s) or raise the limit of the proxy above it. A connection
//!   that is cut all the same is opened again, and nothing is lost.
//! - **The client's address.** Every connection comes from the proxy's address. With [`AcceptOptions::trusted_proxies`] and
//!   [`AcceptOptions::client_address`], the hub takes the client's address from the header that the proxy sets. Choose the header that
//!   the proxy really sets: it passes on any other header as the client wrote it.
//!
//! # A client in another language
//!
//! Any WebSocket client will do. In the repository, `cargo run -p tim-hub --features websocket --example websocket` starts a hub at
//! `ws://127.0.0.1:8080/tim`. With Python's [`websockets`](https://pypi.org/project/websockets/), a client sends its hello and receives
//! that of the hub:
//!
//! ```text
//! $ pip install websockets
//! $ python3 - <<'END'
//! from websockets.sync.client import connect
//! with connect("ws://127.0.0.1:8080/tim", subprotocols=["tim.v1"]) as hub:
//!     # Magic, versions 1 to 1, client, reserved, features, the largest frame, a window of 16, reserved.
//!     hub.send(b"tim\x1a" + bytes([1, 1, 1, 0]) + bytes(4) + (65536).to_bytes(4, "little") + (16).to_bytes(2, "little") + bytes(2))
//!     print(hub.recv())
//! END
//! b'tim\x1a\x01\x01\x02\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00'
//! ```
//!
//! The response to any other request says what is served there:
//!
//! ```text
//! $ curl -i http://127.0.0.1:8080/tim
//! HTTP/1.1 426 Upgrade Required
//! ```

mod accept;
mod connect;
mod head;
mod link;

pub use crate::forwarded::ClientAddress;
pub use accept::{AcceptOptions, Accepted, HandshakeError, WebSocketAcceptor};
pub use connect::WebSocketConnector;
pub use link::WebSocketLink;

/// The subprotocol that both ends must name.
pub const SUBPROTOCOL: &str = "tim.v1";
