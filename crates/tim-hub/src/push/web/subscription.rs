//! What a browser has subscribed to, as it says it itself: JSON with the address of its push service and its keys.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::encryption::{AUTH_SECRET, PUBLIC_KEY, is_public_key};
use crate::outgoing::Place;

/// Browsers write no padding; some libraries do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The longest address of an endpoint.
const MAX_ENDPOINT: usize = 1024;

/// A subscription.
pub(super) struct Subscription {
    endpoint: String,
    pub(super) place: Place,
    pub(super) key: [u8; PUBLIC_KEY],
    pub(super) auth: [u8; AUTH_SECRET],
}

impl Subscription {
    /// Reads one. Other fields than those that are needed are ignored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(token: &str) -> Result<Self, String> {
        let no_json = |_| {
            "a token of Web Push is the subscription as JSON: JSON.stringify(await registration.pushManager.subscribe(…))".to_owned()
        };
        let subscription: Value = serde_json::from_str(token).map_err(no_json)?;
        let field = |value: &Value, name: &str| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| format!("the subscription has no text {name:?}"))
        };
        let endpoint = field(&subscription["endpoint"], "endpoint")?;
        if endpoint.len() > MAX_ENDPOINT {
            return Err(format!(
                "the endpoint of the subscription has more than {MAX_ENDPOINT} bytes"
            ));
        }
        let place =
            Place::parse(&endpoint).map_err(|error| format!("the endpoint of the subscription: {error}"))?;
        if !place.is_tls {
            return Err("the endpoint of the subscription does not begin with https://".to_owned());
        }
        let keys = &subscription["keys"];
        let key = bytes(&field(&keys["p256dh"], "keys.p256dh")?, "keys.p256dh")?;
        Ok(Self {
            endpoint,
            place,
            key,
            auth: bytes(&field(&keys["auth"], "keys.auth")?, "keys.auth")?,
        })
    }

    /// Whether its key can be one.
    ///
    /// # Errors
    /// That it cannot.
    pub(super) fn check_key(&self) -> Result<(), String> {
        match is_public_key(&self.key) {
            true => Ok(()),
            false => Err("keys.p256dh of the subscription is no public key of the curve P-256".to_owned()),
        }
    }

    /// The same JSON for the same subscription, however it was written.
    pub(super) fn canonical(&self) -> String {
        let (key, auth) = (
            BASE64_URL_SAFE_NO_PAD.encode(self.key),
            BASE64_URL_SAFE_NO_PAD.encode(self.auth),
        );
        json!({"endpoint": self.endpoint, "keys": {"auth": auth, "p256dh": key}}).to_string()
    }

    /// What the signature of a request is for.
    pub(super) fn origin(&self) -> String {
        let host = self.place.authority.host().to_ascii_lowercase();
        match self.place.port() {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        }
    }
}

fn bytes<const LEN: usize>(text: &str, name: &str) -> Result<[u8; LEN], String> {
    let bytes = BASE64.decode(text).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("{name} of the subscription is not {LEN} bytes in base64url"))
}

/// The push services that subscriptions may name, so that nobody has the hub send requests elsewhere.
#[derive(Debug)]
pub(super) struct Hosts(Vec<Host>);

#[derive(Debug)]
struct Host {
    /// In lower case. With a dot before it: any name that ends so.
    name: String,
    port: u16,
}

