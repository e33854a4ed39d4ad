//! Emoji in text, against recorded results of the manual's own code.

use serde_json::{Value, json};
use tim_client::proto::render::text::{EmojiTable, SEED, Span, spans};

use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

const GOLDEN: &str = include_str!("../../data/parse_text.json");
/// The manual's address of the pictures.
const BASE: &str = "http://xxxxxxxx/emoji/";

pub(super) const ROWS: &[Row] = table! {
    133, "text without brackets is one span", { plain };
    134, "three keys; the table is replaceable", { tables };
    135, "image address = prefix + file", { address };
    136, "the empty text has no spans", { empty };
    137, "`[` without `]`: the rest is text", { open_bracket };
    138, "a known key becomes an image", { known };
    139, "an unknown key is text; adjacent text nodes are joined", { unknown };
    140, "without `[` the rest is text", { no_bracket };
    141, "text before `[` is a span", { before };
    142, "a key ends at the first `]`", { first_end };
    143, "linear time, no panic, no input lost", { linear };
    144, "two kinds of node with the manual's JSON spelling", { spelling };
    145, "reading order, also for the manual's example", { order };
};

/// The nodes of a text, in the manual's JSON.
fn nodes<const SLOTS: usize>(text: &str, table: &EmojiTable<'_, SLOTS>) -> Vec<Value> {
    let node = |span: Span<'_, '_>| match (span.src(BASE), span) {
        (Some(src), _) => json!({ "name": "img", "src": src.to_string() }),
        (None, span) => json!({ "name": "text", "text": span.source() }),
    };
    spans(text, table).map(node).collect()
}

/// The manual splits adjacent texts; here they are joined.
fn joined(nodes: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for node in nodes {
        let text = node["text"].as_str();
        let before = all.last().and_then(|node| node["text"].as_str());
        match (before, text) {
            (Some(before), Some(text)) => {
                let text = format!("{before}{text}");
                all.pop();
                all.push(json!({ "name": "text", "text": text }));
            }
            _ => all.push(node.clone()),
        }
    }
    all
}

/// The recorded cases that `wanted` selects, compared.
fn golden(wanted: impl Fn(&str) -> bool) -> Result<usize, Stop> {
    let data: Value = serde_json::from_str(GOLDEN)?;
    let mut compared = 0;
    for case in data["cases"].as_array().into_iter().flatten() {
        let text = case["text"].as_str().unwrap_or_default();
        if !wanted(text) {
            continue;
        }
        let map = &data["maps"][case["map"].as_str().unwrap_or_default()];
        let parts = match map.get("own") {
            Some(own) => vec![own, &map["inherited"]],
            None => vec![map],
        };
        let entries: Vec<(&str, &str)> = parts
            .into_iter()
            .filter_map(Value::as_object)
            .flatten()
            .map(|(key, file)| (key.as_str(), file.as_str().unwrap_or_default()))
            .collect();
        let output = case["output"].as_array().cloned().unwrap_or_default();
        let got = nodes(text, &EmojiTable::new(&entries));
        ensure!(
            got == joined(&output),
            "{text:?}: {got:?}, the manual's code gives {output:?}"
        );
        compared += 1;
    }
    ensure!(compared > 0, "no recorded case was selected");
    Ok(compared)
}

fn show(text: &str, wanted: &[(&str, &str)]) -> Result<(), Stop> {
    let wanted: Vec<Value> = wanted
        .iter()
        .map(|(name, content)| match *name {
            "img" => json!({ "name": "img", "src": format!("{BASE}{content}") }),
            _ => json!({ "name": "text", "text": content }),
        })
        .collect();
    ensure_eq!(nodes(text, &SEED), wanted, "the nodes of {text:?}");
    Ok(())
}

async fn plain(_: &Lab) -> Verdict {
    show("渲染出catch文字", &[("text", "渲染出catch文字")])?;
    let cases = golden(|text| !text.is_empty() && !text.contains(['[', ']']))?;
    Ok(format!("one span, as in {cases} recorded cases"))
}

async fn tables(_: &Lab) -> Verdict {
    let wanted = [
        ("[微笑]", "emoji_0.png"),
        ("[呲牙]", "emoji_1.png"),
        ("[下雨]", "emoji_2.png"),
    ];
    for (key, file) in wanted {
        ensure_eq!(SEED.file(key), Some(file), "{key}");
    }
    ensure_eq!(SEED.entries().len(), 3, "entries of the manual's table");
    let own = [("[ok]", "ok.png")];
    let replaced = nodes("[ok][微笑]", &EmojiTable::new(&own));
    ensure_eq!(
        replaced,
        [
            json!({ "name": "img", "src": format!("{BASE}ok.png") }),
            json!({ "name": "text", "text": "[微笑]" })
        ],
        "with another table"
    );
    Ok("the manual's three keys, and a table of the application".into())
}

