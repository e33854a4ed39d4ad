use proptest::prelude::*;
use serde_json::Value;

use super::*;

const GOLDEN: &str = include_str!("../tests/golden/usersig.json");

struct Case {
    app: App,
    user: String,
    time: u64,
    expire: u64,
    map: Option<PrivateMap<'static>>,
    json: Value,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap()
    }

    fn signed(&self) -> SignedClaims {
        let buf = self
            .map
            .map(|map| map.to_bytes(&self.app, &self.user, self.time + self.expire));
        SignedClaims::signed(&self.app, &self.user, self.time, self.expire, buf.as_deref())
    }
}

fn cases() -> Vec<Case> {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases: Vec<Case> = golden["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 12, "all vectors are there");
    cases
}

fn case(json: &Value) -> Case {
    let number = |key: &str| json[key].as_u64().unwrap();
    let word = |key: &str| u32::try_from(number(key)).unwrap();
    Case {
        app: App::new(word("sdkappid"), json["key"].as_str().unwrap()),
        user: json["user_id"].as_str().unwrap().to_owned(),
        time: number("time"),
        expire: number("expire"),
        map: (json["kind"] == "privateMapKey").then(|| PrivateMap {
            room: TrtcRoom::Number(word("roomid")),
            privileges: word("privilegeMap"),
        }),
        json: json.clone(),
    }
}

#[test]
fn golden_vectors_are_made_alike() {
    for case in cases() {
        let signed = case.signed();
        assert_eq!(signed.content(), case.text("hmac_input"));
        assert_eq!(signed.sig, case.text("tls_sig_base64"));
        let mac = STANDARD.decode(&signed.sig).unwrap();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case.text("hmac_sha256_hex"));
        assert_eq!(signed.json(), case.text("json"));
        assert_eq!(
            SignedClaims::unpack(&signed.pack()).unwrap().json(),
            case.text("json")
        );
        if let Some(userbuf) = &signed.userbuf {
            assert_eq!(userbuf, case.text("userbuf_base64"));
        }
    }
}

#[test]
fn golden_signatures_are_accepted() {
    for case in cases() {
        let sig = case.text("signature_node");
        let found = UserSig::verify(&case.app, sig, case.time);
        if case.user.is_empty() {
            assert_eq!(
                found,
                Err(UserSigError::Invalid("TLS.identifier is not a user id"))
            );
        } else if case.expire == 0 {
            assert_eq!(
                found,
                Err(UserSigError::Expired { expired: case.time }),
                "only the time is wrong"
            );
        } else {
            let claims = found.unwrap();
            assert_eq!(claims.user.as_str(), case.user);
            assert_eq!(
                (claims.issued, claims.expires),
                (case.time, case.time + case.expire)
            );
            assert_eq!(claims.userbuf.is_some(), case.map.is_some());
            assert_eq!(UserSig::inspect(sig).unwrap(), claims);
            assert!(
                UserSig::verify(&case.app, sig, claims.expires - 1).is_ok(),
                "the last second counts"
            );
            let late = UserSig::verify(&case.app, sig, claims.expires).unwrap_err();
            assert_eq!(late.code(), 70_001);
        }
    }
}

fn app() -> App {
    App::new(7, "a secret")
}

fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

const NOW: u64 = 1_705_307_415;

fn fault(issued: u64, expire: u64) -> Option<String> {
    let sig = UserSig::sign(&app(), &alice(), issued, expire);
    match UserSig::verify(&app(), &sig, NOW) {
        Ok(_) => None,
        Err(error) => Some(format!("{} {error}", error.code())),
    }
}

#[test]
fn a_user_sig_of_endless_validity_names_the_mistake() {
    let day = 86_400;
    for (issued, expire, slip) in [
        (NOW * 1000, 180 * day, "TLS.time is in milliseconds"),
        (NOW * 1000 + 999, 1, "TLS.time is in milliseconds"),
        (NOW + MAX_AHEAD_S + 1, day, "more than a day ahead"),
        (NOW + 10 * 365 * day, day, "more than a day ahead"),
        (u64::MAX, u64::MAX, "more than a day ahead"),
        (NOW, 180 * day * 1000, "TLS.expire is more than ten years"),
        (NOW, 7 * day * 1000, "TLS.expire is more than ten years"),
        (NOW, MAX_VALID_S + 1, "TLS.expire is more than ten years"),
        (NOW, u64::MAX, "TLS.expire is more than ten years"),
    ] {
        let said = fault(issued, expire).unwrap_or_default();
        assert!(
            said.starts_with("70005") && said.contains(slip),
            "{issued} {expire}: {said}"
        );
    }
    assert_eq!(
        fault(NOW + MAX_AHEAD_S, day),
        None,
        "a signer's clock may be a little ahead"
    );
    assert_eq!(fault(NOW, MAX_VALID_S), None);
    assert_eq!(
        fault(NOW - day, day - 1),
        Some(format!(
            "70001 the UserSig expired at {} (unix seconds); get a new one",
            NOW - 1
        ))
    );
}

