//! Failures: a message that fails, a device that was off, a hub that restarts.

use tim_client::{CreateGroup, GroupType, MessageId, NetState, SendOptions, Status};

use super::groups::WEEKEND;
use super::play::{DeviceName, EVERYBODY, Play, group, with};
use super::world::Device;
use crate::error::Failure;
use crate::session::failure;

/// A message that fails and is resent is stored once.
pub(super) async fn resend(play: &mut Play) -> Result<(), Failure> {
    let here = group("hiking")?;
    play.scene("A message that fails")?;
    play.step("Alice writes to a group that is not there yet")?;
    let message = play
        .device(DeviceName::Phone)
        .client
        .create_text_message(here, "boots!")
        .map_err(failure)?;
    let id = message.id();
    let sent = play
        .device(DeviceName::Phone)
        .client
        .send_message(&message, SendOptions::default())
        .await;
    play.refused("the hub knows no such group", sent, 10_010)?;
    play.check("the message has failed", message.status(), Status::Fail)?;

    play.step("She makes the group and sends the same message again")?;
    let wanted = CreateGroup {
        group_id: Some("hiking".parse().map_err(Failure::failed)?),
        ..CreateGroup::new(GroupType::PUBLIC, "hiking")
    };
    play.device(DeviceName::Phone)
        .client
        .create_group(wanted)
        .await
        .map_err(failure)?;
    play.device(DeviceName::Phone)
        .client
        .resend_message(&message)
        .await
        .map_err(failure)?;
    play.shows_message(DeviceName::Phone, &message)?;
    play.check("it is sent now", message.status(), Status::Success)?;
    play.check("under the same id", message.id(), id)?;
    for on in [DeviceName::Phone, DeviceName::Laptop] {
        play.device(on).receives(here).await?; // the tip
        play.device(on)
            .receives(tim_client::ConversationId::System)
            .await?;
    }
    play.device(DeviceName::Laptop).receives(here).await?;
    let times = play
        .device(DeviceName::Laptop)
        .history(here)
        .await?
        .iter()
        .filter(|it| it.id() == id)
        .count();
    play.check("and once in the history", times, 1)
}

/// The hub restarts; nothing is lost, and nothing arrives twice.
pub(super) async fn restart(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob, here) = (with("alice")?, with("bob")?, group(WEEKEND)?);
    play.scene("The hub restarts")?;
    play.step("Carol switches her device off; Alice writes to the group")?;
    let carol = play.device(DeviceName::Carol).leave().await?;
    let missed = play
        .says(DeviceName::Phone, here, "Saturday, 9:00 [微笑]")
        .await?;
    play.arrives(
        &missed,
        [DeviceName::Laptop, DeviceName::Bob].map(|on| (on, here)),
    )
    .await?;

    play.step("The hub stops")?;
    let before = ids(play, &[bob, here]).await?;
    play.hub.stop().await?;
    for on in [DeviceName::Phone, DeviceName::Laptop, DeviceName::Bob] {
        let line = play.device(on).loses_connection().await?;
        play.shows(on, "(no connection)")?;
        play.check("noticed it", line != NetState::Connected, true)?;
    }

    play.step("Alice writes meanwhile; the hub starts again on the same directory")?;
    let message = play
        .device(DeviceName::Phone)
        .client
        .create_text_message(bob, "can you hear me?")
        .map_err(failure)?;
    let (client, sending) = (play.device(DeviceName::Phone).client.clone(), message.clone());
    let sent = tokio::spawn(async move { client.send_message(&sending, SendOptions::default()).await });
    play.hub.begin().await?;
    sent.await.map_err(Failure::failed)?.map_err(failure)?;
    play.shows_message(DeviceName::Phone, &message)?;
    play.check("the message is stored", message.status(), Status::Success)?;
    play.arrives(&message, [(DeviceName::Bob, alice), (DeviceName::Laptop, bob)])
        .await?;

    play.step("Carol switches her device on again")?;
    *play.device(DeviceName::Carol) = Device::resume(&play.hub, &carol).await?;
    play.arrives(&missed, [(DeviceName::Carol, here)]).await?;

    play.step("Everything that was said before is still there, once")?;
    let mut expected = before;
    expected[0].push(message.id());
    let after = ids(play, &[bob, here]).await?;
    play.check(
        format_args!("{} messages with Bob", after[0].len()),
        &after[0],
        &expected[0],
    )?;
    play.check(
        format_args!("{} in the group", after[1].len()),
        &after[1],
        &expected[1],
    )?;
    for on in EVERYBODY {
        let unexpected = play.device(on).unexpected().await;
        play.check("nothing came twice", unexpected, 0)?;
    }
    Ok(())
}

/// The ids of all messages in these conversations of Alice's.
async fn ids(
    play: &mut Play,
    conversations: &[tim_client::ConversationId],
) -> Result<Vec<Vec<MessageId>>, Failure> {
    let mut all = Vec::new();
    for conversation in conversations {
        let history = play.device(DeviceName::Laptop).history(*conversation).await?;
        all.push(history.iter().map(tim_client::Message::id).collect());
    }
    Ok(all)
}
