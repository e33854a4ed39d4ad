//! The first 20 bytes that each end sends. Their layout is the same in all versions.

use crate::open::open_newtype;

/// The first bytes of every connection: `tim` and a control character.
pub const MAGIC: [u8; 4] = *b"tim\x1a";

/// Bits of [`Hello::features`]. Unknown bits are ignored.
pub mod features {
    /// A message longer than the largest frame may arrive as a stub with its size, to be fetched in pieces.
    pub const STUBS: u32 = 1 << 0;
    /// The response to SEND contains the sender's nick, name card and picture, as the receivers see them.
    pub const SENDER_NAMES: u32 = 1 << 1;
    /// Deliveries may come as [`DELIVER_COMPACT`](crate::wire::FrameKind::DELIVER_COMPACT).
    pub const COMPACT: u32 = 1 << 2;
    /// A compact delivery says the sender's own numbers too: device and `client_sequence`.
    pub const COMPACT_NUMBERS: u32 = 1 << 3;
}

/// The smallest [`Hello::max_frame`] of a client. It holds whatever must reach every device whole: a stub with the longest
/// ids and cursor, the answer to a login without the nick, a GAP, an ERROR without words. A hub turns away who takes less.
pub const LEAST_MAX_FRAME: u32 = 256;

open_newtype! {
    /// Which end of a connection a side is.
    #[derive(PartialOrd, Ord)]
    pub struct End(u8) {
        /// A user's device.
        CLIENT = 1, "Client";
        /// The hub.
        HUB = 2, "Hub";
    }
}

/// What one end can do and accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The oldest version of the wire format that the sender speaks.
    pub min_version: u8,
    /// The newest version that the sender speaks.
    pub max_version: u8,
    /// Which end the sender is.
    pub end: End,
    /// What the sender can do beyond the version: bits of [`features`].
    pub features: u32,
    /// The largest frame, header included, that the sender takes, in bytes.
    pub max_frame: u32,
    /// How many deliveries the sender takes before it has acknowledged any (for a hub: 0).
    pub window: u16,
}

#[cfg(feature = "serde")]
super::serialize! { Hello, Hello, { min_version, max_version, end, features, max_frame, window } }
#[cfg(feature = "serde")]
super::deserialize! {
    Hello, ['de], Hello,
    { min_version: u8, max_version: u8, end: End, features: u32, max_frame: u32, window: u16 }
}

/// The bytes are not a valid hello: the peer is at fault, or does not speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The first four bytes are not [`MAGIC`].
    #[error("the peer does not speak tim")]
    Magic,
    /// The oldest version is newer than the newest one.
    #[error("the peer's version range {min}..{max} is empty")]
    Versions {
        /// The oldest version named.
        min: u8,
        /// The newest version named.
        max: u8,
    },
}

impl Hello {
    /// Its length in bytes.
    pub const LEN: usize = 20;

    /// The bytes of this hello; `SPEC.md` has the table.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [f0, f1, f2, f3] = self.features.to_le_bytes();
        let [l0, l1, l2, l3] = self.max_frame.to_le_bytes();
        let [w0, w1] = self.window.to_le_bytes();
        let [m0, m1, m2, m3] = MAGIC;
        let (min, max, end) = (self.min_version, self.max_version, self.end.0);
        [
            m0, m1, m2, m3, min, max, end, 0, f0, f1, f2, f3, l0, l1, l2, l3, w0, w1, 0, 0,
        ]
    }

    /// Reads a hello. The reserved bytes may have any value.
    ///
    /// # Errors
    /// [`HelloError`], the peer being at fault.
    pub const fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, HelloError> {
        let [
            m0,
            m1,
            m2,
            m3,
            min,
            max,
            end,
            _,
            f0,
            f1,
            f2,
            f3,
            l0,
            l1,
            l2,
            l3,
            w0,
            w1,
            _,
            _,
        ] = *bytes;
        let [e0, e1, e2, e3] = MAGIC;
        if m0 != e0 || m1 != e1 || m2 != e2 || m3 != e3 {
            return Err(HelloError::Magic);
        }
        if min > max {
            return Err(HelloError::Versions { min, max });
        }
        Ok(Self {
            min_version: min,
            max_version: max,
            end: End(end),
            features: u32::from_le_bytes([f0, f1, f2, f3]),
            max_frame: u32::from_le_bytes([l0, l1, l2, l3]),
            window: u16::from_le_bytes([w0, w1]),
        })
    }

    /// The newest version that both sides speak.
    #[must_use]
    pub const fn common_version(&self, other: &Self) -> Option<u8> {
        let newest = if self.max_version < other.max_version {
            self.max_version
        } else {
            other.max_version
        };
        if newest >= self.min_version && newest >= other.min_version {
            Some(newest)
        } else {
            None
        }
    }
}
