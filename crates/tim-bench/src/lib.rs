//! The instruments of `tim-bench`: latencies, what a server costs its machine, and what the disk can do at best.
//!
//! They know no hub. `benches/peers` measures other servers with them, so that all figures mean the same.

mod ceiling;
mod latency;
mod machine;
mod meter;
mod threads;

pub use ceiling::{Ceiling, SINGLE_BLOCK, group_block, message_block, sync_appends};
pub use latency::Latency;
pub use machine::{FileSystem, Machine, load};
pub use meter::{Counters, Meter, Usage, allocated, memory_of, own_cpu, thread_cpu};
pub use threads::Threads;

/// A text of exactly this many bytes, as people write it: 157 bytes are 57 characters.
#[must_use]
pub fn text_of(bytes: usize) -> String {
    const TEXT: &str = "今天下午三点在老地方见面吧,记得带上昨天说的那本书,还有上次借的雨伞[微笑],天气预报说傍晚可能会下大雨[下雨]。";
    let mut text = TEXT.repeat(bytes / TEXT.len());
    let rest = TEXT.floor_char_boundary(bytes - text.len());
    text.push_str(&TEXT[..rest]);
    text.extend(std::iter::repeat_n('.', bytes - text.len()));
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_has_the_length_that_was_asked_for() {
        for bytes in [1, 2, 3, 156, 157, 158, 314, 5_000, 12_000] {
            assert_eq!(super::text_of(bytes).len(), bytes);
        }
        assert_eq!(super::text_of(157).chars().count(), 57);
    }
}
