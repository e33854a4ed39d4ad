//! `database`: what happens between a hub and its PostgreSQL server.

use std::time::Duration;

use clap::ValueEnum;
use tim_testkit::Rng;
use tokio::time::sleep;

use crate::crash::COMPLETE;
use crate::hub::{Hub, Setup};
use crate::load::{Devices, Load};
use crate::network::{AtCommit, Network};
use crate::outages::{Measured, Outages, name};
use crate::reading::read_back;
use crate::server::Server;
use crate::{Place, Result, Verdict, Work, report, say};

/// Options of `database`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each kind of fault comes.
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    times: u32,
    /// Only this kind of fault. Can be repeated.
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    #[command(flatten)]
    work: Work,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The server is killed and started again.
    ServerKill,
    /// The server is killed, and started again when the hub has said that it is not ready.
    ServerDown,
    /// The server is frozen until the hub has said that it is not ready.
    Freeze,
    /// The hub is killed and started again.
    HubKill,
    /// Hub and server are killed and started again.
    Power,
    /// All connections to the server are cut.
    Cut,
    /// The connection is cut before the server gets the COMMIT of a batch.
    BeforeCommit,
    /// The connection is cut after the COMMIT of a batch, before the answer.
    AfterCommit,
    /// The answer to the COMMIT of a batch does not arrive, and the connection stays. Takes 15 s.
    LostAnswer,
    /// Nothing is passed on between hub and server until the hub has said that it is not ready.
    Halt,
}

/// A hub, its database, and the network between them.
struct Installation {
    setup: Setup,
    hub: Option<Hub>,
    server: Server,
    network: Network,
}

pub(crate) async fn run(args: &Args) -> Result<Verdict> {
    let place = args.work.place()?;
    let mut installation = match Installation::start(args, &place).await? {
        Ok(installation) => installation,
        Err(why) => return Ok(Verdict::Skipped(why)),
    };
    let seed = args.work.seed();
    let mut rng = Rng::new(seed);
    let devices = Devices::new(&installation.setup.listen, &installation.setup.data)?;
    let mut load = Load::start(&devices, seed).await?;
    let mut outages = Outages::default();
    for kind in plan(args, &mut rng) {
        load.progress(5 + rng.below(200)).await?;
        sleep(Duration::from_micros(rng.below(5_000))).await;
        let measured = Measured::begin(&load).await;
        installation.fault(kind).await.map_err(|error| {
            format!(
                "{}: {error}; the hub's log: {}",
                name(kind),
                installation.setup.logged()
            )
        })?;
        load.progress(200).await?;
        outages.end(kind, &load, measured).await;
    }
    let (ledger, mut faults) = load.finish().await?;
    installation.idle()?;
    let deviations = read_back(&devices, &ledger, seed, COMPLETE, || true).await;
    faults.extend(deviations.iter().map(ToString::to_string));
    faults.extend(installation.setup.alarms());
    installation.stop()?;
    outages.report()?;
    report(seed, &ledger, &faults)?;
    Ok(Verdict::of(faults.is_empty()))
}

/// All kinds so many times, in any order.
fn plan(args: &Args, rng: &mut Rng) -> Vec<Kind> {
    let kinds = match args.kind.is_empty() {
        true => Kind::value_variants(),
        false => &args.kind,
    };
    let mut plan: Vec<Kind> = (0..args.times).flat_map(|_| kinds).copied().collect();
    for at in (1..plan.len()).rev() {
        plan.swap(at, rng.below(at as u64 + 1) as usize);
    }
    plan
}

impl Installation {
    /// `Err` inside with what the machine lacks.
    async fn start(args: &Args, place: &Place) -> Result<Result<Self, String>> {
        let program = args.work.program()?;
        let server = match Server::new(&place.path().join("server"))? {
            Ok(server) => server,
            Err(why) => return Ok(Err(why)),
        };
        let network = Network::open(&server.socket()).await?;
        let url = format!("postgres://postgres@{}/tim", network.address);
        let (data, log) = (place.path().join("hub"), place.path().join("hub.log"));
        let mut setup = Setup::new(&program, &data, &log).on_database(&url)?;
        let hub = setup.start()?;
        setup.wait_for_readiness(true)?;
        Ok(Ok(Self {
            setup,
            hub: Some(hub),
            server,
            network,
        }))
    }

    /// Makes a fault, and ends it.
    async fn fault(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::ServerKill => {
                self.server.kill()?;
                self.server.start()?;
            }
            Kind::ServerDown => {
                self.server.kill()?;
                self.setup.wait_for_readiness(false)?;
                self.server.start()?;
                self.setup.wait_for_readiness(true)?;
            }
            Kind::Freeze => {
                self.server.freeze()?;
                self.setup.wait_for_readiness(false)?;
                self.server.thaw()?;
                self.setup.wait_for_readiness(true)?;
            }
            Kind::HubKill => {
                self.kill_hub()?;
                self.hub = Some(self.setup.start_again()?);
            }
            Kind::Power => {
                self.server.kill()?;
                self.kill_hub()?;
                self.server.start()?;
                self.hub = Some(self.setup.start_again()?);
            }
            Kind::Cut => self.network.cut(),
            Kind::BeforeCommit => self.network.at_commit(AtCommit::CutBefore).await?,
            Kind::AfterCommit => self.network.at_commit(AtCommit::CutAfter).await?,
            Kind::LostAnswer => self.network.at_commit(AtCommit::LoseAnswer).await?,
            Kind::Halt => {
                self.network.halt(true);
                let said = self.setup.wait_for_readiness(false);
                self.network.halt(false);
                said?;
                self.setup.wait_for_readiness(true)?;
            }
        }
        Ok(())
    }

    fn kill_hub(&mut self) -> Result<()> {
        self.hub.take().map_or(Ok(()), Hub::kill)
    }

    /// Nobody writes: the hub notices all the same that the database is gone, and that it is back.
    fn idle(&mut self) -> Result<()> {
        self.setup.wait_for_readiness(true)?;
        self.server.kill()?;
        self.setup.wait_for_readiness(false)?;
        self.server.start()?;
        self.setup.wait_for_readiness(true)?;
        say("without load, the hub noticed that the database was gone, and that it was back")
    }

    fn stop(mut self) -> Result<()> {
        self.hub.take().map_or(Ok(()), Hub::stop)
    }
}
