//! Messages as bytes, in any storage.

use std::sync::Arc;

use arbitrary::Unstructured;
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use tim_proto::message::{CopyError, to_vec};
use tim_proto::request::{CompactCursor, CompactDeliver, Delivery, HistoryResponse};
use tim_proto::wire::{arbitrary_body, decode_body, encode_body};
use tim_proto::{ConversationId, Encoded, Message};

const HI: &[u8] =
    b"\x05\xd7\x92\x95\xad\x06\0\x07\x05alice\x01\x03bob\x63\xd7\x92\x95\xad\x06\x2a\x01\x02\x01\x03\x02hi";

fn is_kept_in<B>()
where
    B: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
{
    let kept = Encoded::<B>::from_slice(HI).unwrap();
    assert_eq!(kept.as_bytes(), HI);
    assert_eq!(kept.message(), Message::decode_from(HI).unwrap());
    let copied: Encoded<B> = Encoded::new(HI).unwrap().to_storage().unwrap();
    assert_eq!(copied.into_inner().as_ref(), HI);
    let json = serde_json::to_string(&kept).unwrap();
    let read: Encoded<B> = serde_json::from_str(&json).unwrap();
    assert_eq!(read.as_bytes(), HI, "{json}");
    let postcard = postcard::to_allocvec(&kept).unwrap();
    let read: Encoded<B> = postcard::from_bytes(&postcard).unwrap();
    assert_eq!(read.as_bytes(), HI);
    assert!(postcard::from_bytes::<Encoded<B>>(&[1, 0]).is_err());
    let cut = Encoded::<B>::from_slice(&HI[..HI.len() - 1]);
    assert!(matches!(cut.err(), Some(CopyError::Decode(error)) if error.at > 20));
}

#[test]
fn a_message_is_kept_in_any_storage_that_is_made_from_a_slice() {
    is_kept_in::<Vec<u8>>();
    is_kept_in::<Box<[u8]>>();
    is_kept_in::<Arc<[u8]>>();
    is_kept_in::<heapless::Vec<u8, 64>>();
    is_kept_in::<[u8; HI.len()]>();
    // Bytes that are not made from a slice are wrapped.
    let shared = Encoded::new(bytes::Bytes::from_static(HI)).unwrap();
    assert_eq!(shared.clone().into_inner().as_ptr(), HI.as_ptr());
    assert_eq!(shared.as_ref().message(), shared.message());
}

#[test]
fn a_storage_that_is_too_small_is_an_error() {
    let needed = HI.len();
    let small = Encoded::<heapless::Vec<u8, 8>>::from_slice(HI).unwrap_err();
    assert_eq!(small, CopyError::Capacity { needed });
    assert_eq!(
        small.to_string(),
        format!("the message has {needed} bytes, which the storage cannot hold")
    );
    let json = serde_json::to_string(&Encoded::new(HI).unwrap()).unwrap();
    let read = serde_json::from_str::<Encoded<heapless::Vec<u8, 8>>>(&json).unwrap_err();
    assert!(
        read.to_string().contains("which the storage cannot hold"),
        "{read}"
    );
}

#[test]
fn a_made_message_is_encoded_in_a_buffer_of_the_caller() {
    let message = Message::decode_from(HI).unwrap();
    let mut buffer = [0; 64];
    let encoded = message.encode_in(&mut buffer).unwrap();
    assert_eq!((encoded.as_bytes(), encoded.message()), (HI, message));
    assert_eq!(message.encode_in(&mut [0; 8]).unwrap_err().needed, HI.len());
    assert_eq!(
        encode_body(&encoded, &mut [0; 64]),
        Ok(HI.len()),
        "it encodes as the message"
    );
}

proptest! {
    /// What a client keeps of a delivery or of a page of history is what was verified when the frame was.
    #[test]
    fn the_bytes_of_a_received_message_are_at_hand(seed in vec(any::<u8>(), 0..3000)) {
        let mut from = Unstructured::new(&seed);
        let body = arbitrary_body::<Delivery<'_>>(&mut from).unwrap();
        let delivery: Delivery<'_> = decode_body(&body).unwrap();
        assert_eq!(delivery.encoded().unwrap().message(), delivery.message());
        assert_eq!(delivery.encoded().unwrap().as_bytes(), to_vec(&delivery.message()));
        assert!(body.ends_with(delivery.encoded().unwrap().as_bytes()));
        let encoded = delivery.encoded().unwrap();
        let again = Delivery::new(delivery.cursor, delivery.payload_len, &encoded);
        assert_eq!(again, delivery);

        let body = arbitrary_body::<HistoryResponse<'_>>(&mut from).unwrap();
        let page: HistoryResponse<'_> = decode_body(&body).unwrap();
        let kept: Vec<_> = page.messages.encoded().collect();
        let messages: Vec<_> = kept.iter().map(Encoded::message).collect();
        assert_eq!(messages, page.messages.iter().collect::<Vec<_>>());
    }

    /// A compact delivery is the delivery, of whatever entry in whatever conversation, but for the numbers that were not asked for.
    #[test]
    fn a_compact_delivery_is_the_full_one(seed in vec(any::<u8>(), 0..3000), is_to_me in any::<bool>(), device in 0..3_u64) {
        let mut from = Unstructured::new(&seed);
        let body = arbitrary_body::<Delivery<'_>>(&mut from).unwrap();
        let mut full: Delivery<'_> = decode_body(&body).unwrap();
        full.header.envelope.origin = full.header.envelope.origin.min(2);
        let me = match full.header.content.to {
            ConversationId::C2c(user) if is_to_me => user,
            _ => full.header.envelope.from,
        };
        for with_numbers in [true, false] {
            let cursor = CompactCursor::new().with_rest(full.cursor);
            let made = CompactDeliver::of(&full.header, full.payload_len, cursor, &me, device, with_numbers);
            let bytes = to_vec(&made);
            let read: CompactDeliver<'_> = decode_body(&bytes).unwrap();
            assert_eq!(read, made);
            let mut expected = full.header;
            if !with_numbers {
                expected.content.client_sequence = 0;
                if expected.envelope.origin != device || expected.envelope.from != me {
                    expected.envelope.origin = 0;
                }
            }
            let delivery = read.delivery(&me, full.cursor);
            assert_eq!(delivery.header, expected);
            assert_eq!((delivery.cursor, delivery.payload_len), (full.cursor, full.payload_len));
            assert_eq!(delivery.encoded(), None);
            let mut room = vec![0; to_vec(&expected).len()];
            assert_eq!(delivery.header.encode_in(&mut room).unwrap().message(), expected.message());
        }
    }
}
