//! `tim backup`: copies all that a hub keeps, while it runs.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tim_hub::{BackupError, BackupReport};

use crate::error::{EXIT_CODES, Failure};
use crate::json::Line;
use crate::local::{DataArg, DataDir};
use crate::time;

const ABOUT: &str = "\
Makes a directory in DIR, tim-<date>T<time>Z, which has everything that the hub had acknowledged when the backup began: the database and
the content of files. All entries of the copy are checked; then it gets its name. What has no such name is not whole. Content of files
that is missing or of another size is named: the backup is made without it, and the exit code is 1. A file that the newest backup in DIR
has, too, with the same size and time, is shared with it by a hard link; remove old backups as you like.

A hub that runs makes the backup itself and goes on meanwhile: run this as its user, on its machine. If none runs, this command keeps
hubs out for as long as it takes. The settings and the app key are not in a backup: keep them elsewhere.

To restore: stop the hub, put its data directory aside, copy the backup to its place, with app.key and serve.toml, run `tim check`, and
start the hub. Clients that know more than the backup has are told that messages are missing.";

/// The begin of the name of a backup.
const NAME: &str = "tim-";

/// Back up all that a hub keeps, while it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{ABOUT}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The directory of backups.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    data: DataArg,
    /// Copy all content, and share none with the backup before.
    #[arg(long)]
    no_share: bool,
    /// Print an object: where the backup is and what it has.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data.data)?;
    if !data.has_store() {
        return Err(
            Failure::failed(format_args!("there is no store in {}", data.path().display()))
                .hint("choose another directory with --data DIR"),
        );
    }
    // The hub has another working directory.
    let all = std::path::absolute(&args.to).map_err(Failure::usage)?;
    let inside = real(&all);
    if inside.starts_with(real(data.path())) {
        return Err(Failure::usage(format_args!(
            "{} is in the data directory: a backup there would be lost with it",
            inside.display()
        ))
        .hint("choose a directory elsewhere, best on another disk"));
    }
    let to = free_name(&all);
    let before = newest(&all).filter(|_| !args.no_share);
    let mut report = make(&data, to.clone(), before)?;
    if let Value::Object(fields) = &mut report {
        fields.insert("backup".to_owned(), json!(to));
    }
    let mut out = io::stdout();
    if args.json {
        writeln!(out, "{}", Line(&report))?;
        return judge(&report);
    }
    let number = |field: &str| report[field].as_u64().unwrap_or_default();
    writeln!(
        out,
        "{}: {} conversations, {} intact entries, {} files of which {} are shared with the backup before",
        to.display(),
        number("conversations"),
        number("entries"),
        number("files"),
        number("sharedFiles"),
    )?;
    if report["withoutFiles"] == true {
        writeln!(
            out,
            "the content of files is in a store of its own: back that up, too, now"
        )?;
    }
    for wrong in report["damage"].as_array().into_iter().flatten() {
        writeln!(out, "{}", wrong.as_str().unwrap_or_default())?;
    }
    judge(&report)
}

/// Whether the backup has all files.
fn judge(report: &Value) -> Result<(), Failure> {
    match report["damagedFiles"].as_u64() {
        None | Some(0) => Ok(()),
        Some(count) => Err(Failure::failed(format_args!(
            "the backup is made, but the content of files is missing or damaged in the data directory, and so in the backup: {count}"
        ))
        .hint("keep earlier backups, which may have it; all messages and all other files are in this one")),
    }
}

/// A name that no backup has, though another one was made in the same second.
fn free_name(all: &Path) -> PathBuf {
    let first = all.join(format!("{NAME}{}", time::in_a_name(time::now())));
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    let others = (2..100).map(|n| {
        let mut name = first.clone().into_os_string();
        name.push(format!("-{n:02}"));
        PathBuf::from(name)
    });
    let found = std::iter::once(first.clone()).chain(others).find(is_free);
    found.unwrap_or(first)
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let whole = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(fs::canonicalize(above).ok()?.join(rest))
    });
    whole.unwrap_or_else(|| path.to_owned())
}

/// The report as a value.
pub(crate) fn value(report: &BackupReport) -> Value {
    json!({
        "conversations": report.conversations,
        "entries": report.entries,
        "databaseBytes": report.database_bytes,
        "files": report.files.files,
        "fileBytes": report.files.bytes,
        "sharedFiles": report.files.shared,
        "withoutFiles": report.is_without_files,
        "damagedFiles": report.damaged_files,
        "damage": report.damage,
    })
}

fn make(data: &DataDir, to: PathBuf, before: Option<PathBuf>) -> Result<Value, Failure> {
    #[cfg(unix)]
    if crate::admin::is_there(data) {
        return crate::admin::ask(data, &crate::admin::Request::Backup { to, before });
    }
    let made = tim_hub::back_up_stopped(data.path(), &to, before.as_deref());
    made.map(|report| value(&report)).map_err(|error| match &error {
        BackupError::Open(tim_hub::OpenError::InUse { .. }) => Failure::failed(&error)
            .hint("that hub has no admin.sock: on this system, or with a path of that length, stop it first"),
        BackupError::Open(error) => super::check::cannot_open(error, data),
        _ => Failure::failed(error),
    })
}

/// The newest backup in this directory, by its name.
fn newest(all: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(all).ok()?.flatten();
    let backups = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(NAME));
    backups.map(|entry| entry.path()).max()
}
