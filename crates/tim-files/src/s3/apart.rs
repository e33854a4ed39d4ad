//! The runtime that requests run on, and how long they may take.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::client::HttpError;
use tokio::runtime::{Builder, Runtime};

use crate::block::block_on;
use crate::error::FileError;

/// How long a store that did not answer is left alone, in parts of the time that a request may take.
const COOL_OFF: u32 = 6;

/// One thread that drives the requests of all who wait for the store.
pub(crate) struct Apart {
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    time_limit: Duration,
    /// The store did not answer: until then, nothing is asked of it.
    left_alone_until: Mutex<Option<Instant>>,
}

impl Apart {
    pub(super) fn new(time_limit: Duration) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tim-s3")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            time_limit,
            left_alone_until: Mutex::new(None),
        })
    }

    /// The result of a request, which fails when its time is over. Those who wait for a store that does not answer fail at once
    /// for a while, so that they do not hold up others.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, FileError> {
        let failed = |text: &str| FileError::Failed(text.to_owned());
        let Some(runtime) = &self.runtime else {
            return Err(failed("it is closed"));
        };
        if self
            .left_alone_until()
            .is_some_and(|until| Instant::now() < until)
        {
            return Err(failed("the store did not answer a moment ago"));
        }
        let time_limit = self.time_limit;
        let task = runtime.spawn(async move { tokio::time::timeout(time_limit, request).await });
        let (result, has_answered) = match block_on(task) {
            Ok(Ok(Ok(value))) => (Ok(value), true),
            Ok(Ok(Err(error))) => {
                let has_answered = !is_of_transport(&error);
                (Err(error.into()), has_answered)
            }
            Ok(Err(_)) => {
                let text = format!("the store did not answer within {:?}", self.time_limit);
                (Err(FileError::Failed(text)), false)
            }
            Err(_) => (Err(failed("the request was lost")), true),
        };
        *self.left_alone_until() = (!has_answered).then(|| Instant::now() + self.time_limit / COOL_OFF);
        result
    }

    fn left_alone_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.left_alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // A runtime must not wait for its tasks on a thread of another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether no answer has come at all.
fn is_of_transport(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<HttpError>() {
            return true;
        }
        cause = inner.source();
    }
    false
}
