//! The push services of browsers: Web Push (RFC 8030), encrypted for the browser (RFC 8291), signed by the operator (VAPID, RFC 8292).

mod encryption;
mod subscription;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;
use tim_proto::request::PushPlatform;
use tim_transport_std::tls::ClientTls;
use tracing::error;

use super::fitting::{digest, fitting};
use super::notification::{Notification, PushError, PushSink, Sending};
use super::signing::SigningKey;
use crate::clock::Clock;
use crate::outgoing::{Head, HostsClient};
use crate::threads::lock;
use encryption::{Fault, MAX_TEXT, encrypt};
use subscription::{Hosts, Subscription};

/// How long a signed token is good, in seconds, and how long before its end another one is signed. At most a day is allowed.
const TOKEN_LIFE: u64 = 12 * 3600;
const TOKEN_RENEWED: u64 = 3600;
/// For how many push services signed tokens are kept.
const MAX_TOKENS: usize = 64;
/// The longest time that a push service is asked to keep a notification, in seconds.
const MAX_TTL: u64 = 28 * 24 * 3600;

/// The key with which a hub says who it is to the push services of browsers. A browser's subscription is made for its public key, so that
/// with another key all users have to subscribe anew.
#[derive(Debug)]
pub struct VapidKey {
    key: SigningKey,
    subject: String,
}

