//! A device behind TLS against the hub's TLS listener: keys that are right and wrong, forged signatures, connections that are cut.

mod host;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::{Tcp, Time, pin};
use rand_core::OsRng;
use tim_device_tls::{PIN_LEN, TlsTransport};
use tim_testkit::certificates::{Age, Authority, Files};
use tim_testkit::{ScriptedHub, c2c, user};
use tim_transport_embedded::proto::message::{Envelope, Text};
use tim_transport_embedded::proto::request::SendResponse;
use tim_transport_embedded::proto::{Message, MessageId};
use tim_transport_embedded::{ClientConfig, Device, Event, Resources, Transport as _};
use tim_transport_std::tls::{HubTls, TlsProtocol};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

/// A directory with the files of two certificates.
struct World {
    _dir: tempfile::TempDir,
    hub: Files,
    other: Files,
    listener: TcpListener,
}

impl World {
    async fn new() -> Self {
        tim_testkit::deadline();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "authority");
        Self {
            hub: authority.sign("hub", &["hub.example.org"], Age::Valid),
            other: authority.sign("other", &["hub.example.org"], Age::Valid),
            _dir: dir,
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    fn socket(&self) -> Tcp {
        Tcp::new(self.listener.local_addr().unwrap().port())
    }

    /// Whether a device with these pins accepts a hub with this certificate, which signs with this key.
    async fn accepts(&self, pins: &[[u8; PIN_LEN]], certificate: &Path, key: &Path) -> bool {
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let (mut received, mut sent) = ([0; 2048], [0; 1024]);
        let mut device = TlsTransport::new(self.socket(), OsRng, pins, &mut received, &mut sent);
        let hub = async {
            let (stream, _) = self.listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_ok()
        };
        let device = async {
            let is_open = device.connect().await.is_some();
            device.disconnect().await;
            is_open
        };
        tokio::join!(device, hub).0
    }
}

#[tokio::test]
async fn only_a_hub_that_signs_with_a_pinned_key_is_accepted() {
    let world = World::new().await;
    let (World { hub, other, .. }, none) = (&world, [0; PIN_LEN]);
    let [right, wrong] = [pin(&hub.certificate), pin(&other.certificate)];
    assert!(world.accepts(&[right], &hub.certificate, &hub.key).await);
    // While the key is replaced, both are pinned.
    assert!(world.accepts(&[right, wrong], &hub.certificate, &hub.key).await);
    assert!(
        world
            .accepts(&[right, wrong], &other.certificate, &other.key)
            .await
    );
    assert!(!world.accepts(&[wrong], &hub.certificate, &hub.key).await);
    assert!(!world.accepts(&[none], &hub.certificate, &hub.key).await);
    assert!(!world.accepts(&[], &hub.certificate, &hub.key).await);
    // The certificate of the hub, which anybody can copy, and another key.
    assert!(!world.accepts(&[right], &hub.certificate, &other.key).await);
    assert!(!world.accepts(&[right, wrong], &hub.certificate, &other.key).await);
}

/// A hub that says something before it answers a message. The first connections end before a message is answered.
async fn answer(world: &World, messages: u64, cuts: u32) {
    let tls = HubTls::from_files(&world.hub.certificate, &world.hub.key).unwrap();
    let acceptor = tls.acceptor(TlsProtocol::Tim);
    for connection in 0..=cuts {
        let (stream, _) = world.listener.accept().await.unwrap();
        let mut hub = ScriptedHub::new(acceptor.accept(stream));
        hub.let_in().await;
        let mut request = hub.next_request().await;
        if connection < cuts {
            continue;
        }
        for number in 1..=messages {
            let id = MessageId {
                sender: 7,
                client_time: 0,
                random: number as u32,
            };
            let mut envelope = Envelope::new(user("bob"));
            envelope.sequence = number;
            let said = Message::new(envelope, c2c("kiosk"), id, Text::new("hello").into());
            hub.deliver(&number.to_be_bytes(), &said).await;
            hub.answer(&request, &SendResponse::new(number, 0)).await;
            if number < messages {
                request = hub.next_request().await;
            }
        }
    }
}

/// Sends and receives, and returns how often the device has connected.
async fn talk(messages: u64, cuts: u32) -> u32 {
    let world = World::new().await;
    let pins = [pin(&world.hub.certificate)];
    let (mut received, mut sent) = ([0; 2048], [0; 1024]);
    let socket = world.socket();
    let transport = TlsTransport::new(socket.clone(), OsRng, &pins, &mut received, &mut sent);
    let mut resources = Resources::<512, 512, 512>::new();
    let mut config = ClientConfig::new(1, user("kiosk"), 7);
    config.window = 2;
    config.backoff_min = Duration::from_millis(1);
    let mut device = Device::new(config, "sig", &mut resources, 1, Time::new());
    let (client, runner) = device.split(transport);
    let heard = Cell::new(0);
    let listen = |event: Event<'_>| heard.set(heard.get() + u64::from(matches!(event, Event::Delivered(_))));
    let application = runner.run(async |mut events| {
        events.until(client.login(), listen).await.unwrap();
        events.until(client.wait_until_ready(), listen).await.unwrap();
        for _ in 0..messages {
            let mut message = client.create_text_message(c2c("bob"), "a parcel").unwrap();
            events
                .until(client.send_message(&mut message), listen)
                .await
                .unwrap();
        }
        while heard.get() < messages {
            listen(events.next_event().await);
        }
    });
    tokio::join!(application, answer(&world, messages, cuts));
    socket.connects()
}

#[tokio::test]
async fn a_thousand_messages_go_both_ways_over_one_connection() {
    assert_eq!(talk(1_000, 0).await, 1);
}

#[tokio::test]
async fn connections_that_are_cut_are_opened_again() {
    assert_eq!(talk(20, 3).await, 4);
}
