//! `tim serve`: the hub on an embedded store.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use tim_hub::store::sqlite::OpenError;
use tim_hub::{Hub, HubError};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::config::{Given, Settings};
use crate::error::{EXIT_CODES, Failure};
use crate::lines::Lines;
use crate::local::{DataArg, DataDir, Endpoint, key_from};
use crate::log;
use crate::session::block_on_threads;

const FILES: &str = "\
Every setting can be given as a flag, as a variable (TIM_ and the flag's name in capitals, with _ for -), or in a file:
flags go before variables, these before the file, the file before the default. The file is the one named with --config,
else serve.toml in the data directory, if it is there; --print-config prints all settings as they are written in it.

Serial lines carry the same frames as TCP does, each in a packet with a counter and a checksum (SPEC.md), so that noise,
cuts and restarts of either end cost a login, but no message. QEMU gives a guest's UART to the hub with
`-chardev socket,host=127.0.0.1,port=PORT,id=line,reconnect=1 -serial chardev:line` and --serial-tcp-listen.

In the data directory: tim.sqlite3 (all messages), app.key (signs UserSigs; made at the first start, readable by its
owner only), endpoint.toml (where `tim chat` and its like find this hub).";

/// Run a hub: keep conversations on disk and move everybody's messages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{FILES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    settings: Given,
    /// The app key. Others on this machine can see it in the list of processes; --key-file avoids that.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIM_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// A file with the app key [default: app.key in the data directory, made if need be].
    #[arg(long, value_name = "FILE", env = "TIM_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Read settings from this file.
    #[arg(long, value_name = "FILE", env = "TIM_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print the settings in force and stop.
    #[arg(long)]
    print_config: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data.data)?;
    let settings = args.settings.resolve(args.config.as_deref(), data.path())?;
    if args.print_config {
        return Ok(write!(
            io::stdout(),
            "# Data directory: {}\n{}",
            data.path().display(),
            settings.to_toml()?
        )?);
    }
    log::start(&settings.log)?;
    data.create()?;
    let key = match (args.key, &args.key_file) {
        (Some(key), _) => key,
        (None, Some(path)) => key_from(path)?,
        (None, None) => {
            let (key, new) = data.key_or_new()?;
            if new {
                info!(data = %data.path().display(), "made an app key");
            }
            key
        }
    };
    block_on_threads(serve(&data, &settings, key))
}

async fn serve(data: &DataDir, settings: &Settings, key: String) -> Result<(), Failure> {
    let hub = Arc::new(Hub::open(settings.hub_options(data.path(), key)).map_err(cannot_open)?);
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        Failure::failed(format_args!("cannot listen at {}: {error}", settings.listen))
            .hint("--listen 127.0.0.1:0 takes any free port")
    })?;
    let address = listener.local_addr()?;
    let lines = Lines::start(&hub, settings).await?;
    let stop = stop_signal()?;
    let endpoint = Endpoint::of(address, settings.app_id);
    if data.endpoint().ok().flatten() != Some(endpoint.clone())
        && let Err(failure) = data.write_endpoint(&endpoint)
    {
        // On a full disk, say: what was said can still be read, by those who know where the hub is.
        warn!(%failure, "commands on this machine must be told where the hub is, with --hub {address}");
    }
    let mut out = io::stdout();
    writeln!(
        out,
        "listening at {address}, app {}, data in {}",
        settings.app_id,
        data.path().display()
    )?;
    for address in lines.listening() {
        writeln!(out, "serial lines at {address}")?;
    }
    match data.is_usual() {
        true => writeln!(out, "to talk: tim chat --as alice bob")?,
        false => writeln!(
            out,
            "to talk: tim chat --data {} --as alice bob",
            data.path().display()
        )?,
    }
    out.flush()?;
    hub.serve(listener, stop).await.map_err(Failure::failed)
}

fn cannot_open(error: HubError) -> Failure {
    let failure = Failure::failed(&error);
    match error {
        HubError::Open(OpenError::InUse { .. }) => {
            failure.hint("stop that hub, or choose another --data DIR")
        }
        HubError::Open(OpenError::Io { .. }) => failure.hint("choose another directory with --data DIR"),
        _ => failure,
    }
}

/// Ready when somebody wants the hub to end: ctrl-C, or a service manager.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = terminated => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}
