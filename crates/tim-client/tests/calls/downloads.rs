//! Downloads to a path: what may be there, and what stays after a failure.

use std::path::{Path, PathBuf};

use tim_client::{Client, ErrorCode, FilePart, ImError, Message};

use super::asked_beside_lists;
use super::files::{picture, served, stored};
use super::support::files::Files;
use super::support::*;

/// The temporary files in a directory.
fn parts(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "part"))
        .collect()
}

async fn download(client: &Client, message: &Message, path: &Path) -> Result<u64, ImError> {
    let download = client.download(message, FilePart::FILE).unwrap();
    download.to_path(path).await
}

/// Downloads until the hub breaks off, after some pieces.
async fn half(client: &Client, message: &Message, path: &Path, files: &mut Files, hub: &mut HubEnd) {
    let broken = async {
        for _ in 0..12 {
            files.serve_one(hub).await;
        }
        let asked = asked_beside_lists(hub).await;
        hub.fail(&asked, ErrorCode::FILE_STORE_FAILED, "").await;
    };
    let (error, ()) = tokio::join!(download(client, message, path), broken);
    assert_eq!(error.unwrap_err().code, ErrorCode::FILE_STORE_FAILED);
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_of_a_file_that_is_taken_back_while_it_is_downloaded() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let message = stored(&client, &picture(300_000, 20), &mut files, &mut hub).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.bin");
    let revoked = async {
        for _ in 0..12 {
            files.serve_one(&mut hub).await;
        }
        assert_eq!(parts(dir.path()).len(), 1);
        files.complete.clear();
        files.serve(&mut hub).await;
    };
    let error = tokio::select! {
        done = download(&client, &message, &path) => done.unwrap_err(),
        () = revoked => unreachable!("it serves for ever"),
    };
    assert_eq!(error.code, ErrorCode::FILE_NOT_FOUND);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // The first piece is refused.
    let again = served(&mut files, &mut hub, download(&client, &message, &path)).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::FILE_NOT_FOUND);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // What an earlier attempt has left goes too.
    let message = stored(&client, &picture(300_000, 21), &mut files, &mut hub).await;
    half(&client, &message, &path, &mut files, &mut hub).await;
    assert_eq!(parts(dir.path()).len(), 1);
    files.complete.clear();
    let again = served(&mut files, &mut hub, download(&client, &message, &path)).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::FILE_NOT_FOUND);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // So it does when the user has left the group, or that was dismissed.
    for code in [ErrorCode::GROUP_PERMISSION_DENY, ErrorCode::GROUP_NOT_FOUND] {
        let message = stored(&client, &picture(300_000, 22), &mut files, &mut hub).await;
        half(&client, &message, &path, &mut files, &mut hub).await;
        assert_eq!(parts(dir.path()).len(), 1);
        let refused = async {
            loop {
                let asked = asked_beside_lists(&mut hub).await;
                hub.fail(&asked, code, "").await;
            }
        };
        let error = tokio::select! {
            done = download(&client, &message, &path) => done.unwrap_err(),
            () = refused => unreachable!("it refuses for ever"),
        };
        assert_eq!(error.code, code);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_first_piece_leaves_no_file() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let message = stored(&client, &picture(30_000, 22), &mut files, &mut hub).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.bin");
    let refused = async {
        let asked = asked_beside_lists(&mut hub).await;
        hub.fail(&asked, ErrorCode::FILE_STORE_FAILED, "").await;
    };
    let (error, ()) = tokio::join!(download(&client, &message, &path), refused);
    assert_eq!(error.unwrap_err().code, ErrorCode::FILE_STORE_FAILED);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn only_a_regular_file_is_replaced_and_no_symbolic_link_is_followed() {
    use std::os::unix::fs::symlink;
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(300_000, 23);
    let message = stored(&client, &content, &mut files, &mut hub).await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("other"), "other").unwrap();
    symlink(at("other"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (path, told) in [
        (at("link"), "symbolic link"),
        (at("dangling"), "symbolic link"),
        (at("socket"), "not a regular file"),
        (PathBuf::from("/dev/null"), "not a regular file"),
        (at("none/"), "not the path of a file"),
        (at("none/."), "not the path of a file"),
        (at("none/out.bin"), "directory does not exist"),
        (dir.path().to_owned(), "is a directory"),
    ] {
        let error = download(&client, &message, &path).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_OPERATION, "{path:?}");
        assert!(error.text.contains(told), "{path:?}: {error}");
    }
    assert!(files.offsets.is_empty() && parts(dir.path()).is_empty());
    // What is put where the temporary file would be.
    let path = at("out.bin");
    half(&client, &message, &path, &mut files, &mut hub).await;
    let part = parts(dir.path()).remove(0);
    std::fs::remove_file(&part).unwrap();
    for target in ["other", "nowhere"] {
        symlink(at(target), &part).unwrap();
        let error = download(&client, &message, &path).await.unwrap_err();
        assert!(error.text.contains("symbolic link"), "{error}");
        std::fs::remove_file(&part).unwrap();
    }
    assert_eq!(std::fs::read_to_string(at("other")).unwrap(), "other");
    assert!(!at("nowhere").exists());
    std::fs::write(&path, "old").unwrap();
    let done = served(&mut files, &mut hub, download(&client, &message, &path)).await;
    assert_eq!(done.unwrap(), 300_000);
    assert!(std::fs::read(&path).unwrap() == content);
}

#[tokio::test(start_paused = true)]
async fn of_two_downloads_to_one_path_the_later_one_says_so() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(300_000, 24);
    let message = stored(&client, &content, &mut files, &mut hub).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.bin");
    let both = async {
        tokio::join!(
            download(&client, &message, &path),
            download(&client, &message, &path)
        )
    };
    let (one, other) = served(&mut files, &mut hub, both).await;
    let (done, error) = match (one, other) {
        (Ok(done), Err(error)) | (Err(error), Ok(done)) => (done, error),
        both => panic!("{both:?}"),
    };
    assert_eq!(done, 300_000);
    assert!(error.text.contains("another download"), "{error}");
    assert!(std::fs::read(&path).unwrap() == content);
    assert!(parts(dir.path()).is_empty());
}
