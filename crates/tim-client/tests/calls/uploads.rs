//! Uploads that do not succeed: sources that change, and hubs that refuse for the moment.

use std::path::Path;
use std::time::Duration;

use tim_client::{ErrorCode, SendOptions, Status};

use super::files::picture;
use super::support::files::Files;
use super::support::*;

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_while_it_is_uploaded_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    let truncate = |path: &Path| {
        let file = std::fs::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(60_000)).unwrap();
    };
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    let changes: [fn(&Path); 2] = [truncate, remove];
    for (seed, (change, told)) in (30..).zip(changes.into_iter().zip(["shorter", "os error 2"])) {
        let (client, _events, mut hub, _listener) = alice_online().await;
        std::fs::write(&path, picture(300_000, seed)).unwrap();
        let message = client.create_file_message(user("bob"), &*path).await.unwrap();
        let mut files = Files::default();
        let changed = async {
            while files.received < 50_000 {
                files.serve_one(&mut hub).await;
            }
            change(&path);
            files.serve(&mut hub).await;
        };
        let patient = SendOptions::default().retry_for(Duration::from_secs(60));
        let start = tokio::time::Instant::now();
        let error = tokio::select! {
            sent = client.send_message(&message, patient) => sent.unwrap_err(),
            () = changed => unreachable!("it serves for ever"),
        };
        assert!(!error.code.is_transient(), "{error}");
        assert_eq!(error.code, ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST);
        assert!(error.text.contains(path.to_str().unwrap()), "{error}");
        assert!(error.text.contains(told), "{error}");
        assert_eq!((start.elapsed().as_secs(), message.status()), (0, Status::Fail));
    }
}
