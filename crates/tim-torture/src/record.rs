//! `record`: the process whose writes the simulated power cut records. It commits a [`Script`] and prints a line after each
//! commit. One thread only, so that system calls come in one order.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::Result;
use crate::script::{REOPEN_EVERY, Script, commit};

/// Options of `record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory.
    data: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    batches: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut script = Script::new(args.seed);
    let (mut writer, mut reader) = tim_store_sqlite::open(&args.data)?;
    commit(&mut writer, 1, &Script::accounts())?;
    acknowledge(0)?;
    for number in 1..=args.batches {
        if number % REOPEN_EVERY == 0 {
            drop((writer, reader));
            (writer, reader) = tim_store_sqlite::open(&args.data)?;
        }
        commit(&mut writer, number as u64, &script.next_batch())?;
        acknowledge(number)?;
    }
    drop((writer, reader));
    Ok(())
}

fn acknowledge(batch: usize) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("ack {batch}\n").as_bytes())?;
    Ok(out.flush()?)
}
