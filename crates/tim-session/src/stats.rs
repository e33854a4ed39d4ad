//! Counters for diagnostics.

use core::time::Duration;

/// What a session has counted since it was created. Counters wrap at 2^32; those of bytes at the size of a pointer.
///
/// From [`ClientSession::stats`](crate::ClientSession::stats) and [`HubSession::stats`](crate::HubSession::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SessionStats {
    /// Frames and hellos that were received and had a valid header.
    pub frames_received: u32,
    /// Frames and hellos that were queued for sending.
    pub frames_sent: u32,
    /// Bytes received, including noise.
    pub bytes_received: u64,
    /// Bytes that the driver has sent.
    pub bytes_sent: u64,
    /// Login attempts after the first one: how often the client returned on another connection. 0 at the hub's end.
    pub reconnects: u32,
    /// Requests that had to be sent again because the connection was lost before their response. 0 at the hub's end.
    pub resends: u32,
    /// Packets on a serial port that were dropped because of a wrong CRC, a broken encoding or their length.
    pub corrupt_packets: u32,
    /// Pushes that could not be decoded; each was reported as [`Event::Malformed`](crate::Event::Malformed). 0 at the hub's end.
    pub malformed_frames: u32,
    /// The time from queueing the last PING to its PONG, on the current connection.
    pub round_trip: Option<Duration>,
}
