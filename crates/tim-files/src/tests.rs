//! The promises of the crate, with files of a few bytes.

use std::collections::HashSet;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use object_store::memory::InMemory;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const LIFE_MS: u64 = 1_000;

/// A file store in a directory of its own, which can be opened again.
struct Bench {
    directory: TempDir,
    options: FileStoreOptions,
}

impl Bench {
    fn new() -> Self {
        let mut options = FileStoreOptions::new([1; 32]);
        options.upload_life_ms = LIFE_MS;
        options.max_uploads = 3;
        let directory = tempfile::tempdir().unwrap();
        Self { directory, options }
    }

    fn open(&self) -> FileStore {
        self.open_at(0)
    }

    fn open_at(&self, now_ms: u64) -> FileStore {
        FileStore::open(&self.files(), self.options.clone(), now_ms, 0).unwrap()
    }

    fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    /// The files below the directory, without the directories.
    fn left(&self) -> usize {
        fn count(path: &Path) -> usize {
            let entries = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(self.directory.path())
    }
}

fn announced(content: &[u8]) -> Announced {
    Announced {
        owner: "alice".to_owned(),
        kind: 5,
        name: "a.bin".to_owned(),
        media_type: String::new(),
        size: content.len() as u64,
        sha256: Sha256::digest(content).into(),
        duration_ms: 0,
    }
}

/// Uploads it as a whole.
fn complete(files: &FileStore, content: &[u8], is_picture: bool) -> Result<Completed, FileError> {
    let begun = files.begin(&announced(content), 0, 0)?;
    files.append(
        "alice",
        begun.upload,
        begun.received,
        &content[begun.received as usize..],
        0,
    )?;
    let completed = files.complete("alice", begun.upload, is_picture)?;
    files.settle("alice", begun.upload);
    Ok(completed)
}

fn read(files: &FileStore, completed: &Completed, len: usize) -> Vec<u8> {
    files
        .read(completed.file, Part::Original, 0..len as u64)
        .unwrap()
        .into()
}

#[test]
fn an_upload_goes_on_after_a_cut_and_a_restart_and_sends_nothing_twice() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..100).collect();
    let mut received = 0;
    let mut uploads = HashSet::new();
    for end in [0, 1, 40, 40, 99, 100] {
        // Another process each time.
        let files = bench.open();
        let begun = files.begin(&announced(&content), 0, 0).unwrap();
        uploads.insert(begun.upload);
        assert_eq!(begun.received, received);
        let piece = &content[received as usize..end];
        received = files
            .append("alice", begun.upload, received, piece, 0)
            .unwrap()
            .received;
        assert_eq!(received, end as u64);
    }
    assert_eq!(uploads.len(), 1, "it is the same upload");
    let files = bench.open();
    let completed = complete(&files, &content, false).unwrap();
    assert_eq!(read(&files, &completed, 100), content);
    assert_eq!(
        &files.read(completed.file, Part::Original, 98..100).unwrap()[..],
        &[98, 99]
    );
    assert_eq!(bench.left(), 1, "the upload is gone, the content stays");
}

