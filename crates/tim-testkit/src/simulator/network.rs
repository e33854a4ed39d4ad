//! All links of a run, by device: how they are opened, and what goes wrong with them.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tim_client::transport::Connector;
use tim_hub::Peer;
use tim_session::Instant;

use super::net::{Cut, LinkEnd, SharedLine, WeakLine, lock};
use super::time::Steady;
use crate::{End, Faults, Rng, SimulatedLink};

/// What receives the connections that are opened: the hub's end of the link, and a name for the hub's log.
pub(crate) type Accept = Arc<dyn Fn(LinkEnd, Peer) + Send + Sync>;

/// All links of a run. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Inner>>);

struct Inner {
    steady: Steady,
    rng: Rng,
    /// The hub, while it runs.
    accept: Option<Accept>,
    /// The faults of every link that is opened, unless its device has others.
    usual: Faults,
    /// How many bytes a link holds in each direction.
    capacity: usize,
    devices: BTreeMap<u32, DeviceLinks>,
}

/// The links of one device.
#[derive(Default)]
struct DeviceLinks {
    faults: Option<Faults>,
    /// No connection can be opened before this time.
    offline_until_ms: u64,
    /// How the next link that is opened breaks.
    next_cut: Option<Cut>,
    current: Vec<WeakLine>,
    serial: Option<SharedLine>,
    opened: u32,
}

impl Network {
    pub(crate) fn new(steady: Steady, seed: u64, usual: Faults, capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            steady,
            rng: Rng::new(seed),
            accept: None,
            usual,
            capacity,
            devices: BTreeMap::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }

    /// Who accepts connections from now on; nobody while the hub is down.
    pub(crate) fn set_accept(&self, accept: Option<Accept>) {
        self.inner().accept = accept;
    }

    /// The way of a device to the hub, for as long as its application lives.
    pub(crate) fn connector(&self, device: u32, life: LifeLine) -> SimulatedConnector {
        SimulatedConnector {
            network: self.clone(),
            device,
            life,
        }
    }

