//! Builds what is to be run, and finds QEMU.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::{APP, Board, KEY, KIOSK, LOBBY};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The program `tim`, built at the first call.
pub fn tim() -> &'static Path {
    static TIM: OnceLock<PathBuf> = OnceLock::new();
    TIM.get_or_init(|| build(cargo().current_dir(root()).args(["build", "-p", "tim-im"])))
}

/// The firmware for `board`, with a UserSig for the hubs that this harness starts. At the first call it is built for all boards, by one
/// cargo, which shares what it can and links at the same time.
pub fn firmware(board: Board) -> PathBuf {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let mut cargo = cargo_for(&Board::ALL);
        cargo.args(["--bin", "tim-kiosk", "--features", "semihosting"]);
        let built = build_all(&mut cargo);
        Board::ALL.map(|board| {
            let is_its = |program: &&PathBuf| program.iter().any(|part| part == board.target());
            let program = built.iter().find(is_its);
            program.expect("a program for each board was built").clone()
        })
    });
    built[board as usize].clone()
}

/// The program that measures the stack, with TLS if there is a pin.
pub(crate) fn stack(pin: Option<&str>) -> PathBuf {
    let mut cargo = cargo_for(&[Board::Mps2]);
    cargo.args(["--bin", "stack", "--features"]);
    match pin {
        None => cargo.arg("stack"),
        Some(pin) => cargo.arg("stack,tls").env("TIM_KIOSK_PIN", pin),
    };
    build(&mut cargo)
}

/// A build of firmware.
fn cargo_for(boards: &[Board]) -> Command {
    let tools = tools().expect("what it takes to build firmware");
    let mut cargo = cargo();
    cargo
        .args(&tools.toolchain)
        .current_dir(root().join("crates/tim-kiosk"))
        .args(["build", "--release"])
        .args(boards.iter().flat_map(|board| ["--target", board.target()]))
        .env("TIM_KIOSK_USER", KIOSK)
        .env("TIM_KIOSK_GROUP", LOBBY)
        .env("TIM_KIOSK_APP", APP.to_string())
        .env("TIM_KIOSK_SIG", user_sig(KIOSK));
    cargo
}

/// Has the kiosk's UserSig for a program that a test starts, which then has the same firmware.
pub const SIG_VARIABLE: &str = "TIM_KIOSK_HARNESS_SIG";

/// A UserSig, made once for the kiosk's user so that the firmware is the same for every scenario.
pub fn user_sig(user: &str) -> String {
    static KIOSKS: OnceLock<String> = OnceLock::new();
    let make = || {
        let made = Command::new(tim())
            .args([
                "sig",
                "make",
                "--expire",
                "2d",
                "--user",
                user,
                "--key",
                KEY,
                "--app",
                &APP.to_string(),
            ])
            .output()
            .expect("`tim sig` starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8_lossy(&made.stdout).trim().to_owned()
    };
    if user == KIOSK {
        KIOSKS
            .get_or_init(|| env::var(SIG_VARIABLE).unwrap_or_else(|_| make()))
            .clone()
    } else {
        make()
    }
}

/// Cargo, without what the cargo that runs this program says of its package: build scripts look at it, and `ring`, with all that depends on
/// it, would be compiled anew here and again by the next one who calls cargo.
fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in env::vars_os() {
        let is_of_package = |name: &str| {
            let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
            name == "CARGO" || prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        if name.to_str().is_some_and(is_of_package) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a `cargo build` and returns the one program that it made.
fn build(cargo: &mut Command) -> PathBuf {
    build_all(cargo).pop().expect("a program was built")
}

/// Runs a `cargo build` and returns the programs that it made.
fn build_all(cargo: &mut Command) -> Vec<PathBuf> {
    let out = cargo
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(out.status.success(), "{cargo:?} failed");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    };
    let made = String::from_utf8_lossy(&out.stdout);
    made.lines().filter_map(executable).collect()
}

/// What building for bare metal and running it needs here.
pub struct Tools {
    /// Cargo's argument that names the toolchain, if it takes one.
    toolchain: Option<String>,
    /// The emulator.
    pub(crate) qemu: PathBuf,
}

/// Makes the tools ready at the first call, with `.ci/embedded-setup`, which downloads what is missing.
///
/// # Errors
/// Why there are none here.
pub fn tools() -> Result<&'static Tools, String> {
    static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();
    let set_up = || {
        let mut setup = Command::new(root().join(".ci/embedded-setup"));
        let out = setup
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&out.stdout);
        let setting = |name| {
            said.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim_matches('\''))
        };
        match (out.status.success(), setting("TOOLCHAIN="), setting("QEMU=")) {
            (true, Some(toolchain), Some(qemu)) => Ok(Tools {
                toolchain: Some(toolchain.to_owned()).filter(|toolchain| !toolchain.is_empty()),
                qemu: qemu.into(),
            }),
            _ => {
                Err(".ci/embedded-setup can make neither targets nor QEMU ready here; it says why".to_owned())
            }
        }
    };
    TOOLS.get_or_init(set_up).as_ref().map_err(Clone::clone)
}
