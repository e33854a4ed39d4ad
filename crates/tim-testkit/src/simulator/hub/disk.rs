//! The disk of the file store, which fails when a plan says so.

use std::io;
use std::sync::{Arc, Mutex};

use tim_files::Operation;

use crate::simulator::net::lock;
use crate::simulator::op::FileFault;

/// The disk. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How it fails, and until when.
    fault: Option<(FileFault, u64)>,
    /// How many operations there were.
    operations: u64,
}

impl Disk {
    /// It fails until this time.
    pub(super) fn fails(&self, fault: FileFault, until_ms: u64) {
        lock(&self.0).fault = Some((fault, until_ms));
    }

    pub(super) fn heal(&self) {
        lock(&self.0).fault = None;
    }

    /// Something is about to be done.
    pub(super) fn before(&self, operation: Operation, now_ms: u64) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.operations += 1;
        let Some((fault, _)) = state.fault.filter(|(_, until_ms)| now_ms < *until_ms) else {
            return Ok(());
        };
        let reads = operation == Operation::Read;
        let frees = operation == Operation::Delete;
        match fault {
            FileFault::Full if !reads && !frees => Err(io::ErrorKind::StorageFull.into()),
            FileFault::ReadOnly if !reads => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            FileFault::Unreadable if reads => Err(io::Error::other("it was planned")),
            FileFault::Flaky if state.operations.is_multiple_of(3) => Err(io::Error::other("it was planned")),
            _ => Ok(()),
        }
    }
}
