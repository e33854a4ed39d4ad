//! Display names of the current keys, in three languages.

use super::tables::{KEYS, NAMES, NameTable};
use super::{Span, Spans, spans};
use core::fmt;

/// A language in which the current keys have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Simplified Chinese, `zh_cn`.
    ZhCn,
    /// English, `en`.
    En,
    /// Traditional Chinese, `zh_tw`.
    ZhTw,
}

/// The name of an emoji of [`TUI`](super::TUI), including brackets; `None` if the table does not contain `key`.
///
/// ```
/// use tim_proto::render::text::{Language, display_name};
///
/// assert_eq!(display_name("[TUIEmoji_Smile]", Language::ZhCn), Some("[微笑]"));
/// ```
#[must_use]
pub fn display_name(key: &str, language: Language) -> Option<&'static str> {
    names_of(language).file(key)
}

/// The key of [`TUI`](super::TUI) with this name in this language; the inverse of [`display_name`].
///
/// The vendor's English list has `[Askance]]` where [`display_name`] returns `[Askance]`; this function accepts both.
#[must_use]
pub fn key_of_name(name: &str, language: Language) -> Option<&'static str> {
    let name = if name == "[Askance]]" { "[Askance]" } else { name };
    keys_of(language).file(name)
}

/// Replaces the names of emojis in `text` by their keys, the form in which messages should be sent.
///
/// Names are found by the matching rule of [`spans`]; everything else is unchanged. The result implements `Display`,
/// so it can be written to any buffer.
///
/// ```
/// use tim_proto::render::text::{Language, names_to_keys};
///
/// let typed = "好[微笑][什么]";
/// assert_eq!(names_to_keys(typed, Language::ZhCn).to_string(), "好[TUIEmoji_Smile][什么]");
/// ```
pub fn names_to_keys(text: &str, language: Language) -> Translated<'_> {
    Translated {
        spans: spans(text, keys_of(language)),
    }
}

/// Replaces keys in `text` by names, for displays without images (a notification, a conversation list).
///
/// ```
/// use tim_proto::render::text::{Language, keys_to_names};
///
/// assert_eq!(keys_to_names("ok [TUIEmoji_Beer]", Language::En).to_string(), "ok [Beer]");
/// ```
pub fn keys_to_names(text: &str, language: Language) -> Translated<'_> {
    Translated {
        spans: spans(text, names_of(language)),
    }
}

/// A text with its keys and names translated. Implements `Display`.
#[derive(Debug, Clone)]
#[must_use = "print it or write it into a buffer"]
pub struct Translated<'t> {
    spans: Spans<'t, 'static>,
}

impl fmt::Display for Translated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for span in self.spans.clone() {
            f.write_str(match span {
                Span::Text(text) => text,
                Span::Emoji { file: other, .. } => other,
            })?;
        }
        Ok(())
    }
}

fn names_of(language: Language) -> &'static NameTable {
    pick(&NAMES, language)
}

fn keys_of(language: Language) -> &'static NameTable {
    pick(&KEYS, language)
}

const fn pick(tables: &'static [NameTable; 3], language: Language) -> &'static NameTable {
    let [zh_cn, en, zh_tw] = tables;
    match language {
        Language::ZhCn => zh_cn,
        Language::En => en,
        Language::ZhTw => zh_tw,
    }
}
