//! The network: simulated links as byte streams in tokio's time, and the ways to open them.
//!
//! A [`SimulatedLink`] decides what arrives when. Here it gets wakers and a limit of the bytes in transit, so that whoever
//! sends faster than the other end reads has to wait, as on a socket.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tim_client::transport::Connector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::time::Steady;
use crate::{End, Faults, Rng, SimulatedLink};

/// How many bytes a link holds in each direction, unless its faults say otherwise.
const CAPACITY: usize = 64 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A link with what tokio needs.
#[derive(Debug)]
struct Line {
    link: SimulatedLink,
    rng: Rng,
    steady: Steady,
    capacity: usize,
    /// What a broken link of which an end does not know has swallowed from it.
    swallowed: [usize; 2],
    /// Which ends have seen its end.
    ended: [bool; 2],
    /// The number of each end's holder, and whether it still holds it: a serial line outlives its holders.
    holders: [u64; 2],
    held: [bool; 2],
    readers: [Option<Waker>; 2],
    writers: [Option<Waker>; 2],
}

const fn other(end: End) -> End {
    match end {
        End::Device => End::Hub,
        End::Hub => End::Device,
    }
}

impl Line {
    fn wake(&mut self) {
        let wakers = self.readers.iter_mut().chain(&mut self.writers);
        wakers.filter_map(Option::take).for_each(Waker::wake);
    }

    fn wake_reader(&mut self, end: End) {
        if let Some(waker) = self.readers[end as usize].take() {
            waker.wake();
        }
    }

    /// How many bytes an end may send now.
    fn space(&self, from: End) -> usize {
        let waiting = match self.link.is_broken() {
            true => self.swallowed[from as usize],
            false => self.link.in_transit(other(from)),
        };
        self.capacity.saturating_sub(waiting)
    }

    fn send(&mut self, from: End, bytes: &[u8]) {
        let now = self.steady.now();
        if self.link.is_broken() {
            self.swallowed[from as usize] += bytes.len();
            return;
        }
        if !self.held[other(from) as usize] {
            return; // a serial line that nobody listens to
        }
        self.link.send(from, bytes, now, &mut self.rng);
        match self.link.is_broken() {
            true => self.wake(),
            false => self.wake_reader(other(from)),
        }
    }
}

/// A line of which several parties know.
#[derive(Debug, Clone)]
pub(crate) struct SharedLine(Arc<Mutex<Line>>);

impl SharedLine {
    fn new(link: SimulatedLink, rng: Rng, steady: Steady, capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Line {
            link,
            rng,
            steady,
            capacity,
            swallowed: [0; 2],
            ended: [false; 2],
            holders: [0; 2],
            held: [false; 2],
            readers: [None, None],
            writers: [None, None],
        })))
    }

    /// One of its ends. Whoever held it before holds it no longer.
    pub(crate) fn end(&self, end: End) -> LinkEnd {
        let mut line = lock(&self.0);
        line.holders[end as usize] += 1;
        line.held[end as usize] = true;
        line.wake();
        let sleep = tokio::time::sleep_until(line.steady.at(line.steady.now()));
        LinkEnd {
            line: self.clone(),
            end,
            holder: line.holders[end as usize],
            sleep: Box::pin(sleep),
        }
    }

    /// Changes the line, and lets both ends look.
    fn change(&self, change: impl FnOnce(&mut SimulatedLink, &mut Rng, tim_session::Instant)) {
        let line = &mut *lock(&self.0);
        let now = line.steady.now();
        change(&mut line.link, &mut line.rng, now);
        line.wake();
    }

    /// Breaks it now.
    pub(crate) fn cut(&self, cut: Cut) {
        self.change(|link, rng, now| match cut {
            Cut::Noticed => {
                link.cut_after(0, [false, false]);
                link.cut(now, rng);
            }
            Cut::Silent => link.cut_silently(rng),
            Cut::HalfOpen(unaware) => {
                link.cut_after(0, [unaware == End::Device, unaware == End::Hub]);
                link.cut(now, rng);
            }
            Cut::AfterBytes(bytes) => link.cut_after(bytes.max(1), [false, false]),
        });
    }

    /// Changes delays, fragments, noise.
    pub(crate) fn set_faults(&self, faults: &Faults) {
        self.change(|link, _, _| link.set_faults(faults));
    }

    /// Pulls a serial line's cable for so long.
    pub(crate) fn pull(&self, time: Duration) {
        self.change(|link, _, now| link.pull(now + time));
    }

    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.0).link.is_broken()
    }

    /// Takes an end away from its holder.
    pub(crate) fn lose(&self, end: End, is_noticed: bool) {
        let line = &mut *lock(&self.0);
        line.holders[end as usize] += 1;
        line.held[end as usize] = false;
        let now = line.steady.now();
        match is_noticed {
            true => line.link.close(end, now, &mut line.rng),
            false => line.link.lose(&mut line.rng),
        }
        line.link.clear(end);
        line.wake();
    }
}

/// How a link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends notice.
    Noticed,
    /// Neither does.
    Silent,
    /// This end does not notice.
    HalfOpen(End),
    /// After so many more bytes, in both directions together; both ends notice.
    AfterBytes(u64),
}

