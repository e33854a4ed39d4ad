//! Parser for text with emojis. It finds keys such as `[呲牙]` in a text message and yields text and emojis in reading
//! order.
//!
//! ```
//! use tim_proto::render::text::{self, Span};
//!
//! let mut html = String::new();
//! for span in text::spans("a < b [呲牙][hm]", &text::SEED) {
//!     match span {
//!         Span::Text(text) => html += &text.replace('<', "&lt;"),
//!         Span::Emoji { key, file } => html += &format!("<img alt=\"{key}\" src=\"/emoji/{file}\">"),
//!     }
//! }
//! assert_eq!(html, "a &lt; b <img alt=\"[呲牙]\" src=\"/emoji/emoji_1.png\">[hm]");
//! ```
//!
//! **Matching rule.** A candidate extends from a `[` to the next `]`. If the table contains the candidate, it is an
//! emoji. Otherwise the `[` is text, and parsing continues after it. Everything else is text, in spans of maximum
//! length. (The original yields a separate text node for each such `[`; these spans are its adjacent text nodes
//! joined.)
//!
//! Parsing does not allocate and cannot fail. It inspects each byte a bounded number of times for any input: one pass
//! searches for `[`, one for `]`, and only a `[` that is close enough to its `]` for a key to fit is looked up.
//!
//! Tables: [`SEED`], [`TUI`] (current keys), [`CLASSIC`] (older Chinese keys), or a custom [`EmojiTable`]. Users type
//! and read *names* of the current keys in their language; [`names_to_keys`] and [`keys_to_names`] translate.

mod names;
mod scan;
mod table;
mod tables;

pub use names::{Language, Translated, display_name, key_of_name, keys_to_names, names_to_keys};
pub use table::{DEFAULT_SLOTS, EmojiTable};
pub use tables::{CLASSIC, SEED, TUI};

use core::fmt;
use core::iter::FusedIterator;
use core::mem;
use scan::{find_far, find_near};
use table::Lookup;

/// Splits `text` into text and the emojis of `table`.
///
/// Empty text has no spans. No span is empty, text spans are never adjacent, and the concatenated sources of the
/// spans ([`Span::source`]) equal `text`.
pub fn spans<'t, 'a, const SLOTS: usize>(text: &'t str, table: &'a EmojiTable<'_, SLOTS>) -> Spans<'t, 'a> {
    Spans {
        rest: text,
        ready: None,
        table: table.lookup(),
    }
}

/// A span of a text message. The original represents it as `{name: 'text', text}` or `{name: 'img', src}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span<'t, 'a> {
    /// Literal text.
    Text(&'t str),
    /// An emoji.
    Emoji {
        /// The key as it appears in the text, including brackets.
        key: &'t str,
        /// The image file from the table, without the base address; see [`Span::src`].
        file: &'a str,
    },
}

impl<'t, 'a> Span<'t, 'a> {
    /// The part of the parsed text that this span covers.
    #[must_use]
    pub const fn source(&self) -> &'t str {
        match *self {
            Self::Text(text) | Self::Emoji { key: text, .. } => text,
        }
    }

    /// The address of the image: `base` followed by the file. `None` for text.
    ///
    /// ```
    /// use tim_proto::render::text::{self, Span};
    ///
    /// let span = text::spans("[下雨]", &text::SEED).next().unwrap();
    /// assert_eq!(span.src("https://example.org/emoji/").unwrap().to_string(), "https://example.org/emoji/emoji_2.png");
    /// ```
    #[must_use]
    pub const fn src<'b>(&self, base: &'b str) -> Option<Src<'b, 'a>> {
        match *self {
            Self::Text(_) => None,
            Self::Emoji { file, .. } => Some(Src { base, file }),
        }
    }
}

/// The address of an image. Displays base and file with no separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Src<'b, 'a> {
    base: &'b str,
    file: &'a str,
}

impl fmt::Display for Src<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
        f.write_str(self.file)
    }
}

/// An iterator over the spans of a text. Created by [`spans`].
#[derive(Debug, Clone)]
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Spans<'t, 'a> {
    rest: &'t str,
    /// The length of the key at the start of `rest`, and its file, if the text before it has already been yielded.
    ready: Option<(usize, &'a str)>,
    table: &'a Lookup<'a, [u16]>,
}

impl<'t> Spans<'t, '_> {
    /// Removes `len` bytes from the start of the rest. Spans start and end at brackets, so the split is always at a
    /// character boundary.
    #[inline]
    fn take(&mut self, len: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

impl<'t, 'a> Iterator for Spans<'t, 'a> {
    type Item = Span<'t, 'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some((len, file)) = self.ready.take() {
            return Some(Span::Emoji {
                key: self.take(len),
                file,
            });
        }
        if self.rest.is_empty() {
            return None;
        }
        let text = self.rest.as_bytes();
        let Some(emoji) = find_far(b'[', text).and_then(|open| first_emoji(text, open, self.table)) else {
            return Some(Span::Text(mem::take(&mut self.rest)));
        };
        if emoji.start > 0 {
            self.ready = Some((emoji.len, emoji.file));
            return Some(Span::Text(self.take(emoji.start)));
        }
        Some(Span::Emoji {
            key: self.take(emoji.len),
            file: emoji.file,
        })
    }
}

impl FusedIterator for Spans<'_, '_> {}

/// An emoji in a text: the start and length of its key in bytes, and its file.
struct EmojiMatch<'a> {
    start: usize,
    len: usize,
    file: &'a str,
}

/// Finds the first emoji of `text`, whose first `[` is at `open`.
///
/// Both `open` and `end` only increase, so all calls for one text inspect each byte at most three times: for `[`, for
/// `]`, and for a `[` between the two. The cost of a lookup is bounded by the longest key.
fn first_emoji<'a>(text: &[u8], mut open: usize, table: &Lookup<'a, [u16]>) -> Option<EmojiMatch<'a>> {
    loop {
        // All candidates from `open` to this `]` end there.
        let end = open + find_near(b']', text.get(open..)?)? + 1;
        let found = longest_key(text, open, end, table);
        if found.is_some() {
            return found;
        }
        open = end + find_far(b'[', text.get(end..)?)?;
    }
}

/// Finds the longest key that ends at `end`. There is a `[` at `open`, and the only `]` after it is the last byte.
#[inline]
fn longest_key<'a>(
    text: &[u8],
    open: usize,
    end: usize,
    table: &Lookup<'a, [u16]>,
) -> Option<EmojiMatch<'a>> {
    let mut start = open;
    if end - open > table.longest() {
        start = end - table.longest();
        start += find_near(b'[', text.get(start..end)?)?;
    }
    loop {
        let candidate = text.get(start..end)?;
        if let Some(file) = table.file(candidate) {
            return Some(EmojiMatch {
                start,
                len: candidate.len(),
                file,
            });
        }
        start += 1;
        start += find_near(b'[', text.get(start..end)?)?;
    }
}
