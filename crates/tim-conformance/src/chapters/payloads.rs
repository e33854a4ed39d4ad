//! What the chapters about pictures, recordings, files, videos and faces have in common: payloads that are written as in SPEC.md.

use tim_client::{ErrorCode, Message, MessageKind, Payload, Platform, SendOptions};

use super::{to, wire_payload};
use crate::check::{Stop, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;

/// A payload of this kind, made by the SDK, arrives with the bytes of SPEC.md.
pub(super) async fn carries(lab: &Lab, kind: MessageKind) -> Result<(), Stop> {
    let mut raw = lab.raw("bob").await?;
    let bytes = wire_payload(kind);
    let payload = Payload::decode(kind, &bytes);
    ensure!(
        !matches!(payload, Payload::Unknown(..)),
        "a {kind} as in SPEC.md cannot be read"
    );
    let got = arrives(lab, kind, &bytes).await?;
    ensure_eq!(got.payload(), payload, "the payload that arrived");
    let on_the_wire = raw
        .delivery("the message", |it| Some((it.kind, it.payload.clone())))
        .await?;
    ensure!(
        on_the_wire == (kind.0.into(), bytes),
        "the bytes on the wire are not those of SPEC.md"
    );
    Ok(())
}

/// The message that arrives when this payload is sent.
pub(super) async fn arrives(lab: &Lab, kind: MessageKind, bytes: &[u8]) -> Result<Message, Stop> {
    let (alice, mut bob) = lab.pair().await?;
    let message = alice
        .client
        .create_message(bob.user(), Payload::decode(kind, bytes))?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    bob.receives(&message).await
}

/// Whether a client of a platform can create this kind.
pub(super) async fn can_create(lab: &Lab, platform: Platform, kind: MessageKind) -> Result<bool, Stop> {
    let name = format!("p{}", platform.0);
    let (person, _) = lab
        .log_in_with(&name, |builder| builder.platform(platform))
        .await?;
    let bytes = wire_payload(kind);
    match person
        .client
        .create_message(person.user(), Payload::decode(kind, &bytes))
    {
        Ok(_) => Ok(true),
        Err(error) if error.code == ErrorCode::UNSUPPORTED_PLATFORM => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// This kind can be created on all platforms but one.
pub(super) async fn creates_everywhere_but_on(
    lab: &Lab,
    except: Platform,
    kind: MessageKind,
) -> Result<(), Stop> {
    for &platform in Platform::KNOWN {
        let can = can_create(lab, platform, kind).await?;
        ensure_eq!(can, platform != except, "a {kind} on {platform}");
    }
    Ok(())
}

/// The SDK and the hub take these payloads.
pub(super) async fn are_taken(lab: &Lab, kind: MessageKind, payloads: &[Vec<u8>]) -> Result<(), Stop> {
    for bytes in payloads {
        let (by_sdk, by_hub) = offer(lab, kind, bytes).await?;
        ensure!(
            by_sdk.is_ok() && by_hub.is_ok(),
            "a {kind} within the limit was refused: {by_sdk:?}, {by_hub:?}"
        );
    }
    Ok(())
}

/// The SDK and the hub refuse this payload, the hub with this number.
pub(super) async fn is_refused(
    lab: &Lab,
    kind: MessageKind,
    bytes: &[u8],
    (code, number): (ErrorCode, u64),
) -> Result<(), Stop> {
    let (by_sdk, by_hub) = offer(lab, kind, bytes).await?;
    ensure_refused(by_sdk, &[code], "a message above the limit")?;
    ensure_eq!(by_hub, Err(number), "the hub's answer to it");
    Ok(())
}

/// Sends a payload with the SDK, and with bytes of SPEC.md. Returns what the SDK says, and the code of the hub.
async fn offer(
    lab: &Lab,
    kind: MessageKind,
    bytes: &[u8],
) -> Result<(Result<(), tim_client::ImError>, Result<(), u64>), Stop> {
    let (alice, bob) = lab.pair().await?;
    let mut raw = lab.raw("alice").await?;
    let created = alice
        .client
        .create_message(bob.user(), Payload::decode(kind, bytes));
    let by_sdk = match created {
        Ok(message) => {
            let sent = alice.client.send_message(&message, SendOptions::default());
            sent.await.map(drop)
        }
        Err(error) => Err(error),
    };
    let body = raw.body(&to(bob.user()), kind.0, bytes.to_vec());
    let by_hub = raw.send(&body).await?;
    Ok((by_sdk, by_hub.map(drop).map_err(|refusal| refusal.code)))
}
