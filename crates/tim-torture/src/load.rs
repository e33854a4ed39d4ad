//! Clients that write: numbered messages, revocations and read marks, each repeated until the hub acknowledges it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_client::{Client, CreateGroup, ErrorCode, GroupType, ImError, Message, SendOptions};
use tim_testkit::{Rng, group, user};
use tim_usersig::{App, UserSig};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::hub::APP;
use crate::ledger::{CREATION, GROUP, LOGS, Ledger, Log, PEOPLE, Said, logs_of};
use crate::{Failure, Result};

/// How long a request may take, restarts of the hub included.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many messages a user has under way in one conversation.
const LANES: usize = 4;
/// Only messages as new as this are revoked: the hub does not let old ones be.
const RECENT: usize = 20;

/// Makes clients of a hub.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    address: String,
    key: String,
}

impl Devices {
    /// Of the hub at this address, with the key in its data directory.
    pub(crate) fn new(address: &str, data: &Path) -> Result<Self> {
        Ok(Self {
            address: address.to_owned(),
            key: std::fs::read_to_string(data.join("app.key"))?.trim().to_owned(),
        })
    }

    /// A device that comes back quickly. Not logged in.
    pub(crate) fn device(&self, person: usize, from_start: bool, patience: Duration) -> Client {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let sig = UserSig::sign(&App::new(APP, &*self.key), &user(PEOPLE[person]), now, 36_000);
        let mut builder = Client::builder(APP, user(PEOPLE[person]), sig).session(|config| {
            config.backoff_min = Duration::from_millis(2);
            config.backoff_max = Duration::from_millis(30);
            config.request_timeout = patience;
        });
        if from_start {
            builder = builder.resume_from_start();
        }
        builder.build_tcp(&self.address)
    }
}

/// What the writing tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    ledger: Mutex<Ledger>,
    faults: Mutex<Vec<String>>,
    seed: u64,
    stop: AtomicBool,
    acknowledged: watch::Sender<u64>,
    pace: Mutex<Pace>,
}

/// When something was acknowledged last, and the longest time in which nothing was.
#[derive(Debug)]
struct Pace {
    last: Instant,
    longest: Duration,
}

impl Pace {
    fn new() -> Self {
        Self {
            last: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    fn acknowledged(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
    }
}

impl Shared {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, fault: String) {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
    }
}

/// Clients under way.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<Client>,
    lanes: JoinSet<()>,
    /// How many operations were acknowledged.
    pub(crate) acknowledged: watch::Receiver<u64>,
}

impl Load {
    /// Logs everybody in, creates the group, and lets them write until [`finish`](Self::finish).
    pub(crate) async fn start(devices: &Devices, seed: u64) -> Result<Self> {
        let clients: Vec<Client> = (0..PEOPLE.len())
            .map(|person| devices.device(person, false, PATIENCE))
            .collect();
        for client in &clients {
            client.login().await?;
            client.wait_until_ready().await?;
        }
        let crew = CreateGroup {
            group_id: Some(group(GROUP)),
            members: PEOPLE[1..].iter().map(|name| user(name)).collect(),
            ..CreateGroup::new(GroupType::PUBLIC, "Crew")
        };
        clients[0].create_group(crew).await?;
        let (acknowledge, acknowledged) = watch::channel(0);
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            faults: Mutex::default(),
            seed,
            stop: AtomicBool::new(false),
            acknowledged: acknowledge,
            pace: Mutex::new(Pace::new()),
        });
        let mut lanes = JoinSet::new();
        let mut number = 0;
        for (person, client) in clients.iter().enumerate() {
            for log in logs_of(person) {
                for _ in 0..LANES {
                    lanes.spawn(
                        Lane {
                            client: client.clone(),
                            shared: Arc::clone(&shared),
                            person,
                            log,
                            number,
                            rng: Rng::new(seed ^ 0xA5A5 ^ (number as u64) << 20),
                            recent: Vec::new(),
                        }
                        .run(),
                    );
                    number += 1;
                }
            }
        }
        Ok(Self {
            shared,
            clients,
            lanes,
            acknowledged,
        })
    }

    /// From now on the longest time without an acknowledgement is measured.
    pub(crate) fn measure(&self) {
        *self.shared.pace() = Pace::new();
    }

    /// The longest time since then in which nothing was acknowledged.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.shared.pace().longest
    }

    /// How often the clients have connected again, all of them together.
    pub(crate) async fn reconnects(&self) -> u64 {
        let mut reconnects = 0;
        for client in &self.clients {
            reconnects += client
                .stats()
                .await
                .map_or(0, |stats| u64::from(stats.reconnects));
        }
        reconnects
    }

    /// Waits until so many more operations are acknowledged.
    pub(crate) async fn progress(&mut self, operations: u64) -> Result<()> {
        let target = *self.acknowledged.borrow_and_update() + operations;
        let reached = tokio::time::timeout(PATIENCE, self.acknowledged.wait_for(|count| *count >= target));
        let is_reached = matches!(reached.await, Ok(Ok(_)));
        is_reached.then_some(()).ok_or_else(|| self.stuck())
    }

    fn stuck(&self) -> Failure {
        let faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        format!("the clients do not get on; faults so far: {faults:?}").into()
    }

    /// Lets every operation under way come to its end and returns what was acknowledged, with what went wrong.
    pub(crate) async fn finish(mut self) -> Result<(Ledger, Vec<String>)> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all = tokio::time::timeout(PATIENCE, async {
            while let Some(ended) = self.lanes.join_next().await {
                ended?;
            }
            Ok::<(), Failure>(())
        });
        match all.await {
            Ok(ended) => ended?,
            Err(_) => return Err(self.stuck()),
        }
        let faults = std::mem::take(&mut *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner));
        let ledger = self.shared.ledger().clone();
        Ok((ledger, faults))
    }
}

