//! The table of endpoints: which type is the body of which kind of frame.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tim_proto::request::{
    CompactDeliver, ConversationChange, Deliver, Expiring, Failure, Gap, Request, Synced, for_each_request,
};
use tim_proto::wire::{Decode, DecodeError, Extensions, FrameKind, decode_body, decode_prefix};

/// Looks a kind of frame up among requests, their responses, and pushes, and decodes the body as the type found.
macro_rules! decode {
    ([$kind:expr, $body:expr, { $($push:ident => $pushed:ty),+ $(,)? }] $($request:ty),+) => {
        match $kind {
            $(kind if kind == <$request as Request>::KIND => value::<$request>($body),
            kind if kind == <$request as Request>::KIND.answer() => {
                value::<<$request as Request>::Response<'_>>($body)
            })+
            $(FrameKind::$push => value::<$pushed>($body),)+
            _ => Ok(Value::String(hex($body))),
        }
    };
}

/// The fields of a frame's body, as `tim-proto` serializes the body's type. Extensions that a later version of the protocol
/// appended are under `extensions`. A body of an unknown kind is a string of hexadecimal digits.
///
/// UserSigs are among the fields; [`describe`](crate::describe) redacts them.
///
/// # Errors
/// [`DecodeError`] if the body is malformed.
pub fn fields(kind: FrameKind, body: &[u8]) -> Result<Value, DecodeError> {
    match kind {
        FrameKind::PING | FrameKind::PONG | FrameKind::ACK => return Ok(json!({})),
        // Sent without a cursor by early hubs.
        FrameKind::SYNCED if body.is_empty() => return Ok(json!({})),
        _ => {}
    }
    for_each_request!(decode![kind, body, {
        DELIVER => Deliver<'_>,
        DELIVER_COMPACT => CompactDeliver<'_>,
        GAP => Gap,
        SYNCED => Synced<'_>,
        CONVERSATION => ConversationChange,
        EXPIRING => Expiring,
        ERROR => Failure<'_>,
        GOODBYE => Failure<'_>,
    }])
}

/// A decoded body, and the extensions after its known fields.
fn value<'a, T: Decode<'a> + Serialize>(body: &'a [u8]) -> Result<Value, DecodeError> {
    let mut value = to_value(&decode_body::<T>(body)?);
    let (_, rest) = decode_prefix::<T>(body)?;
    if let (false, Value::Object(fields)) = (rest.is_empty(), &mut value) {
        fields.insert("extensions".to_owned(), to_value(&Extensions::new(rest)?));
    }
    Ok(value)
}

/// The JSON of a type of the wire, all of which have one.
pub(crate) fn to_value(body: &impl Serialize) -> Value {
    serde_json::to_value(body).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
