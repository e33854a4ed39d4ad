//! Untrusted text, made safe: it must not move the cursor, change colours or override the text direction.

use std::fmt::{self, Display, Write as _};

/// Prints text with control characters and direction overrides escaped. Line ends are kept, each with `indent` spaces after
/// it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safe<'a> {
    text: &'a str,
    indent: Option<usize>,
}

impl<'a> Safe<'a> {
    /// On one line.
    pub(crate) const fn line(text: &'a str) -> Self {
        Self { text, indent: None }
    }

    /// On several lines, those after the first indented.
    pub(crate) const fn lines(text: &'a str, indent: usize) -> Self {
        Self {
            text,
            indent: Some(indent),
        }
    }
}

impl Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.chars().try_for_each(|c| match (c, self.indent) {
            ('\n', Some(indent)) => write!(f, "\n{:indent$}", ""),
            ('\n', None) => f.write_str("⏎"),
            ('\t', _) => f.write_char(' '),
            (c, _) if is_treacherous(c) => write!(f, "{}", c.escape_default()),
            (c, _) => f.write_char(c),
        })
    }
}

/// Whether a character controls the terminal or the layout instead of being text: control characters (C0, DEL, C1),
/// direction overrides, and separators of lines and paragraphs.
pub(crate) const fn is_treacherous(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        let nasty = "a\x1b[2Jb\u{9b}31mc\u{202e}d\r\u{7}\u{2028}\u{85}\u{200f}";
        let shown = Safe::line(nasty).to_string();
        assert!(!shown.chars().any(is_treacherous), "{shown:?}");
        assert_eq!(Safe::lines("one\ntwo", 3).to_string(), "one\n   two");
        assert_eq!(Safe::line("one\ntwo 呲牙😁").to_string(), "one⏎two 呲牙😁");
    }
}