impl VapidKey {
    /// A private key of the curve P-256 in PEM (PKCS #8), and where a push service reaches the operator: a `mailto:` or `https:` URL.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(pem: &str, subject: impl Into<String>) -> Result<Self, String> {
        let subject = subject.into();
        let address = subject
            .strip_prefix("mailto:")
            .map(|address| address.contains('@'));
        if !address.unwrap_or_else(|| subject.starts_with("https://")) {
            return Err(format!(
                "the subject is {subject:?}: it is where a push service reaches the operator, mailto:ADDRESS or an https:// URL"
            ));
        }
        Ok(Self {
            key: SigningKey::from_pem(pem)?,
            subject,
        })
    }

    /// What an application in a browser subscribes with, as `applicationServerKey`: the public key in base64url.
    #[must_use]
    pub fn application_server_key(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.key.public())
    }

    fn sign(&self, origin: &str, expires: u64) -> Result<HeaderValue, String> {
        let header = json!({"typ": "JWT", "alg": "ES256"});
        let claims = json!({"aud": origin, "exp": expires, "sub": self.subject});
        let (jwt, key) = (self.key.jwt(&header, &claims)?, self.application_server_key());
        let value = HeaderValue::try_from(format!("vapid t={jwt}, k={key}"));
        let mut value = value.map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// How [`WebPush`] works.
#[derive(Debug)]
#[non_exhaustive]
pub struct WebPushOptions {
    /// The key.
    pub key: VapidKey,
    /// The push services at which subscriptions may be: `HOST`, `HOST:PORT` or `*.DOMAIN`. A user says where the endpoint of a subscription
    /// is, so without this list everybody could have the hub send requests anywhere. Default: [`WebPushOptions::default_hosts`].
    pub hosts: Vec<String>,
    /// Which servers are trusted. Default: those that the system trusts.
    pub tls: ClientTls,
}

impl WebPushOptions {
    /// The defaults.
    #[must_use]
    pub fn new(key: VapidKey) -> Self {
        Self {
            key,
            hosts: Self::default_hosts(),
            tls: ClientTls::new().with_tls12(),
        }
    }

    /// The push services of Chrome, Firefox, Safari and Edge.
    #[must_use]
    pub fn default_hosts() -> Vec<String> {
        let hosts = [
            "fcm.googleapis.com",
            "*.push.services.mozilla.com",
            "web.push.apple.com",
            "*.notify.windows.com",
        ];
        hosts.map(str::to_owned).into()
    }
}

/// Sends notifications to browsers, for [`PushPlatform::WEB`].
///
/// A token is a subscription as JSON, as a browser writes it. What the service worker gets is JSON: `id`, `title`, `text`, `ext`, `badge`,
/// `conversation`, `sequence`, `message`, `sender`, `time`, as [`Notification`] has them. One that is sent again replaces the first, if the
/// push service still has it.
pub struct WebPush {
    client: HostsClient,
    hosts: Hosts,
    clock: Clock,
    signed: Mutex<Signed>,
    /// The operator was told that the key is refused, and nothing was taken since.
    is_said: AtomicBool,
}

struct Signed {
    key: Arc<VapidKey>,
    /// What was signed for each origin, and until when it is good.
    tokens: HashMap<String, (HeaderValue, u64)>,
}

impl WebPush {
    /// The clock is for what is signed.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub fn new(options: WebPushOptions, clock: Clock) -> Result<Self, String> {
        Ok(Self {
            hosts: Hosts::parse(&options.hosts)?,
            client: HostsClient::new(&options.tls)?,
            clock,
            signed: Mutex::new(Signed {
                key: Arc::new(options.key),
                tokens: HashMap::new(),
            }),
            is_said: AtomicBool::new(false),
        })
    }

    /// What an application in a browser subscribes with.
    #[must_use]
    pub fn application_server_key(&self) -> String {
        lock(&self.signed).key.application_server_key()
    }

    /// Signs with another key from now on. Subscriptions that were made for another public key are refused by their push services.
    pub fn set_key(&self, key: VapidKey) {
        *lock(&self.signed) = Signed {
            key: Arc::new(key),
            tokens: HashMap::new(),
        };
        self.is_said.store(false, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.clock.wall_ms() / 1000
    }

    /// What says to a push service who the hub is.
    fn authorization(&self, origin: &str) -> Result<HeaderValue, String> {
        let (now, mut signed) = (self.now(), lock(&self.signed));
        if let Some((token, expires)) = signed.tokens.get(origin)
            && (now + TOKEN_RENEWED..=now + TOKEN_LIFE).contains(expires)
        {
            return Ok(token.clone());
        }
        let expires = now + TOKEN_LIFE;
        let token = signed.key.sign(origin, expires)?;
        if signed.tokens.len() >= MAX_TOKENS {
            signed.tokens.clear();
        }
        signed.tokens.insert(origin.to_owned(), (token.clone(), expires));
        Ok(token)
    }

    async fn deliver(&self, notification: &Notification) -> Result<(), PushError> {
        // What was registered before there was this sink may be anything.
        let Ok(subscription) = Subscription::parse(&notification.token) else {
            return Err(PushError::TokenUnknown);
        };
        self.hosts
            .check(&subscription.place)
            .map_err(PushError::Refused)?;
        let text = fitting(notification, MAX_TEXT, shown)
            .ok_or_else(|| PushError::Refused(format!("it has more than {MAX_TEXT} bytes")))?;
        let body = match encrypt(&subscription.key, &subscription.auth, text.as_bytes()) {
            Ok(body) => body,
            Err(Fault::Key) => return Err(PushError::TokenUnknown),
            Err(Fault::Other) => return Err(PushError::unavailable("the system has no random numbers")),
        };
        let headers = self.headers(notification, &subscription)?;
        let posted = self.client.post(&subscription.place, &headers, body.into()).await;
        self.result(posted.map_err(PushError::unavailable)?, &subscription)
    }

    fn headers(
        &self,
        notification: &Notification,
        subscription: &Subscription,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, PushError> {
        let name = HeaderName::from_static;
        let authorization = self.authorization(&subscription.origin());
        let ttl = notification.expires.saturating_sub(self.now()).min(MAX_TTL);
        // Of 32 characters, which is as long as it may be.
        let topic: String = BASE64_URL_SAFE_NO_PAD
            .encode(digest(notification))
            .chars()
            .take(32)
            .collect();
        let topic = HeaderValue::try_from(topic).map_err(|error| PushError::Refused(error.to_string()))?;
        Ok(vec![
            (AUTHORIZATION, authorization.map_err(PushError::unavailable)?),
            (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
            (CONTENT_ENCODING, HeaderValue::from_static("aes128gcm")),
            (name("ttl"), HeaderValue::from(ttl)),
            // RFC 8030 has chat messages as its example for this one.
            (name("urgency"), HeaderValue::from_static("normal")),
            (name("topic"), topic),
        ])
    }

    fn result(&self, head: Head, subscription: &Subscription) -> Result<(), PushError> {
        let what = format!(
            "{} answers {}",
            subscription.place.authority,
            head.status.as_u16()
        );
        match head.status.as_u16() {
            200..=299 => {
                self.is_said.store(false, Ordering::Relaxed);
                Ok(())
            }
            404 | 410 => Err(PushError::TokenUnknown),
            status @ (401 | 403) => {
                // That of one subscription, which may be for another key, so the later ones are not held back.
                if !self.is_said.swap(true, Ordering::Relaxed) {
                    error!(
                        status,
                        service = %subscription.place.authority,
                        "a push service of browsers refuses the hub's signature: a subscription is for the key that it was made with; check the key, and the clock of this machine"
                    );
                }
                Err(PushError::Refused(what))
            }
            408 | 429 | 500.. => Err(PushError::Unavailable {
                what,
                retry_after: head.retry_after,
            }),
            _ => Err(PushError::Refused(what)),
        }
    }
}

impl PushSink for WebPush {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(self.deliver(notification))
    }

    fn token<'a>(&self, _: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        let subscription = Subscription::parse(token)?;
        self.hosts.check(&subscription.place)?;
        subscription.check_key()?;
        Ok(subscription.canonical().into())
    }

    fn name(&self) -> &str {
        "Web Push"
    }
}

impl fmt::Debug for WebPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPush")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// What the service worker gets, with this text.
fn shown(notification: &Notification, text: &str) -> String {
    let shown = json!({
        "id": notification.id,
        "title": notification.title,
        "text": text,
        "ext": notification.extension,
        "badge": notification.badge,
        "conversation": notification.conversation.to_string(),
        "sequence": notification.sequence,
        "message": notification.message.to_string(),
        "sender": notification.sender.as_str(),
        "time": notification.time,
    });
    shown.to_string()
}
