//! The query of a call: which application calls, as which administrator.

use std::borrow::Cow;

use tim_proto::UserId;

use super::codes;
use super::envelope::RestError;
use super::fields::digits;

/// The parameters of a query that say who calls. The others, `random` and `contenttype`, have no effect.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    app: Option<String>,
    identifier: Option<String>,
    user_sig: Option<String>,
}

impl Query {
    /// Parses a query, whose values are percent-encoded once. Of a parameter that comes twice, the first one counts.
    ///
    /// # Errors
    /// If the query is no UTF-8 when it is decoded.
    pub(super) fn parse(query: &str) -> Result<Self, RestError> {
        if decoded(query).is_none() {
            let info = "the query of the URL is no UTF-8 when it is percent-decoded";
            return Err(RestError::new(codes::BAD_REQUEST, info));
        }
        let mut parsed = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let field = match name {
                "sdkappid" => &mut parsed.app,
                "identifier" => &mut parsed.identifier,
                "usersig" => &mut parsed.user_sig,
                _ => continue,
            };
            if field.is_none() {
                *field = decoded(value).map(Cow::into_owned);
            }
        }
        Ok(parsed)
    }

    /// Checks that the call is for this application.
    pub(super) fn check_app(&self, app: u32) -> Result<(), RestError> {
        let Some(given) = self.app.as_deref().filter(|given| !given.is_empty()) else {
            return Err(RestError::new(codes::NO_APP, "the URL has no sdkappid"));
        };
        match digits(given) {
            Some(number) if number == u64::from(app) => Ok(()),
            Some(_) => Err(RestError::new(
                codes::WRONG_APP,
                "this hub serves another application",
            )),
            None => Err(RestError::new(
                codes::WRONG_APP,
                "sdkappid in the URL is not the number of an application",
            )),
        }
    }

    /// Who calls, as the query says.
    pub(super) fn identifier(&self) -> Result<UserId, RestError> {
        let given = self.identifier.as_deref().unwrap_or_default();
        UserId::new(given).map_err(|error| {
            let info = format!("identifier in the URL is not a user id: {error}");
            RestError::new(codes::NO_IDENTIFIER, info)
        })
    }

    /// The UserSig; empty if there is none.
    pub(super) fn user_sig(&self) -> &str {
        self.user_sig.as_deref().unwrap_or_default()
    }
}

/// A percent-decoded value; `None` if it is no UTF-8 then. A `%` without two digits behind it stands for itself, and so does a plus,
/// which in a form would be a space: no UserSig and no user id has one.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let pair = match (byte, behind) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_exactly_once() {
        for (text, wanted) in [
            ("a*b-c_", Some("a*b-c_")),
            ("a%2Ab%2a", Some("a*b*")),
            ("%252A", Some("%2A")),
            ("%e7%be%a4", Some("群")),
            ("100%", Some("100%")),
            ("%2", Some("%2")),
            ("%zz%+1", Some("%zz%+1")),
            ("a+b", Some("a+b")),
            ("%ff", None),
            ("", Some("")),
        ] {
            assert_eq!(decoded(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_query_says_who_calls() {
        let query = Query::parse(
            "sdkappid=7&identifier=ad%20min&usersig=a%2Ab&random=9&contenttype=json&x&sdkappid=8",
        );
        let query = query.unwrap();
        assert_eq!(query.check_app(7), Ok(()));
        assert_eq!(query.check_app(8).unwrap_err().code, codes::WRONG_APP);
        assert_eq!(query.identifier().unwrap().as_str(), "ad min");
        assert_eq!(query.user_sig(), "a*b");
        let nothing = Query::parse("").unwrap();
        assert_eq!(nothing.check_app(7).unwrap_err().code, codes::NO_APP);
        assert_eq!(nothing.identifier().unwrap_err().code, codes::NO_IDENTIFIER);
        assert_eq!(nothing.user_sig(), "");
        for number in ["-7", "+7", "%2B7", "7x", "99999999999999", "+7 "] {
            let query = Query::parse(&format!("sdkappid={number}")).unwrap();
            assert_eq!(query.check_app(7).unwrap_err().code, codes::WRONG_APP, "{number}");
        }
        for query in ["usersig=%ff", "random=%ff", "sdkappid=7&x%e7%be=9", "%80"] {
            assert_eq!(
                Query::parse(query).unwrap_err().code,
                codes::BAD_REQUEST,
                "{query}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_once_is_decoded(text in ".{0,40}", others in "[a-z%&=+*0-9]{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let once = decoded(&encoded);
            proptest::prop_assert_eq!(once.as_deref(), Some(text.as_str()));
            let query = format!("usersig={encoded}&{others}");
            if let Ok(query) = Query::parse(&query) {
                proptest::prop_assert_eq!(query.user_sig(), text);
            }
        }
    }

    /// Percent-encoded, in capitals or not, as much of it as the numbers say.
    fn encoded(text: &str, choices: &[u8]) -> String {
        let bytes = text.bytes().zip(choices.iter().cycle());
        let encode = |(byte, choice): (u8, &u8)| match (byte.is_ascii_alphanumeric(), choice % 3) {
            (true, 0) => char::from(byte).to_string(),
            (_, 1) => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        };
        bytes.map(encode).collect()
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_query_or_is_refused(text in "[%a-f0-9&=sdkappidentifierusersig\\x00-\\xff]{0,80}", app: u32) {
            let Ok(query) = Query::parse(&text) else {
                return Ok(());
            };
            let is_ours = query.check_app(app).is_ok();
            proptest::prop_assert!(!is_ours || text.contains("sdkappid="));
            proptest::prop_assert!(query.user_sig().len() <= text.len());
            let _ = query.identifier();
        }

        #[test]
        fn a_query_says_who_calls_however_it_is_encoded(
            app: u32,
            user in "[a-z0-9%&=+群 ]{1,8}",
            sig in "[a-zA-Z0-9*_%&=-]{0,40}",
            choices in proptest::collection::vec(0_u8..3, 1..9),
        ) {
            let [user_text, sig_text] = [&user, &sig].map(|text| encoded(text, &choices));
            let query = format!("random=1&sdkappid={app}&identifier={user_text}&usersig={sig_text}&contenttype=json");
            let query = Query::parse(&query).unwrap();
            proptest::prop_assert!(query.check_app(app).is_ok());
            proptest::prop_assert_eq!(query.user_sig(), &sig);
            proptest::prop_assert_eq!(query.identifier().ok(), UserId::new(&user).ok());
        }
    }
}
