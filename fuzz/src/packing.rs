//! Packets as a session's line carries them, for a harness that speaks the other end.

use tim_proto::wire::{Frame, Hello, MAGIC, Parsed, serial_decode, serial_encode, serial_encoded_max_len};
use tim_session::Framing;

/// What stands around the harness's packets.
pub struct Packing {
    pub framing: Framing,
    /// The number of the next packet.
    next: u16,
}

impl Packing {
    pub fn new(framing: Framing) -> Self {
        Self { framing, next: 0 }
    }

    /// A packet as it goes on the line. A hello starts the counting anew.
    pub fn pack(&mut self, packet: &[u8]) -> Vec<u8> {
        if self.framing == Framing::Stream {
            return packet.to_vec();
        }
        if packet.starts_with(&MAGIC) {
            self.next = 0;
        }
        let counted = [&self.next.to_le_bytes(), packet].concat();
        self.next = self.next.wrapping_add(1);
        let mut line = vec![0; serial_encoded_max_len(counted.len())];
        let len = serial_encode(&counted, &mut line).expect("the length that always suffices");
        line.truncate(len);
        line
    }

    /// The frames in what a session sent since it said hello, as far as they are whole.
    pub fn frames(&self, sent: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        if self.framing == Framing::Stream {
            let mut rest = sent.get(Hello::LEN..).unwrap_or(&[]);
            while let Ok(Parsed::Frame(_, len)) = Frame::parse(rest, 65536) {
                frames.push(rest[..len].to_vec());
                rest = &rest[len..];
            }
            return frames;
        }
        for packet in sent.split(|byte| *byte == 0).filter(|packet| !packet.is_empty()) {
            let mut packet = packet.to_vec();
            if let Ok([_, _, content @ ..]) = serial_decode(&mut packet)
                && !content.starts_with(&MAGIC)
            {
                frames.push(content.to_vec());
            }
        }
        frames
    }
}

/// The framing that a word of the input chooses.
pub fn framing(word: usize) -> Framing {
    match word & 0x8000 {
        0 => Framing::Stream,
        _ => Framing::Serial,
    }
}
