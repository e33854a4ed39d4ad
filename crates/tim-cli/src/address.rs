//! Addresses in settings and files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tim_transport_std::Address;
use tim_transport_std::address::AddressError;

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
