//! Bytes as hexadecimal digits.

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits. Spaces, commas and colons may separate digits, and `0x` may precede them.
pub(crate) fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut half = None;
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digit = char::from(*first).to_digit(16);
        match (digit, half.take()) {
            (Some(0), None) if matches!(behind, [b'x' | b'X', ..]) => rest = behind.get(1..).unwrap_or(&[]),
            (Some(digit), None) => half = Some(digit),
            (Some(digit), Some(high)) => bytes.push((high * 16 + digit) as u8),
            (None, before) if first.is_ascii_whitespace() || b",:".contains(first) => half = before,
            (None, _) => {
                let at = text.len() - rest.len();
                let shown = char::from(*first).escape_default();
                return Err(format!(
                    "character {at} of the input, '{shown}', is not a hexadecimal digit"
                ));
            }
        }
    }
    match half {
        None => Ok(bytes),
        Some(_) => Err("the input has an odd number of hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_all_its_spellings() {
        for text in [
            "01abFF",
            " 01 ab ff\n",
            "0x01,0xAB,0xff",
            "01:ab:FF",
            "0 1 a b f f",
        ] {
            assert_eq!(from_hex(text.as_bytes()).unwrap(), [1, 0xab, 0xff], "{text}");
        }
        assert!(from_hex(b"").unwrap().is_empty());
        for text in ["0", "0g", "zz", "01 a"] {
            assert!(from_hex(text.as_bytes()).is_err(), "{text}");
        }
    }
}
