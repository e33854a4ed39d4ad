//! The bodies of responses.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tim_proto::request::FileUrl;
use tim_proto::{ErrorCode, UserId};

use super::places::{Place, UnderWay};
use crate::handlers::Readable;
use crate::refusal::Refusal;
use crate::service::Services;

/// How much of a file is read at a time.
const PIECE: u64 = 128 * 1024;

/// The body of a response.
pub(super) enum ResponseBody {
    Text(Bytes),
    File(Box<FileBody>),
}

/// The body of a response, and the place that it takes up as long as it is sent.
pub(super) struct Held {
    body: ResponseBody,
    _place: Option<Place>,
    _under_way: Option<UnderWay>,
}

impl From<ResponseBody> for Held {
    fn from(body: ResponseBody) -> Self {
        Self {
            body,
            _place: None,
            _under_way: None,
        }
    }
}

impl Held {
    /// Of a request that has a place of its own.
    pub(super) fn with_place(body: ResponseBody, place: Place) -> Self {
        Self {
            body,
            _place: Some(place),
            _under_way: None,
        }
    }

    /// The request is under way until this is sent.
    pub(super) fn of(self, under_way: Option<UnderWay>) -> Self {
        Self {
            _under_way: under_way,
            ..self
        }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A file, or a range of it, on its way.
pub(super) struct FileBody {
    source: Source,
    rest: Range<u64>,
    /// The first piece of the rest, if it was read already.
    first: Option<Bytes>,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

/// What is read, for whom.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) services: Arc<Services>,
    pub(super) user: UserId,
    pub(super) request: FileUrl,
    pub(super) file: Readable,
}

impl Source {
    /// Reads a piece, if the user may still read the message and its file is the same.
    async fn piece(self, range: Range<u64>) -> Result<Bytes, Refusal> {
        let Self {
            services,
            user,
            request,
            file,
        } = self;
        loop {
            let (per_second, now_ms) = (services.settings.requests_per_second(), services.steady_ms());
            match services.piece_limiter.take(user, per_second, now_ms, 1) {
                Ok(()) => break,
                Err(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            }
        }
        if Readable::find(&services, user, &request).await? != file {
            return Err(super::files::gone());
        }
        file.read(&services, user, range).await
    }
}

impl FileBody {
    pub(super) const fn new(source: Source, range: Range<u64>) -> Self {
        Self {
            source,
            rest: range,
            first: None,
            reading: None,
        }
    }

    /// The same, once its first piece is read and it is known that its end is there.
    pub(super) async fn begun(mut self) -> Result<Self, Refusal> {
        let end = piece_end(&self.rest);
        if end < self.rest.end {
            self = self.checked().await?;
        }
        if !self.rest.is_empty() {
            let bytes = self.source.clone().piece(self.rest.start..end).await?;
            if bytes.len() as u64 != end - self.rest.start {
                return Err(Refusal::new(ErrorCode::STORAGE_DAMAGED, ""));
            }
            self.first = Some(bytes);
        }
        Ok(self)
    }

    /// The same, once it is known that its last byte is there: the content is neither gone nor cut off.
    pub(super) async fn checked(self) -> Result<Self, Refusal> {
        let Source {
            services, user, file, ..
        } = &self.source;
        if let Some(last) = self.rest.end.checked_sub(1) {
            file.read(services, *user, last..self.rest.end).await?;
        }
        Ok(self)
    }
}

/// Where the next piece ends.
fn piece_end(rest: &Range<u64>) -> u64 {
    rest.end.min(rest.start.saturating_add(PIECE))
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = match self.get_mut() {
            Self::Text(text) if text.is_empty() => return Poll::Ready(None),
            Self::Text(text) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Self::File(body) => &mut **body,
        };
        let FileBody {
            source,
            rest,
            first,
            reading,
        } = body;
        if rest.is_empty() {
            return Poll::Ready(None);
        }
        let end = piece_end(rest);
        if let Some(bytes) = first.take() {
            rest.start = end;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let piece = reading.get_or_insert_with(|| Box::pin(source.clone().piece(rest.start..end)));
        let piece = ready!(piece.as_mut().poll(context));
        *reading = None;
        let len = end - rest.start;
        Poll::Ready(Some(match piece {
            Ok(bytes) if bytes.len() as u64 == len => {
                rest.start = end;
                Ok(Frame::data(bytes))
            }
            // The client notices that the body is incomplete.
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(refusal) => Err(io::Error::other(refusal.code.to_string())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.len() as u64,
            Self::File(body) => body.rest.end.saturating_sub(body.rest.start),
        })
    }
}
