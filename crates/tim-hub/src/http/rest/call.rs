//! A call that has been admitted, and how its command reads and writes.

use std::sync::Arc;

use serde_json::{Map, Value};
use tim_proto::{ErrorCode, UserId};
use tim_store::{Write, Written};

use super::Service;
use super::envelope::RestError;
use super::fields::Fields;
use crate::refusal::Refusal;
use crate::service::Services;

/// A call of an administrator.
pub(super) struct Call {
    pub(super) services: Arc<Services>,
    /// Who calls.
    pub(super) admin: UserId,
    pub(super) service: Service,
    pub(super) body: Map<String, Value>,
}

impl Call {
    /// The fields of the body.
    pub(super) const fn fields(&self) -> Fields<'_> {
        Fields::new(&self.body, self.service)
    }

    /// Reads the store, which blocks, on the pool of reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Services>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, RestError> {
        let services = Arc::clone(&self.services);
        // As the hub's own: administrators have no share of a user's.
        let read = self.services.reads.run(UserId::SYSTEM, move || work(&services));
        let lost = |_| Err(Refusal::new(ErrorCode::STORAGE_FAILED, "the call was cut off"));
        let result = read.await.unwrap_or_else(lost);
        result.map_err(|refusal| RestError::of(self.service, refusal))
    }

    /// Has the store write, and waits until it is durable.
    pub(super) async fn write(&self, write: Write) -> Result<Written, RestError> {
        let written = self.services.writer.write(write).await;
        written.map_err(|error| RestError::of_write(self.service, error))
    }

    /// A defect of the store.
    pub(super) fn wrong_answer(&self) -> RestError {
        RestError::of(self.service, Refusal::wrong_answer())
    }
}
