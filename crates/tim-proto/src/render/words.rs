//! The wording of notices, tips and placeholders.
//!
//! A profile affects only the wording. If a case has a text in one profile, it has one in all profiles, and each text
//! includes the same parameters in all profiles.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use super::{notice, placeholder, revoked, tip};

/// A wording profile.
///
/// ```
/// use tim_proto::message::{NoticeOperation, SystemNotice};
/// use tim_proto::render::Words;
/// let notice =
///     SystemNotice::new(NoticeOperation::QUIT).with_group_name("周末");
/// let say = |words| notice.text(words).map(|text| text.to_string());
/// assert_eq!(say(Words::SEED).as_deref(), Some("你退出群组:周末"));
/// assert_eq!(say(Words::FULL_WIDTH).as_deref(), Some("你退出群组：周末"));
/// assert_eq!(say(Words::ENGLISH).as_deref(), Some("You left the group 周末"));
/// ```
#[derive(Clone, Copy)]
pub struct Words(pub(crate) &'static Profile);

/// The contents of a profile. Each profile is a separate static, so that a device links only the profiles that it
/// uses.
pub(crate) struct Profile {
    name: &'static str,
    /// The replacement for `:` in a phrase. In Chinese texts, the colon precedes a name.
    colon: &'static str,
    /// The replacement for `,` in a phrase. In Chinese texts, the comma follows a list. The separator inside a list
    /// is an ASCII comma in every profile.
    comma: &'static str,
    /// The replacements for an empty user name, at the beginning of a phrase and inside it. They are empty in the
    /// Chinese texts, as in the original.
    nobody: [&'static str; 2],
    pub(crate) notices: &'static notice::Phrases,
    pub(crate) tips: &'static tip::Phrases,
    pub(crate) revoked: &'static revoked::Phrases,
    pub(crate) placeholders: &'static placeholder::Placeholders,
}

const CHINESE: Profile = Profile {
    name: "seed",
    colon: ":",
    comma: ",",
    nobody: ["", ""],
    notices: &notice::CHINESE,
    tips: &tip::CHINESE,
    revoked: &revoked::CHINESE,
    placeholders: &placeholder::CHINESE,
};

static SEED: Profile = CHINESE;

static FULL_WIDTH: Profile = Profile {
    name: "full-width",
    colon: "：",
    comma: "，",
    ..CHINESE
};

static ENGLISH: Profile = Profile {
    name: "english",
    colon: ":",
    comma: ",",
    nobody: ["Somebody", "somebody"],
    notices: &notice::ENGLISH,
    tips: &tip::ENGLISH,
    revoked: &revoked::ENGLISH,
    placeholders: &placeholder::ENGLISH,
};

impl Words {
    /// The original's Chinese, with ASCII `:` and `,`. The default.
    pub const SEED: Self = Self(&SEED);
    /// The vendor's Chinese, with full-width `：` and `，`.
    pub const FULL_WIDTH: Self = Self(&FULL_WIDTH);
    /// English.
    pub const ENGLISH: Self = Self(&ENGLISH);

    /// All profiles.
    pub const ALL: &'static [Self] = &[Self::SEED, Self::FULL_WIDTH, Self::ENGLISH];

    /// The profile's name, as used in settings: `seed`, `full-width` or `english`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }
}

/// Profiles are compared by name.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Words {}

impl Hash for Words {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Words").field(&self.0.name).finish()
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::SEED
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name)
    }
}

impl FromStr for Words {
    type Err = UnknownWords;
    fn from_str(name: &str) -> Result<Self, UnknownWords> {
        Self::ALL
            .iter()
            .find(|words| words.0.name == name)
            .copied()
            .ok_or(UnknownWords)
    }
}

/// No profile has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such profile of words; use seed, full-width or english")]
pub struct UnknownWords;

/// A part of a phrase. In a phrase, `@` is replaced by the operator, `#` by the group, `*` by the list of users, and
/// `:` and `,` by the profile's punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Literal text.
    Text(&'static str),
    /// The user who performed the operation.
    Operator,
    /// The group's name or id.
    Group,
    /// The list of users.
    Users,
}

/// An iterator over the pieces of a phrase, in the wording of a profile.
pub(crate) struct Pieces {
    rest: &'static str,
    colon: &'static str,
    comma: &'static str,
}

impl Words {
    /// The name to display for a user in a phrase, or the profile's replacement if `name` is empty. `first` is true
    /// if the phrase begins with the name.
    pub(crate) const fn person(self, name: &str, first: bool) -> &str {
        let [begins, inside] = self.0.nobody;
        match (name.is_empty(), first) {
            (false, _) => name,
            (true, true) => begins,
            (true, false) => inside,
        }
    }

    #[inline]
    pub(crate) const fn pieces(self, phrase: &'static str) -> Pieces {
        Pieces {
            rest: phrase,
            colon: self.0.colon,
            comma: self.0.comma,
        }
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let is_mark = |byte| matches!(byte, b'@' | b'#' | b'*' | b':' | b',');
        let mark = self.rest.bytes().next()?;
        let until = self.rest.bytes().position(is_mark);
        let len = until.map_or(self.rest.len(), |at| at.max(1));
        let (piece, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(match mark {
            b'@' => Piece::Operator,
            b'#' => Piece::Group,
            b'*' => Piece::Users,
            b':' => Piece::Text(self.colon),
            b',' => Piece::Text(self.comma),
            _ => Piece::Text(piece),
        })
    }
}