#[test]
fn pieces_come_in_order_and_what_has_come_is_not_written_twice() {
    let bench = Bench::new();
    let files = bench.open();
    let upload = files.begin(&announced(b"0123456789"), 0, 0).unwrap().upload;
    let append = |offset, bytes: &[u8]| {
        files
            .append("alice", upload, offset, bytes, 0)
            .map(|found| found.received)
    };
    assert_eq!(append(0, b"0123").unwrap(), 4);
    assert!(matches!(
        append(5, b"5"),
        Err(FileError::OutOfOrder { received: 4 })
    ));
    assert_eq!(append(0, b"xxxx").unwrap(), 4, "answered, not written");
    assert_eq!(append(2, b"xx45").unwrap(), 6, "the rest of it is new");
    assert_eq!(append(6, b"").unwrap(), 6);
    assert!(matches!(
        append(u64::MAX, b"x"),
        Err(FileError::OutOfOrder { received: 6 })
    ));
    let rested = files.rest("alice", upload).unwrap();
    assert_eq!((rested.received, rested.confirmed), (6, 6));
    assert_eq!(append(6, b"6789").unwrap(), 10);
    let completed = files.complete("alice", upload, false).unwrap();
    assert_eq!(
        files.complete("alice", upload, false).unwrap(),
        completed,
        "ended again, the same answer"
    );
    assert_eq!(
        files.begin(&announced(b"0123456789"), 0, 0).unwrap(),
        Begun { upload, received: 10 }
    );
    // A completed upload keeps its content, whatever is sent behind it.
    assert_eq!(append(9, b"9").unwrap(), 10);
    assert!(matches!(append(10, b"x"), Err(FileError::OtherContent(_))));
    files.delete_leftovers().unwrap();
    assert_eq!(files.complete("alice", upload, false).unwrap(), completed);
    assert_eq!(read(&files, &completed, 10), b"0123456789");
    files.cancel("alice", upload).unwrap();
    files.settle("alice", upload);
    assert!(matches!(
        files.complete("alice", upload, false),
        Err(FileError::UnknownUpload)
    ));
    assert_eq!(read(&files, &completed, 10), b"0123456789");
}

#[test]
fn nobody_else_has_the_upload() {
    let bench = Bench::new();
    let files = bench.open();
    let upload = files.begin(&announced(b"secret"), 0, 0).unwrap().upload;
    assert!(files.is_upload_of("alice", upload) && !files.is_upload_of("bob", upload));
    assert!(matches!(
        files.append("bob", upload, 0, b"x", 0),
        Err(FileError::UnknownUpload)
    ));
    assert!(matches!(files.rest("bob", upload), Err(FileError::UnknownUpload)));
    assert!(matches!(
        files.complete("bob", upload, false),
        Err(FileError::UnknownUpload)
    ));
    files.cancel("bob", upload).unwrap();
    files.discard("bob", upload);
    let of_bob = Announced {
        owner: "bob".to_owned(),
        ..announced(b"secret")
    };
    assert_ne!(files.begin(&of_bob, 0, 0).unwrap().upload, upload);
    assert_eq!(
        files.append("alice", upload, 0, b"secret", 0).unwrap().received,
        6
    );
}

#[test]
fn content_that_is_not_what_was_announced_leaves_nothing_behind() {
    let bench = Bench::new();
    let files = bench.open();
    // Longer, shorter, and of another hash.
    for (sent, is_over_at_once) in [(&b"123456"[..], true), (b"1234", false), (b"12346", false)] {
        let upload = files.begin(&announced(b"12345"), 0, 0).unwrap().upload;
        let appended = files.append("alice", upload, 0, sent, 0);
        assert_eq!(
            matches!(appended, Err(FileError::OtherContent(_))),
            is_over_at_once
        );
        let completed = files.complete("alice", upload, false);
        match is_over_at_once {
            true => assert!(matches!(completed, Err(FileError::UnknownUpload))),
            false => assert!(matches!(completed, Err(FileError::OtherContent(_)))),
        }
        assert_eq!(bench.left(), 0);
    }
}

#[test]
fn a_completed_upload_that_nobody_ends_again_is_removed_and_its_content_unless_the_file_is_known() {
    for is_known in [false, true] {
        let bench = Bench::new();
        let files = bench.open();
        let upload = files.begin(&announced(b"a"), 0, 0).unwrap().upload;
        files.append("alice", upload, 0, b"a", 0).unwrap();
        let file = files.complete("alice", upload, false).unwrap().file;
        let remove = |steady_ms| {
            files
                .remove_abandoned(steady_ms, |_| Ok::<_, FileError>(is_known))
                .unwrap()
        };
        assert_eq!(remove(10 * LIFE_MS), 0, "its row is about to be written");
        files.leave("alice", upload, 0);
        assert_eq!((remove(LIFE_MS), remove(LIFE_MS + 1)), (0, 1));
        files.delete_leftovers().unwrap();
        assert_eq!(bench.left(), usize::from(is_known), "the content, if anything");
        let parts = [(Part::Original, 1)];
        assert_eq!(files.is_whole(file, &parts).unwrap(), is_known);
        // Nobody completes it any more.
        let swept = files.sweep(|_| Ok::<_, FileError>(false)).unwrap();
        assert_eq!(swept.deleted, usize::from(is_known));
    }
}

