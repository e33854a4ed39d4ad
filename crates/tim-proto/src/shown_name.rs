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
/// ```
///
/// # Errors
/// [`ShownNameError`].
pub fn check_shown_name(name: &str) -> Result<(), ShownNameError> {
    if name.chars().any(steers) {
        return Err(ShownNameError::Steers);
    }
    if name.trim().eq_ignore_ascii_case(UserId::SYSTEM.as_str()) {
        return Err(ShownNameError::System);
    }
    Ok(())
}

const fn steers(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}
