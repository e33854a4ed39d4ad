//! The words in which notices, tips and placeholders are rendered.
//!
//! A profile changes words only, never which case is chosen: whatever has a text in one profile has one in all, and a
//! parameter that one profile shows is shown by all.

use core::fmt;
use core::str::FromStr;

/// A profile of rendered words.
///
/// ```
/// use tim_proto::notice::{NoticeOperation, SystemNotice};
/// use tim_proto::words::Words;
/// let notice =
///     SystemNotice { operation: NoticeOperation::QUIT, group_name: "周末", ..SystemNotice::default() };
/// let say = |words| notice.text(words).map(|text| text.to_string());
/// assert_eq!(say(Words::SEED).as_deref(), Some("你退出群组:周末"));
/// assert_eq!(say(Words::FULL_WIDTH).as_deref(), Some("你退出群组：周末"));
/// assert_eq!(say(Words::ENGLISH).as_deref(), Some("You left the group 周末"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Words {
    name: &'static str,
    language: Language,
    /// What Chinese texts put before a name.
    colon: &'static str,
    /// What Chinese texts put behind a list. The separator inside a list stays ASCII in every profile (S169).
    comma: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Language {
    Chinese,
    English,
}

impl Words {
    /// The seed's Chinese, with ASCII `:` and `,`. The default.
    pub const SEED: Self = Self {
        name: "seed",
        language: Language::Chinese,
        colon: ":",
        comma: ",",
    };
    /// The vendor's Chinese, with full-width `：` and `，`.
    pub const FULL_WIDTH: Self = Self {
        name: "full-width",
        language: Language::Chinese,
        colon: "：",
        comma: "，",
    };
    /// English.
    pub const ENGLISH: Self = Self {
        name: "english",
        language: Language::English,
        colon: ":",
        comma: ",",
    };

    /// All profiles.
    pub const ALL: &'static [Self] = &[Self::SEED, Self::FULL_WIDTH, Self::ENGLISH];

    /// The profile's name, as a setting spells it: `seed`, `full-width` or `english`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The one of two texts that is in this profile's language.
    pub(crate) const fn pick<'t, T: ?Sized>(self, chinese: &'t T, english: &'t T) -> &'t T {
        match self.language {
            Language::Chinese => chinese,
            Language::English => english,
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::SEED
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Words {
    type Err = UnknownWords;
    fn from_str(name: &str) -> Result<Self, UnknownWords> {
        Self::ALL
            .iter()
            .find(|words| words.name == name)
            .copied()
            .ok_or(UnknownWords)
    }
}

/// No profile has this name: the caller's setting is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such profile of words; use seed, full-width or english")]
pub struct UnknownWords;

/// A text with gaps, in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phrase {
    pub(crate) chinese: &'static [Piece],
    pub(crate) english: &'static [Piece],
}

/// A part of a [`Phrase`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it stands.
    Text(&'static str),
    /// The profile's colon.
    Colon,
    /// The profile's comma.
    Comma,
    /// Who did it.
    Operator,
    /// The group's name or id.
    Group,
    /// The list of users.
    Users,
}

impl Phrase {
    /// Writes the phrase in `words`; `fill` writes what belongs into a gap.
    pub(crate) fn write(
        &self,
        words: Words,
        f: &mut fmt::Formatter<'_>,
        fill: impl Fn(&mut fmt::Formatter<'_>, Piece) -> fmt::Result,
    ) -> fmt::Result {
        for piece in words.pick(self.chinese, self.english) {
            match *piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Colon => f.write_str(words.colon)?,
                Piece::Comma => f.write_str(words.comma)?,
                gap => fill(f, gap)?,
            }
        }
        Ok(())
    }
}
