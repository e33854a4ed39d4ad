//! How much of a foreign document is read. What exceeds a limit is refused before it costs memory.

use serde_json::Value;

use crate::error::{Error, Fault};
use crate::object::At;

/// The maximum length of a document, in bytes: the vendor's limit for the response of a call.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// The maximum depth of arrays and objects in each other. Messages that contain merged messages take six levels each.
pub const MAX_DEPTH: usize = 48;
/// The maximum number of values in a document: of members of objects and items of arrays.
pub const MAX_VALUES: usize = 20_000;
/// The maximum number of items of one list, such as a `MsgBody` or a list of users.
pub const MAX_LIST_ITEMS: usize = 1_000;

/// Checks a text before it is parsed. Brackets and commas outside strings bound what parsing can allocate.
pub(crate) fn check_text(json: &[u8]) -> Result<(), Error> {
    if json.len() > MAX_DOCUMENT_BYTES {
        return Err(Fault::over("bytes of JSON", json.len(), MAX_DOCUMENT_BYTES).at(&At::ROOT));
    }
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Fault::over("levels", depth, MAX_DEPTH).at(&At::ROOT));
        }
        if values > MAX_VALUES {
            return Err(Fault::over("values", values, MAX_VALUES).at(&At::ROOT));
        }
    }
    Ok(())
}

/// Checks a value that somebody else has parsed.
pub(crate) fn check_value(value: &Value) -> Result<(), Error> {
    count(value, &At::ROOT, &mut 0)
}

fn count(value: &Value, at: &At<'_>, values: &mut usize) -> Result<(), Error> {
    *values += 1;
    if *values > MAX_VALUES {
        return Err(Fault::over("values", *values, MAX_VALUES).at(at));
    }
    if at.depth() > MAX_DEPTH {
        return Err(Fault::over("levels", at.depth(), MAX_DEPTH).at(at));
    }
    match value {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| count(item, &at.index(index), values))
        }
        Value::Object(members) => {
            let mut members = members.iter();
            members.try_for_each(|(key, member)| count(member, &at.key(key), values))
        }
        _ => Ok(()),
    }
}
