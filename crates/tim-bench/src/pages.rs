//! A page of fifteen from a conversation of a thousand messages and from a long one, in turns.

use std::time::{Duration, Instant};

use tim_proto::request::History;
use tim_proto::{ConversationId, UserId};

use crate::Result;
use crate::bot::Bot;
use crate::hub::Target;
use crate::prepare::READER;
use crate::{figure, percentile};

const ROUNDS: usize = 1_000;

pub(crate) async fn measure(target: &Target, long: u64) -> Result<()> {
    let mut bot = Bot::login(target, READER, 0).await?;
    let conversation = |name| UserId::new(name).map(ConversationId::C2c);
    let conversations = [conversation("short")?, conversation("long")?];
    let mut times: [Vec<Duration>; 2] = Default::default();
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
            times.push(start.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [short_median, long_median] = [&times[0], &times[1]].map(|times| percentile(times, 0.5));
    figure(
        "a page of 15 from 1000 messages, median",
        short_median.as_micros(),
        "us",
    )?;
    figure(
        &format!("a page of 15 from {long} messages, median"),
        long_median.as_micros(),
        "us",
    )?;
    let ratio = long_median.as_secs_f64() / short_median.as_secs_f64();
    figure(
        "  the long one's time over the short one's",
        format!("{ratio:.2}"),
        "x",
    )
}
