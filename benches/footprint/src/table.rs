//! The table: to Markdown and back, and what is wrong with a new one.

use std::fmt::Write;

/// What an image takes on a target, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    pub image: String,
    pub target: String,
    pub flash: u64,
    pub ram: u64,
}

/// All figures of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub compiler: String,
    pub date: String,
    pub figures: Vec<Figures>,
    /// What clients take at run time: names and figures. Empty if there is no QEMU.
    pub running: Vec<(String, u64)>,
}

/// Growth up to this many per cent is let pass.
const TOLERANCE: u64 = 5;

const INTRODUCTION: &str = "\
# Footprint

What a linked image takes, in bytes, beyond one that only reads a byte and shows it. Optimised for size
(`opt-level = \"z\"`, fat LTO, one codegen unit, `panic = \"abort\"`, linked with `--icf=all`), with nothing of a board in it. *Flash*
is code, constants and the first values of variables. *RAM* is variables and the state that is kept between calls, without the
caller's buffers and without the stack. The client is the smallest that is one: it logs in, picks up where it was, sends
texts, acknowledges, and shows texts with emojis, tips and notices in words; *polled* is the same without futures. Its framing is
chosen when it is compiled (`OnlySerial`, `OnlyStream`). A device links what it uses and nothing else; *all calls* is what it comes to
with every kind of message and every call but those of files, *files* with uploads and downloads too, both on a serial line. None has
compact deliveries (the feature `compact`).

The MQTT clients are built in the same run with the same flags, on a stream: connect, subscribe, publish, receive. Compare them with
*client, stream* (they have futures, too) and *client, polled, stream*.

The rows *short memory routines* have `memcpy` and its like of `images/src/memory.rs`, a byte at a time, instead of those of the
compiler, which move words. The image that is subtracted has them as well.

Made by `.ci/footprint --update`; `.ci/footprint --check` fails when a figure has grown by more than 5 % or is missing.
";

/// Stands before what is measured in QEMU.
const RUNNING: &str = "\n## At run time\n";
const RUNNING_INTRODUCTION: &str = "
The image `replay` runs the clients on a stream in QEMU (`mps2-an386`, a Cortex-M4), on \"z\", against what a hub has said before, so that the
figures are the same each time. `cargo run --manifest-path benches/footprint/Cargo.toml -- --replay` prints them, with QEMU's path in
`FOOTPRINT_QEMU`. *Stack high water* is what has been written of a stack that was painted before, in bytes: with the state and with
three buffers of 512 bytes, which are on the stack here. *Instructions a received message* are those from one to the next in a backlog of 17,
with 60 bytes of text and an emoji each: reading 64 bytes at a time, decoding, showing, acknowledging. Futures are in bytes. `--check` fails when one has
grown by more than 5 %; without QEMU it says that it has not looked.

| client | figure |
|---|--:|
";

/// What the title of an image has more that has short memory routines.
pub const WITH_SHORT: &str = ", short memory routines";

/// What is wanted of images on [`GOAL_TARGET`], with or without short memory routines: flash and RAM at most.
const GOALS: [(&str, u64, u64); 4] = [
    ("client, polled, stream", 16_384, 1400),
    ("client, polled, serial line", 16_384, 1400),
    ("client, stream", 18_432, 1400),
    ("client, serial line", 18_432, 1400),
];
pub const GOAL_TARGET: &str = "thumbv7em-none-eabihf";

