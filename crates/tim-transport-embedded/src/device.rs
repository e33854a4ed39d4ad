//! The device: its buffers, its session, and the two handles that it is split into.

use core::fmt;

use tim_session::{ClientConfig, ClientSession, FixedBuffer};

use crate::shared::Shared;
use crate::{Client, Clock, Framing, FramingChoice, Runner, Transport, UserSig};

/// The buffers of a device, with their sizes in bytes. A buffer that is too small results in an error, never in a panic.
///
/// - `RX` holds the largest frame to receive (on a serial port, including the framing). The hub is told this size and
///   delivers longer messages as stubs, which are fetched in pieces. 512 is sufficient.
/// - `TX` holds outgoing bytes: at least the longest request, and the login with its UserSig. 512 is sufficient.
/// - `OUTBOX` holds pending requests, each with about 30 bytes of overhead.
#[derive(Debug)]
pub struct Resources<const RX: usize, const TX: usize, const OUTBOX: usize> {
    rx: [u8; RX],
    tx: [u8; TX],
    outbox: [u8; OUTBOX],
}

impl<const RX: usize, const TX: usize, const OUTBOX: usize> Resources<RX, TX, OUTBOX> {
    /// Empty buffers. They are all zero, so a static occupies no flash.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rx: [0; RX],
            tx: [0; TX],
            outbox: [0; OUTBOX],
        }
    }

    pub(crate) const fn buffers(&mut self) -> [&mut [u8]; 3] {
        let Self { rx, tx, outbox } = self;
        [rx, tx, outbox]
    }
}

impl<const RX: usize, const TX: usize, const OUTBOX: usize> Default for Resources<RX, TX, OUTBOX> {
    fn default() -> Self {
        Self::new()
    }
}

/// A user's device. It is created once, [split](Device::split) once, and lives as long as the application uses it.
pub struct Device<'m, C, F: FramingChoice = Framing> {
    shared: Shared<'m, F>,
    clock: C,
}

impl<C, F: FramingChoice> fmt::Debug for Device<'_, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("user", &self.shared.ids.user)
            .finish_non_exhaustive()
    }
}

impl<'m, C: Clock> Device<'m, C> {
    /// A device that is not logged in. `seed` is a random number that differs after each reset: it spreads the reconnects
    /// of many devices over time and is mixed into message ids. At login, the device's number and the hub's time are mixed in
    /// as well, so that two devices, or two runs of one device, generate different ids even from the same seed.
    /// `user_sig` is a `&str`, or a [`UserSig`] that can be replaced later.
    pub fn new<const RX: usize, const TX: usize, const OUTBOX: usize>(
        config: ClientConfig,
        user_sig: impl Into<UserSig<'m>>,
        resources: &'m mut Resources<RX, TX, OUTBOX>,
        seed: u64,
        clock: C,
    ) -> Self {
        let framing = config.framing;
        Self::with_framing(framing, config, user_sig, resources, seed, clock)
    }
}

impl<'m, C: Clock, F: FramingChoice> Device<'m, C, F> {
    /// As [`Device::new`], with a framing that is chosen when the program is compiled: [`OnlyStream`](crate::OnlyStream) or
    /// [`OnlySerial`](crate::OnlySerial). It replaces that of the configuration, and saves the flash of the other one. The types of
    /// the device and its handles name it: `Client<'_, OnlySerial>`.
    pub fn with_framing<const RX: usize, const TX: usize, const OUTBOX: usize>(
        framing: F,
        config: ClientConfig,
        user_sig: impl Into<UserSig<'m>>,
        resources: &'m mut Resources<RX, TX, OUTBOX>,
        seed: u64,
        clock: C,
    ) -> Self {
        Self::with_buffers(framing, config, user_sig.into(), resources.buffers(), seed, clock)
    }

    /// Not generic over the sizes, so that it is compiled once.
    fn with_buffers(
        framing: F,
        config: ClientConfig,
        user_sig: UserSig<'m>,
        buffers: [&'m mut [u8]; 3],
        seed: u64,
        clock: C,
    ) -> Self {
        let [rx, tx, outbox] = buffers.map(FixedBuffer);
        let session = ClientSession::with_framing(framing, config, user_sig, rx, tx, outbox, seed);
        Self {
            shared: Shared::new(session, seed),
            clock,
        }
    }

    /// Resumes deliveries after the position that [`Events::cursor`](crate::Events::cursor) returned in an earlier run. Returns whether `cursor` is
    /// valid.
    pub fn resume_from(&mut self, cursor: &[u8]) -> bool {
        self.shared.session.get_mut().resume_from(cursor)
    }

    /// Starts deliveries with the oldest entry that the hub keeps, instead of with new entries only.
    pub fn resume_from_start(&mut self) {
        self.shared.session.get_mut().resume_from_start();
    }

    /// Splits the device into the [`Client`], which any number of tasks can use for calls, and the [`Runner`], which one task
    /// drives.
    pub fn split<T: Transport>(&'m mut self, transport: T) -> (Client<'m, F>, Runner<'m, C, T, F>) {
        let Self { shared, clock } = &*self;
        (Client { shared, clock }, Runner::new(shared, clock, transport))
    }
}
