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
the content of files. All entries of the copy are checked; then it gets its name. What has no such name is not whole. A file that the
newest backup in DIR has, too, is shared with it by a hard link; remove old backups as you like.

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
    let to = all.join(format!("{NAME}{}", time::in_a_name(time::now())));
    let before = newest(&all);
    let mut report = make(&data, to.clone(), before)?;
    if let Value::Object(fields) = &mut report {
        fields.insert("backup".to_owned(), json!(to));
    }
    let mut out = io::stdout();
    if args.json {
        return Ok(writeln!(out, "{}", Line(&report))?);
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
    Ok(())
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
