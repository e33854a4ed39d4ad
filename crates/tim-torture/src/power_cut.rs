//! `power-cut`: what is not on the disk is lost.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tim_testkit::Rng;
use tokio::time::sleep;

use crate::crash::COMPLETE;
use crate::hub::{Hub, Setup, Started};
use crate::load::{Devices, Load};
use crate::reading::read_back;
use crate::script::{Script, State, read};
use crate::trace::{Disk, Step, record};
use crate::{Result, Verdict, Work, report, say};

/// The size of the file system.
const IMAGE_BYTES: u64 = 512 << 20;
/// How many batches a recording has.
const BATCHES: usize = 120;
/// How many cuts are made from a recording.
const CUTS_OF_A_RECORDING: u32 = 100;
/// How many cuts of each recording are tried on a disk that ignores syncs.
const CONTROL_CUTS: u32 = 10;

/// `EXT4_IOC_SHUTDOWN`, with its flags as the argument. No tool of the base system issues it.
const SHUTDOWN: &str = "import fcntl,os,struct,sys\n\
     fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', int(sys.argv[2])))";
/// The flags: sync everything first; write the journal; write nothing.
const FLAGS: [&str; 3] = ["0", "1", "2"];

/// Options of `power-cut`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often the power is cut.
    #[arg(long, default_value_t = 10, value_name = "NUMBER")]
    cuts: u32,
    /// Record the writes and syncs of a store with strace, and try states in which a cut may leave its files. Needs no root.
    #[arg(long)]
    simulated: bool,
    #[command(flatten)]
    work: Work,
}

pub(crate) async fn run(args: &Args) -> Result<Verdict> {
    match args.simulated {
        true => simulated(args),
        false => real(args).await,
    }
}

/// Whether this program can be run.
fn has(program: &str) -> bool {
    Command::new(program)
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Runs a command that must succeed.
fn must<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<()> {
    let ran = Command::new(program).args(args).output()?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&ran.stderr).trim()).into()),
    }
}

/// A mounted ext4 file system in a file. It is unmounted when dropped.
struct FileSystem {
    image: PathBuf,
    mount: PathBuf,
}

impl FileSystem {
    /// Makes one; `Err` inside says what this machine lacks.
    fn make(dir: &Path) -> Result<Result<Self, String>> {
        #[cfg(unix)]
        let is_root = rustix::process::geteuid().is_root();
        #[cfg(not(unix))]
        let is_root = false;
        if !is_root {
            return Ok(Err("a loop mount needs root; --simulated does not".to_owned()));
        }
        if let Some(lacks) = ["mkfs.ext4", "mount", "umount", "python3"]
            .iter()
            .find(|program| !has(program))
        {
            return Ok(Err(format!("there is no {lacks}")));
        }
        let made = Self {
            image: dir.join("image"),
            mount: dir.join("mount"),
        };
        fs::create_dir(&made.mount)?;
        fs::File::create(&made.image)?.set_len(IMAGE_BYTES)?;
        must(
            "mkfs.ext4",
            [OsStr::new("-q"), OsStr::new("-F"), made.image.as_os_str()],
        )?;
        match made.mount() {
            Ok(()) => Ok(Ok(made)),
            Err(error) => Ok(Err(format!("loop devices cannot be mounted: {error}"))),
        }
    }

    fn mount(&self) -> Result<()> {
        must(
            "mount",
            [
                OsStr::new("-o"),
                OsStr::new("loop"),
                self.image.as_os_str(),
                self.mount.as_os_str(),
            ],
        )
    }

    /// Cuts the power. Nobody uses the files any more when it comes back.
    fn cut(&self, flags: &str) -> Result<()> {
        must(
            "python3",
            [
                OsStr::new("-c"),
                OsStr::new(SHUTDOWN),
                self.mount.as_os_str(),
                OsStr::new(flags),
            ],
        )
    }

    fn mount_again(&self) -> Result<()> {
        must("umount", [&self.mount])?;
        self.mount()
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let _ = must("umount", [&self.mount]);
    }
}

