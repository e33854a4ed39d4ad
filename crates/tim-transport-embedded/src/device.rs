//! The device: its memory, its session, and how both are handed out.

use core::fmt;

use tim_session::{ClientConfig, ClientSession, FixedBuffer};

use crate::shared::Shared;
use crate::{Client, Clock, Events, Line};

/// A device's buffers, in bytes; what is too small is told by an error, never by a panic.
///
/// - `RX` holds the largest frame to take (with a few bytes of framing on a serial line), and is what the hub is told.
///   Longer messages come as stubs, to be fetched in pieces; 512 does.
/// - `TX` holds what goes out: at least the longest request, and the login with its UserSig; 512 does.
/// - `OUTBOX` holds the requests that wait for their answers, some 30 bytes and the request each.
#[derive(Debug)]
pub struct Memory<const RX: usize, const TX: usize, const OUTBOX: usize> {
    rx: [u8; RX],
    tx: [u8; TX],
    outbox: [u8; OUTBOX],
}

impl<const RX: usize, const TX: usize, const OUTBOX: usize> Memory<RX, TX, OUTBOX> {
    /// Empty buffers; all zero, so a static of them takes no flash.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rx: [0; RX],
            tx: [0; TX],
            outbox: [0; OUTBOX],
        }
    }
}

impl<const RX: usize, const TX: usize, const OUTBOX: usize> Default for Memory<RX, TX, OUTBOX> {
    fn default() -> Self {
        Self::new()
    }
}

/// A user's device. It is made once, [split](Device::split) once, and lives as long as the program talks.
pub struct Device<'m, T> {
    shared: Shared<'m>,
    clock: T,
}

impl<T> fmt::Debug for Device<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("user", &self.shared.user)
            .finish_non_exhaustive()
    }
}

impl<'m, T: Clock> Device<'m, T> {
    /// A device that is not logged in. `seed` is a random number, another one after each reset: it spreads the reconnects
    /// of many devices and goes into the ids of messages. The device's number and the hub's time go into them at login, so
    /// that two devices, or two lives of one, draw different ids even with the same seed.
    pub fn new<const RX: usize, const TX: usize, const OUTBOX: usize>(
        config: ClientConfig,
        user_sig: &'m str,
        memory: &'m mut Memory<RX, TX, OUTBOX>,
        seed: u64,
        clock: T,
    ) -> Self {
        let Memory { rx, tx, outbox } = memory;
        Self::with_buffers(config, user_sig, [rx, tx, outbox], seed, clock)
    }

    /// Not generic over the sizes, so that it is there once.
    fn with_buffers(
        config: ClientConfig,
        user_sig: &'m str,
        buffers: [&'m mut [u8]; 3],
        seed: u64,
        clock: T,
    ) -> Self {
        let [rx, tx, outbox] = buffers.map(FixedBuffer);
        let session = ClientSession::new(config, user_sig, rx, tx, outbox, seed);
        Self {
            shared: Shared::new(session, seed),
            clock,
        }
    }

    /// Says where this device left off in an earlier life: what [`Events::cursor`] showed. Returns whether it is a cursor.
    pub fn resume_from(&mut self, cursor: &[u8]) -> bool {
        self.shared.session.get_mut().resume_from(cursor)
    }

    /// Asks for everything that is kept, oldest first, instead of what comes from now on.
    pub fn resume_from_start(&mut self) {
        self.shared.session.get_mut().resume_from_start();
    }

    /// The two ends: the calls, for as many tasks as like to, and the events with the line, for one.
    pub fn split<L: Line>(&'m mut self, line: L) -> (Client<'m>, Events<'m, T, L>) {
        let Self { shared, clock } = &*self;
        (Client { shared, clock }, Events::new(shared, clock, line))
    }
}
