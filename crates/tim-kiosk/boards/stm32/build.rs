//! Links with cortex-m-rt's layout; embassy-stm32 knows the chip's memory.
fn main() {
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
