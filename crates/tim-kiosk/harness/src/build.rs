//! Builds what is to be run, and finds QEMU.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::{env, io};

use crate::{APP, Board, KEY, KIOSK, LOBBY};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The program `tim`, built at the first call.
pub fn tim() -> &'static Path {
    static TIM: OnceLock<PathBuf> = OnceLock::new();
    TIM.get_or_init(|| {
        build(
            Command::new("cargo")
                .current_dir(root())
                .args(["build", "-p", "tim-cli"]),
        )
    })
}

/// The firmware for `board`, with a UserSig for the hubs that this harness starts; built at the first call.
pub fn firmware(board: Board) -> PathBuf {
    static BUILT: Mutex<[Option<PathBuf>; 2]> = Mutex::new([None, None]);
    let mut built = BUILT.lock().expect("no build panics twice");
    built[board as usize]
        .get_or_insert_with(|| {
            let mut cargo = Command::new("cargo");
            cargo
                .current_dir(root().join("crates/tim-kiosk"))
                .args([
                    "build",
                    "--release",
                    "--features",
                    "semihosting",
                    "--target",
                    board.target(),
                ])
                .env("TIM_KIOSK_USER", KIOSK)
                .env("TIM_KIOSK_GROUP", LOBBY)
                .env("TIM_KIOSK_APP", APP.to_string())
                .env("TIM_KIOSK_SIG", user_sig(KIOSK));
            build(&mut cargo)
        })
        .clone()
}

/// A UserSig, made once for each user so that the firmware is the same for every scenario.
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
        KIOSKS.get_or_init(make).clone()
    } else {
        make()
    }
}

/// Runs a `cargo build` and returns the one program that it made.
fn build(cargo: &mut Command) -> PathBuf {
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
    made.lines()
        .filter_map(executable)
        .last()
        .expect("a program was built")
}

/// The emulator: `qemu-system-arm` where `.ci/embedded-setup` unpacks it, or on the path.
///
/// # Errors
/// If there is none; the text says what to do.
pub fn qemu() -> io::Result<PathBuf> {
    let var = |name| env::var_os(name).map(PathBuf::from);
    let prefix = var("EMBEDDED_PREFIX")
        .or_else(|| Some(var("XDG_DATA_HOME")?.join("rust-embedded")))
        .or_else(|| Some(var("HOME")?.join(".local/share/rust-embedded")));
    let unpacked = prefix.map(|prefix| prefix.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = unpacked
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|dir| dir.join("qemu-system-arm"))
        .find(|program| program.exists());
    found.ok_or_else(|| io::Error::other("no qemu-system-arm here: .ci/embedded-setup unpacks one"))
}
