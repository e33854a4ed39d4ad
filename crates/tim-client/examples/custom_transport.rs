//! A transport of your own: the client over a Unix socket, against a hub that listens on one.
//!
//! A client takes any [`Connector`]: something that opens a byte stream again and again. A hub takes any byte stream.
//!
//! ```sh
//! cargo run -p tim-client --example custom_transport
//! ```
#![allow(clippy::print_stdout)] // an example prints

#[cfg(not(unix))]
fn main() {
    println!("this example needs Unix sockets");
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::future::Future;
    use std::io;
    use std::path::PathBuf;
    use std::time::{SystemTime, UNIX_EPOCH};

    use tim_client::transport::Connector;
    use tim_client::{Client, SendOptions, UserId};
    use tim_hub::usersig::{App, UserSig};
    use tim_hub::{Hub, HubOptions};
    use tokio::net::{UnixListener, UnixStream};

    /// Connects to a socket file.
    struct UnixConnector(PathBuf);

    impl Connector for UnixConnector {
        type Link = UnixStream;

        fn connect(&mut self) -> impl Future<Output = io::Result<UnixStream>> + Send + 'static {
            let path = self.0.clone();
            async move { UnixStream::connect(path).await }
        }
    }

    let directory = tempfile::tempdir()?;
    let path = directory.path().join("hub.sock");
    let app = App::new(1_400_000_000, "an-app-key-that-nobody-can-guess");
    let hub = Hub::open(directory.path().join("data"), HubOptions::new(app.clone()))?;
    let listener = UnixListener::bind(&path)?;

    let talk = async {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let alice = UserId::new("alice")?;
        let user_sig = UserSig::sign(&app, &alice, now, 3600);
        let client = Client::builder(app.id, alice, user_sig).build(UnixConnector(path.clone()));
        client.login().await?;
        client.wait_until_ready().await?;
        let hello = client.create_text_message(UserId::new("bob")?, "Hello over a Unix socket")?;
        let sent = client.send_message(&hello, SendOptions::default()).await?;
        println!("stored as number {} of the conversation", sent.message.sequence());
        client.logout().await?;
        Ok::<(), Box<dyn std::error::Error>>(())
    };
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            hub.spawn(stream);
        }
    };
    tokio::select! {
        result = talk => result?,
        result = accept => { let never: io::Result<()> = result; never? }
    }
    hub.shut_down().await;
    Ok(())
}
