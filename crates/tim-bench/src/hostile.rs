//! What an innocent pair of users notices of hostile ones: its latencies beside each attack, over those without one.
//!
//! The hub has the limits that any hub has. The pair and the attackers come from different addresses.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_bench::Latency;
use tim_proto::request::Done;
use tim_proto::wire::FrameKind;
use tim_proto::{MessageId, UserId};
use tim_testkit::frame;
use tokio::time::{sleep_until, timeout};

use crate::attackers::{self, Attack, Attackers, Line, Logins, Size};
use crate::hub::{Setup, Target};
use crate::report::{Figure, Report, Value};
use crate::talk::Talk;
use crate::{Result, blocking};

/// Messages that the pair sends a second.
const RATE: u32 = 100;
/// One in so many is followed by a login of a third user.
const LOGIN_EVERY: u32 = 50;
/// Where the innocent connect from.
const FROM: [u8; 4] = [127, 9, 0, 1];
/// Length of the texts.
const TEXT_BYTES: usize = 157;
/// The longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the innocent have seen in a phase.
#[derive(Debug)]
struct Seen {
    /// From when a message was due until it was stored.
    acknowledged: Latency,
    /// Until the other one had it.
    delivered: Latency,
    refused: u64,
    logins: u64,
    logins_answered: u64,
    login: Latency,
}

impl Seen {
    fn new() -> Self {
        Self {
            acknowledged: Latency::new(),
            delivered: Latency::new(),
            refused: 0,
            logins: 0,
            logins_answered: 0,
            login: Latency::new(),
        }
    }

    fn add(&mut self, more: &Self) {
        self.acknowledged.add(&more.acknowledged);
        self.delivered.add(&more.delivered);
        self.login.add(&more.login);
        self.refused += more.refused;
        self.logins += more.logins;
        self.logins_answered += more.logins_answered;
    }
}

/// Two users who write to each other, and one who comes and goes.
struct Pair<'a> {
    target: &'a Target,
    sender: Line,
    account: u64,
    receiver: Line,
    receiver_id: UserId,
    next: u32,
}

impl<'a> Pair<'a> {
    async fn log_in(target: &'a Target) -> Result<Self> {
        let (sender, account) = log_in(target, "innocent-sender", 1).await?;
        let (receiver, _) = log_in(target, "innocent-receiver", 1).await?;
        Ok(Self {
            target,
            sender,
            account,
            receiver,
            receiver_id: UserId::new("innocent-receiver")?,
            next: 1,
        })
    }

    /// Sends at a steady rate for so long.
    async fn talk(&mut self, time: Duration) -> Result<Seen> {
        let mut seen = Seen::new();
        let interval = Duration::from_secs(1) / RATE;
        let start = tokio::time::Instant::now();
        for n in 0..(time.as_secs_f64() * f64::from(RATE)) as u32 {
            let due = start + interval * n;
            sleep_until(due).await;
            timeout(PATIENCE, self.say(due.into_std(), &mut seen))
                .await
                .map_err(|_| "a message of the innocent pair was not answered")??;
            if n % LOGIN_EVERY == LOGIN_EVERY / 2 {
                self.visit(&mut seen).await;
            }
        }
        Ok(seen)
    }

    async fn say(&mut self, due: Instant, seen: &mut Seen) -> Result<()> {
        let request = self.next;
        self.next += 1;
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let id = MessageId {
            sender: self.account,
            client_time: since.as_secs(),
            random: request,
        };
        self.sender
            .say(&attackers::text(&self.receiver_id, id, request, TEXT_BYTES))
            .await?;
        let is_stored = self
            .sender
            .next(|frame| (frame.id == request).then_some(frame.kind == FrameKind::SEND.answer()))
            .await?;
        if !is_stored {
            seen.refused += 1;
            return Ok(());
        }
        seen.acknowledged.record(due.elapsed());
        let delivery = self
            .receiver
            .next(|frame| (frame.kind == FrameKind::DELIVER).then_some(frame.id))
            .await?;
        seen.delivered.record(due.elapsed());
        self.receiver.say(&frame(FrameKind::ACK, delivery, &Done)).await?;
        Ok(())
    }

    /// Somebody logs in and leaves again.
    async fn visit(&self, seen: &mut Seen) {
        seen.logins += 1;
        let began = Instant::now();
        let number = u64::from(self.next);
        if let Ok(Ok(_)) = timeout(PATIENCE, log_in(self.target, "innocent-visitor", number)).await {
            seen.logins_answered += 1;
            seen.login.record(began.elapsed());
        }
    }
}

