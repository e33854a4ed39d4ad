//! Small rules at their edges: kept ids, sizes of pictures, faults of ids, lists, and the room that a serial packet needs.

use tim_proto::message::ImageSize;
use tim_proto::wire::{List, serial_encode, serial_encode_in_place, serial_encoded_max_len, serial_gap};
use tim_proto::{ConversationId, IdError, MessageId};

#[test]
fn a_message_id_is_kept_in_twenty_bytes_the_lowest_first() {
    let id = MessageId {
        sender: 0x0807_0605_0403_0201,
        client_time: 0x100F_0E0D_0C0B_0A09,
        random: 0x1413_1211,
    };
    let bytes: Vec<u8> = (1..=20).collect();
    assert_eq!(id.to_bytes()[..], bytes);
    assert_eq!(MessageId::from_bytes(id.to_bytes()), id);
}

#[test]
fn a_picture_is_shown_with_its_smaller_side_at_the_bound_and_the_other_rounded_up() {
    for ((width, height), shown) in [
        ((1000, 500), (396, 198)),
        ((500, 1000), (198, 396)),
        ((1001, 500), (397, 198)),
        ((500, 500), (198, 198)),
        ((198, 1000), (198, 1000)),
        ((1000, 198), (1000, 198)),
        ((199, 199), (198, 198)),
        ((u32::MAX, 199), (4_273_384_545, 198)),
    ] {
        assert_eq!(
            ImageSize::bounded(width, height, 198),
            shown,
            "{width} x {height}"
        );
    }
}

#[test]
fn a_fault_in_a_conversation_id_is_counted_in_the_whole_of_it() {
    let fault = |text: &str| text.parse::<ConversationId>().unwrap_err();
    let long = format!("C2C{}", "a".repeat(33));
    assert_eq!(fault(&long), IdError::TooLong { len: 36, max: 35 });
    let long = format!("GROUP{}", "a".repeat(49));
    assert_eq!(fault(&long), IdError::TooLong { len: 54, max: 53 });
    assert_eq!(fault("C2Ca\u{1}b"), IdError::BadByte { at: 4, byte: 1 });
    assert_eq!(fault("GROUPa\u{7f}"), IdError::BadByte { at: 6, byte: 0x7f });
}

#[test]
fn a_list_is_empty_when_it_has_no_item() {
    assert!(List::<u32>::default().is_empty());
    assert!(List::<u32>::from_slice(&[]).is_empty());
    assert!(!List::from_slice(&[1_u32]).is_empty());
}

#[test]
fn a_packet_is_encoded_in_place_in_exactly_the_room_that_it_needs_and_in_more() {
    for len in [0, 1, 100, 253, 254, 600] {
        let packet = vec![7; len];
        let (from, needed) = (serial_gap(len), serial_encoded_max_len(len));
        let mut line = vec![0; needed];
        let encoded = serial_encode(&packet, &mut line).unwrap();
        for extra in [0, 1, 50] {
            let mut buffer = vec![0; needed.max(from + len) + extra];
            buffer[from..from + len].copy_from_slice(&packet);
            assert_eq!(serial_encode_in_place(&mut buffer, from, len), Ok(encoded));
            assert_eq!(buffer[..encoded], line[..encoded]);
        }
        let mut small = vec![9; needed - 1];
        assert!(serial_encode_in_place(&mut small, from, len).is_err());
        assert_eq!(small, vec![9; needed - 1], "it is untouched");
        let mut buffer = vec![9; needed + 50];
        assert!(
            serial_encode_in_place(&mut buffer, from - 1, len).is_err(),
            "no gap"
        );
    }
}
