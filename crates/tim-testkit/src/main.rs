//! The program of the testkit: `cargo run -p tim-testkit --release -- simulate --seeds 10000`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use tim_proto::planted::Fault;
use tim_testkit::scale::{self, Costs, Installation, Placement, Population, Reading, Writers};
use tim_testkit::simulator::campaign::{self, Campaign, DETERMINISM, Failed, Finished, Totals};
use tim_testkit::simulator::{Keep, Plan, Profile, Violation};

/// How many lines of a trace are printed of a failure, unless all are asked for.
const TRACE_LINES: usize = 100;

/// Tests tim in virtual time.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs users, devices, a hub, its store and everything that goes wrong between them, from seeds, and checks that what is promised holds.
    ///
    /// The exit code is 0 if everything holds, 1 if something does not or a checker compared nothing, 2 for wrong arguments. A failure prints
    /// the command that replays it.
    Simulate(Simulate),
    /// Counts what many hubs on one database cost: hints, reading, fan-out, and the wait for the writer. Prints the tables of docs/scale.md.
    Scale(Scale),
}

#[derive(Debug, Args)]
struct Scale {
    /// Connected devices; a user has two
    #[arg(long, default_value_t = Installation::LARGE.devices)]
    devices: u32,
    /// Hubs
    #[arg(long, default_value_t = Installation::LARGE.hubs)]
    hubs: u16,
    /// Messages per second
    #[arg(long, default_value_t = Installation::LARGE.sends_per_second)]
    sends: u32,
    /// What a transaction takes without anything in it, in microseconds
    #[arg(long, value_name = "US", default_value_t = Costs::MEASURED.transaction_us)]
    transaction: u64,
    /// What storing a message takes in it
    #[arg(long, value_name = "US", default_value_t = Costs::MEASURED.entry_us)]
    entry: u64,
    /// What reading a message of another hub takes in it
    #[arg(long, value_name = "US", default_value_t = Costs::MEASURED.read_us)]
    read: u64,
}

#[derive(Debug, Args)]
struct Simulate {
    /// How many seeds are run
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// What is emphasised; without it, all profiles take turns
    #[arg(long)]
    profile: Option<Profile>,
    /// How many seeds run at the same time; by default as many as there are cores
    #[arg(long)]
    jobs: Option<usize>,
    /// Begins no seed after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Goes on after a failure, until so many seeds have failed
    #[arg(long, value_name = "N", default_value_t = 1)]
    failures: usize,
    /// Replays this seed alone
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Leaves out all steps of the plan but these, such as 3,17,40-44
    #[arg(long, value_name = "LIST", requires = "seed")]
    keep: Option<Keep>,
    /// Prints everything that was observed in the replayed seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Prints the plan of the seed and does not run it
    #[arg(long, requires = "seed")]
    plan: bool,
    /// Runs each seed twice and compares
    #[arg(long)]
    twice: bool,
    /// Plants a mistake and looks for it: the first seed that fails ends the run, and the exit code is 0 if one has. `all` plants one after
    /// another: each has to be found within the seeds of the profile that it states. Needs the feature `planted`
    #[arg(long, value_name = "NAME", value_parser = faults)]
    fault: Option<Faults>,
    /// Prints failures as they are, without looking for a smaller plan that fails
    #[arg(long)]
    no_shrink: bool,
}

/// The mistakes that are planted.
#[derive(Debug, Clone)]
struct Faults(Vec<Fault>);

