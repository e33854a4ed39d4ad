//! Bodies: of requests, which are there as a whole, and of answers, up to a limit.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{Failed, Fault};

/// Reads an answer of at most so many bytes.
pub(super) async fn read(mut body: Incoming, most: usize) -> Result<Bytes, Failed> {
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| Fault::Unanswered.because(error))?;
        if let Some(data) = frame.data_ref() {
            if read.len() + data.len() > most {
                return Err(Fault::Useless.because(format_args!("the answer has more than {most} bytes")));
            }
            read.extend_from_slice(data);
        }
    }
    Ok(read.freeze())
}

/// A body that is there as a whole.
#[derive(Clone)]
pub(super) struct Whole(pub(super) Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
