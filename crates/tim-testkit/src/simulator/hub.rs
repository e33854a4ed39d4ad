//! The hub's process: a real hub on a real store in a directory, which starts, stops, crashes and is restored from backups.
//!
//! A crash leaves what was synced: the directory as it is at that moment, which is copied before anything else happens. Each start
//! works on a copy of its own, so that whatever is left of an earlier life harms nobody.

mod disk;
mod pump;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tim_files::Faults as FileFaults;
use tim_hub::{Clock, FileOptions, Hub, HubOptions, Step, Steps};
use tim_proto::vendor::limits::Limits;
use tim_store::faults::{self, Faults};
use tim_store::{NotStored, Store, StoreError, StoreReader};
use tim_store_sqlite::OpenOptions;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, spawn_local};

use self::disk::Disk;
use self::pump::Pace;
use super::history::What;
use super::network::Accept;
use super::op::{HubFault, Server, ServerFault, Settings, StoreFault};
use super::recorder::Shared;
use super::servers::{Servers, Way};
use crate::{End, Rng};

/// The files that a store consists of when it is not open.
const DATABASE: &str = "tim.sqlite3";
/// SQLite's log, and the one in front of the database.
const LOGS: [&str; 2] = ["tim.sqlite3-wal", "tim.log"];
/// The directory of files.
const FILES: &str = "files";
/// How long after its store has failed for good a hub is started again.
const RESTART_MS: u64 = 1_000;
/// How long it may take after all faults until everybody is notified: a sink is asked again after a minute at the latest, for each message.
const NOTIFIED_MS: u64 = 300_000;

/// The process, whether a hub runs in it or not.
pub(crate) struct HubProcess {
    shared: Rc<Shared>,
    commands: mpsc::UnboundedSender<HubFault>,
    /// How many commands have not been carried out.
    busy: Cell<usize>,
    life: RefCell<Option<Rc<Life>>>,
    /// A hub that is down is started at once.
    hurry: Cell<bool>,
    hurried: Notify,
    pace: Rc<Pace>,
    /// Of the file store.
    disk: Disk,
    home: TempDir,
    copies: Cell<u32>,
    backups: RefCell<Vec<PathBuf>>,
    rng: RefCell<Rng>,
    /// What the hub calls.
    servers: Option<Rc<Servers>>,
}

/// A hub that runs.
pub(crate) struct Life {
    pub(crate) hub: Arc<Hub>,
    pub(crate) reader: Arc<dyn StoreReader>,
    pub(crate) dir: PathBuf,
    pub(crate) steps: Steps,
    faults: Faults,
    /// Its way to the servers that it calls.
    way: Way,
    tasks: Vec<JoinHandle<()>>,
    /// Whether it is over.
    over: watch::Sender<bool>,
}

impl Life {
    fn end(&self) {
        self.way.end();
        self.tasks.iter().for_each(JoinHandle::abort);
        self.steps.crash();
        self.over.send_replace(true);
    }

    /// Ready when it is over.
    pub(crate) async fn over(&self) {
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}

/// A directory in memory, if there is one: a sync costs next to nothing there.
fn home() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => TempDir::with_prefix_in("tim-simulator-", memory),
        false => TempDir::with_prefix("tim-simulator-"),
    }
}

/// `HubOptions::max_half_open`.
const MAX_HALF_OPEN: usize = 24;

/// The options of the hub of a run.
pub(crate) fn options(shared: &Shared) -> HubOptions {
    let settings: &Settings = &shared.plan.settings;
    let (wall, steady) = (shared.hub_wall.clone(), shared.steady);
    let mut options = HubOptions::new(Shared::app());
    options.limits = Limits::new()
        .with_retention_seconds(settings.retention_seconds)
        .with_group_messages_per_second(settings.group_messages_per_second);
    options.purge_interval = Duration::from_millis(settings.purge_interval_ms);
    options.max_devices = settings.max_devices;
    options.max_live = settings.max_live;
    options.max_outgoing = settings.max_outgoing;
    options.sends_per_second = settings.sends_per_second;
    if let Some(files) = &settings.files {
        options.limits = options
            .limits
            .with_piece_bytes(files.piece_bytes)
            .with_upload_window(files.window);
        options.max_account_file_bytes = files.account_bytes;
        options.max_account_files = files.account_files;
    }
    // Fewer than hostile users open, so that some are dropped: theirs.
    options.max_half_open = MAX_HALF_OPEN;
    options.clock = Clock::new(move || wall.ms(), move || steady.ms());
    options
}