impl Table {
    /// The whole file.
    pub fn to_markdown(&self) -> String {
        let mut out = format!(
            "{INTRODUCTION}\nCompiler: {}\nDate: {}\n\n",
            self.compiler, self.date
        );
        let targets = distinct(self.figures.iter().map(|figures| &figures.target));
        out.push_str("| image |");
        for target in &targets {
            let _ = write!(out, " {target}: flash | RAM |");
        }
        let _ = writeln!(out, "\n|---|{}", "--:|--:|".repeat(targets.len()));
        for image in distinct(self.figures.iter().map(|figures| &figures.image)) {
            let _ = write!(out, "| {image} |");
            for target in &targets {
                let _ = match self.find(image, target) {
                    Some(Figures { flash, ram, .. }) => write!(out, " {flash} | {ram} |"),
                    None => write!(out, " | |"),
                };
            }
            out.push('\n');
        }
        self.write_goals(&mut out);
        if !self.running.is_empty() {
            out.push_str(RUNNING);
            out.push_str(RUNNING_INTRODUCTION);
            for (name, figure) in &self.running {
                let _ = writeln!(out, "| {name} | {figure} |");
            }
        }
        out
    }

    /// Says which goals are met, and by how much others are missed.
    fn write_goals(&self, out: &mut String) {
        let state = |now: u64, goal: u64| match now.saturating_sub(goal) {
            0 => "met".to_owned(),
            over => format!("missed by {over}"),
        };
        for (image, flash, ram) in GOALS {
            let Some(now) = self.find(image, GOAL_TARGET) else {
                continue;
            };
            let _ = write!(
                out,
                "\nGoal on {GOAL_TARGET}: {image}: at most {flash} bytes of flash, {}",
                state(now.flash, flash),
            );
            if let Some(short) = self.find(&format!("{image}{WITH_SHORT}"), GOAL_TARGET) {
                let _ = write!(out, " (with short memory routines {})", state(short.flash, flash));
            }
            let _ = writeln!(out, "; at most {ram} bytes of RAM, {}.", state(now.ram, ram));
        }
    }

