//! Devices, links and a hub in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use tim_session::proto::message::SendOptions;
use tim_session::proto::{ConversationId, MessageId};
use tim_session::{
    ClientConfig, ClientSession, Framing, GrowBuffer, HubConfig, Instant, RequestError, RequestId,
};

use crate::device::{Driver, Wish};
use crate::{Device, End, Faults, ModelHub, Rng, SimulatedLink, messages, user};

/// How many outputs of one device may follow each other before it waits.
const MAX_POLLS: usize = 100_000;
/// How many moments one run may have: more than any world with an end needs.
const MAX_MOMENTS: usize = 20_000_000;

/// Devices, links and a hub.
#[derive(Debug)]
pub struct World {
    now: Instant,
    rng: Rng,
    faults: Faults,
    hub: ModelHub,
    hub_config: HubConfig,
    hub_wakes: BTreeMap<u64, Instant>,
    devices: Vec<Device>,
    links: BTreeMap<u64, SimulatedLink>,
    opened: u64,
    cuts_left: u32,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        crate::deadline();
        Self {
            now: Instant::from_millis(1_000_000),
            rng: Rng::new(seed),
            hub: ModelHub::default(),
            hub_config: HubConfig::default(),
            hub_wakes: BTreeMap::new(),
            devices: Vec::new(),
            links: BTreeMap::new(),
            opened: 0,
            cuts_left: faults.cuts,
            faults,
        }
    }

    /// Adds a device of `user` that logs in, `change`s its configuration first, and returns its number.
    pub fn add_device(&mut self, user: &str, change: impl FnOnce(&mut ClientConfig)) -> usize {
        let number = self.devices.len();
        let mut config = ClientConfig::new(1, crate::user(user), number as u64 + 1);
        change(&mut config);
        let mut session = self.session(config);
        session.resume_from_start();
        session.login(self.now);
        self.devices.push(Device::new(session));
        number
    }

    fn session(&mut self, config: ClientConfig) -> ClientSession<&'static str, GrowBuffer> {
        let [rx, tx, outbox] = [0; 3].map(|_| GrowBuffer::new(64 * 1024));
        ClientSession::new(config, "sig", rx, tx, outbox, self.rng.draw())
    }

    /// Makes a group of these users, or adds them to it.
    pub fn add_group(&mut self, group: &str, members: &[&str]) {
        for member in members {
            self.hub.add_to_group(crate::group(group), user(member));
        }
    }

    /// The current time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A device by the number that [`World::add_device`] returned.
    ///
    /// # Panics
    /// If there is no such device.
    #[must_use]
    pub fn device(&self, number: usize) -> &Device {
        &self.devices[number]
    }

    /// All devices.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The hub.
    #[must_use]
    pub const fn hub(&self) -> &ModelHub {
        &self.hub
    }

    /// A command for a session, with the time.
    pub fn with_session<T>(
        &mut self,
        number: usize,
        command: impl FnOnce(&mut ClientSession<&'static str, GrowBuffer>, Instant) -> T,
    ) -> T {
        let done = command(&mut self.devices[number].session, self.now);
        self.settle();
        done
    }

    /// Sends a text that no message had before.
    ///
    /// # Errors
    /// The error of the session.
    pub fn send(&mut self, number: usize, conversation: &str, text: &str) -> Result<RequestId, RequestError> {
        let count = self.devices[number].sent + 1;
        self.devices[number].sent = count;
        self.send_numbered(number, conversation, text, count)
    }

    /// Sends a text as the device's message with this number: the same number is the same message.
    ///
    /// # Errors
    /// The error of the session.
    pub fn send_numbered(
        &mut self,
        number: usize,
        conversation: &str,
        text: &str,
        count: u64,
    ) -> Result<RequestId, RequestError> {
        let to: ConversationId = conversation.parse().expect("a conversation id");
        self.with_session(number, |session, now| {
            let mut message = messages::text(session.config().user, to, text);
            message.id = MessageId {
                sender: session.account(),
                client_time: count,
                random: number as u32,
            };
            message.client_sequence = count;
            let ticket = session.send(now, &message, SendOptions::default())?;
            Ok(ticket.id())
        })
    }

    /// Breaks a device's link. `silently`: neither end notices.
    pub fn cut(&mut self, number: usize, silently: bool) {
        if let Driver::Open(link) = self.devices[number].driver
            && let Some(link) = self.links.get_mut(&link)
        {
            if silently {
                link.cut_silently(&mut self.rng)
            } else {
                link.cut(self.now, &mut self.rng)
            }
        }
    }

    /// Breaks a device's link as the device sees it; the hub's end does not notice.
    pub fn cut_for_device_only(&mut self, number: usize) {
        if let Driver::Open(link) = self.devices[number].driver {
            if let Some(link) = self.links.get_mut(&link) {
                link.cut_silently(&mut self.rng);
            }
            self.devices[number].driver = Driver::Idle;
            self.devices[number].session.disconnected(self.now);
            self.settle();
        }
    }

    /// Pulls the cable of a device's serial link for a while: bytes are lost, and neither end notices.
    pub fn pull(&mut self, number: usize, time: Duration) {
        let link = self.devices[number].serial;
        if let Some(link) = link.and_then(|link| self.links.get_mut(&link)) {
            link.pull(self.now + time);
        }
    }

    /// Puts noise on a device's serial link, on its way from `end`.
    pub fn disturb(&mut self, number: usize, end: End, noise: &[u8]) {
        let link = self.devices[number].serial;
        if let Some(link) = link.and_then(|link| self.links.get_mut(&link)) {
            link.send(end, noise, self.now, &mut self.rng);
        }
    }

    /// Whether no link has bytes in transit.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.links.values().all(SimulatedLink::is_quiet)
    }

    /// Restarts the hub: stored messages remain, sessions end. Serial links stay open, other links close.
    pub fn restart_hub(&mut self) {
        for id in self.hub.numbers() {
            if self.devices.iter().any(|device| device.serial == Some(id)) {
                self.hub.open(id, serial(self.hub_config), self.now);
            } else {
                self.hub.lost(id);
                self.hub_wakes.remove(&id);
                if let Some(link) = self.links.get_mut(&id) {
                    link.close(End::Hub, self.now, &mut self.rng);
                }
            }
        }
        self.settle();
    }

    /// Resets a device: its session and outbox are lost, its cursor is kept.
    pub fn reset_device(&mut self, number: usize) {
        let old = &self.devices[number].session;
        let (config, cursor) = (old.config().clone(), old.cursor().to_vec());
        let mut session = self.session(config);
        if !session.resume_from(&cursor) {
            session.resume_from_start();
        }
        session.login(self.now);
        self.hang_up(number);
        self.devices[number].session = session;
        self.settle();
    }

    /// Starts [`Statistics::most_in_flight`](crate::Statistics::most_in_flight) anew.
    pub fn reset_most_in_flight(&mut self) {
        self.hub.reset_most_in_flight();
    }

    /// Changes the faults of links opened from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.cuts_left = faults.cuts;
        self.faults = faults;
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    /// Lets time pass until `done`, or up to `limit`. Returns whether `done` holds.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        for _ in 0..MAX_MOMENTS {
            self.settle();
            if done(self) {
                return true;
            }
            let next = self.next_moment().unwrap_or(end);
            if next >= end {
                self.now = end;
                self.settle();
                return done(self);
            }
            self.now = next;
        }
        panic!("time hardly passes: it is only {:?}", self.now);
    }

    /// The time of the next event.
    fn next_moment(&self) -> Option<Instant> {
        let opening = |device: &Device| match device.driver {
            Driver::Opening { at, .. } => Some(at),
            _ => None,
        };
        let devices = self
            .devices
            .iter()
            .flat_map(|device| [device.wake, opening(device)])
            .flatten();
        let links = self.links.values().filter_map(|link| link.next_arrival(self.now));
        let next = devices
            .chain(links)
            .chain(self.hub_wakes.values().copied())
            .min()?;
        assert!(next > self.now, "somebody wants to be woken in the past");
        Some(next)
    }

    /// Runs devices and hub until nothing is left to do at this time.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut moved = false;
            for number in 0..self.devices.len() {
                moved |= self.settle_device(number);
            }
            for link in self.hub.numbers() {
                moved |= self.settle_hub(link);
            }
            if !moved {
                return;
            }
        }
        panic!("the world does not come to rest at {:?}", self.now);
    }

    fn settle_device(&mut self, number: usize) -> bool {
        let mut moved = self.finish_opening(number) | self.receive(number);
        let mut polls = 0;
        while let Some(wish) = self.devices[number].poll(self.now) {
            moved = true;
            polls += 1;
            assert!(polls < MAX_POLLS, "device {number} never waits at {:?}", self.now);
            match wish {
                Wish::Connect => self.start_opening(number),
                Wish::Disconnect => self.hang_up(number),
                Wish::Nothing => {}
            }
        }
        let device = &mut self.devices[number];
        if let Driver::Open(link) = device.driver
            && let Some(link) = self.links.get_mut(&link)
            && !device.session.outgoing().is_empty()
        {
            link.send(End::Device, device.session.outgoing(), self.now, &mut self.rng);
            let len = device.session.outgoing().len();
            device.session.transmitted(len);
            moved = true;
        }
        moved
    }

    fn start_opening(&mut self, number: usize) {
        let at = self.now + Duration::from_micros(self.rng.within(self.faults.delay_us.clone()).max(1));
        let succeeds = self.cuts_left == 0 || !self.rng.percent(self.faults.refuse_percent);
        self.devices[number].driver = Driver::Opening { at, succeeds };
    }

    fn finish_opening(&mut self, number: usize) -> bool {
        let Driver::Opening { at, succeeds } = self.devices[number].driver else {
            return false;
        };
        if at > self.now {
            return false;
        }
        let device = &mut self.devices[number];
        if device.session.config().framing == Framing::Serial {
            self.open_serial(number);
        } else if succeeds {
            self.opened += 1;
            let breaks = self.cuts_left > 0;
            self.cuts_left = self.cuts_left.saturating_sub(1);
            self.links.insert(
                self.opened,
                SimulatedLink::new(&self.faults, breaks, &mut self.rng),
            );
            self.hub.open(self.opened, self.hub_config, self.now);
            device.driver = Driver::Open(self.opened);
            device.session.connected(self.now);
        } else {
            device.driver = Driver::Idle;
            device.session.disconnected(self.now);
        }
        true
    }

    /// Opens the serial link of a device, which then never closes.
    fn open_serial(&mut self, number: usize) {
        let device = &mut self.devices[number];
        let link = *device.serial.get_or_insert_with(|| {
            self.opened += 1;
            let link = SimulatedLink::serial(&self.faults, &mut self.rng);
            self.links.insert(self.opened, link);
            self.hub.open(self.opened, serial(self.hub_config), self.now);
            self.opened
        });
        device.driver = Driver::Open(link);
        device.session.connected(self.now);
    }

    fn hang_up(&mut self, number: usize) {
        if let Driver::Open(link) = self.devices[number].driver
            && let Some(link) = self.links.get_mut(&link)
        {
            link.close(End::Device, self.now, &mut self.rng);
        }
        self.devices[number].driver = Driver::Idle;
    }

    /// Passes arrived bytes to a device, polling in between as drivers do.
    fn receive(&mut self, number: usize) -> bool {
        let device = &mut self.devices[number];
        let Driver::Open(id) = device.driver else {
            return false;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let (now, mut moved) = (self.now, false);
        let holds = link.receive(End::Device, now, |bytes| {
            let taken = device.session.receive(now, bytes);
            moved |= taken > 0;
            taken
        });
        if !holds {
            device.driver = Driver::Idle;
            // What came before the end is dealt with first; it may be why the session hangs up by itself.
            let hung_up = loop {
                match device.poll(now) {
                    Some(Wish::Nothing) => {}
                    Some(Wish::Disconnect) => break true,
                    Some(Wish::Connect) | None => break false,
                }
            };
            if !hung_up {
                device.session.disconnected(now);
            }
        }
        moved | !holds
    }

    fn settle_hub(&mut self, id: u64) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let (now, hub, mut moved) = (self.now, &mut self.hub, false);
        let holds = link.receive(End::Hub, now, |bytes| {
            let taken = hub.receive(id, now, bytes);
            moved |= taken > 0;
            taken
        });
        let wake = hub.settle(id, now);
        let len = hub.outgoing(id).len();
        if len > 0 {
            link.send(End::Hub, hub.outgoing(id), now, &mut self.rng);
            hub.transmitted(id, len);
            moved = true;
        }
        if hub.take_closed(id) {
            link.close(End::Hub, now, &mut self.rng);
            moved = true;
        }
        if !holds {
            hub.lost(id);
            moved = true;
        }
        match wake {
            Some(at) if holds => self.hub_wakes.insert(id, at),
            _ => self.hub_wakes.remove(&id),
        };
        moved
    }
}

const fn serial(mut config: HubConfig) -> HubConfig {
    config.framing = Framing::Serial;
    config
}
