//! What the linker of an image is told, as `README.md` of `tim-transport-embedded` recommends it for a device.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo:rustc-link-arg-bins=--icf=all"); // functions with the same code become one
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/replay.x");
        println!("cargo:rerun-if-changed={script}");
        println!("cargo:rustc-link-arg-bin=replay=-T{script}");
    }
}
