//! `tim migrate`: moves a store from a data directory into a PostgreSQL database.

use std::path::PathBuf;

use crate::error::EXIT_CODES;
#[cfg(not(feature = "postgres"))]
use crate::error::Failure;

const ABOUT: &str = "\
Copies everything that a hub has stored in its data directory into an empty schema of a PostgreSQL database. Stop the hub first; what a killed one has
left in tim.log is taken over. The directory is not changed otherwise, and its content is checked as `tim check` does.

The copy is made in steps. If it is interrupted, run the same command again: it goes on where it stopped, unless a hub has used the directory
meanwhile. At the end both are read and compared: each conversation, and each table of users, groups, files and the rest, by the number of
rows and their SHA-256. Until then no hub uses the schema.

The content of files stays in the data directory, as do the keys and settings. So start the hub with the same directory and with --store. Devices go
on where they were. A hub refuses to start on the directory without --store afterwards: the file moved-to there says where the messages are.

Other users of this machine can see a password in the arguments; the variable TIM_STORE avoids that.";

/// Move the messages of a data directory into a PostgreSQL database.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{ABOUT}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The data directory to copy from.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The database to copy into: postgres://USER:PASSWORD@HOST/DATABASE, as --store of `tim serve` has it.
    #[arg(long, value_name = "URL", env = "TIM_STORE", hide_env_values = true)]
    to: String,
    /// Application number (SDKAppID), which is part of the schema's name [default: that of serve.toml in the data directory, else 1400000000].
    #[arg(
        long = "app",
        visible_alias = "app-id",
        value_name = "NUMBER",
        env = "TIM_APP_ID",
        hide_env_values = true
    )]
    app: Option<u32>,
    /// Print an object: what was copied and compared.
    #[arg(long)]
    json: bool,
}

#[cfg(not(feature = "postgres"))]
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Args { from, to, app, json } = args;
    drop((from, to, app, json));
    Err(Failure::usage(
        "this program was built without PostgreSQL: build it with the feature `postgres`",
    ))
}

#[cfg(feature = "postgres")]
pub(crate) use with_postgres::run;

#[cfg(feature = "postgres")]
mod with_postgres {
    use std::io::{self, Write as _};
    use std::time::Duration;

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
    use serde_json::{Value, json};
    use tim_store::transfer::{Begun, Progress, Report, Stage, TABLES, Transfer, TransferError};
    use tim_store_postgres::{Import, OpenOptions};
    use tim_store_sqlite::Export;

    use super::Args;
    use crate::commands::check::cannot_open;
    use crate::commands::store::{schema_of, without_password};
    use crate::config::PartialSettings;
    use crate::error::Failure;
    use crate::json::Line;
    use crate::local::DataDir;

    const TEMPLATE: &str = "{msg} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";
    /// How often the bar is drawn.
    const TICK: Duration = Duration::from_millis(100);
    /// What to do after an interruption.
    const AGAIN: &str = "run the same command again: it goes on where it stopped";

    pub(crate) fn run(args: Args) -> Result<(), Failure> {
        let data = DataDir::new(Some(args.from.clone()))?;
        let app = match args.app {
            Some(app) => app,
            None => PartialSettings::default().resolve(None, data.path())?.app_id,
        };
        if !data.has_store() {
            let path = data.path().display();
            return Err(Failure::failed(format_args!("there is no store in {path}"))
                .hint("--from names the data directory of a hub"));
        }
        let schema = schema_of(app);
        // First what is quick to find out.
        let target = OpenOptions::new()
            .schema(&schema)
            .import(&args.to)
            .map_err(|error| Failure::failed(format_args!("--to: {error}")))?;
        let _ = writeln!(io::stderr(), "checking {}", data.path().display());
        let source = Export::open(data.path()).map_err(|error| cannot_open(&error, &data))?;
        let mut transfer = Transfer::begin(source, target).map_err(|error| failure(error, &schema))?;
        match transfer.begun() {
            Begun::Complete => {
                note_moved(&args, &data, &schema)?;
                return already_done(&args, &schema);
            }
            Begun::Resumed => drop(writeln!(io::stderr(), "going on with what was copied before")),
            _ => {}
        }
        copy(&mut transfer, &schema)?;
        note_moved(&args, &data, &schema)?;
        tell(&args, &schema, transfer.report())
    }

