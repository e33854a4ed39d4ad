//! Stores of objects for content, and what waits for them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use object_store::ObjectStore;

use crate::block::block_on;
use crate::error::FileError;

/// A store of objects that has the content of files, in place of a directory.
#[derive(Clone)]
pub struct Remote {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) driver: Driver,
    pub(crate) name: String,
}

impl Remote {
    /// A store that needs no runtime. `name` is how the operator knows it.
    #[must_use]
    pub fn new(name: impl Into<String>, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            driver: Driver::Here,
            name: name.into(),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

/// Where the requests to a store run.
#[derive(Clone)]
pub(crate) enum Driver {
    /// On the thread that waits for them.
    Here,
    /// On a runtime of their own, for a bounded time.
    #[cfg(feature = "s3")]
    Apart(Arc<crate::s3::Apart>),
}

impl Driver {
    /// The result of a request.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, FileError> {
        match self {
            Self::Here => Ok(block_on(request)?),
            #[cfg(feature = "s3")]
            Self::Apart(apart) => apart.run(request),
        }
    }
}
