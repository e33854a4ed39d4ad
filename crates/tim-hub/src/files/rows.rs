//! What is said of files: by their rows, and to clients.

use tim_files::{Announced, Completed, Format, Part, Picture};
use tim_proto::message::{ImageFormat, ImageInfo, ImageSize};
use tim_proto::request::{EndUpload, EndUploadResponse};
use tim_proto::wire::List;
use tim_proto::{MessageKind, UserId};
use tim_store::{File, FileImage};

use crate::device::Responder;

/// The parts of a file that have content, and their sizes.
pub(super) fn parts(file: &File) -> Vec<(Part, u64)> {
    let renditions = file.images.iter().filter_map(|image| {
        let part = match ImageSize(image.part) {
            ImageSize::LARGE => Part::Large,
            ImageSize::THUMBNAIL => Part::Thumbnail,
            _ => return None,
        };
        (!image.is_original).then_some((part, image.size))
    });
    std::iter::once((Part::Original, file.size))
        .chain(renditions)
        .collect()
}

/// What the store keeps of a file.
pub(super) fn row(owner: UserId, announced: &Announced, completed: &Completed) -> File {
    let picture = completed.picture.as_ref();
    File {
        id: completed.file,
        owner,
        kind: MessageKind(announced.kind),
        size: announced.size,
        sha256: announced.sha256,
        // Of a picture by its content, whatever was announced.
        media_type: picture.map_or_else(
            || announced.media_type.clone(),
            |picture| picture.format.media_type().to_owned(),
        ),
        format: picture
            .map_or(ImageFormat::UNKNOWN, |picture| format(picture.format))
            .0,
        images: picture
            .map(|picture| images(picture, announced.size))
            .unwrap_or_default(),
        created_ms: 0,
    }
}

fn images(picture: &Picture, size: u64) -> Vec<FileImage> {
    let original = FileImage {
        part: ImageSize::ORIGINAL.0,
        width: picture.width,
        height: picture.height,
        size,
        is_original: true,
    };
    let renditions = [
        (ImageSize::THUMBNAIL, picture.thumbnail),
        (ImageSize::LARGE, picture.large),
    ];
    let renditions = renditions.map(|(part, rendition)| FileImage {
        part: part.0,
        width: rendition.width,
        height: rendition.height,
        size: rendition.size,
        is_original: rendition.is_original,
    });
    std::iter::once(original).chain(renditions).collect()
}

const fn format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::JPEG,
        Format::Gif => ImageFormat::GIF,
        Format::Png => ImageFormat::PNG,
        Format::Bmp => ImageFormat::BMP,
        _ => ImageFormat::UNKNOWN,
    }
}

/// Answers with what the payload of a message says of its file.
pub(super) fn respond(responder: Responder<EndUpload>, file: &File) {
    let mut images: Vec<ImageInfo<'_>> = file
        .images
        .iter()
        .map(|image| {
            ImageInfo::new(ImageSize(image.part))
                .with_size(image.size)
                .with_width(image.width)
                .with_height(image.height)
        })
        .collect();
    if file.kind == MessageKind::VIDEO {
        let side = tim_files::DEFAULT_THUMBNAIL;
        let size = tim_files::default_thumbnail().len() as u64;
        let thumbnail = ImageInfo::new(ImageSize::THUMBNAIL).with_size(size);
        images.push(thumbnail.with_width(side).with_height(side));
    }
    let uuid = file.id.to_string();
    let response = EndUploadResponse::new(&uuid, file.size)
        .with_images(List::from_slice(&images))
        .with_format(ImageFormat(file.format));
    responder.respond(&response);
}
