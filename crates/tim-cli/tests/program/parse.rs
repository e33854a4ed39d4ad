//! `tim parse` against the golden data, every case through the compiled program.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Ran, run};

fn golden(file: &str) -> Value {
    let path = format!("{}/../tim-proto/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A JSON value a line.
fn lines<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    values.into_iter().map(|value| format!("{value}\n")).collect()
}

fn values(ran: &Ran) -> Vec<Value> {
    ran.lines()
        .into_iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The original's nodes with text that touches joined.
fn joined(nodes: &Value) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for node in nodes.as_array().unwrap() {
        match out.last_mut() {
            Some(before) if before["name"] == "text" && node["name"] == "text" => {
                let text = format!(
                    "{}{}",
                    before["text"].as_str().unwrap(),
                    node["text"].as_str().unwrap()
                );
                before["text"] = text.into();
            }
            _ => out.push(node.clone()),
        }
    }
    out.into()
}

#[test]
fn texts_are_as_golden_for_each_table() {
    let golden = golden("parse_text.json");
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for (name, map) in golden["maps"].as_object().unwrap() {
        // One map is about JavaScript's inheritance: an own and an inherited part, which both count.
        let table: Map<String, Value> = match map.get("own") {
            None => map.as_object().unwrap().clone(),
            Some(own) => {
                let parts = [own, &map["inherited"]];
                parts
                    .iter()
                    .flat_map(|part| part.as_object().unwrap().clone())
                    .collect()
            }
        };
        let file = dir.path().join(name);
        std::fs::write(&file, Value::from(table).to_string()).unwrap();
        let cases: Vec<&Value> = golden["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["map"] == **name)
            .collect();
        let input = lines(cases.iter().map(|case| &case["text"]));
        let mut args = vec!["parse", "text", "--table", file.to_str().unwrap()];
        let ran = run(args.clone(), &input);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        let outputs = values(&ran);
        assert_eq!(outputs.len(), cases.len());
        for (case, output) in cases.iter().zip(&outputs) {
            assert_eq!(*output, joined(&case["output"]), "{case}");
            seen += 1;
        }
        if name == "seed" {
            args.truncate(2);
            assert_eq!(run(args, &input).out, ran.out, "the seed's table is the default");
        }
    }
    assert_eq!(seen, 450);
}

#[test]
fn nodes_are_spelt_as_in_the_seed() {
    let ran = run(
        ["parse", "text"],
        "\"a[呲牙][x]\"\n{\"text\":\"\"}\n\n{\"text\":\"\\u0001\\\"\\u2028\"}",
    );
    let expected = "[{\"name\":\"text\",\"text\":\"a\"},\
                    {\"name\":\"img\",\"src\":\"http://xxxxxxxx/emoji/emoji_1.png\"},\
                    {\"name\":\"text\",\"text\":\"[x]\"}]\n\
                    []\n\
                    [{\"name\":\"text\",\"text\":\"\\u0001\\\"\\u2028\"}]\n";
    assert_eq!(ran.ok(), expected);
}

#[test]
fn tables_and_base_can_be_chosen() {
    let text = "\"[TUIEmoji_Smile][龇牙]\"";
    let sources = |args: &[&str]| {
        let out = run(["parse", "text"].iter().chain(args), text).ok();
        let nodes: Value = serde_json::from_str(&out).unwrap();
        nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["src"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let with_text = |src: &str, at: usize| {
        let mut all = vec![None, None];
        all[at] = Some(src.to_owned());
        all
    };
    assert_eq!(sources(&[]), [None]);
    assert_eq!(
        sources(&["--table", "tui", "--base", "/e/"]),
        with_text("/e/emoji_6@2x.png", 0)
    );
    let classic = sources(&["--table", "classic", "--base", ""]);
    assert!(classic[1].as_ref().unwrap().starts_with("emoji_"), "{classic:?}");
}

#[test]
fn a_table_of_thousands_is_indexed() {
    let table: Map<String, Value> = (0..5000)
        .map(|n| (format!("[{n}]"), json!(format!("{n}.png"))))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Value::from(table).to_string()).unwrap();
    let args = [
        "parse",
        "text",
        "--base",
        "",
        "--table",
        file.path().to_str().unwrap(),
    ];
    assert_eq!(
        run(args, "\"[4999][5000]\"").ok(),
        "[{\"name\":\"img\",\"src\":\"4999.png\"},{\"name\":\"text\",\"text\":\"[5000]\"}]\n"
    );
}

#[test]
fn unusable_tables_are_refused_with_a_hint() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for table in ["", "[]", "{\"[a]\":1}", "{\"[a]\":"] {
        std::fs::write(file.path(), table).unwrap();
        let ran = run(
            ["parse", "text", "--table", file.path().to_str().unwrap()],
            "\"a\"",
        );
        assert_eq!((ran.code, &*ran.out), (2, ""), "{table}");
        assert!(
            ran.err.contains("error: ") && ran.err.contains("hint: "),
            "{}",
            ran.err
        );
    }
    assert_eq!(run(["parse", "text", "--table", "/nonexistent"], "").code, 2);
}

/// Where the golden output has a JavaScript accident for an absent field, which is empty here, or the group's id
/// though a newer payload has its name.
fn without_accident(case: &str, output: &str) -> String {
    let absent = case.contains("no groupName and no groupID")
        || case.contains("no operatorID")
        || case.contains("null operatorID")
        || case.contains("operator missing");
    if case.contains("SDK 2.27 shape") {
        // The original knows the key of its time only, and shows the id.
        output.replacen("g1", "真实群名", 1)
    } else if absent {
        output.replacen("undefined", "", 1).replacen("null", "", 1)
    } else {
        output.to_owned()
    }
}

/// Runs all cases of a file in one spelling and compares line by line.
fn check_rendered(kind: &str, file: &str, args: &[&str], outcome: fn(&Value) -> &Value) {
    let golden = golden(file);
    let cases = golden["cases"].as_array().unwrap();
    let ran = run(
        ["parse", kind].iter().chain(args),
        lines(cases.iter().map(|case| &case["payload"])),
    );
    let outputs = values(&ran);
    assert_eq!(outputs.len(), cases.len());
    let mut errors = 0;
    for (at, (case, output)) in cases.iter().zip(&outputs).enumerate() {
        let name = case["name"].as_str().unwrap();
        let outcome = outcome(case);
        if outcome["throws"].is_string() {
            errors += 1;
            assert!(output["error"].is_string(), "{name}: {output}");
            assert!(
                ran.err.contains(&format!("line {}: ", at + 1)),
                "{name}: {}",
                ran.err
            );
        } else if outcome["returns_undefined"] == true {
            assert_eq!(*output, Value::Null, "{name}");
        } else {
            let expected = without_accident(name, outcome["output"].as_str().unwrap());
            assert_eq!(*output, expected, "{name}");
        }
    }
    assert_eq!(ran.code, 2);
    assert_eq!(ran.err.matches("stdin, line ").count(), errors, "{}", ran.err);
}

#[test]
fn notices_are_as_golden_in_both_spellings() {
    check_rendered("notice", "system_notice.json", &[], |case| case);
    check_rendered(
        "notice",
        "system_notice.json",
        &["--profile", "full-width"],
        |case| &case["official"],
    );
}

#[test]
fn tips_are_as_golden_in_both_spellings() {
    check_rendered("tip", "group_tip.json", &[], |case| case);
    check_rendered("tip", "group_tip.json", &["--profile", "full-width"], |case| {
        &case["official"]
    });
}

#[test]
fn english_words() {
    let notice = json!({"operationType": 8, "groupProfile": {"groupID": "g", "groupName": "weekend"}});
    let args = ["parse", "notice", "--profile", "english"];
    assert_eq!(
        run(args, notice.to_string()).ok(),
        "\"You left the group weekend\"\n"
    );
    assert_eq!(run(["parse", "tip", "--profile", "klingon"], "").code, 2);
}

#[test]
fn operations_are_numbers_and_nothing_else() {
    let of = |operation: &str| {
        format!("{{\"operationType\":{operation},\"groupProfile\":{{\"groupID\":\"g\"}}}}\n")
    };
    let input: String = [
        "2",
        "2.0",
        "2e0",
        "2.5",
        "\"2\"",
        "-2",
        "4294967298",
        "null",
        "true",
    ]
    .map(of)
    .concat();
    let joined = "\"成功加入群组:g\"";
    let expected = [
        joined, joined, joined, "null", "null", "null", "null", "null", "null",
    ];
    assert_eq!(
        run(["parse", "notice"], input).ok().lines().collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_bad_line_is_told_and_the_others_are_parsed() {
    let ran = run(
        ["parse", "text"],
        "\"a\"\nnonsense\n5\n\"b\"\n\"\\ud83d\"\n\"no end",
    );
    assert_eq!(ran.code, 2);
    let outputs = values(&ran);
    assert_eq!(outputs[0][0]["text"], "a");
    assert_eq!(outputs[3][0]["text"], "b");
    for (at, told) in [(1, 2), (2, 3), (4, 5), (5, 6)] {
        assert!(outputs[at]["error"].is_string(), "{}", outputs[at]);
        assert!(ran.err.contains(&format!("stdin, line {told}: ")), "{}", ran.err);
    }
    assert!(ran.err.contains("4 lines are invalid"), "{}", ran.err);
}

#[test]
fn files_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("one"), "\"1\"").unwrap();
    std::fs::write(path("two"), "\"2\"\nbad\n").unwrap();
    let ran = run(["parse", "text", &path("one"), "-", &path("two")], "\"0\"\n");
    let texts: Vec<_> = values(&ran)
        .iter()
        .map(|nodes| nodes[0]["text"].clone())
        .collect();
    assert_eq!(texts[..3], ["1", "0", "2"]);
    assert!(ran.err.contains("two, line 2: "), "{}", ran.err);
    let missing = run(["parse", "text", &path("three")], "");
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("three"), "{}", missing.err);
}

#[test]
fn whoever_asks_line_by_line_is_answered_line_by_line() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;
    let mut child = super::tim()
        .args(["parse", "text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ask = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for text in ["one", "two"] {
        writeln!(ask, "\"{text}\"").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains(text), "{answer}");
    }
    drop(ask);
    assert!(child.wait().unwrap().success());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the lines are, there is a JSON value for each, and texts are kept whole.
    #[test]
    fn any_text_comes_back(texts in proptest::collection::vec("(\\[|\\]|呲牙|微笑|\\PC|[\\x00-\\x1f]){0,20}", 1..20)) {
        let inputs: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
        let ran = run(["parse", "text", "--table", "seed", "--base", "="], lines(&inputs));
        prop_assert_eq!(ran.code, 0);
        for (text, nodes) in texts.iter().zip(values(&ran)) {
            let back: String = nodes.as_array().unwrap().iter().map(|node| match node["src"].as_str() {
                Some("=emoji_0.png") => "[微笑]",
                Some(src) => { assert_eq!(src, "=emoji_1.png"); "[呲牙]" }
                None => node["text"].as_str().unwrap(),
            }).collect();
            prop_assert_eq!(&back, text);
        }
    }
}

