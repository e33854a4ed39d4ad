//! Headers of requests and responses: ranges, entity tags, and what a browser may do with a file.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, GetAll, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use tim_proto::MessageKind;

use super::body::ResponseBody;

/// Nothing of a file runs or loads anything, whatever it contains.
const POLICY: &str =
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'";
/// Media types that a browser may display. It saves all others: they could be pages with scripts.
const SHOWN: [(&str, &str); 16] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/gif", "gif"),
    ("image/bmp", "bmp"),
    ("image/webp", "webp"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/aac", "aac"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("audio/webm", "weba"),
    ("audio/flac", "flac"),
    ("audio/amr", "amr"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
    ("video/ogg", "ogv"),
];
/// The media type of all others.
const BYTES: &str = "application/octet-stream";
/// The longest name in a response, in characters.
const MAX_NAME: usize = 200;

/// A response without a body, with the headers of every response.
pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Text(Bytes::new()));
    *response.status_mut() = status;
    let lines = response.headers_mut();
    lines.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    lines.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // The URL is a credential.
    lines.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Requested again each time: the message may have been revoked.
    lines.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// A response that says why there is no file.
pub(super) fn error(status: StatusCode, reason: &'static str) -> Response<ResponseBody> {
    text(status, Bytes::from_static(reason.as_bytes()))
}

/// A response to another method than GET and HEAD where nothing else is done.
pub(super) fn only_read(reason: &'static str) -> Response<ResponseBody> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, reason);
    let lines = response.headers_mut();
    lines.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A response of text, which is not kept.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = empty(status);
    let lines = response.headers_mut();
    lines.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    lines.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    *response.body_mut() = ResponseBody::Text(text.into());
    response
}

/// Sets a header, unless the value is not valid in one.
pub(super) fn set(response: &mut Response<ResponseBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Whether the header lists this tag, or `*`.
pub(super) fn matches(tags: GetAll<'_, HeaderValue>, tag: &str) -> bool {
    let lines = tags.iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The same for a header that wants the very same bytes: a weak tag does not match.
pub(super) fn matches_strongly(tags: GetAll<'_, HeaderValue>, tag: &str) -> bool {
    let lines = tags.iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|one| one == "*" || one == tag)
}

/// The part of a file that is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Range(Range<u64>),
    /// A range that the file does not have.
    Nothing,
}

/// The part that a request asks for. Anything but a single range stands for the whole.
pub(super) fn range(lines: GetAll<'_, HeaderValue>, size: u64) -> Wanted {
    let mut lines = lines.iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().map_or(Wanted::Whole, |line| of_line(line, size)),
        _ => Wanted::Whole,
    }
}

fn of_line(line: &str, size: u64) -> Wanted {
    let Some((unit, spec)) = line.split_once('=') else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !unit.trim().eq_ignore_ascii_case("bytes") || !is_number(first) || !is_number(last) {
        return Wanted::Whole;
    }
    // A number that does not fit is larger than any file.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let range = match (first, last) {
        ("", "") => return Wanted::Whole,
        ("", count) => size.saturating_sub(number(count))..size,
        (first, "") => number(first)..size,
        (first, last) if number(first) > number(last) => return Wanted::Whole,
        (first, last) => number(first)..number(last).saturating_add(1).min(size),
    };
    match range.is_empty() {
        true => Wanted::Nothing,
        false => Wanted::Range(range),
    }
}

/// The values of Content-Type and Content-Disposition: whether a browser displays the file or saves it, and under which name.
pub(super) fn shown_as(media_type: &str, kind: MessageKind, name: &str) -> (&'static str, String) {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let shown = SHOWN
        .iter()
        .find(|(shown, _)| essence.eq_ignore_ascii_case(shown))
        .filter(|_| kind != MessageKind::FILE);
    let (media_type, extension, how) = match shown {
        Some((media_type, extension)) => (*media_type, *extension, "inline"),
        None => (BYTES, "bin", "attachment"),
    };
    let made_up = match kind {
        MessageKind::IMAGE => "image",
        MessageKind::AUDIO => "audio",
        MessageKind::VIDEO => "video",
        _ => "file",
    };
    let name = match name.trim_matches('.').is_empty() {
        true => format!("{made_up}.{extension}"),
        false => name.to_owned(),
    };
    (media_type, disposition(how, &name))
}

/// A name twice: for old clients in ASCII, for the others percent-encoded (RFC 6266).
fn disposition(how: &str, name: &str) -> String {
    let name: String = name.chars().take(MAX_NAME).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut line = format!("{how}; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'.' | b'-' | b'_' => line.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => line.push(char::from(byte)),
            // Writing to a string cannot fail.
            byte => drop(write!(line, "%{byte:02X}")),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_the_whole() {
        for (line, wanted) in [
            ("bytes=0-0", Wanted::Range(0..1)),
            ("Bytes = 2-", Wanted::Range(2..10)),
            ("bytes=3-5", Wanted::Range(3..6)),
            ("bytes=3-99999999999999999999999", Wanted::Range(3..10)),
            ("bytes=-3", Wanted::Range(7..10)),
            ("bytes=-99", Wanted::Range(0..10)),
            ("bytes=9-", Wanted::Range(9..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-3", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(of_line(line, 10), wanted, "{line}");
        }
    }

    #[test]
    fn only_what_cannot_run_is_shown_and_names_break_out_of_nothing() {
        let (media_type, line) = shown_as("image/png; x=y", MessageKind::IMAGE, "");
        assert_eq!(
            (media_type, &*line),
            (
                "image/png",
                "inline; filename=\"image.png\"; filename*=UTF-8''image.png"
            )
        );
        for (media_type, kind) in [
            ("text/html", MessageKind::FILE),
            ("image/svg+xml", MessageKind::IMAGE),
            ("image/png", MessageKind::FILE),
            ("application/pdf", MessageKind::VIDEO),
            ("", MessageKind::AUDIO),
        ] {
            let (shown, line) = shown_as(media_type, kind, "a");
            assert_eq!(shown, BYTES, "{media_type}");
            assert!(line.starts_with("attachment; "), "{line}");
        }
        let (_, line) = shown_as("", MessageKind::FILE, "a\"\r\nX: /../群.html");
        assert_eq!(
            line,
            "attachment; filename=\"a___X_ _..__.html\"; filename*=UTF-8''a%22%0D%0AX%3A%20%2F..%2F%E7%BE%A4.html"
        );
        assert!(shown_as("", MessageKind::FILE, &"群".repeat(10_000)).1.len() < 3000);
    }
}
