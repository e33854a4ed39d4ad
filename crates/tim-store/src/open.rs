//! An open store.

use std::fmt;
use std::sync::Arc;

use crate::{Bus, StoreReader, StoreWriter};

/// Both ends of an open store, and the bus if several hubs use it.
///
/// Engines return their own types; a pair of them becomes a `Store` by [`From`].
pub struct Store {
    /// The end that writes.
    pub writer: Box<dyn StoreWriter>,
    /// The end that reads.
    pub reader: Arc<dyn StoreReader>,
    /// To the other hubs that use it; `None` if there are none.
    pub bus: Option<Arc<dyn Bus>>,
}

impl<W: StoreWriter + 'static, R: StoreReader + 'static> From<(W, R)> for Store {
    fn from((writer, reader): (W, R)) -> Self {
        Self {
            writer: Box::new(writer),
            reader: Arc::new(reader),
            bus: None,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