/// One user's writing into one conversation, an operation at a time.
struct Lane {
    client: Client,
    shared: Arc<Shared>,
    person: usize,
    /// An index into [`LOGS`].
    log: usize,
    /// Different for each lane.
    number: usize,
    rng: Rng,
    /// What it may revoke.
    recent: Vec<Message>,
}

impl Lane {
    async fn run(mut self) {
        let mut messages = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let done = match self.rng.below(100) {
                0..8 if !self.recent.is_empty() => self.revoke().await,
                8..16 => self.mark_read().await,
                _ => {
                    messages += 1;
                    self.send(messages).await
                }
            };
            if let Err(fault) = done {
                return self.shared.fault(fault);
            }
            self.shared.pace().acknowledged();
            self.shared.acknowledged.send_modify(|count| *count += 1);
        }
    }

    async fn send(&mut self, number: u32) -> Result<(), String> {
        let said = Said {
            author: self.person,
            lane: self.number,
            number,
            is_revoked: false,
        };
        let text = said.text(self.shared.seed);
        let to = LOGS[self.log].seen_by(self.person);
        let message = self
            .client
            .create_text_message(to, &text)
            .map_err(|error| error.to_string())?;
        let mut sent = self.client.send_message(&message, SendOptions::default()).await;
        // The session itself sends again over a cut. What the dying hub still refused is sent again from here.
        while let Err(error) = sent {
            again(&self.client, &error).await?;
            sent = self.client.resend_message(&message).await;
        }
        let sequence = message.sequence();
        let before = self.shared.ledger().logs[self.log].said.insert(sequence, said);
        if let Some(before) = before {
            return Err(format!(
                "{} {sequence}: acknowledged for {said:?} and for {before:?}",
                LOGS[self.log].key()
            ));
        }
        self.recent.push(message);
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
        Ok(())
    }

    async fn revoke(&mut self) -> Result<(), String> {
        let chosen = self.rng.below(self.recent.len() as u64) as usize;
        let message = self.recent.swap_remove(chosen);
        loop {
            match self.client.revoke_message(&message).await {
                Ok(_) => break,
                Err(error) if error.code == ErrorCode::ALREADY_REVOKED => break,
                Err(error) => again(&self.client, &error).await?,
            }
        }
        let mut ledger = self.shared.ledger();
        let log = &mut ledger.logs[self.log];
        log.revocations += 1;
        match log.said.get_mut(&message.sequence()) {
            Some(said) => said.is_revoked = true,
            None => return Err(format!("a revoked message has no sequence: {message:?}")),
        }
        Ok(())
    }

    async fn mark_read(&mut self) -> Result<(), String> {
        let (newest, mark) = {
            let ledger = self.shared.ledger();
            let log = &ledger.logs[self.log];
            let newest = log.said.last_key_value().map(|(sequence, _)| *sequence);
            (newest, log.marks[self.person])
        };
        let least = if LOGS[self.log] == Log::Group { CREATION } else { 0 };
        let upto = newest.unwrap_or(least);
        let upto = self.rng.within(mark.min(upto)..upto + 1).max(least);
        if upto == 0 {
            return Ok(());
        }
        let conversation = LOGS[self.log].seen_by(self.person);
        while let Err(error) = self.client.set_message_read_up_to(conversation, upto).await {
            again(&self.client, &error).await?;
        }
        let mut ledger = self.shared.ledger();
        ledger.reads += 1;
        let mark = &mut ledger.logs[self.log].marks[self.person];
        *mark = upto.max(*mark);
        Ok(())
    }
}

/// Waits before the next attempt if this error passes; fails otherwise.
async fn again(client: &Client, error: &ImError) -> Result<(), String> {
    if error.code == ErrorCode::SDK_IS_NOT_READY {
        // Between two connections. If it is for good, the wait fails with the reason.
        let ready = client.wait_until_ready().await;
        return ready.map_err(|error| format!("a client is logged out: {error}"));
    }
    if !error.code.is_transient() {
        return Err(format!("an operation was refused: {error}"));
    }
    let wait = error.retry_after().unwrap_or_default();
    tokio::time::sleep(wait.clamp(Duration::from_millis(2), Duration::from_millis(50))).await;
    Ok(())
}
