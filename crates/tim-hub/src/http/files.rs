//! Requests for files by signed URLs.

use std::sync::Arc;

use hyper::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
};
use hyper::{Method, Response, StatusCode};
use tim_proto::ErrorCode;

use super::body::{FileBody, ResponseBody, Source};
use super::headers::{self, Wanted};
use crate::file_urls::FileLink;
use crate::handlers::Readable;
use crate::refusal::Refusal;
use crate::service::Services;

/// The text for files that do not exist and for files that the user may not read: the two look the same.
pub(super) const NOT_FOUND: &str = "Not found.\n";
const EXPIRED: &str = "The URL has expired. Request a new one.\n";
pub(super) const BUSY: &str = "Try again later.\n";
const OTHER: &str = "The file is not the one that the request is about.\n";
const DAMAGED: &str = "The file is damaged. It is restored when its sender uploads it again.\n";
/// What a request costs, besides its pieces: as much as FILE_URL.
const COST: u32 = 2;

/// The response to a request for a file.
pub(super) async fn respond(
    services: &Arc<Services>,
    token: &str,
    method: &Method,
    asked: &HeaderMap,
) -> Response<ResponseBody> {
    let settings = &services.settings;
    let of_former = || FileLink::from_token(token, &settings.former_app()?);
    let Some(link) = FileLink::from_token(token, &settings.app()).or_else(of_former) else {
        return headers::error(StatusCode::NOT_FOUND, NOT_FOUND);
    };
    if link.expires <= services.now_ms() / 1000 {
        return headers::error(StatusCode::FORBIDDEN, EXPIRED);
    }
    match file(services, &link, method, asked).await {
        Ok(response) => response,
        Err(refusal) => refused(&refusal),
    }
}

async fn file(
    services: &Arc<Services>,
    link: &FileLink,
    method: &Method,
    asked: &HeaderMap,
) -> Result<Response<ResponseBody>, Refusal> {
    let (user, per_second) = (link.user, services.settings.requests_per_second());
    let taken = services
        .request_limiter
        .take(user, per_second, services.steady_ms(), COST);
    taken.map_err(|wait_ms| Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, ""))?;
    let request = link.request().ok_or_else(gone)?;
    let file = Readable::find(services, user, &request).await?;
    let tag = format!("\"{}\"", file.tag());
    if let Some(response) = unwanted(asked, &tag) {
        return Ok(response);
    }
    let is_same = asked
        .get(IF_RANGE)
        .is_none_or(|of| of.as_bytes() == tag.as_bytes());
    let size = file.size();
    let wanted = match *method == Method::GET && is_same {
        true => headers::range(asked.get_all(RANGE), size),
        false => Wanted::Whole,
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let mut response = headers::error(StatusCode::RANGE_NOT_SATISFIABLE, "");
            headers::set(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let media_type = file.media_type(services, user).await?;
    let (media_type, disposition) = headers::shown_as(&media_type, file.kind(), &file.name);
    let mut response = headers::empty(status);
    if status == StatusCode::PARTIAL_CONTENT {
        let of = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        headers::set(&mut response, CONTENT_RANGE, &of);
    }
    headers::set(&mut response, ETAG, &tag);
    headers::set(&mut response, CONTENT_TYPE, media_type);
    headers::set(&mut response, CONTENT_DISPOSITION, &disposition);
    let lines = response.headers_mut();
    lines.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // The URL is the only credential; requests have no cookies.
    lines.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let source = Source {
        services: Arc::clone(services),
        user,
        request,
        file,
    };
    let body = FileBody::new(source, range);
    // What cannot be read is refused while there is a status to say so.
    let body = match *method == Method::GET {
        true => body.begun().await?,
        false => body.checked().await?,
    };
    *response.body_mut() = ResponseBody::File(Box::new(body));
    Ok(response)
}

/// The response if the client wants a file with this tag no more, or only another one.
fn unwanted(asked: &HeaderMap, tag: &str) -> Option<Response<ResponseBody>> {
    if asked.contains_key(IF_MATCH) && !headers::matches_strongly(asked.get_all(IF_MATCH), tag) {
        return Some(headers::error(StatusCode::PRECONDITION_FAILED, OTHER));
    }
    headers::matches(asked.get_all(IF_NONE_MATCH), tag).then(|| {
        let mut response = headers::empty(StatusCode::NOT_MODIFIED);
        headers::set(&mut response, ETAG, tag);
        response
    })
}

/// Not found and not allowed look the same to the client.
fn refused(refusal: &Refusal) -> Response<ResponseBody> {
    let status = match refusal.code {
        ErrorCode::RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::STORAGE_FAILED
        | ErrorCode::FILE_STORE_FAILED
        | ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR
        | ErrorCode::SERVER_SHUTTING_DOWN => StatusCode::SERVICE_UNAVAILABLE,
        // It stays so until somebody mends it: nothing says when to try again.
        ErrorCode::STORAGE_DAMAGED => return headers::error(StatusCode::INTERNAL_SERVER_ERROR, DAMAGED),
        _ => return headers::error(StatusCode::NOT_FOUND, NOT_FOUND),
    };
    let mut response = headers::error(status, BUSY);
    let seconds = refusal.retry_after_ms.div_ceil(1000).max(1);
    headers::set(&mut response, RETRY_AFTER, &seconds.to_string());
    response
}

pub(super) fn gone() -> Refusal {
    Refusal::new(ErrorCode::FILE_NOT_FOUND, "")
}