fn faults(name: &str) -> Result<Faults, String> {
    if !cfg!(feature = "planted") {
        return Err(
            "this program was built without the feature `planted`: add `--features planted`".to_owned(),
        );
    }
    if name == "all" {
        return Ok(Faults(Fault::ALL.to_vec()));
    }
    let found = Fault::named(name).map(|fault| Faults(vec![fault]));
    found.ok_or_else(|| {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        format!("there is no mistake {name}; there are all, {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let simulate = match Cli::parse().command {
        Command::Simulate(simulate) => simulate,
        Command::Scale(scale) => {
            scale.report();
            return ExitCode::SUCCESS;
        }
    };
    let holds = match (simulate.seed, &simulate.fault) {
        (Some(seed), _) => campaign::planted(simulate.planted(), || simulate.replay(seed)),
        (None, Some(faults)) if faults.0.len() > 1 => {
            faults
                .0
                .iter()
                .filter(|fault| !simulate.find_stated(**fault))
                .count()
                == 0
        }
        (None, Some(faults)) => faults
            .0
            .iter()
            .all(|fault| simulate.find(*fault, &simulate.as_campaign())),
        (None, None) => simulate.campaign(),
    };
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Scale {
    fn report(&self) {
        self.traffic();
        self.writers();
    }

    fn traffic(&self) {
        let installation = Installation {
            devices: self.devices,
            hubs: self.hubs,
            sends_per_second: self.sends,
            ..Installation::LARGE
        };
        let population = Population::new(&installation);
        say(format_args!(
            "{} devices of {} users in {} groups at {} hubs, {} messages a second:\n",
            self.devices,
            population.users(),
            population.groups(),
            self.hubs,
            self.sends
        ));
        say(
            "| devices of a user are at | devices a send (mean, p50, p99, most) | hubs a send (mean, p99) | hints sent, delivered a second | \
             entries a hub reads a second (mean, most) | deliveries of a hub a second (mean, most) |",
        );
        say("|---|---|---|---|---|---|");
        for placement in Placement::ALL {
            let found = scale::traffic(&installation, &population, placement);
            let (mean, p50, p99, most) = found.devices;
            say(format_args!(
                "| {} | {mean:.1}, {p50}, {p99}, {most} | {:.1}, {} | {:.0}, {:.0} | {:.0}, {:.0} | {:.0}, {:.0} |",
                placement.text(),
                found.hubs_mean,
                found.hubs_p99,
                found.hints,
                found.hints * f64::from(self.hubs),
                found.read_mean,
                found.read_most,
                found.delivered_mean,
                found.delivered_most
            ));
        }
    }

    fn writers(&self) {
        let costs = Costs {
            transaction_us: self.transaction,
            entry_us: self.entry,
            read_us: self.read,
        };
        say(format_args!(
            "\nWait for an acknowledgement (p50, p99 in ms); a transaction takes {} us, {} us for each message, {} us for each that is read:\n",
            costs.transaction_us, costs.entry_us, costs.read_us
        ));
        let loads = [500, 1_000, 2_000, 5_000];
        let heads = loads.map(|load| format!(" {load}/s |")).concat();
        say(format_args!("| hubs | others are read |{heads}"));
        say(format_args!("|---|---|{}", "---|".repeat(loads.len())));
        for hubs in [1, 3, 10, 30, 100] {
            for (reading, text) in [(Reading::UnderLock, "under the lock"), (Reading::Ahead, "before")] {
                let cells = loads.map(|sends_per_second| {
                    let writers = Writers {
                        hubs,
                        sends_per_second,
                        seconds: 20,
                        reading,
                        seed: 1,
                    };
                    let found = scale::wait(&writers, &costs);
                    match found.is_behind {
                        true => " falls behind |".to_owned(),
                        false => format!(" {}, {} |", found.p50_ms, found.p99_ms),
                    }
                });
                say(format_args!("| {hubs} | {text} |{}", cells.concat()));
            }
        }
    }
}

/// Prints a line. A reader that has gone does not matter.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Simulate {
    fn as_campaign(&self) -> Campaign {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Campaign {
            from: self.seed.unwrap_or(self.from),
            seeds: if self.seed.is_some() { 1 } else { self.seeds },
            profile: self.profile,
            jobs: self.jobs.unwrap_or(cores),
            twice: self.twice,
            time: self.seconds.map(Duration::from_secs),
            fault: None,
        }
    }

    /// Runs seeds. Whether everything holds.
    fn campaign(&self) -> bool {
        let begun = Instant::now();
        let shown = Mutex::new((begun, 0));
        let is_terminal = std::io::stderr().is_terminal();
        let pause = match is_terminal {
            true => Duration::from_millis(500),
            false => Duration::from_secs(30),
        };
        let totals = self.as_campaign().run(|totals| {
            if let Ok(mut shown) = shown.lock() {
                let (at, failures) = &mut *shown;
                if at.elapsed() > pause {
                    *at = Instant::now();
                    progress(totals, self.seeds, begun.elapsed(), is_terminal);
                }
                // At once: to leave steps out takes its time.
                let new = totals.failed.iter().skip(*failures);
                new.for_each(|failed| announce(failed, is_terminal));
                *failures = totals.failed.len();
            }
            totals.failed.len() < self.failures
        });
        if is_terminal {
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
        let took = begun.elapsed().as_secs_f64();
        say(format_args!("{totals}"));
        say(format_args!(
            "{took:.1} s: {:.1} seeds, {:.0} steps, {:.0} operations a second; {:.0} times as fast as real time",
            totals.seeds as f64 / took,
            totals.steps as f64 / took,
            totals.operations as f64 / took,
            totals.virtual_ms as f64 / 1000.0 / took,
        ));
        totals.failed.iter().for_each(|failed| self.report(failed));
        let vacuous = totals.vacuous();
        vacuous.iter().for_each(say);
        totals.failed.is_empty() && vacuous.is_empty()
    }

    /// Looks for a planted mistake in the seeds that it states. Whether it is found.
    fn find_stated(&self, fault: Fault) -> bool {
        let (seeds, profile) = fault.found_within();
        let stated = Campaign {
            seeds,
            profile: profile.parse().ok(), // none has the name `all`
            ..self.as_campaign()
        };
        self.find(fault, &stated)
    }

    /// Looks for a planted mistake. Whether it is found.
    fn find(&self, fault: Fault, within: &Campaign) -> bool {
        let campaign = Campaign {
            fault: Some(fault),
            ..within.clone()
        };
        // A plan that fails without the mistake, too, shows nothing.
        let shows = |failed: &Failed| campaign::run_plan(&failed.plan).violation.is_none();
        let totals = campaign.run(|totals| !totals.failed.last().is_some_and(shows));
        let name = fault.name();
        let Some(Failed { plan, violation }) = totals.failed.iter().find(|failed| shows(failed)) else {
            say(format_args!("{name:<32} not found in {} seeds", totals.seeds));
            return false;
        };
        say(format_args!(
            "{name:<32} {:>6} seeds, seed {} ({}), {}{}",
            totals.seeds,
            plan.seed,
            plan.profile,
            violation.invariant,
            // Another invariant may see the same mistake first.
            match fault.invariant() {
                meant if meant == violation.invariant => String::new(),
                meant => format!(" (its own is {meant})"),
            }
        ));
        if self.planted().is_some() {
            say(format_args!("replay: {}", replay_command(plan, Some(fault))));
        }
        true
    }

    /// Runs one seed. Whether everything holds.
    fn replay(&self, seed: u64) -> bool {
        let whole = self.as_campaign().plan(seed);
        let plan = self
            .keep
            .as_ref()
            .map_or_else(|| whole.clone(), |keep| keep.apply(&whole));
        if self.plan {
            print_plan(&plan);
            return true;
        }
        let begun = Instant::now();
        let finished = campaign::run_plan(&plan);
        if self.trace {
            finished.history.observations.iter().for_each(say);
        }
        let Some(violation) = &finished.violation else {
            say(format_args!(
                "seed {seed}, profile {}: {} steps, {:.1} s of virtual time in {:.2} s; everything holds",
                plan.profile,
                finished.steps,
                finished.virtual_ms as f64 / 1000.0,
                begun.elapsed().as_secs_f64()
            ));
            return true;
        };
        if self.keep.is_some() || self.no_shrink {
            self.describe(&plan, &finished, violation);
        } else {
            let violation = violation.clone();
            self.report(&Failed { plan, violation });
        }
        false
    }

    /// Prints a failure, of a plan that is as small as possible.
    fn report(&self, failed: &Failed) {
        let Failed { plan, violation } = failed;
        if violation.invariant == DETERMINISM {
            say(format_args!(
                "seed {}, profile {}: {violation}",
                plan.seed, plan.profile
            ));
            return;
        }
        let small = if self.no_shrink {
            plan.clone()
        } else {
            campaign::shrink_plan(plan, violation.invariant)
        };
        let finished = campaign::run_plan(&small);
        let shown = finished.violation.as_ref().unwrap_or(violation);
        self.describe(&small, &finished, shown);
    }

    /// The mistake that is planted, if it is one.
    fn planted(&self) -> Option<Fault> {
        match self.fault.as_ref()?.0.as_slice() {
            [fault] => Some(*fault),
            _ => None,
        }
    }

    /// Prints what does not hold, how to replay it, and what was observed about it.
    fn describe(&self, plan: &Plan, finished: &Finished, violation: &Violation) {
        say(format_args!(
            "\nseed {}, profile {}: {violation}",
            plan.seed, plan.profile
        ));
        say(format_args!(
            "replay: {} --keep {} --trace",
            replay_command(plan, self.planted()),
            Keep::of(plan)
        ));
        let observations = &finished.history.observations;
        let matters = |at: &usize| violation.observations.contains(at);
        // The last ones, and those that the violation names.
        let first = observations.len().saturating_sub(TRACE_LINES);
        let mut left_out = 0;
        for (at, observation) in observations.iter().enumerate() {
            if at < first && !matters(&at) {
                left_out += 1;
                continue;
            }
            if left_out > 0 {
                say(format_args!("   ... {left_out} observations"));
                left_out = 0;
            }
            let sign = if matters(&at) { '>' } else { ' ' };
            say(format_args!("{sign} {observation}"));
        }
    }
}

/// Clears the line of a terminal.
const CLEAR: &str = "\r\x1b[K";

/// Says that a seed has failed, and how to replay it.
fn announce(failed: &Failed, is_terminal: bool) {
    let Failed { plan, violation } = failed;
    let clear = if is_terminal { CLEAR } else { "" };
    let _ = writeln!(
        std::io::stderr(),
        "{clear}seed {}, profile {} failed: {violation}\nreplay: {}",
        plan.seed,
        plan.profile,
        replay_command(plan, None)
    );
}

fn progress(totals: &Totals, of: u64, took: Duration, is_terminal: bool) {
    let (begin, end) = if is_terminal { (CLEAR, "") } else { ("", "\n") };
    let rate = totals.seeds as f64 / took.as_secs_f64();
    let failed = totals.failed.len();
    let _ = write!(
        std::io::stderr(),
        "{begin}{} of {of} seeds, {rate:.1} a second, {failed} failed{end}",
        totals.seeds
    );
}

fn print_plan(plan: &Plan) {
    say(format_args!("{:?}", plan.population));
    say(format_args!("{:?}", plan.settings));
    for step in &plan.steps {
        say(format_args!(
            "[{}] {:>8} ms  {:?}",
            step.number, step.at_ms, step.op
        ));
    }
}

/// The command that runs a plan's seed, with the mistake that was planted.
fn replay_command(plan: &Plan, fault: Option<Fault>) -> String {
    let (features, planted) = fault.map_or_else(Default::default, |fault| {
        (" --features planted", format!(" --fault {}", fault.name()))
    });
    format!(
        "cargo run -p tim-testkit --release{features} -- simulate --seed {} --profile {}{planted}",
        plan.seed, plan.profile
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_replay_plants_what_was_planted() {
        let plan = Plan::generate(31, Profile::Restore);
        let plain = "cargo run -p tim-testkit --release -- simulate --seed 31 --profile restore";
        assert_eq!(replay_command(&plan, None), plain);
        let planted = "cargo run -p tim-testkit --release --features planted -- simulate --seed 31 --profile restore \
                       --fault ids-without-hash";
        assert_eq!(replay_command(&plan, Some(Fault::IdsWithoutHash)), planted);
    }
}
