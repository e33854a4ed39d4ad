//! The look at SQLite's write-ahead log before the store is opened.

use tim_store_sqlite::fuzzing::{InLog, look_at_log};

use crate::script::Script;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 512;
const FRAME: usize = FRAME_HEADER + PAGE;

/// Damage that matters is noticed, and what a power cut leaves is not taken for damage. The log and its index are made by the input, or
/// are the input.
pub fn store_log(data: &[u8]) {
    let mut script = Script(data);
    if script.byte() & 1 == 0 {
        let index_len = script.word();
        let index = script.bytes(index_len);
        given(script.0, index);
    } else {
        made(&mut script);
    }
}

/// Files of any content.
fn given(log: &[u8], index: &[u8]) {
    let alone = look_at_log(log, &[]);
    assert_ne!(alone, InLog::Empty, "without an index nobody knows of more");
    let both = look_at_log(log, index);
    // An index adds knowledge of what is missing, and takes none away.
    assert!(both == alone || matches!(both, InLog::Empty | InLog::Damaged));
    assert!(both != InLog::Empty || log.len() <= HEADER);
    if alone == InLog::Whole {
        is_cut_anywhere(log, &[]);
    }
}

/// A log of some transactions, and the index that a process which was killed leaves.
fn made(script: &mut Script<'_>) {
    let is_big = script.byte() & 1 == 1;
    let salts: [u8; 8] = std::array::from_fn(|at| script.byte() ^ at as u8);
    let lens: Vec<usize> = (0..1 + script.below(5)).map(|_| 1 + script.below(4)).collect();
    let frames: usize = lens.iter().sum();
    let log = Writer::new(is_big, salts).write(&lens, script);
    let index = index(frames as u32, 0, salts);
    assert_eq!(look_at_log(&log, &[]), InLog::Whole);
    assert_eq!(look_at_log(&log, &index), InLog::Whole);
    // An index from before the last commits, of more that is in the database, or of another life of the log, takes nothing away.
    let earlier = script.below(frames) as u32;
    assert_eq!(look_at_log(&log, &self::index(earlier, 0, salts)), InLog::Whole);
    let more = frames as u32 + 1 + script.byte() as u32;
    assert_eq!(look_at_log(&log, &self::index(more, more, salts)), InLog::Whole);
    assert_eq!(
        look_at_log(&log, &self::index(more, 0, salts.map(|byte| !byte))),
        InLog::Whole
    );
    assert_eq!(look_at_log(&log, &self::index(more, 0, salts)), InLog::Damaged);
    is_cut_anywhere(&log, &index);
    is_flipped(script, &log, &index, &lens);
}

/// A prefix of a whole log is what a power cut leaves. If an index knows of more, something is missing.
fn is_cut_anywhere(log: &[u8], index: &[u8]) {
    let frames = log.len().saturating_sub(HEADER) / FRAME;
    let ends = (0..=frames.min(20)).map(|frame| HEADER + frame * FRAME);
    for len in ends.flat_map(|end| [end - 1, end, end + 1, end + FRAME_HEADER]) {
        let Some(cut) = log.get(..len).filter(|_| len < log.len()) else {
            continue;
        };
        let alone = look_at_log(cut, &[]);
        assert!(
            matches!(alone, InLog::Whole | InLog::Unfinished),
            "{len} bytes: {alone:?}"
        );
        if !index.is_empty() {
            let expected = match len > HEADER {
                true => InLog::Damaged,
                false => InLog::Empty,
            };
            assert_eq!(look_at_log(cut, index), expected, "{len} bytes");
        }
    }
}

