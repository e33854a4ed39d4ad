//! Payloads of messages that carry files: before the upload, and after it.

use tim_proto::FileId;
use tim_proto::message::{Image, ImageFormat, ImageInfo, ImageSize, Payload, Thumbnail, to_vec};
use tim_proto::wire::List;

use super::upload::{Stored, StoredImage};
use crate::Message;

/// The width and height of the default thumbnail of a video, in pixels.
pub(super) const DEFAULT_THUMBNAIL: u32 = 200;

/// The renditions of a picture, in the order in which a message lists them.
const RENDITIONS: [ImageSize; 3] = [ImageSize::ORIGINAL, ImageSize::THUMBNAIL, ImageSize::LARGE];

/// The name that the hub has given to the file of a message; empty if there is none.
pub(super) const fn uuid<'a>(payload: &Payload<'a>) -> &'a str {
    match payload {
        Payload::Image(image) => image.uuid,
        Payload::Audio(audio) => audio.uuid,
        Payload::Video(video) => video.uuid,
        Payload::File(file) => file.uuid,
        _ => "",
    }
}

/// The URL of the file of a message, if it is not in the hub.
pub(super) fn url<'a>(payload: &Payload<'a>) -> &'a str {
    match payload {
        Payload::Image(image) => image.images.iter().next().map_or("", |original| original.url),
        Payload::Audio(audio) => audio.url,
        Payload::Video(video) => video.url,
        Payload::File(file) => file.url,
        _ => "",
    }
}

/// Whether the message names a file of the hub.
pub(super) fn is_uploaded(payload: &Payload<'_>) -> bool {
    uuid(payload).parse::<FileId>().is_ok()
}

/// The size of the file as it was sent.
pub(super) fn size(payload: &Payload<'_>) -> u64 {
    match payload {
        Payload::Image(image) => image.images.iter().next().map_or(0, |original| original.size),
        Payload::Audio(audio) => audio.size,
        Payload::Video(video) => video.size,
        Payload::File(file) => file.size,
        _ => 0,
    }
}

pub(super) const fn duration_ms(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::Audio(audio) => audio.duration_ms,
        Payload::Video(video) => video.seconds.saturating_mul(1000),
        _ => 0,
    }
}

/// A picture of which only the size is known: the hub finds out the rest.
pub(super) fn unsent_images(size: u64) -> [ImageInfo<'static>; 3] {
    RENDITIONS.map(|rendition| {
        let info = ImageInfo::new(rendition);
        match rendition {
            ImageSize::ORIGINAL => info.with_size(size),
            _ => info,
        }
    })
}

/// The encoded payload of the message, with what the hub has answered at the end of the upload.
pub(super) fn with_uploaded(message: &Message, stored: &Stored, thumbnail: Option<&Stored>) -> Vec<u8> {
    match message.payload() {
        Payload::Image(_) => {
            let infos: Vec<_> = stored.images.iter().map(info).collect();
            let image = Image::new(stored.format, List::from_slice(&infos)).with_uuid(&stored.uuid);
            to_vec(&image)
        }
        Payload::Audio(audio) => to_vec(&audio.with_uuid(&stored.uuid).with_size(stored.size)),
        Payload::Video(video) => {
            let preview = preview(video.thumbnail, stored, thumbnail);
            let video = video.with_uuid(&stored.uuid).with_size(stored.size);
            to_vec(&video.with_thumbnail(preview))
        }
        Payload::File(file) => to_vec(&file.with_uuid(&stored.uuid).with_size(stored.size)),
        other => to_vec(&other),
    }
}

/// The thumbnail of a video: the sender's, or else the hub's default.
fn preview<'a>(before: Thumbnail<'a>, video: &'a Stored, own: Option<&'a Stored>) -> Thumbnail<'a> {
    let (uuid, image, format) = match own {
        Some(own) => (&*own.uuid, own.image(ImageSize::ORIGINAL), own.format),
        None => ("", video.image(ImageSize::THUMBNAIL), video.format),
    };
    let Some(image) = image else {
        return before;
    };
    let format = match format {
        ImageFormat::JPEG => "jpg",
        ImageFormat::PNG => "png",
        ImageFormat::GIF => "gif",
        ImageFormat::BMP => "bmp",
        _ => before.format,
    };
    before
        .with_is_default(own.is_none())
        .with_uuid(uuid)
        .with_size(image.size)
        .with_width(image.width)
        .with_height(image.height)
        .with_format(format)
}

fn info(image: &StoredImage) -> ImageInfo<'_> {
    ImageInfo::new(image.size_type)
        .with_instance(image.instance)
        .with_size(image.size)
        .with_width(image.width)
        .with_height(image.height)
        .with_url(&image.url)
}
