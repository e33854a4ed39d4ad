//! `damage`: files that are not what the hub wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tim_testkit::Rng;

use crate::hub::{Setup, Started};
use crate::ledger::{LOGS, Ledger};
use crate::load::{Devices, Load};
use crate::reading::{Deviation, Patience, read_back};
use crate::{Result, Verdict, Work, say};

/// A page of the database.
const PAGE: u64 = 4096;
/// How many operations a store is built from.
const OPERATIONS: u64 = 500;
/// A reading of a damaged store does not wait long for what may be missing.
const IMPATIENT: Patience = Patience {
    request: Duration::from_secs(20),
    quiet: Duration::from_millis(400),
};
/// Unless that is the only sign of a fault: then it is read again.
const PATIENT: Patience = Patience {
    request: Duration::from_secs(60),
    quiet: Duration::from_secs(8),
};

/// Options of `damage`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often the files are damaged.
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    rounds: u64,
    /// The first round: repeats rounds of an earlier run with the same seed.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    from: u64,
    #[command(flatten)]
    work: Work,
}

/// A data directory to damage copies of.
struct Original {
    name: &'static str,
    data: PathBuf,
    devices: Devices,
    ledger: Ledger,
    listen: String,
}

/// What was done to a file.
#[derive(Debug)]
struct Harm {
    file: String,
    what: String,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Everything is there.
    NoEffect,
    /// The hub does not start, and names the file and what to do.
    RefusedToStart,
    /// The hub has stopped, and named the file and what to do.
    Stopped,
    /// What is affected was reported by the hub's log, an error or a gap, and was not served.
    Reported,
}

pub(crate) async fn run(args: &Args) -> Result<Verdict> {
    let place = args.work.place()?;
    let program = args.work.program()?;
    let seed = args.work.seed();
    let originals = [
        original(&program, place.path(), "stopped", seed, true).await?,
        original(&program, place.path(), "killed", seed, false).await?,
    ];
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut faults = 0_u64;
    for round in args.from..args.from.saturating_add(args.rounds) {
        let mut rng = Rng::new(seed ^ round.wrapping_mul(0x1000_0001));
        let original = &originals[rng.below(2) as usize];
        let data = place.path().join("damaged");
        copy(&original.data, &data)?;
        let harm = harm(&mut rng, &data)?;
        let log = place.path().join("damaged.log");
        let _ = fs::remove_file(&log);
        let setup = Setup {
            listen: original.listen.clone(),
            ..Setup::new(&program, &data, &log)
        };
        match judge(&setup, original, seed).await? {
            Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
            Err(found) => {
                faults += 1;
                say(format_args!("round {round} ({}), {harm}:", original.name))?;
                for line in found.iter().take(8) {
                    say(format_args!("  {line}"))?;
                }
            }
        }
        fs::remove_dir_all(&data)?;
    }
    let messages: u64 = originals.iter().map(|original| original.ledger.messages()).sum();
    say(format_args!(
        "seed {seed}: {} rounds of damage to stores with {messages} messages: {outcomes:?}; {faults} faults",
        args.rounds
    ))?;
    Ok(Verdict::of(faults == 0))
}

