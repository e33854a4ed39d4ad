//! Cursors, which devices present at a login: a device may present anything.

use tim_store::{Cursor, Epoch, Epochs};

/// The first 8 bytes are the head of the store, the next one chooses its epochs, the rest is the cursor.
pub fn cursors(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk() else {
        return;
    };
    let Some((choice, bytes)) = rest.split_first() else {
        return;
    };
    let head = u64::from_be_bytes(*head) >> 8;
    let first = Epoch::begin(1_000, 1, None, 0);
    let second = Epoch::begin(2_000, u64::from(*choice), Some(&first), head / 2);
    let (known, current) = match choice % 2 {
        0 => (Vec::new(), first),
        _ => (vec![first], second),
    };
    let epochs = Epochs::new(known, current);
    let Some(cursor) = Cursor::from_bytes(bytes) else {
        return;
    };
    assert!(cursor.known >= cursor.change);
    // What is encoded says the same, or, if both changes do not fit, the one that the device has.
    let encoded = cursor.to_bytes();
    assert!(encoded.as_ref().len() <= Cursor::MAX_LEN);
    let again = Cursor::from_bytes(encoded.as_ref()).expect("an own cursor");
    assert_eq!(again.change, cursor.change);
    assert!(again == cursor || again.known == cursor.change);

    let point = epochs.resume(cursor, head);
    assert!(point.change <= cursor.change && point.change <= point.known);
    if point.restored {
        assert!(point.change <= head, "{cursor:?} {head}");
    } else {
        assert_eq!((point.change, point.known), (cursor.change, cursor.known));
        assert!(
            cursor.known <= head,
            "what this store does not have is announced: {cursor:?} {head}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cursors_hold() {
        let epochs = Epochs::new(Vec::new(), Epoch::begin(1_000, 1, None, 0));
        for (change, known) in [(0, 0), (5, 5), (5, 9), (90, 100), (90, 200)] {
            let cursor = epochs.cursor_knowing(change, known).to_bytes();
            let data = [&(100_u64 << 8).to_be_bytes()[..], &[0], cursor.as_ref()].concat();
            cursors(&data);
        }
    }
}
