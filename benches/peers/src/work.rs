//! The work, the same for every server: senders that each wait for the response before they send again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tim_bench::{Counters, Latency, Meter};
use tokio::task::JoinSet;

use crate::{Failure, Result};

/// How much there is to do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Work {
    pub(crate) senders: usize,
    pub(crate) seconds: u64,
    #[serde(rename = "payload_bytes")]
    pub(crate) payload: usize,
    #[serde(skip)]
    pub(crate) text: Arc<str>,
}

/// One connection.
pub(crate) trait Sender: Send + 'static {
    /// Sends the next message and waits until the server has taken it, with whatever that means there.
    fn send(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// How many the server has taken.
    fn sent(&self) -> u64;
}

/// What one run showed. The names are those of `tim-bench --json`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) sends_per_second: f64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) latency_p999_ms: f64,
    pub(crate) latency_max_ms: f64,
    /// Messages that were found on the server afterwards, each once.
    pub(crate) checked: u64,
    pub(crate) server_cpu_us_per_message: Option<f64>,
    pub(crate) written_bytes_per_message: Option<f64>,
    pub(crate) disk_written_bytes_per_message: Option<f64>,
    pub(crate) disk_flushes_per_message: Option<f64>,
}

/// A run before its check.
pub(crate) struct Ran<S> {
    pub(crate) senders: Vec<S>,
    latency: Latency,
    took: Duration,
    before: Counters,
}

impl Work {
    /// Lets these senders send at the same time; `meter` is the server's.
    pub(crate) async fn run<S: Sender>(&self, senders: Vec<S>, meter: &Meter) -> Result<Ran<S>> {
        let latency = Arc::new(Mutex::new(Latency::new()));
        let before = meter.read();
        let start = Instant::now();
        let end = start + Duration::from_secs(self.seconds);
        let mut tasks = JoinSet::new();
        for mut sender in senders {
            let latency = Arc::clone(&latency);
            tasks.spawn(async move {
                loop {
                    let began = Instant::now();
                    if began >= end {
                        return Ok::<_, Failure>(sender);
                    }
                    sender.send().await?;
                    let took = began.elapsed();
                    latency
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .record(took);
                }
            });
        }
        let mut senders = Vec::new();
        while let Some(sender) = tasks.join_next().await {
            senders.push(sender??);
        }
        let took = start.elapsed();
        let latency = latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ran {
            senders,
            latency,
            took,
            before,
        })
    }
}

impl<S: Sender> Ran<S> {
    /// The messages that the server has taken, also before the clock ran.
    pub(crate) fn sent(&self) -> u64 {
        self.senders.iter().map(Sender::sent).sum()
    }

    /// The outcome, once `found` messages were found on the server, and it has stopped with these counters.
    pub(crate) fn checked(&self, found: u64, end: &Counters) -> Result<Outcome> {
        let sent = self.sent();
        if found != sent {
            return Err(format!("the server took {sent} messages and has {found}").into());
        }
        let messages = self.latency.count() as f64;
        let usage = end.since(&self.before);
        let millis = |fraction| self.latency.quantile(fraction).as_secs_f64() * 1e3;
        Ok(Outcome {
            sends_per_second: messages / self.took.as_secs_f64(),
            latency_p50_ms: millis(0.5),
            latency_p99_ms: millis(0.99),
            latency_p999_ms: millis(0.999),
            latency_max_ms: millis(1.0),
            checked: found,
            server_cpu_us_per_message: usage.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / messages),
            written_bytes_per_message: usage.written.map(|bytes| bytes as f64 / messages),
            disk_written_bytes_per_message: usage.disk_written.map(|bytes| bytes as f64 / messages),
            disk_flushes_per_message: usage.flushes.map(|flushes| flushes as f64 / messages),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u64);

    impl Sender for Counting {
        async fn send(&mut self) -> Result<()> {
            self.0 += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }

        fn sent(&self) -> u64 {
            self.0
        }
    }

    #[tokio::test]
    async fn a_server_that_has_more_or_fewer_messages_fails_the_run() {
        let work = Work {
            senders: 2,
            seconds: 1,
            payload: 1,
            text: "x".into(),
        };
        let meter = Meter::new(std::process::id(), std::path::Path::new("."));
        // One was sent before the clock ran.
        let ran = work
            .run(vec![Counting(1), Counting(0)], &meter)
            .await
            .expect("a run");
        let sent = ran.sent();
        let end = meter.read();
        let outcome = ran.checked(sent, &end).expect("all are there");
        assert_eq!(outcome.checked, sent);
        assert!(
            outcome.sends_per_second > 1.0 && outcome.latency_p50_ms >= 1.0,
            "{outcome:?}"
        );
        assert!(ran.checked(sent - 1, &end).is_err() && ran.checked(sent + 1, &end).is_err());
    }
}
