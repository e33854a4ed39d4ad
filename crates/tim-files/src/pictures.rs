//! Pictures: their format and size, and their renditions.
//!
//! The size is in the header of a picture and is checked before anything is decoded: a small file can decode to gigabytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read as _, Seek};
use std::path::Path;
use std::sync::OnceLock;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use tim_proto::message::ImageSize;

use crate::error::FileError;
use crate::jpeg;

/// The smaller side of the large rendition, in pixels.
pub const LARGE: u32 = 720;
/// The smaller side of the thumbnail, in pixels.
pub const THUMBNAIL: u32 = 198;
/// The maximum width and height of a picture, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The maximum number of pixels of a picture.
pub const MAX_PIXELS: u64 = 64_000_000;
/// The maximum number of pixels of a small picture, of which the scans of a JPEG have 16 times as many at most.
pub const SMALL_PIXELS: u64 = 4_000_000;
/// The maximum number of pixels in all scans of a JPEG: each scan costs time for each pixel, however few bytes it has.
pub const MAX_SCANNED: u64 = SCANS * MAX_PIXELS;
/// The maximum size of a decoded picture in memory, in bytes.
pub const MAX_MEMORY: u64 = 256 << 20;
/// The width and height of the default thumbnail of a video, in pixels.
pub const DEFAULT_THUMBNAIL: u32 = 200;

/// How many scans the largest picture may have.
const SCANS: u64 = 16;
/// The quality of renditions in JPEG.
const QUALITY: u8 = 82;

/// A part of a file. Only pictures have renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file itself.
    Original,
    /// The rendition whose smaller side has at most [`LARGE`] pixels.
    Large,
    /// The rendition whose smaller side has at most [`THUMBNAIL`] pixels.
    Thumbnail,
}

/// The format of a picture, determined from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// GIF; the renditions of an animation show its first frame.
    Gif,
    /// PNG.
    Png,
    /// BMP.
    Bmp,
    /// WebP.
    WebP,
}

impl Format {
    const fn of(format: ImageFormat) -> Option<Self> {
        Some(match format {
            ImageFormat::Jpeg => Self::Jpeg,
            ImageFormat::Gif => Self::Gif,
            ImageFormat::Png => Self::Png,
            ImageFormat::Bmp => Self::Bmp,
            ImageFormat::WebP => Self::WebP,
            _ => return None,
        })
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Png => "image/png",
            Self::Bmp => "image/bmp",
            Self::WebP => "image/webp",
        }
    }
}

/// What is known of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its format.
    pub format: Format,
    /// Its width in pixels, as displayed.
    pub width: u32,
    /// Its height in pixels, as displayed.
    pub height: u32,
    /// The large rendition.
    pub large: Rendition,
    /// The thumbnail.
    pub thumbnail: Rendition,
}

/// What is known of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendition {
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the picture is so small that it is its own rendition, and nothing else is stored.
    pub is_original: bool,
}

/// A picture with the bytes of its renditions, except those that are the picture itself.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) picture: Picture,
    pub(crate) large: Option<Vec<u8>>,
    pub(crate) thumbnail: Option<Vec<u8>>,
}

/// Which pictures are decoded. How large one is costs little to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Small,
    All,
}

/// Decodes the picture in a file and makes its renditions. `None` if it is not one that is to be decoded.
pub(crate) fn render(path: &Path, size: u64, which: Which) -> Result<Option<Rendered>, FileError> {
    let reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    let format = reader.format().and_then(Format::of);
    let format = format.ok_or_else(|| FileError::NoPicture("its format is unknown".to_owned()))?;
    let decoded = match format {
        Format::Jpeg => decode_jpeg(reader.into_inner(), which)?,
        _ => decode(reader, 1, which)?,
    };
    let Some((mut original, turned)) = decoded else {
        return Ok(None);
    };
    let (width, height) = turned_size(original.width(), original.height(), turned);
    let mut rendition = |bound| rendition(&mut original, (width, height), bound, turned, size);
    // From the large rendition, which is smaller.
    let (large, large_bytes) = rendition(LARGE)?;
    let (thumbnail, thumbnail_bytes) = rendition(THUMBNAIL)?;
    Ok(Some(Rendered {
        picture: Picture {
            format,
            width,
            height,
            large,
            thumbnail,
        },
        large: large_bytes,
        thumbnail: thumbnail_bytes,
    }))
}

