//! The name of a file at the hub.

use core::fmt;
use core::str::FromStr;

/// The name that the hub gives a complete file: `f` and 32 lower-case hexadecimal digits, as the `uuid` of a payload has it.
/// Nobody can guess it.
///
/// ```
/// use tim_proto::FileId;
/// let id = FileId::from_bytes([0xab; 16]);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("https://h/beach.png".parse::<FileId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId([u8; 16]);

impl FileId {
    /// The length of a name as text.
    pub const LEN: usize = 33;

    /// The name with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("f")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not the name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a file: that is `f` and 32 lower-case hexadecimal digits")]
pub struct NoFileId;

impl FromStr for FileId {
    type Err = NoFileId;

    fn from_str(text: &str) -> Result<Self, NoFileId> {
        let digits = text.strip_prefix('f').ok_or(NoFileId)?.as_bytes();
        if digits.len() != 32 {
            return Err(NoFileId);
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair
                .iter()
                .try_fold(0u8, |high, digit| Some(high << 4 | value(*digit)?))
                .ok_or(NoFileId)?;
        }
        Ok(Self(id))
    }
}

/// The value of a lower-case digit: each file has one name.
const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn text_and_bytes_are_inverses_and_nothing_else_is_a_name() {
        let id = FileId::from_bytes(std::array::from_fn(|at| at as u8 * 17));
        let text = id.to_string();
        assert_eq!(text, "f00112233445566778899aabbccddeeff");
        assert_eq!(text.len(), FileId::LEN);
        assert_eq!(text.parse(), Ok(id));
        for other in [
            "",
            "f",
            &text[1..],
            &text[..32],
            &text.to_uppercase(),
            &format!("{text}0"),
            &text.replace('0', "g"),
        ] {
            assert_eq!(other.parse::<FileId>(), Err(NoFileId), "{other}");
        }
        assert!("f../../../../../../../../../../ab".parse::<FileId>().is_err());
    }
}
