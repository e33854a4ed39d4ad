//! Hellos and frames at the edges: versions in common, a frame of exactly the limit, a header cut anywhere.

use tim_proto::wire::{
    BufferTooSmall, End, Frame, FrameError, FrameKind, Hello, HelloError, MAX_FRAME_HEADER_LEN, Parsed,
    Writer,
};

fn hello(min_version: u8, max_version: u8) -> Hello {
    Hello {
        min_version,
        max_version,
        end: End::CLIENT,
        features: 0x0403_0201,
        max_frame: 0x0807_0605,
        window: 0x0A09,
    }
}

#[test]
fn the_common_version_is_the_newest_that_both_speak() {
    for (ours, theirs, common) in [
        ((1, 1), (1, 1), Some(1)),
        ((1, 3), (2, 5), Some(3)),
        ((1, 3), (3, 5), Some(3)),
        ((1, 3), (4, 5), None),
        ((2, 4), (1, 9), Some(4)),
        ((0, 255), (7, 7), Some(7)),
        ((0, 0), (1, 1), None),
    ] {
        let (ours, theirs) = (hello(ours.0, ours.1), hello(theirs.0, theirs.1));
        assert_eq!(ours.common_version(&theirs), common, "{ours:?} {theirs:?}");
        assert_eq!(theirs.common_version(&ours), common, "the other way round");
    }
}

#[test]
fn a_hello_is_read_as_it_was_written_and_nothing_else_is_one() {
    let bytes = hello(1, 2).to_bytes();
    assert_eq!(
        bytes,
        *b"tim\x1a\x01\x02\x01\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\0\0"
    );
    assert_eq!(Hello::from_bytes(&bytes), Ok(hello(1, 2)));
    for at in 0..4 {
        let mut other = bytes;
        other[at] ^= 1;
        assert_eq!(Hello::from_bytes(&other), Err(HelloError::Magic), "byte {at}");
    }
    for reserved in [7, 18, 19] {
        let mut other = bytes;
        other[reserved] = 9;
        assert_eq!(Hello::from_bytes(&other), Ok(hello(1, 2)), "byte {reserved}");
    }
    let empty = HelloError::Versions { min: 3, max: 2 };
    assert_eq!(Hello::from_bytes(&hello(3, 2).to_bytes()), Err(empty));
    assert!(Hello::from_bytes(&hello(3, 3).to_bytes()).is_ok());
}

fn frame(id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; body.len() + MAX_FRAME_HEADER_LEN];
    let mut writer = Writer::new(&mut bytes);
    let kind = FrameKind::SEND;
    Frame { kind, id, body }.encode(&mut writer);
    let len = writer.finish().unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn a_frame_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    for body_len in [0, 1, 100, 127, 128, 16_383, 16_384] {
        for id in [0, 127, 128, u32::MAX] {
            let body = vec![7; body_len];
            let bytes = frame(id, &body);
            let len = bytes.len();
            let kind = FrameKind::SEND;
            let whole = Frame {
                kind,
                id,
                body: &body,
            };
            assert_eq!(Frame::parse(&bytes, len), Ok(Parsed::Frame(whole, len)));
            assert_eq!(Frame::parse_exact(&bytes, len), Ok(whole));
            let too_large = FrameError::TooLarge { len, max: len - 1 };
            assert_eq!(Frame::parse(&bytes, len - 1), Err(too_large));
            // Refused by its header alone, before the body has come.
            assert_eq!(Frame::parse(&bytes[..len - body_len], len - 1), Err(too_large));
        }
    }
}

#[test]
fn a_frame_that_is_cut_says_how_much_is_needed_and_is_no_message() {
    let bytes = frame(300, &[7; 200]);
    assert_eq!(Frame::parse(b"", 999), Ok(Parsed::Incomplete(3)));
    let header = bytes.len() - 200;
    for len in 1..bytes.len() {
        let needed = if len < header { len + 1 } else { bytes.len() };
        assert_eq!(Frame::parse(&bytes[..len], 999), Ok(Parsed::Incomplete(needed)));
        assert_eq!(Frame::parse_exact(&bytes[..len], 999), Err(FrameError::Border));
    }
    let two = [&bytes[..], &bytes].concat();
    assert!(matches!(Frame::parse(&two, 999), Ok(Parsed::Frame(_, len)) if len == bytes.len()));
    assert_eq!(Frame::parse_exact(&two, 999), Err(FrameError::Border));
}

#[test]
fn numbers_in_a_header_have_32_bits_and_no_more() {
    let max = b"\x10\xff\xff\xff\xff\x0f\x00";
    assert!(matches!(
        Frame::parse_exact(max, 99),
        Ok(Frame { id: u32::MAX, .. })
    ));
    for bytes in [
        &b"\x10\xff\xff\xff\xff\x1f\x00"[..],
        b"\x10\x80\x80\x80\x80\x80\x00",
        b"\x10\x00\xff\xff\xff\xff\x1f",
    ] {
        assert_eq!(Frame::parse(bytes, usize::MAX), Err(FrameError::Header));
    }
    // In a longer form than needed it is the same number.
    let long = b"\x10\x85\x80\x80\x80\x00\x01\x2a";
    assert!(matches!(
        Frame::parse_exact(long, 99),
        Ok(Frame {
            id: 5,
            body: [42],
            ..
        })
    ));
}

#[test]
fn a_kind_and_its_answer_lead_to_each_other() {
    for number in 0..=255 {
        let kind = FrameKind(number);
        assert_eq!(kind.is_answer(), number >= 0x80);
        assert_eq!(kind.request().0, number & 0x7f);
        assert_eq!(kind.answer().0, number | 0x80);
        assert_eq!(kind.answer().name(), kind.request().name());
    }
    assert_eq!(FrameKind::SEND.to_string(), "SEND");
    assert_eq!(FrameKind::SEND.answer().to_string(), "SEND answer");
    assert_eq!(format!("{:?}", FrameKind(0x7f)), "frame kind 0x7f");
    assert_eq!(FrameKind(0x7f).name(), None);
}

#[test]
fn a_writer_fills_its_buffer_to_the_last_byte_and_counts_beyond_it() {
    for room in 0..40 {
        let mut bytes = vec![0xEE; room + 1];
        let (buffer, behind) = bytes.split_at_mut(room);
        let mut writer = Writer::new(buffer);
        assert!(writer.is_empty());
        writer.put_u8(1);
        assert!(!writer.is_empty());
        writer.put(b"abc");
        for value in [0, 127, 128, 16_383, 16_384, u64::MAX] {
            writer.put_varint(value);
        }
        writer.put_bytes(b"xy");
        const ALL: &[u8] =
            b"\x01abc\x00\x7f\x80\x01\xff\x7f\x80\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02xy";
        assert_eq!(writer.len(), ALL.len());
        let (needed, available) = (ALL.len(), room);
        match writer.finish() {
            Ok(len) => {
                assert!(room >= len);
                assert_eq!(&buffer[..len], ALL);
                assert!(buffer[len..].iter().all(|byte| *byte == 0xEE));
            }
            Err(error) => {
                assert!(room < ALL.len());
                assert_eq!(error, BufferTooSmall { needed, available });
            }
        }
        assert_eq!(behind, [0xEE]);
    }
}
