//! The limits of what a message contains, with payloads on both sides of each.

use tim_session::proto::ErrorCode;
use tim_session::proto::message::{
    Audio, File, Image, ImageFormat, ImageInfo, ImageSize, Payload, Text, Video,
};
use tim_session::proto::vendor::limits::Limits;
use tim_session::proto::wire::List;

/// A limit on payloads of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Border {
    /// How much of it a payload may have.
    pub most: u64,
    /// The payload with so much of it.
    pub payload: fn(u64) -> Payload<'static>,
    /// The code with which one more is refused.
    pub code: ErrorCode,
}

/// All documented limits on payloads.
#[must_use]
pub fn borders() -> [Border; 6] {
    let limits = Limits::new();
    let border = |most, payload, code| Border { most, payload, code };
    [
        // The length before such a text takes two bytes.
        border(limits.message_bytes() - 2, text, ErrorCode::COMM_BODY_SIZE_LIMIT),
        border(limits.image_bytes(), image, ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT),
        border(limits.sound_bytes(), sound, ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT),
        border(
            limits.sound_millis().into(),
            long_sound,
            ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT,
        ),
        border(limits.video_bytes(), video, ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT),
        border(limits.file_bytes(), file, ErrorCode::MESSAGE_FILE_SIZE_LIMIT),
    ]
}

fn text(len: u64) -> Payload<'static> {
    Text::new("x".repeat(len as usize).leak()).into()
}

fn image(size: u64) -> Payload<'static> {
    let one = ImageInfo::new(ImageSize::ORIGINAL)
        .with_size(size)
        .with_width(1)
        .with_height(1);
    Image::new(ImageFormat::PNG, List::from_slice(vec![one].leak())).into()
}

fn sound(size: u64) -> Payload<'static> {
    Audio::new().with_size(size).into()
}

fn long_sound(millis: u64) -> Payload<'static> {
    Audio::new().with_duration_ms(millis as u32).into()
}

fn video(size: u64) -> Payload<'static> {
    Video::new()
        .with_size(size)
        .with_seconds(1)
        .with_format("mp4")
        .into()
}

fn file(size: u64) -> Payload<'static> {
    File::new().with_size(size).into()
}