#[test]
fn an_owner_has_a_bounded_number_of_uploads_and_abandoned_ones_are_removed() {
    let bench = Bench::new();
    let files = bench.open();
    let uploads: Vec<_> = [b"a", b"b", b"c"]
        .map(|content| files.begin(&announced(content), 0, 0).unwrap().upload)
        .into();
    assert!(matches!(
        files.begin(&announced(b"d"), 0, 0),
        Err(FileError::TooManyUploads(3))
    ));
    assert_eq!(
        files.pending_bytes(&announced(b"a"), |_| false),
        2,
        "of the others"
    );
    files.append("alice", uploads[0], 0, b"a", 500).unwrap();
    let nobody = |_| Ok::<_, FileError>(false);
    assert_eq!(files.remove_abandoned(LIFE_MS, nobody).unwrap(), 0);
    assert_eq!(files.remove_abandoned(LIFE_MS + 1, nobody).unwrap(), 2);
    assert_eq!(
        files.begin(&announced(b"a"), 0, 0).unwrap(),
        Begun {
            upload: uploads[0],
            received: 1
        }
    );
    assert_eq!(
        files.pending_bytes(&announced(b""), |upload| upload == uploads[0]),
        0
    );
    files.cancel("alice", uploads[0]).unwrap();
    assert_eq!(
        (bench.left(), files.pending_bytes(&announced(b""), |_| false)),
        (0, 0)
    );
    // Of those from before a restart, their beginning counts.
    files.begin(&announced(b"old"), 5, 0).unwrap();
    files.begin(&announced(b"new"), 500, 0).unwrap();
    drop(files);
    std::fs::write(bench.files().join("staging/nonsense"), b"x").unwrap();
    std::fs::write(bench.files().join("staging/0000000000000001.part"), b"x").unwrap();
    let files = bench.open_at(LIFE_MS + 100);
    assert_eq!(files.pending_bytes(&announced(b""), |_| false), 3);
    assert_eq!(bench.left(), 2);
}

#[test]
fn content_without_a_row_is_swept_but_not_what_is_being_completed() {
    let bench = Bench::new();
    let files = bench.open();
    let kept = complete(&files, b"kept", false).unwrap();
    let unknown = complete(&files, b"unknown", false).unwrap();
    let upload = files.begin(&announced(b"open"), 0, 0).unwrap().upload;
    files.append("alice", upload, 0, b"open", 0).unwrap();
    let open = files.complete("alice", upload, false).unwrap();
    let is_known = |file| Ok::<_, FileError>(file == kept.file);
    assert_eq!(files.sweep(is_known).unwrap().deleted, 1);
    assert!(matches!(
        files.read(unknown.file, Part::Original, 0..1),
        Err(FileError::NotFound)
    ));
    assert_eq!(read(&files, &open, 4), b"open");
    files.discard("alice", upload);
    assert!(matches!(
        files.read(open.file, Part::Original, 0..1),
        Err(FileError::NotFound)
    ));
    assert_eq!(bench.left(), 1);
    // A process that ended between content and row: the content goes, the upload goes on.
    let upload = files.begin(&announced(b"open"), 0, 0).unwrap().upload;
    files.append("alice", upload, 0, b"open", 0).unwrap();
    files.complete("alice", upload, false).unwrap();
    drop(files);
    let files = bench.open();
    assert_eq!(files.sweep(is_known).unwrap().deleted, 1);
    let open = complete(&files, b"open", false).unwrap();
    assert_eq!(read(&files, &open, 4), b"open");
    files.delete(open.file).unwrap();
    files.delete(open.file).unwrap();
    assert_eq!(read(&files, &kept, 4), b"kept");
}

