//! `tim check`: checks a hub's store.

use std::io::{self, Write as _};

use tim_store_sqlite::OpenError;

use crate::error::{EXIT_CODES, Failure};
use crate::local::{DataArg, DataDir};

const ABOUT: &str = "\
Reads everything: SQLite's own check of the file, what is stored about users, conversations and groups, and the checksum of every
entry. Nothing is changed, and a hub may be running. `tim serve` makes the same checks at its start, for at most two seconds.

Damaged entries are not served: devices are told of a gap, and the history ends in front of them with an error. All other entries
are. What users have stored, for their quotas, is counted and compared; a hub corrects it when it starts. Other damage keeps a hub from
starting: restore a backup.";

/// What to do about a damaged store.
const RESTORE: &str =
    "restore a backup, without hub.lock, tim.log, tim.sqlite3-wal and -shm of the damaged store beside it";

/// Check the store of a hub, and say what is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{ABOUT}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArg,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data.data)?;
    let directory = data.path().display();
    let report = tim_store_sqlite::check(data.path()).map_err(|error| cannot_check(&error, &data))?;
    let mut out = io::stdout();
    writeln!(
        out,
        "{directory}: {} conversations, {} intact entries",
        report.conversations, report.entries
    )?;
    if report.batches_in_log > 0 {
        writeln!(
            out,
            "tim.log: {} intact batches, which the next hub takes over when it starts",
            report.batches_in_log
        )?;
    }
    for broken in &report.broken {
        writeln!(out, "{broken}")?;
    }
    for damaged in &report.damaged {
        writeln!(out, "{damaged}")?;
    }
    for user in &report.miscounted {
        writeln!(out, "{user}: what this user has stored is miscounted")?;
    }
    for file in &report.damaged_files {
        writeln!(out, "file {file}: what is stored of it is damaged")?;
    }
    if report.misjudged_files > 0 {
        writeln!(
            out,
            "files that are taken for used or unused wrongly: {}",
            report.misjudged_files
        )?;
    }
    if !report.broken.is_empty() {
        return Err(Failure::failed(format_args!(
            "the store in {directory} is damaged and cannot be used"
        ))
        .hint(RESTORE));
    }
    if !report.damaged.is_empty() {
        return Err(
            Failure::failed(format_args!("entries in {directory} are damaged"))
                .hint("a hub serves all others; restore a backup to have these, too"),
        );
    }
    if !report.damaged_files.is_empty() {
        return Err(
            Failure::failed(format_args!("what is stored of files in {directory} is damaged"))
                .hint("a hub serves all messages and all other files; restore a backup to have these, too"),
        );
    }
    if report.misjudged_files > 0 {
        return Err(Failure::failed(format_args!(
            "files in {directory} are taken for used or unused wrongly"
        ))
        .hint("all messages and files are intact; a hub corrects it when it starts"));
    }
    if !report.miscounted.is_empty() {
        return Err(Failure::failed(format_args!(
            "what users have stored is miscounted in {directory}"
        ))
        .hint("all messages are intact; a hub counts anew when it starts"));
    }
    Ok(())
}

/// What to do about a full disk.
const FULL: &str = "nothing is lost: free some space, and start again";

/// Why a store cannot be checked, and what to do.
fn cannot_check(error: &OpenError, data: &DataDir) -> Failure {
    let directory = data.path().display();
    match error {
        OpenError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => Failure::failed(
            format_args!("there is no store in {directory}"),
        )
        .hint("choose another directory with --data DIR; if a hub has used this one, restore a backup"),
        OpenError::Damaged { .. } | OpenError::Engine(_) => Failure::failed(error).hint(RESTORE),
        _ => cannot_open(error, data),
    }
}

/// Why a store cannot be opened, and what to do.
pub(crate) fn cannot_open(error: &OpenError, data: &DataDir) -> Failure {
    let failure = Failure::failed(error);
    let directory = data.path().display();
    match error {
        OpenError::InUse { .. } => failure.hint("stop that hub, or choose another directory with --data DIR"),
        OpenError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => failure.hint(FULL),
        OpenError::Io { .. } => failure.hint("choose another directory with --data DIR"),
        // Nothing is damaged, and what such a restoration leaves out would be lost.
        OpenError::DiskFull => failure.hint(FULL),
        OpenError::Damaged { .. } | OpenError::Engine(_) => failure.hint(format_args!(
            "`tim check --data {directory}` says what is damaged; {RESTORE}"
        )),
        OpenError::Missing { .. } | OpenError::Lost { .. } | OpenError::Emptied { .. } => failure,
        _ => failure.hint(format_args!("the data directory is {directory}")),
    }
}
