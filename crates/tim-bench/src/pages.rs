//! A page of fifteen from a conversation of a thousand messages and from a long one, in turns.

use std::time::Instant;

use tim_bench::Latency;
use tim_proto::request::History;
use tim_proto::{ConversationId, UserId};

use crate::Result;
use crate::bot::Bot;
use crate::hub::Target;
use crate::prepare::READER;
use crate::report::{Figure, Report, Value};

const ROUNDS: usize = 1_000;

pub(crate) async fn measure(report: &mut Report, target: &Target, long: u64) -> Result<()> {
    let mut bot = Bot::login(target, READER, 0).await?;
    let conversation = |name| UserId::new(name).map(ConversationId::C2c);
    let conversations = [conversation("short")?, conversation("long")?];
    let mut times = [Latency::new(), Latency::new()];
    for _ in 0..ROUNDS {
        for (conversation, times) in conversations.iter().zip(&mut times) {
            let start = Instant::now();
            let request = History::new(*conversation).with_count(15);
            if bot.call(&request, |page| page.messages.len()).await? != 15 {
                return Err(
                    "this hub has no history to measure; without --hub, a hub with such a history is made"
                        .into(),
                );
            }
            times.record(start.elapsed());
        }
    }
    let [short, long_one] = &times;
    report.begin(
        "pages",
        [("history", long), ("page", 15), ("rounds", ROUNDS as u64)],
    );
    for (key, len, latency) in [("short", 1_000, short), ("long", long, long_one)] {
        for (name, shown, fraction) in [("p50", "median", 0.5), ("p99", "p99", 0.99)] {
            let label = format!("a page of 15 from {len} messages, {shown}");
            let value = Value::Round(latency.quantile(fraction).as_secs_f64() * 1e6);
            report.add(Figure::new(&format!("{key}_{name}_us"), &label, value, "us"))?;
        }
    }
    let ratio = long_one.quantile(0.5).as_secs_f64() / short.quantile(0.5).as_secs_f64();
    let label = "  the long one's median over the short one's";
    report.add(Figure::new("long_over_short", label, Value::Real(ratio), "x"))
}
