//! How much work a JPEG is, before it is decoded.
//!
//! A scan costs time for each pixel, however few bytes it has: a file of 300 KB can have 80 scans of 49 megapixels.

/// Start of image.
const SOI: u8 = 0xd8;
/// End of image.
const EOI: u8 = 0xd9;
/// Start of scan.
const SOS: u8 = 0xda;

/// Cuts off what is behind the end of the picture, as another picture or a film, so that no decoder reads it.
pub(crate) fn cut(jpeg: &mut Vec<u8>) {
    if let Some(end) = end(jpeg) {
        jpeg.truncate(end);
    }
}

/// The maximum number of scans that a decoder can find in these bytes. A marker within a segment counts too: decoders differ in what
/// they do with segments of a wrong length.
pub(crate) fn scans(jpeg: &[u8]) -> u64 {
    let mut previous = 0;
    let is_scan = |byte: &&u8| {
        let is_scan = previous == 0xff && **byte == SOS;
        previous = **byte;
        is_scan
    };
    jpeg.iter().filter(is_scan).count() as u64
}

/// Where the picture ends, behind the marker that says so.
fn end(jpeg: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // What is not a marker belongs to a scan.
        at += jpeg.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        at += jpeg.get(at..)?.iter().position(|byte| *byte != 0xff)?;
        let marker = *jpeg.get(at)?;
        at += 1;
        match marker {
            EOI => return Some(at),
            // A byte 0xff of a scan, markers within a scan, and one that has no length.
            0 | 0x01 | 0xd0..=SOI => {}
            _ => {
                let [high, low] = *jpeg.get(at..)?.first_chunk()?;
                at += usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes among which markers and short lengths are frequent.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(0xff),
            proptest::sample::select(vec![0, 1, 2, 3, SOI, EOI, SOS, 0xd0, 0xe1]),
            any::<u8>(),
        ];
        proptest::collection::vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn of_any_bytes_only_the_end_is_cut_off_and_only_once(whole in bytes()) {
            let mut found = whole.clone();
            cut(&mut found);
            prop_assert!(whole.starts_with(&found));
            prop_assert!(found.len() == whole.len() || found.ends_with(&[0xff, EOI]));
            prop_assert!(scans(&found) <= scans(&whole));
            let before = found.clone();
            cut(&mut found);
            prop_assert_eq!(found, before);
        }
    }

    /// Segments, in each of which are markers that count for nothing at its end, and scans.
    fn jpeg(scans: usize) -> Vec<u8> {
        let mut jpeg = vec![0xff, SOI, 0xff, 0xe1, 0, 4, 0xff, EOI];
        for _ in 0..scans {
            jpeg.extend([0xff, 0xff, SOS, 0, 3, 0, 1, 0xff, 0, EOI, 0xff, 0xd0, 2]);
        }
        jpeg.extend([0xff, EOI]);
        jpeg
    }

    #[test]
    fn scans_are_counted_and_what_is_behind_the_picture_is_cut_off() {
        for count in [0, 1, 80] {
            let mut found = jpeg(count);
            let whole = found.clone();
            found.extend(jpeg(7));
            cut(&mut found);
            assert_eq!(found, whole);
            assert_eq!(scans(&found), count as u64);
        }
    }

    #[test]
    fn a_picture_without_an_end_is_left_whole() {
        let whole = jpeg(3);
        for len in 0..whole.len() {
            let mut found = whole[..len].to_vec();
            cut(&mut found);
            assert_eq!(found.len(), len);
        }
    }
}
