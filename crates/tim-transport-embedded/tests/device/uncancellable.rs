//! Transports whose futures must not be dropped: a DMA transfer that stops where it is, a writer that sends only in its flush, a reader
//! that has taken bytes before it is done. As long as the connection is open, the driver drops none of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embassy_futures::join::join4;
use embassy_futures::select::{Either, select};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tim_session::Framing;
use tim_transport_embedded::{Client, Clock as _, Device, Events, Resources, Transport};

use crate::hub::bob;
use crate::support::{config, log_in};
use crate::world::{World, delivered};

/// A port with DMA, or what is left of its transfers.
#[derive(Clone)]
struct Dma(Rc<Registers>);

struct Registers {
    world: World,
    /// How long a byte takes.
    byte_time: Duration,
    /// Writes are collected, up to this length, and sent by a flush.
    buffer: Option<usize>,
    collected: RefCell<Vec<u8>>,
    /// How many futures were dropped while the connection was open and before they were done.
    dropped: Cell<usize>,
    /// After how many bytes a write fails, and after how many one never completes; each once.
    fails_after: Cell<Option<usize>>,
    hangs_after: Cell<Option<usize>>,
}

impl Dma {
    fn new(world: &World, byte_time: Duration) -> Self {
        Self::with_buffer(world, byte_time, None)
    }

    fn with_buffer(world: &World, byte_time: Duration, buffer: Option<usize>) -> Self {
        Self(Rc::new(Registers {
            world: world.clone(),
            byte_time,
            buffer,
            collected: RefCell::default(),
            dropped: Cell::new(0),
            fails_after: Cell::new(None),
            hangs_after: Cell::new(None),
        }))
    }

    /// The transfer to the line. What is dropped in the middle has sent the first half.
    async fn transfer(&self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let mut transfer = Transfer {
            port: self,
            rest: bytes.iter().copied().collect(),
        };
        let world = &self.0.world;
        world.sleep(self.0.byte_time * bytes.len() as u32).await;
        if runs_out(&self.0.hangs_after, bytes.len()) {
            pending::<()>().await;
        }
        let is_broken = runs_out(&self.0.fails_after, bytes.len());
        if is_broken {
            transfer.rest.truncate(bytes.len() / 2);
        }
        poll_fn(|context| {
            let sent = world.write_now(transfer.rest.make_contiguous());
            transfer.rest.drain(..sent);
            match transfer.rest.is_empty() || !world.is_open.get() {
                true => Poll::Ready(()),
                false => world.wait(context),
            }
        })
        .await;
        transfer.rest.clear();
        match is_broken || !world.is_open.get() {
            true => Err(ErrorKind::Other),
            false => Ok(()),
        }
    }
}

/// Whether these bytes reach what is left, which happens once.
fn runs_out(left: &Cell<Option<usize>>, bytes: usize) -> bool {
    let Some(before) = left.get() else {
        return false;
    };
    left.set(before.checked_sub(bytes));
    before < bytes
}

struct Transfer<'d> {
    port: &'d Dma,
    rest: VecDeque<u8>,
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let world = &self.port.0.world;
        if !self.rest.is_empty() && world.is_open.get() {
            self.port.0.dropped.set(self.port.0.dropped.get() + 1);
            let half = self.rest.len() / 2;
            world.write_now(&self.rest.make_contiguous()[..half]);
        }
    }
}

impl Transport for Dma {
    type Connection<'a> = (Self, Self);

    async fn connect(&mut self) -> Option<(Self, Self)> {
        let is_open = poll_fn(|context| {
            let connected = self.0.world.connect_now();
            if connected.is_pending() {
                context.waker().wake_by_ref();
            }
            connected
        });
        is_open.await.then(|| (self.clone(), self.clone()))
    }

    async fn disconnect(&mut self) {
        self.0.collected.borrow_mut().clear();
        self.0.world.cut();
    }
}

impl ErrorType for Dma {
    type Error = ErrorKind;
}

impl Read for Dma {
    /// Takes the bytes first, and returns them after their time.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let world = &self.0.world;
        let len = poll_fn(|context| match world.read_now(buffer) {
            0 if world.is_open.get() => world.wait(context),
            len => Poll::Ready(len),
        })
        .await;
        let mut taken = Taken { port: self, len };
        world.sleep(self.0.byte_time * len as u32).await;
        taken.len = 0;
        Ok(len)
    }
}

/// Bytes that are lost if the read is dropped.
struct Taken<'d> {
    port: &'d Dma,
    len: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.len > 0 && self.port.0.world.is_open.get() {
            self.port.0.dropped.set(self.port.0.dropped.get() + 1);
        }
    }
}

impl Write for Dma {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let Some(limit) = self.0.buffer else {
            self.transfer(bytes).await?;
            return Ok(bytes.len());
        };
        if self.0.collected.borrow().len() >= limit {
            self.flush().await?;
        }
        let mut collected = self.0.collected.borrow_mut();
        let len = bytes.len().min(limit - collected.len());
        collected.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        let bytes = self.0.collected.take();
        match bytes.is_empty() {
            true => Ok(()),
            false => self.transfer(&bytes).await,
        }
    }
}

