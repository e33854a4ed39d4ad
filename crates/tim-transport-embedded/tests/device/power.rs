//! Power cuts at every step of a device that keeps its cursor and its outbox: nothing is lost, said twice or shown twice.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use embassy_futures::select::select;
use tim_session::proto::MessageId;
use tim_session::proto::message::SendOptions;
use tim_transport_embedded::{
    Client, Clock, Device, Events, Framing, OutboxStorage, Resources, Runner, SerialPort, StorageFailed,
    Transport,
};

use crate::flash::{Flash, Record, Tear};
use crate::hub::bob;
use crate::support::config;
use crate::world::{Half, Wire, World, delivered};

/// How many messages the device sends, over all its lives.
const SAYS: usize = 4;
/// What bob says.
const HEARS: [&str; 3] = ["one", "two", "three"];

/// A screen. The cut of the power clears it; an entry that is shown again from flash is not new.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    New(String),
    Again(String),
}

/// What outlives a power cut, and what those who watch have seen.
struct Site {
    world: World,
    flash: RefCell<Flash>,
    screen: RefCell<Vec<Shown>>,
    /// Whether bob has said the last thing.
    answered: Cell<bool>,
    /// How many messages were sent again after a cut that the hub did not have, and had.
    resent: Cell<[u32; 2]>,
}

/// The outbox in flash.
struct Outbox<'s>(&'s RefCell<Flash>);

impl OutboxStorage for Outbox<'_> {
    async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<(), StorageFailed> {
        let record = Record::Kept(id.to_bytes(), record.to_vec());
        Flash::append(self.0, &record).await;
        Ok(())
    }

    async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        Flash::append(self.0, &Record::Forgotten(id.to_bytes())).await;
        Ok(())
    }

    async fn oldest(&mut self, record: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        let Some((id, kept)) = self.0.borrow().outbox().into_iter().next() else {
            return Ok(None);
        };
        record
            .get_mut(..kept.len())
            .ok_or(StorageFailed)?
            .copy_from_slice(&kept);
        Ok(Some((MessageId::from_bytes(id), kept.len())))
    }
}

/// Runs a task for so many polls, and then never again, as the power does. Returns how many it took if it has come to its end.
async fn powered<T>(polls: usize, task: impl Future<Output = T>) -> Option<usize> {
    let (mut task, mut polled) = (pin!(task), 0);
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        task.as_mut().poll(context).map(|_| Some(polled))
    })
    .await
}

impl Site {
    fn new(framing: Framing) -> Self {
        let world = World::new();
        world.hub.borrow_mut().framing = framing;
        if framing == Framing::Serial {
            world.serial.set(true);
            world.is_open.set(true);
            world.hub.borrow_mut().open(world.now());
        }
        let site = Self {
            world,
            flash: RefCell::default(),
            screen: RefCell::default(),
            answered: Cell::new(false),
            resent: Cell::default(),
        };
        // A cut hits the middle of a frame, not only its border.
        site.world.capacity.set(4);
        for text in &HEARS[..2] {
            site.world.hub.borrow_mut().bob_says(text);
        }
        site
    }

    /// One life of the device, until the power is cut after so many polls. Returns how many it took to do all that is to be done,
    /// if it has come so far.
    fn live(&self, polls: usize, tear: Tear) -> Option<usize> {
        let mut resources = Resources::<512, 512, 512>::new();
        let mut config = config();
        config.framing = self.world.hub.borrow().framing;
        let seed = self.world.now().as_micros();
        let mut device = Device::new(config, "sig", &mut resources, seed, self.world.clone());
        let (cursor, last) = self.flash.borrow_mut().boot();
        if !device.resume_from(&cursor) {
            device.resume_from_start();
        }
        if let Some(text) = last {
            self.screen.borrow_mut().push(Shown::Again(text));
        }
        let done = if self.world.serial.get() {
            let line = || Half(self.world.clone());
            let (client, runner) = device.split(SerialPort::new(line(), line()));
            self.run(polls, client, runner)
        } else {
            let (client, runner) = device.split(Wire(self.world.clone()));
            self.run(polls, client, runner)
        };
        self.flash.borrow_mut().cut(tear);
        self.world.crash(tear != Tear::Nothing);
        done
    }

    fn run<T: Transport>(
        &self,
        polls: usize,
        client: Client<'_>,
        runner: Runner<'_, World, T>,
    ) -> Option<usize> {
        let mut done = None;
        let task = powered(polls, select(self.show(runner), self.say(client)));
        self.world.run_one(async { done = task.await });
        done
    }

