//! Callbacks: the hub asks a server of the application before it takes a message, and tells it afterwards.
//!
//! What is asked *before* keeps back only the connection that the message came on: its later requests are held, as behind a read of the
//! store, and no thread waits. What is told *afterwards* waits in a bounded queue. A [circuit breaker](breaker) keeps an endpoint that
//! hangs from costing every message its time.

mod after;
mod bodies;
mod breaker;
mod client;

pub(crate) use after::AfterSend;
pub(crate) use bodies::{About, Verdict, verdict};
pub use client::{CallbackOptions, CallbackStats};
pub(crate) use client::{Callbacks, NoAnswer};

use std::fmt;
use std::str::FromStr;

/// What the application is asked or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallbackCommand {
    /// Before a one-to-one message is taken.
    BeforeC2c,
    /// After one was taken, or could not be stored.
    AfterC2c,
    /// Before a message to a group is taken.
    BeforeGroup,
    /// After one was stored.
    AfterGroup,
}

impl CallbackCommand {
    /// All commands.
    pub const ALL: [Self; 4] = [
        Self::BeforeC2c,
        Self::AfterC2c,
        Self::BeforeGroup,
        Self::AfterGroup,
    ];

    /// The vendor's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeC2c => "C2C.CallbackBeforeSendMsg",
            Self::AfterC2c => "C2C.CallbackAfterSendMsg",
            Self::BeforeGroup => "Group.CallbackBeforeSendMsg",
            Self::AfterGroup => "Group.CallbackAfterSendMsg",
        }
    }
}

impl fmt::Display for CallbackCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CallbackCommand {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|command| command.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no callback {name:?}; there are {names}")
        })
    }
}
