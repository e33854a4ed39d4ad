//! The disk alone, beside a durable figure of the hub that writes to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tim_bench::{Ceiling, SINGLE_BLOCK, group_block, sync_appends};
use tim_store::MAX_BATCH;

use crate::report::{Figure, Report, Value};
use crate::{Result, blocking};

/// How long each size of block is measured at a time.
const TIME: Duration = Duration::from_millis(250);

/// The disk under a hub, for messages of one size.
pub(crate) struct Disk {
    /// Unknown if the hub may be on another machine.
    directory: Option<PathBuf>,
    /// How many messages share a sync at best.
    batch: usize,
    /// The bytes that they take.
    block: usize,
    measured: Option<Measured>,
}

struct Measured {
    group: Ceiling,
    single: Ceiling,
}

impl Disk {
    /// The disk under this directory. Texts have `payload` bytes, and `under_way` messages can be stored at the same time.
    pub(crate) fn new(directory: Option<&Path>, payload: usize, under_way: usize) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
            batch: under_way.min(MAX_BATCH),
            block: group_block(payload, under_way, MAX_BATCH),
            measured: None,
        }
    }

    /// Measures it; what was measured before counts too.
    pub(crate) async fn measure(&mut self) -> Result<()> {
        match self.directory.clone() {
            Some(directory) => self.measure_in(&directory).await,
            None => Ok(()),
        }
    }

    /// The same in another directory of the same disk.
    pub(crate) async fn measure_in(&mut self, directory: &Path) -> Result<()> {
        if self.directory.is_none() {
            return Ok(());
        }
        let directory = directory.to_owned();
        let block = self.block;
        let now = blocking(move || {
            let group = sync_appends(&directory, block, TIME)?;
            let single = sync_appends(&directory, SINGLE_BLOCK, TIME)?;
            Ok(Measured { group, single })
        })
        .await?;
        match &mut self.measured {
            Some(before) => {
                before.group.add(&now.group);
                before.single.add(&now.single);
            }
            None => self.measured = Some(now),
        }
        Ok(())
    }

    /// Reports it beside a hub that stores so many messages a second.
    pub(crate) fn report(&self, report: &mut Report, messages_per_second: f64) -> Result<()> {
        let Some(Measured { group, single }) = &self.measured else {
            let label = format!("  the disk alone, {} bytes and fdatasync", self.block);
            let figure = Figure::new("raw_group_syncs_per_second", &label, Value::Unknown, "syncs/s");
            let note = "the hub's disk is not known; --hub-pid says that it is on this machine";
            return report.add(figure.note(note));
        };
        for (key, raw) in [("raw_group", group), ("raw_single", single)] {
            let label = format!("  the disk alone, {} bytes and fdatasync", raw.block);
            let rate = Value::Round(raw.rate());
            report.add(Figure::new(
                &format!("{key}_syncs_per_second"),
                &label,
                rate,
                "syncs/s",
            ))?;
            for (name, fraction) in [("p50", 0.5), ("p99", 0.99)] {
                let value = Value::millis(raw.latency.quantile(fraction));
                let (key, label) = (format!("{key}_{name}_ms"), format!("    until synced, {name}"));
                report.add(Figure::new(&key, &label, value, "ms"))?;
            }
            let bytes = Value::Count(raw.block as u64);
            report.add_unseen(Figure::new(&format!("{key}_bytes"), "", bytes, "bytes"));
        }
        let ceiling = group.rate() * self.batch as f64;
        let share = Value::Real(messages_per_second / ceiling);
        let label = "  messages stored over what the disk alone takes";
        let figure = Figure::new("share_of_raw_group", label, share, "x");
        report.add(figure.note(format!(
            "{} messages in a block: {ceiling:.0} messages/s",
            self.batch
        )))
    }
}
