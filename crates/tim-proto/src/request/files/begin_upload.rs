//! BEGIN_UPLOAD: announces a file, or asks for the offset of its upload.

use crate::request::Request;
use crate::vendor::limits::{Limits, MAX_MEDIA_TYPE_BYTES, OverLimit};
use crate::wire::{FrameKind, wire};
use crate::{ErrorCode, FileNameError, MessageKind, check_file_name};

wire! {
    /// BEGIN_UPLOAD: announces a file. If the account has begun to upload it before, that upload continues; if the hub has all of
    /// its content already, there is nothing to upload.
    ///
    /// ```
    /// use tim_proto::MessageKind;
    /// use tim_proto::request::BeginUpload;
    /// use tim_proto::vendor::limits::Limits;
    ///
    /// let sha256 = [0x5a; BeginUpload::SHA256_LEN];
    /// let begin = BeginUpload::new(MessageKind::IMAGE, "beach.png", 70_000, &sha256).with_media_type("image/png");
    /// assert_eq!(begin.check(&Limits::new()), Ok(()));
    /// ```
    #[derive(Debug)]
    pub struct BeginUpload<'a> {
        /// The kind of message that the file is for: image, audio, video or file.
        pub kind: MessageKind,
        /// The file's name, without a path; see [`check_file_name`].
        pub name: &'a str,
        /// The media type, such as `image/png`; empty if unknown.
        pub media_type: &'a str = "" => with_media_type,
        /// The size in bytes.
        pub size: u64,
        /// The SHA-256 of the content.
        pub sha256: &'a [u8],
        /// The duration of a recording or a video in milliseconds, otherwise 0.
        pub duration_ms: u32 = 0 => with_duration_ms,
    }
}

impl Request for BeginUpload<'_> {
    const KIND: FrameKind = FrameKind::BEGIN_UPLOAD;
    type Response<'a> = BeginUploadResponse;
}

wire! {
    /// Response to [`BeginUpload`].
    #[derive(Debug)]
    pub struct BeginUploadResponse {
        /// The number of the upload. Every device of the account can continue it.
        pub upload: u64,
        /// How many bytes are durable: where to continue. It is the size of the file if the hub has all of it.
        pub offset: u64,
        /// The maximum length of a piece.
        pub piece_len: u32,
        /// The maximum number of pieces that are not answered yet; at least 1.
        pub window: u8,
    }
}

impl BeginUpload<'_> {
    /// The length of a SHA-256.
    pub const SHA256_LEN: usize = 32;

    /// Checks what is known before the upload. Client and hub both do this.
    ///
    /// ```
    /// use tim_proto::request::BeginUpload;
    /// use tim_proto::vendor::limits::{Limits, MAX_FILE_BYTES};
    /// use tim_proto::{ErrorCode, MessageKind};
    ///
    /// let begin = BeginUpload::new(MessageKind::FILE, "film.iso", MAX_FILE_BYTES + 1, &[0; 32]);
    /// assert_eq!(begin.check(&Limits::new()).unwrap_err().code(), ErrorCode::MESSAGE_FILE_SIZE_LIMIT);
    /// ```
    ///
    /// # Errors
    /// [`UploadRefused`] with the first fault found.
    pub fn check(&self, limits: &Limits) -> Result<(), UploadRefused> {
        check_file_name(self.name)?;
        // Reaches HTTP headers.
        let visible = self.media_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !visible || self.media_type.len() > MAX_MEDIA_TYPE_BYTES {
            return Err(UploadRefused::MediaType);
        }
        if self.sha256.len() != Self::SHA256_LEN {
            return Err(UploadRefused::Sha256);
        }
        limits.check_file(self.kind, self.size, self.duration_ms)
    }
}

/// A file cannot be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadRefused {
    /// Messages of this kind have no file.
    #[error("messages of the kind {0} have no file")]
    Kind(MessageKind),
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] FileNameError),
    /// The media type is not valid.
    #[error("a media type has at most {MAX_MEDIA_TYPE_BYTES} bytes of printable ASCII")]
    MediaType,
    /// The SHA-256 has another length.
    #[error("a SHA-256 has 32 bytes")]
    Sha256,
    /// There is no content.
    #[error("the file is empty")]
    Empty,
    /// The file is too large, or the recording too long.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
}

impl UploadRefused {
    /// The error code with which client and hub refuse the file.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Empty => ErrorCode::MESSAGE_FILE_URL_IS_EMPTY,
            Self::OverLimit(over) => over.code,
            _ => ErrorCode::GROUP_INVALID_PARAMETERS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::new()
        .with_image_bytes(10)
        .with_sound_bytes(20)
        .with_video_bytes(30)
        .with_file_bytes(40)
        .with_sound_millis(500);

    fn code(begin: BeginUpload<'_>) -> Option<u32> {
        begin.check(&LIMITS).err().map(|refused| refused.code().0)
    }

    #[test]
    fn a_file_is_checked_at_below_and_above_the_limits_of_its_kind() {
        for (kind, most, too_large) in [
            (MessageKind::IMAGE, 10, 2253),
            (MessageKind::AUDIO, 20, 2301),
            (MessageKind::VIDEO, 30, 2351),
            (MessageKind::FILE, 40, 2402),
        ] {
            let of = |size| code(BeginUpload::new(kind, "a", size, &[0; 32]));
            let given = [0, 1, most, most + 1, u64::MAX].map(of);
            assert_eq!(
                given,
                [Some(2403), None, None, Some(too_large), Some(too_large)],
                "{kind}"
            );
        }
        for kind in [
            MessageKind(0),
            MessageKind::TEXT,
            MessageKind::CUSTOM,
            MessageKind(999),
        ] {
            assert_eq!(
                code(BeginUpload::new(kind, "a", 1, &[0; 32])),
                Some(10004),
                "{kind}"
            );
        }
        let lasting = |ms| code(BeginUpload::new(MessageKind::AUDIO, "a", 1, &[0; 32]).with_duration_ms(ms));
        assert_eq!([0, 500, 501].map(lasting), [None, None, Some(200_018)]);
        let video = BeginUpload::new(MessageKind::VIDEO, "a", 1, &[0; 32]).with_duration_ms(501);
        assert_eq!(code(video), None, "only recordings are limited in time");
    }

    #[test]
    fn a_wrong_hash_name_or_media_type_is_refused() {
        let begin = |name, media_type, sha256| {
            code(BeginUpload::new(MessageKind::FILE, name, 1, sha256).with_media_type(media_type))
        };
        let longest = core::str::from_utf8(&[b'x'; MAX_MEDIA_TYPE_BYTES + 1]).unwrap();
        assert_eq!(begin("a", &longest[1..], &[0; 32]), None);
        for (name, media_type, sha256) in [
            ("", "", &[0; 32][..]),
            ("a/b", "", &[0; 32]),
            ("a", longest, &[0; 32]),
            ("a", "text/html\r\nx: y", &[0; 32]),
            ("a", "\u{e4}", &[0; 32]),
            ("a", "", &[0; 31]),
            ("a", "", &[0; 33]),
        ] {
            assert_eq!(
                begin(name, media_type, sha256),
                Some(10004),
                "{name} {media_type}"
            );
        }
    }
}
