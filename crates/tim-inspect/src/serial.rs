//! Packets of a serial line, each with one hello or frame. They lie between zero bytes, so a damaged one harms no other.

use tim_proto::wire::serial_decode;

use crate::stream::{Broken, Content, Part, first_part};

/// Calls `visit` with every packet of a line in order, intact or damaged.
///
/// # Errors
/// The first error of `visit`, which ends the walk.
pub fn serial<E>(
    line: &[u8],
    max_frame: usize,
    mut visit: impl FnMut(Part<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = 0;
    for packet in line.split(|byte| *byte == 0) {
        if !packet.is_empty() {
            let mut buffer = packet.to_vec();
            let is_terminated = at + packet.len() < line.len();
            let mut part = Part {
                at,
                len: packet.len(),
                counter: None,
                content: Content::Broken(Broken::ShortPacket),
            };
            part.content = match unpack(&mut buffer, is_terminated) {
                Ok((counter, bytes)) => {
                    part.counter = Some(counter);
                    only_part(bytes, max_frame).unwrap_or_else(Content::Broken)
                }
                Err(broken) => Content::Broken(broken),
            };
            visit(part)?;
        }
        at += packet.len() + 1;
    }
    Ok(())
}

/// The counter of a packet, and its content.
fn unpack(packet: &mut [u8], is_terminated: bool) -> Result<(u16, &[u8]), Broken> {
    let bytes = serial_decode(packet).map_err(|error| match is_terminated {
        true => Broken::Packet(error),
        false => Broken::ShortPacket,
    })?;
    let (counter, bytes) = bytes.split_first_chunk().ok_or(Broken::NoCounter)?;
    Ok((u16::from_le_bytes(*counter), bytes))
}

fn only_part(bytes: &[u8], max_frame: usize) -> Result<Content<'_>, Broken> {
    match first_part(bytes, max_frame)? {
        (content, len) if len == bytes.len() => Ok(content),
        (_, len) => Err(Broken::Trailing(bytes.len() - len)),
    }
}
