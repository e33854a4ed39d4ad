//! Every row against tim's own hub, over each transport.

mod support;

use std::io;

use support::{APP, KEY, target};
use tim_client::transport::{Connector, TcpConnector};
use tim_conformance::{HubFactory as _, HubSettings, Outcome, OwnHub, OwnHubs, Report, Selection, run};
use tim_hub::usersig::App;
use tokio::sync::oneshot;

fn conforms(report: &Report) {
    let failed: Vec<_> = report
        .with_outcome(Outcome::Fail)
        .map(|row| format!("{} {}: {}", row.row, row.asks, row.reason))
        .collect();
    assert!(failed.is_empty(), "{}\n{}", report.summary(), failed.join("\n"));
    assert_eq!(report.rows.len(), 220);
}

fn hub() -> OwnHub {
    tim_testkit::deadline();
    OwnHub::start_with(|options| options.app = App::new(APP, KEY)).unwrap()
}

/// Also a second time: what the first run left behind is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn the_hub_conforms_in_memory_and_again() {
    tim_testkit::deadline();
    let hub = OwnHub::start().unwrap();
    for _ in 0..2 {
        let report = run(&hub.target(), &Selection::all()).await;
        conforms(&report);
        assert_eq!(report.count(Outcome::Pass), 214, "{}", report.summary());
    }
    hub.stop().await;
}

/// The rows about clock and settings are not applicable, because nobody gives the suite such a hub.
#[tokio::test(flavor = "multi_thread")]
async fn the_hub_conforms_over_tcp() {
    let hub = hub();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = hub.hub().clone();
    let serving = tokio::spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
    let report = run(&target(TcpConnector::new(address)), &Selection::all()).await;
    conforms(&report);
    let undecided: Vec<&str> = report
        .with_outcome(Outcome::NotApplicable)
        .filter(|row| row.reason.contains("clock"))
        .map(|row| row.row.as_str())
        .collect();
    assert_eq!(undecided, ["S20", "S112", "S113", "S191", "S192", "S215"]);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[cfg(unix)]
#[derive(Clone)]
struct UnixConnector(std::path::PathBuf);

#[cfg(unix)]
impl Connector for UnixConnector {
    type Link = tokio::net::UnixStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Link>> + Send + 'static {
        tokio::net::UnixStream::connect(self.0.clone())
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_hub_conforms_over_unix_sockets() {
    let hub = hub();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = hub.hub().clone();
    let serving = tokio::spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
    let report = run(&target(UnixConnector(path)), &Selection::all()).await;
    conforms(&report);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

/// The probe that comes before a run.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_whether_the_hub_is_there_and_takes_the_key() {
    let hub = hub();
    target(hub.connector()).probe().await.unwrap();
    let other_key = tim_conformance::Target::with_key(APP, "another key, also long enough", hub.connector());
    let refused = other_key.probe().await.unwrap_err();
    assert!((70_000..80_000).contains(&refused.code.0), "{refused}");
    let started = OwnHubs.start(HubSettings::default()).await.unwrap();
    started.target().probe().await.unwrap();
    hub.stop().await;
}
