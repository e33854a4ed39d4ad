//! Links with esp-hal's layout of the chip's memory.
fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
}
