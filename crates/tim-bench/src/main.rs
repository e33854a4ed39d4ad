//! `tim-bench` measures a hub, its own or any other, checks what it did, and prints the figures.
//!
//! Each measurement is one file and connects as any device does, over TCP (`room`: over links in memory). The clients share the
//! machine with the hub, so the figures depend on its load.

mod args;
mod attackers;
mod bot;
mod callbacks;
mod check;
mod commits;
mod disk;
mod fan_out;
mod files;
mod group;
mod hostile;
mod hostile_writers;
mod hub;
mod idle;
mod idle_clients;
mod link;
mod lists;
mod member;
mod pages;
mod prepare;
mod priority;
mod report;
mod rest;
mod room;
mod sends;
mod stalls;
mod stop;
mod talk;
mod thread_groups;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tim_bench::Machine;

use args::{Args, What};
use hub::Target;
use report::Report;
use tim_transport_std::ConnectOptions;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let args = Args::of_process();
    let run = async {
        if let Some(data) = &args.run_hub {
            hub::run(data, &args.hub_setup).await?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(address) = args.hold {
            let target = match &args.data {
                Some(data) => Target::existing(address.into(), ConnectOptions::new(), data, None)?,
                None => Target::remote(address, hub::own_app()),
            };
            idle_clients::hold(target, args.first, args.connections).await?;
            return Ok(ExitCode::SUCCESS);
        }
        if let (Some(attack), Some(address)) = (args.attack, args.attacked) {
            let target = Target::remote(address, hub::own_app());
            attackers::run(target, attack, attackers::Size::of(args.quick)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        // What is dropped here stops its hub and removes its directory.
        let stopped = stop::signalled()?;
        tokio::select! {
            done = measure_and_report(&args) => done.map(|()| ExitCode::SUCCESS),
            code = stopped => Ok(ExitCode::from(code)),
        }
    };
    let done = allow_many_files()
        .and_then(|()| Ok(tokio::runtime::Runtime::new()?))
        .and_then(|runtime| runtime.block_on(run));
    match done {
        Err(error) if !is_broken_pipe(&error) => {
            // If stderr is closed too, the exit code is all there is.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::SUCCESS,
        Ok(code) => code,
    }
}

/// The reader of the output has left: nothing to report.
fn is_broken_pipe(error: &Failure) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Raises the limit of open files as far as the system allows: both ends of every connection are on this machine.
fn allow_many_files() -> Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let current = limit.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    }
    Ok(())
}

async fn measure_and_report(args: &Args) -> Result<()> {
    let temporary = std::env::temp_dir();
    let (hub, directory) = match (&args.hub, &args.data) {
        (Some(address), data) => (
            address.to_string(),
            data.as_deref().filter(|_| args.hub_pid.is_some()),
        ),
        (None, _) => ("own".to_owned(), Some(&*temporary)),
    };
    let mut report = Report::new(args.json, hub, Machine::here(directory));
    report.show_machine()?;
    let done = measure(args, &mut report).await;
    report.finish(done.as_ref().err())?;
    done
}

async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    if args.hub.is_some() {
        args.target()?.reach().await?;
    }
    for what in args.what() {
        // A new hub for each, so that no measurement sees what another one left.
        match what {
            What::Sends => sends::measure_all(report, args).await?,
            What::Stalls => stalls::measure(report, args).await?,
            What::Group => {
                let (members, messages) = (args.members, args.group_messages);
                group::measure(report, &args.target()?, members, messages, args.payload()).await?;
            }
            What::Pages => {
                let history = args.history;
                let target = match args.hub {
                    Some(_) => args.target()?,
                    None => {
                        Target::start_as(blocking(move || prepare::history(history)).await?, args.setup())?
                    }
                };
                pages::measure(report, &target, history).await?;
            }
            What::Hostile => hostile::measure(report, args.quick, args.time(args::HOSTILE)).await?,
            What::Lists => {
                let load = lists::Load::of(args.quick, &args.list_conversations);
                lists::measure(report, &load).await?;
            }
            What::Idle => idle::measure(report, args).await?,
            What::FanOut => {
                for members in &args.fan_out_members {
                    fan_out::measure(report, fan_out::Load::of(*members, args.quick)).await?;
                }
            }
            What::Priority if args.quick => priority::measure(report, 1, Duration::from_secs(1)).await?,
            What::Priority => priority::measure(report, 3, Duration::from_secs(6)).await?,
            What::Files => files::measure(report, &args.target()?, &files::Load::of(args.quick)).await?,
            What::Rest => rest::measure(report, args).await?,
            What::Callbacks => callbacks::measure(report, args).await?,
            What::Room => room::measure(report, args.room_members, if args.quick { 3 } else { 20 }).await?,
        }
    }
    Ok(())
}

/// Runs work that blocks off the executor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
