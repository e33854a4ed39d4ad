//! The targets over the seeds in `corpus/`, and over pseudo-random bytes that are the same in every run.

use std::panic::catch_unwind;

const RANDOM_INPUTS: u64 = 4000;

#[test]
fn seeds() {
    for (name, target) in tim_fuzz::TARGETS {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect(&folder) {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert!(catch_unwind(|| target(&bytes)).is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count >= 3, "{folder} has {count} seeds");
        println!("{name}: {count} seeds");
    }
}

#[test]
fn pseudo_random_bytes() {
    for (name, target) in tim_fuzz::TARGETS {
        for seed in 1..=RANDOM_INPUTS {
            let bytes = random_bytes(seed);
            assert!(
                catch_unwind(|| target(&bytes)).is_ok(),
                "{name} with seed {seed}: {bytes:02x?}"
            );
        }
        println!("{name}: {RANDOM_INPUTS} inputs");
    }
}

/// Up to 600 bytes. Every other input is of small numbers only, which are more often meaningful.
fn random_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let len = draw() % 600;
    let small = seed % 2 == 0;
    (0..len)
        .map(|_| {
            if small {
                (draw() >> 32) as u8 % 24
            } else {
                (draw() >> 32) as u8
            }
        })
        .collect()
}
