//! Every future is dropped after its k-th poll and made anew, for every k: nothing may be lost, doubled or out of order.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tim_transport_embedded::{Client, Device, Events, Resources, Runner};

use crate::hub::bob;
use crate::support::{config, with_device};
use crate::world::{Wire, World, delivered};

const MESSAGES: usize = 6;

/// When futures are dropped, and how often they were.
struct Drops {
    after: usize,
    count: Cell<usize>,
}

impl Drops {
    fn new(after: usize) -> Self {
        Self {
            after,
            count: Cell::new(0),
        }
    }

    /// Polls a future as often as it may be, and drops it.
    async fn cut_short<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut polls) = (pin!(future), 0);
        poll_fn(|context| {
            polls += 1;
            match future.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if polls >= self.after => {
                    self.count.set(self.count.get() + 1);
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// A future that is dropped once, and then made anew.
macro_rules! twice {
    ($drops:expr, $future:expr) => {
        match $drops.cut_short($future).await {
            Some(output) => output,
            None => $future.await,
        }
    };
}

/// Waits to be woken by what a dropped future has left behind.
async fn wake_up() {
    let mut asleep = true;
    poll_fn(|_| match std::mem::take(&mut asleep) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}

fn numbered(letter: char) -> Vec<String> {
    (0..MESSAGES).map(|number| format!("{letter}{number}")).collect()
}

/// One task: whatever is passed to `until` is dropped with it.
async fn alone(world: &World, drops: &Drops, client: Client<'_>, mut events: Events<'_>) {
    let mut received = Vec::new();
    twice!(
        drops,
        events.until(client.login(), |event| received.extend(delivered(&event)))
    )
    .expect("let in");
    twice!(
        drops,
        events.until(client.wait_until_ready(), |event| received
            .extend(delivered(&event)))
    )
    .expect("ready");
    for number in 0..MESSAGES {
        world.hub.borrow_mut().bob_says(&format!("b{number}"));
        let text = format!("k{number}");
        let mut message = client.create_text_message(bob(), &text).expect("a message");
        let answer = twice!(
            drops,
            events.until(client.send_message(&mut message), |event| received
                .extend(delivered(&event)))
        );
        assert!(answer.is_ok(), "{answer:?}");
        twice!(
            drops,
            events.until(client.set_message_read(bob()), |event| received
                .extend(delivered(&event)))
        )
        .expect("read");
    }
    while received.len() < MESSAGES {
        let text = twice!(drops, async { delivered(&events.next_event().await) });
        received.extend(text);
    }
    assert_eq!(received, numbered('b'));
    twice!(drops, events.until(client.logout(), |_| {})).expect("out");
}

/// The task that drives, dropping each future after so many polls, for ever.
async fn receive(drops: &Drops, runner: Runner<'_, World, Wire>, received: &RefCell<Vec<String>>) {
    let run = runner.run(async |mut events| {
        loop {
            let next = async { delivered(&events.next_event().await) };
            match drops.cut_short(next).await {
                Some(text) => received.borrow_mut().extend(text),
                None => wake_up().await,
            }
        }
    });
    run.await
}

/// The task that only makes calls.
async fn send(world: &World, drops: &Drops, client: Client<'_>) {
    twice!(drops, client.login()).expect("let in");
    twice!(drops, client.wait_until_ready()).expect("ready");
    for number in 0..MESSAGES {
        world.hub.borrow_mut().bob_says(&format!("b{number}"));
        let text = format!("k{number}");
        let mut message = client.create_text_message(bob(), &text).expect("a message");
        let answer = twice!(drops, client.send_message(&mut message));
        assert!(answer.is_ok(), "{answer:?}");
    }
    twice!(
        drops,
        client.get_message_list(bob(), None, 3, |page| assert!(page.messages.iter().count() > 0))
    )
    .expect("a page");
}

/// Runs a scenario for every k, until nothing is left to be dropped, with the line cut at several places.
fn for_every_k(scenario: impl Fn(&World, &Drops)) {
    for cut in [None, Some(30), Some(170), Some(400), Some(500)] {
        for after in 1.. {
            let (world, drops) = (World::new(), Drops::new(after));
            world.cut_after.set(cut);
            world.capacity.set(9); // many polls a call
            world.portion.set(if after % 2 == 0 { 1 } else { 4 });
            scenario(&world, &drops);
            assert_eq!(
                world.hub.borrow().texts_of_kiosk(),
                numbered('k'),
                "k {after}, cut {cut:?}"
            );
            let reconnects = world.hub.borrow().logins() - 1;
            assert_eq!(
                reconnects > 0,
                cut.is_some_and(|cut| cut > 100),
                "k {after}, cut {cut:?}"
            );
            if drops.count.get() == 0 {
                assert!(after > 8, "only {after} polls");
                break;
            }
        }
    }
}

#[test]
fn one_task_that_is_cancelled_at_every_await() {
    for_every_k(|world, drops| {
        with_device(world, async |client, events| {
            alone(world, drops, client, events).await
        });
    });
}

#[test]
fn two_tasks_that_are_cancelled_at_every_await() {
    for_every_k(|world, drops| {
        let mut resources = Resources::<512, 512, 512>::new();
        let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
        let (client, runner) = device.split(Wire(world.clone()));
        let received = RefCell::new(Vec::new());
        let done = async {
            send(world, drops, client).await;
            while received.borrow().len() < MESSAGES {
                world.yield_now().await;
            }
        };
        world.run(vec![Box::pin(done), Box::pin(receive(drops, runner, &received))]);
        assert_eq!(*received.borrow(), numbered('b'));
    });
}
