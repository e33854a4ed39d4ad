//! What the Web SDK makes of an element that arrives, beyond other names.

use tim_proto::message::ImageSize;

use crate::content::{Image, ImageInfo, Relay, Video};
use crate::element::Content;

/// The SDK's picture always has this many renditions.
const RENDITIONS: usize = 3;
/// The bound of the smaller side of the large rendition.
const LARGE_BOUND: u32 = 720;
/// The `Type` of the large rendition.
const LARGE: u32 = ImageSize::LARGE.0 as u32;
/// The `Type` of the thumbnail.
const THUMBNAIL: u32 = ImageSize::THUMBNAIL.0 as u32;

impl Content {
    /// The content of an element from the wire as the SDK shows it to applications: a picture has three renditions, in the order
    /// original, thumbnail, large, with a size for each; addresses and previews have their second names. `instance` draws the
    /// number of a rendition that has none.
    #[must_use]
    pub fn as_received(mut self, instance: impl FnMut() -> u32) -> Self {
        match &mut self {
            Self::Image(image) => receive_image(image, instance),
            Self::Video(video) => receive_video(video),
            Self::Sound(sound) => sound.remote_url = sound.remote_url.take().or_else(|| sound.url.clone()),
            Self::Relay(relay) => receive_relay(relay),
            _ => {}
        }
        self
    }

    /// The content as the SDK sends it when an application forwards it: addresses are the secure ones.
    #[must_use]
    pub fn as_forwarded(mut self) -> Self {
        if let Self::Image(image) = &mut self {
            for it in &mut image.images {
                if let Some(url) = &it.image_url {
                    it.url = Some(url.clone());
                }
            }
        }
        self
    }
}

fn receive_image(image: &mut Image, mut instance: impl FnMut() -> u32) {
    let mut images = std::mem::take(&mut image.images);
    images.resize_with(RENDITIONS, ImageInfo::default);
    let original = images
        .first()
        .map(|it| (it.width.unwrap_or(0), it.height.unwrap_or(0)));
    if let (Some((width @ 1.., height @ 1..)), [_, second, third]) = (original, images.as_mut_slice()) {
        if third.size_type == Some(THUMBNAIL) && second.size_type != Some(THUMBNAIL) {
            std::mem::swap(second, third);
        }
        if third.size_type == Some(LARGE) {
            let (width, height) = ImageSize::bounded(width, height, LARGE_BOUND);
            (third.width, third.height) = (Some(width), Some(height));
        }
    }
    for (position, it) in images.iter_mut().enumerate() {
        it.instance.get_or_insert_with(&mut instance);
        it.position = u32::try_from(position).ok();
        it.size_type.get_or_insert(0);
        it.size.get_or_insert(0);
        it.width.get_or_insert(0);
        it.height.get_or_insert(0);
        let url = it.url.get_or_insert_default();
        let secure = url.strip_prefix("http://").map(|rest| format!("https://{rest}"));
        it.image_url = Some(secure.unwrap_or_else(|| url.clone()));
    }
    image.images = images;
}

fn receive_video(video: &mut Video) {
    video.remote_url = video.remote_url.take().or_else(|| video.url.clone());
    video.snapshot_url = video.snapshot_url.take().or_else(|| video.thumb_url.clone());
    video.snapshot_size = video.snapshot_size.or(video.thumb_size);
    video.snapshot_width = video.snapshot_width.or(video.thumb_width);
    video.snapshot_height = video.snapshot_height.or(video.thumb_height);
}

fn receive_relay(relay: &mut Relay) {
    relay.version.get_or_insert(0);
    relay.layers_over_limit.get_or_insert(false);
    for message in relay.messages.iter_mut().flatten() {
        message.sender = message.sender.take().or_else(|| message.from.clone());
        let receiver = message.to_user.as_ref().or(message.to_group.as_ref());
        message.receiver = message.receiver.take().or_else(|| receiver.cloned());
        for element in message.body.iter_mut().flatten() {
            element.content = std::mem::take(&mut element.content).as_received(|| 0);
        }
    }
}
