//! What a shown name may hold: nicks, group names and name cards stand beside what the system says.

use crate::UserId;

/// Why a text is no shown name: the caller's text is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShownNameError {
    /// It has a control character, a separator of lines or a change of the reading direction.
    #[error("a shown name has no control characters, line ends or changes of the reading direction")]
    Steers,
    /// It is the system's.
    #[error("@TIM#SYSTEM is the system's name")]
    System,
}

/// Checks a nick, a group name or a name card. Its length is another matter.
///
/// ```
/// use tim_proto::{ShownNameError, check_shown_name};
/// assert_eq!(check_shown_name("阿丽 😁"), Ok(()));
/// assert_eq!(check_shown_name("a\nb"), Err(ShownNameError::Steers));
/// assert_eq!(check_shown_name(" @TIM#SYSTEM"), Err(ShownNameError::System));
/// assert_eq!(check_shown_name("@TIM\u{200b}#SYSTEM"), Err(ShownNameError::System));
/// ```
///
/// # Errors
/// [`ShownNameError`].
pub fn check_shown_name(name: &str) -> Result<(), ShownNameError> {
    if name.chars().any(steers) {
        return Err(ShownNameError::Steers);
    }
    let mut seen = name.chars().filter(|&c| !(c.is_whitespace() || is_unseen(c)));
    if UserId::SYSTEM
        .as_str()
        .chars()
        .all(|c| seen.next().is_some_and(|seen| seen.eq_ignore_ascii_case(&c)))
        && seen.next().is_none()
    {
        return Err(ShownNameError::System);
    }
    Ok(())
}

pub(crate) const fn steers(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// What takes no place on the screen, or shows nothing there. Emojis and some scripts need the joiners among these, so
/// that names may hold them; but they make no other name of the system's.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
