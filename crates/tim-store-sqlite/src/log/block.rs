//! The blocks of the log: one for each batch, under a checksum, at a sector's start.

use tim_store::Epoch;

/// Blocks begin at a multiple of this, so that a torn write can only hurt what was not acknowledged.
pub(super) const SECTOR: usize = 512;

/// The version of blocks and records.
const MAGIC: u32 = u32::from_le_bytes(*b"tim\x01");
/// The magic, the checksum, and the length of the body.
const FRONT: usize = 12;
/// The front, and eight numbers.
pub(super) const HEADER: usize = FRONT + 8 * 8;

/// What a block says besides its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Header {
    /// The secret number of the store. What users write is in the log, too, and must not be taken for a block.
    pub(in super::super) salt: u64,
    /// The generation.
    pub(in super::super) generation: u64,
    /// The number of the block in the generation, from 0.
    pub(in super::super) index: u64,
    /// The time of the batch.
    pub(in super::super) now_ms: u64,
    /// The newest change before the batch.
    pub(in super::super) before: u64,
    /// The newest change after it.
    pub(in super::super) after: u64,
    /// The newest epoch after it; an id of 0 if there is none.
    pub(in super::super) epoch: Epoch,
}

/// A block to be written.
pub(super) struct Block<'a> {
    pub(super) header: &'a Header,
    pub(super) body: &'a [u8],
}

/// The length of a block with such a body.
pub(super) const fn padded(body: usize) -> usize {
    (HEADER + body).next_multiple_of(SECTOR)
}

impl Block<'_> {
    /// Writes the block to the start of zeros.
    pub(super) fn encode(&self, target: &mut [u8]) {
        let Header {
            salt,
            generation,
            index,
            now_ms,
            before,
            after,
            epoch,
        } = *self.header;
        let mut head = [0; HEADER];
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        put(&mut head, 0, &MAGIC.to_le_bytes());
        put(&mut head, 8, &length.to_le_bytes());
        let numbers = [
            salt,
            generation,
            index,
            now_ms,
            before,
            after,
            epoch.id,
            epoch.first,
        ];
        for (at, number) in numbers.into_iter().enumerate() {
            put(&mut head, FRONT + 8 * at, &number.to_le_bytes());
        }
        let sum = checksum(&head, self.body);
        put(&mut head, 4, &sum.to_le_bytes());
        put(target, 0, &head);
        put(target, HEADER, self.body);
    }
}

fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(target) = target.get_mut(at..at + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}

/// Of everything behind the checksum.
fn checksum(head: &[u8; HEADER], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head.get(8..).unwrap_or_default());
    sum.update(body);
    sum.finalize()
}

/// What a log has of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Found {
    /// The blocks of the generation, in order.
    Blocks(Vec<(Header, Vec<u8>)>),
    /// A block is damaged, although later ones follow it.
    Hole {
        /// The number of the damaged block.
        index: u64,
    },
    /// There is no log, or it is empty.
    Nothing,
    /// There are blocks, but the [front](super::front) is damaged.
    NoFront,
    /// The log of another store.
    Foreign,
    /// The log was truncated.
    Short {
        /// It had at least this length.
        len: u64,
    },
    /// The log is of a later generation: the database is older than it.
    Newer {
        /// That generation.
        generation: u64,
    },
}

/// Reads the blocks of a generation. What follows the last intact one is a torn write that nobody was told of, or older.
pub(in super::super) fn scan(bytes: &[u8], salt: u64, generation: u64) -> Found {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some((header, body)) = decode(bytes.get(at..).unwrap_or_default(), salt)
        && header.generation == generation
        && header.index == blocks.len() as u64
    {
        at += padded(body.len());
        blocks.push((header, body.to_vec()));
    }
    let index = blocks.len() as u64;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match decode(rest, salt) {
            Some((header, _)) if header.generation > generation => {
                return Found::Newer {
                    generation: header.generation,
                };
            }
            Some((header, _)) if header.generation == generation => return Found::Hole { index },
            _ => at += SECTOR,
        }
    }
    Found::Blocks(blocks)
}

