//! Resending.

use tim_client::{ErrorCode, Message, SendOptions, Status};

use super::{to, wire_text};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::{Person, texts};
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    124, "`resendMessage` after a failure only", { after_failure };
    125, "same instance, same id, one entry in the history", { same_id };
    126, "success returns the message", { returns_message };
    127, "after another failure it can be resent again", { again };
    128, "returns a promise", { promise };
};

/// A message that failed because its client was logged out, and the client logged in again.
async fn failed(alice: &Person, bob: &Person) -> Result<Message, Stop> {
    let message = alice.client.create_text_message(bob.user(), "once")?;
    alice.client.logout().await?;
    let refused = alice.client.send_message(&message, SendOptions::default()).await;
    ensure_refused(refused, &[], "sending while logged out")?;
    ensure_eq!(message.status(), Status::Fail, "the status after a failure");
    alice.enter().await?;
    Ok(message)
}

async fn after_failure(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let unsent = alice.client.create_text_message(bob.user(), "x")?;
    let code = [ErrorCode::MESSAGE_NOT_FAILED];
    ensure_refused(
        alice.client.resend_message(&unsent).await,
        &code,
        "resending an unsent message",
    )?;
    alice.client.send_message(&unsent, SendOptions::default()).await?;
    ensure_refused(
        alice.client.resend_message(&unsent).await,
        &code,
        "resending a sent message",
    )?;
    let message = failed(&alice, &bob).await?;
    alice.client.resend_message(&message).await?;
    bob.receives(&message).await?;
    Ok("a failed message is resent; an unsent one and a sent one are refused".into())
}

async fn same_id(lab: &Lab) -> Verdict {
    let mut bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    let message = failed(&alice, &bob).await?;
    let id = message.id();
    let resent = alice.client.resend_message(&message).await?.message;
    ensure!(
        resent.is_same(&message) && resent.id() == id,
        "another instance or another id"
    );
    // The answer of this one is lost with its connection, so the SDK repeats it by itself.
    tap.cut_behind_next_send();
    let cut = alice.say(bob.user(), "cut").await?;
    bob.receives(&cut).await?;
    let sends = tap.sends()?.len();
    ensure!(
        sends >= 3,
        "the message was not repeated after the cut: {sends} SENDs"
    );
    // The same bytes twice.
    let mut raw = lab.raw("alice").await?;
    let body = raw.body(&to(bob.user()), 1, wire_text("twice"));
    let first = raw.send(&body).await?.map_err(|it| Stop::fail(it.text))?;
    let second = raw.send(&body).await?.map_err(|it| Stop::fail(it.text))?;
    ensure_eq!(
        (first.duplicate, second.duplicate),
        (false, true),
        "duplicate in the two answers"
    );
    ensure_eq!(
        (second.sequence, second.time),
        (first.sequence, first.time),
        "place and time of the second"
    );
    let mut other = body.clone();
    other.payload = wire_text("another text");
    let code = raw.send(&other).await?.map_err(|it| it.code);
    ensure_eq!(code, Err(200_025), "the answer to another text under the same id");
    let history = texts(&bob.history(alice.user()).await?);
    ensure_eq!(history, ["once", "cut", "twice"], "the history");
    Ok("resent by hand, repeated after a cut, and sent twice as bytes: one entry each".into())
}

async fn returns_message(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message = failed(&alice, &bob).await?;
    let response = alice.client.resend_message(&message).await?;
    ensure!(
        response.message.is_same(&message),
        "the response has another instance"
    );
    ensure_eq!(response.message.status(), Status::Success, "its status");
    Ok("the response has the instance, with status success".into())
}

async fn again(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let message = failed(&alice, &bob).await?;
    alice.client.logout().await?;
    for _ in 0..2 {
        let refused = alice.client.resend_message(&message).await;
        ensure_refused(refused, &[], "resending while logged out")?;
        ensure_eq!(message.status(), Status::Fail, "the status");
    }
    alice.enter().await?;
    alice.client.resend_message(&message).await?;
    bob.receives(&message).await?;
    Ok("three failures, then success".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message = failed(&alice, &bob).await?;
    let future = alice.client.resend_message(&message);
    ensure_eq!(
        message.status(),
        Status::Fail,
        "the status before the future is polled"
    );
    future.await?;
    ensure_eq!(
        message.status(),
        Status::Success,
        "the status when it is complete"
    );
    Ok("a future, which does nothing before it is polled".into())
}
