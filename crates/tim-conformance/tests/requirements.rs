//! The suite and `docs/requirements.md` have the same rows, in the same words.

use tim_conformance::{Outcome, OwnHub, Selection, requirements, run};

const REQUIREMENTS: &str = include_str!("../../../docs/requirements.md");

struct Documented {
    number: u16,
    chapter: String,
    asks: String,
    is_built: bool,
    is_applicable: bool,
}

fn documented() -> Vec<Documented> {
    let (mut rows, mut chapter) = (Vec::new(), "");
    for line in REQUIREMENTS.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            chapter = title;
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let number = line
            .strip_prefix("| S")
            .and_then(|line| line.split(' ').next()?.parse().ok());
        if let (Some(number), [_, asks, code, ..]) = (number, &cells[..]) {
            let code = code.to_lowercase();
            rows.push(Documented {
                number,
                chapter: chapter.to_owned(),
                asks: (*asks).to_owned(),
                is_built: !code.contains("**not built**"),
                is_applicable: !code.starts_with("not applicable"),
            });
        }
    }
    rows
}

#[test]
fn the_rows_and_their_words_are_the_documents() {
    let documented = documented();
    assert_eq!(documented.len(), 220);
    let ours: Vec<_> = requirements()
        .map(|row| (row.number, row.chapter.to_owned(), row.asks.to_owned()))
        .collect();
    let theirs: Vec<_> = documented
        .into_iter()
        .map(|row| (row.number, row.chapter, row.asks))
        .collect();
    assert_eq!(ours, theirs);
}

/// A row is reported as not built, or as not applicable, exactly where the document says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_built_is_what_the_document_says() {
    tim_testkit::deadline();
    let hub = OwnHub::start().unwrap();
    let documented = documented();
    let absent = documented
        .iter()
        .filter(|row| !row.is_built || !row.is_applicable);
    let selection = Selection::rows(absent.map(|row| row.number)).unwrap();
    let report = run(&hub.target(), &selection).await;
    for row in documented
        .iter()
        .filter(|row| !row.is_built || !row.is_applicable)
    {
        let reported = report
            .rows
            .iter()
            .find(|it| it.row == format!("S{}", row.number))
            .unwrap();
        let expected = match row.is_built {
            false => Outcome::NotBuilt,
            true => Outcome::NotApplicable,
        };
        assert_eq!(
            reported.outcome, expected,
            "{}: {}",
            reported.row, reported.reason
        );
    }
    hub.stop().await;
}
