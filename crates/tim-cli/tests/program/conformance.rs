//! `tim conformance`: selection, formats, exit codes.

use serde_json::Value;

use super::run;

#[test]
fn the_named_rows_are_checked_on_a_hub_of_its_own() {
    let text = run(["conformance", "--row", "S92,S83"], "").ok();
    assert!(
        text.contains("S83   pass  ") && text.contains("S92   pass  "),
        "{text}"
    );
    assert!(
        text.contains("2 pass, 0 fail, 0 not applicable, 0 not built yet"),
        "{text}"
    );
    let report = run(["conformance", "--row", "S92,S83", "--json"], "").ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    let rows: Vec<_> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["row"], &row["outcome"]))
        .collect();
    assert_eq!(
        rows,
        [(&"S83".into(), &"pass".into()), (&"S92".into(), &"pass".into())]
    );
}

#[test]
fn all_rows_are_listed() {
    assert_eq!(run(["conformance", "--list"], "").ok().lines().count(), 220);
    let rows: Value = serde_json::from_str(&run(["conformance", "--list", "--json"], "").ok()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 220);
}

#[test]
fn what_cannot_be_checked_is_no_report() {
    let wrong = run(["conformance", "--row", "S300"], "");
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{}", wrong.err);
    // A port that nobody listens at.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let key = "0123456789abcdef0123456789abcdef";
    let gone = run(["conformance", "--hub", &free.to_string(), "--key", key], "");
    assert_eq!((gone.code, gone.out.as_str()), (3, ""), "{}", gone.err);
}
