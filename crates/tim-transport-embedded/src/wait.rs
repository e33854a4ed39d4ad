//! Who waits for what, without a heap and without atomics: all is done from one executor.

use core::cell::Cell;
use core::task::{Context, Poll, Waker};

use tim_session::RequestId;

use crate::shared::Shared;

/// One task that waits for something to happen, and whether it has.
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

    /// Whether it was set, which it is no longer then.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.set.take() {
            return Poll::Ready(());
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// What a call under way waits for.
#[derive(Clone, Copy, Default)]
pub(crate) enum Stage {
    /// Nobody has this slot.
    #[default]
    Free,
    /// Any change.
    Change,
    /// The answer to this request.
    Answer(RequestId),
    /// Nothing: the answer is the event that the session shows. The session stands still until it was read.
    Answered,
}

/// The place of one call under way.
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

/// A slot for as long as a call is under way. Dropping it gives the slot back; an answer that comes later is nobody's.
pub(crate) struct Claim<'m> {
    pub(crate) shared: &'m Shared<'m>,
    pub(crate) slot: &'m Slot,
}

impl Claim<'_> {
    /// To be woken by [`Slot::wake`].
    pub(crate) fn wait<T>(&self, context: &mut Context<'_>) -> Poll<T> {
        self.slot.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.slot.waker.set(None);
        if let Stage::Answered = self.slot.stage.replace(Stage::Free) {
            self.shared.driver.set(); // the session may go on
        }
    }
}
