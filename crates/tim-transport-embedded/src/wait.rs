//! Waiting without a heap and without atomics: everything runs on one executor.

use core::cell::Cell;
use core::task::{Context, Poll, Waker};

use tim_session::RequestId;

use crate::FramingChoice;
use crate::shared::Shared;

/// A flag that one task waits for.
#[derive(Default)]
pub(crate) struct Signal {
    set: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Signal {
    pub(crate) fn set(&self) {
        self.set.set(true);
        wake(&self.waker);
    }

    /// Sets the flag without waking the task, which is the caller's own.
    pub(crate) fn note(&self) {
        self.set.set(true);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.get()
    }

    pub(crate) fn reset(&self) {
        self.set.set(false);
    }

    /// Ready if the flag is set.
    pub(crate) fn wait(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.set.get() {
            return Poll::Ready(());
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// Ready if the flag is set; resets it.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let is_set = self.wait(context);
        self.reset();
        is_set
    }
}

/// What a call waits for.
#[derive(Clone, Copy, Default)]
pub(crate) enum Stage {
    /// The slot is not in use.
    #[default]
    Free,
    /// Any change.
    Waiting,
    /// The response to this request.
    Pending(RequestId),
    /// Nothing: the session shows the response, and is suspended until the call has read it.
    Responded,
}

/// The state of one call.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) stage: Cell<Stage>,
    waker: Cell<Option<Waker>>,
}

impl Slot {
    pub(crate) fn wake(&self) {
        wake(&self.waker);
    }
}

fn wake(waker: &Cell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// A slot, claimed while a call is pending. Dropping it frees the slot; a response that arrives later is discarded.
pub(crate) struct Claim<'m, F: FramingChoice> {
    pub(crate) shared: &'m Shared<'m, F>,
    pub(crate) slot: &'m Slot,
}

impl<F: FramingChoice> Claim<'_, F> {
    /// Registers the task for [`Slot::wake`].
    pub(crate) fn wait<T>(&self, context: &mut Context<'_>) -> Poll<T> {
        self.slot.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<F: FramingChoice> Drop for Claim<'_, F> {
    fn drop(&mut self) {
        self.slot.waker.set(None);
        if let Stage::Responded = self.slot.stage.replace(Stage::Free) {
            self.shared.driver.set(); // the session may continue
        }
    }
}
