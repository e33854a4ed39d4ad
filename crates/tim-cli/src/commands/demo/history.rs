//! Pages of history, and the conversation list.

use super::groups::WEEKEND;
use super::play::{DeviceName, Play, group, with};
use crate::error::Failure;
use crate::session::failure;
use crate::terminal::Safe;

/// How many messages the long conversation has.
const MANY: usize = 40;

/// A long conversation, page by page.
pub(super) async fn pages(play: &mut Play) -> Result<(), Failure> {
    let (bob, carol) = (with("bob")?, with("carol")?);
    play.scene("History")?;
    play.step(format_args!("Bob counts to {MANY}, for Carol"))?;
    for number in 1..=MANY {
        let message = play
            .device(DeviceName::Bob)
            .client
            .create_text_message(carol, &number.to_string())
            .map_err(failure)?;
        play.device(DeviceName::Bob)
            .client
            .send_message(&message, Default::default())
            .await
            .map_err(failure)?;
        play.device(DeviceName::Carol).receives(bob).await?;
    }
    let unread = play.device(DeviceName::Carol).unread(bob).await?;
    play.check("all unread", unread, Some(MANY as u32))?;

    play.step("Carol scrolls back, page by page")?;
    let (mut sizes, mut numbers, mut next) = (Vec::new(), Vec::new(), None);
    loop {
        let page = play
            .device(DeviceName::Carol)
            .client
            .get_message_list(bob, next.as_ref(), None)
            .await
            .map_err(failure)?;
        let texts: Vec<String> = page
            .message_list
            .iter()
            .filter_map(|it| it.text())
            .map(str::to_owned)
            .collect();
        if let (Some(first), Some(last)) = (texts.first(), texts.last()) {
            play.shows(DeviceName::Carol, format_args!("{first} … {last}"))?;
        }
        sizes.push(texts.len());
        numbers.splice(0..0, texts);
        if page.is_completed {
            break;
        }
        next = Some(page.next_req_message_id);
    }
    play.check("pages of 15, 15 and 10", sizes, vec![15, 15, 10])?;
    play.check(
        "each number once, in order",
        numbers,
        (1..=MANY).map(|n| n.to_string()).collect(),
    )
}

/// The conversation list, and deleting a conversation.
pub(super) async fn conversations(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob, here) = (with("alice")?, with("bob")?, group(WEEKEND)?);
    play.step("Carol's conversations, newest first")?;
    let list = play
        .device(DeviceName::Carol)
        .client
        .get_conversation_list()
        .await
        .map_err(failure)?
        .conversation_list;
    for conversation in &list {
        let unread = conversation.unread_count;
        let name = Safe::line(&conversation.name);
        play.shows(
            DeviceName::Carol,
            format_args!("{unread:>3} new  {} {name}", conversation.id),
        )?;
    }
    let order: Vec<_> = list
        .iter()
        .map(|it| it.id)
        .filter(|id| *id != tim_client::ConversationId::System)
        .collect();
    play.check("Bob, the group, Alice", order, vec![bob, here, alice])?;
    let profile = play
        .device(DeviceName::Carol)
        .client
        .get_conversation_profile(here)
        .await
        .map_err(failure)?;
    let group = profile
        .conversation
        .group
        .map(|group| (group.name, group.member_count));
    play.check("the group's profile", group, Some(("周末".to_owned(), 3)))?;

    play.step("She deletes the one with Bob")?;
    play.device(DeviceName::Carol)
        .client
        .delete_conversation(bob)
        .await
        .map_err(failure)?;
    let list = play
        .device(DeviceName::Carol)
        .client
        .get_conversation_list()
        .await
        .map_err(failure)?
        .conversation_list;
    play.check("it is off the list", list.iter().any(|it| it.id == bob), false)?;
    let kept = play.device(DeviceName::Carol).history(bob).await?.len();
    play.check("its messages are kept", kept, MANY)
}
