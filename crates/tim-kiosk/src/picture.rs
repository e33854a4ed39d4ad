//! A picture in flash, which is uploaded piece by piece.
#![forbid(unsafe_code)]

use embassy_time::Timer;
use tim_transport_embedded::proto::MessageKind;
use tim_transport_embedded::proto::request::BeginUpload;
use tim_transport_embedded::{Client, Error, UploadedFile, sha256_of};

use crate::screen::Screen;

/// The view from the lobby. A product has its pictures behind a `FileSource` of its own.
static PICTURE: &[u8] = include_bytes!("lobby.png");
/// The length of a piece; it fits into the outbox.
const PIECE: usize = 400;

/// Uploads the picture, however often the hub asks to wait.
pub(crate) async fn upload(client: Client<'_>, screen: &Screen) -> Result<UploadedFile, Error> {
    let (mut flash, mut piece, size) = (PICTURE, [0; PIECE], PICTURE.len() as u64);
    let sha256 = sha256_of(&mut flash, size, &mut piece).await?;
    let file = BeginUpload::new(MessageKind::IMAGE, "lobby.png", size, &sha256).with_media_type("image/png");
    let mut next_shown = 0;
    loop {
        let uploaded = client.upload_file(&file, &mut flash, &mut piece, |sent, size| {
            // A line for each quarter.
            if sent.saturating_mul(4) >= size.saturating_mul(next_shown) {
                screen.show(format_args!("  | {sent} of {size} bytes uploaded"));
                next_shown += 1;
            }
        });
        match uploaded.await {
            Err(error) if error.code().is_transient() => screen.show(format_args!("-- {error}")),
            result => return result,
        }
        Timer::after_secs(1).await;
    }
}
