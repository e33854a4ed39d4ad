//! Signed URLs of files: the message and the part, the user, and the time of expiry, signed with the app key.
//!
//! A URL names the user for whom it was made, and each request checks that this user may read the message. The hub keeps no record of
//! URLs: they stay valid across restarts, until they expire or the app key changes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tim_proto::UserId;
use tim_proto::message::to_vec;
use tim_proto::request::FileUrl;
use tim_proto::wire::decode_body;
use tim_usersig::App;

/// The path of files.
pub(crate) const FILES: &str = "/files/";

/// The purpose of the signature.
const PURPOSE: &str = "tim file URL 1";
/// The length of a signature.
const SIGNATURE: usize = 32;
/// The maximum length of a token.
const MAX_TOKEN: usize = 1024;

/// The content of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileLink {
    /// The user who must be able to read the message.
    pub(crate) user: UserId,
    /// The message and the part of it, encoded.
    request: Vec<u8>,
    /// Unix time in seconds.
    pub(crate) expires: u64,
}

impl FileLink {
    pub(crate) fn new(user: UserId, request: &FileUrl, expires: u64) -> Self {
        let request = to_vec(request);
        Self {
            user,
            request,
            expires,
        }
    }

    /// The message and the part of it.
    pub(crate) fn request(&self) -> Option<FileUrl> {
        decode_body(&self.request).ok()
    }

    /// The time of expiry, the user after its length, the request, and a signature over all of them.
    pub(crate) fn to_token(&self, app: &App) -> String {
        let user = self.user.as_str().as_bytes();
        let mut bytes = self.expires.to_le_bytes().to_vec();
        bytes.push(u8::try_from(user.len()).unwrap_or_default());
        bytes.extend(user);
        bytes.extend(&self.request);
        let signature = app.sign_bytes(PURPOSE, &bytes);
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The content of a token, if its signature is valid.
    pub(crate) fn from_token(token: &str, app: &App) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        if !app.verify_bytes(PURPOSE, signed, signature) {
            return None;
        }
        let (expires, rest) = signed.split_first_chunk()?;
        let (len, rest) = rest.split_first()?;
        let (user, request) = rest.split_at_checked(usize::from(*len))?;
        Some(Self {
            user: UserId::new(std::str::from_utf8(user).ok()?).ok()?,
            request: request.to_vec(),
            expires: u64::from_le_bytes(*expires),
        })
    }
}

/// The prefix and the lifetime of this hub's URLs, once it serves HTTP.
#[derive(Debug, Default)]
pub(crate) struct FileUrls(Mutex<Option<Place>>);

#[derive(Debug)]
struct Place {
    base: String,
    life: Duration,
}

impl FileUrls {
    /// URLs begin with `base` and expire after `life`.
    pub(crate) fn set(&self, base: &str, life: Duration) {
        let base = base.trim_end_matches('/').to_owned();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Place { base, life });
    }

    /// A URL and its time of expiry, if the hub serves HTTP.
    pub(crate) fn url(
        &self,
        app: &App,
        user: UserId,
        request: &FileUrl,
        now_s: u64,
    ) -> Option<(String, u64)> {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Place { base, life } = place.as_ref()?;
        let expires = now_s.saturating_add(life.as_secs());
        let token = FileLink::new(user, request, expires).to_token(app);
        Some((format!("{base}{FILES}{token}"), expires))
    }
}

#[cfg(test)]
mod tests {
    use tim_proto::ConversationId;
    use tim_proto::request::FilePart;

    use super::*;

    #[test]
    fn a_token_says_what_was_signed_and_no_other_one_is_believed() {
        let app = App::new(1, "0123456789abcdef");
        let user = UserId::new("alice").unwrap();
        let request =
            FileUrl::new(ConversationId::C2c(UserId::new("bob").unwrap()), 7).with_part(FilePart::LARGE);
        let link = FileLink::new(user, &request, 99);
        let token = link.to_token(&app);
        let read = FileLink::from_token(&token, &app).unwrap();
        assert_eq!(read, link);
        let found = read.request().unwrap();
        assert_eq!((found.sequence, found.part), (7, FilePart::LARGE));
        assert_eq!(
            FileLink::from_token(&token, &App::new(1, "0123456789abcdeg")),
            None
        );
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                FileLink::from_token(std::str::from_utf8(&other).unwrap(), &app),
                None
            );
            assert_eq!(FileLink::from_token(&token[..at], &app), None);
        }
        assert_eq!(FileLink::from_token(&"A".repeat(100_000), &app), None);
    }
}
