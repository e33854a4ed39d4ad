//! The settings that can be changed while the hub runs.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::options::HubOptions;
use tim_proto::UserId;
use tim_store::{FileQuota, Quota};
use tim_usersig::{App, Claims, UserSig, UserSigError};

/// A clock that was wrong proves no time before it has been right for longer.
const LONGEST_USE_INTERVAL_MS: u64 = 12 * 60 * 60 * 1000;

/// The current settings that [`Hub::reload`](crate::Hub::reload) changes.
#[derive(Debug)]
pub(crate) struct Settings {
    app: RwLock<App>,
    former_app: RwLock<Option<App>>,
    retention_s: AtomicU64,
    revoke_window_s: AtomicU64,
    sends_per_second: AtomicU32,
    requests_per_second: AtomicU32,
    address_requests_per_second: AtomicU32,
    max_devices: AtomicUsize,
    max_account_bytes: AtomicU64,
    max_conversations: AtomicU64,
    max_account_file_bytes: AtomicU64,
    max_account_files: AtomicU64,
    unused_account_life_ms: AtomicU64,
    #[cfg(feature = "rest")]
    admins: RwLock<Vec<UserId>>,
    #[cfg(feature = "rest")]
    rest_calls_per_second: AtomicU32,
}

impl Settings {
    pub(crate) fn new(options: &HubOptions) -> Self {
        let settings = Self {
            app: RwLock::new(options.app.clone()),
            former_app: RwLock::new(options.former_app.clone()),
            retention_s: AtomicU64::default(),
            revoke_window_s: AtomicU64::default(),
            sends_per_second: AtomicU32::default(),
            requests_per_second: AtomicU32::default(),
            address_requests_per_second: AtomicU32::default(),
            max_devices: AtomicUsize::default(),
            max_account_bytes: AtomicU64::default(),
            max_conversations: AtomicU64::default(),
            max_account_file_bytes: AtomicU64::default(),
            max_account_files: AtomicU64::default(),
            unused_account_life_ms: AtomicU64::default(),
            #[cfg(feature = "rest")]
            admins: RwLock::default(),
            #[cfg(feature = "rest")]
            rest_calls_per_second: AtomicU32::default(),
        };
        settings.set(options);
        settings
    }

    pub(crate) fn set(&self, options: &HubOptions) {
        self.app
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&options.app);
        self.former_app
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&options.former_app);
        let limits = &options.limits;
        self.retention_s
            .store(limits.retention_seconds(), Ordering::Relaxed);
        self.revoke_window_s
            .store(limits.revoke_window_seconds(), Ordering::Relaxed);
        self.sends_per_second
            .store(options.sends_per_second, Ordering::Relaxed);
        self.requests_per_second
            .store(options.requests_per_second, Ordering::Relaxed);
        self.address_requests_per_second
            .store(options.address_requests_per_second, Ordering::Relaxed);
        self.max_devices.store(options.max_devices, Ordering::Relaxed);
        self.max_account_bytes
            .store(options.max_account_bytes, Ordering::Relaxed);
        self.max_conversations
            .store(options.max_conversations, Ordering::Relaxed);
        self.max_account_file_bytes
            .store(options.max_account_file_bytes, Ordering::Relaxed);
        self.max_account_files
            .store(options.max_account_files, Ordering::Relaxed);
        let life_ms = options.unused_account_life.as_millis();
        self.unused_account_life_ms
            .store(u64::try_from(life_ms).unwrap_or(u64::MAX), Ordering::Relaxed);
        #[cfg(feature = "rest")]
        {
            self.admins
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .clone_from(&options.admins);
            self.rest_calls_per_second
                .store(options.rest_calls_per_second, Ordering::Relaxed);
        }
    }

    /// The application whose UserSigs let users in.
    pub(crate) fn app(&self) -> App {
        self.app.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same with its former key, while that is replaced.
    pub(crate) fn former_app(&self) -> Option<App> {
        let former = self.former_app.read();
        former.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Verifies the UserSig of a user.
    pub(crate) fn verify(&self, user: &UserId, user_sig: &str, now_s: u64) -> Result<Claims, UserSigError> {
        UserSig::verify_for(&self.app(), user, user_sig, now_s).or_else(|error| {
            let former = self.former_app();
            let claims = former.and_then(|app| UserSig::verify_for(&app, user, user_sig, now_s).ok());
            claims.ok_or(error)
        })
    }

    /// Whether somebody may call the REST interface.
    #[cfg(feature = "rest")]
    pub(crate) fn has_admins(&self) -> bool {
        !self
            .admins
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Whether this user may call it.
    #[cfg(feature = "rest")]
    pub(crate) fn is_admin(&self, user: &UserId) -> bool {
        self.admins
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(user)
    }

    #[cfg(feature = "rest")]
    pub(crate) fn rest_calls_per_second(&self) -> u32 {
        self.rest_calls_per_second.load(Ordering::Relaxed)
    }

    pub(crate) fn retention_ms(&self) -> u64 {
        self.retention_s.load(Ordering::Relaxed).saturating_mul(1000)
    }

    pub(crate) fn revoke_window_ms(&self) -> u64 {
        self.revoke_window_s.load(Ordering::Relaxed).saturating_mul(1000)
    }

    pub(crate) fn sends_per_second(&self) -> u32 {
        self.sends_per_second.load(Ordering::Relaxed)
    }

    pub(crate) fn requests_per_second(&self) -> u32 {
        self.requests_per_second.load(Ordering::Relaxed)
    }

    pub(crate) fn address_requests_per_second(&self) -> u32 {
        self.address_requests_per_second.load(Ordering::Relaxed)
    }

    /// What an account may take up of the store.
    pub(crate) fn quota(&self) -> Quota {
        Quota {
            bytes: limit(&self.max_account_bytes),
            conversations: limit(&self.max_conversations),
        }
    }

    /// What the files of an account may take up.
    pub(crate) fn file_quota(&self) -> FileQuota {
        FileQuota {
            bytes: limit(&self.max_account_file_bytes),
            files: limit(&self.max_account_files),
        }
    }

    /// How long an account is kept that was never used for anything; `None` for ever.
    pub(crate) fn unused_account_life_ms(&self) -> Option<u64> {
        Some(self.unused_account_life_ms.load(Ordering::Relaxed)).filter(|life_ms| *life_ms > 0)
    }

    /// After how long the store is told again that somebody who is online uses an account: often enough that it is never taken for one
    /// that is not used.
    pub(crate) fn use_interval_ms(&self) -> Option<u64> {
        self.unused_account_life_ms()
            .map(|life_ms| (life_ms / 4).min(LONGEST_USE_INTERVAL_MS))
    }

    pub(crate) fn max_devices(&self) -> usize {
        self.max_devices.load(Ordering::Relaxed)
    }
}

/// A limit; 0 is none.
fn limit(setting: &AtomicU64) -> u64 {
    match setting.load(Ordering::Relaxed) {
        0 => u64::MAX,
        limit => limit,
    }
}
