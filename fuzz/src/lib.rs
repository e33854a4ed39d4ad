//! What is fuzzed: for each target a function from bytes to nothing that panics where an invariant does not hold.
//!
//! `cargo +nightly fuzz run TARGET` searches for such bytes; `cargo test` runs the same functions over the seeds in
//! `corpus/` and over pseudo-random bytes; a target's own program, built without `cargo fuzz`, runs it over the files
//! named as its arguments, which replays a finding on any toolchain.

mod addresses;
mod client;
mod compact;
mod cursors;
mod hostile;
mod hub;
mod json;
mod language;
mod lives;
mod log_blocks;
mod packing;
mod rest_answers;
#[cfg(feature = "hub")]
mod rest_calls;
mod script;
mod store_log;
mod vendor_json;
mod websocket;
mod wire;

pub use addresses::addresses;
pub use client::client_session;
pub use compact::compact;
pub use cursors::cursors;
pub use hostile::{payloads, usersig};
pub use hub::hub_session;
pub use json::{captures, json};
pub use language::{emoji_tables, ids, notices, text};
pub use lives::device_lives;
pub use log_blocks::log_blocks;
pub use rest_answers::rest_answers;
#[cfg(feature = "hub")]
pub use rest_calls::rest_calls;
pub use store_log::store_log;
pub use vendor_json::vendor_json;
pub use websocket::websocket;
pub use wire::{frames, messages, serial};

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("ids", ids),
    ("text", text),
    ("notices", notices),
    ("frames", frames),
    ("messages", messages),
    ("serial", serial),
    ("client_session", client_session),
    ("hub_session", hub_session),
    ("compact", compact),
    ("device_lives", device_lives),
    ("emoji_tables", emoji_tables),
    ("payloads", payloads),
    ("usersig", usersig),
    ("json", json),
    ("captures", captures),
    ("store_log", store_log),
    ("log_blocks", log_blocks),
    ("cursors", cursors),
    ("addresses", addresses),
    ("websocket", websocket),
    ("vendor_json", vendor_json),
    ("rest_answers", rest_answers),
    #[cfg(feature = "hub")]
    ("rest_calls", rest_calls),
];

/// The program of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args().skip(1) {
                $crate::$name(&std::fs::read(&file).expect(&file));
                println!("{file}: all holds");
            }
        }
    };
}
