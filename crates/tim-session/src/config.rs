//! Checks of configurations, for both ends.

use core::time::Duration;

/// The shortest timeout, so that time always advances.
pub(crate) const MIN_WAIT: Duration = Duration::from_millis(1);
pub(crate) const MIN_WAIT_MS: u32 = 1;
/// The shortest back-off.
pub(crate) const MIN_BACKOFF: Duration = Duration::from_millis(10);
pub(crate) const MIN_BACKOFF_MS: u32 = 10;

/// An invalid configuration. From [`ClientConfig::check`](crate::ClientConfig::check) and
/// [`HubConfig::check`](crate::HubConfig::check).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A timeout below its minimum. A session uses the minimum instead.
    #[error("{what} must be at least {least:?}")]
    TooShort {
        /// The field.
        what: &'static str,
        /// The minimum.
        least: Duration,
    },
    /// A number below what the protocol requires.
    #[error("{what} must be at least {least}")]
    TooSmall {
        /// The field.
        what: &'static str,
        /// The minimum.
        least: u32,
    },
}

/// Fails for the first of these timeouts that is too short.
pub(crate) fn check_waits(waits: &[(&'static str, Duration, Duration)]) -> Result<(), ConfigError> {
    let short = waits.iter().find(|(_, wait, least)| wait < least);
    match short {
        Some(&(what, _, least)) => Err(ConfigError::TooShort { what, least }),
        None => Ok(()),
    }
}

/// Fails for the first of these numbers that is too small.
pub(crate) fn check_numbers(numbers: &[(&'static str, u32, u32)]) -> Result<(), ConfigError> {
    let small = numbers.iter().find(|(_, number, least)| number < least);
    match small {
        Some(&(what, _, least)) => Err(ConfigError::TooSmall { what, least }),
        None => Ok(()),
    }
}
