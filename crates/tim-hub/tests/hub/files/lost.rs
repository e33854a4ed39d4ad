//! Content that a hub has lost, and what brings it back.

use std::path::{Path, PathBuf};

use tim_hub::{Hub, HubOptions};
use tim_proto::request::FilePart;
use tim_proto::{ErrorCode, MessageKind};

use crate::support::{Device, TestHub, app, bmp, c2c};

const PARTS: [FilePart; 3] = [FilePart::ORIGINAL, FilePart::LARGE, FilePart::THUMBNAIL];

/// The files with content, of which the names end so.
pub(super) fn content(hub: &TestHub, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![hub.data_dir().join("files/content")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.to_str().unwrap().ends_with(end));
    found
}

/// All parts of the picture in a message.
fn parts(device: &mut Device, sequence: u64) -> Vec<Result<Vec<u8>, ErrorCode>> {
    let parts = PARTS.iter();
    parts
        .map(|part| device.download(c2c("bob"), sequence, *part))
        .collect()
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_store_that_was_restored_without_its_files_gets_them_back_as_they_are_sent_again() {
    let hub = TestHub::start_with(|options| options.max_account_files = 2);
    let mut alice = Device::login(&hub, "alice", 1);
    let picture = bmp(730, 730);
    let file = alice.send_file(c2c("bob"), MessageKind::FILE, b"a file");
    let image = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
    let shown = parts(&mut alice, image);
    drop(alice);
    let data = hub.stop();
    std::fs::remove_dir_all(data.path().join("files")).unwrap();
    let hub = TestHub::start_on(data, |options| options.max_account_files = 2);
    let mut alice = Device::login(&hub, "alice", 1);
    let missing = Err(ErrorCode::STORAGE_DAMAGED);
    assert_eq!(alice.download(c2c("bob"), file, FilePart::FILE), missing);
    // The account has as many files as it may, and gets no more of them.
    let begun = alice.begin_upload(MessageKind::FILE, b"a file").unwrap();
    assert_eq!(begun.offset, 0, "what is lost is not known");
    let again = alice.send_file(c2c("bob"), MessageKind::FILE, b"a file");
    for sequence in [file, again] {
        assert_eq!(
            alice.download(c2c("bob"), sequence, FilePart::FILE).unwrap(),
            b"a file"
        );
    }
    let again = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
    for sequence in [image, again] {
        assert_eq!(parts(&mut alice, sequence), shown);
    }
    let mut bob = Device::login(&hub, "bob", 2);
    assert_eq!(
        bob.download(c2c("alice"), file, FilePart::FILE).unwrap(),
        b"a file"
    );
    assert_eq!(
        content(&hub, "").len(),
        4,
        "one file, and a picture with two renditions"
    );
}

#[test]
fn one_part_that_was_lost_or_cut_off_comes_back_while_the_hub_runs() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let picture = bmp(200, 200);
    let sequence = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
    let shown = parts(&mut alice, sequence);
    let original = content(&hub, "")
        .into_iter()
        .find(|path| path.extension().is_none());
    let original = original.unwrap();
    let cut = |path: &Path| std::fs::write(path, b"BM").unwrap();
    for (path, harm) in [
        (&original, &remove as &dyn Fn(&Path)),
        (&original, &cut),
        (&content(&hub, ".thumbnail")[0], &remove),
        (&content(&hub, ".thumbnail")[0], &cut),
    ] {
        harm(path);
        assert_ne!(parts(&mut alice, sequence), shown, "{path:?}");
        let again = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
        for sequence in [sequence, again] {
            assert_eq!(parts(&mut alice, sequence), shown, "{path:?}");
        }
        assert_eq!(content(&hub, "").len(), 2);
    }
    let begun = alice.begin_upload(MessageKind::IMAGE, &picture).unwrap();
    assert_eq!(begun.offset, picture.len() as u64, "it is known again");
}

#[test]
fn uploads_go_on_when_the_directory_of_files_was_removed() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let directory = hub.data_dir().join("files");
    let hello = b"hello".as_slice();
    for (has, ends) in [(0, false), (3, false), (5, true)] {
        let upload = alice.begin_upload(MessageKind::FILE, hello).unwrap().upload;
        if has > 0 {
            alice.piece(upload, 0, &hello[..has]).unwrap();
        }
        std::fs::remove_dir_all(&directory).unwrap();
        let failed = match ends {
            true => alice.end_upload(upload).map(|_| 0),
            false => alice.piece(upload, has as u64, &hello[has..]),
        };
        assert_eq!(failed, Err(ErrorCode::FILE_STORE_FAILED), "{has} bytes");
        assert!(alice.retry_after.is_some(), "the client begins again");
        let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, hello);
        assert_eq!(
            alice.download(c2c("bob"), sequence, FilePart::FILE).unwrap(),
            hello
        );
        let picture = bmp(200, 200);
        let sequence = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
        assert!(parts(&mut alice, sequence).iter().all(Result::is_ok));
        // For the next round.
        std::fs::remove_dir_all(directory.join("content")).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else reads them");
    }
}

#[test]
fn what_cannot_be_read_now_is_tried_again_and_what_is_damaged_is_not() {
    let (hub, faults) = TestHub::start_with_slow_files();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, b"0123456789");
    let mut bob = Device::login(&hub, "bob", 2);
    faults.refuse_reads();
    let read = bob.download(c2c("alice"), sequence, FilePart::FILE);
    assert_eq!(read, Err(ErrorCode::FILE_STORE_FAILED));
    assert!(bob.retry_after.is_some());
    assert!(bob.refusal.contains("cannot be read"), "{}", bob.refusal);
    faults.release();
    std::fs::write(&content(&hub, "")[0], b"01234").unwrap();
    for range in [(0, 10), (5, 5), (7, 1)] {
        let read = bob.download_piece(c2c("alice"), sequence, FilePart::FILE, range);
        assert_eq!(read, Err(ErrorCode::STORAGE_DAMAGED), "{range:?}");
        assert_eq!(bob.retry_after, None);
        assert!(bob.refusal.contains("damaged"), "{}", bob.refusal);
    }
    let read = bob.download_piece(c2c("alice"), sequence, FilePart::FILE, (1, 4));
    assert_eq!(read, Ok((10, b"1234".to_vec())), "what is there");
}

#[test]
fn a_hub_that_cannot_use_the_directory_of_files_says_which_and_what_to_do() {
    for at in ["files", "files/staging", "files/content"] {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"a file").unwrap();
        let error = Hub::open(data.path(), HubOptions::new(app())).unwrap_err();
        let text = error.to_string();
        for part in [path.to_str().unwrap(), "has to be a directory", "write to it"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