#[test]
fn an_upload_takes_the_place_of_content_that_was_lost_even_if_that_fails_once() {
    let mut bench = Bench::new();
    let left = Arc::new(Mutex::new(usize::MAX));
    let puts = Arc::clone(&left);
    bench.options.faults = Faults::new(move |operation| {
        let mut left = puts.lock().unwrap();
        match (operation, *left) {
            (Operation::Put, 0) => Err(io::Error::other("this one fails")),
            (Operation::Put, _) => {
                *left -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    });
    let files = bench.open();
    let content = picture(RgbImage::from_pixel(300, 200, Rgb([9, 8, 7])), ImageFormat::Png);
    let first = complete(&files, &content, true).unwrap();
    let thumbnail = first.picture.as_ref().unwrap().thumbnail.size;
    let parts = [
        (Part::Original, content.len() as u64),
        (Part::Thumbnail, thumbnail),
    ];
    let is_known = |file| Ok::<_, FileError>(file == first.file);
    for lost in [true, false] {
        if lost {
            files.delete(first.file).unwrap();
        }
        assert_eq!(files.is_whole(first.file, &parts).unwrap(), !lost);
        let upload = files.begin(&announced(&content), 0, 0).unwrap().upload;
        files.append("alice", upload, 0, &content, 0).unwrap();
        files.complete("alice", upload, true).unwrap();
        // It fails behind each of the parts, and whoever keeps house comes in between.
        for puts in [0, 1, 2].into_iter().filter(|_| lost) {
            *left.lock().unwrap() = puts;
            let failed = files.settle_as("alice", upload, first.file, &parts);
            assert!(matches!(failed, Err(FileError::Failed(_))), "{failed:?}");
            assert_eq!(files.sweep(is_known).unwrap().deleted, 0);
            assert!(!files.is_whole(first.file, &parts).unwrap());
            files.complete("alice", upload, true).unwrap();
        }
        *left.lock().unwrap() = usize::MAX;
        assert_eq!(
            files.settle_as("alice", upload, first.file, &parts).unwrap(),
            lost
        );
        assert_eq!(read(&files, &first, content.len()), content);
        assert!(files.is_whole(first.file, &parts).unwrap());
        assert!(files.announced("alice", upload).is_none(), "the upload is over");
        assert_eq!(bench.left(), 2, "the picture and its thumbnail");
    }
}

#[test]
fn a_full_disk_refuses_and_what_was_there_goes_on_when_there_is_space_again() {
    for failing in [
        Operation::Begin,
        Operation::Write,
        Operation::Sync,
        Operation::Put,
    ] {
        let mut bench = Bench::new();
        let is_full = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&is_full);
        bench.options.faults =
            Faults::new(
                move |operation| match operation == failing && full.load(Ordering::SeqCst) {
                    true => Err(io::ErrorKind::StorageFull.into()),
                    false => Ok(()),
                },
            );
        let files = bench.open();
        let kept = complete(&files, b"kept", false).unwrap();
        is_full.store(true, Ordering::SeqCst);
        let failed = complete(&files, b"more", false);
        assert!(matches!(failed, Err(FileError::Full)), "{failing:?}: {failed:?}");
        assert_eq!(read(&files, &kept, 4), b"kept");
        is_full.store(false, Ordering::SeqCst);
        let more = complete(&files, b"more", false).unwrap();
        assert_eq!(read(&files, &more, 4), b"more");
        assert_eq!(bench.left(), 2, "{failing:?}");
    }
}

#[cfg(unix)]
#[test]
fn uploads_leave_some_of_the_disk_to_others() {
    let mut bench = Bench::new();
    let kept = complete(&bench.open(), b"kept", false).unwrap();
    bench.options.keep_free = u64::MAX;
    let files = bench.open();
    assert!(matches!(
        files.begin(&announced(b"more"), 0, 0),
        Err(FileError::Full)
    ));
    assert_eq!(
        (bench.left(), files.pending_bytes(&announced(b""), |_| false)),
        (1, 0)
    );
    assert_eq!(read(&files, &kept, 4), b"kept");
}

#[test]
fn content_can_be_in_another_store_of_objects() {
    let mut bench = Bench::new();
    let objects = Arc::new(InMemory::new());
    bench.options.content = Some(Remote::new("memory", objects));
    let files = bench.open();
    let content = picture(
        RgbImage::from_fn(300, 210, |x, y| Rgb([x as u8, y as u8, 7])),
        ImageFormat::Bmp,
    );
    let completed = complete(&files, &content, true).unwrap();
    assert_eq!(read(&files, &completed, content.len()), content);
    let thumbnail = completed.picture.unwrap().thumbnail;
    assert_eq!(
        files
            .read(completed.file, Part::Thumbnail, 0..thumbnail.size)
            .unwrap()
            .len() as u64,
        thumbnail.size
    );
    assert_eq!(files.sweep(|_| Ok::<_, FileError>(false)).unwrap().deleted, 1);
    assert!(matches!(
        files.read(completed.file, Part::Thumbnail, 0..1),
        Err(FileError::NotFound)
    ));
    assert_eq!(bench.left(), 1, "the id of the store");
}

fn picture<P>(picture: image::ImageBuffer<P, Vec<u8>>, format: ImageFormat) -> Vec<u8>
where
    P: image::Pixel<Subpixel = u8> + image::PixelWithColorType,
{
    let mut out = Vec::new();
    picture.write_to(&mut Cursor::new(&mut out), format).unwrap();
    out
}

#[test]
fn a_picture_gets_its_renditions_and_a_small_one_is_its_own() {
    let bench = Bench::new();
    let files = bench.open();
    let wide = picture(
        RgbImage::from_fn(1500, 721, |x, y| Rgb([x as u8, y as u8, 7])),
        ImageFormat::Bmp,
    );
    let completed = complete(&files, &wide, true).unwrap();
    let found = completed.picture.unwrap();
    assert_eq!(
        (found.format, found.width, found.height),
        (Format::Bmp, 1500, 721)
    );
    let sizes = [
        (Part::Large, found.large, 1498, 720),
        (Part::Thumbnail, found.thumbnail, 412, 198),
    ];
    for (part, rendition, width, height) in sizes {
        assert_eq!(
            (rendition.width, rendition.height, rendition.is_original),
            (width, height, false)
        );
        let bytes = files.read(completed.file, part, 0..rendition.size).unwrap();
        let decoded = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (width, height));
    }
    // One that may be transparent stays so.
    let clear = picture(
        RgbaImage::from_pixel(210, 199, Rgba([9, 9, 9, 0])),
        ImageFormat::Png,
    );
    let completed = complete(&files, &clear, true).unwrap();
    let found = completed.picture.unwrap();
    assert!(found.large.is_original && found.large.size == clear.len() as u64);
    let bytes = files
        .read(completed.file, Part::Thumbnail, 0..found.thumbnail.size)
        .unwrap();
    let decoded = image::load_from_memory_with_format(&bytes, ImageFormat::Png).unwrap();
    assert_eq!(
        (decoded.width(), decoded.height(), decoded.to_rgba8()[(0, 0)][3]),
        (209, 198, 0)
    );
    for format in [ImageFormat::Gif, ImageFormat::Jpeg, ImageFormat::WebP] {
        let tiny = picture(RgbImage::new(3, 2), format);
        let found = complete(&files, &tiny, true).unwrap().picture.unwrap();
        assert_eq!(
            (found.width, found.height, found.thumbnail.is_original),
            (3, 2, true)
        );
        assert_eq!(found.format.media_type(), format.to_mime_type());
    }
}

