//! Face messages.

use tim_client::proto::message::Face;
use tim_client::proto::vendor::capability::Version;
use tim_client::{MessageKind, Payload, SendOptions};

use super::payloads::carries;
use super::video::since_version;
use super::{claims, wire_payload};
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::{Output, SendBody};

pub(super) const ROWS: &[Row] = table! {
    74, "`createFaceMessage`", { create };
    75, "since 2.3.1", { since };
    76, "`index` is the application's", { index };
    77, "`data` arrives byte for byte", { data };
    78, "the same on every platform", { same_bytes };
};

async fn create(lab: &Lab) -> Verdict {
    carries(lab, MessageKind::FACE).await?;
    Ok("creates a face message, which arrives".into())
}

async fn since(_: &Lab) -> Verdict {
    ensure!(claims("createFaceMessage"), "the SDK does not claim it");
    ensure_eq!(
        since_version("createFaceMessage"),
        Some(Version::new(2, 3, 1)),
        "the version"
    );
    Ok("the table of features says 2.3.1".into())
}

async fn arrives(lab: &Lab, faces: &[(u32, &str)]) -> Result<(), Stop> {
    let (alice, mut bob) = lab.pair().await?;
    for (index, data) in faces {
        let message = alice.client.create_face_message(bob.user(), *index, data)?;
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        let got = bob.receives(&message).await?;
        match got.payload() {
            Payload::Face(Face {
                index: i, data: d, ..
            }) => ensure_eq!((i, d), (*index, *data), "index and data"),
            other => return Err(Stop::fail(format_args!("it arrived as {other:?}"))),
        }
    }
    Ok(())
}

async fn index(lab: &Lab) -> Verdict {
    arrives(lab, &[(1, "tt00"), (0, ""), (127, ""), (128, ""), (u32::MAX, "")]).await?;
    Ok("0, 1, 127, 128 and 2^32-1 arrive".into())
}

async fn data(lab: &Lab) -> Verdict {
    arrives(lab, &[(1, "tt00"), (1, ""), (1, "表情 😀"), (1, "\u{0}\n")]).await?;
    Ok("ASCII, Chinese, control characters and the empty string arrive".into())
}

async fn same_bytes(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    let message = alice.client.create_face_message(bob.user(), 1, "tt00")?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    let sends = tap.sends()?;
    let body = sends.last().ok_or_else(|| Stop::fail("no SEND left"))?;
    let send = SendBody::read(body)?;
    ensure!(
        send.encode() == *body && send.kind == 7,
        "the SDK's bytes are not those of SPEC.md"
    );
    ensure!(
        send.payload == wire_payload(MessageKind::FACE),
        "the payload is not that of SPEC.md"
    );
    ensure!(
        send.payload == Output::default().varint(1).str("tt00").0,
        "the payload has other fields"
    );
    Ok("the SDK writes exactly the bytes that SPEC.md prescribes for all platforms".into())
}