impl Hosts {
    /// From `HOST`, `HOST:PORT` and `*.DOMAIN`.
    ///
    /// # Errors
    /// Which of them is none, and how one is written.
    pub(super) fn parse(hosts: &[String]) -> Result<Self, String> {
        let parsed = hosts.iter().map(|text| {
            let wrong = || format!("{text:?} is no push service: write HOST, HOST:PORT or *.DOMAIN");
            let (name, port) = match text.rsplit_once(':') {
                Some((name, port)) => (name, port.parse().map_err(|_| wrong())?),
                None => (text.as_str(), 443),
            };
            let is_name = |name: &str| {
                let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
                !name.is_empty() && !name.starts_with('.') && name.bytes().all(of_name)
            };
            match name.strip_prefix("*.") {
                Some(domain) if is_name(domain) && domain.contains('.') => Ok(Host {
                    name: format!(".{}", domain.to_ascii_lowercase()),
                    port,
                }),
                None if is_name(name) => Ok(Host {
                    name: name.to_ascii_lowercase(),
                    port,
                }),
                _ => Err(wrong()),
            }
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// # Errors
    /// That a subscription is at another push service.
    pub(super) fn check(&self, place: &Place) -> Result<(), String> {
        let name = place.host().to_ascii_lowercase();
        let is_of = |host: &Host| {
            let fits = match host.name.starts_with('.') {
                true => name.ends_with(&host.name) && name.len() > host.name.len(),
                false => name == host.name,
            };
            fits && place.port() == host.port
        };
        match self.0.iter().any(is_of) {
            true => Ok(()),
            false => Err(format!(
                "this hub sends nothing to the push service {}",
                place.authority
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::agreement::{ECDH_P256, EphemeralPrivateKey};
    use ring::rand::SystemRandom;
    use tim_proto::request::MAX_PUSH_TOKEN;

    use super::super::WebPushOptions;
    use super::*;

    fn key() -> String {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        BASE64_URL_SAFE_NO_PAD.encode(own.compute_public_key().unwrap())
    }

    fn subscription(endpoint: &str, key: &str, auth: &str) -> String {
        // As browsers write it.
        format!(
            "{{\"endpoint\":\"{endpoint}\",\"expirationTime\":null,\"keys\":{{\"p256dh\":\"{key}\",\"auth\":\"{auth}\"}}}}"
        )
    }

    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn the_same_subscription_has_one_form_and_the_longest_one_fits() {
        let key = key();
        let endpoint = format!(
            "https://wns2-par02p.notify.windows.com/w/?token={}",
            "a".repeat(976)
        );
        assert_eq!(endpoint.len(), MAX_ENDPOINT);
        let token = subscription(&endpoint, &key, AUTH);
        let parsed = Subscription::parse(&token).unwrap();
        parsed.check_key().unwrap();
        let padded = format!(
            "{{\"keys\":{{\"auth\":\"{AUTH}==\",\"p256dh\":\"{key}=\"}},\"endpoint\":\"{endpoint}\",\"more\":[1]}}"
        );
        assert!(
            token.len() <= MAX_PUSH_TOKEN && padded.len() <= MAX_PUSH_TOKEN,
            "{}",
            token.len()
        );
        let canonical = parsed.canonical();
        assert_eq!(Subscription::parse(&padded).unwrap().canonical(), canonical);
        assert_eq!(Subscription::parse(&canonical).unwrap().canonical(), canonical);
        assert_eq!(parsed.origin(), "https://wns2-par02p.notify.windows.com");
    }

    #[test]
    fn what_is_no_subscription_says_why() {
        let (key, at) = (key(), "https://push.example/1");
        for (token, expected) in [
            ("token".to_owned(), "JSON.stringify"),
            ("{}".to_owned(), "\"endpoint\""),
            (subscription("http://push.example/1", &key, AUTH), "https://"),
            (
                subscription("https://user@push.example/1", &key, AUTH),
                "user before it",
            ),
            (
                subscription(&format!("{at}{}", "a".repeat(1024)), &key, AUTH),
                "more than 1024",
            ),
            (subscription(at, "AAAA", AUTH), "keys.p256dh"),
            (subscription(at, &key, "a"), "keys.auth"),
            (format!("{{\"endpoint\":\"{at}\"}}"), "\"keys.p256dh\""),
        ] {
            let error = Subscription::parse(&token).err().unwrap();
            assert!(error.contains(expected), "{token}: {error}");
        }
        let off = BASE64_URL_SAFE_NO_PAD.encode([4; PUBLIC_KEY]);
        let parsed = Subscription::parse(&subscription(at, &off, AUTH)).unwrap();
        assert!(parsed.check_key().unwrap_err().contains("P-256"));
    }

    proptest::proptest! {
        /// Whatever a client sends: no panic, and one form.
        #[test]
        fn any_text_is_refused_or_has_one_form(
            endpoint in "(https?://)?[a-z@:.\\[\\]%-]{0,12}(:[0-9]{0,6})?(/[ -~é]{0,20})?",
            key in "[A-Za-z0-9_=-]{80,90}",
            auth in "[A-Za-z0-9_=-]{20,26}",
            cut in 0..300_usize,
        ) {
            let token = subscription(&endpoint, &key, &auth);
            for token in [token.as_str(), token.get(..cut).unwrap_or_default(), endpoint.as_str()] {
                let Ok(parsed) = Subscription::parse(token) else { continue };
                let canonical = parsed.canonical();
                assert_eq!(Subscription::parse(&canonical).map(|it| it.canonical()).ok(), Some(canonical));
                let _ = (parsed.check_key(), parsed.origin(), Hosts::parse(std::slice::from_ref(&endpoint)));
            }
        }
    }

    #[test]
    fn only_push_services_are_asked() {
        let place = |url: &str| Place::parse(url).unwrap();
        let mut names = WebPushOptions::default_hosts();
        names.push("push.example:8443".to_owned());
        let hosts = Hosts::parse(&names).unwrap();
        for url in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://FCM.googleapis.com:443/x",
            "https://updates.push.services.mozilla.com/wpush/v2/x",
            "https://web.push.apple.com/x",
            "https://wns2-par02p.notify.windows.com/w/?token=x",
            "https://push.example:8443/x",
        ] {
            assert_eq!(hosts.check(&place(url)), Ok(()), "{url}");
        }
        for url in [
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://169.254.169.254/latest",
            "https://localhost/x",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evilpush.apple.com/x",
            "https://push.apple.com/x",
            "https://evil-notify.windows.com/x",
            "https://push.example/x",
        ] {
            assert!(hosts.check(&place(url)).is_err(), "{url}");
        }
        for wrong in [
            "",
            "*.com",
            "*",
            "a b",
            "https://push.example",
            "push.example:x",
            ".example",
        ] {
            let error = Hosts::parse(&[wrong.to_owned()]).unwrap_err();
            assert!(error.contains("*.DOMAIN"), "{wrong}");
        }
    }
}
