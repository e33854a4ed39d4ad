//! The verifier: the hub proves that it has the private key of a pinned public key.

use core::fmt;

use embedded_tls::{
    Aes128GcmSha256, CertificateEntryRef, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsError,
    TlsVerifier,
};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The length of a pin: a SHA-256.
pub const PIN_LEN: usize = 32;

/// What a SubjectPublicKeyInfo of P-256 begins with; the point follows.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT_LEN: usize = 65;

/// What the hub signs before the hash of the handshake: 64 spaces, these words and a zero (RFC 8446, 4.4.3).
const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";
const SIGNED_LEN: usize = 64 + CONTEXT.len() + 32;

/// The pinned keys, and what the handshake has shown so far. A certificate's names, dates and issuers do not matter: who has the private
/// key is the hub.
pub struct Pins<'p> {
    pins: &'p [[u8; PIN_LEN]],
    key: Option<VerifyingKey>,
    transcript: Option<Sha256>,
    is_verified: bool,
}

impl fmt::Debug for Pins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins")
            .field("pins", &self.pins.len())
            .field("is_verified", &self.is_verified)
            .finish_non_exhaustive()
    }
}

impl<'p> Pins<'p> {
    /// The SHA-256 of the SubjectPublicKeyInfo of each key that is accepted: one, or two while the hub's key is replaced.
    #[must_use]
    pub const fn new(pins: &'p [[u8; PIN_LEN]]) -> Self {
        Self {
            pins,
            key: None,
            transcript: None,
            is_verified: false,
        }
    }

    /// Whether the hub has signed the handshake with a pinned key. Check it after the handshake: embedded-tls also completes one in
    /// which the hub sends no signature.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.is_verified
    }
}

/// The public key in a certificate, if it is one of P-256. Bytes elsewhere in the certificate that look like a key do no harm: only a key
/// that is pinned counts, and the hub must sign with it.
fn key_in(certificate: &[u8]) -> Option<&[u8]> {
    let at = certificate.windows(P256.len()).position(|bytes| bytes == P256)?;
    certificate.get(at..)?.get(..P256.len() + POINT_LEN)
}

impl TlsVerifier<Aes128GcmSha256> for Pins<'_> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(&mut self, transcript: &Sha256, chain: CertificateRef<'_>) -> Result<(), TlsError> {
        let Some(CertificateEntryRef::X509(certificate)) = chain.entries.first() else {
            return Err(TlsError::InvalidCertificate);
        };
        let key = key_in(certificate).ok_or(TlsError::InvalidCertificate)?;
        let pin: [u8; PIN_LEN] = Sha256::digest(key).into();
        if !self.pins.contains(&pin) {
            return Err(TlsError::InvalidCertificate);
        }
        let point = key.get(P256.len()..).unwrap_or_default();
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| TlsError::InvalidCertificate)?;
        (self.key, self.transcript) = (Some(key), Some(transcript.clone()));
        Ok(())
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let (Some(key), Some(transcript)) = (self.key.take(), self.transcript.take()) else {
            return Err(TlsError::InvalidSignature);
        };
        if !matches!(verify.signature_scheme, SignatureScheme::EcdsaSecp256r1Sha256) {
            return Err(TlsError::InvalidSignatureScheme);
        }
        let hash = transcript.finalize();
        let mut signed = [b' '; SIGNED_LEN];
        let parts = CONTEXT.iter().chain(hash.iter());
        signed
            .iter_mut()
            .skip(64)
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        let signature = Signature::from_der(verify.signature).map_err(|_| TlsError::InvalidSignature)?;
        key.verify(&signed, &signature)
            .map_err(|_| TlsError::InvalidSignature)?;
        self.is_verified = true;
        Ok(())
    }
}
