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

    fn ticket(&self) -> Ticket {
        let buf = self
            .map
            .map(|map| map.to_bytes(&self.app, &self.user, self.time + self.expire));
        Ticket::signed(&self.app, &self.user, self.time, self.expire, buf.as_deref())
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
            room: Room::Number(word("roomid")),
            privileges: word("privilegeMap"),
        }),
        json: json.clone(),
    }
}

#[test]
fn golden_vectors_are_made_alike() {
    for case in cases() {
        let ticket = case.ticket();
        assert_eq!(ticket.content(), case.text("hmac_input"));
        assert_eq!(ticket.sig, case.text("tls_sig_base64"));
        let mac = STANDARD.decode(&ticket.sig).unwrap();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case.text("hmac_sha256_hex"));
        assert_eq!(ticket.json(), case.text("json"));
        assert_eq!(Ticket::unpack(&ticket.pack()).unwrap().json(), case.text("json"));
        if let Some(userbuf) = &ticket.userbuf {
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

#[test]
fn each_fault_has_its_code() {
    let sig = UserSig::sign(&app(), &alice(), 100, 50);
    let code = |app: &App, sig: &str| UserSig::verify(app, sig, 100).unwrap_err().code();
    assert_eq!(code(&app(), ""), 70_002);
    assert_eq!(code(&app(), "not a ticket"), 70_003);
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
    let mut ticket = Ticket::signed(&app(), "alice", 1, 1, None);
    let json = ticket.json().replace("2.0", "3.0");
    ticket = serde_json::from_str(&json).unwrap();
    assert_eq!(UserSig::inspect(&ticket.pack()).unwrap_err().code(), 70_005);
}

#[test]
fn a_zip_bomb_is_refused() {
    let mut ticket = Ticket::signed(&app(), "alice", 1, 1, None);
    ticket.userbuf = Some("A".repeat(1 << 20));
    let sig = ticket.pack();
    assert!(sig.len() <= MAX_SIG_LEN, "the bomb is small: {}", sig.len());
    assert_eq!(
        UserSig::inspect(&sig),
        Err(UserSigError::Malformed("inflates to more than any UserSig"))
    );
}

#[test]
fn named_rooms_are_carried() {
    let map = PrivateMap {
        room: Room::Name("lobby"),
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
    fn any_user_and_time_round_trips(user in "[ -~]{1,32}", now in 0..1u64 << 40, expire in 1..1u64 << 40) {
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
