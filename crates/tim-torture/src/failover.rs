//! `failover`: nodes of a replicated database go, and hubs, under load.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::ValueEnum as _;
use tim_testkit::Rng;
use tokio::time::sleep;

use crate::crash::COMPLETE;
use crate::hub::alarms_in;
use crate::load::{Devices, Load};
use crate::outages::{Measured, Outages};
use crate::reading::read_back;
use crate::{Place, Result, Verdict, Work, report, say};

/// Options of `failover`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each kind of fault comes.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    times: u32,
    /// How many hubs there are.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    hubs: u32,
    /// Only this kind of fault. Can be repeated.
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    /// The script that starts the cluster.
    #[arg(long, default_value = "deploy/local.sh", value_name = "FILE")]
    script: PathBuf,
    #[command(flatten)]
    work: Work,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// The node of the primary is killed: PostgreSQL, Patroni and etcd.
    PrimaryKill,
    /// The node of the primary is frozen until another one has taken over, and then goes on: as after a partition.
    PrimaryFreeze,
    /// The node of a standby is killed.
    StandbyKill,
    /// A hub is killed.
    HubKill,
    /// All nodes and hubs are killed.
    Power,
}

const NODES: [&str; 3] = ["pg1", "pg2", "pg3"];

/// A cluster that the script has started. It is stopped when dropped.
struct Cluster {
    script: PathBuf,
    program: PathBuf,
    dir: PathBuf,
    hubs: u32,
}

pub(crate) async fn run(args: &Args) -> Result<Verdict> {
    let place = args.work.place()?;
    let cluster = Cluster::new(args, &place)?;
    let missing = cluster.call(&["missing"])?;
    if !missing.status.success() {
        let missing = String::from_utf8_lossy(&missing.stdout).trim().to_owned();
        return Ok(Verdict::Skipped(format!(
            "not installed: {missing} (apt-get install {missing})"
        )));
    }
    let hubs = args.hubs.to_string();
    let started = cluster.script("start", &[&hubs])?;
    let address = started
        .lines()
        .find_map(|line| line.strip_prefix("address tim://"));
    let address = address.ok_or_else(|| format!("no address in {started:?}"))?;
    let seed = args.work.seed();
    let mut rng = Rng::new(seed);
    let devices = Devices::new(address, &cluster.dir)?;
    let mut load = Load::start(&devices, seed).await?;
    let mut outages = Outages::default();
    let kinds = match args.kind.is_empty() {
        true => Kind::value_variants(),
        false => &args.kind,
    };
    for kind in kinds.iter().copied() {
        for _ in 0..args.times {
            load.progress(5 + rng.below(200)).await?;
            sleep(Duration::from_micros(rng.below(5_000))).await;
            let measured = Measured::begin(&load).await;
            let gone = cluster.fault(kind, &mut rng)?;
            if kind != Kind::Power {
                load.progress(200).await?;
            }
            cluster.mend(kind, &gone)?;
            load.progress(200).await?;
            outages.end(kind, &load, measured).await;
        }
    }
    let (ledger, mut faults) = load.finish().await?;
    let deviations = read_back(&devices, &ledger, seed, COMPLETE, || true).await;
    faults.extend(deviations.iter().map(ToString::to_string));
    for hub in cluster.hubs() {
        let log = cluster.dir.join(format!("{hub}.log"));
        faults.extend(alarms_in(&std::fs::read_to_string(log).unwrap_or_default()));
    }
    outages.report()?;
    report(seed, &ledger, &faults)?;
    Ok(Verdict::of(faults.is_empty()))
}

impl Cluster {
    fn new(args: &Args, place: &Place) -> Result<Self> {
        #[cfg(unix)]
        if rustix::process::geteuid().is_root() {
            use std::os::unix::fs::PermissionsExt as _;
            // The user of the database goes through it.
            std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711))?;
        }
        if !args.script.exists() {
            return Err(format!("there is no {}: name it with --script", args.script.display()).into());
        }
        Ok(Self {
            script: args.script.clone(),
            program: args.work.program()?,
            dir: place.path().join("cluster"),
            hubs: args.hubs,
        })
    }

    fn hubs(&self) -> impl Iterator<Item = String> {
        (1..=self.hubs).map(|number| format!("hub{number}"))
    }

    fn call(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new("bash");
        command.arg(&self.script).args(args);
        Ok(command
            .env("TIM", &self.program)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?)
    }

    /// Returns what it prints.
    fn script(&self, what: &str, args: &[&str]) -> Result<String> {
        let dir: &Path = &self.dir;
        let dir = dir.to_str().ok_or("the directory is not UTF-8")?;
        let output = self.call(&[&[what, dir], args].concat())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(format!("{} {what} {args:?} fails", self.script.display()).into()),
        }
    }

    /// Makes a fault. Returns who is concerned.
    fn fault(&self, kind: Kind, rng: &mut Rng) -> Result<Vec<String>> {
        let primary = self.script("primary", &[])?;
        let gone: Vec<String> = match kind {
            Kind::PrimaryKill | Kind::PrimaryFreeze => vec![primary],
            Kind::StandbyKill => {
                let standbys = NODES.into_iter().filter(|node| *node != primary);
                let chosen = standbys.map(str::to_owned).nth(rng.below(2) as usize);
                chosen.into_iter().collect()
            }
            Kind::HubKill => vec![format!("hub{}", 1 + rng.below(u64::from(self.hubs)))],
            Kind::Power => NODES.into_iter().map(str::to_owned).chain(self.hubs()).collect(),
        };
        let how = if kind == Kind::PrimaryFreeze {
            "freeze"
        } else {
            "kill"
        };
        for one in &gone {
            self.script(how, &[one])?;
        }
        // One hub only: nobody goes on without it.
        if kind == Kind::HubKill {
            self.revive(&gone)?;
        }
        Ok(gone)
    }

    fn revive(&self, gone: &[String]) -> Result<()> {
        gone.iter()
            .try_for_each(|one| self.script("revive", &[one]).map(drop))
    }

    /// Everything runs again.
    fn mend(&self, kind: Kind, gone: &[String]) -> Result<()> {
        match kind {
            Kind::PrimaryFreeze => gone
                .iter()
                .try_for_each(|one| self.script("thaw", &[one]).map(drop))?,
            Kind::HubKill => {}
            Kind::PrimaryKill | Kind::StandbyKill | Kind::Power => self.revive(gone)?,
        }
        self.script("settle", &[]).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.dir.exists()
            && let Err(error) = self.script("stop", &[])
        {
            let _ = say(format_args!("{error}"));
        }
    }
}