/// The block at the start of these bytes.
fn decode(bytes: &[u8], salt: u64) -> Option<(Header, &[u8])> {
    let head: &[u8; HEADER] = bytes.first_chunk()?;
    let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let number = |at: usize| {
        let at = FRONT + 8 * at;
        head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
    };
    if word(0)? != MAGIC {
        return None;
    }
    let length = usize::try_from(word(8)?).ok()?;
    let body = bytes.get(HEADER..HEADER.checked_add(length)?)?;
    let header = Header {
        salt: number(0)?,
        generation: number(1)?,
        index: number(2)?,
        now_ms: number(3)?,
        before: number(4)?,
        after: number(5)?,
        epoch: Epoch {
            id: number(6)?,
            first: number(7)?,
        },
    };
    (header.salt == salt && word(4)? == checksum(head, body)).then_some((header, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn header(generation: u64, index: u64) -> Header {
        Header {
            salt: SALT,
            generation,
            index,
            now_ms: 1_705_307_415_000,
            before: index,
            after: index + 1,
            epoch: Epoch { id: 7, first: 0 },
        }
    }

    /// A log with blocks of these generations, numbers and lengths.
    fn log(blocks: &[(u64, u64, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (generation, index, len) in blocks {
            let from = bytes.len();
            let body = vec![u8::try_from(*index).unwrap(); *len];
            bytes.resize(from + padded(*len), 0);
            let block = Block {
                header: &header(*generation, *index),
                body: &body,
            };
            block.encode(&mut bytes[from..]);
        }
        bytes
    }

    fn indices(found: &Found) -> Vec<u64> {
        match found {
            Found::Blocks(blocks) => blocks.iter().map(|(header, _)| header.index).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn blocks_of_a_generation_are_read_and_older_ones_are_void() {
        assert_eq!(indices(&scan(&[], SALT, 5)), []);
        assert_eq!(indices(&scan(&[0; 4096], SALT, 5)), []);
        let mixed = log(&[(5, 0, 3), (5, 1, 1000), (4, 2, 5), (4, 3, 5)]);
        let found = scan(&mixed, SALT, 5);
        assert_eq!(indices(&found), [0, 1]);
        let Found::Blocks(blocks) = found else {
            unreachable!()
        };
        assert_eq!(blocks[1], (header(5, 1), vec![1; 1000]));
        assert_eq!(indices(&scan(&mixed, SALT, 6)), [], "everything is committed");
    }

    #[test]
    fn a_torn_last_block_is_left_out_whatever_is_left_of_it() {
        let whole = log(&[(5, 0, 3), (5, 1, 1000)]);
        for cut in 512..whole.len() {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            let read = indices(&scan(&torn, SALT, 5)).len();
            // The padding may be lost.
            assert_eq!(read, if cut < 512 + HEADER + 1000 { 1 } else { 2 }, "{cut}");
            assert_eq!(indices(&scan(&whole[..cut], SALT, 5)).len(), read, "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_in_front_of_other_blocks_is_a_hole_and_behind_the_last_one_nothing() {
        let whole = log(&[(5, 0, 3), (5, 1, 1000), (5, 2, 3)]);
        for byte in (512..512 + HEADER + 1000).step_by(7) {
            let mut damaged = whole.clone();
            damaged[byte] ^= 4;
            assert_eq!(scan(&damaged, SALT, 5), Found::Hole { index: 1 }, "{byte}");
        }
        let missing = log(&[(5, 0, 3), (5, 2, 3)]);
        assert_eq!(scan(&missing, SALT, 5), Found::Hole { index: 1 });
        let first = log(&[(5, 1, 3)]);
        assert_eq!(scan(&first, SALT, 5), Found::Hole { index: 0 });
    }

    #[test]
    fn what_a_user_wrote_is_no_block() {
        let forged = scan(&log(&[(9, 0, 3)]), SALT + 1, 5);
        assert_eq!(forged, Found::Blocks(Vec::new()));
    }

    #[test]
    fn a_log_of_a_later_generation_says_so() {
        assert_eq!(scan(&log(&[(9, 0, 3)]), SALT, 5), Found::Newer { generation: 9 });
        assert_eq!(
            scan(&log(&[(5, 0, 3), (9, 0, 3)]), SALT, 5),
            Found::Newer { generation: 9 }
        );
    }
}
