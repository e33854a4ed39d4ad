//! UserSig: the signed ticket with which a user logs in (TLSSigAPIv2).
//!
//! Whoever holds the application's key says "this user may log in until then" by signing four lines of text; the hub
//! holds the same key and checks. The ticket is JSON, deflated, in a URL-safe base64 of its own.
//!
//! ```
//! use tim_usersig::{App, UserSig, UserSigError};
//! let app = App::new(1_400_000_000, "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e");
//! let alice = "alice".parse()?;
//! let ticket = UserSig::sign(&app, &alice, 1_705_307_415, 86_400);
//!
//! let claims = UserSig::verify(&app, &ticket, 1_705_307_416)?;
//! assert_eq!(claims.user, alice);
//! let late = UserSig::verify(&app, &ticket, 1_705_307_415 + 86_400);
//! assert_eq!(late.map_err(|error| error.code()), Err(70_001));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ticket;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tim_proto::UserId;

use ticket::Ticket;

/// The longest ticket, in bytes, that is looked at; real ones have about 250.
pub const MAX_SIG_LEN: usize = 4096;
/// The most bytes that a ticket may inflate to; what wants more is refused before it is stored.
pub const MAX_INFLATED_LEN: usize = 8192;

/// An application: its number (`SDKAppID`) and the secret key that signs its users' tickets.
#[derive(Clone)]
pub struct App {
    /// The application's number.
    pub id: u32,
    key: String,
}

impl App {
    /// `key` is used as the text that the console shows; a hexadecimal key is not decoded.
    #[must_use]
    pub fn new(id: u32, key: impl Into<String>) -> Self {
        Self { id, key: key.into() }
    }

    fn mac(&self, content: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length; an empty one stands for the impossible error.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes())
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(content.as_bytes());
        mac
    }
}

impl App {
    /// How many bytes the key has; too few can be guessed.
    #[must_use]
    pub fn key_len(&self) -> usize {
        self.key.len()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("key", &"(secret)")
            .finish()
    }
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// Who may log in with it.
    pub user: UserId,
    /// The application that it was made for.
    pub app: u64,
    /// Unix time in seconds at which it was made.
    pub issued: u64,
    /// Unix time in seconds from which on it is void.
    pub expires: u64,
    /// The signed extra bytes, if any (see [`PrivateMap`]).
    pub userbuf: Option<Vec<u8>>,
}

/// Why a ticket does not let its bearer in. [`code`](Self::code) is the number that TIM clients know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserSigError {
    /// 70001: it was valid once. The client must get a new one from its own server.
    #[error("the UserSig expired at {expired} (unix seconds); get a new one")]
    Expired {
        /// When, in unix seconds.
        expired: u64,
    },
    /// 70002: an empty string.
    #[error("the UserSig is empty")]
    Empty,
    /// 70003: no ticket at all, or one that was cut short or damaged on its way.
    #[error("the UserSig cannot be unpacked: {0}")]
    Malformed(&'static str),
    /// 70005: unpacks well, but does not say what a ticket must say.
    #[error("the UserSig's content is invalid: {0}")]
    Invalid(&'static str),
    /// 70009: signed with another key, or altered afterwards.
    #[error("the UserSig was not signed with this application's key")]
    WrongKey,
    /// 70013: a good ticket, of somebody else.
    #[error("the UserSig belongs to {found}")]
    UserMismatch {
        /// Whose it is.
        found: UserId,
    },
    /// 70014: a ticket for another application.
    #[error("the UserSig is for application {found}")]
    AppMismatch {
        /// Which one.
        found: u64,
    },
}

impl UserSigError {
    /// The number that travels, as in TIM's list of error codes.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Expired { .. } => 70_001,
            Self::Empty => 70_002,
            Self::Malformed(_) => 70_003,
            Self::Invalid(_) => 70_005,
            Self::WrongKey => 70_009,
            Self::UserMismatch { .. } => 70_013,
            Self::AppMismatch { .. } => 70_014,
        }
    }
}

/// How far ahead of the checker's clock the signer's may be, in seconds.
pub const MAX_AHEAD_S: u64 = 86_400;
/// The longest time for which a ticket may be valid, in seconds: ten years and their leap days.
pub const MAX_VALID_S: u64 = 3_653 * 86_400;

