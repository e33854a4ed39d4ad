//! What the hub reads before it trusts anybody: UserSigs before the login, payloads before they are stored.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tim_proto::message::{Payload, to_vec};
use tim_proto::{MessageKind, UserId};
use tim_usersig::{App, MAX_SIG_LEN, PrivateMap, TrtcRoom, UserSig, UserSigError};

use crate::script::Script;

const NOW_S: u64 = 1_700_000_000;
const DAY_S: u64 = 86_400;

/// Nothing but what the key signed is let in, whatever the bytes; what is refused is refused with a code of its own.
pub fn usersig(data: &[u8]) {
    let mut script = Script(data);
    let app = App::new(7, "a key that nobody knows");
    match script.byte() % 4 {
        // Any text.
        0 => refused(&app, &String::from_utf8_lossy(script.0)),
        // Any content, packed as a ticket is.
        1 => refused(&app, &pack(script.0)),
        // A ticket's fields, with a signature that is none.
        2 => {
            let content = forged(&mut script);
            refused(&app, &pack(content.as_bytes()));
        }
        // A good ticket, with some characters changed, missing or too many.
        _ => damaged(&app, &mut script),
    }
}

fn pack(content: &[u8]) -> String {
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(content).expect("memory");
    let packed = STANDARD.encode(deflate.finish().expect("memory"));
    packed.replace('+', "*").replace('/', "-").replace('=', "_")
}

/// JSON with all fields of a ticket, each of them the fuzzer's.
fn forged(script: &mut Script<'_>) -> String {
    let text = |script: &mut Script<'_>| {
        let len = usize::from(script.byte()) % 40;
        let text = String::from_utf8_lossy(script.bytes(len)).into_owned();
        text.replace(['"', '\\'], "'").replace(char::is_control, "")
    };
    let number = |script: &mut Script<'_>| match script.byte() % 4 {
        0 => NOW_S.to_string(),
        1 => (script.word() as u64).to_string(),
        2 => u64::MAX.to_string(),
        _ => format!("{}{}", ["-", "1e", "0x", "\""][script.below(4)], script.byte()),
    };
    let version = ["2.0", "3.0", ""][script.below(3)];
    let user = text(script);
    let (app, time, expire) = match script.byte() % 2 {
        0 => ("7".to_owned(), NOW_S.to_string(), DAY_S.to_string()),
        _ => (number(script), number(script), number(script)),
    };
    let userbuf = match script.byte() % 2 {
        0 => String::new(),
        _ => format!("\"TLS.userbuf\":\"{}\",", text(script)),
    };
    let sig = match script.byte() % 2 {
        0 => STANDARD.encode(script.bytes(32)),
        _ => text(script),
    };
    format!(
        "{{\"TLS.ver\":\"{version}\",\"TLS.identifier\":\"{user}\",\"TLS.sdkappid\":{app},\"TLS.time\":{time},\
         \"TLS.expire\":{expire},{userbuf}\"TLS.sig\":\"{sig}\"}}"
    )
}

fn refused(app: &App, sig: &str) {
    let error = UserSig::verify(app, sig, NOW_S).expect_err("nobody signed it");
    checked(&error, sig);
    if let Err(error) = UserSig::inspect(sig) {
        checked(&error, sig);
        assert!(
            error.code() <= 70_005,
            "not checked, and said to be wrong: {error}"
        );
    }
}

fn checked(error: &UserSigError, sig: &str) {
    assert!((70_001..=70_020).contains(&error.code()), "{error}");
    assert_eq!(sig.is_empty(), *error == UserSigError::Empty);
    if sig.len() > MAX_SIG_LEN {
        assert_eq!(error.code(), 70_003, "looked at although it is too long");
    }
    // It goes into the hub's log and to the client.
    let said = error.to_string();
    assert!(said.len() < 300 && !said.contains(char::is_control), "{said}");
}