    /// Reads a file that [`Table::to_markdown`] made.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
        };
        let (text, running) = text.split_once(RUNNING).unwrap_or((text, ""));
        let mut rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
        let head = rows.next().ok_or("the kept table has no rows")?;
        let targets: Vec<_> = head
            .iter()
            .filter_map(|cell| cell.strip_suffix(": flash"))
            .collect();
        let mut figures = Vec::new();
        for row in rows.skip(1) {
            let image = *row.first().ok_or("the kept table has an empty row")?;
            for (target, pair) in targets.iter().zip(row.get(1..).unwrap_or_default().chunks(2)) {
                let number = |at: usize| pair.get(at).and_then(|cell| cell.parse().ok());
                let (Some(flash), Some(ram)) = (number(0), number(1)) else {
                    continue; // a figure that is missing is complained of when tables are compared
                };
                figures.push(Figures {
                    image: image.to_owned(),
                    target: (*target).to_owned(),
                    flash,
                    ram,
                });
            }
        }
        Ok(Self {
            compiler: value("Compiler:").unwrap_or_default(),
            date: value("Date:").unwrap_or_default(),
            figures,
            running: running
                .lines()
                .filter_map(|line| match cells(line)[..] {
                    [name, figure] => Some((name.to_owned(), figure.parse().ok()?)),
                    _ => None,
                })
                .collect(),
        })
    }

    /// What is wrong with this table beside the one that was kept: figures that grew too much, and figures that only one
    /// of the two has. Empty: nothing.
    pub fn complaints_against(&self, kept: &Self) -> Vec<String> {
        let mut complaints = Vec::new();
        for Figures {
            image,
            target,
            flash,
            ram,
        } in &self.figures
        {
            let Some(before) = kept.find(image, target) else {
                complaints.push(format!("{image} on {target} is missing in the kept table"));
                continue;
            };
            for (what, now, before) in [("flash", flash, &before.flash), ("RAM", ram, &before.ram)] {
                if now * 100 > before * (100 + TOLERANCE) {
                    complaints.push(format!(
                        "{image} on {target} takes {now} bytes of {what}, {before} were kept"
                    ));
                }
            }
        }
        for Figures { image, target, .. } in &kept.figures {
            if self.find(image, target).is_none() {
                complaints.push(format!("{image} on {target} is kept, but was not measured"));
            }
        }
        for (name, now) in &self.running {
            match kept.running.iter().find(|(other, _)| other == name) {
                None => complaints.push(format!("{name} is missing in the kept table")),
                Some((_, before)) if now * 100 > before * (100 + TOLERANCE) => {
                    complaints.push(format!("{name} is {now}, {before} was kept"));
                }
                Some(_) => {}
            }
        }
        let was_measured = |name: &str| self.running.iter().any(|(other, _)| other == name);
        for (name, _) in kept.running.iter().filter(|(name, _)| !was_measured(name)) {
            if !self.running.is_empty() {
                complaints.push(format!("{name} is kept, but was not measured"));
            }
        }
        complaints
    }

    fn find(&self, image: &str, target: &str) -> Option<&Figures> {
        self.figures
            .iter()
            .find(|figures| figures.image == image && figures.target == target)
    }
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// Each value once, in the order of its first appearance.
fn distinct<'t>(values: impl Iterator<Item = &'t String>) -> Vec<&'t str> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value.as_str()) {
            seen.push(value.as_str());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(figures: &[(&str, &str, u64, u64)]) -> Table {
        let figure = |&(image, target, flash, ram): &(&str, &str, u64, u64)| Figures {
            image: image.to_owned(),
            target: target.to_owned(),
            flash,
            ram,
        };
        Table {
            compiler: "rustc 1".to_owned(),
            date: "2026-01-01".to_owned(),
            figures: figures.iter().map(figure).collect(),
            running: Vec::new(),
        }
    }

    const KEPT: [(&str, &str, u64, u64); 4] = [
        ("a, b", "m0", 1000, 200),
        ("a, b", "m4", 900, 200),
        ("c", "m0", 100, 0),
        ("c", "m4", 90, 0),
    ];

    #[test]
    fn what_was_written_reads_back() {
        let kept = table(&KEPT);
        assert_eq!(Table::parse(&kept.to_markdown()), Ok(kept.clone()));
        assert!(kept.complaints_against(&kept).is_empty());
    }

    #[test]
    fn five_per_cent_pass_and_more_does_not() {
        let kept = table(&KEPT);
        let mut grown = kept.clone();
        grown.figures[0].flash = 1050;
        grown.figures[1].flash = 1;
        assert_eq!(grown.complaints_against(&kept), Vec::<String>::new());
        grown.figures[0].flash = 1051;
        assert_eq!(
            grown.complaints_against(&kept),
            ["a, b on m0 takes 1051 bytes of flash, 1000 were kept"]
        );
        let mut grown = kept.clone();
        grown.figures[3].ram = 1;
        assert_eq!(
            grown.complaints_against(&kept),
            ["c on m4 takes 1 bytes of RAM, 0 were kept"]
        );
    }

    #[test]
    fn what_was_measured_at_run_time_is_compared_if_there_was_qemu() {
        let mut kept = table(&KEPT);
        kept.running = vec![("a: stack".to_owned(), 1000), ("b".to_owned(), 20)];
        assert_eq!(Table::parse(&kept.to_markdown()), Ok(kept.clone()));
        assert!(table(&KEPT).complaints_against(&kept).is_empty());
        let mut now = kept.clone();
        now.running = vec![("a: stack".to_owned(), 1051), ("c".to_owned(), 1)];
        assert_eq!(
            now.complaints_against(&kept),
            [
                "a: stack is 1051, 1000 was kept",
                "c is missing in the kept table",
                "b is kept, but was not measured"
            ]
        );
    }

    #[test]
    fn a_figure_that_is_missing_on_either_side_is_named() {
        let (all, less) = (table(&KEPT), table(&KEPT[..3]));
        assert_eq!(
            less.complaints_against(&all),
            ["c on m4 is kept, but was not measured"]
        );
        assert_eq!(
            all.complaints_against(&less),
            ["c on m4 is missing in the kept table"]
        );
        let with_a_hole = all.to_markdown().replace("| 90 | 0 |", "| | |");
        let read = Table::parse(&with_a_hole).expect("a table");
        assert_eq!(
            all.complaints_against(&read),
            ["c on m4 is missing in the kept table"]
        );
    }
}
