//! Text spans against two other ways to get the same spans: aho-corasick over the same keys, and the original's
//! algorithm with a `HashMap`.
//!
//! Every way yields each span (what a renderer consumes), and all are checked to yield the same before they are timed.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;
use tim_benches::{Candidate, medians};
use tim_proto::text::{self, EmojiTable, Span};

fn main() {
    for (name, table) in [
        ("seed", &text::SEED),
        ("classic", &text::CLASSIC),
        ("tui", &text::TUI),
    ] {
        println!("\n{name}, {} keys; MB/s (medians)", table.entries().len());
        let peers = Peers::new(table);
        println!(
            "{:<24}{:>9}{}  ours/best",
            "shape",
            "bytes",
            header(&mut peers.candidates(""))
        );
        for (shape, text) in shapes(table.entries()) {
            peers.check(&text);
            compare(shape, &text, &peers);
        }
    }
    growth();
}

fn header(candidates: &mut [Candidate<'_>]) -> String {
    candidates.iter().map(|(name, _)| format!("{name:>15}")).collect()
}

fn compare(shape: &str, text: &str, peers: &Peers<'_>) {
    let times = medians(&mut peers.candidates(text));
    let speeds: Vec<f64> = times
        .iter()
        .map(|time| text.len() as f64 / time.as_secs_f64() / 1e6)
        .collect();
    let best_peer = speeds[1..].iter().copied().fold(0.0, f64::max);
    let columns: String = speeds.iter().map(|speed| format!("{speed:>15.1}")).collect();
    println!(
        "{shape:<24}{:>9}{columns}{:>11.2}",
        text.len(),
        speeds[0] / best_peer
    );
}

/// Twice the brackets should take twice the time.
fn growth() {
    println!("\ngrowth, seed keys: microseconds (and per doubling)");
    let mut before: Option<[Duration; 3]> = None;
    for thousands in [10, 20, 40, 80, 160] {
        let brackets = "[".repeat(thousands * 1000) + "]";
        let near = "[[[[[[[[]".repeat(thousands * 1000 / 9);
        let unknown = "[x]".repeat(thousands * 1000 / 3);
        let count = |text: &str| {
            text::spans(black_box(text), &text::SEED)
                .map(weight)
                .sum::<usize>()
        };
        let times = medians(&mut [
            ("[...[]", Box::new(|| count(&brackets))),
            ("[[[[[[[[]...", Box::new(|| count(&near))),
            ("[x]...", Box::new(|| count(&unknown))),
        ]);
        let factor = |n: usize| before.map_or(0.0, |b| times[n].as_secs_f64() / b[n].as_secs_f64());
        let cell = |n: usize| format!("{:>10.2} (x{:.2})", times[n].as_secs_f64() * 1e6, factor(n));
        println!(
            "{thousands:>4}k  [..[] {}  [[[[[[[[].. {}  [x].. {}",
            cell(0),
            cell(1),
            cell(2)
        );
        before = Some([times[0], times[1], times[2]]);
    }
}

/// The four shapes of the comparison, and some more that are easy to be slow on.
fn shapes(keys: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let chat = "今天天气真不错我们一起去公园走走吧顺便看看那家新开的店";
    let sixty: String = chat.chars().cycle().take(60).collect();
    let cycle = |n: usize| keys[n % keys.len()].0;
    let emojis = |count: usize| (0..count).map(cycle).collect::<String>();
    vec![
        (
            "chat, 1 emoji in 60",
            (0..100).map(|n| sixty.clone() + cycle(n)).collect(),
        ),
        (
            "plain ASCII",
            "The quick brown fox jumps over the lazy dog. ".repeat(450),
        ),
        ("only emojis", emojis(2500)),
        ("20000 [ and one ]", "[".repeat(20_000) + "]"),
        ("short message", "好的".to_owned() + cycle(1)),
        ("short plain", "on my way, see you at six".to_owned()),
        (
            "1 emoji in 4",
            (0..2000).map(|n| "你好吗？".to_owned() + cycle(n)).collect(),
        ),
        ("unknown keys", "[unknown]".repeat(2000)),
    ]
}

/// Makes the compiler produce a whole span: its kind, its place and its file.
fn weight(span: Span<'_, '_>) -> usize {
    match span {
        Span::Text(text) => text.len(),
        Span::Emoji { key, file } => (black_box(key).len() << 8) + file.len(),
    }
}

/// The ways to get the spans; each hands them to `each` one by one.
struct Peers<'a> {
    table: &'a EmojiTable<'static>,
    map: HashMap<&'static str, &'static str>,
    automatic: AhoCorasick,
    dfa: AhoCorasick,
}

