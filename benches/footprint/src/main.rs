//! Builds the images for three targets and says how much flash and RAM each takes.
//!
//! `footprint` prints the table; `--check` compares it with the one that is kept and fails where a figure has grown by more
//! than 5 % or is missing; `--update` keeps the new one. `--replay` only measures what needs QEMU.

mod image;
mod replay;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use table::{Figures, GOAL_TARGET, Table};

type Failure = Box<dyn std::error::Error>;

/// What an image that does nothing takes: subtracted from all others.
const BASELINE: &str = "empty";
/// The images, in the table's order, with what the table calls them.
const IMAGES: [(&str, &str); 12] = [
    ("codec", "codec"),
    ("parsers", "parsers"),
    ("codec-parsers", "codec, parsers"),
    ("session", "codec, parsers, session"),
    ("client", "client, serial line"),
    ("client-stream", "client, stream"),
    ("client-polled", "client, polled, serial line"),
    ("client-polled-stream", "client, polled, stream"),
    ("client-all", "client, all calls"),
    ("client-files", "client, all calls, files"),
    ("minimq", "minimq 0.13"),
    ("rust-mqtt", "rust-mqtt 0.6"),
];
/// Those that are built with [`SHORT`], too, on [`table::GOAL_TARGET`]: the ones with a goal, and the peers.
const SHORT_IMAGES: [&str; 6] = [
    "client",
    "client-stream",
    "client-polled",
    "client-polled-stream",
    "minimq",
    "rust-mqtt",
];
/// The feature of the images that brings memory routines of their own.
const SHORT: &str = "short-memory-routines";
const TARGETS: [&str; 3] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

const USAGE: &str = "footprint [--check | --update | --replay]; the environment's FOOTPRINT_TOOLCHAIN (say +embedded) goes to \
cargo, FOOTPRINT_QEMU is the path of qemu-system-arm";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("footprint: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it should be.
fn run() -> Result<bool, Failure> {
    let option = env::args().nth(1).unwrap_or_default();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept_at = here.join("FOOTPRINT.md");
    match option.as_str() {
        "" => print!("{}", measure(here)?.to_markdown()),
        "--replay" => {
            let qemu = qemu().ok_or("the environment's FOOTPRINT_QEMU is not set")?;
            for (name, figure) in measure_replay(here, &qemu)? {
                println!("{name}: {figure}");
            }
        }
        "--update" => {
            let mut table = measure(here)?;
            if table.running.is_empty() {
                // As they were.
                table.running = Table::parse(&fs::read_to_string(&kept_at)?)?.running;
            }
            print!("{}", table.to_markdown());
            fs::write(&kept_at, table.to_markdown())?;
        }
        "--check" => {
            let kept = Table::parse(&fs::read_to_string(&kept_at)?)?;
            let now = measure(here)?;
            print!("{}", now.to_markdown());
            let complaints = now.complaints_against(&kept);
            for complaint in &complaints {
                eprintln!("footprint: {complaint}");
            }
            if !complaints.is_empty() {
                eprintln!(
                    "footprint: kept was what {} made, this is of {}; `.ci/footprint --update` keeps the new table",
                    kept.compiler, now.compiler
                );
            }
            return Ok(complaints.is_empty());
        }
        _ => return Err(USAGE.into()),
    }
    Ok(true)
}

fn measure(here: &Path) -> Result<Table, Failure> {
    let toolchain = toolchain();
    let mut table = Table {
        compiler: first_line(tool("rustc", toolchain.as_deref()).arg("-V"))?,
        date: first_line(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
        figures: Vec::new(),
        running: Vec::new(),
    };
    let names = IMAGES.map(|(name, _)| name);
    for target in TARGETS {
        let images = build(here, toolchain.as_deref(), target, &names, "")?;
        table.figures.extend(figures(&images, target, &names, "")?);
    }
    // Last, as these images take the place of the others.
    let images = build(here, toolchain.as_deref(), GOAL_TARGET, &SHORT_IMAGES, SHORT)?;
    let short = figures(&images, GOAL_TARGET, &SHORT_IMAGES, table::WITH_SHORT)?;
    table.figures.extend(short);
    match qemu() {
        Some(qemu) => table.running = measure_replay(here, &qemu)?,
        None => {
            eprintln!("footprint: no QEMU (FOOTPRINT_QEMU): stack, futures and instructions are not measured")
        }
    }
    Ok(table)
}

/// What these images take beyond the [`BASELINE`]; `suffix` is what their titles have more.
fn figures(images: &Path, target: &str, names: &[&str], suffix: &str) -> Result<Vec<Figures>, Failure> {
    let measure = |name: &str| {
        image::measure(&images.join(name)).map_err(|fault| format!("{name} for {target}: {fault}"))
    };
    let baseline = measure(BASELINE)?;
    let mut figures = Vec::new();
    for (name, title) in IMAGES.iter().filter(|(name, _)| names.contains(name)) {
        let size = measure(name)?;
        figures.push(Figures {
            image: format!("{title}{suffix}"),
            target: target.to_owned(),
            flash: size.flash.saturating_sub(baseline.flash),
            ram: size.ram.saturating_sub(baseline.ram),
        });
    }
    Ok(figures)
}

/// What clients take at run time, in QEMU.
fn measure_replay(here: &Path, qemu: &str) -> Result<Vec<(String, u64)>, Failure> {
    let toolchain = toolchain();
    fs::create_dir_all(images_dir(here))?;
    replay::write_script(&script(here))?;
    let images = build(here, toolchain.as_deref(), GOAL_TARGET, &["replay"], "replay")?;
    replay::run(qemu, &images.join("replay"))
}

fn qemu() -> Option<String> {
    env::var("FOOTPRINT_QEMU").ok().filter(|path| !path.is_empty())
}

fn toolchain() -> Option<String> {
    let name = env::var("FOOTPRINT_TOOLCHAIN").ok();
    name.filter(|name| !name.is_empty())
}

/// Where images are built.
fn images_dir(here: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| here.join("target"), PathBuf::from)
        .join("images")
}

/// Where the script is for the image that is run.
fn script(here: &Path) -> PathBuf {
    images_dir(here).join("replay.script")
}

/// Builds these images and the [`BASELINE`] for a target, with a feature more, and says where they are.
fn build(
    here: &Path,
    toolchain: Option<&str>,
    target: &str,
    names: &[&str],
    feature: &str,
) -> Result<PathBuf, Failure> {
    let dir = images_dir(here);
    let status = tool("cargo", toolchain)
        .args([
            "build",
            "-q",
            "--locked",
            "--release",
            "-p",
            "footprint-images",
            "--features",
            "images,peers",
            "--features",
            feature,
        ])
        .args(names.iter().chain([&BASELINE]).flat_map(|name| ["--bin", name]))
        .args(["--target", target])
        .arg("--target-dir")
        .arg(&dir)
        .env("FOOTPRINT_SCRIPT", script(here))
        .current_dir(here)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!(
            "the images for {target} do not build ({status}); .ci/embedded-setup adds the target"
        )
        .into());
    }
    Ok(dir.join(target).join("release"))
}

fn tool(name: &str, toolchain: Option<&str>) -> Command {
    let mut command = Command::new(name);
    command.args(toolchain);
    command
}

fn first_line(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