    fn note_moved(args: &Args, data: &DataDir, schema: &str) -> Result<(), Failure> {
        data.note_moved(&format!("the schema {schema} of {}", without_password(&args.to)))
    }

    fn copy(transfer: &mut Transfer<Export, Import>, schema: &str) -> Result<(), Failure> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let mut shown = None;
        loop {
            let progress = transfer.step().map_err(|error| failure(error, schema))?;
            let Progress {
                stage, table, done, ..
            } = progress;
            if stage == Stage::Finished {
                bar.finish_and_clear();
                return Ok(());
            }
            if shown != Some((stage, table)) {
                shown = Some((stage, table));
                let rows = match TABLES.iter().find(|known| known.name == table) {
                    Some(table) => transfer.count(table).map_err(|error| failure(error, schema))?,
                    None => 0,
                };
                let text = match stage {
                    Stage::Comparing => format!("comparing {table}"),
                    _ => format!("copying {table}"),
                };
                // Without a terminal there is no bar.
                if bar.is_hidden() && rows > 0 {
                    let _ = writeln!(io::stderr(), "{text}: {rows} rows");
                }
                bar.set_message(text);
                bar.set_length(rows);
            }
            bar.set_position(done);
        }
    }

    /// The result, and what comes next.
    fn tell(args: &Args, schema: &str, report: &Report) -> Result<(), Failure> {
        let rows = |name: &str| {
            let found = report.tables.iter().find(|table| table.table == name);
            found.map_or(0, |table| table.rows)
        };
        let mut out = io::stdout();
        if args.json {
            return Ok(writeln!(out, "{}", Line(&value(schema, report)))?);
        }
        writeln!(
            out,
            "{schema}: {} users, {} groups, {} files, {} conversations with {} entries; all of it was compared",
            rows("users").saturating_sub(1),
            rows("groups"),
            rows("files"),
            report.conversations,
            rows("entries"),
        )?;
        writeln!(out, "start the hub with the same data directory and with --store")?;
        Ok(())
    }

    fn already_done(args: &Args, schema: &str) -> Result<(), Failure> {
        let mut out = io::stdout();
        match args.json {
            true => writeln!(
                out,
                "{}",
                Line(&json!({ "schema": schema, "alreadyComplete": true }))
            )?,
            false => writeln!(
                out,
                "{schema}: this directory was copied before; nothing is left to do"
            )?,
        }
        Ok(())
    }

    fn value(schema: &str, report: &Report) -> Value {
        let tables = report.tables.iter().map(|table| {
            let hash: String = table.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            (
                table.table.to_owned(),
                json!({ "rows": table.rows, "sha256": hash }),
            )
        });
        json!({
            "schema": schema,
            "alreadyComplete": false,
            "conversations": report.conversations,
            "tables": tables.collect::<serde_json::Map<_, _>>(),
        })
    }

    fn failure(error: TransferError, schema: &str) -> Failure {
        let failure = Failure::failed(&error);
        match error {
            TransferError::Differs(_) => failure.hint(format_args!(
                "in psql, DROP SCHEMA \"{schema}\" CASCADE removes what is there; the data directory has everything"
            )),
            TransferError::NotEmpty | TransferError::OtherSource | TransferError::SourceChanged => {
                failure.hint(format_args!(
                    "if no hub has used the schema, DROP SCHEMA \"{schema}\" CASCADE in psql removes it; \
                     otherwise it has messages that are nowhere else"
                ))
            }
            _ => failure.hint(AGAIN),
        }
    }
}
