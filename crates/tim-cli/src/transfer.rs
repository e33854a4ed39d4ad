//! Uploads and downloads, with a progress bar on stderr if that is a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tim_client::Progress;

use crate::session::Session;
use crate::terminal::Safe;

/// How often the bar is drawn and the time limit restarted.
const TICK: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// An upload or a download, which may take longer than a request: its time limit restarts whenever there is progress.
pub(crate) struct Transfer {
    meter: Arc<Meter>,
    bar: ProgressBar,
}

#[derive(Default)]
struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Transfer {
    /// A transfer of the file with this name.
    pub(crate) fn new(name: &str) -> Self {
        // Without a terminal nothing is drawn.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_message(Safe::line(name).to_string());
        Self {
            meter: Arc::default(),
            bar,
        }
    }

    /// A function to call with the progress.
    pub(crate) fn meter(&self) -> impl Fn(Progress) + Send + Sync + use<> {
        let meter = Arc::clone(&self.meter);
        move |progress| {
            meter.total.store(progress.total, Ordering::Relaxed);
            meter.done.store(progress.done, Ordering::Relaxed);
        }
    }

    /// Waits for `work`, and shows its progress.
    pub(crate) async fn watch<T>(self, session: &Session, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut shown = 0;
        loop {
            if let Ok(result) = tokio::time::timeout(TICK, &mut work).await {
                self.bar.finish_and_clear();
                return result;
            }
            let done = self.meter.done.load(Ordering::Relaxed);
            if done != shown {
                shown = done;
                session.extend_deadline();
                self.bar.set_length(self.meter.total.load(Ordering::Relaxed));
                self.bar.set_position(done);
            }
        }
    }
}
