//! A hub behind WebSocket, at ws://127.0.0.1:8080/tim, on a temporary directory.
//!
//! `cargo run -p tim-hub --features websocket --example websocket`; the documentation of `tim_transport_std::websocket` has a client in
//! Python to try it with.

use tim_hub::usersig::App;
use tim_hub::websocket::{AcceptOptions, WebSocketAcceptor};
use tim_hub::{Hub, HubOptions, WebSocketListener};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let options = HubOptions::new(App::new(1_400_000_000, "a key that nobody guesses"));
    let hub = Hub::open(directory.path(), options)?;
    let mut accept = AcceptOptions::default();
    accept.path = Some("/tim".to_owned());
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let listener = WebSocketListener::new(listener, WebSocketAcceptor::new(accept));
    hub.serve(listener, std::future::pending()).await?;
    Ok(())
}
