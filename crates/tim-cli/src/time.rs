//! Points in time and durations as text.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The current Unix time in seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Date and time of a Unix time, in the local time zone.
pub(crate) fn date_and_time(seconds: u64) -> String {
    local(seconds, "%Y-%m-%d %H:%M:%S %Z")
}

/// The date of a Unix time, in the local time zone.
pub(crate) fn date(seconds: u64) -> String {
    local(seconds, "%Y-%m-%d")
}

/// The time of day of a Unix time, in the local time zone.
pub(crate) fn time_of_day(seconds: u64) -> String {
    local(seconds, "%H:%M")
}

/// A Unix time for the name of a file, in UTC: `2024-01-15T083015Z`. Later names sort behind earlier ones.
pub(crate) fn in_a_name(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    match timestamp {
        Some(timestamp) => timestamp.strftime("%Y-%m-%dT%H%M%SZ").to_string(),
        None => format!("at-{seconds}"),
    }
}

fn local(seconds: u64, format: &str) -> String {
    let timestamp = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    match timestamp {
        Some(timestamp) => timestamp
            .to_zoned(TimeZone::system())
            .strftime(format)
            .to_string(),
        None => format!("{seconds} s after 1970"),
    }
}

/// A span of time in whole seconds, written as a number with a unit: `90s`, `2m`, `12h`, `180d`. Without a unit: seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..) {
            Some("") => Some(1),
            suffix => UNITS
                .iter()
                .find(|(name, _)| suffix == Some(name))
                .map(|(_, seconds)| *seconds),
        };
        let number = digits.parse::<u64>().ok();
        number
            .zip(unit)
            .and_then(|(number, unit)| number.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| "expected a number and one of s, m, h or d, such as 90s or 180d".to_owned())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, unit): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*unit);
        let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("s", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// In a settings file: as text, or as a number of seconds.
impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(seconds) => Ok(Self(seconds)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A point in time: a span before now (`2h`), a date, a date with a time, or `@` and a Unix time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since(pub(crate) u64);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let local = |text: &str| {
            let civil: DateTime = text.parse().ok()?;
            civil
                .to_zoned(TimeZone::system())
                .ok()
                .map(|zoned| zoned.timestamp())
        };
        let unix = match (text.strip_prefix('@'), text.parse()) {
            (Some(unix), _) => unix.parse().ok(),
            (None, Ok(Seconds(ago))) => Some(now().saturating_sub(ago)),
            (None, Err(_)) => {
                let at = text.parse::<Timestamp>().ok().or_else(|| local(text));
                at.and_then(|at| u64::try_from(at.as_second()).ok())
            }
        };
        unix.map(Self).ok_or_else(|| {
            "expected a span before now, such as 2h, a date, such as 2024-01-15 or 2024-01-15T08:30, or a Unix time, such as \
             @1705307415"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, seconds) in [
            ("180d", 15_552_000),
            ("2m", 120),
            ("12h", 43_200),
            ("90s", 90),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
            assert_eq!(Seconds(seconds).to_string(), text);
        }
        assert_eq!("300".parse(), Ok(Seconds(300)));
        for text in [
            "",
            "d",
            "5 d",
            "1w",
            "-1s",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn points_in_time_are_read() {
        let at = |text: &str| text.parse::<Since>().map(|since| since.0);
        assert_eq!(at("@1705307415"), Ok(1_705_307_415));
        assert_eq!(at("2024-01-15T08:30:15Z"), Ok(1_705_307_415));
        assert_eq!(at("2024-01-15T10:30:15+02"), Ok(1_705_307_415));
        let midnight = at("2024-01-15").unwrap();
        assert_eq!(at("2024-01-15T08:30").unwrap() - midnight, 8 * 3600 + 30 * 60);
        assert!(now() - at("2h").unwrap() >= 2 * 3600);
        for wrong in ["", "@", "@-1", "yesterday", "1960-01-01T00:00:00Z", "2024-13-01"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
