//! A group, and messages for online members only.

use tim_client::{ConversationId, CreateGroup, GroupType, Priority, SendOptions};
use tim_proto::Words;
use tim_proto::message::Payload;

use super::play::{DeviceName, EVERYBODY, Play, group};
use crate::error::Failure;
use crate::session::failure;

/// The group of the demo.
pub(super) const WEEKEND: &str = "weekend";

/// Alice creates a group, and everybody writes in it.
pub(super) async fn weekend(play: &mut Play) -> Result<(), Failure> {
    let here = group(WEEKEND)?;
    play.scene("A group for the weekend")?;
    play.step("Alice makes the group 周末 with Bob and Carol in it")?;
    let wanted = CreateGroup {
        group_id: Some(WEEKEND.parse().map_err(Failure::failed)?),
        members: vec![
            "bob".parse().map_err(Failure::failed)?,
            "carol".parse().map_err(Failure::failed)?,
        ],
        ..CreateGroup::new(GroupType::PUBLIC, "周末")
    };
    let made = play
        .device(DeviceName::Phone)
        .client
        .create_group(wanted)
        .await
        .map_err(failure)?;
    play.check(
        "it has the id asked for",
        ConversationId::Group(made.group_id),
        here,
    )?;
    for on in EVERYBODY {
        let tip = play.receives(on, here).await?;
        let text = match tip.payload() {
            Payload::GroupTip(tip) => tip.text(Words::SEED).to_string(),
            _ => String::new(),
        };
        play.check("the tip", text, "群成员:alice,bob,carol,加入群组".to_owned())?;
    }

    play.step("The system tells each of them")?;
    let notices = [
        (DeviceName::Phone, "alice创建群:周末"),
        (DeviceName::Laptop, "alice创建群:周末"),
        (DeviceName::Bob, "alice邀请你加群:周末"),
        (DeviceName::Carol, "alice邀请你加群:周末"),
    ];
    for (on, expected) in notices {
        let notice = play.receives(on, ConversationId::System).await?;
        let text = match notice.payload() {
            Payload::SystemNotice(notice) => notice.text(Words::SEED).map(|text| text.to_string()),
            _ => None,
        };
        play.check("the notice", text.as_deref(), Some(expected))?;
    }

    play.step("Carol asks, urgently; Bob answers")?;
    let client = &play.device(DeviceName::Carol).client;
    let ask = client.create_text_message(here, "谁有车?").map_err(failure)?;
    let ask = ask.with_priority(Priority::HIGH).map_err(failure)?;
    play.sends(DeviceName::Carol, &ask).await?;
    play.arrives(
        &ask,
        [DeviceName::Phone, DeviceName::Laptop, DeviceName::Bob].map(|on| (on, here)),
    )
    .await?;
    let answer = play.says(DeviceName::Bob, here, "我有[呲牙]").await?;
    play.arrives(
        &answer,
        [DeviceName::Phone, DeviceName::Laptop, DeviceName::Carol].map(|on| (on, here)),
    )
    .await?;
    play.check("one after the other", answer.sequence(), ask.sequence() + 1)
}

/// Online-only messages are not stored.
pub(super) async fn online_only(play: &mut Play) -> Result<(), Failure> {
    let here = group(WEEKEND)?;
    play.scene("Online-only messages")?;
    play.step("Bob is typing, which nobody needs to read later")?;
    let before = play.device(DeviceName::Carol).history(here).await?.len();
    let typing = play
        .device(DeviceName::Bob)
        .client
        .create_text_message(here, "(typing…)")
        .map_err(failure)?;
    play.device(DeviceName::Bob)
        .client
        .send_message(&typing, SendOptions::online_only())
        .await
        .map_err(failure)?;
    play.shows_message(DeviceName::Bob, &typing)?;
    for on in [DeviceName::Phone, DeviceName::Laptop, DeviceName::Carol] {
        let seen = play.receives(on, here).await?;
        play.check("it was seen", seen.id() == typing.id(), true)?;
    }
    let after = play.device(DeviceName::Carol).history(here).await?.len();
    play.check("the history has not grown", after, before)
}