/// A ticket that is good for ever is the sign of a slip: times are in seconds.
fn check_dates(claims: &Claims, now_s: u64) -> Result<(), UserSigError> {
    let latest = now_s.saturating_add(MAX_AHEAD_S);
    let dated = match claims.issued {
        issued if issued <= latest => None,
        // In seconds that is after the year 5138, in milliseconds after 1973.
        issued if issued >= 100_000_000_000 && issued / 1000 <= latest => {
            Some("TLS.time is in milliseconds; it is in seconds since 1970")
        }
        _ => Some("TLS.time is more than a day ahead; check the clock of the server that signed it"),
    };
    let fault = dated.or_else(|| {
        (claims.expires.saturating_sub(claims.issued) > MAX_VALID_S)
            .then_some("TLS.expire is more than ten years; it is in seconds, counted from TLS.time")
    });
    fault.map_or(Ok(()), |fault| Err(UserSigError::Invalid(fault)))
}

/// Makes and checks tickets.
#[derive(Debug, Clone, Copy)]
pub struct UserSig;

impl UserSig {
    /// A ticket for `user`, valid for `expire_s` seconds from `now_s` (unix seconds).
    #[must_use]
    pub fn sign(app: &App, user: &UserId, now_s: u64, expire_s: u64) -> String {
        Ticket::signed(app, user.as_str(), now_s, expire_s, None).pack()
    }

    /// A ticket that also carries rights in a room, as `genPrivateMapKey` makes it.
    #[must_use]
    pub fn sign_private_map(
        app: &App,
        user: &UserId,
        now_s: u64,
        expire_s: u64,
        map: &PrivateMap<'_>,
    ) -> String {
        let buf = map.to_bytes(app, user.as_str(), now_s.saturating_add(expire_s));
        Ticket::signed(app, user.as_str(), now_s, expire_s, Some(&buf)).pack()
    }

    /// Checks signature, application and time, in this order after unpacking; then says whose ticket it is.
    ///
    /// # Errors
    /// Any [`UserSigError`] but [`UserSigError::UserMismatch`]; the bearer of the ticket is at fault.
    pub fn verify(app: &App, sig: &str, now_s: u64) -> Result<Claims, UserSigError> {
        let ticket = Ticket::unpack(sig)?;
        if ticket.app != u64::from(app.id) {
            return Err(UserSigError::AppMismatch { found: ticket.app });
        }
        let mac = STANDARD
            .decode(&ticket.sig)
            .map_err(|_| UserSigError::Invalid("TLS.sig is not base64"))?;
        // Compares in constant time.
        app.mac(&ticket.content())
            .verify_slice(&mac)
            .map_err(|_| UserSigError::WrongKey)?;
        let claims = ticket.claims()?;
        check_dates(&claims, now_s)?;
        if now_s >= claims.expires {
            return Err(UserSigError::Expired {
                expired: claims.expires,
            });
        }
        Ok(claims)
    }

    /// As [`verify`](Self::verify), for somebody who says to be `user`.
    ///
    /// # Errors
    /// Also [`UserSigError::UserMismatch`].
    pub fn verify_for(app: &App, user: &UserId, sig: &str, now_s: u64) -> Result<Claims, UserSigError> {
        let claims = Self::verify(app, sig, now_s)?;
        if claims.user == *user {
            Ok(claims)
        } else {
            Err(UserSigError::UserMismatch { found: claims.user })
        }
    }

    /// What a ticket says, **without checking** that anybody signed it: for tools and error texts.
    ///
    /// # Errors
    /// [`UserSigError::Empty`], [`UserSigError::Malformed`] or [`UserSigError::Invalid`].
    pub fn inspect(sig: &str) -> Result<Claims, UserSigError> {
        Ticket::unpack(sig)?.claims()
    }
}

/// Which room a [`PrivateMap`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Room<'a> {
    /// A numbered room.
    Number(u32),
    /// A named room, at most 65,535 bytes (longer names are cut).
    Name(&'a str),
}

/// Rights in a room that a ticket carries, signed, as its `userbuf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivateMap<'a> {
    /// The room.
    pub room: Room<'a>,
    /// One bit per right.
    pub privileges: u32,
}

impl PrivateMap<'_> {
    fn to_bytes(self, app: &App, user: &str, expires: u64) -> Vec<u8> {
        let (version, number, name) = match self.room {
            Room::Number(number) => (0, number, None),
            Room::Name(name) => (1, 0, Some(name)),
        };
        let mut buf = vec![version];
        push_text(&mut buf, user);
        for word in [
            app.id,
            number,
            u32::try_from(expires).unwrap_or(u32::MAX),
            self.privileges,
            0,
        ] {
            buf.extend(word.to_be_bytes());
        }
        if let Some(name) = name {
            push_text(&mut buf, name);
        }
        buf
    }
}

fn push_text(buf: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    buf.extend(len.to_be_bytes());
    buf.extend(text.bytes().take(usize::from(len)));
}

#[cfg(test)]
mod tests;
