#![doc = include_str!("../README.md")]

mod signed_claims;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tim_proto::UserId;

use signed_claims::SignedClaims;

/// The longest UserSig that is verified, in bytes; real ones have about 250.
pub const MAX_SIG_LEN: usize = 4096;
/// The most bytes that a UserSig may inflate to. Inflating stops there.
pub const MAX_INFLATED_LEN: usize = 8192;

/// An application: its number (`SDKAppID`) and the secret key that signs its users' UserSigs.
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
        // HMAC takes a key of any length, so the error cannot occur.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes())
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(content.as_bytes());
        mac
    }

    /// A signature for something else than a UserSig, which `purpose` names: what is signed for one purpose is not for another.
    #[must_use]
    pub fn sign_bytes(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.mac_of(purpose, bytes).finalize().into_bytes().into()
    }

    /// Whether [`sign_bytes`](Self::sign_bytes) of an application with this key has signed it. How long that takes tells nothing.
    #[must_use]
    pub fn verify_bytes(&self, purpose: &str, bytes: &[u8], signature: &[u8]) -> bool {
        self.mac_of(purpose, bytes).verify_slice(signature).is_ok()
    }

    /// The content of a UserSig's signature has no byte 0.
    fn mac_of(&self, purpose: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac(purpose);
        mac.update(&[0]);
        mac.update(&(bytes.len() as u64).to_le_bytes());
        mac.update(bytes);
        mac
    }

    /// The length of the key in bytes. A short key can be guessed.
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

/// The decoded contents of a UserSig.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// The user it lets in.
    pub user: UserId,
    /// The application that it was made for.
    pub app: u64,
    /// When it was issued, in Unix seconds.
    pub issued: u64,
    /// When it expires, in Unix seconds.
    pub expires: u64,
    /// The signed extra bytes, if any (see [`PrivateMap`]).
    pub userbuf: Option<Vec<u8>>,
}

/// Why a UserSig is refused. [`code`](Self::code) is the number that clients see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserSigError {
    /// 70001: expired. The client must get a new one from its own server.
    #[error("the UserSig expired at {expired} (unix seconds); get a new one")]
    Expired {
        /// When, in unix seconds.
        expired: u64,
    },
    /// 70002: an empty string.
    #[error("the UserSig is empty")]
    Empty,
    /// 70003: not a UserSig, truncated, or damaged.
    #[error("the UserSig cannot be unpacked: {0}")]
    Malformed(&'static str),
    /// 70005: unpacks, but its fields are missing or invalid.
    #[error("the UserSig's content is invalid: {0}")]
    Invalid(&'static str),
    /// 70009: signed with another key, or altered.
    #[error("the UserSig was not signed with this application's key")]
    WrongKey,
    /// 70013: valid, but for another user.
    #[error("the UserSig belongs to {found}")]
    UserMismatch {
        /// The user it was issued to.
        found: UserId,
    },
    /// 70014: for another application.
    #[error("the UserSig is for application {found}")]
    AppMismatch {
        /// The application it was issued for.
        found: u64,
    },
}

impl UserSigError {
    /// The error code on the wire.
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

/// How far the signer's clock may be ahead of the verifier's, in seconds.
pub const MAX_AHEAD_S: u64 = 86_400;
/// The longest validity of a UserSig, in seconds: ten years with their leap days.
pub const MAX_VALID_S: u64 = 3_653 * 86_400;

/// An endless validity is usually a mistake in units: times are in seconds.
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

/// Signs and verifies UserSigs.
#[derive(Debug, Clone, Copy)]
pub struct UserSig;

impl UserSig {
    /// Signs a UserSig for `user`, valid for `expire_s` seconds from `now_s` (Unix seconds).
    #[must_use]
    pub fn sign(app: &App, user: &UserId, now_s: u64, expire_s: u64) -> String {
        SignedClaims::signed(app, user.as_str(), now_s, expire_s, None).pack()
    }

    /// Signs a UserSig that also carries rights in a TRTC room, as `genPrivateMapKey` does.
    #[must_use]
    pub fn sign_private_map(
        app: &App,
        user: &UserId,
        now_s: u64,
        expire_s: u64,
        map: &PrivateMap<'_>,
    ) -> String {
        let buf = map.to_bytes(app, user.as_str(), now_s.saturating_add(expire_s));
        SignedClaims::signed(app, user.as_str(), now_s, expire_s, Some(&buf)).pack()
    }

    /// Verifies application, signature and validity, and returns the claims.
    ///
    /// # Errors
    /// Any [`UserSigError`] except [`UserSigError::UserMismatch`].
    pub fn verify(app: &App, sig: &str, now_s: u64) -> Result<Claims, UserSigError> {
        let signed = SignedClaims::unpack(sig)?;
        if signed.app != u64::from(app.id) {
            return Err(UserSigError::AppMismatch { found: signed.app });
        }
        let mac = STANDARD
            .decode(&signed.sig)
            .map_err(|_| UserSigError::Invalid("TLS.sig is not base64"))?;
        // Compares in constant time.
        app.mac(&signed.content())
            .verify_slice(&mac)
            .map_err(|_| UserSigError::WrongKey)?;
        let claims = signed.claims()?;
        check_dates(&claims, now_s)?;
        if now_s >= claims.expires {
            return Err(UserSigError::Expired {
                expired: claims.expires,
            });
        }
        Ok(claims)
    }

    /// Like [`verify`](Self::verify), and also requires the UserSig to be for `user`.
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

    /// Decodes the claims **without verifying** the signature: for tools and diagnostics.
    ///
    /// # Errors
    /// [`UserSigError::Empty`], [`UserSigError::Malformed`] or [`UserSigError::Invalid`].
    pub fn inspect(sig: &str) -> Result<Claims, UserSigError> {
        SignedClaims::unpack(sig)?.claims()
    }
}

/// The TRTC room of a [`PrivateMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrtcRoom<'a> {
    /// A numbered room.
    Number(u32),
    /// A named room, at most 65,535 bytes (longer names are cut).
    Name(&'a str),
}

/// Rights in a TRTC room, carried and signed in the `userbuf` of a UserSig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivateMap<'a> {
    /// The room.
    pub room: TrtcRoom<'a>,
    /// One bit per right.
    pub privileges: u32,
}

impl PrivateMap<'_> {
    fn to_bytes(self, app: &App, user: &str, expires: u64) -> Vec<u8> {
        let (version, number, name) = match self.room {
            TrtcRoom::Number(number) => (0, number, None),
            TrtcRoom::Name(name) => (1, 0, Some(name)),
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
