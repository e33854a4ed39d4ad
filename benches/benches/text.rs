//! Text spans against two other ways to get the same spans: aho-corasick over the same keys, and the original's
//! algorithm with a `HashMap`.
//!
//! Every way yields each span (what a renderer consumes), and all are checked to yield the same before they are timed.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::hint::black_box;
use tim_benches::{Candidate, Timing, measure};
use tim_proto::render::text::{self, EmojiTable, Span};

fn main() {
    for (name, table) in [
        ("seed", &text::SEED),
        ("classic", &text::CLASSIC),
        ("tui", &text::TUI),
    ] {
        println!(
            "\n{name}, {} keys; MB/s, and how many times as fast as the best peer",
            table.entries().len()
        );
        let peers = Peers::new(table);
        let names: String = peers
            .candidates("")
            .iter()
            .map(|(name, _)| format!("{name:>14}"))
            .collect();
        println!("{:<22}{:>7}{names}{:>8}", "shape", "bytes", "ratio");
        for (shape, text) in shapes(table.entries()) {
            peers.check(&text);
            compare(shape, &text, &peers);
        }
    }
    growth();
}

fn compare(shape: &str, text: &str, peers: &Peers<'_>) {
    let timings = measure(&mut peers.candidates(text));
    let speed = |timing: &Timing| format!("{:>14.1}", text.len() as f64 / timing.seconds / 1e6);
    let speeds: String = timings.iter().map(speed).collect();
    let ratio = timings[1..]
        .iter()
        .map(|peer| peer.relative)
        .fold(f64::INFINITY, f64::min);
    println!("{shape:<22}{:>7}{speeds}{ratio:>8.2}", text.len());
}

/// Twice the brackets should take twice the time.
fn growth() {
    println!("\ngrowth with 3 keys; microseconds, and times the time of the line before");
    let shapes = [
        ("[ and at the end one ]", "["),
        ("8 [ and one ], again and again", "[[[[[[[[]"),
        ("[x], again and again", "[x]"),
    ];
    for (shape, unit) in shapes {
        println!("{shape}");
        let texts = [10_000, 20_000, 40_000, 80_000].map(|len| unit.repeat(len / unit.len()) + "]");
        let count = |text: &str| text::spans(black_box(text), &text::SEED).map(weight).sum();
        let mut candidates = texts
            .each_ref()
            .map(|text| ("", Box::new(move || count(text)) as Box<dyn FnMut() -> usize>));
        let timings = measure(&mut candidates);
        for (n, (text, timing)) in texts.iter().zip(&timings).enumerate() {
            let factor = timing.relative / timings[n.saturating_sub(1)].relative;
            println!(
                "{:>10} bytes {:>10.3} {factor:>6.2}",
                text.len(),
                timing.seconds * 1e6
            );
        }
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
                "orig. memchr",
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
