//! Downloads by HTTP that are under way when something happens.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tim_hub::tls::{HubTls, TlsProtocol};
use tim_hub::{ClientAddress, HttpOptions};
use tim_proto::request::FilePart;
use tim_proto::{GroupType, MessageKind};
use tim_testkit::certificates::{Age, Authority};
use tim_transport_std::tls::{ClientTls, TlsConnector};
use tim_transport_std::{Connector, TcpConnector};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use super::http::target;
use crate::support::{Device, Served, TestHub, c2c, group, user};

/// More than what is on its way to a client that does not read.
const LEN: usize = 8 << 20;

fn content() -> Vec<u8> {
    (0..LEN).map(|at| (at ^ (at >> 9)) as u8).collect()
}

trait Link: AsyncRead + AsyncWrite + Unpin {}

impl<L: AsyncRead + AsyncWrite + Unpin> Link for L {}

/// A client that reads as much of a response as the test says.
struct Reader {
    runtime: Runtime,
    link: Box<dyn Link>,
}

impl Reader {
    fn new(address: SocketAddr, tls: Option<&ClientTls>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut tcp = TcpConnector::new(address.to_string());
        let link: Box<dyn Link> = runtime.block_on(async {
            match tls {
                None => Box::new(tcp.connect().await.unwrap()) as Box<dyn Link>,
                Some(tls) => {
                    let mut tls = TlsConnector::new(tcp, "127.0.0.1", tls, TlsProtocol::Http).unwrap();
                    Box::new(tls.connect().await.unwrap())
                }
            }
        });
        Self { runtime, link }
    }

    /// Asks for the target, and reads the head and the beginning of the body.
    fn begin(&mut self, target: &str, lines: &str) -> (String, Vec<u8>) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{lines}\r\n");
        let Self { runtime, link } = self;
        runtime.block_on(async {
            link.write_all(request.as_bytes()).await.unwrap();
            link.flush().await.unwrap();
            let mut read = Vec::new();
            loop {
                if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                    let body = read.split_off(end + 4);
                    return (String::from_utf8(read).unwrap(), body);
                }
                assert!(link.read_buf(&mut read).await.unwrap() > 0);
            }
        })
    }

    /// What comes until the hub ends it.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.runtime.block_on(self.link.read_to_end(&mut rest));
        rest
    }
}

/// HTTP without and with TLS.
fn both(hub: &TestHub, check: impl Fn(&Served, Option<&ClientTls>)) {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let files = authority.sign("hub", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&files.certificate, &files.key).unwrap();
    let trusting = ClientTls::new().with_roots_from(&authority.file).unwrap();
    check(&Served::start(hub, |_| ()), None);
    check(&Served::start_tls(hub, &tls), Some(&trusting));
}

#[test]
fn a_download_under_way_ends_with_the_message_and_with_the_membership() {
    let hub = TestHub::start();
    let content = content();
    both(&hub, |http, tls| {
        let (id, number) = if tls.is_some() { ("tls", 10) } else { ("plain", 20) };
        let [mut alice, mut bob] =
            [("alice", 1), ("bob", 2)].map(|(name, of)| Device::login(&hub, name, number + of));
        alice.create(GroupType::WORK, id, &[user("bob")]).unwrap();
        for by_revocation in [true, false] {
            let sequence = alice.send_file(group(id), MessageKind::FILE, &content);
            let url = target(&mut bob, group(id), sequence, FilePart::FILE).unwrap();
            let mut reader = Reader::new(http.address, tls);
            let (head, mut body) = reader.begin(&url, "");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            match by_revocation {
                true => drop(alice.revoke(group(id), sequence).unwrap()),
                false => drop(alice.remove(id, &["bob"]).unwrap()),
            }
            body.extend(reader.rest());
            assert!(
                body.len() < content.len() && content.starts_with(&body),
                "{}",
                body.len()
            );
            let mut again = Reader::new(http.address, tls);
            assert!(again.begin(&url, "").0.starts_with("HTTP/1.1 404"));
        }
    });
}

/// The URL of a file that bob can read.
fn url_of(hub: &TestHub, content: &[u8]) -> impl Fn() -> String + use<> {
    let mut alice = Device::login(hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, content);
    let bob = std::cell::RefCell::new(Device::login(hub, "bob", 2));
    move || target(&mut bob.borrow_mut(), c2c("alice"), sequence, FilePart::FILE).unwrap()
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_its_place_is_free_again() {
    let hub = TestHub::start();
    let url = url_of(&hub, &content());
    let change = |options: &mut HttpOptions| {
        options.max_connections = 1;
        options.write_timeout = Duration::from_millis(300);
    };
    let http = Served::start(&hub, change);
    let mut slow = Reader::new(http.address, None);
    let (_, mut body) = slow.begin(&url(), "");
    // Until its place is free, others are turned away.
    while http.try_get("/").is_none() {}
    body.extend(slow.rest());
    assert!(body.len() < LEN, "{}", body.len());
}

#[test]
fn the_clients_of_a_proxy_are_told_apart() {
    let hub = TestHub::start();
    let url = url_of(&hub, &content());
    let http = Served::start(&hub, |options| {
        options.max_connections_per_address = 1;
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        options.client_address = ClientAddress::XForwardedFor;
    });
    let url = url();
    let begin = |client: &str| {
        let mut reader = Reader::new(http.address, None);
        let (head, _) = reader.begin(&url, &format!("X-Forwarded-For: {client}\r\n"));
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, reader)
    };
    let (status, one) = begin("192.0.2.7");
    assert_eq!(status, 200);
    // What a client writes itself is in front of what the proxy adds.
    assert_eq!(
        begin("198.51.100.1, 192.0.2.7").0,
        429,
        "one request of a client at a time"
    );
    let (status, _other) = begin("192.0.2.8");
    assert_eq!(status, 200);
    assert_eq!(begin("nobody").0, 400);
    drop(one);
    while begin("192.0.2.7").0 != 200 {}
}

#[test]
fn curl_reads_a_file_over_tls_and_goes_on_with_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stdout(), "skipped: there is no curl");
        return;
    }
    let hub = TestHub::start();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let files = authority.sign("hub", &["127.0.0.1"], Age::Valid);
    let tls = HubTls::from_files(&files.certificate, &files.key).unwrap();
    let content = content();
    let content = &content[..1 << 20];
    let url = url_of(&hub, content);
    let http = Served::start_tls(&hub, &tls);
    let url = format!("https://{}{}", http.address, url());
    let path = directory.path().join("got");
    std::fs::write(&path, &content[..1 << 19]).unwrap();
    let curl = |url: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--continue-at",
            "-",
        ]);
        curl.arg("--cacert")
            .arg(&authority.file)
            .arg("--output")
            .arg(&path);
        curl.arg(url).output().unwrap()
    };
    let ran = curl(&url);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(curl(&url[..url.len() - 4]).status.code(), Some(22), "404");
}