impl HubProcess {
    /// A process whose hub runs.
    pub(crate) fn start(shared: &Rc<Shared>) -> io::Result<Rc<Self>> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let process = Rc::new(Self {
            shared: Rc::clone(shared),
            commands,
            busy: Cell::new(0),
            life: RefCell::default(),
            hurry: Cell::new(false),
            hurried: Notify::new(),
            pace: Rc::default(),
            disk: Disk::default(),
            home: home()?,
            copies: Cell::new(0),
            backups: RefCell::default(),
            rng: RefCell::new(shared.rng(0x4855_4200)),
            servers: Servers::new(shared),
        });
        process.begin(None);
        spawn_local(Rc::clone(&process).run(receiver));
        Ok(process)
    }

    /// The hub, while it runs.
    pub(crate) fn life(&self) -> Option<Rc<Life>> {
        self.life.borrow().clone()
    }

    /// Something happens to the hub, after what has been commanded before.
    pub(crate) fn fault(&self, fault: HubFault) {
        match fault {
            HubFault::ClockJump(seconds) => {
                self.shared.hub_wall.jump(seconds * 1000);
                let wall_ms = self.shared.hub_wall.ms();
                self.shared.observe(None, What::HubClock { seconds, wall_ms });
            }
            _ => {
                self.busy.set(self.busy.get() + 1);
                let _ = self.commands.send(fault);
            }
        }
    }

    /// Something happens to the store.
    pub(crate) fn store_fault(&self, fault: StoreFault) {
        self.shared.observe(None, What::StoreFault(fault));
        let Some(life) = self.life() else { return };
        let not_stored = |why: NotStored| StoreError::NotStored(why);
        match fault {
            StoreFault::NextFails => life.faults.next_commit_fails(not_stored(NotStored::Busy)),
            StoreFault::NextFull => life.faults.next_commit_fails(not_stored(NotStored::DiskFull)),
            StoreFault::NextUnknown => life.faults.next_commit_is_unknown(),
            StoreFault::NextFatal => life
                .faults
                .next_commit_fails(StoreError::Fatal("it was planned".to_owned())),
            StoreFault::Slow { commit_ms, for_ms } => self.pace.slow_commits(&self.shared, commit_ms, for_ms),
            StoreFault::SlowReads { read_ms, for_ms } => self.pace.slow_reads(&self.shared, read_ms, for_ms),
            StoreFault::SlowAnswers { later_ms, for_ms } => {
                self.pace.slow_answers(&self.shared, later_ms, for_ms);
            }
            StoreFault::Files(fault, ms) => self.disk.fails(fault, self.shared.steady.ms() + u64::from(ms)),
            StoreFault::ReadsFail(ms) => {
                life.faults
                    .reads_fail(Some(not_stored(NotStored::Engine("it was planned".to_owned()))));
                spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(ms.into())).await;
                    life.faults.reads_fail(None);
                });
            }
        }
    }

    /// Something happens to a server that the hub calls.
    pub(crate) fn server_fault(&self, server: Server, fault: ServerFault) {
        if let Some(servers) = &self.servers {
            servers.fault(server, fault);
        }
    }

    /// Waits until everybody is notified of whom it is to be, if the hub has sinks. `Err`: in words, what still waits.
    pub(crate) async fn all_notified(&self) -> Result<(), String> {
        if self.servers.is_none() {
            return Ok(());
        }
        let deadline_ms = self.shared.steady.ms() + NOTIFIED_MS;
        // A hub that has just been started reads first who is to be notified.
        let mut idle_ms = 0;
        while idle_ms < 1_500 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let waiting = self
                .life()
                .map_or(usize::MAX, |life| life.hub.stats().push.waiting);
            idle_ms = if waiting == 0 && self.unsettled().is_none() {
                idle_ms + 50
            } else {
                0
            };
            if self.shared.steady.ms() > deadline_ms {
                return Err(format!("{waiting} users wait to be notified"));
            }
        }
        self.shared.observe(None, What::AllNotified);
        Ok(())
    }

    /// All faults end: the hub runs as soon as it can, on a store that works.
    pub(crate) fn heal(&self) {
        self.hurry.set(true);
        self.hurried.notify_waiters();
        self.pace.heal();
        self.disk.heal();
        if let Some(servers) = &self.servers {
            servers.heal();
        }
        if let Some(life) = self.life() {
            life.faults.reads_fail(None);
            life.faults.forget_next();
        }
    }

    /// Faults may begin again, and retention goes on.
    pub(crate) fn stop_hurrying(&self) {
        self.hurry.set(false);
        if let Some(servers) = &self.servers {
            servers.stop_healing();
        }
        self.pace.hold_retention(false);
    }

    /// A round of retention, which also removes for good what was revoked. It is the last one until [`stop_hurrying`](Self::stop_hurrying):
    /// what is looked at one after another is of one state of the store.
    pub(crate) async fn tidy(&self) {
        self.pace.hold_retention(true);
        let Some(life) = self.life() else { return };
        life.steps.step(Step::Retention);
        while !life.steps.waiting().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What has not settled.
    pub(crate) fn unsettled(&self) -> Option<&'static str> {
        match self.life() {
            _ if self.busy.get() > 0 => Some("the hub is about to end"),
            None => Some("the hub is down"),
            Some(life) if !life.steps.waiting().is_empty() => Some("the hub has work"),
            Some(_) => None,
        }
    }

    async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<HubFault>) {
        loop {
            let failed = self.life().map(|life| life.hub.failed());
            let failed = async {
                match failed {
                    Some(failed) => drop(failed.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.carry_out(command).await;
                    self.busy.set(self.busy.get() - 1);
                }
                () = failed => {
                    self.shared.observe(None, What::HubFailed);
                    let dir = self.stop(true).await;
                    self.stay_down(RESTART_MS).await;
                    self.begin(dir.as_deref());
                }
            }
        }
    }

    async fn carry_out(&self, command: HubFault) {
        match command {
            HubFault::Backup => return self.back_up(),
            HubFault::ClockJump(_) => return,
            _ => self.shared.observe(None, What::HubEnded(command)),
        }
        match command {
            HubFault::Stop(ms) => {
                let dir = self.stop(false).await;
                self.stay_down(ms.into()).await;
                self.begin(dir.as_deref());
            }
            HubFault::Crash(ms) => {
                let dir = self.crash();
                self.stay_down(ms.into()).await;
                self.begin(dir.as_deref());
            }
            HubFault::Restore(ms) => {
                let dir = self.stop(false).await;
                self.stay_down(ms.into()).await;
                let newest = self.backups.borrow().len().checked_sub(1);
                match newest {
                    Some(backup) => {
                        self.shared.observe(
                            None,
                            What::Restored {
                                backup: backup as u32,
                            },
                        );
                        let dir = self.backups.borrow()[backup].clone();
                        self.begin(Some(&dir));
                    }
                    None => self.begin(dir.as_deref()),
                }
            }
            HubFault::Backup | HubFault::ClockJump(_) => {}
        }
    }

    async fn stay_down(&self, ms: u64) {
        if self.hurry.get() {
            return;
        }
        let hurried = self.hurried.notified();
        let _ = tokio::time::timeout(Duration::from_millis(ms), hurried).await;
    }

    /// Starts a hub on a copy of this directory, or on an empty store.
    fn begin(&self, from: Option<&Path>) {
        let dir = self.copy_of(from, true);
        let mut rng = self.rng.borrow_mut();
        let wall_ms = self.shared.hub_wall.ms();
        let opened = OpenOptions::new().now_ms(wall_ms).random(rng.draw()).open(&dir);
        let store: Store = opened
            .unwrap_or_else(|error| panic!("the hub cannot open its store: {error}"))
            .into();
        let reader = Arc::clone(&store.reader);
        let (store, faults) = faults::wrap(store);
        let mut options = options(&self.shared);
        options.files = self.file_options(&dir, &mut rng);
        let way = self
            .servers
            .as_ref()
            .map(|servers| servers.be_called(&mut options));
        self.shared
            .set_files_dir(options.files.as_ref().map(|files| files.directory.clone()));
        let (hub, steps) =
            Hub::stepped(options, store).unwrap_or_else(|error| panic!("the hub cannot start: {error}"));
        let hub = Arc::new(hub);
        self.shared.observe(None, What::HubStarted { wall_ms });
        let pump = pump::run(
            Rc::clone(&self.shared),
            Rc::clone(&self.pace),
            steps.clone(),
            Rng::new(rng.draw()),
        );
        let mut tasks = vec![spawn_local(pump)];
        for line in self.shared.network.serial_lines() {
            let (hub, end) = (Arc::clone(&hub), line.end(End::Hub));
            tasks.push(spawn_local(async move { drop(hub.serve_serial(end).await) }));
        }
        let accept: Accept = {
            let hub = Arc::downgrade(&hub);
            Arc::new(move |link, peer| {
                if let Some(hub) = hub.upgrade() {
                    hub.spawn_from(link, peer);
                }
            })
        };
        self.shared.network.set_accept(Some(accept));
        *self.life.borrow_mut() = Some(Rc::new(Life {
            hub,
            reader,
            dir,
            steps,
            faults,
            way: way.unwrap_or_default(),
            tasks,
            over: watch::Sender::new(false),
        }));
    }

    /// Where the hub of a run with files keeps them. What their names are derived from is another one in each life.
    fn file_options(&self, dir: &Path, rng: &mut Rng) -> Option<FileOptions> {
        let settings = self.shared.plan.settings.files.as_ref()?;
        let mut secret = [0; 32];
        for bytes in secret.chunks_mut(8) {
            bytes.copy_from_slice(&rng.draw().to_le_bytes());
        }
        let mut options = FileOptions::with_secret(dir.join(FILES), secret);
        options.unsent_life = Duration::from_millis(settings.unsent_life_ms);
        options.store.max_uploads = settings.max_uploads;
        options.store.upload_life_ms = settings.upload_life_ms;
        // The disk of the machine is nobody's business; `Disk` says when it is full.
        options.store.keep_free = 0;
        let (disk, steady) = (self.disk.clone(), self.shared.steady);
        options.store.faults = FileFaults::new(move |operation| disk.before(operation, steady.ms()));
        Some(options)
    }

    /// Stops the hub in an orderly way. Returns the directory of its store.
    async fn stop(&self, has_failed: bool) -> Option<PathBuf> {
        let life = self.life()?;
        self.shared.network.set_accept(None);
        life.hub.shut_down().await;
        self.life.take();
        // Whoever has not hung up by now is cut off.
        self.sever();
        life.end();
        // A store that was closed has everything in one file.
        Some(self.copy_of(Some(&life.dir), has_failed))
    }

    /// Ends the hub at once. Returns the directory of its store as it was.
    fn crash(&self) -> Option<PathBuf> {
        let life = self.life.take()?;
        life.way.end();
        let waiting = life.steps.waiting().writes;
        let mut rng = self.rng.borrow_mut();
        if waiting > 0 && rng.percent(30) {
            // It dies between the sync and the answer.
            life.steps
                .step(Step::Commit(1 + rng.below(waiting as u64) as usize));
        }
        let dir = self.copy_of(Some(&life.dir), true);
        self.shared.network.set_accept(None);
        self.sever();
        life.end();
        Some(dir)
    }

    fn sever(&self) {
        self.shared.network.sever_all();
        for line in self.shared.network.serial_lines() {
            line.lose(End::Hub, true);
        }
    }

    fn back_up(&self) {
        let Some(life) = self.life() else { return };
        let backup = self.copy_of(Some(&life.dir), true);
        let change = life
            .reader
            .head_change()
            .unwrap_or_else(|error| panic!("the store cannot be read: {error}"));
        let mut backups = self.backups.borrow_mut();
        let number = backups.len() as u32;
        backups.push(backup);
        self.shared.observe(
            None,
            What::BackedUp {
                backup: number,
                change,
            },
        );
    }

    /// A new directory with a copy of a store, with or without its logs.
    fn copy_of(&self, from: Option<&Path>, with_logs: bool) -> PathBuf {
        let number = self.copies.replace(self.copies.get() + 1);
        let dir = self.home.path().join(format!("store-{number}"));
        let copied = fs::create_dir(&dir).and_then(|()| {
            let logs = LOGS.iter().filter(|_| with_logs);
            for file in [DATABASE].iter().chain(logs) {
                let Some(from) = from.map(|from| from.join(file)).filter(|from| from.exists()) else {
                    continue;
                };
                fs::copy(from, dir.join(file))?;
            }
            match from.map(|from| from.join(FILES)).filter(|from| from.is_dir()) {
                Some(files) => copy_all(&files, &dir.join(FILES)),
                None => Ok(()),
            }
        });
        copied.unwrap_or_else(|error| panic!("the store cannot be copied: {error}"));
        dir
    }
}

/// Copies a directory with all that is in it.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) = (entry?.path(), to.to_owned());
        let Some(name) = path.file_name() else { continue };
        match path.is_dir() {
            true => copy_all(&path, &to.join(name))?,
            false => drop(fs::copy(&path, to.join(name))?),
        }
    }
    Ok(())
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.end();
        }
    }
}
