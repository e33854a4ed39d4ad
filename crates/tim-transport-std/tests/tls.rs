//! TLS: which certificates are accepted, how they are replaced, and clients that stop in the handshake.

#![cfg(feature = "tls")]

mod support;

use std::io;
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use support::{drive, driver, hub, log_in_and_out};
use tim_testkit::certificates::{Age, Authority, Files};
use tim_transport_std::session::Event;
use tim_transport_std::tls::{
    ClientTls, ClientTlsLink, HubTls, HubTlsLink, TlsAcceptor, TlsConnector, TlsError, TlsProtocol,
};
use tim_transport_std::{
    Address, AnyConnector, ConnectOptions, Connector, MemoryConnector, MemoryListener, memory_listener,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;

const NAME: &str = "hub.example.org";

/// Files of certificates, and a hub in memory that has one.
struct World {
    dir: tempfile::TempDir,
    authority: Authority,
    tls: HubTls,
    connector: MemoryConnector,
    listener: MemoryListener,
    acceptor: TlsAcceptor,
}

impl World {
    fn new(names: &[&str], age: Age) -> Self {
        tim_testkit::deadline();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "authority");
        let Files { certificate, key } = authority.sign("hub", names, age);
        let tls = HubTls::from_files(certificate, key).unwrap();
        let (connector, listener) = memory_listener();
        let acceptor = tls.acceptor(TlsProtocol::Tim);
        Self {
            dir,
            authority,
            tls,
            connector,
            listener,
            acceptor,
        }
    }

    fn connector(&self, tls: &ClientTls) -> TlsConnector<MemoryConnector> {
        TlsConnector::new(self.connector.clone(), NAME, tls, TlsProtocol::Tim).unwrap()
    }

    fn trusting(&self) -> ClientTls {
        ClientTls::new().with_roots_from(&self.authority.file).unwrap()
    }

    /// Both ends of a connection, once the handshake is over.
    async fn connect(
        &mut self,
        tls: &ClientTls,
    ) -> (
        io::Result<ClientTlsLink<DuplexStream>>,
        io::Result<HubTlsLink<DuplexStream>>,
    ) {
        let mut connector = self.connector(tls);
        let hub = async {
            let mut link = self.acceptor.accept(self.listener.accept().await.unwrap());
            link.handshake().await?;
            Ok(link)
        };
        tokio::join!(connector.connect(), hub)
    }

    /// Why the client does not accept the hub.
    async fn refused(&mut self, tls: &ClientTls) -> TlsError {
        let (client, hub) = self.connect(tls).await;
        assert!(hub.is_err());
        let error = client.expect_err("a reason");
        TlsError::of(&error).unwrap_or_else(|| panic!("{error}")).clone()
    }
}

async fn echo(client: &mut ClientTlsLink<DuplexStream>, hub: &mut HubTlsLink<DuplexStream>) {
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let mut bytes = [0; 5];
    hub.read_exact(&mut bytes).await.unwrap();
    hub.write_all(&bytes).await.unwrap();
    hub.flush().await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
}

