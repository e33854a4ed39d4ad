//! Which board the firmware is for follows from the target; so does the map of its memory.

use std::path::PathBuf;
use std::{env, fs, io};

/// Flash and RAM as QEMU's mps2-an386 has them: its code memory at 0, and one of its large RAMs. The last page of the flash is not the
/// firmware's: it has what is written once into each board.
const MPS2: &str = "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 4M - 1K\n \
     RAM : ORIGIN = 0x20000000, LENGTH = 4M }\n_number = 4M - 1K;\n";
/// The lm3s6965evb's.
const LM3S: &str = "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K - 1K\n \
     RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n_number = 256K - 1K;\n";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").map_err(io::Error::other)?;
    let (board, memory) = match target.as_str() {
        "thumbv6m-none-eabi" => ("lm3s", LM3S),
        _ => ("mps2", MPS2),
    };
    println!("cargo:rustc-cfg=board=\"{board}\"");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("memory.x"), memory)?;
    println!("cargo:rustc-link-search={}", out.display());
    for arg in ["-Tlink.x", "--nmagic"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    Ok(())
}
