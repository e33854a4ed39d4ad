//! The text parser against the golden data, and against the original's algorithm on generated texts and tables.

use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashMap;
use tim_proto::render::text::{self, EmojiTable, Language, Span};

const BASE: &str = "http://xxxxxxxx/emoji/";

type Entries = Vec<(String, String)>;

fn golden(file: &str) -> Value {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn strings(object: &Value) -> Entries {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    object
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn borrowed(entries: &Entries) -> Vec<(&str, &str)> {
    entries.iter().map(|(key, file)| (&key[..], &file[..])).collect()
}

/// A node as the original has it: `Err` is text, `Ok` an image's address.
type Node = Result<String, String>;

fn parse<const SLOTS: usize>(text: &str, table: &EmojiTable<'_, SLOTS>) -> Vec<Node> {
    let node = |span: Span<'_, '_>| match span.src(BASE) {
        Some(src) => Ok(src.to_string()),
        None => Err(span.source().to_owned()),
    };
    text::spans(text, table).map(node).collect()
}

/// The original's algorithm, statement by statement.
fn original(text: &str, map: &HashMap<&str, &str>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut temp = text;
    while !temp.is_empty() {
        let right = temp.find(']');
        match temp.find('[') {
            Some(0) => match right {
                None => {
                    nodes.push(Err(temp.to_owned()));
                    temp = "";
                }
                Some(right) => match map.get(&temp[..=right]) {
                    Some(file) if !file.is_empty() => {
                        nodes.push(Ok(format!("{BASE}{file}")));
                        temp = &temp[right + 1..];
                    }
                    _ => {
                        nodes.push(Err("[".to_owned()));
                        temp = &temp[1..];
                    }
                },
            },
            None => {
                nodes.push(Err(temp.to_owned()));
                temp = "";
            }
            Some(left) => {
                nodes.push(Err(temp[..left].to_owned()));
                temp = &temp[left..];
            }
        }
    }
    nodes
}

/// Joins text nodes that touch: the original splits them, spans are as long as can be.
fn joined(nodes: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::new();
    for node in nodes {
        match (out.last_mut(), node) {
            (Some(Err(before)), Err(text)) => before.push_str(&text),
            (_, node) => out.push(node),
        }
    }
    out
}

fn check_against_original(text: &str, entries: &[(&str, &str)]) {
    let map: HashMap<&str, &str> = entries.iter().copied().collect();
    let expected = joined(original(text, &map));
    assert_eq!(parse(text, &EmojiTable::new(entries)), expected);
    // Small indexes: collisions, and entries behind the index.
    assert_eq!(parse(text, &EmojiTable::<'_, 0>::with_slots(entries)), expected);
    assert_eq!(parse(text, &EmojiTable::<'_, 1>::with_slots(entries)), expected);
    assert_eq!(parse(text, &EmojiTable::<'_, 4>::with_slots(entries)), expected);
    assert_eq!(parse(text, &EmojiTable::<'_, 11>::with_slots(entries)), expected);
}

/// What holds for the spans of any text.
fn check_shape(text: &str, entries: &[(&str, &str)]) {
    let table = EmojiTable::new(entries);
    let mut spans = text::spans(text, &table);
    let mut source = String::new();
    let mut text_before = false;
    for span in spans.by_ref() {
        assert!(!span.source().is_empty());
        let is_text = matches!(span, Span::Text(_));
        assert!(!(is_text && text_before), "two text spans touch");
        text_before = is_text;
        source += span.source();
        if let Span::Emoji { key, file } = span {
            assert_eq!(table.file(key), Some(file));
        }
    }
    assert_eq!(source, text);
    assert!(spans.next().is_none() && spans.next().is_none(), "fused");
}

#[test]
fn golden_cases() {
    let golden = golden("parse_text.json");
    assert_eq!(golden["emoji_url"], BASE);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 450);
    for case in cases {
        let map = &golden["maps"][case["map"].as_str().unwrap()];
        // One map is about JavaScript's inheritance: an own and an inherited part, which both count.
        let entries = match map.get("own") {
            Some(own) => [strings(own), strings(&map["inherited"])].concat(),
            None => strings(map),
        };
        let entries = borrowed(&entries);
        let text = case["text"].as_str().unwrap();
        let nodes: Vec<Node> = case["output"]
            .as_array()
            .unwrap()
            .iter()
            .map(golden_node)
            .collect();
        assert_eq!(
            original(text, &entries.iter().copied().collect()),
            nodes,
            "reference on {text:?}"
        );
        assert_eq!(parse(text, &EmojiTable::new(&entries)), joined(nodes), "{text:?}");
        check_shape(text, &entries);
    }
}

fn golden_node(node: &Value) -> Node {
    match node["name"].as_str() {
        Some("img") => Ok(node["src"].as_str().unwrap().to_owned()),
        Some("text") => Err(node["text"].as_str().unwrap().to_owned()),
        other => panic!("node {other:?}"),
    }
}

#[test]
fn golden_long_texts() {
    let map: HashMap<&str, &str> = text::SEED.entries().iter().copied().collect();
    let golden = golden("parse_text.json");
    let long = golden["long"].as_array().unwrap();
    assert_eq!(long.len(), 8);
    for case in long {
        let text = from_recipe(case["recipe"].as_str().unwrap());
        assert_eq!(text.len() as u64, case["utf8_length"].as_u64().unwrap());
        let nodes = original(&text, &map);
        assert_eq!(nodes.len() as u64, case["nodes"].as_u64().unwrap());
        let images = nodes.iter().filter(|node| node.is_ok()).count();
        assert_eq!(images as u64, case["img_nodes"].as_u64().unwrap());
        assert_eq!(parse(&text, &text::SEED), joined(nodes), "{}", case["name"]);
    }
}

/// `'x' x 3 + 'y'` is `xxxy`.
fn from_recipe(recipe: &str) -> String {
    let part = |part: &str| {
        let mut pieces = part.split('\'');
        let text = pieces.nth(1).unwrap();
        let times = pieces.next().unwrap().trim().trim_start_matches("x ");
        text.repeat(if times.is_empty() {
            1
        } else {
            times.parse().unwrap()
        })
    };
    recipe.split(" + ").map(part).collect()
}

#[test]
fn tables_are_the_golden_ones() {
    let golden = golden("emoji_keys.json");
    for (name, table, count) in [
        ("seed", &text::SEED, 3),
        ("tui", &text::TUI, 62),
        ("classic", &text::CLASSIC, 142),
    ] {
        let expected = strings(&golden[name]);
        assert_eq!((expected.len(), table.entries().len()), (count, count));
        for (key, file) in expected {
            assert_eq!(table.file(&key), Some(&file[..]), "{name} {key}");
        }
    }
}

#[test]
fn names_are_the_golden_ones() {
    let golden = golden("emoji_keys.json");
    for (code, language) in [
        ("zh_cn", Language::ZhCn),
        ("en", Language::En),
        ("zh_tw", Language::ZhTw),
    ] {
        let names = strings(&golden["tui_display_names"][code]);
        assert_eq!(names.len(), 62);
        for (key, name) in names {
            assert_eq!(text::key_of_name(&name, language), Some(&key[..]), "{name}");
            // A slip in the vendor's list; with it the name could not be read back from a text.
            let name = if name == "[Askance]]" { "[Askance]" } else { &name };
            assert_eq!(text::display_name(&key, language), Some(name));
            let sent = text::names_to_keys(name, language).to_string();
            assert_eq!(
                (&sent, text::keys_to_names(&sent, language).to_string()),
                (&key, name.to_owned())
            );
        }
        assert_eq!(text::display_name("[微笑", language), None);
        assert_eq!(text::key_of_name("微笑", language), None);
    }
    assert_eq!(
        text::names_to_keys("[[讚][赞]", Language::ZhTw).to_string(),
        "[[TUIEmoji_Like][赞]"
    );
}

fn check(text: &str, expected: &[Result<&str, &str>]) {
    let owned = |node: &Result<&str, &str>| match node {
        Ok(file) => Ok(format!("{BASE}{file}")),
        Err(text) => Err((*text).to_owned()),
    };
    assert_eq!(
        parse(text, &text::SEED),
        expected.iter().map(owned).collect::<Vec<_>>(),
        "{text}"
    );
}

#[test]
fn rows_of_the_original() {
    check("渲染出catch文字", &[Err("渲染出catch文字")]); // S133
    check(
        "[微笑][呲牙][下雨]",
        &[Ok("emoji_0.png"), Ok("emoji_1.png"), Ok("emoji_2.png")],
    ); // S134
    check("", &[]); // S136
    check("[abc", &[Err("[abc")]); // S137
    check("[呲牙]x", &[Ok("emoji_1.png"), Err("x")]); // S138
    check("[no]", &[Err("[no]")]); // S139, the original's two nodes joined
    check("abc]", &[Err("abc]")]); // S140
    check("a[微笑]b", &[Err("a"), Ok("emoji_0.png"), Err("b")]); // S141
    check("[x[微笑]", &[Err("[x"), Ok("emoji_0.png")]); // S142
    check("[[微笑]]", &[Err("["), Ok("emoji_0.png"), Err("]")]); // S142
    check(
        "XXX[呲牙]XXX[呲牙XXX]",
        &[Err("XXX"), Ok("emoji_1.png"), Err("XXX[呲牙XXX]")],
    ); // S145
}

#[test]
fn any_table_of_any_size() {
    static OWN: EmojiTable<'static, 3> = EmojiTable::with_slots(&[("[b]", "b"), ("[a]", "a")]);
    assert_eq!(OWN.file("[a]"), Some("a"));
    assert_eq!(
        text::spans("[a]", &EmojiTable::new(&[])).next(),
        Some(Span::Text("[a]"))
    );

    // More entries than slots, than the default index, and than a slot can number.
    let entries: Entries = (0..70_000)
        .map(|n| (format!("[{n}]"), format!("{n}.png")))
        .collect();
    let entries = borrowed(&entries);
    let table = EmojiTable::new(&entries);
    for n in [0, 383, 384, 385, 69_999] {
        assert_eq!(table.file(&format!("[{n}]")), Some(&format!("{n}.png")[..]));
    }
    assert_eq!(table.file("[70000]"), None);
    let table = Box::new(EmojiTable::<'_, 100_000>::with_slots(&entries));
    assert!(
        entries
            .iter()
            .step_by(997)
            .all(|(key, file)| table.file(key) == Some(file))
    );
}

#[test]
fn the_last_of_equal_keys_holds() {
    let entries = [("[a]", "1"), ("[b]", "2"), ("[a]", "3"), ("[b]", "")];
    check_against_original("[a][b]", &entries);
    assert_eq!(EmojiTable::new(&entries).file("[a]"), Some("3"));
    assert_eq!(EmojiTable::new(&entries).file("[b]"), None);
}

#[test]
fn keys_of_every_length() {
    let keys: Vec<String> = (0..100).map(|len| format!("[{}]", "k".repeat(len))).collect();
    let entries: Vec<(&str, &str)> = keys.iter().map(|key| (&key[..], "file")).collect();
    let table = EmojiTable::new(&entries);
    for key in &keys {
        assert_eq!(table.file(key), Some("file"));
        let alone = EmojiTable::new(entries.split_at(40).0).file(key);
        assert_eq!(alone.is_some(), key.len() < 42);
    }
    check_against_original(&keys.concat(), &entries);
}

/// Pieces that make brackets, keys and near misses likely.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("[".to_owned()),
        4 => Just("]".to_owned()),
        3 => "[ab微]".prop_map(|c| c),
        3 => keys(),
        1 => "[a-c😀 ]{0,40}".prop_map(|s| s),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\[[ab微\\[]{0,3}\\]",
        1 => "\\[[ab\\[]{5,25}\\]",
        1 => "[ab\\[\\]]{0,4}",
        1 => Just("[微笑]".to_owned()),
    ]
}

fn tables() -> impl Strategy<Value = Entries> {
    let file = prop_oneof![6 => "[a-z]{1,3}", 1 => Just(String::new())];
    prop::collection::vec((keys(), file), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_as_the_original((text, entries) in (texts(), tables())) {
        let entries = borrowed(&entries);
        check_against_original(&text, &entries);
        check_shape(&text, &entries);
    }

    #[test]
    fn shipped_tables_on_their_own_keys(picks in prop::collection::vec((0_usize..142, "[\\[\\]a呲]{0,3}"), 0..40)) {
        for table in [&text::SEED, &text::TUI, &text::CLASSIC] {
            let keys = table.entries();
            let text: String = picks.iter().map(|(n, tail)| keys[n % keys.len()].0.to_owned() + tail).collect();
            check_against_original(&text, keys);
            check_shape(&text, keys);
        }
    }
}
