//! What no configuration may be, at either end.

use core::time::Duration;

/// No wait is shorter, so that time always moves on.
pub(crate) const MIN_WAIT: Duration = Duration::from_millis(1);
/// No wait between two tries to connect is shorter.
pub(crate) const MIN_BACKOFF: Duration = Duration::from_millis(10);

/// A configuration that cannot work; whoever wrote it is at fault. From [`ClientConfig::check`](crate::ClientConfig::check)
/// and [`HubConfig::check`](crate::HubConfig::check).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A wait that would never end a loop. A session waits the least time instead.
    #[error("{what} must be at least {least:?}")]
    TooShort {
        /// The field.
        what: &'static str,
        /// The shortest that works.
        least: Duration,
    },
    /// A number below what the protocol needs.
    #[error("{what} must be at least {least}")]
    TooSmall {
        /// The field.
        what: &'static str,
        /// The smallest that works.
        least: u32,
    },
}

/// The first of these waits that is too short.
pub(crate) fn check_waits(waits: &[(&'static str, Duration, Duration)]) -> Result<(), ConfigError> {
    let short = waits.iter().find(|(_, wait, least)| wait < least);
    match short {
        Some(&(what, _, least)) => Err(ConfigError::TooShort { what, least }),
        None => Ok(()),
    }
}

/// The first of these numbers that is too small.
pub(crate) fn check_numbers(numbers: &[(&'static str, u32, u32)]) -> Result<(), ConfigError> {
    let small = numbers.iter().find(|(_, number, least)| number < least);
    match small {
        Some(&(what, _, least)) => Err(ConfigError::TooSmall { what, least }),
        None => Ok(()),
    }
}
