//! The log in front of the database, and the records in it.

use tim_store_sqlite::fuzzing::{length_in_front, look_at_blocks, rewrite_records};

use crate::script::Script;

/// Any file is read without a panic, and so are any records; those that are read are written the same way.
pub fn log_blocks(data: &[u8]) {
    let mut script = Script(data);
    let salt = script.byte() as u64;
    let generation = script.byte() as u64;
    let rest = script.0;
    let (blocks, whole) = look_at_blocks(rest, salt, generation);
    assert!(whole <= blocks && blocks <= rest.len().div_ceil(512));
    // A log that was cut has no more blocks than before.
    let (fewer, _) = look_at_blocks(rest.get(..rest.len() / 2).unwrap_or_default(), salt, generation);
    assert!(fewer <= blocks || blocks == 0);
    // A front says what a log can be, whatever is in it.
    if let Some(len) = length_in_front(rest, salt) {
        assert!((4_096..=4 << 20).contains(&len) && len % 4_096 == 0, "{len}");
    }
    if let Some(written) = rewrite_records(rest) {
        assert_eq!(rewrite_records(&written), Some(written));
    }
}
