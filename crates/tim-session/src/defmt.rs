//! `defmt::Format` for events and errors.

use defmt::{Format, Formatter, write};

use crate::{Instant, NetState, NotReadyReason, RequestError};

impl Format for NetState {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::Connecting => write!(f, "Connecting"),
            Self::Connected => write!(f, "Connected"),
            Self::Disconnected => write!(f, "Disconnected"),
        }
    }
}

impl Format for NotReadyReason {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::LoggedOut => write!(f, "LoggedOut"),
            Self::ConnectionLost => write!(f, "ConnectionLost"),
            Self::KickedOut => write!(f, "KickedOut"),
            Self::Refused => write!(f, "Refused"),
        }
    }
}

impl Format for RequestError {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::NotReady => write!(f, "NotReady"),
            Self::Full => write!(f, "Full"),
            Self::TooLarge { len, max } => write!(f, "TooLarge({=usize} of {=usize})", *len, *max),
        }
    }
}

impl Format for Instant {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=u64:us}", self.as_micros());
    }
}
