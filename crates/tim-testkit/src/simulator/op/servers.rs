//! The servers of others that the hub calls, and what goes wrong with them.

use tim_session::proto::request::PushPlatform;

use super::{Call, Plan, Profile};
use crate::simulator::history::Mark;

/// A server that the hub calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// The application's server, which is asked and told by callbacks.
    Application,
    /// The sink of offline push that notifications are posted to.
    Webhook,
    /// The sink that the program which embeds the hub has for one platform.
    Embedded,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Application, Self::Webhook, Self::Embedded];

    /// The sink that takes the notifications for the tokens of a platform.
    #[must_use]
    pub fn sink_of(platform: PushPlatform) -> Self {
        match platform {
            PushPlatform::HUAWEI => Self::Embedded,
            _ => Self::Webhook,
        }
    }
}

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerFault {
    /// It cannot be reached for so many milliseconds.
    Refuses(u32),
    /// It takes requests and does not answer them, for so many milliseconds.
    Hangs(u32),
    /// It closes the connection in the place of an answer, for so many milliseconds.
    Cuts(u32),
    /// It answers with what is no answer, for so many milliseconds.
    Fails(u32),
    /// Its answers come so many milliseconds later, for so many milliseconds.
    Slow {
        /// How much later.
        later_ms: u32,
        /// For how long.
        for_ms: u32,
    },
}

impl ServerFault {
    /// For how many milliseconds.
    #[must_use]
    pub const fn for_ms(self) -> u64 {
        let (Self::Refuses(ms) | Self::Hangs(ms) | Self::Cuts(ms) | Self::Fails(ms)) = self else {
            let Self::Slow { for_ms, .. } = self else { return 0 };
            return for_ms as u64;
        };
        ms as u64
    }
}

/// How the hub calls the servers of others, and how often these do what, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// `CallbackOptions::timeout`, in milliseconds.
    pub timeout_ms: u64,
    /// `CallbackOptions::refuse_without_answer`.
    pub refuse_without_answer: bool,
    /// `CallbackOptions::max_waiting`.
    pub max_waiting: usize,
    /// `PushOptions::max_age`, in seconds.
    pub max_age_s: u64,
    /// `PushOptions::max_concurrent`.
    pub max_concurrent: usize,
    /// The application refuses what it is asked about.
    pub refuses: u8,
    /// It changes the messages.
    pub changes: u8,
    /// It drops the messages.
    pub drops: u8,
    /// Its answers are none, or come late.
    pub unanswered: u8,
    /// A sink does not take a notification at once.
    pub not_taken: u8,
}

/// How many tokens are shared: whoever registers one last has it.
pub const SHARED_TOKENS: u16 = 3;

impl Call {
    /// A token of a push service by its number: the platform, and the token.
    #[must_use]
    pub fn token(number: u16) -> (PushPlatform, String) {
        let platform = match number % 3 {
            0 => PushPlatform::IOS,
            1 => PushPlatform::HUAWEI,
            _ => PushPlatform::ANDROID,
        };
        (platform, format!("token-{number}"))
    }
}

impl Plan {
    /// Whether the sender of a message says that nobody is to be notified of it.
    #[must_use]
    pub fn disables_push(&self, mark: Mark) -> bool {
        self.profile == Profile::Servers && mark.0.is_multiple_of(7)
    }
}
