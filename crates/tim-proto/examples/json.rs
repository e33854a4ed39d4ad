//! A message to JSON and back: `cargo run -p tim-proto --example json --features serde,alloc`.
//!
//! A borrowed message is serialized in place. JSON is read as an owned message, the verified bytes that a SEND frame or a
//! store has.
#![allow(clippy::print_stdout)]

use std::error::Error;

use tim_proto::message::{Envelope, Image, ImageFormat, ImageInfo, ImageSize, Message};
use tim_proto::request::History;
use tim_proto::wire::{self, List};
use tim_proto::{Encoded, GroupId, MessageId, Payload, UserId};

fn main() -> Result<(), Box<dyn Error>> {
    let original = ImageInfo::new(ImageSize::ORIGINAL)
        .with_instance(1)
        .with_size(48_211)
        .with_width(640)
        .with_height(480)
        .with_url("https://files.example/cat.png");
    let renditions = [original];
    let image = Image::new(ImageFormat::PNG, List::from_slice(&renditions)).with_uuid("cat.png");
    let id = MessageId {
        sender: 144_115_200_000_000_001,
        client_time: 1_705_307_415,
        random: 42,
    };
    let (alice, team) = (UserId::new("alice")?, GroupId::new("team")?);
    let message = Message::new(Envelope::new(alice), team.into(), id, Payload::Image(image));

    let json = serde_json::to_string_pretty(&message)?;
    println!("{json}");
    let read: Encoded<Vec<u8>> = serde_json::from_str(&json)?;
    assert_eq!(read.message(), message);
    println!("{} bytes on the wire", read.as_bytes().len());

    // Any body can be written as JSON.
    let json = r#"{"conversation": "GROUPteam", "next": "", "count": 15}"#;
    let body = wire::transcode::<History<'_>, _>(&mut serde_json::Deserializer::from_str(json))?;
    println!("{:?}", wire::decode_body::<History<'_>>(&body)?);
    Ok(())
}
