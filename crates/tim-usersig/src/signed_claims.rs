//! The encoding of a UserSig: the text that is signed, JSON, deflate, and the base64 alphabet.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};
use tim_proto::UserId;

use super::{App, Claims, MAX_INFLATED_LEN, MAX_SIG_LEN, UserSigError};

/// The JSON of a UserSig, with its fields in the order in which they are written.
#[derive(Serialize, Deserialize)]
pub(super) struct SignedClaims {
    #[serde(rename = "TLS.ver")]
    version: String,
    #[serde(rename = "TLS.identifier")]
    pub(super) user: String,
    #[serde(rename = "TLS.sdkappid")]
    pub(super) app: u64,
    #[serde(rename = "TLS.time")]
    pub(super) issued: u64,
    #[serde(rename = "TLS.expire")]
    pub(super) expire: u64,
    /// Standard base64, signed as such.
    #[serde(rename = "TLS.userbuf", skip_serializing_if = "Option::is_none")]
    pub(super) userbuf: Option<String>,
    /// Standard base64 of the HMAC.
    #[serde(rename = "TLS.sig")]
    pub(super) sig: String,
}

const VERSION: &str = "2.0";

impl SignedClaims {
    pub(super) fn signed(app: &App, user: &str, issued: u64, expire: u64, userbuf: Option<&[u8]>) -> Self {
        let mut signed = Self {
            version: VERSION.to_owned(),
            user: user.to_owned(),
            app: u64::from(app.id),
            issued,
            expire,
            userbuf: userbuf.map(|buf| STANDARD.encode(buf)),
            sig: String::new(),
        };
        signed.sig = STANDARD.encode(app.mac(&signed.content()).finalize().into_bytes());
        signed
    }

    /// The text that is signed: one line per field.
    pub(super) fn content(&self) -> String {
        let Self {
            user,
            app,
            issued,
            expire,
            userbuf,
            ..
        } = self;
        let mut text =
            format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{issued}\nTLS.expire:{expire}\n");
        if let Some(userbuf) = userbuf {
            text.push_str("TLS.userbuf:");
            text.push_str(userbuf);
            text.push('\n');
        }
        text
    }

    pub(super) fn json(&self) -> String {
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn pack(&self) -> String {
        packed(&self.json())
    }

    pub(super) fn unpack(sig: &str) -> Result<Self, UserSigError> {
        if sig.is_empty() {
            return Err(UserSigError::Empty);
        }
        if sig.len() > MAX_SIG_LEN {
            return Err(UserSigError::Malformed("too long"));
        }
        let base64 = sig.bytes().map(from_url).collect::<Option<Vec<u8>>>();
        let base64 = base64.ok_or(UserSigError::Malformed(
            "a character outside the UserSig alphabet",
        ))?;
        let deflated = STANDARD
            .decode(base64)
            .map_err(|_| UserSigError::Malformed("not base64, or cut short"))?;
        let json = inflate(&deflated)?;
        let signed: Self =
            serde_json::from_slice(&json).map_err(|_| UserSigError::Invalid(what_is_wrong(&json)))?;
        if signed.version != VERSION {
            return Err(UserSigError::Invalid("TLS.ver is not 2.0"));
        }
        Ok(signed)
    }

    pub(super) fn claims(&self) -> Result<Claims, UserSigError> {
        let user =
            UserId::new(&self.user).map_err(|_| UserSigError::Invalid("TLS.identifier is not a user id"))?;
        let userbuf = self.userbuf.as_ref().map(|buf| STANDARD.decode(buf)).transpose();
        Ok(Claims {
            user,
            app: self.app,
            issued: self.issued,
            expires: self.issued.saturating_add(self.expire),
            userbuf: userbuf.map_err(|_| UserSigError::Invalid("TLS.userbuf is not base64"))?,
        })
    }
}

/// Deflates and encodes the JSON of a UserSig.
pub(super) fn packed(json: &str) -> String {
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into a Vec does not fail.
    let deflated = deflate.write_all(json.as_bytes()).and_then(|()| deflate.finish());
    STANDARD
        .encode(deflated.unwrap_or_default())
        .chars()
        .map(to_url)
        .collect()
}

/// Why the JSON is not that of a UserSig.
fn what_is_wrong(json: &[u8]) -> &'static str {
    let Ok(found) = serde_json::from_slice::<serde_json::Value>(json) else {
        return "not JSON";
    };
    let is_wrong = |name| found.get(name).is_some_and(|value| !value.is_u64());
    match () {
        () if is_wrong("TLS.time") => "TLS.time is not a number of seconds since 1970",
        () if is_wrong("TLS.expire") => "TLS.expire is not a number of seconds",
        () if is_wrong("TLS.sdkappid") => "TLS.sdkappid is not an application's number",
        () => "not the expected JSON",
    }
}

/// Inflates at most [`MAX_INFLATED_LEN`] bytes.
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, UserSigError> {
    let mut json = Vec::new();
    let mut decoder = ZlibDecoder::new(deflated).take(MAX_INFLATED_LEN as u64 + 1);
    decoder
        .read_to_end(&mut json)
        .map_err(|_| UserSigError::Malformed("damaged zlib stream"))?;
    if json.len() > MAX_INFLATED_LEN {
        return Err(UserSigError::Malformed("inflates to more than any UserSig"));
    }
    if !decoder.into_inner().into_inner().is_empty() {
        return Err(UserSigError::Malformed("bytes after the zlib stream"));
    }
    Ok(json)
}

const fn to_url(c: char) -> char {
    match c {
        '+' => '*',
        '/' => '-',
        '=' => '_',
        other => other,
    }
}

const fn from_url(byte: u8) -> Option<u8> {
    match byte {
        b'*' => Some(b'+'),
        b'-' => Some(b'/'),
        b'_' => Some(b'='),
        b'+' | b'/' | b'=' => None,
        other => Some(other),
    }
}