/// One flipped bit is noticed. Without an index, the last transactions cannot always be told from one that a power cut has torn.
fn is_flipped(script: &mut Script<'_>, log: &[u8], index: &[u8], lens: &[usize]) {
    for _ in 0..8 {
        let at = script.word() % log.len();
        let mut flipped = log.to_vec();
        flipped[at] ^= 1 << script.below(8);
        let found = look_at_log(&flipped, index);
        assert_eq!(found, InLog::Damaged, "byte {at} with an index");
        let alone = look_at_log(&flipped, &[]);
        let Some(in_frames) = at.checked_sub(HEADER) else {
            assert_eq!(alone, InLog::Damaged, "byte {at} of the header");
            continue;
        };
        let (frame, byte) = (in_frames / FRAME, in_frames % FRAME);
        let ends: Vec<usize> = lens
            .iter()
            .scan(0, |end, len| {
                *end += len;
                Some(*end)
            })
            .collect();
        let behind = ends.iter().filter(|end| **end > frame + 1).count();
        let is_commit = ends.contains(&(frame + 1));
        // What tells that a frame ends a transaction, and to which life of the log it belongs.
        let is_unclear = is_commit && (4..16).contains(&byte);
        match behind {
            0 => assert_ne!(alone, InLog::Damaged, "byte {at}, the last commit"),
            1 if is_commit && is_unclear => assert_ne!(alone, InLog::Whole, "byte {at}"),
            // A frame that seems to end a transaction has one behind it.
            1 if !is_commit && !(4..8).contains(&byte) => {
                assert_ne!(alone, InLog::Damaged, "byte {at}, in the last transaction");
            }
            _ => assert_eq!(alone, InLog::Damaged, "byte {at}"),
        }
        let is_of_another_life = (8..16).contains(&byte);
        assert!(alone != InLog::Whole || is_of_another_life, "byte {at}");
    }
}

/// Writes a log as SQLite does.
struct Writer {
    is_big: bool,
    salts: [u8; 8],
    sum: (u32, u32),
    log: Vec<u8>,
}

impl Writer {
    fn new(is_big: bool, salts: [u8; 8]) -> Self {
        let mut header = Vec::new();
        for word in [0x377f_0682 | u32::from(is_big), 3_007_000, PAGE as u32, 0] {
            header.extend(word.to_be_bytes());
        }
        header.extend(salts);
        let sum = add((0, 0), &header, is_big);
        header.extend(sum.0.to_be_bytes());
        header.extend(sum.1.to_be_bytes());
        Self {
            is_big,
            salts,
            sum,
            log: header,
        }
    }

    /// Transactions of so many frames.
    fn write(mut self, lens: &[usize], script: &mut Script<'_>) -> Vec<u8> {
        for len in lens {
            for frame in 1..=*len {
                let pages = if frame == *len {
                    1 + script.byte() as u32
                } else {
                    0
                };
                let fill = script.byte();
                self.frame(pages, &[fill; PAGE]);
            }
        }
        self.log
    }

    fn frame(&mut self, pages: u32, page: &[u8]) {
        let begin = [1_u32.to_be_bytes(), pages.to_be_bytes()].concat();
        self.sum = add(add(self.sum, &begin, self.is_big), page, self.is_big);
        self.log.extend(begin);
        self.log.extend(self.salts);
        self.log.extend(self.sum.0.to_be_bytes());
        self.log.extend(self.sum.1.to_be_bytes());
        self.log.extend(page);
    }
}

/// The checksum of the format, of words of either byte order.
fn add((mut one, mut two): (u32, u32), bytes: &[u8], is_big: bool) -> (u32, u32) {
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|word| {
            let word = [word[0], word[1], word[2], word[3]];
            if is_big {
                u32::from_be_bytes(word)
            } else {
                u32::from_le_bytes(word)
            }
        })
        .collect();
    for pair in words.chunks_exact(2) {
        one = one.wrapping_add(pair[0]).wrapping_add(two);
        two = two.wrapping_add(pair[1]).wrapping_add(one);
    }
    (one, two)
}

/// An index that knows so many committed frames, of which so many are in the database.
fn index(frames: u32, backfilled: u32, salts: [u8; 8]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend([0; 12]);
    header.extend([1, 0, 0, 2]);
    header.extend(frames.to_ne_bytes());
    header.extend([0; 12]);
    header.extend(salts);
    let sum = add((0, 0), &header, cfg!(target_endian = "big"));
    header.extend(sum.0.to_ne_bytes());
    header.extend(sum.1.to_ne_bytes());
    let mut index = header.repeat(2);
    index.extend(backfilled.to_ne_bytes());
    index.resize(136, 0);
    index
}
