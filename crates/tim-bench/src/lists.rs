//! What a user with many conversations costs: the list, the total unread count, a login, and catching up at several windows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tim_bench::{Latency, thread_cpu};
use tim_proto::UserId;
use tim_proto::request::Conversations;
use tim_store::{ChangesRequest, ListPosition, MAX_CONVERSATIONS, StoreReader as _, StoreWriter as _, Write};
use tim_store_sqlite::{self as sqlite, SqliteReader, SqliteWriter};

use crate::bot::Bot;
use crate::hub::Target;
use crate::prepare::{self, READER};
use crate::report::{Figure, Report, Value};
use crate::talk::Talk;
use crate::{Result, blocking};

/// Each read is repeated so often.
const ROUNDS: usize = 200;
/// Logins over the network.
const LOGINS: u32 = 50;
/// Batches of appends.
const BATCHES: u32 = 40;
/// Messages in a batch.
const BATCH: u32 = 250;
/// What a page of this many conversations costs is measured.
const PAGE: u16 = 100;

/// The size of the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The numbers of conversations of a user.
    pub(crate) conversations: Vec<u32>,
    /// The messages to catch up with, and in how many conversations.
    pub(crate) missed: (u32, u32),
    pub(crate) windows: &'static [u16],
}

impl Load {
    pub(crate) fn of(is_quick: bool, conversations: &[u32]) -> Self {
        Self {
            conversations: conversations.to_vec(),
            missed: if is_quick { (200, 50) } else { (4_000, 1_000) },
            windows: &[64, 2, 1],
        }
    }
}

pub(crate) async fn measure(report: &mut Report, load: &Load) -> Result<()> {
    for conversations in &load.conversations {
        let conversations = *conversations;
        let (data, store) = blocking(move || {
            let data = tempfile::tempdir()?;
            let talk = Talk::fill(data.path(), conversations, conversations)?;
            let figures = in_store(data.path(), &talk)?;
            Ok((data, figures))
        })
        .await?;
        report.begin("lists", [("conversations", conversations.into())]);
        report.text(
            "conversations, each with an unread message",
            &conversations.to_string(),
            "",
        )?;
        for figure in store {
            report.add(figure)?;
        }
        over_network(report, &Target::start(data, 0)?, conversations).await?;
    }
    catch_up(report, load).await
}

/// What the store takes, without a hub.
fn in_store(data: &Path, talk: &Talk) -> Result<Vec<Figure>> {
    let (mut writer, reader) = sqlite::open(data)?;
    let user = UserId::new(READER)?;
    let list = |after| reader.conversations(&user, after, MAX_CONVERSATIONS);
    let first = list(None)?;
    if first.total_unread != u64::from(talk.conversations()) {
        return Err(format!("{} unread of {}", first.total_unread, talk.conversations()).into());
    }
    let head = reader.head_change()?;
    let middle = ListPosition::new(head / 2, 0);
    let mut figures = Vec::new();
    let mut add = |key: &str, label: &str, took: Duration| {
        let value = Value::Real(took.as_secs_f64() * 1e6);
        figures.push(Figure::new(key, label, value, "us"));
    };
    add(
        "store_list_us",
        "  the store's CPU for a list of 100",
        mean(|| list(None))?,
    );
    add(
        "store_total_us",
        "  ... for the total unread count and one conversation",
        mean(|| reader.conversations(&user, None, 1))?,
    );
    add(
        "store_middle_us",
        "  ... for a list of 100 in the middle",
        mean(|| list(Some(middle)))?,
    );
    add(
        "store_login_us",
        "  ... for a login",
        mean(|| login(&reader, user, head))?,
    );
    let [same, turns] = append_times(&mut writer, talk)?;
    for (key, label, time) in [
        (
            "append_same_us",
            "  the committing thread's CPU for an append, 64 in turn to one",
            same,
        ),
        ("append_turns_us", "  ... each to another conversation", turns),
    ] {
        let value = time.map_or(Value::Unknown, |time| Value::Real(time.as_secs_f64() * 1e6));
        let figure = Figure::new(key, label, value, "us");
        figures.push(match time {
            Some(_) => figure,
            None => figure.note("only on Linux"),
        });
    }
    Ok(figures)
}

/// What a login reads, of a device that has everything.
fn login(reader: &SqliteReader, user: UserId, head: u64) -> Result<usize> {
    let groups = reader.groups_of(&user)?.len();
    let request = ChangesRequest {
        user,
        cursor: head,
        limit: 64,
        max_bytes: 1 << 18,
    };
    Ok(groups + reader.changes_since(&request)?.entries.len())
}

