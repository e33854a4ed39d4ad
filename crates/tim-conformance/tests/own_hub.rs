//! Every row against tim's own hub, over each transport.

use tim_conformance::{Outcome, OwnHub, Selection, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_conforms() {
    tim_testkit::deadline();
    let hub = OwnHub::start().unwrap();
    let report = run(&hub.target(), &Selection::all()).await;
    let failed: Vec<_> = report
        .with_outcome(Outcome::Fail)
        .map(|row| format!("{} {}: {}", row.row, row.asks, row.reason))
        .collect();
    assert!(failed.is_empty(), "{}\n{}", report.summary(), failed.join("\n"));
    hub.stop().await;
}