#[tokio::test]
async fn logs_in_and_out_over_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    let Files { certificate, key } = authority.sign("hub", &["127.0.0.1"], Age::Valid);
    let acceptor = HubTls::from_files(certificate, key)
        .unwrap()
        .acceptor(TlsProtocol::Tim);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = format!("tims://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let trusting = ClientTls::new().with_roots_from(&authority.file).unwrap();
    let options = ConnectOptions::new().with_tls(trusting);
    let mut driver = driver(AnyConnector::new(&address, &options).unwrap());
    let serve = async { hub(acceptor.accept(listener.accept().await.unwrap().0)).await };
    tokio::join!(log_in_and_out(&mut driver), serve);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_says_for_which() {
    let mut world = World::new(&["chat.example.org", "192.0.2.1"], Age::Valid);
    let trusting = world.trusting();
    let error = world.refused(&trusting).await;
    let presented = ["chat.example.org", "192.0.2.1"].map(str::to_owned).to_vec();
    let expected = NAME.to_owned();
    assert_eq!(
        error.to_string(),
        "the certificate is not for hub.example.org, but for chat.example.org, 192.0.2.1"
    );
    assert_eq!(error, TlsError::WrongName { expected, presented });
    let by_its_name = trusting.with_name("chat.example.org");
    let (client, hub) = world.connect(&by_its_name).await;
    assert!(client.is_ok() && hub.is_ok());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_the_hub_hears_why() {
    let mut world = World::new(&[NAME], Age::Valid);
    let other = Authority::new(world.dir.path(), "other");
    let trusting = ClientTls::new().with_roots_from(&other.file).unwrap();
    let (client, hub) = world.connect(&trusting).await;
    let (client, hub) = (client.unwrap_err(), hub.unwrap_err());
    assert_eq!(
        TlsError::of(&client),
        Some(&TlsError::UnknownIssuer { hub: NAME.to_owned() })
    );
    assert!(hub.to_string().contains("does not trust the authority"), "{hub}");
    // Of several files, one is enough.
    let both = trusting.with_roots_from(&world.authority.file).unwrap();
    assert!(world.connect(&both).await.0.is_ok());
}

#[cfg(feature = "tls-platform")]
#[tokio::test]
async fn the_authorities_of_the_system_do_not_include_ours_but_can_be_added_to() {
    let mut world = World::new(&[NAME], Age::Valid);
    let error = world.refused(&ClientTls::new()).await;
    assert_eq!(error, TlsError::UnknownIssuer { hub: NAME.to_owned() });
    let both = world.trusting().with_platform_roots();
    assert!(world.connect(&both).await.0.is_ok());
}

#[cfg(not(feature = "tls-platform"))]
#[test]
fn without_a_file_nothing_is_trusted() {
    let (connector, _) = memory_listener();
    let none = TlsConnector::new(connector, NAME, &ClientTls::new(), TlsProtocol::Tim);
    assert_eq!(none.unwrap_err(), TlsError::NoRoots);
}

#[tokio::test]
async fn a_certificate_at_the_wrong_time_is_refused_with_the_day() {
    for (age, part) in [
        (Age::Expired, "has expired on 2021-02-03"),
        (Age::NotYetValid, "is valid from 2099-01-01 on"),
    ] {
        let mut world = World::new(&[NAME], age);
        let trusting = world.trusting();
        let error = world.refused(&trusting).await.to_string();
        assert!(error.contains(part) && error.contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn files_that_do_not_work_are_refused_with_the_reason() {
    let world = World::new(&[NAME], Age::Valid);
    let dir = world.dir.path();
    let hub = world.authority.sign("hub", &[NAME], Age::Valid);
    let other = world.authority.sign("other", &[NAME], Age::Valid);
    let (empty, cut) = (dir.join("empty"), dir.join("cut"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&cut, "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    let missing = dir.join("missing");
    let cases: [(&Path, &Path, &str); 6] = [
        (&hub.certificate, &other.key, "does not belong to the certificate"),
        (&missing, &hub.key, "No such file"),
        (&hub.certificate, &missing, "No such file"),
        (&empty, &hub.key, "there is no certificate in it"),
        (
            &hub.certificate,
            &hub.certificate,
            "there is no private key in it",
        ),
        (&cut, &hub.key, "it is no PEM file"),
    ];
    for (certificate, key, reason) in cases {
        let error = HubTls::from_files(certificate, key).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains(&*dir.to_string_lossy()),
            "{error}"
        );
        assert_eq!(world.tls.load(certificate, key).unwrap_err().to_string(), error);
    }
    assert!(ClientTls::new().with_roots_from(&empty).is_err());
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_one_that_does_not_work_changes_nothing() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let mut connector = world.connector(&trusting);
    // With one connector, so that there is a session to resume.
    let mut connect = async || {
        let connecting = connector.connect();
        let accepting = async {
            let mut link = world.acceptor.accept(world.listener.accept().await.unwrap());
            link.write_all(b"!").await?;
            link.flush().await?;
            io::Result::Ok(link)
        };
        let (client, hub) = tokio::join!(
            async {
                let mut link = connecting.await?;
                assert_eq!(link.read_u8().await?, b'!');
                io::Result::Ok(link)
            },
            accepting
        );
        (client, hub)
    };
    let (client, hub) = connect().await;
    let (mut client, mut hub) = (client.unwrap(), hub.unwrap());

    let expired = world.authority.sign("next", &[NAME], Age::Expired);
    assert!(world.tls.load(&expired.certificate, "/nonexistent").is_err());
    let (same, _) = connect().await;
    same.unwrap();

    world.tls.load(&expired.certificate, &expired.key).unwrap();
    let (refused, _) = connect().await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("has expired"),
        "nothing is resumed under the old one: {refused}"
    );
    echo(&mut client, &mut hub).await;

    let renewed = world.authority.sign("renewed", &[NAME], Age::Valid);
    world.tls.load(&renewed.certificate, &renewed.key).unwrap();
    let (renewed, _) = connect().await;
    renewed.unwrap();
    echo(&mut client, &mut hub).await;
}

#[tokio::test]
async fn ends_that_speak_something_else_are_told_from_each_other() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    // HTTP inside TLS.
    let connector = world.connector.clone();
    let mut browser = TlsConnector::new(connector, NAME, &trusting, TlsProtocol::Http).unwrap();
    let hub = async {
        let mut link = world.acceptor.accept(world.listener.accept().await.unwrap());
        link.read_u8().await.unwrap_err()
    };
    let (client, hub) = tokio::join!(browser.connect(), hub);
    assert_eq!(TlsError::of(&client.unwrap_err()), Some(&TlsError::OtherProtocol));
    assert_eq!(TlsError::of(&hub), Some(&TlsError::OtherProtocol));
    // A client without TLS.
    let mut plain = world.connector.clone();
    let (plain, accepted) = tokio::join!(plain.connect(), world.listener.accept());
    let mut link = world.acceptor.accept(accepted.unwrap());
    plain.unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(
        TlsError::of(&link.read_u8().await.unwrap_err()),
        Some(&TlsError::NotTls)
    );
    assert!(link.read_u8().await.is_err(), "for good");
    // A hub without TLS, and one that hangs up.
    for (answer, error) in [
        (&b"220 smtp.example.org\r\n"[..], TlsError::NotTls),
        (b"", TlsError::Closed),
    ] {
        let mut connector = world.connector(&trusting);
        let hub = async {
            let mut link = world.listener.accept().await.unwrap();
            link.read_u8().await.unwrap();
            link.write_all(answer).await.unwrap();
        };
        let (client, ()) = tokio::join!(connector.connect(), hub);
        assert_eq!(TlsError::of(&client.unwrap_err()), Some(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_the_handshake_is_in_nobodys_way_and_is_given_up() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let mut stalled = Vec::new();
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut connector = world.connector.clone();
        let (client, accepted) = tokio::join!(connector.connect(), world.listener.accept());
        let mut client = client.unwrap();
        client.write_all(said).await.unwrap();
        let mut link = world.acceptor.accept(accepted.unwrap());
        let task = tokio::spawn(async move { link.read_u8().await });
        stalled.push((client, task));
    }
    let (client, hub) = world.connect(&trusting).await;
    echo(&mut client.unwrap(), &mut hub.unwrap()).await;
    let began = tokio::time::Instant::now();
    for (_client, task) in stalled {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn without_its_acceptor_a_handshake_ends_and_a_connection_goes_on() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let (client, hub) = world.connect(&trusting).await;
    let mut connector = world.connector.clone();
    let (stalled, accepted) = tokio::join!(connector.connect(), world.listener.accept());
    let mut half = world.acceptor.accept(accepted.unwrap());
    let half = tokio::spawn(async move { half.read_u8().await });
    drop(world.acceptor);
    let error = half.await.unwrap().unwrap_err();
    assert_eq!(TlsError::of(&error), Some(&TlsError::Stopped));
    echo(&mut client.unwrap(), &mut hub.unwrap()).await;
    drop(stalled);
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let (client, hub) = world.connect(&trusting).await;
    let (mut client, mut hub) = (client.unwrap(), hub.unwrap());
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut words = String::new();
    hub.read_to_string(&mut words).await.unwrap();
    assert_eq!(words, "last words");
    hub.write_all(b"answer").await.unwrap();
    hub.shutdown().await.unwrap();
    words.clear();
    client.read_to_string(&mut words).await.unwrap();
    assert_eq!(words, "answer");
}

/// Polls a future once and drops it.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn futures_that_are_dropped_at_any_await_lose_nothing() {
    const LEN: usize = 1 << 20;
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let (client, hub) = world.connect(&trusting).await;
    let (mut client, mut hub) = (client.unwrap(), hub.unwrap());
    let byte = |at: usize| (at % 251) as u8;
    let sent: Vec<u8> = (0..LEN).map(byte).collect();
    let writing = async {
        let (mut at, mut dropped) = (0, 0);
        while at < LEN {
            let end = LEN.min(at + 30_000);
            if let Some(written) = poll_once(client.write(&sent[at..end])).await {
                at += written.unwrap();
            } else {
                dropped += 1;
                tokio::task::yield_now().await;
            }
        }
        client.shutdown().await.unwrap();
        dropped
    };
    let reading = async {
        let (mut at, mut dropped, mut chunk) = (0, 0, [0; 1000]);
        loop {
            let Some(read) = poll_once(hub.read(&mut chunk)).await else {
                dropped += 1;
                tokio::task::yield_now().await;
                continue;
            };
            let len = read.unwrap();
            if len == 0 {
                return (at, dropped);
            }
            let right = |(behind, found): (usize, &u8)| *found == byte(at + behind);
            assert!(chunk[..len].iter().enumerate().all(right));
            at += len;
        }
    };
    let (write_drops, (read, read_drops)) = tokio::join!(writing, reading);
    assert_eq!(read, LEN);
    assert!(write_drops > 10 && read_drops > 10, "{write_drops}, {read_drops}");
}

#[tokio::test]
async fn a_connector_that_is_dropped_in_the_handshake_can_connect_again() {
    let mut world = World::new(&[NAME], Age::Valid);
    let trusting = world.trusting();
    let mut connector = world.connector(&trusting);
    for _ in 0..3 {
        let given_up = tokio::time::timeout(Duration::ZERO, connector.connect()).await;
        assert!(given_up.is_err());
        let link = world.listener.accept().await.unwrap();
        assert!(world.acceptor.accept(link).read_u8().await.is_err());
    }
    let mut driver = driver(connector);
    let now = driver.now();
    driver.session().login(now);
    let serve = async { hub(world.acceptor.accept(world.listener.accept().await.unwrap())).await };
    let client = async move { drive(&mut driver, |event| matches!(event, Event::Ready)).await };
    tokio::join!(client, serve);
}
