//! What can go wrong with a call.

use serde_json::{Map, Value};

/// Why a call has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was set up wrongly, or a call cannot be written. Nothing was sent.
    #[error("{0}")]
    Setup(String),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer has another status than 200, which the service never gives: it is that of a proxy, or of something else at this address.
    #[error("the server answers with the status {0}, not as the REST interface does; is the address right?")]
    Status(u16),
    /// The answer is not what the command answers.
    #[error("the answer is not one of the REST interface: {0}")]
    Answer(String),
    /// The service has refused the call, or has failed.
    #[error(transparent)]
    Api(Box<ApiError>),
}

/// A call that the service has refused, or failed to carry out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{command} fails with {code}: {info}")]
#[non_exhaustive]
pub struct ApiError {
    /// The service and the command, such as `openim/sendmsg`.
    pub command: String,
    /// The vendor's code, such as 90012.
    pub code: u32,
    /// What the service says about it.
    pub info: String,
    /// The number of the request in the service's logs, if it says one.
    pub request_id: Option<String>,
    /// The whole answer. A call for many users that fails as a whole has their codes here.
    pub answer: Map<String, Value>,
}

/// When a call may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It was not carried out, and may work later.
    NotDone,
    /// It may work later; whether it was carried out is not known.
    MayBeDone,
    /// The same call does not work later either.
    Never,
}

impl Error {
    pub(crate) fn setup(what: impl Into<String>) -> Self {
        Self::Setup(what.into())
    }

    /// The vendor's code, if the service has answered with one.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Api(error) => Some(error.code),
            _ => None,
        }
    }

    /// Whether the same call may work later. The client has tried several times already if that was safe.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.again() != Again::Never
    }

    /// Whether it is certain that nothing was done. Codes of services that this crate does not know count as uncertain. If this returns
    /// `false`, repeating the call may carry it out twice, unless it [is repeatable](crate::Request::IS_REPEATABLE).
    #[must_use]
    pub fn is_certainly_not_done(&self) -> bool {
        match self {
            Self::Api(error) => match error.again() {
                Again::NotDone => true,
                Again::MayBeDone => false,
                Again::Never => error.is_known_refusal(),
            },
            Self::Transport(_) => self.again() == Again::NotDone,
            Self::Setup(_) => true,
            Self::Status(_) | Self::Answer(_) => false,
        }
    }

    pub(crate) fn again(&self) -> Again {
        match self {
            Self::Setup(_) | Self::Answer(_) => Again::Never,
            Self::Transport(error) => match error.kind {
                TransportErrorKind::NotConnected => Again::NotDone,
                TransportErrorKind::Interrupted | TransportErrorKind::TimedOut => Again::MayBeDone,
                TransportErrorKind::TooLong => Again::Never,
            },
            Self::Status(status) => match status {
                408 | 425 | 429 | 500 | 502..=504 => Again::MayBeDone,
                _ => Again::Never,
            },
            Self::Api(error) => error.again(),
        }
    }

    /// The UserSig has expired or is void; one that is made now may be good.
    pub(crate) fn is_about_user_sig(&self) -> bool {
        matches!(self.code(), Some(70_001 | 70_052))
    }
}

impl ApiError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.again() != Again::Never
    }

    /// Whether the code is one of the services that this crate knows, or of an application's callback.
    const fn is_known_refusal(&self) -> bool {
        matches!(
            self.code,
            10_000..=10_999
                | 20_000..=20_999
                | 30_000..=31_999
                | 40_000..=40_999
                | 60_000..=60_999
                | 70_000..=70_999
                | 80_000..=80_999
                | 90_000..=90_999
                | 93_000
                | 120_001..=130_000
        )
    }

    const fn again(&self) -> Again {
        match self.code {
            // Too many calls, messages, or changes of attributes.
            60_007 | 60_011 | 60_018 | 60_019 | 60_022 | 10_023 | 10_049 | 31_707 | 70_050 => Again::NotDone,
            // Others have changed the same friends.
            30_008 => Again::NotDone,
            // The service's own faults and time limits.
            60_008 | 60_014 | 10_002 | 20_004 | 20_005 | 30_006 | 30_007 | 70_169 | 70_202 | 70_500
            | 90_992 | 90_994 | 90_995 | 91_000 => Again::MayBeDone,
            _ => Again::Never,
        }
    }
}

/// There was no answer.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", kind.text())]
#[non_exhaustive]
pub struct TransportError {
    /// What has happened.
    pub kind: TransportErrorKind,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl TransportError {
    /// An error of a driver.
    #[must_use]
    pub fn new(
        kind: TransportErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self { kind, source }
    }
}

/// What has happened to a request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// There was no connection: nothing was sent.
    NotConnected,
    /// The connection broke.
    Interrupted,
    /// The answer did not come in time.
    TimedOut,
    /// The answer is longer than [`MAX_ANSWER`](crate::MAX_ANSWER).
    TooLong,
}

impl TransportErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::NotConnected => "the server cannot be reached",
            Self::Interrupted => "the connection broke before there was an answer",
            Self::TimedOut => "there was no answer in time",
            Self::TooLong => "the answer is too long",
        }
    }
}
