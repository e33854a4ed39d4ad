//! Addresses in settings and files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tim_transport_std::Address;
use tim_transport_std::address::{AddressError, HostPort};

use crate::config::text_in_files;

/// An address, which is a text in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TextAddress(pub(crate) Address);

impl FromStr for TextAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for TextAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_in_files!(TextAddress);

/// Where HTTP is served; may be nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HttpAddress(pub(crate) Option<(bool, HostPort)>);

impl FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_tls, place) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            _ if text.is_empty() => return Ok(Self(None)),
            (Some(place), _) => (true, place),
            (None, Some(place)) => (false, place),
            (None, None) => (false, text),
        };
        let place = place.trim_end_matches('/').parse::<HostPort>();
        place
            .map(|place| Self(Some((is_tls, place))))
            .map_err(|error| format!("{error}; HTTP is served at http://HOST:PORT or https://HOST:PORT"))
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((true, place)) => write!(f, "https://{place}"),
            Some((false, place)) => write!(f, "http://{place}"),
            None => Ok(()),
        }
    }
}

text_in_files!(HttpAddress);