impl<'a> Peers<'a> {
    fn new(table: &'a EmojiTable<'static>) -> Self {
        let build = |kind| {
            let keys = table.entries().iter().map(|entry| entry.0);
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .kind(kind)
                .build(keys)
                .unwrap()
        };
        let map = table.entries().iter().copied().collect();
        Self {
            table,
            map,
            automatic: build(None),
            dfa: build(Some(AhoCorasickKind::DFA)),
        }
    }

    fn candidates<'t>(&'t self, text: &'t str) -> Vec<Candidate<'t>> {
        let automaton = |automaton: &'t AhoCorasick| {
            move || {
                let mut total = 0;
                self.automaton(automaton, black_box(text), |span| total += weight(span));
                total
            }
        };
        vec![
            (
                "tim",
                Box::new(|| text::spans(black_box(text), self.table).map(weight).sum()),
            ),
            ("aho-corasick", Box::new(automaton(&self.automatic))),
            ("aho dfa", Box::new(automaton(&self.dfa))),
            ("original", Box::new(|| self.original_total(text, str_find))),
            (
                "original+memchr",
                Box::new(|| self.original_total(text, memchr_find)),
            ),
        ]
    }

    fn original_total(&self, text: &str, find: impl Fn(&str, u8) -> Option<usize>) -> usize {
        let mut total = 0;
        self.original(black_box(text), find, |span| total += weight(span));
        total
    }

    /// All ways yield the same. The original's text nodes are joined first.
    fn check(&self, text: &str) {
        let expected: Vec<Span<'_, '_>> = text::spans(text, self.table).collect();
        for automaton in [&self.automatic, &self.dfa] {
            let mut spans = Vec::new();
            self.automaton(automaton, text, |span| spans.push(span));
            assert_eq!(spans, expected);
        }
        for find in [str_find, memchr_find] as [fn(&str, u8) -> Option<usize>; 2] {
            let mut joined = String::new();
            self.original(text, find, |span| match span {
                Span::Text(text) => joined += text,
                Span::Emoji { file, .. } => joined += &format!("\n{file}\n"),
            });
            let same = expected.iter().map(|span| match span {
                Span::Text(text) => (*text).to_owned(),
                Span::Emoji { file, .. } => format!("\n{file}\n"),
            });
            assert_eq!(joined, same.collect::<String>());
        }
    }

    #[inline]
    fn automaton<'t>(&self, automaton: &AhoCorasick, text: &'t str, mut each: impl FnMut(Span<'t, 'static>)) {
        let mut done = 0;
        for found in automaton.find_iter(text) {
            if found.start() > done {
                each(Span::Text(&text[done..found.start()]));
            }
            let (key, file) = self.table.entries()[found.pattern().as_usize()];
            each(Span::Emoji { key, file });
            done = found.end();
        }
        if done < text.len() {
            each(Span::Text(&text[done..]));
        }
    }

    /// The original, statement by statement, but for looking for `]` only where that is of use.
    #[inline]
    fn original<'t>(
        &self,
        text: &'t str,
        find: impl Fn(&str, u8) -> Option<usize>,
        mut each: impl FnMut(Span<'t, 'static>),
    ) {
        let mut rest = text;
        while !rest.is_empty() {
            let left = find(rest, b'[').unwrap_or(rest.len());
            let text_len = if left > 0 {
                left
            } else if let Some(right) = find(rest, b']') {
                if let Some(file) = self.map.get(&rest[..=right]) {
                    each(Span::Emoji {
                        key: &rest[..=right],
                        file,
                    });
                    rest = &rest[right + 1..];
                    continue;
                }
                1
            } else {
                rest.len()
            };
            each(Span::Text(&rest[..text_len]));
            rest = &rest[text_len..];
        }
    }
}

fn str_find(text: &str, bracket: u8) -> Option<usize> {
    text.find(char::from(bracket))
}

fn memchr_find(text: &str, bracket: u8) -> Option<usize> {
    memchr::memchr(bracket, text.as_bytes())
}
