//! Emoji tables: caller-provided entries with an index that is computed in `const`.

use core::fmt;

use super::scan::BY_WORDS;

/// The default number of slots of an [`EmojiTable`]: enough to index 384 entries, at two bytes per slot.
pub const DEFAULT_SLOTS: usize = 512;

/// Maps the bracketed keys of emojis to image files.
///
/// The table borrows the entries, in any order, and contains a hash index over them. It needs no heap and can be a
/// `static`. The index takes `SLOTS` × 2 bytes and holds `SLOTS` × 3/4 entries. Further entries are found by a linear
/// search for each candidate. Use the default ([`EmojiTable::new`]) for up to 384 entries. For more entries, choose
/// about twice their number; on a device with little memory, choose fewer slots ([`EmojiTable::with_slots`]).
///
/// Keys are compared byte by byte, so case, spaces and full-width brackets are significant. If a key occurs twice,
/// the last entry applies. Entries with an empty value are ignored. A key that is not of the form `[...]` without a
/// further `]` never matches, because a candidate ends at the first `]`; such entries are harmless.
///
/// ```
/// use tim_proto::render::text::EmojiTable;
///
/// static MINE: EmojiTable<'static> = EmojiTable::new(&[("[cat]", "cat.png"), ("[dog]", "dog.png")]);
/// assert_eq!(MINE.file("[dog]"), Some("dog.png"));
/// assert_eq!(MINE.file("[Dog]"), None);
///
/// // 16 slots (32 bytes) suffice for a dozen entries.
/// static SMALL: EmojiTable<'static, 16> = EmojiTable::with_slots(&[("[cat]", "cat.png")]);
/// assert_eq!(SMALL.file("[cat]"), Some("cat.png"));
/// ```
#[derive(Debug, Clone)]
pub struct EmojiTable<'a, const SLOTS: usize = DEFAULT_SLOTS>(Lookup<'a, [u16; SLOTS]>);

/// The contents of a table. `Lookup<[u16]>` does not have the index size in its type.
#[derive(Clone)]
pub(super) struct Lookup<'a, Slots: ?Sized> {
    entries: &'a [(&'a str, &'a str)],
    /// The length of the longest key that can match; 0 if none can.
    longest: usize,
    /// Bit n is set if a key is n bytes long. The highest bit covers that length and all greater ones.
    lengths: usize,
    /// The number of entries, from the first on, that the index covers.
    indexed: usize,
    /// The position of an entry plus one; 0 means free. Collisions use the next free slot.
    slots: Slots,
}

impl<'a> EmojiTable<'a> {
    /// Creates a table of `entries`, pairs of key and file name, in any order.
    #[must_use]
    pub const fn new(entries: &'a [(&'a str, &'a str)]) -> Self {
        Self::with_slots(entries)
    }
}

impl<'a, const SLOTS: usize> EmojiTable<'a, SLOTS> {
    /// Like [`EmojiTable::new`], with an index of a custom size. Any size works, including 0.
    #[must_use]
    pub const fn with_slots(entries: &'a [(&'a str, &'a str)]) -> Self {
        let mut table = Lookup {
            entries,
            longest: 0,
            lengths: 0,
            indexed: 0,
            slots: [0; SLOTS],
        };
        // A quarter of the slots stays free, because a search ends at a free slot.
        let mut room = SLOTS / 4 * 3;
        let mut at = 0;
        while at < entries.len() {
            let key = entries[at].0.as_bytes();
            if can_match(key) {
                if key.len() > table.longest {
                    table.longest = key.len();
                }
                table.lengths |= length_bit(key.len());
            }
            if table.indexed == at && room > 0 && at < u16::MAX as usize {
                if can_match(key) {
                    table.slots[free_or_same(&table.slots, entries, key)] = at as u16 + 1;
                    room -= 1;
                }
                table.indexed = at + 1;
            }
            at += 1;
        }
        Self(table)
    }

    /// The image file of `key`, which includes the brackets; `None` if the table does not contain it.
    #[must_use]
    pub fn file(&self, key: &str) -> Option<&'a str> {
        if !can_match(key.as_bytes()) {
            return None;
        }
        self.lookup().file(key.as_bytes())
    }

    /// The entries that the caller provided.
    #[must_use]
    pub const fn entries(&self) -> &'a [(&'a str, &'a str)] {
        self.0.entries
    }

    #[inline]
    pub(super) const fn lookup(&self) -> &Lookup<'a, [u16]> {
        &self.0
    }
}

impl<Slots: ?Sized> fmt::Debug for Lookup<'_, Slots> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries).finish()
    }
}

