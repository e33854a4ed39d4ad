//! Colours and styles. They are stripped where the output is not a terminal or `NO_COLOR` is set.

use anstyle::{AnsiColor, Color, Style};

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// Errors.
pub(crate) const BAD: Style = colour(AnsiColor::Red).bold();
/// Hints.
pub(crate) const HINT: Style = colour(AnsiColor::Cyan).bold();
/// Headings and names.
pub(crate) const STRONG: Style = Style::new().bold();
/// Secondary information: times, ids.
pub(crate) const FAINT: Style = Style::new().dimmed();