#[test]
fn times_that_are_no_numbers_of_seconds_are_named() {
    for (json, slip) in [
        (r#""TLS.time":-5,"TLS.expire":60"#, "TLS.time is not"),
        (r#""TLS.time":1705307415.5,"TLS.expire":60"#, "TLS.time is not"),
        (r#""TLS.time":"1705307415","TLS.expire":60"#, "TLS.time is not"),
        (r#""TLS.time":1705307415,"TLS.expire":-1"#, "TLS.expire is not"),
        (
            r#""TLS.time":1705307415,"TLS.expire":99999999999999999999"#,
            "TLS.expire is not",
        ),
    ] {
        let json = format!(
            r#"{{"TLS.ver":"2.0","TLS.identifier":"alice","TLS.sdkappid":7,{json},"TLS.sig":"AAAA"}}"#
        );
        let error = UserSig::inspect(&signed_claims::packed(&json)).unwrap_err();
        assert_eq!(error.code(), 70_005);
        assert!(error.to_string().contains(slip), "{json}: {error}");
    }
}

#[test]
fn each_fault_has_its_code() {
    let sig = UserSig::sign(&app(), &alice(), 100, 50);
    let code = |app: &App, sig: &str| UserSig::verify(app, sig, 100).unwrap_err().code();
    assert_eq!(code(&app(), ""), 70_002);
    assert_eq!(code(&app(), "not a UserSig"), 70_003);
    assert_eq!(code(&app(), &sig[..sig.len() - 4]), 70_003, "cut short");
    assert_eq!(code(&app(), &"A".repeat(MAX_SIG_LEN + 1)), 70_003);
    assert_eq!(code(&App::new(7, "another secret"), &sig), 70_009);
    assert_eq!(code(&App::new(8, "a secret"), &sig), 70_014);
    let bob = UserId::new("bob").unwrap();
    assert_eq!(
        UserSig::verify_for(&app(), &bob, &sig, 100).unwrap_err().code(),
        70_013
    );
    assert!(UserSig::verify_for(&app(), &alice(), &sig, 100).is_ok());
}

#[test]
fn another_version_is_invalid() {
    let mut signed = SignedClaims::signed(&app(), "alice", 1, 1, None);
    let json = signed.json().replace("2.0", "3.0");
    signed = serde_json::from_str(&json).unwrap();
    assert_eq!(UserSig::inspect(&signed.pack()).unwrap_err().code(), 70_005);
}

#[test]
fn a_zip_bomb_is_refused() {
    let mut signed = SignedClaims::signed(&app(), "alice", 1, 1, None);
    signed.userbuf = Some("A".repeat(1 << 20));
    let sig = signed.pack();
    assert!(sig.len() <= MAX_SIG_LEN, "the bomb is small: {}", sig.len());
    assert_eq!(
        UserSig::inspect(&sig),
        Err(UserSigError::Malformed("inflates to more than any UserSig"))
    );
}

#[test]
fn named_rooms_are_carried() {
    let map = PrivateMap {
        room: TrtcRoom::Name("lobby"),
        privileges: 255,
    };
    let sig = UserSig::sign_private_map(&app(), &alice(), 100, 50, &map);
    let buf = UserSig::verify(&app(), &sig, 100).unwrap().userbuf.unwrap();
    assert_eq!(buf.first(), Some(&1));
    assert!(buf.ends_with(b"\x00\x05lobby"));
}

#[test]
fn debug_output_hides_the_key() {
    assert!(!format!("{:?}", app()).contains("a secret"));
}

proptest! {
    #[test]
    fn any_user_and_time_round_trips(user in "[!-~]([ -~]{0,30}[!-~])?", now in 0..1u64 << 40, expire in 1..MAX_VALID_S) {
        let user = UserId::new(&user).unwrap();
        let sig = UserSig::sign(&app(), &user, now, expire);
        let claims = UserSig::verify(&app(), &sig, now).unwrap();
        prop_assert_eq!((claims.user, claims.issued, claims.expires), (user, now, now + expire));
    }

    #[test]
    fn a_changed_character_never_passes(at in 0usize..200, to in "[A-Za-z0-9*-]") {
        let sig = UserSig::sign(&app(), &alice(), 100, 50);
        let at = at % sig.len();
        let mut changed = sig.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != sig);
        // Some bits of a deflate header carry no meaning; what it says must then be what was signed.
        if let Ok(claims) = UserSig::verify(&app(), &changed, 100) {
            prop_assert_eq!(claims, UserSig::inspect(&sig).unwrap());
        }
    }

    #[test]
    fn garbage_is_refused_without_panic(text in "\\PC{0,300}") {
        prop_assert!(UserSig::verify(&app(), &text, 0).is_err());
    }
}