impl<'a> Lookup<'a, [u16]> {
    #[inline]
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// The file of a key that starts with `[` and ends at the first `]`.
    #[inline]
    pub(super) fn file(&self, key: &[u8]) -> Option<&'a str> {
        if self.lengths & length_bit(key.len()) == 0 {
            return None;
        }
        let entry = if self.indexed == self.entries.len() {
            self.in_index(key)
        } else {
            self.anywhere(key)
        };
        entry.map(|entry| entry.1).filter(|file| !file.is_empty())
    }

    /// Looks up a key in a table with more entries than its index covers. If a key occurs twice, the later entry
    /// applies, so the entries outside the index are searched first.
    #[cold]
    fn anywhere(&self, key: &[u8]) -> Option<&'a (&'a str, &'a str)> {
        let behind = self.entries.get(self.indexed..)?;
        behind
            .iter()
            .rev()
            .find(|entry| same(entry.0.as_bytes(), key))
            .or_else(|| self.in_index(key))
    }

    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn in_index(&self, key: &[u8]) -> Option<&'a (&'a str, &'a str)> {
        let mut slot = home_slot(key, self.slots.len());
        loop {
            let position = usize::from(*self.slots.get(slot)?).checked_sub(1)?;
            let entry = self.entries.get(position)?;
            if same(entry.0.as_bytes(), key) {
                return Some(entry);
            }
            slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
        }
    }
}

/// Whether a candidate, which extends from `[` to the next `]`, can ever equal this key.
const fn can_match(key: &[u8]) -> bool {
    if key.len() < 2 || key[0] != b'[' {
        return false;
    }
    let mut at = 1;
    while at < key.len() {
        if key[at] == b']' {
            return at == key.len() - 1;
        }
        at += 1;
    }
    false
}

const fn length_bit(len: usize) -> usize {
    const HIGHEST: usize = usize::BITS as usize - 1;
    1 << if len < HIGHEST { len } else { HIGHEST }
}

/// The slot that already holds `key`, or the free slot in which to store it. The caller keeps at least one slot free.
const fn free_or_same(slots: &[u16], entries: &[(&str, &str)], key: &[u8]) -> usize {
    let mut slot = home_slot(key, slots.len());
    while slots[slot] != 0 && !same(entries[slots[slot] as usize - 1].0.as_bytes(), key) {
        slot = if slot + 1 == slots.len() { 0 } else { slot + 1 };
    }
    slot
}

/// Compares `left` and `right`; faster than a call for keys of typical length.
#[inline]
const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (mut left, mut right) = (left, right);
    while BY_WORDS
        && let (Some((l, more_left)), Some((r, more_right))) =
            (left.split_first_chunk(), right.split_first_chunk())
    {
        if u64::from_le_bytes(*l) != u64::from_le_bytes(*r) {
            return false;
        }
        (left, right) = (more_left, more_right);
    }
    while let (Some((l, more_left)), Some((r, more_right))) = (left.split_first(), right.split_first()) {
        if *l != *r {
            return false;
        }
        (left, right) = (more_left, more_right);
    }
    true
}

/// The first slot of the search for `key`: less than `slots`, unless that is 0.
#[inline]
const fn home_slot(key: &[u8], slots: usize) -> usize {
    // Scales the hash from 0..2^32 to 0..slots.
    ((hash(key) as u64 * slots as u64) >> 32) as usize
}

#[inline]
const fn hash(key: &[u8]) -> u32 {
    if BY_WORDS {
        (hash_words(key) >> 32) as u32
    } else {
        hash_bytes(key)
    }
}

/// FNV-1a, which needs the least code.
const fn hash_bytes(key: &[u8]) -> u32 {
    let mut state = 0x811c_9dc5_u32;
    let mut rest = key;
    while let Some((byte, behind)) = rest.split_first() {
        state = (state ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = behind;
    }
    state
}

/// A plain multiplicative hash that processes a word at a time. It suffices because the caller provides the keys and
/// there are few.
#[inline]
const fn hash_words(key: &[u8]) -> u64 {
    let mut state = key.len() as u64;
    let mut rest = key;
    while let Some((word, behind)) = rest.split_first_chunk() {
        state = mix(state, u64::from_le_bytes(*word));
        rest = behind;
    }
    // The remaining bytes. Overlapping words cover them without a loop.
    if rest.is_empty() {
        state
    } else if let Some(word) = key.last_chunk() {
        mix(state, u64::from_le_bytes(*word))
    } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        mix(
            state,
            (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64,
        )
    } else if let [byte] | [_, byte, ..] = key {
        mix(state, *byte as u64)
    } else {
        state
    }
}

#[inline]
const fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 29)
}
