//! Builds the images for three targets and says how much flash and RAM each takes.
//!
//! `footprint` prints the table; `--check` compares it with the one that is kept and fails where a figure has grown by more
//! than 5 % or is missing; `--update` keeps the new one.

mod image;
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

const USAGE: &str =
    "footprint [--check | --update]; the environment's FOOTPRINT_TOOLCHAIN (say +embedded) goes to cargo";

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
        "--update" => {
            let table = measure(here)?;
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
    let toolchain = env::var("FOOTPRINT_TOOLCHAIN")
        .ok()
        .filter(|name| !name.is_empty());
    let mut table = Table {
        compiler: first_line(tool("rustc", toolchain.as_deref()).arg("-V"))?,
        date: first_line(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
        figures: Vec::new(),
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

/// Builds these images and the [`BASELINE`] for a target, with a feature more, and says where they are.
fn build(
    here: &Path,
    toolchain: Option<&str>,
    target: &str,
    names: &[&str],
    feature: &str,
) -> Result<PathBuf, Failure> {
    let dir = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| here.join("target"), PathBuf::from)
        .join("images");
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
