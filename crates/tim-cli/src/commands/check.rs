//! `tim check`: checks a hub's store.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use tim_proto::FileId;
use tim_store_sqlite::OpenError;

use crate::error::{EXIT_CODES, Failure};
use crate::local::{DataArg, DataDir};

const ABOUT: &str = "\
Reads everything: SQLite's own check of the file, what is stored about users, conversations and groups, and the checksum of every
entry. Nothing is changed, and a hub may be running: what it has stored last is in tim.log then, and is not looked at. `tim serve` makes the same checks at its start, for at most two seconds.

The content of each file is looked at: whether it is there, and how long it is. With --deep it is read, and its SHA-256 compared.
Content in a bucket is not looked at.

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
    /// Read the content of all files, and compare their SHA-256.
    #[arg(long)]
    deep: bool,
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
    if report.is_in_use {
        writeln!(
            out,
            "a hub is running: what it has stored last is in tim.log, and was not looked at; a backup has all of it, checked"
        )?;
    }
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
    let content = match report.broken.is_empty() {
        true => content(&data, args.deep)?,
        false => BTreeMap::new(),
    };
    for (file, wrong) in &content {
        writeln!(out, "file {file}: {wrong}")?;
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
    if !content.is_empty() {
        return Err(
            Failure::failed(format_args!("the content of files in {directory} is damaged")).hint(
                "a hub serves all messages and all other files; a file is whole again when its owner sends it again, or when it is \
                 restored from a backup",
            ),
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

/// How many files are listed whose content is damaged.
const MAX_FINDINGS: usize = 100;

/// The files whose content is not what it should be, and why.
fn content(data: &DataDir, is_deep: bool) -> Result<BTreeMap<FileId, String>, Failure> {
    let directory = data.path().join("files");
    let failed = |error: io::Error| Failure::failed(format_args!("{}: {error}", directory.display()));
    let mut found = BTreeMap::new();
    if tim_hub::files_are_elsewhere(&directory).map_err(failed)? {
        writeln!(
            io::stdout(),
            "the content of files is in a bucket, and was not looked at"
        )?;
        return Ok(found);
    }
    let (mut count, mut broken) = (0_u64, None);
    let listed = tim_store_sqlite::files_in(data.path(), |file| {
        count += 1;
        if found.len() >= MAX_FINDINGS || broken.is_some() {
            return;
        }
        match tim_hub::check_content(&directory, file, is_deep) {
            Ok(None) => {}
            Ok(Some(wrong)) => drop(found.insert(file.id, wrong)),
            Err(error) => broken = Some(error),
        }
    });
    listed.map_err(|error| cannot_check(&error, data))?;
    if let Some(error) = broken {
        return Err(failed(error));
    }
    if !found.is_empty() {
        // A hub that is running may have removed some meanwhile.
        let mut still = BTreeMap::new();
        let listed = tim_store_sqlite::files_in(data.path(), |file| {
            still.extend(found.remove(&file.id).map(|wrong| (file.id, wrong)));
        });
        listed.map_err(|error| cannot_check(&error, data))?;
        found = still;
    }
    if count > 0 {
        writeln!(
            io::stdout(),
            "files: {} of {count} intact",
            count - found.len() as u64
        )?;
    }
    Ok(found)
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
