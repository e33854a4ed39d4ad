//! A file store that is slow or fails when a test says so.

use std::fmt;
use std::io;
use std::sync::Arc;

/// What the file store is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// To make the files of a new upload.
    Begin,
    /// To write a piece of an upload.
    Write,
    /// To make what was written durable.
    Sync,
    /// To put content into the store.
    Put,
    /// To read content.
    Read,
    /// To delete content.
    Delete,
}

type Before = dyn Fn(Operation) -> io::Result<()> + Send + Sync;

/// Is called before each operation: it may wait, or fail in its stead.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Before>>);

impl Faults {
    /// `before` is called before each operation.
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
