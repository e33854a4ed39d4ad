//! A session lasts as long as the UserSig that began it, or the one that renewed it.

use std::time::Duration;

use tim_proto::ErrorCode;
use tim_proto::request::{AnyResponse as Answer, Expiring, RenewResponse};
use tim_proto::wire::FrameKind;
use tim_session::Instant;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::usersig::UserSig;

/// How long before the end the device is told; of a shorter time, when half of it is left.
const WARNING_MS: u64 = 5 * 60 * 1000;

/// When a session ends. Counted on the steady clock from the moment when the UserSig was checked: a wall clock that jumps
/// ends nobody's session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    expires_s: u64,
    end_ms: u64,
    /// When the device is to be told; `None` once it has been.
    warn_ms: Option<u64>,
}

impl Expiry {
    pub(crate) const NEVER: Self = Self {
        expires_s: 0,
        end_ms: u64::MAX,
        warn_ms: None,
    };

    pub(crate) fn at(hub: &Services, expires_s: u64) -> Self {
        let left_ms = expires_s.saturating_mul(1000).saturating_sub(hub.now_ms());
        let end_ms = hub.steady_ms().saturating_add(left_ms);
        Self {
            expires_s,
            end_ms,
            warn_ms: Some(end_ms.saturating_sub(WARNING_MS.min(left_ms / 2))),
        }
    }

    /// The next moment at which something is to be done, on the steady clock.
    const fn next_ms(&self) -> u64 {
        match self.warn_ms {
            Some(warn_ms) => warn_ms,
            None => self.end_ms,
        }
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Warns of the end of the UserSig, and ends the session then; whether anything was done.
    pub(crate) fn watch_expiry(&mut self) -> bool {
        if !self.io.session().is_online() {
            return false;
        }
        let Some(me) = &mut self.me else { return false };
        let now_ms = self.hub.steady_ms();
        if now_ms >= me.expiry.end_ms {
            me.expiry = Expiry::NEVER;
            self.goodbye(ErrorCode::KICKED_OUT_USERSIG_EXPIRED, "");
            return true;
        }
        if me.expiry.warn_ms.is_none_or(|warn_ms| now_ms < warn_ms) {
            return false;
        }
        let left_ms = me.expiry.end_ms - now_ms;
        let expiring = Expiring {
            expires: me.expiry.expires_s,
            seconds: u32::try_from(left_ms / 1000).unwrap_or(u32::MAX),
        };
        if self.io.session().push(FrameKind::EXPIRING, &expiring).is_err() {
            return false; // when there is room
        }
        me.expiry.warn_ms = None;
        true
    }

    /// When to look again: the session's next moment, or that of the UserSig.
    pub(crate) fn next_wake(&mut self) -> Option<Instant> {
        let Some(me) = self.me.as_ref().filter(|_| !self.closing()) else {
            return self.wake();
        };
        let left_ms = me.expiry.next_ms().saturating_sub(self.hub.steady_ms());
        // What is far away is looked at again before it is due.
        let left = Duration::from_millis(left_ms.clamp(1, WARNING_MS));
        let expiry = self.io.now() + left;
        Some(self.wake().map_or(expiry, |wake| wake.min(expiry)))
    }

    /// The device has a newer UserSig.
    pub(crate) fn renew(&mut self, id: u32, user_sig: &str) -> Result<(), Refusal> {
        let Some(me) = &mut self.me else {
            return Err(Refusal::new(ErrorCode::USER_NOT_LOGGED_IN, ""));
        };
        let now_s = self.hub.now_ms() / 1000;
        let claims = UserSig::verify_for(&self.hub.settings.app(), &me.device.user, user_sig, now_s)
            .map_err(|error| Refusal::new(ErrorCode(error.code()), error.to_string()))?;
        me.expiry = Expiry::at(&self.hub, claims.expires);
        let expires = claims.expires;
        self.reply(id, FrameKind::RENEW, &Answer::Renew(RenewResponse { expires }));
        Ok(())
    }
}
