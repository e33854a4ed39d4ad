//! `tim demo`: three users on four devices use every feature, on a hub of their own, and each outcome is checked.

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

use crate::error::{EXIT_CODES, Failure};
use crate::output::STRONG;
use crate::session::block_on_threads;
use crate::terminal::Look;

use play::Play;
use transcript::{Summary, Transcript};

/// Demonstrate all features: three users on four devices, a hub on a temporary directory, TCP on this machine.
///
/// Needs no setup and leaves nothing behind. The exit code is 0 only if each step was checked and had the expected outcome.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let dir = tempfile::tempdir()
        .map_err(|error| Failure::failed(format_args!("cannot create a temporary directory: {error}")))?;
    let out = anstream::AutoStream::auto(io::stdout());
    let Summary { steps, checks, took } = block_on_threads(async {
        let mut play = Play::begin(Transcript::new(out), args.look, dir.path().join("hub")).await?;
        talk::hello(&mut play).await?;
        talk::seven_kinds(&mut play).await?;
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
