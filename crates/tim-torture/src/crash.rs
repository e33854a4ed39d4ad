//! `crash`: SIGKILL at random moments.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use tim_testkit::Rng;
use tokio::time::{Instant, sleep};

use crate::hub::{Setup, Started};
use crate::load::{Devices, Load};
use crate::reading::{Patience, read_back};
use crate::{Result, Verdict, Work, report, say};

/// At a complete reading there is time.
pub(crate) const COMPLETE: Patience = Patience {
    request: Duration::from_secs(60),
    quiet: Duration::from_secs(20),
};
/// The write-ahead log has so many frames when the store moves them into the database.
const CHECKPOINT_AT: u32 = 16_384;
/// How long the load may take to reach that.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(20);

/// Options of `crash`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often the hub is killed.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    kills: u32,
    #[command(flatten)]
    work: Work,
}

/// How many kills of each kind there were.
#[derive(Debug, Default)]
struct Kills {
    under_load: u32,
    at_the_start: u32,
    at_the_stop: u32,
    at_a_checkpoint: u32,
    /// Of all of these: those that interrupted a checkpoint.
    in_a_checkpoint: u32,
}

pub(crate) async fn run(args: &Args) -> Result<Verdict> {
    let place = args.work.place()?;
    let data = place.path().join("data");
    let mut setup = Setup::new(&args.work.program()?, &data, &place.path().join("hub.log"));
    let seed = args.work.seed();
    let mut rng = Rng::new(seed);
    let mut hub = setup.start()?;
    let devices = Devices::new(&setup.listen, &data)?;
    let mut load = Load::start(&devices, seed).await?;
    let mut kills = Kills::default();
    for _ in 0..args.kills {
        match rng.below(100) {
            0..20 => {
                kills.at_the_start += 1;
                hub.kill()?;
                hub = setup.spawn()?;
                sleep(Duration::from_micros(rng.below(80_000))).await;
            }
            20..35 => {
                kills.at_the_stop += 1;
                load.progress(5 + rng.below(100)).await?;
                hub.terminate()?;
                sleep(Duration::from_micros(rng.below(20_000))).await;
            }
            35..42 => {
                kills.at_a_checkpoint += 1;
                checkpoint(&data).await;
                sleep(Duration::from_micros(rng.below(30_000))).await;
            }
            _ => {
                kills.under_load += 1;
                load.progress(5 + rng.below(200)).await?;
                sleep(Duration::from_micros(rng.below(5_000))).await;
            }
        }
        hub.kill()?;
        kills.in_a_checkpoint += u32::from(WalIndex::read(&data).is_some_and(|index| index.is_backfilling()));
        hub = setup.spawn()?;
        match hub.wait_for_start()? {
            Started::Listening(_) => {}
            ended => {
                return Err(format!("the hub does not start again ({ended:?}): {}", setup.logged()).into());
            }
        }
    }
    load.progress(100).await?;
    let (ledger, mut faults) = load.finish().await?;
    let deviations = read_back(&devices, &ledger, seed, COMPLETE, || true).await;
    faults.extend(deviations.iter().map(ToString::to_string));
    faults.extend(setup.alarms());
    hub.stop()?;
    say(format_args!("{kills:?}"))?;
    report(seed, &ledger, &faults)?;
    Ok(Verdict::of(faults.is_empty()))
}

/// Waits until the store begins to move the write-ahead log into the database.
async fn checkpoint(data: &Path) {
    let deadline = Instant::now() + CHECKPOINT_PATIENCE;
    while Instant::now() < deadline {
        if WalIndex::read(data).is_some_and(|index| index.frames >= CHECKPOINT_AT) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// What SQLite's index of the write-ahead log says (`-shm`): its layout is part of SQLite's file format.
struct WalIndex {
    /// Committed frames.
    frames: u32,
    /// Frames that are in the database.
    backfilled: u32,
    /// Frames that may be there.
    attempted: u32,
}

impl WalIndex {
    fn read(data: &Path) -> Option<Self> {
        let mut bytes = [0; 136];
        let mut file = File::open(data.join("tim.sqlite3-shm")).ok()?;
        file.read_exact(&mut bytes).ok()?;
        let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            frames: number(16)?,
            backfilled: number(96)?,
            attempted: number(128)?,
        })
    }

    const fn is_backfilling(&self) -> bool {
        self.attempted > self.backfilled
    }
}