/// A PNG that says it has so many pixels.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = picture(RgbImage::new(1, 1), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_bomb_is_not_decoded_and_what_is_no_picture_is_refused() {
    let bench = Bench::new();
    let files = bench.open();
    for (width, height) in [(30_000, 30_000), (MAX_SIDE + 1, 1), (8_001, 8_000)] {
        let found = complete(&files, &bomb(width, height), true);
        assert!(
            matches!(found, Err(FileError::TooManyPixels { width: w, height: h }) if (w, h) == (width, height))
        );
    }
    let mut broken = picture(RgbImage::new(4, 4), ImageFormat::Png);
    broken.truncate(broken.len() - 20);
    let others: [&[u8]; 5] = [
        b"<html><script>",
        b"%PDF-1.7",
        b"GIF89a",
        b"\xff\xd8\xff",
        &broken,
    ];
    for other in others {
        let found = complete(&files, other, true);
        assert!(matches!(found, Err(FileError::NoPicture(_))), "{found:?}");
    }
    assert_eq!(bench.left(), 0);
}

#[test]
fn of_a_picture_that_is_not_small_only_the_size_is_read() {
    let bench = Bench::new();
    let files = bench.open();
    for (content, is_small) in [
        (progressive(320, 240, 40), true),
        (progressive(2001, 2000, 2), false),
        (progressive(2000, 2000, 17), false),
        (bomb(2001, 2000), false),
    ] {
        let upload = files.begin(&announced(&content), 0, 0).unwrap().upload;
        files.append("alice", upload, 0, &content, 0).unwrap();
        assert_eq!(files.render_small("alice", upload).unwrap(), is_small);
        assert!(files.is_upload_of("alice", upload));
        files.cancel("alice", upload).unwrap();
    }
}

