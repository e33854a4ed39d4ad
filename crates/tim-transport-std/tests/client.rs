//! The client's driver against a hub's session, in memory and over TCP.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{drive, driver, hub, log_in_and_out};
use tim_testkit::ScriptedHub;
use tim_transport_std::session::proto::ErrorCode;
use tim_transport_std::session::proto::request::Failure;
use tim_transport_std::session::{Event, NetState};
use tim_transport_std::{
    Address, AnyConnector, CONNECT_LIMIT, ClientDriver, ConnectOptions, Connector, ConnectorError, Failover,
    MemoryConnector, SPREAD, TcpConnector, memory_listener,
};
use tokio::io::DuplexStream;
use tokio::time::Instant;

#[tokio::test]
async fn logs_in_and_out_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut driver = driver(TcpConnector::new(listener.local_addr().unwrap()));
    let serve = async { hub(listener.accept().await.unwrap().0).await };
    tokio::join!(log_in_and_out(&mut driver), serve);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_dropped_out_of_waiting_all_the_time_loses_nothing() {
    let (connector, mut listener) = memory_listener();
    let mut driver = driver(connector);
    tokio::spawn(async move { hub(listener.accept().await.unwrap()).await });
    let now = driver.now();
    driver.session().login(now);
    let mut ready = false;
    while !ready {
        driver.poll_events(|event| {
            ready |= matches!(event, Event::Ready);
            ControlFlow::Continue(())
        });
        // Polled once, then dropped.
        tokio::select! {
            biased;
            () = driver.progress() => {}
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again_when_that_is_allowed() {
    let (connector, mut listener) = memory_listener();
    let mut driver = driver(connector);
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            hub(link).await;
        }
    });
    let now = driver.now();
    driver.session().login(now);
    drive(&mut driver, |event| matches!(event, Event::Ready)).await;
    driver.allow_connecting(false);
    driver.drop_connection();
    drive(&mut driver, |event| {
        event == Event::NetState(NetState::Disconnected)
    })
    .await;
    let wait = drive(&mut driver, |event| event == Event::NetState(NetState::Connected));
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_err());
    driver.allow_connecting(true);
    drive(&mut driver, |event| event == Event::NetState(NetState::Connected)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_not_there_is_tried_again_and_the_reason_kept() {
    let (connector, listener) = memory_listener();
    drop(listener);
    let mut driver = driver(connector);
    let now = driver.now();
    driver.session().login(now);
    let mut tries = 0;
    drive(&mut driver, |event| {
        tries += u32::from(event == Event::NetState(NetState::Connecting));
        tries == 5
    })
    .await;
    assert_eq!(
        driver.last_error().unwrap().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

/// A hub as a client with several of them may find it.
#[derive(Clone)]
enum Place {
    There(MemoryConnector),
    Gone,
    /// It takes no notice, like a host behind a firewall.
    Silent,
    /// Its certificate is another one's.
    Stranger,
}

#[derive(Clone)]
struct Tried {
    name: &'static str,
    place: Arc<Mutex<Place>>,
    /// Who was tried, and when.
    log: Arc<Mutex<Vec<(&'static str, Instant)>>>,
}

impl Connector for Tried {
    type Link = DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        self.log.lock().unwrap().push((self.name, Instant::now()));
        let place = self.place.lock().unwrap().clone();
        async move {
            match place {
                Place::There(mut connector) => connector.connect().await,
                Place::Gone => Err(io::ErrorKind::ConnectionRefused.into()),
                Place::Silent => std::future::pending().await,
                Place::Stranger => Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Hubs with these names, and a client that knows all of them.
struct Several {
    driver: ClientDriver<Failover<Tried>>,
    places: Vec<Arc<Mutex<Place>>>,
    log: Arc<Mutex<Vec<(&'static str, Instant)>>>,
}

impl Several {
    fn new(places: &[(&'static str, Place)], seed: u64) -> Self {
        let log = Arc::default();
        let tried = |(name, place): &(&'static str, Place)| Tried {
            name,
            place: Arc::new(Mutex::new(place.clone())),
            log: Arc::clone(&log),
        };
        let all: Vec<Tried> = places.iter().map(tried).collect();
        let places = all.iter().map(|hub| Arc::clone(&hub.place)).collect();
        let hubs = Failover::new(all.into_iter().map(|hub| (hub.name, hub)), seed).unwrap();
        let mut driver = driver(hubs);
        let now = driver.now();
        driver.session().login(now);
        Self { driver, places, log }
    }

    async fn until(&mut self, state: NetState) {
        drive(&mut self.driver, |event| event == Event::NetState(state)).await;
    }

    /// Who was tried since the last call.
    fn tried(&self) -> Vec<&'static str> {
        self.log.lock().unwrap().drain(..).map(|(name, _)| name).collect()
    }

    /// The hub with this number changes.
    fn set(&self, number: usize, place: Place) {
        *self.places[number].lock().unwrap() = place;
    }
}

/// A hub in memory that lets everybody in until it is dropped.
fn there() -> (Place, tokio::task::JoinHandle<()>) {
    let (connector, mut listener) = memory_listener();
    let serving = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Some(link) = listener.accept().await {
            open.spawn(hub(link));
        }
    });
    (Place::There(connector), serving)
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_another_hub_is_tried_at_once() {
    let ((a, hub_a), (b, _hub_b)) = (there(), there());
    let mut client = Several::new(&[("a", a), ("b", b), ("gone", Place::Gone)], 7);
    client.until(NetState::Connected).await;
    assert_eq!(client.tried(), ["a"], "the first one first");
    hub_a.abort();
    client.set(0, Place::Gone);
    client.until(NetState::Disconnected).await;
    let lost = Instant::now();
    client.until(NetState::Connected).await;
    assert!(lost.elapsed() <= SPREAD, "{:?}", lost.elapsed());
    let tried = client.tried();
    assert_eq!(tried.last(), Some(&"b"), "{tried:?}");
    assert!(!tried.contains(&"a"), "the lost one comes last");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_answer_is_given_up_and_one_that_is_none_is_tried_last() {
    let (b, _hub_b) = there();
    let mut client = Several::new(
        &[("silent", Place::Silent), ("stranger", Place::Stranger), ("b", b)],
        3,
    );
    let began = Instant::now();
    client.until(NetState::Connected).await;
    assert!(began.elapsed() >= CONNECT_LIMIT && began.elapsed() < CONNECT_LIMIT * 2);
    let mut tried = client.tried();
    assert_eq!(tried.remove(0), "silent");
    if tried == ["b"] {
        // It was drawn before the stranger, of whom nothing is known yet.
        client.driver.drop_connection();
        client.until(NetState::Connected).await;
        client.tried();
    }
    // From now on the stranger comes behind all others.
    for _ in 0..5 {
        client.driver.drop_connection();
        client.until(NetState::Disconnected).await;
        client.until(NetState::Connected).await;
        let tried = client.tried();
        assert!(!tried.contains(&"stranger"), "{tried:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_unfit_and_is_mended_is_found_while_another_lets_nobody_in() {
    let (connector, mut listener) = memory_listener();
    tokio::spawn(async move { while listener.accept().await.is_some() {} });
    let mut client = Several::new(&[("a", Place::Stranger), ("b", Place::There(connector))], 1);
    let waited = tokio::time::timeout(Duration::from_secs(60), client.until(NetState::Connected));
    assert!(waited.await.is_err());
    assert!(client.tried().contains(&"a"));
    let (a, _hub_a) = there();
    client.set(0, a);
    let waited = tokio::time::timeout(Duration::from_secs(120), client.until(NetState::Connected));
    waited.await.expect("the mended hub is tried");
}

#[tokio::test(start_paused = true)]
async fn when_all_hubs_have_failed_the_session_backs_off() {
    let mut client = Several::new(&[("a", Place::Gone), ("b", Place::Gone), ("c", Place::Gone)], 1);
    let waited = tokio::time::timeout(Duration::from_secs(300), client.until(NetState::Connected));
    assert!(waited.await.is_err());
    let tried: Vec<_> = client.log.lock().unwrap().clone();
    // Rounds of three, with waits between them that grow to half a minute.
    assert!((30..=75).contains(&tried.len()), "{}", tried.len());
    for round in tried.chunks_exact(3) {
        let names: BTreeSet<_> = round.iter().map(|(name, _)| name).collect();
        assert_eq!((names.len(), round[0].1), (3, round[2].1));
    }
    let error = client.driver.last_error().unwrap().to_string();
    assert!(
        ["a: ", "b: ", "c: "].iter().all(|name| error.contains(name)),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn hubs_that_turn_everybody_away_are_not_hammered() {
    // They close each connection at once.
    let closing = || {
        let (connector, mut listener) = memory_listener();
        tokio::spawn(async move { while listener.accept().await.is_some() {} });
        Place::There(connector)
    };
    let mut client = Several::new(&[("a", closing()), ("b", closing()), ("c", closing())], 1);
    let waited = tokio::time::timeout(Duration::from_secs(300), client.until(NetState::Connected));
    assert!(waited.await.is_err());
    let tried = client.tried().len();
    assert!((10..=90).contains(&tried), "{tried}");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_asks_for_a_while_does_not_keep_its_clients_from_the_others() {
    let (connector, mut listener) = memory_listener();
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            let mut hub = ScriptedHub::new(link);
            hub.login().await;
            let busy =
                Failure::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "busy").with_retry_after_ms(60_000);
            hub.session.refuse(&busy);
            hub.next::<()>(|_| None).await;
        }
    });
    let (b, _hub_b) = there();
    let mut client = Several::new(&[("a", Place::There(connector)), ("b", b)], 5);
    let began = Instant::now();
    client.until(NetState::Connected).await;
    assert!(began.elapsed() <= SPREAD, "{:?}", began.elapsed());
    assert_eq!(client.tried(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn the_clients_of_a_lost_hub_spread_over_the_others_and_over_time() {
    let mut next = BTreeMap::<_, u32>::new();
    let mut waits = BTreeSet::new();
    for seed in 1..=60_u64 {
        let ((a, hub_a), (b, _hub_b), (c, _hub_c)) = (there(), there(), there());
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut client = Several::new(&[("a", a), ("b", b), ("c", c)], seed);
        client.until(NetState::Connected).await;
        client.tried();
        hub_a.abort();
        client.set(0, Place::Gone);
        let lost = Instant::now();
        client.until(NetState::Disconnected).await;
        client.until(NetState::Connected).await;
        waits.insert(lost.elapsed().as_millis() / 25);
        *next.entry(client.tried()[0]).or_default() += 1;
    }
    assert!(
        next.get("b") >= Some(&15) && next.get("c") >= Some(&15),
        "{next:?}"
    );
    assert!(waits.len() >= 6, "{waits:?}");
}

#[tokio::test]
async fn another_hub_takes_over_on_loopback() {
    let listen = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let (a, b) = (listen().await, listen().await);
    let addresses = [&a, &b].map(|listener| Address::from(listener.local_addr().unwrap()));
    let connector = AnyConnector::among(&addresses, &ConnectOptions::new(), 1).unwrap();
    let mut driver = driver(connector);
    let now = driver.now();
    driver.session().login(now);
    let at_a = tokio::spawn(async move { hub(a.accept().await.unwrap().0).await });
    drive(&mut driver, |event| matches!(event, Event::Ready)).await;
    // The process ends: its connections and its port are gone.
    at_a.abort();
    let at_b = async { hub(b.accept().await.unwrap().0).await };
    let online = drive(&mut driver, |event| event == Event::NetState(NetState::Connected));
    tokio::select! {
        () = online => {}
        () = at_b => panic!("the client has left"),
    }
}

#[test]
fn serial_ports_and_no_address_are_refused_among_several() {
    let parse = |text: &str| text.parse::<Address>().unwrap();
    let options = ConnectOptions::new();
    let error = AnyConnector::among(&[], &options, 1).unwrap_err();
    assert!(matches!(error, ConnectorError::NoAddress), "{error}");
    let both = [parse("tim://hub"), parse("serial:/dev/ttyS0")];
    let error = AnyConnector::among(&both, &options, 1).unwrap_err();
    assert!(matches!(error, ConnectorError::SerialAmongHubs { .. }), "{error}");
}
