//! Virtual time, a line of memory with its faults, and an executor that polls a task only when it was woken: a wake-up that
//! is forgotten ends in a panic, not in a hang.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tim_session::proto::message::Payload;
use tim_transport_embedded::{Clock, Event, Instant, Transport};

use crate::hub::Hub;

/// How many rounds without an end a test may take.
const PATIENCE: usize = 200_000;

/// Time, the line and the hub.
#[derive(Clone)]
pub(crate) struct World(Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) now: Cell<u64>,
    timers: RefCell<Vec<(u64, Waker)>>,
    pub(crate) hub: RefCell<Hub>,
    /// Bytes to the hub, and from it.
    up: RefCell<VecDeque<u8>>,
    down: RefCell<VecDeque<u8>>,
    wakers: RefCell<Vec<Waker>>,
    /// How many bytes each direction holds, and how many go at a time.
    pub(crate) capacity: Cell<usize>,
    pub(crate) portion: Cell<usize>,
    pub(crate) is_open: Cell<bool>,
    /// How many times a `connect` is polled before it is done; how many fail.
    pub(crate) connect_polls: Cell<u32>,
    pub(crate) connects_failing: Cell<u32>,
    connecting: Cell<u32>,
    pub(crate) connects: Cell<u32>,
    /// After how many bytes, both directions, the line breaks.
    pub(crate) cut_after: Cell<Option<usize>>,
    /// The line is a serial one: it has no beginning and no end, and the hub never closes it.
    pub(crate) serial: Cell<bool>,
    /// How many bytes in each direction get lost from now on, and how many reads fail.
    pub(crate) lose_up: Cell<usize>,
    pub(crate) lose_down: Cell<usize>,
    pub(crate) read_errors: Cell<usize>,
}

impl std::ops::Deref for World {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl World {
    pub(crate) fn new() -> Self {
        tim_testkit::deadline(); // for a task that never gives way
        Self(Rc::new(Inner {
            now: Cell::new(0),
            timers: RefCell::default(),
            hub: RefCell::default(),
            up: RefCell::default(),
            down: RefCell::default(),
            wakers: RefCell::default(),
            capacity: Cell::new(100),
            portion: Cell::new(50),
            is_open: Cell::new(false),
            connect_polls: Cell::new(2),
            connects_failing: Cell::new(0),
            connecting: Cell::new(0),
            connects: Cell::new(0),
            cut_after: Cell::new(None),
            serial: Cell::new(false),
            lose_up: Cell::new(0),
            lose_down: Cell::new(0),
            read_errors: Cell::new(0),
        }))
    }

    /// Runs these tasks until the first one is done.
    pub(crate) fn run(&self, mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
        let flags: Vec<_> = tasks
            .iter()
            .map(|_| Arc::new(Flag(AtomicBool::new(true))))
            .collect();
        for _ in 0..PATIENCE {
            let mut moved = false;
            for (number, (task, flag)) in tasks.iter_mut().zip(&flags).enumerate() {
                if flag.0.swap(false, Ordering::Relaxed) {
                    moved = true;
                    let waker = Waker::from(flag.clone());
                    if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() && number == 0 {
                        return;
                    }
                }
            }
            let (hub_moved, hub_wake) = self.settle_hub();
            if !moved && !hub_moved {
                self.pass_time(hub_wake);
            }
        }
        panic!("it never ends");
    }

    pub(crate) fn run_one(&self, task: impl Future<Output = ()>) {
        self.run(vec![Box::pin(task)]);
    }

    /// The line breaks; what is on its way is lost.
    pub(crate) fn cut(&self) {
        self.is_open.set(false);
        self.up.borrow_mut().clear();
        self.down.borrow_mut().clear();
        self.hub.borrow_mut().close();
        self.wake();
    }

    /// The device is switched off. What it has sent still arrives, or not. A serial line tells the hub nothing of it.
    pub(crate) fn crash(&self, arrives: bool) {
        while arrives && self.settle_hub().0 {
            self.down.borrow_mut().clear();
        }
        self.timers.borrow_mut().clear();
        if self.serial.get() {
            self.up.borrow_mut().clear();
        } else {
            self.cut();
        }
    }

    /// Bytes that nobody sent.
    pub(crate) fn noise(&self, bytes: &[u8]) {
        self.down.borrow_mut().extend(bytes);
        self.up.borrow_mut().extend(bytes);
        self.wake();
    }

    /// Lets the others go on: comes back with the next thing that happens on the line.
    pub(crate) async fn yield_now(&self) {
        let mut waited = false;
        poll_fn(|context| match std::mem::replace(&mut waited, true) {
            false => self.wait(context),
            true => Poll::Ready(()),
        })
        .await
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.wait_until(self.now() + duration).await;
    }

    fn wake(&self) {
        self.wakers.borrow_mut().drain(..).for_each(Waker::wake);
    }

    pub(crate) fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.wakers.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    fn count(&self, bytes: usize) {
        if let Some(left) = self.cut_after.get() {
            self.cut_after.set(left.checked_sub(bytes));
            if left < bytes {
                self.cut();
            }
        }
    }

