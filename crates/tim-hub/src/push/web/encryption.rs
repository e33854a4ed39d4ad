//! What only the browser can read: RFC 8291, in one record of RFC 8188 (`aes128gcm`).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The bytes of a public key, uncompressed.
pub(super) const PUBLIC_KEY: usize = 65;
/// The bytes of the secret of a subscription.
pub(super) const AUTH_SECRET: usize = 16;
const SALT: usize = 16;
/// The most bytes that a push service has to take, and the size of the record.
const RECORD: u32 = 4096;
/// What stands before the text: the salt, the size of the record, and the hub's key with its length.
const HEADER: usize = SALT + 4 + 1 + PUBLIC_KEY;
/// The text has so many bytes at most: the record also has the end of the text, and the tag.
pub(super) const MAX_TEXT: usize = RECORD as usize - HEADER - 1 - 16;

/// Why something was not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The key of the subscription is no point of the curve.
    Key,
    /// The system has no random numbers, or the text is too long.
    Other,
}

/// What was agreed on for one message.
struct Agreed<'a> {
    /// The secret of both keys.
    shared: &'a [u8],
    /// The hub's public key, of this message.
    sender: &'a [u8],
    /// The browser's.
    receiver: &'a [u8; PUBLIC_KEY],
    auth: &'a [u8; AUTH_SECRET],
    salt: [u8; SALT],
}

/// Encrypts a text for a subscription, with a new key and a new salt.
pub(super) fn encrypt(
    receiver: &[u8; PUBLIC_KEY],
    auth: &[u8; AUTH_SECRET],
    text: &[u8],
) -> Result<Vec<u8>, Fault> {
    let random = SystemRandom::new();
    let mut salt = [0; SALT];
    random.fill(&mut salt).map_err(|_| Fault::Other)?;
    let key = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| Fault::Other)?;
    let sender = key.compute_public_key().map_err(|_| Fault::Other)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, receiver);
    let encrypted = agree_ephemeral(key, &peer, |shared| {
        let agreed = Agreed {
            shared,
            sender: sender.as_ref(),
            receiver,
            auth,
            salt,
        };
        agreed.encrypt(text)
    });
    encrypted.map_err(|_| Fault::Key)?.ok_or(Fault::Other)
}

/// Whether a key is a point of the curve.
pub(super) fn is_public_key(key: &[u8; PUBLIC_KEY]) -> bool {
    let random = SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random);
    let agreed = own.and_then(|own| agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, key), |_| ()));
    agreed.is_ok()
}

impl Agreed<'_> {
    fn encrypt(&self, text: &[u8]) -> Option<Vec<u8>> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (key, nonce) = self.keys()?;
        let mut body = Vec::with_capacity(RECORD as usize);
        body.extend_from_slice(&self.salt);
        body.extend_from_slice(&RECORD.to_be_bytes());
        body.push(u8::try_from(self.sender.len()).ok()?);
        body.extend_from_slice(self.sender);
        let mut record = text.to_vec();
        // The last record ends so.
        record.push(2);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)
            .ok()?;
        body.append(&mut record);
        Some(body)
    }

    /// The key and the nonce of the one record.
    fn keys(&self) -> Option<([u8; 16], [u8; 12])> {
        let agreed = Salt::new(HKDF_SHA256, self.auth).extract(self.shared);
        let info: [&[u8]; 3] = [b"WebPush: info\0", self.receiver, self.sender];
        let secret: [u8; 32] = expand(&agreed, &info)?;
        let key = Salt::new(HKDF_SHA256, &self.salt).extract(&secret);
        let content = expand(&key, &[b"Content-Encoding: aes128gcm\0"])?;
        Some((content, expand(&key, &[b"Content-Encoding: nonce\0"])?))
    }
}

fn expand<const LEN: usize>(key: &Prk, info: &[&[u8]]) -> Option<[u8; LEN]> {
    struct Len(usize);
    impl KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = [0; LEN];
    key.expand(info, Len(LEN)).ok()?.fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn bytes<const LEN: usize>(text: &str) -> [u8; LEN] {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// The example of RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc() {
        let (shared, sender) = (
            bytes::<32>("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"),
            bytes::<65>(
                "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
            ),
        );
        let agreed = Agreed {
            shared: &shared,
            sender: &sender,
            receiver: &bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            auth: &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
            salt: bytes("DGv6ra1nlYgDCS1FRnbzlw"),
        };
        let encrypted = agreed
            .encrypt(b"When I grow up, I want to be a watermelon")
            .unwrap();
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(encrypted),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_\
             yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn a_text_of_every_length_up_to_the_limit_and_only_for_points_of_the_curve() {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let receiver: [u8; PUBLIC_KEY] = own.compute_public_key().unwrap().as_ref().try_into().unwrap();
        assert!(is_public_key(&receiver));
        for (len, expected) in [(0, Some(103)), (MAX_TEXT, Some(4096)), (MAX_TEXT + 1, None)] {
            let encrypted = encrypt(&receiver, &[7; AUTH_SECRET], &vec![b'a'; len]);
            assert_eq!(encrypted.map(|bytes| bytes.len()).ok(), expected);
        }
        let mut off = receiver;
        off[64] ^= 1;
        for key in [off, [4; PUBLIC_KEY], [0; PUBLIC_KEY]] {
            assert!(!is_public_key(&key));
            assert_eq!(encrypt(&key, &[7; AUTH_SECRET], b"a"), Err(Fault::Key));
        }
    }
}