fn damaged(app: &App, script: &mut Script<'_>) {
    let users = ["alice", "a", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"];
    let user = UserId::new(users[script.below(3)]).expect("a good id");
    let lasts = [1, DAY_S, 180 * DAY_S][script.below(3)];
    let map = PrivateMap {
        room: TrtcRoom::Number(script.byte().into()),
        privileges: 255,
    };
    let good = match script.byte() % 2 {
        0 => UserSig::sign(app, &user, NOW_S, lasts),
        _ => UserSig::sign_private_map(app, &user, NOW_S, lasts, &map),
    };
    let said = UserSig::verify(app, &good, NOW_S).expect("it was just signed");
    assert_eq!(
        (said.user, said.issued, said.expires),
        (user, NOW_S, NOW_S + lasts)
    );
    assert_eq!(UserSig::inspect(&good).as_ref(), Ok(&said));
    assert_eq!(UserSig::verify_for(app, &user, &good, NOW_S).as_ref(), Ok(&said));
    let late = UserSig::verify(app, &good, said.expires);
    assert_eq!(late.map_err(|error| error.code()), Err(70_001));
    let other = UserId::new("mallory").expect("a good id");
    assert!(UserSig::verify_for(app, &other, &good, NOW_S).is_err());
    assert!(UserSig::verify(&App::new(7, "another key, of another app"), &good, NOW_S).is_err());
    assert!(UserSig::verify(&App::new(8, "a key that nobody knows"), &good, NOW_S).is_err());

    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-_";
    let mut sig = good.clone().into_bytes();
    for _ in 0..=script.byte() % 4 {
        let at = script.word() % sig.len();
        let character = ALPHABET[script.below(ALPHABET.len())];
        match script.byte() % 3 {
            0 => sig[at] = character,
            1 => sig.insert(at, character),
            _ => sig.truncate(at.max(1)),
        }
    }
    let sig = String::from_utf8(sig).expect("ASCII");
    match UserSig::verify(app, &sig, NOW_S) {
        // Some bits of a deflate stream carry no meaning; what it says must then be what was signed.
        Ok(claims) => assert_eq!(claims, said),
        Err(error) => checked(&error, &sig),
    }
}

/// What the hub takes is what its kind says, all of it, and comes out of the store as it went in; a lenient reader takes it
/// for the same, and what the hub refuses for unknown.
pub fn payloads(data: &[u8]) {
    let mut script = Script(data);
    let kinds = [
        MessageKind::TEXT,
        MessageKind::IMAGE,
        MessageKind::AUDIO,
        MessageKind::VIDEO,
        MessageKind::FILE,
        MessageKind::CUSTOM,
        MessageKind::FACE,
        MessageKind::GROUP_TIP,
        MessageKind::GROUP_SYSTEM_NOTICE,
        MessageKind::REVOCATION,
    ];
    let byte = usize::from(script.byte());
    let kind = kinds.get(byte).copied().unwrap_or(MessageKind(byte as u16));
    let known = kinds.contains(&kind);
    let bytes = script.0;
    let lenient = Payload::decode(kind, bytes);
    assert_eq!(lenient.kind(), kind);
    match Payload::decode_strict(kind, bytes) {
        Ok(payload) => {
            assert_eq!(payload, lenient);
            assert_eq!(matches!(payload, Payload::Unknown(..)), !known);
            let again = to_vec(&payload);
            assert!(again.len() <= bytes.len(), "the shortest form is longer");
            assert_eq!(Payload::decode_strict(kind, &again), Ok(payload));
            // A part of it is refused, or says less; it is never read beyond its end.
            for len in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                if let Err(error) = Payload::decode_strict(kind, &bytes[..len]) {
                    assert!(error.at <= len);
                }
            }
        }
        Err(error) => {
            assert!(known, "what is not known cannot be wrong");
            assert!(error.at <= bytes.len());
            assert_eq!(lenient, Payload::Unknown(kind, bytes));
            assert_eq!(to_vec(&lenient), bytes, "kept as it came");
        }
    }
}
