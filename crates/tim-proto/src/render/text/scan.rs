//! Byte search. 32-bit targets, mostly devices, use a plain loop because code size matters more than speed there.

/// Whether to process a word at a time.
pub(super) const BY_WORDS: bool = cfg!(target_pointer_width = "64");
const WORD: usize = 8;
/// The number of words searched inline. Brackets are usually close together, and a call of `memchr` costs more than
/// the inline search.
const NEAR: usize = 3;

/// The position of the first `byte` in `haystack`. Optimized for a byte that is either the first one or far away.
#[inline]
pub(super) fn find_far(byte: u8, haystack: &[u8]) -> Option<usize> {
    if !BY_WORDS {
        find(byte, haystack)
    } else if haystack.first() == Some(&byte) {
        Some(0)
    } else {
        memchr::memchr(byte, haystack)
    }
}

/// The position of the first `byte` in `haystack`.
#[inline(never)]
fn find(byte: u8, haystack: &[u8]) -> Option<usize> {
    haystack.iter().position(|&other| other == byte)
}

/// The position of the first `byte` in `haystack`. Optimized for a byte that is near.
#[inline]
pub(super) fn find_near(byte: u8, haystack: &[u8]) -> Option<usize> {
    if !BY_WORDS {
        return find(byte, haystack);
    }
    let mut rest = haystack;
    let mut at = 0;
    for _ in 0..NEAR {
        let Some((word, behind)) = rest.split_first_chunk() else {
            break;
        };
        let hits = equal_bytes(u64::from_le_bytes(*word), byte);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        rest = behind;
        at += WORD;
    }
    Some(at + find_in_rest(byte, rest)?)
}

/// A separate function, so that the loop in the callers stays small.
#[inline(never)]
fn find_in_rest(byte: u8, rest: &[u8]) -> Option<usize> {
    if rest.len() < WORD {
        rest.iter().position(|&other| other == byte)
    } else {
        memchr::memchr(byte, rest)
    }
}

/// Sets the high bit of the lowest byte of `word` that equals `byte`. Higher bits of the result are unspecified.
#[inline]
const fn equal_bytes(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let zero_where_equal = word ^ (ONES * byte as u64);
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::{find_far, find_near};

    #[test]
    fn finds_the_first_at_every_distance() {
        for len in 0..80 {
            for at in 0..len {
                // The bytes around the match differ from it by one, and the byte occurs again after it.
                let mut haystack = [b'Z'; 80];
                haystack[at] = b'[';
                haystack[at + 1..].fill(b'\\');
                haystack[79] = b'[';
                for find in [find_far, find_near] {
                    assert_eq!(find(b'[', &haystack[..len]), Some(at));
                    assert_eq!(find(b'[', &haystack[..at]), None);
                }
            }
        }
    }
}
