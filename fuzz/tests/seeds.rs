//! The targets over the seeds in `corpus/`, over what failed once (`regressions/`), and over pseudo-random bytes that are the
//! same in every run. `FUZZ_TARGET=name` runs one target only, `FUZZ_INPUTS=n` so many
//! pseudo-random inputs.
//!
//! An input that fails or does not end is kept in `regressions/`, where the next run finds it: commit it with the mending.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tim_fuzz::Target;

/// How many pseudo-random inputs there are, unless `FUZZ_INPUTS` says otherwise.
const RANDOM_INPUTS: u64 = 4000;

/// Far longer than any input takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn targets() -> Vec<&'static Target> {
    let wanted = std::env::var("FUZZ_TARGET").ok();
    let targets = tim_fuzz::TARGETS.iter();
    targets
        .filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name))
        .collect()
}

fn home(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

/// Runs a target over inputs with their names; ends the process if one of them does not end.
fn run((name, target): &'static Target, inputs: impl Iterator<Item = (String, Vec<u8>)> + Send + 'static) {
    let (tell, told) = channel();
    let running = std::thread::spawn(move || {
        for (input, bytes) in inputs {
            let _ = tell.send((input.clone(), bytes.clone()));
            if catch_unwind(|| target(&bytes)).is_err() {
                let kept = keep(name, &bytes);
                panic!("{name} fails with {input}, kept as {}", kept.display());
            }
        }
    });
    let mut last = (String::new(), Vec::new());
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(input) => last = input,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let kept = keep(name, &last.1);
                eprintln!("{name} does not end with {}, kept as {}", last.0, kept.display());
                std::process::exit(101);
            }
        }
    }
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Keeps an input that failed, named by what is in it.
fn keep(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = home("regressions", name);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let path = folder.join(format!("{hash:016x}"));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
    if let Err(error) = kept {
        eprintln!("not kept, {error}: {bytes:02x?}");
    }
    path
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn seeds() {
    for target in targets() {
        let folder = home("corpus", target.0);
        let seeds = files(&folder);
        let count = seeds.len();
        assert!(count >= 3, "{} has {count} seeds", folder.display());
        run(target, seeds.into_iter());
        println!("{}: {count} seeds", target.0);
    }
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for target in targets() {
        let inputs = files(&home("regressions", target.0));
        let count = inputs.len();
        run(target, inputs.into_iter());
        println!("{}: {count} regressions", target.0);
    }
    let names: Vec<&str> = tim_fuzz::TARGETS.iter().map(|target| target.0).collect();
    for entry in std::fs::read_dir(home("regressions", "")).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_target = names.contains(&&*name);
        assert!(is_target || !entry.path().is_dir(), "no target is called {name}");
    }
}

#[test]
fn pseudo_random_bytes() {
    let count = std::env::var("FUZZ_INPUTS").map_or(RANDOM_INPUTS, |count| count.parse().expect("a number"));
    for target in targets() {
        let inputs = (1..=count).map(|seed| (format!("seed {seed}"), random_bytes(seed)));
        run(target, inputs);
        println!("{}: {count} inputs", target.0);
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
