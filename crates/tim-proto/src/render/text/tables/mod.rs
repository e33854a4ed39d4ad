//! Built-in tables of key and file names. The crate contains no artwork.

mod classic;
mod seed;
mod tui;

use super::table::EmojiTable;
use tui::ROWS;

/// The three keys from the original's documentation: `[微笑]`, `[呲牙]`, `[下雨]`. Like the other tables, it has the
/// default index of 1 KiB. A device can define a table with an index of 8 bytes:
///
/// ```
/// use tim_proto::render::text::{self, EmojiTable};
/// static EMOJIS: EmojiTable<'static, 4> = EmojiTable::with_slots(text::SEED.entries());
/// assert_eq!(EMOJIS.file("[呲牙]"), Some("emoji_1.png"));
/// ```
pub static SEED: EmojiTable<'static> = EmojiTable::new(seed::ENTRIES);

/// The 62 current keys, `[TUIEmoji_Smile]` and so on. The keys are the same in every language; users see their
/// [names](super::display_name).
pub static TUI: EmojiTable<'static> = EmojiTable::new(&pairs(Column::Key, Column::File));

/// The 142 older Chinese keys. Some resemble names of current keys, but have different files and a different base
/// address.
pub static CLASSIC: EmojiTable<'static> = EmojiTable::new(classic::ENTRIES);

/// A table of names; an index of 128 slots holds up to 96 entries, enough for the 62 keys.
pub(super) type NameTable = EmojiTable<'static, 128>;

/// Tables that map keys to names, in the order of `Language`.
pub(super) static NAMES: [NameTable; 3] = [
    NameTable::with_slots(&pairs(Column::Key, Column::Name(0))),
    NameTable::with_slots(&pairs(Column::Key, Column::Name(1))),
    NameTable::with_slots(&pairs(Column::Key, Column::Name(2))),
];

/// Tables that map names to keys, in the order of `Language`.
pub(super) static KEYS: [NameTable; 3] = [
    NameTable::with_slots(&pairs(Column::Name(0), Column::Key)),
    NameTable::with_slots(&pairs(Column::Name(1), Column::Key)),
    NameTable::with_slots(&pairs(Column::Name(2), Column::Key)),
];

#[derive(Clone, Copy)]
enum Column {
    Key,
    File,
    Name(usize),
}

type Pairs = [(&'static str, &'static str); ROWS.len()];

/// Builds table entries from two columns of the current keys.
const fn pairs(left: Column, right: Column) -> Pairs {
    let mut pairs = [("", ""); ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        pairs[row] = (cell(row, left), cell(row, right));
        row += 1;
    }
    pairs
}

const fn cell(row: usize, column: Column) -> &'static str {
    let (key, file, names) = ROWS[row];
    match column {
        Column::Key => key,
        Column::File => file,
        Column::Name(language) => names[language],
    }
}
