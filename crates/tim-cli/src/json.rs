//! JSON for people and scripts: one value a line.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde_json::Value;
use tim_json::{Json as _, Spelling};
use tim_proto::{Message, UserId};

use crate::terminal::is_treacherous;

/// A JSON value on one line, safe for terminals: control characters are escaped, which changes no value.
pub(crate) struct Line<'a, T>(pub(crate) &'a T);

impl<T: Serialize> Display for Line<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        // Such characters occur only in strings.
        text.chars().try_for_each(|c| {
            if is_treacherous(c) {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .try_for_each(|unit| write!(f, "\\u{unit:04x}"))
            } else {
                f.write_char(c)
            }
        })
    }
}

/// A message as the SDK presents it to `me`.
pub(crate) fn message(message: &Message<'_>, me: &UserId) -> Value {
    tim_json::Message::seen_by(me, message).to_value(Spelling::Sdk)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_value_stays_the_same() {
        let nasty =
            "a\u{9b}31m\u{7f}\u{85}\u{202e}b\u{2066}\u{2028}\u{2029}\u{200e}\u{61c}\n\u{1b}好😁\"\\\u{feff}";
        let value = json!({ nasty: [nasty, 1, null] });
        let line = Line(&value).to_string();
        assert!(!line.chars().any(is_treacherous), "{line:?}");
        assert!(
            line.contains("\\u009b31m\\u007f\\u0085\\u202eb\\u2066\\u2028\\u2029"),
            "{line}"
        );
        assert!(line.contains("好😁"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
