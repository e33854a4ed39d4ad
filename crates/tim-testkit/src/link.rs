//! A link between a device and the hub, with the faults of real ones.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tim_session::Instant;

use crate::Rng;

/// What goes wrong, and how often. On a stream, bytes are late or lost with the link, never reordered or changed. A serial
/// link (that of a device whose configuration says so) never ends; its faults are `noise_per_mille` and
/// [`World::pull`](crate::World::pull).
#[derive(Debug, Clone)]
pub struct Faults {
    /// The latency of a fragment, in microseconds.
    pub delay_us: Range<u64>,
    /// The most bytes that arrive together; 0 if what is sent together arrives together.
    pub max_fragment: usize,
    /// After how many bytes, in both directions together, a link breaks.
    pub cut_after: Range<u64>,
    /// How many links break; those opened later hold.
    pub cuts: u32,
    /// In how many of a hundred cuts an end does not notice.
    pub silent_percent: u8,
    /// How often, in a hundred tries while links still break, none can be opened.
    pub refuse_percent: u8,
    /// Additional delay, in microseconds, of bytes in transit to the hub when a device closes its connection.
    pub late_us: Range<u64>,
    /// How often, in a thousand fragments on a serial line, one is damaged: a byte changed, missing, or one too many.
    pub noise_per_mille: u16,
    /// How often, in a thousand fragments on a serial line, one is lost.
    pub lost_per_mille: u16,
    /// How often, in a thousand fragments on a serial line, one comes twice.
    pub doubled_per_mille: u16,
    /// How many bytes pass in a millisecond in each direction; 0 is no limit.
    pub bytes_per_ms: u32,
}

impl Faults {
    /// A link of 1 to 2 ms that holds.
    pub const NONE: Self = Self {
        delay_us: 1000..2000,
        max_fragment: usize::MAX,
        cut_after: 0..0,
        cuts: 0,
        silent_percent: 0,
        refuse_percent: 0,
        late_us: 0..0,
        noise_per_mille: 0,
        lost_per_mille: 0,
        doubled_per_mille: 0,
        bytes_per_ms: 0,
    };

    /// How often a serial link damages, loses and doubles a fragment.
    const fn per_mille(&self) -> [u16; 3] {
        [self.noise_per_mille, self.lost_per_mille, self.doubled_per_mille]
    }

    /// Links that break `cuts` times within the first 2000 bytes, some of them silently, in fragments of any size.
    #[must_use]
    pub const fn breaking(cuts: u32) -> Self {
        Self {
            delay_us: 100..50_000,
            max_fragment: 64,
            cut_after: 0..2000,
            cuts,
            silent_percent: 20,
            refuse_percent: 20,
            late_us: 0..10_000_000,
            ..Self::NONE
        }
    }

    /// A serial link on which so many of a thousand fragments are damaged.
    #[must_use]
    pub const fn noisy(noise_per_mille: u16) -> Self {
        Self {
            delay_us: 100..20_000,
            max_fragment: 64,
            noise_per_mille,
            ..Self::NONE
        }
    }
}

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The device's.
    Device,
    /// The hub's.
    Hub,
}

impl End {
    const fn other(self) -> Self {
        match self {
            Self::Device => Self::Hub,
            Self::Hub => Self::Device,
        }
    }
}

/// What arrives at an end.
#[derive(Debug)]
enum Arrival {
    Bytes(VecDeque<u8>),
    /// The link is closed.
    Closed,
}

/// One link, from its opening until both ends have closed it.
#[derive(Debug)]
pub struct SimulatedLink {
    delay_us: Range<u64>,
    max_fragment: usize,
    /// The bytes that it carries until it breaks, if it does.
    left: Option<u64>,
    /// Whether it is broken.
    broken: bool,
    /// Which ends do not notice that it breaks.
    silent: [bool; 2],
    late_us: Range<u64>,
    to_device: VecDeque<(Instant, Arrival)>,
    to_hub: VecDeque<(Instant, Arrival)>,
    /// For a serial link, how often it damages, loses and doubles a fragment.
    serial: Option<[u16; 3]>,
    /// Until when its cable is out.
    pulled_until: Instant,
    bytes_per_ms: u32,
    /// The bytes in transit to each end.
    in_transit: [usize; 2],
}

impl SimulatedLink {
    /// A link with some of these faults; `breaks` if it is one of those that do.
    pub(crate) fn new(faults: &Faults, breaks: bool, rng: &mut Rng) -> Self {
        Self {
            delay_us: faults.delay_us.clone(),
            max_fragment: faults.max_fragment,
            left: breaks.then(|| rng.within(faults.cut_after.clone())),
            broken: false,
            silent: [
                rng.percent(faults.silent_percent),
                rng.percent(faults.silent_percent),
            ],
            late_us: faults.late_us.clone(),
            to_device: VecDeque::new(),
            to_hub: VecDeque::new(),
            serial: None,
            pulled_until: Instant::ZERO,
            bytes_per_ms: faults.bytes_per_ms,
            in_transit: [0; 2],
        }
    }