async fn real(args: &Args) -> Result<Verdict> {
    let place = args.work.place()?;
    let disk = match FileSystem::make(place.path())? {
        Ok(disk) => disk,
        Err(lacks) => return Ok(Verdict::Skipped(lacks)),
    };
    let data = disk.mount.join("data");
    let mut setup = Setup::new(&args.work.program()?, &data, &place.path().join("hub.log"));
    let seed = args.work.seed();
    let mut rng = Rng::new(seed);
    let mut hub: Hub = setup.start()?;
    let devices = Devices::new(&setup.listen, &data)?;
    let mut load = Load::start(&devices, seed).await?;
    let mut of_flags = [0_u32; FLAGS.len()];
    for _ in 0..args.cuts {
        if rng.percent(15) {
            // While a hub starts.
            hub.kill()?;
            hub = setup.spawn()?;
            sleep(Duration::from_micros(rng.below(80_000))).await;
        } else {
            load.progress(5 + rng.below(200)).await?;
            sleep(Duration::from_micros(rng.below(5_000))).await;
        }
        // Mostly the worst.
        let flags = [0, 1, 2, 2, 2][rng.below(5) as usize];
        of_flags[flags] += 1;
        // Nobody sends a response after a real power cut. Here, a sync that is under way when the file system shuts down may
        // report success for what is lost.
        hub.freeze()?;
        disk.cut(FLAGS[flags])?;
        hub.kill()?;
        disk.mount_again()?;
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
    let complaints = setup.logged();
    faults.extend(
        complaints
            .lines()
            .filter(|line| line.contains("panicked"))
            .map(str::to_owned),
    );
    hub.stop()?;
    drop(disk);
    say(format_args!(
        "{} power cuts: {} after a sync, {} with the journal written, {} with nothing written",
        args.cuts, of_flags[0], of_flags[1], of_flags[2]
    ))?;
    report(seed, &ledger, &faults)?;
    Ok(Verdict::of(faults.is_empty()))
}

fn simulated(args: &Args) -> Result<Verdict> {
    if !has("strace") {
        return Ok(Verdict::Skipped(
            "there is no strace to record writes with".to_owned(),
        ));
    }
    let place = args.work.place()?;
    let mut tally = Tally::default();
    let mut control = Tally::default();
    for recording in 0.. {
        let cuts = CUTS_OF_A_RECORDING.min(args.cuts - tally.cuts);
        if cuts == 0 {
            break;
        }
        let seed = args.work.seed().wrapping_add(recording);
        let recorded = Recorded::make(seed, place.path())?;
        for cut in 0..cuts {
            recorded.try_cut(cut, &Disk::default(), place.path(), &mut tally)?;
        }
        for cut in 0..CONTROL_CUTS {
            recorded.try_cut(cut, &Disk::that_lies(), place.path(), &mut control)?;
        }
    }
    say(format_args!(
        "{} simulated power cuts, {} of them with writes under way; {} entries read back; {} faults",
        tally.cuts,
        tally.torn,
        tally.entries,
        tally.faults.len()
    ))?;
    for fault in tally.faults.iter().take(crate::MAX_FAULTS) {
        say(format_args!("  {fault}"))?;
    }
    say(format_args!(
        "control: on a disk that ignores syncs {} of {} cuts lose something",
        control.faults.len(),
        control.cuts
    ))?;
    let is_proof = !control.faults.is_empty() && tally.torn > 0;
    if !is_proof {
        say("this run proves nothing: it had nothing to lose")?;
    }
    Ok(Verdict::of(tally.faults.is_empty() && is_proof))
}

/// What cuts have shown.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    /// Cuts while something that was written was not on the disk.
    torn: u32,
    entries: usize,
    faults: Vec<String>,
}

/// A recording of a store that commits a script.
struct Recorded {
    seed: u64,
    steps: Vec<Step>,
    /// What the store holds after each batch; before the first one, nothing.
    states: Vec<State>,
}

impl Recorded {
    fn make(seed: u64, dir: &Path) -> Result<Self> {
        let own = std::env::current_exe()?;
        let data = dir.join(format!("recorded-{seed}"));
        let trace = dir.join(format!("trace-{seed}"));
        fs::create_dir(&data)?;
        let (seed_text, batches) = (seed.to_string(), BATCHES.to_string());
        let command = [
            own.as_os_str(),
            OsStr::new("record"),
            data.as_os_str(),
            OsStr::new("--seed"),
            OsStr::new(&seed_text),
            OsStr::new("--batches"),
            OsStr::new(&batches),
        ];
        let steps = record(&command, &data, &trace)?;
        fs::remove_file(&trace)?;
        let mut script = Script::new(seed);
        let mut states = vec![script.state().clone()];
        for _ in 0..BATCHES {
            script.next_batch();
            states.push(script.state().clone());
        }
        Ok(Self { seed, steps, states })
    }

    /// Cuts the power at some moment and looks what the store makes of the files.
    fn try_cut(&self, cut: u32, disk: &Disk, place: &Path, tally: &mut Tally) -> Result<()> {
        let mut rng = Rng::new(self.seed ^ u64::from(cut) << 32 ^ 0xC07);
        let at = rng.below(self.steps.len() as u64) as usize;
        let dir = place.join(format!("cut-{}-{cut}", self.seed));
        fs::create_dir(&dir)?;
        let is_torn = cut_at(disk.clone(), &self.steps, at, &mut rng, &dir)?;
        tally.cuts += 1;
        tally.torn += u32::from(is_torn);
        match check(&dir, &self.steps[..at], &self.states) {
            Ok(found) => tally.entries += found,
            Err(fault) => tally.faults.push(format!(
                "seed {}, cut {cut} (after step {at}): {fault}",
                self.seed
            )),
        }
        Ok(fs::remove_dir_all(&dir)?)
    }
}

/// Leaves in `dir` what a cut after these many steps may leave. Returns whether something was on its way.
fn cut_at(mut disk: Disk, steps: &[Step], at: usize, rng: &mut Rng, dir: &Path) -> Result<bool> {
    for step in steps.iter().take(at) {
        disk.apply(step);
    }
    disk.cut(rng, dir)?;
    Ok(disk.has_pending_writes())
}

/// The store holds exactly what was acknowledged, or that and the batch that was under way. Returns the number of entries.
fn check(dir: &Path, steps: &[Step], states: &[State]) -> Result<usize> {
    let acknowledged = steps.iter().rev().find_map(|step| match step {
        Step::Acknowledged(batch) => Some(*batch),
        _ => None,
    });
    let (writer, reader) = match (tim_store_sqlite::open(dir), acknowledged) {
        (Ok(store), _) => store,
        // Before anything was acknowledged it may say that the files are incomplete.
        (Err(tim_store_sqlite::OpenError::Emptied { .. }), None) => return Ok(0),
        (Err(error), _) => return Err(error.into()),
    };
    let found = read(&reader)?;
    drop((writer, reader));
    let least = acknowledged.unwrap_or(0);
    let allowed = states.get(least..states.len().min(least + 2)).unwrap_or(&[]);
    if !allowed.contains(&found) {
        let lens = |state: &State| state.iter().map(Vec::len).collect::<Vec<_>>();
        let expected: Vec<_> = allowed.iter().map(lens).collect();
        return Err(format!(
            "after batch {least} the conversations have {:?} entries instead of one of {expected:?}, or others",
            lens(&found)
        )
        .into());
    }
    Ok(found.iter().map(Vec::len).sum())
}
