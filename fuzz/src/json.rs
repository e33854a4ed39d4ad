//! JSON that claims to be bodies and messages, and captured bytes that are described as JSON.

use tim_proto::message::{Encoded, Message, SendOptions};
use tim_proto::request::{
    BeginUpload, Conversations, CreateGroup, Download, EndUploadResponse, Fetch, GroupMembers, History,
    JoinGroup, Revoke, UpdateGroup,
};
use tim_proto::wire::{FrameKind, decode_body, transcode};

/// JSON is refused, or becomes a body that decodes, and whose JSON becomes the same body.
macro_rules! check_body {
    ($text:ident: $($body:ty),+ $(,)?) => {$({
        let to_bytes =
            |text: &str| transcode::<$body, _>(&mut serde_json::Deserializer::from_str(text));
        if let Ok(bytes) = to_bytes($text) {
            let value: $body = decode_body(&bytes).expect("an accepted body decodes");
            let again = serde_json::to_string(&value).expect("a body has a JSON form");
            assert_eq!(to_bytes(&again).expect("its own JSON is accepted"), bytes, "{again}");
        }
    })+};
}

/// JSON to bodies and to messages.
pub fn json(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    check_body! { text:
        SendOptions<'_>, Revoke<'_>, History<'_>, Conversations<'_>, Fetch, CreateGroup<'_>, JoinGroup<'_>,
        UpdateGroup<'_>, GroupMembers<'_>, BeginUpload<'_>, EndUploadResponse<'_>, Download,
    }
    let Ok(encoded) = serde_json::from_str::<Encoded<Vec<u8>>>(text) else {
        return;
    };
    Message::decode_from(encoded.as_bytes()).expect("an accepted message decodes");
    let again = serde_json::to_string(&encoded.message()).expect("a message has a JSON form");
    let back: Encoded<Vec<u8>> = serde_json::from_str(&again).expect("its own JSON is accepted");
    assert_eq!(back.as_bytes(), encoded.as_bytes(), "{again}");
}

/// A capture ends in at most as many parts as it has bytes, and a body has a description exactly if it has fields.
pub fn captures(data: &[u8]) {
    let parts = tim_inspect::stream(data, 1 << 16).take(data.len() + 1).count();
    assert!(parts <= data.len(), "{parts} parts of {} bytes", data.len());
    let Some((&kind, body)) = data.split_first() else {
        return;
    };
    let kind = FrameKind(kind);
    assert_eq!(
        tim_inspect::describe(kind, body).is_ok(),
        tim_inspect::fields(kind, body).is_ok(),
        "{kind}"
    );
}
