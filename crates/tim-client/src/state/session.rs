//! The login: its stage, whether calls are accepted, and the UserSigs of a session that is being renewed.

use tim_proto::ErrorCode;
use tim_transport_std::session::NetState;

use crate::ImError;

/// How far the login has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There was no login.
    New,
    /// The hub's first response is due.
    LoggingIn,
    /// Logged in, or reconnecting.
    LoggedIn,
    /// The session has ended, with this code.
    Ended(ErrorCode),
}

/// Whether calls are accepted, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) stage: Stage,
    /// From SDK_READY to SDK_NOT_READY.
    pub(crate) ready: bool,
}

impl Status {
    pub(crate) const NEW: Self = Self {
        stage: Stage::New,
        ready: false,
    };

    /// The code with which a call is refused while the client is not ready.
    pub(crate) const fn refusal(self) -> ErrorCode {
        match self.stage {
            Stage::New => ErrorCode::USER_NOT_LOGGED_IN,
            Stage::LoggingIn => ErrorCode::LOGGING_IN,
            Stage::LoggedIn => ErrorCode::SDK_IS_NOT_READY,
            Stage::Ended(code) => code,
        }
    }
}

/// What is known about the session itself.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) status: Status,
    /// The session takes requests. The application learns of it later, behind what waited at the hub.
    pub(super) takes_requests: bool,
    /// A login call waits for its result.
    pub(super) login_pending: bool,
    pub(super) account: u64,
    pub(super) nick: String,
    pub(super) user_sigs: UserSigs,
    /// The connection state that was published last.
    net: Option<NetState>,
    /// Why the last attempt to log in failed, if anything answered.
    turned_away: Option<ImError>,
}

impl SessionState {
    pub(super) fn new() -> Self {
        Self {
            status: Status::NEW,
            takes_requests: false,
            login_pending: false,
            account: 0,
            nick: String::new(),
            user_sigs: UserSigs::default(),
            net: None,
            turned_away: None,
        }
    }

    /// Records the connection state; returns whether it has changed.
    pub(super) fn set_net(&mut self, state: NetState) -> bool {
        self.net.replace(state) != Some(state)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.net == Some(NetState::Connected)
    }

    pub(super) fn begin_login(&mut self) {
        self.login_pending = true;
        self.turned_away = None;
        self.status.stage = Stage::LoggingIn;
    }

    /// An attempt to log in failed. Returns the error if the first login cannot succeed however often it is repeated: the
    /// peer is not a hub, or speaks another version.
    pub(super) fn turned_away(&mut self, error: ImError) -> Option<ImError> {
        let hopeless = matches!(error.code, ErrorCode::NOT_A_HUB | ErrorCode::UNSUPPORTED_VERSION);
        if self.login_pending && hopeless {
            return Some(error);
        }
        self.turned_away = Some(error);
        None
    }

    /// Why the login has timed out: the connection error, the hub's reason, or neither.
    pub(super) fn timeout_error(&mut self, connection_error: Option<String>) -> ImError {
        let timeout = |reason: &str| ImError::new(ErrorCode::NETWORK_TIMEOUT, reason);
        match (connection_error, self.turned_away.take()) {
            (Some(error), _) => timeout(&format!("the hub cannot be reached: {error}")),
            (None, Some(reason)) => reason,
            (None, None) => timeout("the peer accepts connections but does not respond as a hub does"),
        }
    }
}

/// The UserSigs of a session that is being renewed.
#[derive(Default)]
pub(super) struct UserSigs {
    /// The one that the application has set last.
    newest: String,
    /// The one that the hub has accepted, if the application has set another since the login.
    accepted: Option<String>,
}

impl std::fmt::Debug for UserSigs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // UserSigs are credentials and stay out of logs.
        f.debug_struct("UserSigs").finish_non_exhaustive()
    }
}

impl UserSigs {
    /// The next login uses `user_sig` instead of `replaced`.
    pub(super) fn set(&mut self, user_sig: String, replaced: String, ready: bool) {
        if ready {
            self.accepted.get_or_insert(replaced);
        }
        self.newest = user_sig;
    }

    pub(super) fn accepted(&mut self, user_sig: String) {
        self.accepted = Some(user_sig);
    }

    /// The hub has refused to renew the session with `user_sig`. Returns the UserSig to go back to: a refused one must not
    /// be presented at the next login, which would end the session that the earlier one still keeps alive.
    pub(super) fn refused(&mut self, user_sig: &str) -> Option<String> {
        let fallback = self.accepted.clone().filter(|_| self.newest == user_sig)?;
        self.newest.clone_from(&fallback);
        Some(fallback)
    }
}