async fn address(_: &Lab) -> Verdict {
    for base in [BASE, "", "https://example.invalid/e?"] {
        let address = spans("[微笑]", &SEED)
            .next()
            .and_then(|span| span.src(base).map(|src| src.to_string()));
        ensure_eq!(address, Some(format!("{base}emoji_0.png")), "the address");
    }
    Ok("with three prefixes".into())
}

async fn empty(_: &Lab) -> Verdict {
    show("", &[])?;
    Ok("none".into())
}

async fn open_bracket(_: &Lab) -> Verdict {
    show("[abc", &[("text", "[abc")])?;
    let cases = golden(|text| text.contains('[') && !text.contains(']'))?;
    Ok(format!("as in {cases} recorded cases"))
}

async fn known(_: &Lab) -> Verdict {
    show("[呲牙]x", &[("img", "emoji_1.png"), ("text", "x")])?;
    show(
        "[微笑][呲牙][下雨]",
        &[
            ("img", "emoji_0.png"),
            ("img", "emoji_1.png"),
            ("img", "emoji_2.png"),
        ],
    )?;
    Ok("the manual's three keys".into())
}

async fn unknown(_: &Lab) -> Verdict {
    show("[no]", &[("text", "[no]")])?;
    show("a[no]b[微笑]", &[("text", "a[no]b"), ("img", "emoji_0.png")])?;
    Ok("text, joined with what is beside it".into())
}

async fn no_bracket(_: &Lab) -> Verdict {
    show("abc]", &[("text", "abc]")])?;
    let cases = golden(|text| !text.is_empty() && !text.contains('['))?;
    Ok(format!("as in {cases} recorded cases"))
}

async fn before(_: &Lab) -> Verdict {
    show(
        "a[微笑]b",
        &[("text", "a"), ("img", "emoji_0.png"), ("text", "b")],
    )?;
    Ok("text, image, text".into())
}

async fn first_end(_: &Lab) -> Verdict {
    show("[x[微笑]", &[("text", "[x"), ("img", "emoji_0.png")])?;
    show(
        "[[微笑]]",
        &[("text", "["), ("img", "emoji_0.png"), ("text", "]")],
    )?;
    let cases = golden(|text| text.contains("[["))?;
    Ok(format!("nested brackets too, as in {cases} recorded cases"))
}

async fn linear(_: &Lab) -> Verdict {
    // An algorithm that searches from every bracket to the end takes minutes for these.
    let many = 300_000;
    for text in [
        "[".repeat(many),
        format!("{}]", "[".repeat(many)),
        "[a]".repeat(many),
        "[微笑]".repeat(many),
    ] {
        let source: String = spans(&text, &SEED).map(|span| span.source().to_owned()).collect();
        ensure!(source == text, "the spans are not the text");
    }
    Ok("300,000 brackets in each of four patterns; the spans are the input".into())
}

async fn spelling(_: &Lab) -> Verdict {
    // The match is complete: a third kind would not compile.
    let kinds: Vec<&str> = spans("a[微笑]", &SEED)
        .map(|span| match span {
            Span::Text(_) => "text",
            Span::Emoji { .. } => "img",
        })
        .collect();
    ensure_eq!(kinds, ["text", "img"], "the kinds");
    let cases = golden(|_| true)?;
    Ok(format!("as in all {cases} recorded cases"))
}

async fn order(_: &Lab) -> Verdict {
    show(
        "XXX[呲牙]XXX[呲牙XXX]",
        &[("text", "XXX"), ("img", "emoji_1.png"), ("text", "XXX[呲牙XXX]")],
    )?;
    let cases = golden(|text| text.len() > 20)?;
    Ok(format!("the manual's example, and {cases} long recorded cases"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_result_than_the_recorded_one_is_found() {
        assert!(show("[no]", &[("text", "[no]")]).is_ok());
        assert!(show("[no]", &[("text", "["), ("text", "no]")]).is_err());
        assert!(show("[微笑]", &[("img", "emoji_1.png")]).is_err());
        assert!(golden(|_| false).is_err(), "no case compared is no comparison");
    }
}
