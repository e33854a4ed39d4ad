//! The same on a serial line, where packets stand between zero bytes and a damaged one harms no other.

use tim_proto::wire::serial_decode;

use super::walk::{Content, Part, first_part};

/// The packets of a line, each unpacked into `buffer`, in order. `visit` sees every packet, good or bad.
pub(crate) fn serial_parts<E>(
    line: &[u8],
    max_frame: usize,
    mut visit: impl FnMut(Part<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = 0;
    for packet in line.split(|byte| *byte == 0) {
        if !packet.is_empty() {
            let mut buffer = packet.to_vec();
            let ends = at + packet.len() < line.len();
            let (counter, content) = content(&mut buffer, max_frame, ends);
            visit(Part {
                at,
                len: packet.len(),
                counter,
                content,
            })?;
        }
        at += packet.len() + 1;
    }
    Ok(())
}

/// The packet's number and what it carries. `ends`: a zero byte follows.
fn content(packet: &mut [u8], max_frame: usize, ends: bool) -> (Option<u16>, Content<'_>) {
    let broken = |fault: &str| (None, Content::Broken(fault.to_owned()));
    let bytes = match serial_decode(packet) {
        Ok(bytes) => bytes,
        Err(_) if !ends => return broken("the input ends inside a packet"),
        Err(fault) => return broken(&fault.to_string()),
    };
    let Some((counter, bytes)) = bytes.split_first_chunk() else {
        return broken("the packet is too short for its counter");
    };
    let content = match first_part(bytes, max_frame) {
        (Content::Broken(fault), _) => Content::Broken(fault),
        (_, len) if len < bytes.len() => Content::Broken(format!(
            "{} bytes stand behind the frame in its packet",
            bytes.len() - len
        )),
        (content, _) => content,
    };
    (Some(u16::from_le_bytes(*counter)), content)
}
