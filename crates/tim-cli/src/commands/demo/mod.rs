//! `tim demo`: three users on four devices use every feature, on a hub of their own, and each outcome is checked.

mod files;
mod groups;
mod history;
mod life;
mod play;
mod restart;
mod revoke;
mod talk;
mod transcript;
mod world;

use std::io;
use std::path::PathBuf;

use crate::address::TextAddress;
use crate::config::PartialSettings;
use crate::connect::TlsArgs;
use crate::error::{EXIT_CODES, Failure};
use crate::output::STRONG;
use crate::session::block_on_threads;
use crate::terminal::Look;

use play::Play;
use transcript::{Summary, Transcript};
use world::Sockets;

/// Demonstrate all features: three users on four devices, a hub on a temporary directory, sockets of this machine.
///
/// Needs no setup and leaves nothing behind. The exit code is 0 only if each step was checked and had the expected outcome.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    look: Look,
    /// Address of the demo's hub, as for `tim serve`: tim://, tims://, ws://, wss:// or unix:/PATH; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "tim://127.0.0.1:0")]
    listen: TextAddress,
    /// Certificate for tims:// and wss:// addresses, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
}

impl Args {
    fn sockets(&self) -> Sockets {
        let given = PartialSettings {
            listen: Some(vec![self.listen.clone()]),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            ..PartialSettings::default()
        };
        Sockets {
            settings: given.into(),
            tls: self.tls.clone(),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let dir = tempfile::tempdir()
        .map_err(|error| Failure::failed(format_args!("cannot create a temporary directory: {error}")))?;
    let out = anstream::AutoStream::auto(io::stdout());
    let Summary { steps, checks, took } = block_on_threads(async {
        let mut play = Play::begin(
            Transcript::new(out),
            args.look,
            dir.path().join("hub"),
            args.sockets(),
        )
        .await?;
        talk::hello(&mut play).await?;
        talk::seven_kinds(&mut play).await?;
        files::each_kind(&mut play).await?;
        talk::unread(&mut play).await?;
        groups::weekend(&mut play).await?;
        groups::online_only(&mut play).await?;
        revoke::in_time(&mut play).await?;
        revoke::refused(&mut play).await?;
        restart::resend(&mut play).await?;
        restart::restart(&mut play).await?;
        history::pages(&mut play).await?;
        history::conversations(&mut play).await?;
        life::joining(&mut play).await?;
        life::managing(&mut play).await?;
        life::mentions(&mut play).await?;
        life::ending(&mut play).await?;
        life::work(&mut play).await?;
        life::live(&mut play).await?;
        play.end().await
    })?;
    let mut out = anstream::stdout();
    io::Write::write_fmt(
        &mut out,
        format_args!(
            "\n{STRONG}{steps} steps, {checks} outcomes checked, all as they should be{STRONG:#}, in {:.1} s\n",
            took.as_secs_f64()
        ),
    )?;
    Ok(())
}
