//! Who calls: writes requests, without I/O and without a clock.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use tim_proto::UserId;
use tim_usersig::{App, UserSig};

use crate::answer::{Command, Request};
use crate::driver::HttpRequest;
use crate::error::Error;

/// How long a UserSig is good, and how long before its end another one is made, in seconds.
const VALID_S: u64 = 3_600;
const MARGIN_S: u64 = 300;

/// An administrator of an application at the address of a service: writes requests for any HTTP client. It makes the UserSigs that are
/// in them, and another one before one expires.
///
/// [`Client`](crate::Client) uses it with a [`Driver`](crate::Driver). By itself it serves blocking HTTP clients:
///
/// ```
/// use tim_rest::{Administrator, CheckAccounts, HttpResponse, read_response};
///
/// # fn main() -> Result<(), tim_rest::Error> {
/// let administrator = Administrator::new("https://console.tim.qq.com", 1_400_000_000, "administrator", "the app key")?;
/// let post = administrator.post(&CheckAccounts::new(["bob"]), 1_705_307_415, 42)?; // the time, and any random number
/// assert!(post.url.starts_with("https://console.tim.qq.com/v4/im_open_login_svc/account_check?sdkappid=1400000000&"));
/// assert_eq!(post.body, br#"{"CheckItem":[{"UserID":"bob"}]}"#);
/// // Post it, and then:
/// let answer = HttpResponse::new(200, br#"{"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0,
///     "ResultItem": [{"UserID": "bob", "ResultCode": 0, "ResultInfo": "", "AccountStatus": "Imported"}]}"#);
/// assert!(read_response::<CheckAccounts>(&answer)?.accounts[0].is_imported());
/// # Ok(())
/// # }
/// ```
pub struct Administrator {
    base: String,
    app: App,
    user: UserId,
    /// The last UserSig, and when it was issued.
    signed: Mutex<Option<(u64, String)>>,
}

impl Administrator {
    /// An administrator of an application. `base` is the address of the service, such as `https://console.tim.qq.com`, with or without the
    /// `/v4` at its end; without TLS only loopback addresses are accepted, because each call has an administrator's UserSig in it.
    ///
    /// # Errors
    /// [`Error::Setup`] for what cannot be an address, a user id or an app key.
    pub fn new(base: &str, app_id: u32, user: &str, key: &str) -> Result<Self, Error> {
        Self::with(base, App::new(app_id, key), user, false)
    }

    pub(crate) fn with(base: &str, app: App, user: &str, allows_plaintext: bool) -> Result<Self, Error> {
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/v4").unwrap_or(base);
        check_base(base, allows_plaintext)?;
        let user = UserId::new(user)
            .map_err(|error| Error::setup(format!("the administrator is not a user id: {error}")))?;
        if app.key_len() == 0 {
            return Err(Error::setup("the app key is empty"));
        }
        Ok(Self {
            base: base.to_owned(),
            app,
            user,
            signed: Mutex::new(None),
        })
    }

    /// Writes a request. `now_s` is the time, in Unix seconds. Complete the request yourself if
    /// [it needs that](Request::complete).
    ///
    /// # Errors
    /// [`Error::Setup`] if it cannot be written as JSON.
    pub fn post<R: Request>(&self, request: &R, now_s: u64, random: u32) -> Result<HttpRequest, Error> {
        let command = Command::of::<R>();
        let body = serde_json::to_vec(request)
            .map_err(|error| Error::setup(format!("the request cannot be written: {error}")))?;
        Ok(HttpRequest::new(self.url(&command, now_s, random), body))
    }

    pub(crate) fn url(&self, command: &Command<'_>, now_s: u64, random: u32) -> String {
        let (app, user, user_sig) = (
            self.app.id,
            encoded(self.user.as_str()),
            encoded(&self.user_sig(now_s)),
        );
        let (base, service, name) = (&self.base, command.service, command.name);
        format!(
            "{base}/v4/{service}/{name}?sdkappid={app}&identifier={user}&usersig={user_sig}&random={random}&contenttype=json"
        )
    }

    /// The next request gets another UserSig. A [`Client`](crate::Client) does this by itself when the service answers 70001 or 70052: the
    /// UserSig has expired by the service's clock, or is void since the administrator was kicked out.
    pub fn forget_user_sig(&self) {
        *self.signed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn user_sig(&self, now_s: u64) -> String {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*signed {
            // A clock that was set back makes another one, too.
            Some((issued, user_sig))
                if (*issued..issued.saturating_add(VALID_S - MARGIN_S)).contains(&now_s) =>
            {
                user_sig.clone()
            }
            _ => {
                let user_sig = UserSig::sign(&self.app, &self.user, now_s, VALID_S);
                *signed = Some((now_s, user_sig.clone()));
                user_sig
            }
        }
    }
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator")
            .field("base", &self.base)
            .field("app", &self.app.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Checks the address of a service.
fn check_base(base: &str, allows_plaintext: bool) -> Result<(), Error> {
    let wrong = |what: &str| {
        let how = "write https:// and a host, such as https://console.tim.qq.com";
        Error::setup(format!(
            "this is not the address of a REST interface, {what}: {how}"
        ))
    };
    let (is_plain, rest) = match (base.strip_prefix("https://"), base.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(wrong("it does not begin with https:// or http://")),
    };
    let is_part_of_url = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@');
    if !rest.bytes().all(is_part_of_url) {
        return Err(wrong("it has a character that cannot be in it"));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match is_plain && !is_loopback && !allows_plaintext {
        true => Err(Error::setup(
            "http:// beyond this machine would show an administrator's UserSig to the network: use https://, or Builder::allow_plaintext",
        )),
        false => Ok(()),
    }
}

/// A value of a query, percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            // Writing to a string does not fail.
            _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
        }
    }
    encoded
}
