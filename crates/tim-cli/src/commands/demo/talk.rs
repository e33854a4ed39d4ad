//! One-to-one messages: texts with emojis, the seven kinds of message, and unread counts.

use std::hash::{BuildHasher as _, Hasher as _};

use tim_client::{Custom, MessageKind, Payload, Status};
use tim_proto::message::{Audio, File, Image, ImageFormat, ImageInfo, ImageSize, Text, Thumbnail, Video};
use tim_proto::render::text::{self, Span};
use tim_proto::wire::List;

use super::play::{DeviceName, Play, with};
use crate::error::Failure;
use crate::session::failure;

/// The prefix of emoji images.
const BASE: &str = "http://xxxxxxxx/emoji/";

/// Text, with and without emojis.
pub(super) async fn hello(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob) = (with("alice")?, with("bob")?);
    play.scene("Alice and Bob talk")?;
    play.step("Alice writes to Bob; her phone shows it before it is sent")?;
    let words = "你好 Bob[呲牙][下雨]";
    let message = play
        .device(DeviceName::Phone)
        .client
        .create_text_message(bob, words)
        .map_err(failure)?;
    play.check(
        "it has an id and waits",
        (message.id().random != 0, message.status()),
        (true, Status::UnSend),
    )?;
    play.sends(DeviceName::Phone, &message).await?;
    play.check(
        "the hub has stored it",
        (message.status(), message.sequence()),
        (Status::Success, 1),
    )?;
    play.arrives(&message, [(DeviceName::Bob, alice), (DeviceName::Laptop, bob)])
        .await?;

    play.step("How Bob's program renders it")?;
    for span in text::spans(words, &text::SEED) {
        match span.src(BASE) {
            Some(src) => play.shows(DeviceName::Bob, format_args!("an image  {src}"))?,
            None => play.shows(DeviceName::Bob, format_args!("a text    {}", span.source()))?,
        }
    }
    let files = text::spans(words, &text::SEED).filter_map(|span| match span {
        Span::Emoji { file, .. } => Some(file),
        Span::Text(_) => None,
    });
    play.check(
        "two emojis",
        files.collect::<Vec<_>>(),
        vec!["emoji_1.png", "emoji_2.png"],
    )?;

    play.step("Bob answers, with brackets that are no emoji")?;
    let answer = play
        .says(DeviceName::Bob, alice, "早[微笑] what is [呲牙XXX]?")
        .await?;
    let emojis = answer.text().map(|text| text::spans(text, &text::SEED).count());
    play.check("text, emoji, text", emojis, Some(3))?;
    play.arrives(&answer, [(DeviceName::Phone, bob), (DeviceName::Laptop, bob)])
        .await
}

/// One message of each kind that a user can send.
pub(super) async fn seven_kinds(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob) = (with("alice")?, with("bob")?);
    play.scene("Seven kinds of message")?;
    let renditions = [ImageInfo::new(ImageSize::ORIGINAL)
        .with_size(181_003)
        .with_width(1280)
        .with_height(720)
        .with_url("https://example.org/beach.jpg")];
    let dice = throw().to_string();
    let kinds: [(&str, Payload<'_>); 7] = [
        ("a text", Text::new("look [微笑]").into()),
        (
            "an image",
            Image::new(ImageFormat::JPEG, List::from_slice(&renditions))
                .with_uuid("beach")
                .into(),
        ),
        (
            "a recording",
            Audio::new()
                .with_uuid("memo")
                .with_duration_ms(2_400)
                .with_format("aac")
                .into(),
        ),
        ("a video", video().into()),
        (
            "a file",
            File::new()
                .with_uuid("plan")
                .with_name("plan.pdf")
                .with_size(20_480)
                .into(),
        ),
        (
            "a dice",
            Custom::new().with_data("dice").with_description(&dice).into(),
        ),
        (
            "a sticker",
            tim_proto::message::Face::new(1).with_data("tt00").into(),
        ),
    ];
    let mut seen = Vec::new();
    for (name, payload) in kinds {
        play.step(format_args!("Alice sends {name}"))?;
        let message = play
            .device(DeviceName::Phone)
            .client
            .create_message(bob, payload)
            .map_err(failure)?;
        play.sends(DeviceName::Phone, &message).await?;
        let received = play.receives(DeviceName::Bob, alice).await?;
        play.check("Bob has the same", received.payload() == payload, true)?;
        let synced = play.device(DeviceName::Laptop).receives(bob).await?;
        play.check("so has her laptop", synced.payload() == payload, true)?;
        seen.push(received.kind());
    }
    let all = vec![
        MessageKind::TEXT,
        MessageKind::IMAGE,
        MessageKind::AUDIO,
        MessageKind::VIDEO,
        MessageKind::FILE,
        MessageKind::CUSTOM,
        MessageKind::FACE,
    ];
    play.check("seven kinds", seen, all)
}

/// Throws a dice: 1 to 6.
fn throw() -> u64 {
    // The keys of each hasher are random.
    let random = std::hash::RandomState::new().build_hasher().finish();
    random % 6 + 1
}

const fn video() -> Video<'static> {
    Video::new()
        .with_uuid("waves")
        .with_size(3_145_728)
        .with_seconds(12)
        .with_format("mp4")
        .with_thumbnail(
            Thumbnail::new()
                .with_is_default(true)
                .with_width(200)
                .with_height(200)
                .with_format("png"),
        )
}

/// Unread counts on two devices of one user.
pub(super) async fn unread(play: &mut Play) -> Result<(), Failure> {
    let (alice, carol) = (with("alice")?, with("carol")?);
    play.scene("Unread counts")?;
    play.step("Carol writes to Alice three times")?;
    for text in ["Alice?", "are you there?", "[下雨]"] {
        let message = play.says(DeviceName::Carol, alice, text).await?;
        for on in [DeviceName::Phone, DeviceName::Laptop] {
            let received = play.device(on).receives(carol).await?;
            play.check("it came", received.id() == message.id(), true)?;
        }
    }
    play.step("Alice looks at her conversations")?;
    for on in [DeviceName::Phone, DeviceName::Laptop] {
        let unread = play.device(on).unread(carol).await?;
        play.shows(on, format_args!("C2Ccarol: {} new", unread.unwrap_or(0)))?;
        play.check("three unread", unread, Some(3))?;
    }
    play.step("She reads them on her phone")?;
    play.device(DeviceName::Phone)
        .client
        .set_message_read(carol)
        .await
        .map_err(failure)?;
    for on in [DeviceName::Phone, DeviceName::Laptop] {
        let unread = play.device(on).unread(carol).await?;
        play.shows(on, format_args!("C2Ccarol: {} new", unread.unwrap_or(0)))?;
        play.check("none unread on either device", unread, Some(0))?;
    }
    let own = play.device(DeviceName::Carol).unread(alice).await?;
    play.check("own messages never count", own, Some(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_dice_shows_one_to_six_and_each_of_them() {
        let mut seen = [0_u32; 8];
        for _ in 0..10_000 {
            seen[usize::try_from(super::throw()).unwrap()] += 1;
        }
        assert_eq!((seen[0], seen[7]), (0, 0));
        assert!(seen[1..=6].iter().all(|times| *times > 1_000), "{seen:?}");
    }
}
