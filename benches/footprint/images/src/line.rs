//! A board's line and clock as futures, for what is written against `embedded-io-async`.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};

use crate::Board;

/// Either half of a board's line, or both.
pub struct Line<'c, 'b, B>(pub &'c RefCell<&'b mut B>);

impl<B> ErrorType for Line<'_, '_, B> {
    type Error = Infallible;
}

impl<B: Board> Read for Line<'_, '_, B> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut read = || self.0.try_borrow_mut().ok()?.read_some(buffer);
        Ok(poll_fn(|_| read().map_or(Poll::Pending, Poll::Ready)).await)
    }
}

impl<B: Board> Write for Line<'_, '_, B> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if let Ok(mut board) = self.0.try_borrow_mut() {
            board.write_all(bytes);
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Runs a future to its end, asking again and again.
pub fn run_to_end<B: Board, F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    B::keeps(&*future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