/// A device on this port, its two ends given to a script.
fn on(port: &Dma, framing: Framing, script: impl AsyncFnOnce(Client<'_>, Events<'_>)) {
    let world = &port.0.world;
    world.hub.borrow_mut().framing = framing;
    let mut resources = Resources::<512, 512, 512>::new();
    let mut config = config();
    config.framing = framing;
    let mut device = Device::new(config, "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(port.clone());
    world.run_one(runner.run(async |mut events| {
        log_in(client, &mut events).await;
        script(client, events).await;
    }));
}

const MESSAGES: usize = 40;

fn numbered(letter: char) -> Vec<String> {
    (10..10 + MESSAGES)
        .map(|number| format!("{letter}{number}"))
        .collect()
}

/// Sends and receives, with three messages under way, and stops to wait for an event again and again. Then the line is quiet for a while.
async fn load(port: &Dma, client: Client<'_>, mut events: Events<'_>) {
    let (world, next, said) = (&port.0.world, Cell::new(10), Cell::new(0));
    let say = async || {
        while next.get() < 10 + MESSAGES {
            let number = next.replace(next.get() + 1);
            world.hub.borrow_mut().bob_says(&format!("b{number}"));
            let text = format!("k{number}");
            let mut message = client.create_text_message(bob(), &text).expect("a message");
            while client.send_message(&mut message).await.is_err() {
                client.wait_until_ready().await.expect("ready again");
            }
            said.set(said.get() + 1);
        }
    };
    let mut received = Vec::new();
    let receive = async {
        while received.len() < MESSAGES || said.get() < MESSAGES {
            match select(events.next_event(), world.sleep(port.0.byte_time * 9)).await {
                Either::First(event) => received.extend(delivered(&event)),
                Either::Second(()) => {}
            }
        }
        events.until(world.sleep(Duration::from_secs(5)), |_| {}).await;
    };
    join4(receive, say(), say(), say()).await;
    assert_eq!(received, numbered('b'));
    let mut said = world.hub.borrow().texts_of_kiosk();
    said.sort();
    assert_eq!(said, numbered('k'));
    // A connection whose write has failed is over, and what it is reading is dropped with it.
    let ended = world.connects.get() as usize - 1;
    let dropped = port.0.dropped.get();
    assert!(
        dropped <= ended,
        "{dropped} futures were dropped in {ended} connections that ended"
    );
}

/// 115,200 and 1,200 baud, over a line that holds much and over one that holds 20 bytes.
const SPEEDS: [(u64, usize); 3] = [(87, 200), (87, 20), (8_333, 20)];

#[test]
fn a_transfer_that_is_dropped_is_noticed_here() {
    let world = World::new();
    let mut port = Dma::new(&world, Duration::from_micros(87));
    world.is_open.set(true);
    world.run_one(async {
        select(port.write(b"lost"), world.sleep(Duration::from_micros(200))).await;
    });
    assert_eq!(port.0.dropped.get(), 1);
}

#[test]
fn no_transfer_is_dropped_under_load_in_both_directions() {
    for framing in [Framing::Stream, Framing::Serial] {
        for buffer in [None, Some(100)] {
            for (byte_time, capacity) in SPEEDS {
                let world = World::new();
                world.capacity.set(capacity);
                let port = Dma::with_buffer(&world, Duration::from_micros(byte_time), buffer);
                on(&port, framing, async |client, events| {
                    load(&port, client, events).await
                });
                let case = format!("{framing:?}, {buffer:?}, {byte_time}, {capacity}");
                assert_eq!(world.connects.get(), 1, "{case}");
                assert_eq!(world.hub.borrow().logins(), 1, "{case}");
            }
        }
    }
}

#[test]
fn transfers_that_fail_cost_a_connection_each_and_no_message() {
    for buffer in [None, Some(100)] {
        let world = World::new();
        let port = Dma::with_buffer(&world, Duration::from_micros(87), buffer);
        on(&port, Framing::Stream, async |client, events| {
            let fail = async {
                for number in 1..=5 {
                    port.0.fails_after.set(Some(number * 70));
                    world.sleep(Duration::from_millis(300)).await;
                }
                pending::<()>().await;
            };
            select(load(&port, client, events), fail).await;
        });
        let connects = world.connects.get();
        assert!((2..=6).contains(&connects), "{connects} connections");
    }
}

/// The hub is quiet, or keeps on talking: then any byte that arrives shows that the connection is alive, but nothing gets out.
#[test]
fn a_transfer_that_never_completes_ends_with_its_connection() {
    for framing in [Framing::Stream, Framing::Serial] {
        for is_quiet in [true, false] {
            let world = World::new();
            let port = Dma::new(&world, Duration::from_micros(87));
            on(&port, framing, async |client, mut events| {
                let talk = async {
                    loop {
                        world.sleep(Duration::from_secs(1)).await;
                        if !is_quiet {
                            world.hub.borrow_mut().bob_says("still there?");
                        }
                    }
                };
                port.0.hangs_after.set(Some(20));
                let began = world.now();
                let mut message = client.create_text_message(bob(), "at last").expect("a message");
                let send = async {
                    while client.send_message(&mut message).await.is_err() {
                        client.wait_until_ready().await.expect("ready again");
                    }
                };
                events.until(select(send, talk), |_| {}).await;
                let took = world.now().since(began);
                assert!(
                    took < Duration::from_secs(60),
                    "{framing:?}, {is_quiet}: {took:?}"
                );
            });
            assert_eq!(world.hub.borrow().texts_of_kiosk(), ["at last"]);
            assert_eq!(world.connects.get(), 2, "{framing:?}, {is_quiet}");
        }
    }
}
