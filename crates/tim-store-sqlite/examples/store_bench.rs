//! How fast the embedded store is here: durable appends a second, and what a page of history costs.
//!
//! `cargo run --release -p tim-store-sqlite --example store_bench [directory]`. Without a directory it uses a temporary one; give
//! one on the disk that matters.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_proto::{MessageId, MessageKind, UserId};
use tim_store::{
    Append, ChangesRequest, EntryFlags, Fingerprint, Hooks, LogKey, PageRequest, Quota, StoreReader,
    StoreWriter, Write, Writer, WriterConfig, Written,
};
use tim_store_sqlite as sqlite;

const CLIENTS: usize = 64;
const USERS: usize = 1000;
const BODY: usize = 300;
const PHASE: Duration = Duration::from_secs(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| temporary.path().to_owned(), Into::into);
    println!("store in {}", dir.display());
    appends(&dir.join("appends"))?;
    pages(&dir.join("pages"))?;
    mixed(&dir.join("mixed"))
}

struct Sender {
    user: UserId,
    number: u64,
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn accounts(store: &mut impl StoreWriter, count: usize) -> Outcome<Vec<Sender>> {
    let mut senders = Vec::new();
    for n in 0..count {
        let user = UserId::new(&format!("user{n}"))?;
        let commit = store.commit(now_ms(), &[Write::EnsureAccount(user)])?;
        let Some(Ok(Written::Account { number })) = commit.results.first() else {
            return Err("no account".into());
        };
        senders.push(Sender {
            user,
            number: *number,
        });
    }
    Ok(senders)
}

fn message(from: &Sender, log: LogKey, random: u32) -> Write {
    Write::Append(Append {
        log,
        sender: from.user,
        id: MessageId {
            sender: from.number,
            client_time: now_ms() / 1000,
            random,
        },
        fingerprint: Fingerprint::of(&[log.to_string().as_bytes(), &[0x5a; BODY]]),
        origin: 1,
        kind: MessageKind::TEXT,
        flags: EntryFlags::NONE,
        content: vec![0x5a; BODY].into(),
        require_membership: true,
        mentions: Vec::new(),
        mention_all: false,
        quota: Quota::NONE,
        files: Vec::new(),
    })
}

/// A cheap spread over all numbers below `n`.
fn scatter(seed: u64, n: usize) -> usize {
    let mixed = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % (n as u64);
    usize::try_from(mixed).unwrap_or(0)
}

fn appends(dir: &Path) -> Outcome<()> {
    let (mut store, reader) = sqlite::open(dir)?;
    let senders = accounts(&mut store, USERS)?;
    let writer = Writer::start(store, WriterConfig::default(), Hooks::clock(now_ms))?;
    // Never the same twice, or it would be a resend.
    let randoms = AtomicU64::new(now_ms() & 0x7fff_ffff);
    for clients in [1, CLIENTS, 4 * CLIENTS] {
        let mut waits = wait_and_send(&writer, &senders, clients, &randoms)?;
        waits.sort_unstable();
        let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
        println!(
            "{clients:4} waiting clients: {:6.0} durable appends/s, answered after {:.1?} (half), {:.1?} (99 %)",
            waits.len() as f64 / PHASE.as_secs_f64(),
            at(50),
            at(99),
        );
    }
    let list = timed(1000, || {
        reader
            .conversations(&senders[0].user, None, 100)
            .map(|page| page.conversations.len())
    })?;
    println!("list of conversations: {list:.1?}");
    Ok(())
}

/// Each client sends, waits for the answer, sends again. Half of the traffic goes to two peers, half to anybody.
fn wait_and_send(
    writer: &Writer,
    senders: &[Sender],
    clients: usize,
    randoms: &AtomicU64,
) -> Outcome<Vec<Duration>> {
    let end = Instant::now() + PHASE;
    let client = |index: usize| {
        let mut waits = Vec::new();
        while Instant::now() < end {
            let number = randoms.fetch_add(1, Ordering::Relaxed);
            let from = &senders[scatter(number, senders.len())];
            let near = if number.is_multiple_of(2) {
                index % 2
            } else {
                scatter(number ^ 0x55, 60)
            };
            let peer = &senders[(scatter(number, senders.len()) + 1 + near) % senders.len()];
            let log = LogKey::c2c(from.user, peer.user);
            let random = u32::try_from(number & 0xffff_ffff).unwrap_or(0);
            let began = Instant::now();
            match writer.write_blocking(message(from, log, random)) {
                Ok(Written::Stored(_)) => waits.push(began.elapsed()),
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(waits)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|index| scope.spawn(move || client(index)))
            .collect();
        let mut waits = Vec::new();
        for client in running {
            waits.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(waits)
    })
}

fn pages(dir: &Path) -> Outcome<()> {
    let (mut store, reader) = sqlite::open(dir)?;
    let reader = Arc::new(reader);
    let senders = accounts(&mut store, 2)?;
    let log = LogKey::c2c(senders[0].user, senders[1].user);
    let mut stored = 0u32;
    for goal in [1_000u32, 1_000_000] {
        let began = Instant::now();
        let added = goal - stored;
        while stored < goal {
            let upto = (stored + 256).min(goal);
            let batch: Vec<Write> = (stored..upto)
                .map(|n| message(&senders[(n % 2) as usize], log, n))
                .collect();
            store.commit(now_ms(), &batch)?;
            stored = upto;
        }
        let rate = f64::from(added) / began.elapsed().as_secs_f64();
        let page = |before| {
            let request = PageRequest {
                log,
                before,
                after: 0,
                limit: 15,
                max_bytes: usize::MAX,
            };
            reader.page(&request).map(|page| page.entries.len())
        };
        let newest = timed(2000, || page(None))?;
        let mut seed = 0;
        let anywhere = timed(2000, || {
            seed += 1;
            page(Some(scatter(seed, goal as usize) as u64 + 16))
        })?;
        println!(
            "{goal:8} messages ({rate:.0}/s in full batches): newest page of 15 {newest:.1?}, any page {anywhere:.1?}"
        );
    }
    let marks = (0..100)
        .map(|_| Write::MarkRead {
            user: senders[1].user,
            log,
            upto: None,
        })
        .collect::<Vec<_>>();
    let began = Instant::now();
    store.commit(now_ms(), &marks)?;
    println!("mark read: {:.1?} each, in a batch of 100", began.elapsed() / 100);
    Ok(())
}

/// Conversations of many users, whose messages come mixed.
fn mixed(dir: &Path) -> Outcome<()> {
    const MESSAGES: u32 = 300_000;
    const PEERS: usize = 20;
    let (mut store, reader) = sqlite::open(dir)?;
    let senders = accounts(&mut store, 100)?;
    let log_of = |number: usize| {
        let from = number % senders.len();
        let peer = (from + 1 + number / senders.len() % PEERS) % senders.len();
        (from, LogKey::c2c(senders[from].user, senders[peer].user))
    };
    let logs = senders.len() * PEERS;
    let began = Instant::now();
    for first in (0..MESSAGES).step_by(256) {
        let batch: Vec<Write> = (first..(first + 256).min(MESSAGES))
            .map(|n| {
                let (from, log) = log_of(scatter(u64::from(n), logs));
                message(&senders[from], log, n)
            })
            .collect();
        store.commit(now_ms(), &batch)?;
    }
    let rate = f64::from(MESSAGES) / began.elapsed().as_secs_f64();
    let mut seed = 0;
    let mut page = |is_newest: bool| {
        seed += 1;
        let before = (!is_newest).then(|| scatter(seed ^ 0x77, MESSAGES as usize / logs - 16) as u64 + 16);
        let request = PageRequest {
            log: log_of(scatter(seed, logs)).1,
            before,
            after: 0,
            limit: 15,
            max_bytes: usize::MAX,
        };
        reader.page(&request).map(|page| page.entries.len())
    };
    let newest = timed(4000, || page(true))?;
    let anywhere = timed(4000, || page(false))?;
    let head = reader.head_change()?;
    let mut user = 0;
    let catch_up = timed(1000, || {
        user += 1;
        let request = ChangesRequest {
            user: senders[user % senders.len()].user,
            cursor: head - 5000,
            limit: 200,
            max_bytes: usize::MAX,
        };
        reader
            .changes_since(&request)
            .map(|changes| changes.entries.len())
    })?;
    let file = std::fs::metadata(dir.join("tim.sqlite3"))?.len();
    println!(
        "{MESSAGES:8} messages in {logs} conversations ({rate:.0}/s in full batches, {:.0} MB): newest page of 15 {newest:.1?}, any page \
         {anywhere:.1?}, catching up after 5000 messages {catch_up:.1?}",
        file as f64 / 1e6
    );
    Ok(())
}

/// The mean time of a call.
fn timed<T, E: Error + 'static>(times: u32, mut call: impl FnMut() -> Result<T, E>) -> Outcome<Duration> {
    let began = Instant::now();
    for _ in 0..times {
        call()?;
    }
    Ok(began.elapsed() / times)
}
