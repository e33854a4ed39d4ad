//! Apple's push service: HTTP/2, with a token that is signed with the operator's key.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tim_proto::request::PushPlatform;
use tim_transport_std::tls::ClientTls;
use tracing::error;

use super::fitting::{digest, fitting};
use super::notification::{Notification, PushError, PushSink, Sending};
use super::signing::SigningKey;
use crate::clock::Clock;
use crate::outgoing::{Head, Http2Client};
use crate::threads::lock;

/// The longest payload that is taken.
const MAX_PAYLOAD: usize = 4096;
/// The longest identifier under which a later notification replaces an earlier one.
const MAX_COLLAPSE_ID: usize = 64;
/// The most hexadecimal digits of a token. Today's have 64 or 160; their length may change.
const MAX_TOKEN: usize = 256;
/// How long a signed token is used, in seconds. It must be younger than an hour, and is not to be signed more often than every 20 minutes.
const TOKEN_LIFE: u64 = 45 * 60;
const TOKEN_LEAST: u64 = 20 * 60;
/// When it is tried again what needs the operator.
const AFTER_SETTINGS: Duration = Duration::from_secs(60);

/// The key with which a hub says who it is: from the developer account, under "Keys".
#[derive(Debug)]
pub struct ApnsKey {
    key: SigningKey,
    key_id: String,
    team_id: String,
}