/// A grey progressive JPEG, of which every scan is empty.
fn progressive(width: u16, height: u16, scans: usize) -> Vec<u8> {
    let segment = |marker: u8, content: &[u8]| {
        let len = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &len[..], content].concat()
    };
    let ([w, x], [h, y]) = (width.to_be_bytes(), height.to_be_bytes());
    let quantized = [&[0][..], &[1; 64]].concat();
    // One code of one bit: nothing changes.
    let table = |class| [&[class, 1][..], &[0; 16]].concat();
    let mut jpeg = [
        vec![0xff, 0xd8],
        segment(0xdb, &quantized),
        segment(0xc2, &[8, h, y, w, x, 1, 1, 0x11, 0]),
        segment(0xc4, &table(0x00)),
        segment(0xc4, &table(0x10)),
    ]
    .concat();
    for scan in 0..scans {
        let (from, to) = if scan == 0 { (0, 0) } else { (1, 63) };
        jpeg.extend(segment(0xda, &[1, 1, 0, from, to, 0]));
        jpeg.push(0);
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

#[test]
fn scans_cost_time_so_there_are_fewer_of_large_pictures() {
    let bench = Bench::new();
    let files = bench.open();
    let mut photo = progressive(320, 240, 40);
    // As phones append films.
    photo.extend([0xff, 0xda].repeat(2000));
    let found = complete(&files, &photo, true).unwrap().picture.unwrap();
    assert_eq!((found.width, found.height), (320, 240));
    for (side, count) in [(7000, 80), (8000, 17)] {
        let found = complete(&files, &progressive(side, side, count), true).unwrap_err();
        assert!(
            matches!(found, FileError::TooManyScans { scans, .. } if scans == count as u64),
            "{found:?}"
        );
        assert!(
            found
                .to_string()
                .contains(&format!("{count} scans of {side} x {side}"))
        );
    }
}

#[test]
fn the_default_thumbnail_is_a_picture_of_its_size() {
    let decoded = image::load_from_memory_with_format(default_thumbnail(), ImageFormat::Png).unwrap();
    assert_eq!(
        (decoded.width(), decoded.height()),
        (DEFAULT_THUMBNAIL, DEFAULT_THUMBNAIL)
    );
    assert_ne!(decoded.to_rgb8()[(100, 100)], decoded.to_rgb8()[(10, 10)]);
}

#[test]
fn what_is_confirmed_was_made_durable_before() {
    let mut bench = Bench::new();
    let synced = Arc::new(Mutex::new(0));
    let count = Arc::clone(&synced);
    bench.options.faults = Faults::new(move |operation| {
        *count.lock().unwrap() += u64::from(operation == Operation::Sync);
        Ok(())
    });
    let files = bench.open();
    let upload = files.begin(&announced(&[0; 64]), 0, 0).unwrap().upload;
    let first = files.append("alice", upload, 0, &[0; 32], 0).unwrap();
    assert_eq!(
        (first.received, first.confirmed, *synced.lock().unwrap()),
        (32, 0, 0)
    );
    assert_eq!(files.begin(&announced(&[0; 64]), 0, 0).unwrap().received, 32);
    assert_eq!(
        *synced.lock().unwrap(),
        1,
        "what is to be sent no more is durable"
    );
}