    /// A serial link, which never ends.
    pub(crate) fn serial(faults: &Faults, rng: &mut Rng) -> Self {
        Self {
            serial: Some(faults.per_mille()),
            ..Self::new(faults, false, rng)
        }
    }

    /// Pulls a serial link's cable: what is on its way is lost, and what is sent until then.
    pub(crate) fn pull(&mut self, until: Instant) {
        self.clear(End::Device);
        self.clear(End::Hub);
        self.pulled_until = until;
    }

    /// Loses what is on its way to an end.
    fn clear(&mut self, to: End) {
        self.queue(to).clear();
        self.in_transit[to as usize] = 0;
    }

    /// Whether bytes have arrived at an end and were not received.
    #[cfg(feature = "simulator")]
    pub(crate) fn has_arrived(&self, at: End, now: Instant) -> bool {
        self.next_arrival_at(at).is_some_and(|when| when <= now)
    }

    /// Of what has arrived at an end and was not received, only the first bytes are left. What is on its way still comes.
    #[cfg(feature = "simulator")]
    pub(crate) fn overrun(&mut self, at: End, now: Instant, most: usize) {
        let mut left = most;
        for (_, arrival) in self.queue(at).iter_mut().take_while(|(when, _)| *when <= now) {
            if let Arrival::Bytes(bytes) = arrival {
                bytes.truncate(left);
                left -= bytes.len();
            }
        }
        let len = |(_, arrival): &(Instant, Arrival)| match arrival {
            Arrival::Bytes(bytes) => bytes.len(),
            Arrival::Closed => 0,
        };
        self.in_transit[at as usize] = self.queue(at).iter().map(len).sum();
    }

    /// The bytes on their way to an end.
    #[cfg(feature = "simulator")]
    pub(crate) const fn in_transit(&self, to: End) -> usize {
        self.in_transit[to as usize]
    }

    /// Whether the link is broken, for both ends or for one.
    #[cfg(feature = "simulator")]
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Changes the faults of what is sent from now on, other than when the link breaks.
    #[cfg(feature = "simulator")]
    pub(crate) fn set_faults(&mut self, faults: &Faults) {
        self.delay_us = faults.delay_us.clone();
        self.max_fragment = faults.max_fragment;
        self.late_us = faults.late_us.clone();
        self.bytes_per_ms = faults.bytes_per_ms;
        self.serial = self.serial.map(|_| faults.per_mille());
    }

    /// The link breaks after so many bytes from now, and these ends do not notice.
    #[cfg(feature = "simulator")]
    pub(crate) const fn cut_after(&mut self, bytes: u64, silent: [bool; 2]) {
        self.left = Some(bytes);
        self.silent = silent;
    }

    /// The link no longer breaks by itself.
    #[cfg(feature = "simulator")]
    pub(crate) const fn hold(&mut self) {
        self.left = None;
    }

    /// Breaks the link, unless it is a serial one, and neither end notices.
    #[cfg(feature = "simulator")]
    pub(crate) fn lose(&mut self, rng: &mut Rng) {
        if self.serial.is_none() {
            self.cut_silently(rng);
        }
    }

    /// When the first of the bytes in transit to an end arrives, or the end of the link.
    #[cfg(feature = "simulator")]
    pub(crate) fn next_arrival_at(&self, end: End) -> Option<Instant> {
        let queue = match end {
            End::Device => &self.to_device,
            End::Hub => &self.to_hub,
        };
        queue.front().map(|(when, _)| *when)
    }

