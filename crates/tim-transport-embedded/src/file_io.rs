//! The files of a device: how they are read and written, piece by piece.

use core::future::Future;

use crate::Error;

/// The application could not read or write a file; it knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file could not be read or written")]
pub struct FileFailed;

impl From<FileFailed> for Error {
    fn from(_: FileFailed) -> Self {
        Self::File
    }
}

/// A file that is read in ranges: in flash, on a card, or generated. It must not change during an upload.
///
/// ```
/// use tim_transport_embedded::{FileFailed, FileSource};
///
/// /// A picture in external flash.
/// struct Picture<F> {
///     flash: F,
///     address: u32,
/// }
///
/// # trait Flash { async fn read(&mut self, address: u32, to: &mut [u8]) -> Result<(), ()>; }
/// impl<F: Flash> FileSource for Picture<F> {
///     async fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<(), FileFailed> {
///         let address = self.address + u32::try_from(offset).map_err(|_| FileFailed)?;
///         self.flash.read(address, to).await.map_err(|_| FileFailed)
///     }
/// }
/// ```
pub trait FileSource {
    /// Fills `to` with the bytes of the file from `offset` on. Only ranges within the announced size are read, and a range may be
    /// read again. The future may be dropped before it completes.
    ///
    /// # Errors
    /// [`FileFailed`]: the call ends with [`Error::File`].
    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> impl Future<Output = Result<(), FileFailed>>;
}

/// A file in memory, such as in flash that the processor addresses.
impl FileSource for &[u8] {
    async fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<(), FileFailed> {
        let from = usize::try_from(offset).map_err(|_| FileFailed)?;
        let end = from.checked_add(to.len()).ok_or(FileFailed)?;
        let range = self.get(from..end).ok_or(FileFailed)?;
        for (to, from) in to.iter_mut().zip(range) {
            *to = *from;
        }
        Ok(())
    }
}

/// A destination of a file.
pub trait FileSink {
    /// Writes `bytes` at `offset` of the file. Pieces come in order. A piece may be written again when a download is continued. The
    /// future may be dropped before it completes.
    ///
    /// # Errors
    /// [`FileFailed`]: the call ends with [`Error::File`].
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> impl Future<Output = Result<(), FileFailed>>;
}

/// Reads a file of `size` bytes from its beginning to its end, through `buffer`, and passes each piece to `on_piece`: to a hash, in
/// software or in the chip's own unit.
///
/// # Errors
/// [`Error::File`] from the source, and for an empty buffer.
pub async fn read_through(
    source: &mut impl FileSource,
    size: u64,
    buffer: &mut [u8],
    mut on_piece: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let mut offset = 0;
    while offset < size {
        let len = clamp(size - offset, buffer.len());
        let piece = buffer.get_mut(..len).filter(|piece| !piece.is_empty());
        let piece = piece.ok_or(Error::File)?;
        source.read_at(offset, piece).await?;
        on_piece(piece);
        offset += len as u64;
    }
    Ok(())
}

/// The SHA-256 of a file of `size` bytes, read through `buffer`.
///
/// # Errors
/// As [`read_through`].
#[cfg(feature = "sha2")]
pub async fn sha256_of(
    source: &mut impl FileSource,
    size: u64,
    buffer: &mut [u8],
) -> Result<[u8; 32], Error> {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    read_through(source, size, buffer, |piece| hash.update(piece)).await?;
    Ok(hash.finalize().into())
}

/// `len`, but at most `most`.
pub(crate) fn clamp(len: u64, most: usize) -> usize {
    usize::try_from(len).map_or(most, |len| len.min(most))
}

#[cfg(all(test, feature = "sha2"))]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn the_hash_of_a_file_is_the_same_through_any_buffer() {
        let abc = *b"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\
                     \xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";
        let hash = |size, buffer: &mut [u8]| {
            let mut source = &b"abc"[..];
            let hash = pin!(sha256_of(&mut source, size, buffer));
            match hash.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(hash) => hash,
                Poll::Pending => unreachable!("memory does not wait"),
            }
        };
        for len in 1..5 {
            assert_eq!(hash(3, &mut [0; 4][..len]), Ok(abc));
        }
        assert_eq!(hash(3, &mut []), Err(Error::File), "an empty buffer");
        assert_eq!(hash(4, &mut [0; 4]), Err(Error::File), "a range behind the end");
    }
}
