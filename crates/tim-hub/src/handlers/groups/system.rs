//! What the application's server does to groups, in the system's name.

use std::sync::Arc;

use tim_groups::rules::{MAX_NOTICE, check_text};
use tim_groups::tips::NoticeText;
use tim_groups::{GroupAction, Refused};
use tim_proto::message::NoticeOperation;
use tim_proto::{GroupId, Priority, UserId};
use tim_store::{Group, LogKey, WriteError};

use super::store_change::{By, submit_change};
use crate::delivery::{announcer, live_delivery};
use crate::handlers::av_chat_rooms::is_av_chat_room;
use crate::service::Services;

/// Who gets a notice to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// All members; of an AVChatRoom, those who are in it now.
    Everybody,
    /// These users, except those who are not members.
    Users(&'a [UserId]),
}

/// Dismisses a group (notice 11).
pub(crate) async fn reclaim_group(services: &Services, group: GroupId) -> Result<(), WriteError> {
    change_as_system(services, group, GroupAction::Reclaim).await
}

/// Sends members of a group a notice (notice 255).
pub(crate) async fn notify_group(
    services: &Services,
    group: GroupId,
    audience: Audience<'_>,
    text: &str,
) -> Result<(), WriteError> {
    let reads = services.reads.clone();
    let found = services
        .reads
        .run(UserId::SYSTEM, move || reads.store().group(&group))
        .await;
    let found = found.map_err(|_| WriteError::Closed)??;
    let found = found.ok_or(Refused::NoSuchGroup(group))?;
    if let Audience::Users(users) = audience
        && users.len() > services.options.limits.receivers() as usize
    {
        return Err(Refused::BadValue("more users are named than one notice can have").into());
    }
    if is_av_chat_room(&found) {
        return notify_av_chat_room(services, UserId::SYSTEM, &found, audience, text);
    }
    let users = match audience {
        Audience::Everybody => Vec::new(),
        Audience::Users([]) => return Ok(()),
        Audience::Users(users) => users.to_vec(),
    };
    let text = text.to_owned();
    change_as_system(services, group, GroupAction::Notify { users, text }).await
}

/// Sends those who are in an AVChatRoom a notice, which is not stored.
pub(super) fn notify_av_chat_room(
    services: &Services,
    by: UserId,
    group: &Group,
    audience: Audience<'_>,
    text: &str,
) -> Result<(), WriteError> {
    check_text("notice", text, MAX_NOTICE)?;
    let now_s = services.now_ms() / 1000;
    let text = NoticeText {
        custom: text,
        ..NoticeText::default()
    };
    let announcer = announcer(group, now_s)?;
    let notice = announcer.notice(NoticeOperation::CUSTOM, by, text, services.randoms.next());
    let delivery = live_delivery(&notice, now_s, Priority::HIGH);
    let deliver = |log| {
        let delivered = services.live.deliver(log, Arc::clone(&delivery));
        delivered.map_err(|_| WriteError::Overloaded)
    };
    match audience {
        Audience::Everybody => deliver(LogKey::Group(group.group)),
        Audience::Users(users) => users
            .iter()
            .filter(|user| services.presence.is_in(&group.group, user))
            .try_for_each(|user| deliver(LogKey::System(*user))),
    }
}

async fn change_as_system(
    services: &Services,
    group: GroupId,
    action: GroupAction,
) -> Result<(), WriteError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    submit_change(
        services,
        By::user(UserId::SYSTEM),
        group,
        action,
        Vec::new(),
        move |answer| {
            // The caller may have gone.
            let _ = sender.send(answer);
        },
    )?;
    receiver.await.unwrap_or(Err(WriteError::Closed)).map(|_| ())
}
