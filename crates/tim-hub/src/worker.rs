//! Workers: each is a queue with a ceiling and a function that works on one item of it at a time.
//!
//! A worker has a thread of its own. In a [stepped](crate::Steps) hub it has none, and works when it is told to.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, TryLockError, Weak};

use tokio::sync::Notify;

use crate::threads::{JoinOnDrop, blocking, lock, thread};
use crate::wakeups::together;

/// After how many items a thread wakes the connections that it has handed something to.
const MAX_TOGETHER: usize = 16;

/// Where the workers of a hub work.
#[derive(Clone)]
pub(crate) enum Workplace {
    Threads,
    /// On the thread of whoever takes the steps, who is told here that there is work.
    Steps(Arc<Notify>),
}

/// The queue of a worker. The worker ends when all its queues are dropped.
pub(crate) enum Queue<T> {
    Thread(SyncSender<T>, Arc<AtomicUsize>),
    Stepped(Arc<Stepped<T>>),
}

/// A worker, for the hub that started it.
pub(crate) enum Worker {
    /// The queues have to be dropped before.
    Thread {
        _thread: JoinOnDrop,
    },
    Stepped(Weak<dyn StepWorker>),
}

/// The queue is closed: its worker has ended, or the hub is gone.
#[derive(Debug)]
pub(crate) struct Closed;

/// A worker that is told when to work.
pub(crate) trait StepWorker: Send + Sync {
    /// How many items wait.
    fn waiting(&self) -> usize;
    /// Whether one more item can wait.
    fn has_space(&self) -> bool;
    /// Works on the next item; whether there was one.
    fn step(&self) -> bool;
    /// Drops what waits, and takes no more.
    fn abandon(&self);
}

/// Starts a worker whose queue has this capacity.
///
/// # Errors
/// The operating system's, if it gives no thread.
pub(crate) fn start<T: Send + 'static>(
    workplace: &Workplace,
    name: &str,
    capacity: usize,
    mut work: impl FnMut(T) + Send + 'static,
) -> io::Result<(Queue<T>, Worker)> {
    match workplace {
        Workplace::Threads => {
            let (sender, items) = sync_channel(capacity);
            let waiting = Arc::new(AtomicUsize::new(0));
            let taken = Arc::clone(&waiting);
            let thread = thread(name, move || {
                for item in &items {
                    // With what waits behind it already: under load, connections are woken less often.
                    let waiting = items.try_iter().take(MAX_TOGETHER - 1);
                    let one = |item| {
                        taken.fetch_sub(1, Ordering::Relaxed);
                        work(item);
                    };
                    together(|| std::iter::once(item).chain(waiting).for_each(one));
                }
            })?;
            Ok((Queue::Thread(sender, waiting), Worker::Thread { _thread: thread }))
        }
        Workplace::Steps(wakeup) => {
            let stepped = Arc::new(Stepped {
                items: Mutex::default(),
                capacity,
                work: Mutex::new(Box::new(work)),
                is_closed: AtomicBool::new(false),
                wakeup: Arc::clone(wakeup),
            });
            let step: Arc<dyn StepWorker> = stepped.clone();
            Ok((Queue::Stepped(stepped), Worker::Stepped(Arc::downgrade(&step))))
        }
    }
}

impl<T> Queue<T> {
    /// Enqueues an item. Waits for space; a stepped worker makes some.
    pub(crate) fn send(&self, item: T) -> Result<(), Closed> {
        match self {
            Self::Thread(sender, waiting) => {
                waiting.fetch_add(1, Ordering::Relaxed);
                sender.send(item).map_err(|_| Closed)
            }
            Self::Stepped(stepped) => stepped.send(item),
        }
    }

    /// How many items wait.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Thread(_, waiting) => waiting.load(Ordering::Relaxed),
            Self::Stepped(stepped) => lock(&stepped.items).len(),
        }
    }

    /// Enqueues an item if there is space.
    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self {
            Self::Thread(sender, waiting) => {
                // First: it may be taken at once.
                waiting.fetch_add(1, Ordering::Relaxed);
                sender.try_send(item).inspect_err(|_| {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                })
            }
            Self::Stepped(stepped) => stepped.try_send(item),
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Thread(sender, waiting) => Self::Thread(sender.clone(), Arc::clone(waiting)),
            Self::Stepped(stepped) => Self::Stepped(Arc::clone(stepped)),
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Worker {
    /// The worker, if it is a stepped one.
    pub(crate) fn stepped(&self) -> Option<Weak<dyn StepWorker>> {
        match self {
            Self::Thread { .. } => None,
            Self::Stepped(stepped) => Some(Weak::clone(stepped)),
        }
    }
}

/// A worker without a thread. No lock is held while it works, except that of the work, for which nobody waits.
pub(crate) struct Stepped<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
    work: Mutex<Box<dyn FnMut(T) + Send>>,
    is_closed: AtomicBool,
    wakeup: Arc<Notify>,
}

impl<T> Stepped<T> {
    fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut items = lock(&self.items);
        if self.is_closed.load(Ordering::Acquire) {
            return Err(TrySendError::Disconnected(item));
        }
        if items.len() >= self.capacity {
            return Err(TrySendError::Full(item));
        }
        items.push_back(item);
        self.wakeup.notify_one();
        Ok(())
    }

    fn send(&self, mut item: T) -> Result<(), Closed> {
        loop {
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) if self.work_once() => item = back,
                Err(_) => return Err(Closed),
            }
        }
    }

    fn work_once(&self) -> bool {
        let mut work = match self.work.try_lock() {
            Ok(work) => work,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Inside of another step.
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(item) = lock(&self.items).pop_front() else {
            return false;
        };
        blocking(|| together(|| work(item)));
        true
    }
}

impl<T: Send> StepWorker for Stepped<T> {
    fn waiting(&self) -> usize {
        lock(&self.items).len()
    }

    fn has_space(&self) -> bool {
        self.waiting() < self.capacity
    }

    fn step(&self) -> bool {
        self.work_once()
    }

    fn abandon(&self) {
        self.is_closed.store(true, Ordering::Release);
        let abandoned = std::mem::take(&mut *lock(&self.items));
        drop(abandoned);
    }
}