/// The mean of the calling thread's CPU time, which other load does not disturb; where that is not known, of the time.
fn mean<T, E: Into<crate::Failure>>(mut work: impl FnMut() -> Result<T, E>) -> Result<Duration> {
    let (start, cpu) = (Instant::now(), thread_cpu());
    for _ in 0..ROUNDS {
        work().map_err(Into::into)?;
    }
    let spent = cpu.zip(thread_cpu()).map(|(from, to)| to.saturating_sub(from));
    Ok(spent.unwrap_or_else(|| start.elapsed()) / ROUNDS as u32)
}

/// The CPU time of the store's thread for an append: many in one conversation, and each in another one.
fn append_times(writer: &mut SqliteWriter, talk: &Talk) -> Result<[Option<Duration>; 2]> {
    let mut times = [Some(Duration::ZERO); 2];
    let mut random: u32 = 0;
    for batch in 0..BATCHES {
        for (kind, time) in times.iter_mut().enumerate() {
            let writes: Vec<Write> = (0..BATCH)
                .map(|number| {
                    random += 1;
                    // 97 has no common divisor with the usual numbers of conversations.
                    let turn = random.wrapping_mul(97);
                    let peer = if kind == 0 { batch * 4 + number / 64 } else { turn };
                    talk.message(peer % talk.conversations(), 2, random)
                })
                .collect();
            let start = thread_cpu();
            let commit = writer.commit(prepare::now_ms(), &writes)?;
            let spent = start.zip(thread_cpu()).map(|(from, to)| to.saturating_sub(from));
            *time = time.zip(spent).map(|(time, spent)| time + spent);
            if let Some(Err(refused)) = commit.results.into_iter().find(Result::is_err) {
                return Err(refused.to_string().into());
            }
        }
    }
    Ok(times.map(|time| time.map(|time| time / (BATCHES * BATCH))))
}

async fn over_network(report: &mut Report, target: &Target, conversations: u32) -> Result<()> {
    let mut logins = Latency::new();
    let mut last = None;
    for number in 0..LOGINS {
        let start = Instant::now();
        last = Some(Bot::login(target, READER, number % 4).await?);
        logins.record(start.elapsed());
    }
    let mut bot = last.ok_or("no login")?;
    let mut lists = Latency::new();
    let request = Conversations::default().with_count(PAGE);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let found = bot.call(&request, |page| page.conversations.len()).await?;
        lists.record(start.elapsed());
        if found != conversations.min(PAGE.into()) as usize {
            return Err(format!("a list of {found} conversations").into());
        }
    }
    for (key, label, latency) in [
        ("login", "  a login over the network, median", logins),
        ("list", "  a list of 100 over the network, median", lists),
    ] {
        let value = Value::millis(latency.quantile(0.5));
        report.add(Figure::new(&format!("{key}_ms"), label, value, "ms"))?;
    }
    Ok(())
}

/// A device that has missed much reads it, with each window.
async fn catch_up(report: &mut Report, load: &Load) -> Result<()> {
    let (messages, conversations) = load.missed;
    let data = blocking(move || {
        let data = tempfile::tempdir()?;
        Talk::fill(data.path(), conversations, messages)?;
        Ok(data)
    })
    .await?;
    let target = Target::start(data, 0)?;
    report.begin(
        "catch-up",
        [
            ("messages", messages.into()),
            ("conversations", conversations.into()),
        ],
    );
    report.text(
        "messages missed",
        &messages.to_string(),
        &format!("in {conversations} conversations"),
    )?;
    let mut cpus = BTreeMap::new();
    for (number, window) in load.windows.iter().enumerate() {
        let before = target.meter().map(|meter| (meter.read(), meter));
        let start = Instant::now();
        let delivered = Bot::catch_up(&target, READER, number as u32, *window, messages.into()).await?;
        let took = start.elapsed();
        if delivered != u64::from(messages) {
            return Err(format!("{delivered} of {messages} messages at window {window}").into());
        }
        let each = took.as_secs_f64() * 1e6 / f64::from(messages);
        report.add(Figure::new(
            &format!("window_{window}_us_per_message"),
            &format!("  window {window}, for each message"),
            Value::Real(each),
            "us",
        ))?;
        let cpu = before.and_then(|(counters, meter)| meter.since(&counters).cpu);
        let each = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(messages));
        cpus.extend(each.map(|each| (*window, each)));
        let figure = Figure::new(
            &format!("window_{window}_cpu_us_per_message"),
            "    hub CPU",
            each.map_or(Value::Unknown, Value::Real),
            "us",
        );
        report.add(match each {
            Some(_) => figure,
            None => figure.note("only on Linux"),
        })?;
    }
    let ratio = cpus.get(&1).zip(cpus.get(&64)).map(|(one, many)| one / many);
    let figure = Figure::new(
        "cpu_window_1_over_64",
        "  the hub CPU at window 1 over that at 64",
        ratio.map_or(Value::Unknown, Value::Real),
        "x",
    );
    report.add(match ratio {
        Some(_) => figure,
        None => figure.note("only on Linux"),
    })
}