/// One end of a link: a byte stream.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    line: SharedLine,
    end: End,
    holder: u64,
    sleep: Pin<Box<Sleep>>,
}

impl LinkEnd {
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let line = &mut *lock(&self.line.0);
            let me = self.end as usize;
            if line.ended[me] || line.holders[me] != self.holder {
                return Poll::Ready(Ok(0));
            }
            let (now, mut len) = (line.steady.now(), 0);
            let open = line.link.receive(self.end, now, |bytes| {
                let taken = bytes.len().min(buffer.len() - len);
                buffer[len..len + taken].copy_from_slice(&bytes[..taken]);
                len += taken;
                taken
            });
            line.ended[me] |= !open;
            if len > 0 {
                if let Some(waker) = line.writers[other(self.end) as usize].take() {
                    waker.wake();
                }
                return Poll::Ready(Ok(len));
            }
            if !open {
                line.wake();
                return Poll::Ready(Ok(0));
            }
            line.readers[me] = Some(context.waker().clone());
            let Some(next) = line.link.next_arrival_at(self.end) else {
                return Poll::Pending;
            };
            let next = line.steady.at(next);
            if self.sleep.deadline() != next {
                self.sleep.as_mut().reset(next);
            }
            // Time has whole milliseconds: what arrives within this one is due when the timer says so.
            ready!(self.sleep.as_mut().poll(context));
        }
    }

    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let line = &mut *lock(&self.line.0);
        let me = self.end as usize;
        if line.ended[me] || line.holders[me] != self.holder {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let len = bytes.len().min(line.space(self.end));
        if len == 0 && !bytes.is_empty() {
            line.writers[me] = Some(context.waker().clone());
            return Poll::Pending;
        }
        line.send(self.end, &bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn close(&mut self) {
        let line = &mut *lock(&self.line.0);
        let me = self.end as usize;
        if line.holders[me] != self.holder || !std::mem::take(&mut line.held[me]) {
            return;
        }
        let now = line.steady.now();
        line.link.close(self.end, now, &mut line.rng);
        line.ended[me] = line.link.is_broken();
        if !line.link.is_broken() {
            // A serial line, which nobody holds at this end until somebody takes it again.
            line.link.clear(self.end);
        }
        line.wake();
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsyncRead for LinkEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let len = ready!(self.get_mut().poll_receive(context, buffer.initialize_unfilled()))?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LinkEnd {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().close();
        Poll::Ready(Ok(()))
    }
}

/// What receives the connections that are opened: the hub's end of the link, and a name for the hub's log.
pub(crate) type Accept = Arc<dyn Fn(LinkEnd, String) + Send + Sync>;

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
    devices: BTreeMap<u32, DeviceLinks>,
}

/// The links of one device.
#[derive(Default)]
struct DeviceLinks {
    faults: Option<Faults>,
    capacity: Option<usize>,
    /// No connection can be opened before this time.
    offline_until_ms: u64,
    /// How the next link that is opened breaks.
    next_cut: Option<Cut>,
    current: Vec<Weak<Mutex<Line>>>,
    serial: Option<SharedLine>,
    opened: u32,
}

impl Network {
    pub(crate) fn new(steady: Steady, seed: u64, usual: Faults) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            steady,
            rng: Rng::new(seed),
            accept: None,
            usual,
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
        let (accept, device_end, hub_end, name) = {
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
            let line = SharedLine::new(link, rng, inner.steady, links.capacity.unwrap_or(CAPACITY));
            if let Some(cut) = links.next_cut.take() {
                line.cut(cut);
            }
            links.current.retain(|line| line.strong_count() > 0);
            links.current.push(Arc::downgrade(&line.0));
            links.opened += 1;
            life.has(&line);
            let name = format!("device {device}, connection {}", links.opened);
            (accept, line.end(End::Device), line.end(End::Hub), name)
        };
        accept(hub_end, name);
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
            SharedLine::new(link, rng, inner.steady, links.capacity.unwrap_or(CAPACITY))
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
        open.filter_map(|line| line.upgrade().map(SharedLine)).collect()
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

    /// Whether a device holds a link that is broken, and does not know it.
    pub(crate) fn is_deceived(&self, device: u32) -> bool {
        self.open_lines(device).iter().any(|line| {
            let line = lock(&line.0);
            let end = End::Device as usize;
            line.link.is_broken() && line.held[end] && !line.ended[end]
        })
    }

    /// Severs every link, as when the hub's process ends. Serial lines lose what is on its way.
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
    lines: Vec<Weak<Mutex<Line>>>,
}

impl LifeLine {
    fn has_ended(&self) -> bool {
        lock(&self.0).has_ended
    }

    fn has(&self, line: &SharedLine) {
        let lines = &mut lock(&self.0).lines;
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line.0));
    }

    /// The application is dead: its connections are, and it opens no others. The hub learns of it if a process died, and not if
    /// a machine did.
    pub(crate) fn end(&self, is_noticed: bool) {
        let lines = {
            let mut life = lock(&self.0);
            life.has_ended = true;
            std::mem::take(&mut life.lines)
        };
        for line in lines.iter().filter_map(Weak::upgrade) {
            SharedLine(line).lose(End::Device, is_noticed);
        }
    }
}