    /// Shows what is delivered, for ever. The cursor and the entry are in flash, in one record, before the entry is shown.
    async fn show<T: Transport>(&self, runner: Runner<'_, World, T>) {
        runner.run(async |events| self.show_events(events).await).await
    }

    async fn show_events(&self, mut events: Events<'_>) {
        loop {
            let text = delivered(&events.next_event().await);
            let cursor = events.cursor(<[u8]>::to_vec);
            if self.flash.borrow().cursor() != cursor {
                let record = Record::Reached(cursor, text.clone().unwrap_or_default());
                Flash::append(&self.flash, &record).await;
            }
            if let Some(text) = text {
                self.screen.borrow_mut().push(Shown::New(text));
            }
        }
    }

    /// Sends what it has to send, and what it had not finished to send before.
    async fn say(&self, client: Client<'_>) {
        client.login().await.expect("let in");
        client.wait_until_ready().await.expect("ready");
        let (mut outbox, mut record) = (Outbox(&self.flash), [0; 200]);
        let resent = client.resend_kept(&mut outbox, &mut record, |_, sent| {
            let mut resent = self.resent.get();
            resent[usize::from(sent.expect("the hub takes it").duplicate)] += 1;
            self.resent.set(resent);
        });
        resent.await.expect("the hub answers");
        let first = self.flash.borrow().kept();
        for number in first..SAYS {
            let text = number.to_string();
            let mut message = client.create_text_message(bob(), &text).expect("a message");
            let sent =
                client.send_kept_message(&mut message, SendOptions::default(), &mut outbox, &mut record);
            assert!(!sent.await.expect("the hub answers").duplicate);
            self.bob_answers();
        }
        self.bob_answers();
        let all_shown = || self.screen.borrow().contains(&Shown::New(HEARS[2].to_owned()));
        let is_over = || all_shown() || self.flash.borrow().last().is_some_and(|last| last == HEARS[2]);
        poll_fn(|context| match is_over() {
            true => Poll::Ready(()),
            false => self.world.wait(context),
        })
        .await;
    }

    /// In the middle of the conversation, bob says the last thing.
    fn bob_answers(&self) {
        let mut hub = self.world.hub.borrow_mut();
        if hub.texts_of_kiosk().len() >= SAYS / 2 && !self.answered.replace(true) {
            hub.bob_says(HEARS[2]);
        }
    }

    /// Everything was said once and in order, and everything was shown once.
    fn check(&self, story: &str) {
        let said: Vec<_> = (0..SAYS).map(|number| number.to_string()).collect();
        assert_eq!(self.world.hub.borrow().texts_of_kiosk(), said, "{story}");
        assert_eq!(self.flash.borrow().outbox(), [], "{story}");
        let screen = self.screen.borrow();
        let mut first = Vec::new();
        for shown in screen.iter() {
            let (Shown::New(text) | Shown::Again(text)) = shown;
            if !first.contains(text) {
                first.push(text.clone());
            }
        }
        assert_eq!(first, HEARS, "{story}: {screen:?}");
        for text in HEARS {
            let new = Shown::New(text.to_owned());
            let times = screen.iter().filter(|shown| **shown == new).count();
            assert!(times <= 1, "{story}: {text} is shown {times} times: {screen:?}");
        }
    }
}

fn cut_at_every_step(framing: Framing) {
    const NO_CUT: usize = usize::MAX;
    let site = Site::new(framing);
    let polls = site.live(NO_CUT, Tear::Nothing).expect("nothing is cut");
    site.check("no cut");
    assert!(polls > 150, "{polls} steps are no life");
    let mut resent = [0; 2];
    for tear in [Tear::Nothing, Tear::Half, Tear::Garbage] {
        for first in 0..polls {
            let site = Site::new(framing);
            // Over all first cuts, the second one hits every step.
            let second = first * 7 % polls;
            let story = format!("cuts at {first} and {second} of {polls}, {tear:?}");
            let _ = (site.live(first, tear), site.live(second, tear));
            assert!(site.live(NO_CUT, tear).is_some(), "{story}");
            site.check(&story);
            resent = [0, 1].map(|had| resent[had] + site.resent.get()[had]);
        }
    }
    assert!(resent[0] > 50 && resent[1] > 50, "{resent:?}");
}

#[test]
fn the_power_is_cut_at_every_step() {
    cut_at_every_step(Framing::Stream);
}

#[test]
fn the_power_is_cut_at_every_step_on_a_serial_port() {
    cut_at_every_step(Framing::Serial);
}