impl ApnsKey {
    /// The text of the `.p8` file, the id of the key, and that of the team, of ten letters and digits each.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(pem: &str, key_id: impl Into<String>, team_id: impl Into<String>) -> Result<Self, String> {
        let (key_id, team_id) = (key_id.into(), team_id.into());
        for (what, id) in [("key", &key_id), ("team", &team_id)] {
            if id.is_empty() || id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(format!(
                    "the id of the {what} is {id:?}: it has ten letters and digits, as the developer account shows it"
                ));
            }
        }
        Ok(Self {
            key: SigningKey::from_pem(pem)?,
            key_id,
            team_id,
        })
    }

    fn sign(&self, now: u64) -> Result<HeaderValue, String> {
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let jwt = self.key.jwt(&header, &json!({"iss": self.team_id, "iat": now}))?;
        let mut value = HeaderValue::try_from(format!("bearer {jwt}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// How [`Apns`] reaches the push service.
#[derive(Debug)]
#[non_exhaustive]
pub struct ApnsOptions {
    /// The key.
    pub key: ApnsKey,
    /// The application: its bundle id.
    pub topic: String,
    /// The server: [`Apns::PRODUCTION`], [`Apns::SANDBOX`] or another URL. Default: production.
    pub url: String,
    /// Which servers are trusted. Default: those that the system trusts.
    pub tls: ClientTls,
}

impl ApnsOptions {
    /// The defaults, for an application.
    #[must_use]
    pub fn new(key: ApnsKey, topic: impl Into<String>) -> Self {
        Self {
            key,
            topic: topic.into(),
            url: Apns::PRODUCTION.to_owned(),
            tls: ClientTls::new().with_tls12(),
        }
    }
}

/// Sends notifications to Apple's push service, for [`PushPlatform::IOS`].
///
/// The id of a notification is its `apns-collapse-id`, so that one that is sent again replaces the first on the screen. It is kept for a
/// device that is switched off until [`Notification::expires`].
pub struct Apns {
    client: Http2Client,
    topic: HeaderValue,
    clock: Clock,
    signed: Mutex<Signed>,
    /// The operator was told that settings are wrong, and nothing was taken since.
    is_said: AtomicBool,
}

struct Signed {
    key: Arc<ApnsKey>,
    /// What was signed, and when.
    token: Option<(HeaderValue, u64)>,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    TokenUnknown,
    Refused,
    /// The signed token is too old.
    Expired,
    /// For this phone, and no other.
    NotTaken,
    Later,
    /// The operator has to change something.
    Settings,
}

impl Apns {
    /// The server for applications from the App Store and TestFlight.
    pub const PRODUCTION: &'static str = "https://api.push.apple.com";
    /// The server for applications that are being developed.
    pub const SANDBOX: &'static str = "https://api.sandbox.push.apple.com";

    /// Connects with the first notification. The clock is for what is signed.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub fn new(options: ApnsOptions, clock: Clock) -> Result<Self, String> {
        let topic = options.topic.trim();
        if topic.is_empty() || !topic.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "the topic is {topic:?}: it is the bundle id of the application, such as com.example.chat"
            ));
        }
        Ok(Self {
            client: Http2Client::new(&options.url, &options.tls)?,
            topic: HeaderValue::from_str(topic).map_err(|error| error.to_string())?,
            clock,
            signed: Mutex::new(Signed {
                key: Arc::new(options.key),
                token: None,
            }),
            is_said: AtomicBool::new(false),
        })
    }

    /// Signs with another key from now on.
    pub fn set_key(&self, key: ApnsKey) {
        *lock(&self.signed) = Signed {
            key: Arc::new(key),
            token: None,
        };
        self.is_said.store(false, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.clock.wall_ms() / 1000
    }

    /// What says who the hub is.
    fn bearer(&self) -> Result<HeaderValue, String> {
        let (now, mut signed) = (self.now(), lock(&self.signed));
        if let Some((token, since)) = &signed.token
            && (*since..since.saturating_add(TOKEN_LIFE)).contains(&now)
        {
            return Ok(token.clone());
        }
        let token = signed.key.sign(now)?;
        signed.token = Some((token.clone(), now));
        Ok(token)
    }

    /// The server takes this token no more. Whether another one may be signed now, or is there.
    fn renew(&self, used: &HeaderValue) -> bool {
        let (now, mut signed) = (self.now(), lock(&self.signed));
        match &signed.token {
            Some((token, since)) if token == used => {
                let may = now >= since.saturating_add(TOKEN_LEAST);
                if may {
                    signed.token = None;
                }
                may
            }
            _ => true,
        }
    }

    async fn deliver(&self, notification: &Notification) -> Result<(), PushError> {
        if checked(&notification.token).is_err() {
            return Err(PushError::TokenUnknown);
        }
        let body = fitting(notification, MAX_PAYLOAD, payload)
            .ok_or_else(|| PushError::Refused(format!("it has more than {MAX_PAYLOAD} bytes")))?;
        let path = format!("/3/device/{}", notification.token);
        let mut renewed = false;
        loop {
            let token = self.bearer().map_err(PushError::unavailable)?;
            let headers = self.headers(notification, token.clone())?;
            let posted = self.client.post(&path, &headers, body.clone().into()).await;
            let (head, answer) = posted.map_err(PushError::unavailable)?;
            let reason = reason(&answer);
            match outcome(head.status.as_u16(), &reason) {
                Outcome::Expired if !renewed && self.renew(&token) => renewed = true,
                outcome => return self.result(outcome, head, &reason),
            }
        }
    }

    fn headers(
        &self,
        notification: &Notification,
        token: HeaderValue,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, PushError> {
        let name = HeaderName::from_static;
        let id = &notification.id;
        let collapse = match id.len() {
            1..=MAX_COLLAPSE_ID => id.clone(),
            _ => hex(&digest(notification)),
        };
        let collapse =
            HeaderValue::try_from(collapse).map_err(|error| PushError::Refused(error.to_string()))?;
        let uuid = HeaderValue::try_from(uuid(notification));
        Ok(vec![
            (AUTHORIZATION, token),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (name("apns-topic"), self.topic.clone()),
            (name("apns-push-type"), HeaderValue::from_static("alert")),
            (name("apns-priority"), HeaderValue::from_static("10")),
            (name("apns-expiration"), HeaderValue::from(notification.expires)),
            (name("apns-collapse-id"), collapse),
            (
                name("apns-id"),
                uuid.map_err(|error| PushError::Refused(error.to_string()))?,
            ),
        ])
    }

    fn result(&self, outcome: Outcome, head: Head, reason: &str) -> Result<(), PushError> {
        let what = || format!("it answers {} {reason}", head.status.as_u16());
        match outcome {
            Outcome::Taken => {
                self.is_said.store(false, Ordering::Relaxed);
                Ok(())
            }
            Outcome::TokenUnknown => Err(PushError::TokenUnknown),
            Outcome::Refused => Err(PushError::Refused(what())),
            Outcome::NotTaken => Err(PushError::NotTaken {
                what: what(),
                retry_after: head.retry_after,
            }),
            Outcome::Later => Err(PushError::Unavailable {
                what: what(),
                retry_after: head.retry_after,
            }),
            Outcome::Expired | Outcome::Settings => {
                if !self.is_said.swap(true, Ordering::Relaxed) {
                    error!(
                        reason,
                        "Apple's push service rejects the hub's credentials: {}",
                        advice(reason)
                    );
                }
                Err(PushError::Unavailable {
                    what: what(),
                    retry_after: Some(AFTER_SETTINGS),
                })
            }
        }
    }
}

impl PushSink for Apns {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(self.deliver(notification))
    }

    fn token<'a>(&self, _: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        checked(token)
    }

    fn name(&self) -> &str {
        "APNs"
    }
}

