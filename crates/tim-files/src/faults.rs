//! Faults for tests: a file store that is slow or fails.

use std::fmt;
use std::io;
use std::sync::Arc;

/// An operation of the file store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Creating the files of a new upload.
    Begin,
    /// Writing a piece of an upload.
    Write,
    /// Making what was written durable.
    Sync,
    /// Decoding a picture of any size.
    Decode,
    /// Putting content into the store.
    Put,
    /// Reading content.
    Read,
    /// Deleting content.
    Delete,
}

type Before = dyn Fn(Operation) -> io::Result<()> + Send + Sync;

/// A function that is called before each operation, and can delay it or make it fail.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Before>>);

impl Faults {
    /// Calls `before` before each operation.
    #[must_use]
    pub fn new(before: impl Fn(Operation) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(before)))
    }

    pub(crate) fn before(&self, operation: Operation) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |before| before(operation))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faults").field(&self.0.is_some()).finish()
    }
}
