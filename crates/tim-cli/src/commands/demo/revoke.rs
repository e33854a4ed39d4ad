//! Revoking messages: in time, too late, and those of others.

use std::time::Duration;

use super::groups::WEEKEND;
use super::play::{DeviceName, Play, group, with};
use crate::error::Failure;
use crate::session::failure;

/// Just longer than the revoke window.
const TOO_LATE: Duration = Duration::from_secs(121);

/// Bob revokes a message, and everybody sees that.
pub(super) async fn in_time(play: &mut Play) -> Result<(), Failure> {
    let here = group(WEEKEND)?;
    play.scene("Revoking")?;
    play.step("Bob sends something that he regrets")?;
    let message = play.says(DeviceName::Bob, here, "Carol 不会开车").await?;
    play.arrives(
        &message,
        [DeviceName::Phone, DeviceName::Laptop, DeviceName::Carol].map(|on| (on, here)),
    )
    .await?;
    let unread = play.device(DeviceName::Carol).unread(here).await?;

    play.step("He revokes it")?;
    play.device(DeviceName::Bob)
        .client
        .revoke_message(&message)
        .await
        .map_err(failure)?;
    play.shows_message(DeviceName::Bob, &message)?;
    play.check("his program knows", message.is_revoked(), true)?;
    for on in [DeviceName::Phone, DeviceName::Laptop, DeviceName::Carol] {
        let revoked = play.device(on).sees_revoked().await?;
        play.shows_message(on, &revoked)?;
        play.check(
            "it is gone",
            (revoked.id() == message.id(), revoked.is_revoked()),
            (true, true),
        )?;
    }
    let now_unread = play.device(DeviceName::Carol).unread(here).await?;
    play.check(
        "one unread less for Carol",
        now_unread,
        unread.map(|unread| unread - 1),
    )?;
    let history = play.device(DeviceName::Carol).history(here).await?;
    let kept = history
        .iter()
        .find(|it| it.id() == message.id())
        .map(tim_client::Message::is_revoked);
    play.check("the history says so", kept, Some(true))
}

/// What cannot be revoked.
pub(super) async fn refused(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob) = (with("alice")?, with("bob")?);
    play.step("Alice tries to revoke what Bob sent her")?;
    let his = play.says(DeviceName::Bob, alice, "see you on Saturday").await?;
    let mine = play.receives(DeviceName::Phone, bob).await?;
    play.device(DeviceName::Laptop).receives(bob).await?;
    let answer = play.device(DeviceName::Phone).client.revoke_message(&mine).await;
    play.refused(
        "only Bob may do that",
        answer,
        tim_client::ErrorCode::REVOKE_DENIED.0,
    )?;

    play.step("Two minutes pass, and Bob tries to")?;
    play.hub.wait(TOO_LATE);
    let answer = play.device(DeviceName::Bob).client.revoke_message(&his).await;
    play.refused("it is too late", answer, 20_016)?;
    play.check("it stays", his.is_revoked(), false)
}
