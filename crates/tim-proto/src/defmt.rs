//! How ids and codes look in a device's log.

use defmt::{Format, Formatter, write};

use crate::{ConversationId, ErrorCode, GroupId, MessageId, UserId};

impl Format for ErrorCode {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ErrorCode({=u32})", self.0);
    }
}

impl Format for UserId {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=str}", self.as_str());
    }
}

impl Format for GroupId {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=str}", self.as_str());
    }
}

impl Format for ConversationId {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::C2c(user) => write!(f, "C2C{}", user),
            Self::Group(group) => write!(f, "GROUP{}", group),
            Self::System => write!(f, "@TIM#SYSTEM"),
        }
    }
}

impl Format for MessageId {
    fn format(&self, f: Formatter<'_>) {
        write!(
            f,
            "{=u64}-{=u64}-{=u32}",
            self.sender, self.client_time, self.random
        );
    }
}