impl fmt::Debug for Apns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apns")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// A token in lower case.
fn checked(token: &str) -> Result<Cow<'_, str>, String> {
    let is_token = !token.is_empty()
        && token.len() <= MAX_TOKEN
        && token.len().is_multiple_of(2)
        && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_token {
        return Err(format!(
            "a token of Apple's push service is an even number of hexadecimal digits, at most {MAX_TOKEN}"
        ));
    }
    match token.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Ok(token.to_ascii_lowercase().into()),
        false => Ok(token.into()),
    }
}

/// The payload, with this text.
fn payload(notification: &Notification, text: &str) -> String {
    let mut aps = json!({
        "alert": {"title": notification.title, "body": text},
        "sound": "default",
        // An extension of the application may change what is shown.
        "mutable-content": 1,
        "thread-id": notification.conversation.to_string(),
    });
    if let Some(badge) = notification.badge {
        aps["badge"] = badge.into();
    }
    let payload = json!({
        "aps": aps,
        "ext": notification.extension,
        "conversation": notification.conversation.to_string(),
        "sequence": notification.sequence,
        "message": notification.message.to_string(),
        "sender": notification.sender.as_str(),
    });
    payload.to_string()
}

/// A UUID, of version 8, which is the same each time.
fn uuid(notification: &Notification) -> String {
    let mut bytes = digest(notification);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| digits.get(part).unwrap_or_default()).join("-")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reason in an answer; empty without one.
fn reason(answer: &[u8]) -> String {
    let answer: Option<Value> = serde_json::from_slice(answer).ok();
    let reason = answer.and_then(|answer| answer["reason"].as_str().map(str::to_owned));
    reason.unwrap_or_default()
}

fn outcome(status: u16, reason: &str) -> Outcome {
    match (status, reason) {
        (200..=299, _) => Outcome::Taken,
        (410, _) | (400, "BadDeviceToken") => Outcome::TokenUnknown,
        (403, "ExpiredProviderToken") => Outcome::Expired,
        (401 | 403, _) | (400, "BadTopic" | "MissingTopic" | "TopicDisallowed") => Outcome::Settings,
        (429, "TooManyRequests") => Outcome::NotTaken,
        (429 | 500.., _) | (400, "IdleTimeout") => Outcome::Later,
        _ => Outcome::Refused,
    }
}

/// What the operator can do.
fn advice(reason: &str) -> &'static str {
    match reason {
        "ExpiredProviderToken" => "set the clock of this machine",
        "InvalidProviderToken" | "MissingProviderToken" => {
            "check that the key, its id and the id of the team belong together, and that the key was not revoked"
        }
        "BadTopic" | "MissingTopic" | "TopicDisallowed" => {
            "check that the topic is the bundle id of an application of the team"
        }
        "BadEnvironmentKeyInToken" => "the key is for the other server, production or sandbox",
        _ => "check the key, its id, the id of the team and the topic",
    }
}
