//! The checks, one module per chapter of `docs/requirements.md`.

mod across;
mod audio;
mod custom;
mod deleting;
mod devices;
mod emoji;
mod face;
mod files;
mod general;
mod history;
mod ids;
mod images;
mod list;
mod notices;
mod payloads;
mod profile;
mod push;
mod reading;
mod receiving;
mod resending;
mod revoking;
mod sending;
mod text;
mod tips;
mod uploads;
mod video;

use tim_client::proto::vendor::capability::FEATURES;
use tim_client::{MessageKind, UserId};

use crate::row::Chapter;
use crate::spec::{Output, To};

/// All chapters, in their order.
pub(crate) const ALL: &[Chapter] = &[
    Chapter {
        name: "Ids and conversations",
        rows: ids::ROWS,
    },
    Chapter {
        name: "Messages in general",
        rows: general::ROWS,
    },
    Chapter {
        name: "Text",
        rows: text::ROWS,
    },
    Chapter {
        name: "Images",
        rows: images::ROWS,
    },
    Chapter {
        name: "Audio",
        rows: audio::ROWS,
    },
    Chapter {
        name: "Files",
        rows: files::ROWS,
    },
    Chapter {
        name: "Custom messages",
        rows: custom::ROWS,
    },
    Chapter {
        name: "Video",
        rows: video::ROWS,
    },
    Chapter {
        name: "Face messages",
        rows: face::ROWS,
    },
    Chapter {
        name: "Sending",
        rows: sending::ROWS,
    },
    Chapter {
        name: "Revoking",
        rows: revoking::ROWS,
    },
    Chapter {
        name: "Resending",
        rows: resending::ROWS,
    },
    Chapter {
        name: "Receiving",
        rows: receiving::ROWS,
    },
    Chapter {
        name: "Emoji in text",
        rows: emoji::ROWS,
    },
    Chapter {
        name: "Group system notices",
        rows: notices::ROWS,
    },
    Chapter {
        name: "Group tips",
        rows: tips::ROWS,
    },
    Chapter {
        name: "History",
        rows: history::ROWS,
    },
    Chapter {
        name: "Reading",
        rows: reading::ROWS,
    },
    Chapter {
        name: "Conversation list",
        rows: list::ROWS,
    },
    Chapter {
        name: "Conversation profile",
        rows: profile::ROWS,
    },
    Chapter {
        name: "Deleting a conversation",
        rows: deleting::ROWS,
    },
    Chapter {
        name: "Across all calls",
        rows: across::ROWS,
    },
    Chapter {
        name: "Devices",
        rows: devices::ROWS,
    },
];

/// The seven kinds that can be sent.
const SENDABLE: [MessageKind; 7] = [
    MessageKind::TEXT,
    MessageKind::IMAGE,
    MessageKind::AUDIO,
    MessageKind::VIDEO,
    MessageKind::FILE,
    MessageKind::CUSTOM,
    MessageKind::FACE,
];

fn to(user: UserId) -> To {
    To::User(user.as_str().to_owned())
}

/// The payload of a text, as SPEC.md has it.
fn wire_text(text: &str) -> Vec<u8> {
    Output::default().str(text).0
}

/// A payload of a kind that can be sent, as SPEC.md has it.
fn wire_payload(kind: MessageKind) -> Vec<u8> {
    let out = Output::default();
    let out = match kind {
        MessageKind::IMAGE => return wire_image(1000),
        MessageKind::AUDIO => return wire_audio(1000, 60_000),
        MessageKind::VIDEO => return wire_video(1000, false),
        MessageKind::FILE => return wire_file(1000),
        MessageKind::CUSTOM => out.str("dice").str("6").str(""),
        MessageKind::FACE => out.varint(1).str("tt00"),
        _ => out.str("Hello world!"),
    };
    out.0
}

/// A picture of so many bytes.
fn wire_image(size: u64) -> Vec<u8> {
    let original = Output::default()
        .u8(1)
        .varint(0)
        .varint(size)
        .varint(640)
        .varint(480)
        .str("https://example.invalid/picture.png");
    let images = Output::default().bytes(&original.0);
    Output::default().u8(3).str("picture").bytes(&images.0).0
}

/// A recording of so many bytes and milliseconds.
fn wire_audio(size: u64, milliseconds: u64) -> Vec<u8> {
    Output::default()
        .str("sound")
        .str("https://example.invalid/sound.aac")
        .varint(size)
        .varint(milliseconds)
        .varint(44_100)
        .u8(1)
        .varint(192_000)
        .str("aac")
        .0
}

/// A video of so many bytes, with a default thumbnail or a real one.
fn wire_video(size: u64, default_thumbnail: bool) -> Vec<u8> {
    Output::default()
        .str("video")
        .str("https://example.invalid/video.mp4")
        .varint(size)
        .varint(60)
        .str("mp4")
        .bool(default_thumbnail)
        .str("thumb")
        .str("https://example.invalid/thumb.png")
        .varint(500)
        .varint(198)
        .varint(110)
        .str("png")
        .0
}

/// A file of so many bytes.
fn wire_file(size: u64) -> Vec<u8> {
    Output::default()
        .str("file")
        .str("report.pdf")
        .varint(size)
        .str("https://example.invalid/report.pdf")
        .0
}

/// Whether the SDK claims a feature of the manual, by the beginning of its name.
fn claims(feature: &str) -> bool {
    FEATURES
        .iter()
        .any(|it| it.is_here && it.name.starts_with(feature))
}
