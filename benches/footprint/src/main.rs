//! Builds the images for three targets and says how much flash and RAM each takes.
//!
//! `footprint` prints the table; `--check` compares it with the one that is kept and fails where a figure has grown by more
//! than 5 % or is missing; `--update` keeps the new one.

mod image;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use table::{Figures, Table};

type Failure = Box<dyn std::error::Error>;

/// What an image that does nothing takes: subtracted from all others.
const BASELINE: &str = "empty";
/// The images, in the table's order, with what the table calls them.
const IMAGES: [(&str, &str); 11] = [
    ("codec", "codec"),
    ("parsers", "parsers"),
    ("codec-parsers", "codec, parsers"),
    ("session", "codec, parsers, session"),
    ("client", "client: codec, parsers, session, transport"),
    ("client-polled", "client, polled, serial line"),
    ("client-polled-stream", "client, polled, stream"),
    ("client-all", "client, all calls"),
    ("client-files", "client, all calls, files"),
    ("minimq", "minimq 0.13"),
    ("rust-mqtt", "rust-mqtt 0.6"),
];
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
    for target in TARGETS {
        let images = build(here, toolchain.as_deref(), target)?;
        let measure = |name: &str| {
            image::measure(&images.join(name)).map_err(|fault| format!("{name} for {target}: {fault}"))
        };
        let baseline = measure(BASELINE)?;
        for (image, title) in IMAGES {
            let size = measure(image)?;
            table.figures.push(Figures {
                image: title.to_owned(),
                target: target.to_owned(),
                flash: size.flash.saturating_sub(baseline.flash),
                ram: size.ram.saturating_sub(baseline.ram),
            });
        }
    }
    Ok(table)
}

/// Builds all images for a target, and says where they are.
fn build(here: &Path, toolchain: Option<&str>, target: &str) -> Result<PathBuf, Failure> {
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
            "--bins",
            "--features",
            "images,peers",
        ])
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
