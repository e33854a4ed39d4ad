//! Uploads that do not succeed: sources that change, and hubs that refuse for the moment.

use std::path::Path;
use std::time::Duration;

use tim_client::proto::request::Failure;
use tim_client::proto::wire::FrameKind;
use tim_client::{ErrorCode, SendOptions, Source, Status};

use super::files::{picture, served};
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

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_learns_which_refusal_was_waited_out() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let source = Source::bytes("a.bin", picture(50_000, 40));
    let file = client.create_file_message(user("bob"), source).await.unwrap();
    let text = client.create_text_message(user("bob"), "x").unwrap();
    for (message, refused) in [(&file, FrameKind::BEGIN_UPLOAD), (&text, FrameKind::SEND)] {
        assert_eq!(message.refusal(), None);
        let patient = SendOptions::default().retry_for(Duration::from_secs(60));
        let sending = client.send_message(message, patient);
        let full = async {
            loop {
                let asked = hub.next_request().await;
                let failure = Failure::new(ErrorCode::FILE_STORE_FAILED, "full").with_retry_after_ms(5_000);
                match asked.kind == refused {
                    true => hub.fail_with(&asked, &failure).await,
                    false => files.answer(&mut hub, &asked).await,
                }
            }
        };
        tokio::select! {
            biased;
            sent = tokio::time::timeout(Duration::from_secs(12), sending) => assert!(sent.is_err()),
            () = full => unreachable!("it refuses for ever"),
        }
        let refusal = message.refusal().unwrap();
        assert_eq!(
            (refusal.code, &*refusal.text),
            (ErrorCode::FILE_STORE_FAILED, "full")
        );
        assert_eq!(message.status(), Status::Fail);
        served(&mut files, &mut hub, client.resend_message(message))
            .await
            .unwrap();
        assert_eq!(message.refusal(), None);
    }
}
