//! What is known of a file besides its columns, as it is stored: in the table `contents`, from which it can be removed for good.

use tim_proto::{FileId, MessageKind, UserId};
use tim_store::{File, FileImage, MAX_IMAGES, MAX_MEDIA_TYPE};

/// A picture: two sides, a size, its part and a flag.
const IMAGE: usize = 18;

/// The encoded details of a file: its hash, its format, its pictures and its media type.
pub(super) fn encode(file: &File) -> Vec<u8> {
    let mut out = file.sha256.to_vec();
    out.push(file.format);
    let images = file.images.get(..MAX_IMAGES).unwrap_or(&file.images);
    #[allow(clippy::cast_possible_truncation)] // there are few
    out.push(images.len() as u8);
    for image in images {
        out.extend([image.part, image.is_original.into()]);
        out.extend(image.width.to_le_bytes());
        out.extend(image.height.to_le_bytes());
        out.extend(image.size.to_le_bytes());
    }
    out.extend(file.media_type.as_bytes());
    out
}

/// The decoded details.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Details {
    sha256: [u8; 32],
    format: u8,
    images: Vec<FileImage>,
    media_type: String,
}

impl Details {
    /// `None` if they are malformed.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (sha256, rest) = bytes.split_first_chunk()?;
        let ([format, count], rest) = rest.split_first_chunk()?;
        let count = usize::from(*count);
        let (images, media_type) = rest.split_at_checked(count * IMAGE)?;
        if count > MAX_IMAGES || media_type.len() > MAX_MEDIA_TYPE {
            return None;
        }
        Some(Self {
            sha256: *sha256,
            format: *format,
            images: images.chunks_exact(IMAGE).map(image).collect::<Option<_>>()?,
            media_type: str::from_utf8(media_type).ok()?.to_owned(),
        })
    }

    /// The whole file.
    pub(super) fn file(
        self,
        id: FileId,
        owner: UserId,
        kind: MessageKind,
        size: u64,
        created_ms: u64,
    ) -> File {
        File {
            id,
            owner,
            kind,
            size,
            sha256: self.sha256,
            media_type: self.media_type,
            format: self.format,
            images: self.images,
            created_ms,
        }
    }
}

fn image(bytes: &[u8]) -> Option<FileImage> {
    let ([part, is_original], rest) = bytes.split_first_chunk()?;
    let (width, rest) = rest.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    let (size, _) = rest.split_first_chunk()?;
    let is_original = match is_original {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(FileImage {
        part: *part,
        width: u32::from_le_bytes(*width),
        height: u32::from_le_bytes(*height),
        size: u64::from_le_bytes(*size),
        is_original,
    })
}