    /// Opens a connection.
    async fn connect(self, device: u32, life: LifeLine) -> io::Result<LinkEnd> {
        let (wait, refused) = {
            let inner = &mut *self.inner();
            let links = inner.devices.entry(device).or_default();
            let faults = links.faults.as_ref().unwrap_or(&inner.usual);
            let wait = Duration::from_micros(inner.rng.within(faults.delay_us.clone()));
            (wait, inner.rng.percent(faults.refuse_percent))
        };
        tokio::time::sleep(wait).await;
        let (accept, device_end, hub_end, peer) = {
            let inner = &mut *self.inner();
            let now_ms = inner.steady.ms();
            let links = inner.devices.entry(device).or_default();
            if life.has_ended() || refused || now_ms < links.offline_until_ms {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let Some(accept) = inner.accept.clone() else {
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            let faults = links.faults.as_ref().unwrap_or(&inner.usual);
            let mut rng = Rng::new(inner.rng.draw());
            let link = SimulatedLink::new(faults, false, &mut rng);
            let line = SharedLine::new(link, rng, inner.steady, inner.capacity);
            if let Some(cut) = links.next_cut.take() {
                line.cut(cut);
            }
            links.current.retain(WeakLine::is_open);
            links.current.push(line.weak());
            links.opened += 1;
            life.has(&line);
            let name = format!("device {device}, connection {}", links.opened);
            // Each device has a network of its own.
            let address = Ipv6Addr::from_bits(u128::from(device) << 64 | 1);
            let peer = Peer::new(name).with_address(address.into());
            (accept, line.end(End::Device), line.end(End::Hub), peer)
        };
        accept(hub_end, peer);
        Ok(device_end)
    }

    /// The serial line of a device, which is laid when it is first asked for.
    pub(crate) fn serial_line(&self, device: u32) -> SharedLine {
        let inner = &mut *self.inner();
        let links = inner.devices.entry(device).or_default();
        let line = links.serial.get_or_insert_with(|| {
            let faults = links.faults.as_ref().unwrap_or(&inner.usual);
            let mut rng = Rng::new(inner.rng.draw());
            let link = SimulatedLink::serial(faults, &mut rng);
            SharedLine::new(link, rng, inner.steady, inner.capacity)
        });
        line.clone()
    }

    /// All serial lines, in the order of their devices.
    pub(crate) fn serial_lines(&self) -> Vec<SharedLine> {
        self.inner()
            .devices
            .values()
            .filter_map(|links| links.serial.clone())
            .collect()
    }

    /// The open links of a device.
    fn open_lines(&self, device: u32) -> Vec<SharedLine> {
        let inner = self.inner();
        let links = inner.devices.get(&device);
        let open = links.into_iter().flat_map(|links| &links.current);
        open.filter_map(WeakLine::upgrade).collect()
    }

    /// Cuts the links of a device. Returns whether there was one.
    pub(crate) fn cut(&self, device: u32, cut: Cut) -> bool {
        let lines = self.open_lines(device);
        lines.iter().for_each(|line| line.cut(cut));
        !lines.is_empty()
    }

    /// The next link that the device opens breaks like this.
    pub(crate) fn cut_next(&self, device: u32, cut: Cut) {
        self.inner().devices.entry(device).or_default().next_cut = Some(cut);
    }

    /// When the last of what is on its way arrives, if that is later than a link usually takes: it waits in a link that is narrow or slow,
    /// or was when it was sent.
    pub(crate) fn late_arrival_ms(&self) -> Option<u64> {
        let (devices, soon) = {
            let inner = self.inner();
            let soon = inner.steady.now() + Duration::from_micros(inner.usual.delay_us.end);
            (inner.devices.keys().copied().collect::<Vec<_>>(), soon)
        };
        let lines = devices.into_iter().flat_map(|device| self.open_lines(device));
        let last = lines.filter_map(|line| line.last_arrival()).max();
        let late = last.filter(|last| *last > soon)?;
        Some(late.since(Instant::ZERO).as_millis() as u64)
    }

    /// Whether a device holds a link that is broken, and does not know it.
    pub(crate) fn is_deceived(&self, device: u32) -> bool {
        self.open_lines(device).iter().any(SharedLine::is_deceptive)
    }

    /// Severs every link, as when the hub's process ends. Serial lines stay.
    pub(crate) fn sever_all(&self) {
        let devices: Vec<u32> = self.inner().devices.keys().copied().collect();
        for device in devices {
            self.cut(device, Cut::Noticed);
        }
    }

    /// No connection of the device can be opened for so long.
    pub(crate) fn keep_offline(&self, device: u32, time: Duration) {
        let inner = &mut *self.inner();
        let until = inner.steady.ms() + time.as_millis() as u64;
        inner.devices.entry(device).or_default().offline_until_ms = until;
    }

    /// Changes the faults of a device's links, those that are open included; with `None` they are the usual ones.
    pub(crate) fn set_faults(&self, device: u32, faults: Option<Faults>) {
        let (lines, faults) = {
            let inner = &mut *self.inner();
            let links = inner.devices.entry(device).or_default();
            links.faults = faults;
            let faults = links.faults.clone().unwrap_or_else(|| inner.usual.clone());
            (links.serial.clone(), faults)
        };
        let open = self.open_lines(device);
        lines
            .iter()
            .chain(&open)
            .for_each(|line| line.set_faults(&faults));
    }

    /// The faults that a device's links have now.
    pub(crate) fn faults(&self, device: u32) -> Faults {
        let inner = self.inner();
        let own = inner.devices.get(&device).and_then(|links| links.faults.clone());
        own.unwrap_or_else(|| inner.usual.clone())
    }

    /// Pulls the cable of a device's serial line.
    pub(crate) fn pull(&self, device: u32, time: Duration) {
        let line = self
            .inner()
            .devices
            .get(&device)
            .and_then(|links| links.serial.clone());
        if let Some(line) = line {
            line.pull(time);
        }
    }

    /// Ends all faults: links work as usual from now on. Those that are broken without their ends' knowledge stay so.
    pub(crate) fn heal(&self) {
        let devices: Vec<u32> = {
            let inner = &mut *self.inner();
            for links in inner.devices.values_mut() {
                (links.offline_until_ms, links.next_cut) = (0, None);
            }
            inner.devices.keys().copied().collect()
        };
        for device in devices {
            self.set_faults(device, None);
            for line in self
                .open_lines(device)
                .into_iter()
                .filter(|line| !line.is_broken())
            {
                line.change(|link, _, _| link.hold());
            }
            self.pull(device, Duration::ZERO);
        }
    }
}

/// Opens links of one device.
#[derive(Clone)]
pub(crate) struct SimulatedConnector {
    network: Network,
    device: u32,
    life: LifeLine,
}

impl Connector for SimulatedConnector {
    type Link = LinkEnd;

    fn connect(&mut self) -> impl Future<Output = io::Result<LinkEnd>> + Send + 'static {
        self.network.clone().connect(self.device, self.life.clone())
    }
}

/// What ends the connections of an application when it dies. Clones are of the same life.
#[derive(Debug, Clone, Default)]
pub(crate) struct LifeLine(Arc<Mutex<Life>>);

#[derive(Debug, Default)]
struct Life {
    has_ended: bool,
    lines: Vec<WeakLine>,
}

impl LifeLine {
    fn has_ended(&self) -> bool {
        lock(&self.0).has_ended
    }

    fn has(&self, line: &SharedLine) {
        let lines = &mut lock(&self.0).lines;
        lines.retain(WeakLine::is_open);
        lines.push(line.weak());
    }

    /// The application is dead: its connections are, and it opens no others. The hub learns of it if a process died, and not if
    /// a machine did.
    pub(crate) fn end(&self, is_noticed: bool) {
        let lines = {
            let mut life = lock(&self.0);
            life.has_ended = true;
            std::mem::take(&mut life.lines)
        };
        for line in lines.iter().filter_map(WeakLine::upgrade) {
            line.lose(End::Device, is_noticed);
        }
    }
}
