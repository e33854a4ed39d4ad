//! Values that have numbers of their own in the database: roles, group types, flags.
//!
//! The numbers are those of the first databases. Everywhere else in the program the values are types of `tim-proto` and
//! [`EntryFlags`].

use rusqlite::Row;
use tim_proto::{GroupType, MessageKind, Role};
use tim_store::EntryFlags;

const MEMBER: u16 = 200;
const ADMIN: u16 = 300;
const OWNER: u16 = 400;

/// The stored number of a role.
pub(super) const fn sql_role(role: Role) -> u16 {
    match role {
        Role::OWNER => OWNER,
        Role::ADMIN => ADMIN,
        _ => MEMBER,
    }
}

/// A column that is a member's role, or NULL. An unknown role is read as a member's.
pub(super) fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Role>> {
    let number: Option<i64> = row.get(column)?;
    Ok(number.map(|number| match u16::try_from(number) {
        Ok(OWNER) => Role::OWNER,
        Ok(ADMIN) => Role::ADMIN,
        _ => Role::MEMBER,
    }))
}

/// A column that is a group's type. A number out of range is read as 0, which is no type.
pub(super) fn group_type(row: &Row<'_>, column: usize) -> rusqlite::Result<GroupType> {
    let number: i64 = row.get(column)?;
    Ok(GroupType(u8::try_from(number).unwrap_or(0)))
}

/// A column that is a message's kind.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageKind> {
    row.get(column).map(MessageKind)
}

/// Pairs of a bit of [`EntryFlags`] and the bit of the column that stores it. All other bits are stored as they are.
const MOVED: [(u32, u32); 5] = [
    (EntryFlags::NO_UNREAD.to_bits().trailing_zeros(), 1),
    (EntryFlags::NO_LAST.to_bits().trailing_zeros(), 2),
    (EntryFlags::SYSTEM.to_bits().trailing_zeros(), 3),
    // Flags of messages that are not stored. They fill the gaps, so that no unknown bit is lost.
    (3, 4),
    (1, 31),
];
const MOVED_BITS: u32 = 1 << 31 | 0b1_1110;

/// The stored bits of flags.
pub(super) fn sql_flags(flags: EntryFlags) -> u32 {
    permuted(flags.to_bits(), |bits| bits)
}

/// The flags of stored bits.
fn from_sql(bits: u32) -> EntryFlags {
    EntryFlags::from_bits(permuted(bits, |(flag, column)| (column, flag)))
}

/// A column that is an entry's flags.
pub(super) fn flags(row: &Row<'_>, column: usize) -> rusqlite::Result<EntryFlags> {
    row.get(column).map(from_sql)
}

fn permuted(bits: u32, direction: impl Fn((u32, u32)) -> (u32, u32)) -> u32 {
    let moved = MOVED.into_iter().map(direction);
    moved.fold(bits & !MOVED_BITS, |all, (from, to)| {
        all | (bits >> from & 1) << to
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_kept_under_the_numbers_of_the_first_databases() {
        for (flags, kept) in [
            (EntryFlags::NONE, 0),
            (EntryFlags::REVOKED, 1),
            (EntryFlags::NO_UNREAD, 2),
            (EntryFlags::NO_LAST, 4),
            (EntryFlags::SYSTEM, 8),
            (EntryFlags::SYSTEM | EntryFlags::NO_UNREAD, 10),
        ] {
            assert_eq!(sql_flags(flags), kept);
            assert_eq!(from_sql(kept), flags);
        }
    }

    #[test]
    fn no_bit_is_lost() {
        for bit in 0..u32::BITS {
            let kept = sql_flags(EntryFlags::from_bits(1 << bit));
            assert_eq!(kept.count_ones(), 1, "{bit}");
            assert_eq!(from_sql(kept).to_bits(), 1 << bit);
        }
    }
}