    /// When the last of what is in transit arrives, at either end.
    #[cfg(feature = "simulator")]
    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        let queues = [&self.to_device, &self.to_hub];
        let last = queues.iter().filter_map(|queue| queue.back());
        last.map(|(when, _)| *when).max()
    }

    /// Whether no bytes are in transit.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.to_device.is_empty() && self.to_hub.is_empty()
    }

    /// Sends bytes from an end.
    pub(crate) fn send(&mut self, from: End, bytes: &[u8], now: Instant, rng: &mut Rng) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.broken {
            let mut len = match self.max_fragment {
                0 => rest.len() as u64,
                max => rng.within(1..rest.len().min(max) as u64 + 1),
            };
            if let Some(left) = &mut self.left {
                len = len.min(*left);
                *left -= len;
            }
            let (piece, behind) = rest.split_at(len as usize);
            if !piece.is_empty() && now >= self.pulled_until {
                self.pass(from.other(), piece, now, rng);
            }
            if self.left == Some(0) {
                self.cut(now, rng);
            }
            rest = behind;
        }
    }

    /// A fragment passes, as well as it can.
    fn pass(&mut self, to: End, piece: &[u8], now: Instant, rng: &mut Rng) {
        let mut happens = |per_mille: u16| per_mille > 0 && rng.within(0..1000) < u64::from(per_mille);
        let [damaged, lost, doubled] = self.serial.unwrap_or_default().map(&mut happens);
        let mut bytes = piece.to_vec();
        if damaged {
            damage(&mut bytes, rng);
        }
        let copies = if lost { 0 } else { 1 + usize::from(doubled) };
        for _ in 0..copies {
            self.put(to, Arrival::Bytes(bytes.clone().into()), now, rng);
        }
    }

    /// Breaks the link now; ends that are not silent notice.
    pub(crate) fn cut(&mut self, now: Instant, rng: &mut Rng) {
        self.broken = true;
        self.hold_up(rng);
        for (end, silent) in [End::Device, End::Hub].into_iter().zip(self.silent) {
            if !silent {
                self.put(end, Arrival::Closed, now, rng);
            }
        }
    }

    /// Breaks the link now, and neither end notices.
    pub(crate) fn cut_silently(&mut self, rng: &mut Rng) {
        self.broken = true;
        self.hold_up(rng);
    }

    /// Delays the bytes in transit to the hub.
    fn hold_up(&mut self, rng: &mut Rng) {
        if self.late_us.is_empty() || self.serial.is_some() {
            return;
        }
        let late = Duration::from_micros(rng.within(self.late_us.clone()));
        for (when, _) in &mut self.to_hub {
            *when = *when + late;
        }
    }

    /// An end closes the link; what it sent before still arrives.
    pub(crate) fn close(&mut self, from: End, now: Instant, rng: &mut Rng) {
        if !self.broken && self.serial.is_none() {
            self.broken = true;
            self.put(from.other(), Arrival::Closed, now, rng);
            if from == End::Device {
                self.hold_up(rng);
            }
        }
    }

    /// Passes arrived bytes to `take`, which returns how many it took. `false`: the link is closed.
    pub(crate) fn receive(&mut self, at: End, now: Instant, mut take: impl FnMut(&[u8]) -> usize) -> bool {
        let (queue, in_transit) = match at {
            End::Device => (&mut self.to_device, &mut self.in_transit[0]),
            End::Hub => (&mut self.to_hub, &mut self.in_transit[1]),
        };
        while let Some((when, arrival)) = queue.front_mut() {
            if *when > now {
                break;
            }
            let Arrival::Bytes(bytes) = arrival else {
                queue.clear();
                *in_transit = 0;
                return false;
            };
            let taken = take(bytes.make_contiguous());
            bytes.drain(..taken);
            *in_transit -= taken;
            if !bytes.is_empty() {
                break; // the receiver has no room: the line waits
            }
            queue.pop_front();
        }
        true
    }

    /// When the next bytes in transit arrive.
    pub(crate) fn next_arrival(&self, now: Instant) -> Option<Instant> {
        let queues = [&self.to_device, &self.to_hub];
        queues
            .iter()
            .flat_map(|queue| queue.front())
            .map(|(when, _)| *when)
            .filter(|when| *when > now)
            .min()
    }

    const fn queue(&mut self, to: End) -> &mut VecDeque<(Instant, Arrival)> {
        match to {
            End::Device => &mut self.to_device,
            End::Hub => &mut self.to_hub,
        }
    }

    fn put(&mut self, to: End, arrival: Arrival, now: Instant, rng: &mut Rng) {
        let delay = Duration::from_micros(rng.within(self.delay_us.clone()));
        let len = match &arrival {
            Arrival::Bytes(bytes) => bytes.len(),
            Arrival::Closed => 0,
        };
        self.in_transit[to as usize] += len;
        let passing = match self.bytes_per_ms {
            0 => Duration::ZERO,
            speed => Duration::from_micros(len as u64 * 1000 / u64::from(speed)),
        };
        let queue = self.queue(to);
        let earliest = queue.back().map_or(now, |(when, _)| *when) + passing;
        queue.push_back(((now + delay).max(earliest), arrival));
    }
}

/// Changes a byte, takes one away, or adds one.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.within(0..bytes.len() as u64) as usize;
    let byte = rng.draw() as u8;
    match rng.within(0..3) {
        0 => bytes[at] ^= byte.max(1),
        1 => drop(bytes.remove(at)),
        _ => bytes.insert(at, byte),
    }
}