#[test]
fn what_steers_a_terminal_is_escaped_in_json_and_stays_the_same_value() {
    let nasty = "\"\\u009b31mred \\u202e \\u007f \\u2028\"\n";
    let out = run(["parse", "text"], nasty).ok();
    assert_eq!(
        out,
        "[{\"name\":\"text\",\"text\":\"\\u009b31mred \\u202e \\u007f \\u2028\"}]\n"
    );
    // Raw in the input, too, and in what is told of a bad line.
    let out = run(["parse", "text"], "\"a\u{9b}\u{202e}b\"\n").ok();
    assert_eq!(out, "[{\"name\":\"text\",\"text\":\"a\\u009b\\u202eb\"}]\n");
    let bad = "{\"operationType\":1,\"operatorID\":{\"\u{9b}\":1},\"groupProfile\":{}}\n";
    let ran = run(["parse", "notice"], bad);
    assert_eq!(ran.code, 2);
    assert!(!ran.out.contains('\u{9b}') && !ran.err.contains('\u{9b}'));
}

#[test]
fn a_byte_order_mark_before_json_or_a_table_is_passed_over() {
    let out = run(["parse", "text"], "\u{feff}\"hi\"\n\"\u{feff}\"\n").ok();
    assert_eq!(
        out,
        "[{\"name\":\"text\",\"text\":\"hi\"}]\n[{\"name\":\"text\",\"text\":\"\u{feff}\"}]\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("table.json");
    std::fs::write(&table, "\u{feff}{\"[cat]\":\"cat.png\"}").unwrap();
    let args = ["parse", "text", "--base", "", "--table", table.to_str().unwrap()];
    let out = run(args, "\"[cat]\"\n").ok();
    assert_eq!(out, "[{\"name\":\"img\",\"src\":\"cat.png\"}]\n");
}

/// `name || groupName || groupID`, as JavaScript reads it; newer payloads have `name`.
#[test]
fn a_group_is_called_what_javascript_would_call_it() {
    for (profile, expected) in [
        (r#"{"groupID":"room7","groupName":0}"#, "room7"),
        (r#"{"groupID":"room7","groupName":false}"#, "room7"),
        (r#"{"groupID":"room7","groupName":""}"#, "room7"),
        (r#"{"groupID":"room7","groupName":-0.0}"#, "room7"),
        (r#"{"groupID":"room7","groupName":null,"name":""}"#, "room7"),
        (r#"{"groupID":"room7","groupName":7}"#, "7"),
        (r#"{"groupID":"room7","groupName":"0"}"#, "0"),
        (r#"{"groupID":"room7","name":"Seven"}"#, "Seven"),
        (r#"{"groupID":"room7","name":"Seven","groupName":"Old"}"#, "Seven"),
        (r#"{"groupID":"room7","name":0,"groupName":"Old"}"#, "Old"),
        ("{}", ""),
    ] {
        let line = format!("{{\"operationType\":2,\"groupProfile\":{profile}}}\n");
        let out = run(["parse", "notice"], &line).ok();
        assert_eq!(out, format!("\"成功加入群组:{expected}\"\n"), "{profile}");
    }
}
