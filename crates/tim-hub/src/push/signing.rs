//! Tokens that are signed with the operator's key: ES256, as APNs and Web Push want them.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::{self, PemObject as _};
use serde_json::Value;

/// A private key of the curve P-256.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// Reads a key in PKCS #8 and PEM: what Apple hands out as `.p8`, and what `openssl genpkey` writes.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound if pem.contains("BEGIN EC PRIVATE KEY") => {
                "the key is in the older form of openssl: convert it with `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW`".to_owned()
            }
            pem::Error::NoItemsFound if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") => {
                "the key has a passphrase: take it off with `openssl pkcs8 -in OLD -out NEW`".to_owned()
            }
            pem::Error::NoItemsFound => "there is no private key in it: it begins with -----BEGIN PRIVATE KEY-----".to_owned(),
            error => format!("it is no PEM file: {error}"),
        })?;
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der(), &random);
        let pair = pair.map_err(|error| {
            format!("it is not a P-256 private key that includes its public key: {error}")
        })?;
        Ok(Self { pair, random })
    }

    /// The public key, uncompressed.
    #[cfg(any(test, feature = "web-push"))]
    pub(super) fn public(&self) -> &[u8] {
        ring::signature::KeyPair::public_key(&self.pair).as_ref()
    }

    /// A JSON Web Token.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn jwt(&self, header: &Value, claims: &Value) -> Result<String, String> {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes());
        let signature =
            signature.map_err(|_| "the system has no random numbers for a signature".to_owned())?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    #[test]
    fn what_is_signed_is_verified_with_the_public_key() {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = SigningKey::from_pem(&pem("PRIVATE KEY", der.as_ref())).unwrap();
        let jwt = key
            .jwt(&json!({"alg": "ES256"}), &json!({"iss": "team"}))
            .unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public());
        public.verify(signed.as_bytes(), &signature).unwrap();
        assert_eq!(signed, "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ0ZWFtIn0");
        assert_eq!(format!("{key:?}"), "SigningKey { .. }");
    }

    #[test]
    fn what_is_no_key_says_what_to_do() {
        for (text, expected) in [
            (String::new(), "-----BEGIN PRIVATE KEY-----"),
            ("garbage".to_owned(), "-----BEGIN PRIVATE KEY-----"),
            (pem("EC PRIVATE KEY", b"x"), "openssl pkcs8 -topk8 -nocrypt"),
            (pem("ENCRYPTED PRIVATE KEY", b"x"), "passphrase"),
            (pem("PRIVATE KEY", b"x"), "P-256"),
            ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "no PEM file"),
        ] {
            let error = SigningKey::from_pem(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
