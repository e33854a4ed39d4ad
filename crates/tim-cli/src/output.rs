//! Colours and styles. They vanish by themselves where the output is no terminal or `NO_COLOR` is set.

use anstyle::{AnsiColor, Color, Style};

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// What went wrong.
pub(crate) const BAD: Style = colour(AnsiColor::Red).bold();
/// What to do about it.
pub(crate) const HINT: Style = colour(AnsiColor::Cyan).bold();
/// A heading, a name.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is seldom looked at: times, ids.
pub(crate) const FAINT: Style = Style::new().dimmed();