/// Builds a store. It is stopped, or killed with changes in its write-ahead log.
async fn original(
    program: &Path,
    place: &Path,
    name: &'static str,
    seed: u64,
    is_stopped: bool,
) -> Result<Original> {
    let data = place.join(name);
    let mut setup = Setup::new(program, &data, &place.join(format!("{name}.log")));
    let hub = setup.start()?;
    let devices = Devices::new(&setup.listen, &data)?;
    let mut load = Load::start(&devices, seed).await?;
    load.progress(OPERATIONS).await?;
    let (ledger, faults) = load.finish().await?;
    if let Some(fault) = faults.first() {
        return Err(fault.clone().into());
    }
    match is_stopped {
        true => hub.stop()?,
        false => hub.kill()?,
    }
    Ok(Original {
        name,
        data,
        devices,
        ledger,
        listen: setup.listen,
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}

/// Damages a file of the directory: mostly the database and its write-ahead log.
fn harm(rng: &mut Rng, data: &Path) -> Result<Harm> {
    let mut files: Vec<String> = Vec::new();
    for file in fs::read_dir(data)? {
        let file = file?;
        if file.file_type()?.is_file() {
            files.push(file.file_name().to_string_lossy().into_owned());
        }
    }
    files.sort();
    let main: Vec<String> = files
        .iter()
        .filter(|name| name.contains("sqlite3") || *name == "tim.log")
        .cloned()
        .collect();
    let file = match rng.percent(85) {
        true => main[rng.below(main.len() as u64) as usize].clone(),
        false => files[rng.below(files.len() as u64) as usize].clone(),
    };
    let path = data.join(&file);
    let mut bytes = fs::read(&path)?;
    let len = bytes.len() as u64;
    let what = match rng.below(if len == 0 { 1 } else { 100 }) {
        0..5 => {
            fs::remove_file(&path)?;
            return Ok(Harm {
                file,
                what: "removed".to_owned(),
            });
        }
        5..50 => {
            let bits = 1 + rng.below(4);
            let places: Vec<u64> = (0..bits).map(|_| rng.below(len)).collect();
            for &at in &places {
                bytes[at as usize] ^= 1 << rng.below(8);
            }
            format!("bits flipped at {places:?} of {len}")
        }
        50..65 => {
            let at = match rng.percent(50) {
                true => rng.below(len / PAGE + 1) * PAGE,
                false => rng.below(len),
            };
            bytes.truncate(at as usize);
            format!("truncated to {at} of {len} bytes")
        }
        65..80 => {
            let (from, to) = range(rng, len);
            bytes[from as usize..to as usize].fill(0);
            format!("zeros from {from} to {to} of {len}")
        }
        80..90 => {
            let (from, to) = range(rng, len);
            for byte in &mut bytes[from as usize..to as usize] {
                *byte = rng.draw() as u8;
            }
            format!("noise from {from} to {to} of {len}")
        }
        _ => {
            let pages = (len / PAGE).max(1);
            let (one, other) = (rng.below(pages), rng.below(pages));
            swap(&mut bytes, (one * PAGE) as usize, (other * PAGE) as usize);
            format!("pages {one} and {other} of {pages} swapped")
        }
    };
    fs::write(&path, bytes)?;
    Ok(Harm { file, what })
}

/// A part of a file: some pages, or some bytes.
fn range(rng: &mut Rng, len: u64) -> (u64, u64) {
    if rng.percent(60) {
        let from = rng.below(len / PAGE + 1) * PAGE;
        (from.min(len), (from + PAGE * (1 + rng.below(3))).min(len))
    } else {
        let from = rng.below(len);
        (from, (from + 1 + rng.below(600)).min(len))
    }
}

fn swap(bytes: &mut [u8], one: usize, other: usize) {
    for at in 0..PAGE as usize {
        if one.max(other) + at < bytes.len() {
            bytes.swap(one + at, other + at);
        }
    }
}

/// Starts a hub on damaged files and looks what it serves. `Err` inside: what must not be.
async fn judge(setup: &Setup, original: &Original, seed: u64) -> Result<Result<Outcome, Vec<String>>> {
    let mut found = attempt(setup, original, seed, IMPATIENT).await?;
    if found.is_err() {
        // A slow machine is no fault.
        let again = attempt(setup, original, seed, PATIENT).await?;
        if again.is_ok() {
            found = again;
        }
    }
    Ok(found)
}

async fn attempt(
    setup: &Setup,
    original: &Original,
    seed: u64,
    patience: Patience,
) -> Result<Result<Outcome, Vec<String>>> {
    let mut hub = setup.spawn()?;
    let outcome = match hub.wait_for_start()? {
        Started::Hangs => return Ok(Err(vec!["the hub hangs at its start".to_owned()])),
        Started::Ended(code) => {
            let is_plain = code.is_some_and(|code| code != 0);
            return Ok(
                explained(setup, Outcome::RefusedToStart).and_then(|outcome| match is_plain {
                    true => Ok(outcome),
                    false => Err(vec![format!("the hub ended with {code:?}")]),
                }),
            );
        }
        Started::Listening(_) => {
            let deviations = read_back(&original.devices, &original.ledger, seed, patience, || {
                !matches!(hub.wait(Duration::ZERO), Ok(Some(_)))
            })
            .await;
            match hub.wait(Duration::ZERO)? {
                Some(_) => explained(setup, Outcome::Stopped).and_then(|outcome| match wrong(&deviations) {
                    wrong if wrong.is_empty() => Ok(outcome),
                    wrong => Err(wrong),
                }),
                None => weigh(setup, &deviations),
            }
        }
    };
    if setup.logged().contains("panicked") {
        return Ok(Err(vec![format!("a panic: {}", setup.logged())]));
    }
    Ok(outcome)
}

/// The hub's last words name a file in the data directory, or the directory, and what to do.
fn explained(setup: &Setup, outcome: Outcome) -> Result<Outcome, Vec<String>> {
    let log = setup.logged();
    let names = log.contains(&*setup.data.to_string_lossy());
    let advises = ["restore", "hint:", "remove"]
        .iter()
        .any(|word| log.contains(word));
    match names && advises && !log.contains("panicked") {
        true => Ok(outcome),
        false => Err(vec![format!("the hub ends without a file or advice: {log}")]),
    }
}

fn wrong(deviations: &[Deviation]) -> Vec<String> {
    let wrong = deviations.iter().filter(|one| matches!(one, Deviation::Wrong(_)));
    wrong.map(ToString::to_string).collect()
}

/// What is missing must have been reported: in the hub's log, by an error, or by a gap.
fn weigh(setup: &Setup, deviations: &[Deviation]) -> Result<Outcome, Vec<String>> {
    let wrong = wrong(deviations);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let log = setup.logged();
    let file = setup.data.to_string_lossy();
    let of_file = log.lines().any(|line| {
        line.contains(&*file)
            && ["damaged", "not whole", "is empty", "missing"]
                .iter()
                .any(|word| line.contains(word))
    });
    let mut silent = Vec::new();
    for deviation in deviations {
        let Deviation::Missing { log: of, .. } = deviation else {
            continue;
        };
        let key = of.map(|log| LOGS[log].key().to_string());
        let in_log = key.as_ref().is_some_and(|key| {
            log.lines()
                .any(|line| line.contains(key) && line.contains("damaged"))
        });
        let announced = deviations
            .iter()
            .any(|one| matches!(one, Deviation::Announced { log, .. } if log == of || log.is_none()));
        if !(of_file || in_log || announced) {
            silent.push(deviation.to_string());
        }
    }
    match (silent.is_empty(), deviations.is_empty()) {
        (false, _) => Err(silent),
        (true, false) => Ok(Outcome::Reported),
        (true, true) => Ok(match of_file {
            true => Outcome::Reported,
            false => Outcome::NoEffect,
        }),
    }
}