    fn settle_hub(&self) -> (bool, Option<Instant>) {
        let (now, mut hub, mut moved) = (Instant::from_micros(self.now.get()), self.hub.borrow_mut(), false);
        lose(&self.lose_up, &mut self.up.borrow_mut());
        lose(&self.lose_down, &mut self.down.borrow_mut());
        let taken = hub.receive(now, self.up.borrow_mut().make_contiguous());
        self.up.borrow_mut().drain(..taken);
        moved |= taken > 0;
        let (wake, mut closed) = hub.settle(now);
        let mut down = self.down.borrow_mut();
        let len = hub
            .outgoing()
            .len()
            .min(self.capacity.get().saturating_sub(down.len()));
        if len > 0 {
            down.extend(&hub.outgoing()[..len]);
            hub.transmitted(len);
            moved = true;
        }
        assert!(!closed || !self.serial.get(), "a serial line has no end");
        closed &= hub.outgoing().is_empty();
        drop((hub, down));
        if closed {
            self.is_open.set(false);
            moved = true;
        }
        if moved {
            self.wake();
        }
        (moved, wake)
    }

    fn pass_time(&self, hub_wake: Option<Instant>) {
        let first = self
            .timers
            .borrow()
            .iter()
            .map(|timer| timer.0)
            .chain(hub_wake.map(Instant::as_micros))
            .min();
        let first = first.expect("nobody was woken, and nobody waits for a time");
        self.now.set(first.max(self.now.get() + 1));
        let now = self.now.get();
        let due = |timer: &mut (u64, Waker)| timer.0 <= now;
        let due: Vec<_> = self.timers.borrow_mut().extract_if(.., due).collect();
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

fn lose(left: &Cell<usize>, bytes: &mut VecDeque<u8>) {
    let len = left.get().min(bytes.len());
    bytes.drain(..len);
    left.set(left.get() - len);
}

struct Flag(AtomicBool);
impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant::from_micros(self.now.get())
    }
    async fn wait_until(&self, moment: Instant) {
        poll_fn(|context| {
            if self.now() >= moment {
                return Poll::Ready(());
            }
            self.timers
                .borrow_mut()
                .push((moment.as_micros(), context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// One end's half of the line, and the line itself.
pub(crate) struct Wire(pub(crate) World);
pub(crate) struct Half(pub(crate) World);

impl World {
    /// Goes on connecting; ready with whether it is done.
    pub(crate) fn connect_now(&self) -> Poll<bool> {
        let polls = self.connecting.get() + 1;
        self.connecting.set(polls);
        if polls < self.connect_polls.get() {
            return Poll::Pending;
        }
        self.connecting.set(0);
        self.connects.set(self.connects.get() + 1);
        if let Some(left) = self.connects_failing.get().checked_sub(1) {
            self.connects_failing.set(left);
            return Poll::Ready(false);
        }
        self.is_open.set(true);
        self.hub.borrow_mut().open(self.now());
        Poll::Ready(true)
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.down.borrow().is_empty()
    }

    /// Reads what is there.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> usize {
        let mut down = self.down.borrow_mut();
        let len = buffer.len().min(self.portion.get()).min(down.len());
        buffer
            .iter_mut()
            .zip(down.drain(..len))
            .for_each(|(to, from)| *to = from);
        drop(down);
        self.count(len);
        len
    }

    /// Writes what there is room for.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> usize {
        let mut up = self.up.borrow_mut();
        let room = self.capacity.get().saturating_sub(up.len());
        let len = bytes.len().min(self.portion.get()).min(room);
        up.extend(&bytes[..len]);
        drop(up);
        self.count(len);
        len
    }

    /// What happens while a device sleeps that is polled: the hub does something, or time passes.
    pub(crate) fn idle(&self, until: Option<Instant>) {
        let (moved, hub_wake) = self.settle_hub();
        if !moved && !self.has_input() {
            let step = Instant::from_micros(self.now.get() + 1_000);
            let first = until.into_iter().chain(hub_wake).min().unwrap_or(step);
            // A connection that is being opened is there soon.
            let first = if self.connecting.get() > 0 { step } else { first };
            self.now.set(first.as_micros().max(self.now.get() + 1));
        }
    }
}

impl Transport for Wire {
    type Connection<'a> = (Half, Half);

    async fn connect(&mut self) -> Option<(Half, Half)> {
        let is_open = poll_fn(|context| {
            let connected = self.0.connect_now();
            if connected.is_pending() {
                context.waker().wake_by_ref();
            }
            connected
        });
        is_open
            .await
            .then(|| (Half(self.0.clone()), Half(self.0.clone())))
    }

    async fn disconnect(&mut self) {
        self.0.cut();
    }
}

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let world = &self.0;
        let read = poll_fn(|context| {
            if let Some(left) = world.read_errors.get().checked_sub(1) {
                world.read_errors.set(left);
                return Poll::Ready(Err(ErrorKind::InvalidData));
            }
            match world.read_now(buffer) {
                0 if world.is_open.get() => world.wait(context),
                len => Poll::Ready(Ok(len)),
            }
        });
        read.await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let world = &self.0;
        let write = poll_fn(|context| {
            if !world.is_open.get() {
                return Poll::Ready(Err(ErrorKind::ConnectionReset));
            }
            match world.write_now(bytes) {
                0 => world.wait(context),
                len => Poll::Ready(Ok(len)),
            }
        });
        write.await
    }
    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// The text that an event delivers, and empty for a stub.
pub(crate) fn delivered(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Delivered(delivery) => Some(match delivery.message().payload {
            Payload::Text(text) => text.text.to_owned(),
            _ => String::new(),
        }),
        _ => None,
    }
}
