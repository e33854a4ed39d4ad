//! Display width in columns: a Chinese character or an emoji takes two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The width of a text in columns.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most this many columns, with `…` for what is clipped.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken <= room
    };
    let mut clipped: String = text.chars().take_while(fits).collect();
    clipped.push('…');
    clipped
}

/// The text, clipped or padded to exactly this many columns.
pub(crate) fn column(text: &str, columns: usize) -> String {
    let mut clipped = clip(text, columns);
    let lacking = columns.saturating_sub(clipped.width());
    clipped.extend(std::iter::repeat_n(' ', lacking));
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_filled_and_never_overrun_whatever_stands_in_them() {
        for (text, columns, expected) in [
            ("abc", 5, "abc  "),
            ("周末", 5, "周末 "),
            ("周末去爬山", 5, "周末…"),
            ("周末去爬山", 6, "周末… "),
            ("😁😁😁", 4, "😁… "),
            ("", 3, "   "),
            ("abcdef", 1, "…"),
        ] {
            assert_eq!(column(text, columns), expected, "{text:?} in {columns}");
            assert_eq!(width(&column(text, columns)), columns, "{text:?} in {columns}");
        }
    }
}