/// How a picture must be rotated to be displayed.
type Turned = image::metadata::Orientation;

fn decode_jpeg(mut file: BufReader<File>, which: Which) -> Result<Option<(DynamicImage, Turned)>, FileError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    jpeg::cut(&mut bytes);
    let scans = jpeg::scans(&bytes);
    decode(
        ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg),
        scans,
        which,
    )
}

/// Decodes a picture that goes over its pixels so often.
fn decode<R: BufRead + Seek>(
    mut reader: ImageReader<R>,
    scans: u64,
    which: Which,
) -> Result<Option<(DynamicImage, Turned)>, FileError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let too_many = FileError::TooManyPixels { width, height };
    if width == 0 || height == 0 {
        return Err(FileError::NoPicture("it has no pixels".to_owned()));
    }
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(too_many);
    }
    let scanned = pixels.saturating_mul(scans);
    if scanned > MAX_SCANNED {
        return Err(FileError::TooManyScans { scans, width, height });
    }
    if which == Which::Small && (pixels > SMALL_PIXELS || scanned > SCANS * SMALL_PIXELS) {
        return Ok(None);
    }
    let turned = decoder.orientation().unwrap_or(Turned::NoTransforms);
    match DynamicImage::from_decoder(decoder) {
        Ok(picture) => Ok(Some((picture, turned))),
        Err(ImageError::Limits(_)) => Err(too_many),
        Err(error) => Err(undecodable(error)),
    }
}

fn undecodable(error: ImageError) -> FileError {
    match error {
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            match FileError::from(error) {
                // Decoders use I/O errors for data that they do not understand.
                FileError::Failed(text) => FileError::NoPicture(text),
                other => other,
            }
        }
        other => FileError::NoPicture(other.to_string()),
    }
}

/// The size in which a picture is displayed.
const fn turned_size(width: u32, height: u32, turned: Turned) -> (u32, u32) {
    match turned {
        Turned::Rotate90 | Turned::Rotate270 | Turned::Rotate90FlipH | Turned::Rotate270FlipH => {
            (height, width)
        }
        _ => (width, height),
    }
}

/// Makes a rendition of `picture`, which is scaled down to it.
fn rendition(
    picture: &mut DynamicImage,
    (width, height): (u32, u32),
    bound: u32,
    turned: Turned,
    size: u64,
) -> Result<(Rendition, Option<Vec<u8>>), FileError> {
    let (small_width, small_height) = ImageSize::bounded(width, height, bound);
    let rendition = Rendition {
        width: small_width,
        height: small_height,
        size,
        is_original: true,
    };
    if (small_width, small_height) == (width, height) {
        return Ok((rendition, None));
    }
    let (stored_width, stored_height) = turned_size(small_width, small_height, turned);
    *picture = picture.thumbnail_exact(stored_width, stored_height);
    let mut shown = picture.clone();
    shown.apply_orientation(turned);
    let bytes = encode(&shown)?;
    let rendition = Rendition {
        size: bytes.len() as u64,
        is_original: false,
        ..rendition
    };
    Ok((rendition, Some(bytes)))
}

/// Encodes as JPEG, or as PNG if the picture may be transparent.
fn encode(picture: &DynamicImage) -> Result<Vec<u8>, FileError> {
    let mut out = Vec::new();
    let encoded = match picture.color().has_alpha() {
        true => picture
            .to_rgba8()
            .write_to(&mut Cursor::new(&mut out), ImageFormat::Png),
        false => JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&picture.to_rgb8()),
    };
    encoded.map_err(|error| FileError::NoPicture(error.to_string()))?;
    Ok(out)
}

/// The thumbnail of a video that has none, as PNG: a grey square with a triangle.
#[must_use]
pub fn default_thumbnail() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let picture = RgbImage::from_fn(DEFAULT_THUMBNAIL, DEFAULT_THUMBNAIL, |x, y| {
            let (right, beside) = (x.wrapping_sub(75), y.abs_diff(100));
            match right <= 60 && beside * 60 <= (60 - right) * 36 {
                true => Rgb([0xf0; 3]),
                false => Rgb([0x40; 3]),
            }
        });
        let mut out = Vec::new();
        // Writing into memory cannot fail.
        let _ = picture.write_to(&mut Cursor::new(&mut out), ImageFormat::Png);
        out
    })
}