async fn log_in(target: &Target, name: &str, device: u64) -> Result<(Line, u64)> {
    let mut line = Line::open(FROM, target.socket()?).await?;
    let sig = target.sig(&UserId::new(name)?);
    let admitted = line.log_in(target.app.id, name, &sig, device).await?;
    let account = admitted.map_err(|code| format!("{name} is refused: {code}"))?;
    Ok((line, account))
}

pub(crate) async fn measure(report: &mut Report, is_quick: bool, time: Duration) -> Result<()> {
    let size = Size::of(is_quick);
    let data = blocking(move || {
        let data = tempfile::tempdir()?;
        Talk::fill(data.path(), size.conversations, size.conversations)?;
        Ok(data)
    })
    .await?;
    let setup = Setup {
        limits_requests: true,
        ..Setup::default()
    };
    let target = Target::start_as(data, setup)?;
    let mut pair = Pair::log_in(&target).await?;
    report.begin(
        "hostile",
        [
            ("conversations", size.conversations.into()),
            ("devices", size.devices),
            ("half_open", size.half_open.into()),
            ("slow_writers", size.slow_writers.into()),
            ("logins_per_second", size.logins_per_second.into()),
            ("rate", RATE.into()),
        ],
    );
    report.text(
        "an innocent pair beside hostile users",
        &RATE.to_string(),
        "messages/s",
    )?;
    pair.talk(time / 4).await?; // caches fill
    let mut quiet = pair.talk(time).await?;
    let mut seen = Vec::new();
    let each = Attack::ALL.map(|attack| (attack.key(), vec![attack]));
    for (key, attacks) in each.into_iter().chain([("all", Attack::ALL.to_vec())]) {
        let (address, quickly) = (target.socket()?, is_quick);
        let begun = blocking(move || {
            let begin = |attack: &Attack| Attackers::begin(address, *attack, quickly);
            attacks.iter().map(begin).collect::<Result<Vec<_>>>()
        });
        let begun = begun.await?;
        let beside = pair.talk(time).await?;
        let ended = blocking(move || begun.into_iter().map(Attackers::end).collect::<Result<Vec<_>>>());
        let logins = ended
            .await?
            .into_iter()
            .fold(Logins::default(), |sum, one| Logins {
                admitted: sum.admitted + one.admitted,
                refused: sum.refused + one.refused,
                unanswered: sum.unanswered + one.unanswered,
            });
        seen.push((key, beside, logins));
        // As much without an attack, so that both see the same machine.
        quiet.add(&pair.talk(time / 2).await?);
    }
    show(report, "quiet", &quiet, &quiet, Logins::default())?;
    for (key, beside, logins) in &seen {
        show(report, key, beside, &quiet, *logins)?;
    }
    Ok(())
}

fn show(report: &mut Report, key: &str, seen: &Seen, quiet: &Seen, logins: Logins) -> Result<()> {
    report.text(&format!("  {key}"), "", "")?;
    let millis = |name: &str, label: &str, latency: &Latency, fraction| {
        let value = Value::millis(latency.quantile(fraction));
        Figure::new(&format!("{key}_{name}"), &format!("    {label}"), value, "ms")
    };
    report.add(millis("stored_p50", "stored, p50", &seen.acknowledged, 0.5))?;
    report.add(millis("stored_p99", "stored, p99", &seen.acknowledged, 0.99))?;
    report.add(millis("delivered_p50", "delivered, p50", &seen.delivered, 0.5))?;
    report.add(millis("delivered_p99", "delivered, p99", &seen.delivered, 0.99))?;
    let p99 = |seen: &Seen| seen.delivered.quantile(0.99).as_secs_f64();
    let ratio = Value::Real(p99(seen) / p99(quiet).max(f64::MIN_POSITIVE));
    let figure = |name: &str, label: &str, value, unit| {
        Figure::new(&format!("{key}_{name}"), &format!("    {label}"), value, unit)
    };
    report.add(figure(
        "p99_over_quiet",
        "delivered, p99, over the quiet one",
        ratio,
        "",
    ))?;
    report.add(figure(
        "refused",
        "messages refused",
        Value::Count(seen.refused),
        "",
    ))?;
    let failed = seen.logins - seen.logins_answered;
    let note = format!("of {}", seen.logins);
    report.add(
        figure(
            "logins_failed",
            "logins of others that failed",
            Value::Count(failed),
            "",
        )
        .note(note),
    )?;
    if logins.admitted + logins.refused + logins.unanswered > 0 {
        report.add(figure(
            "flood_admitted",
            "logins of the flood, admitted",
            Value::Count(logins.admitted),
            "",
        ))?;
        report.add(figure(
            "flood_refused",
            "  refused, with a time",
            Value::Count(logins.refused),
            "",
        ))?;
        report.add(figure(
            "flood_unanswered",
            "  without an answer",
            Value::Count(logins.unanswered),
            "",
        ))?;
    }
    Ok(())
}
