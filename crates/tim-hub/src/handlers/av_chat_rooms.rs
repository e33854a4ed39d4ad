//! AVChatRooms: users who are online join and leave, and nothing of it is stored.

use tim_groups::Refused;
use tim_proto::conversation::{Conversation, ConversationProfile};
use tim_proto::request::{Done, GetConversationProfile, JoinGroup, JoinGroupResponse, QuitGroup};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, JoinStatus, ReceiveOption, UserId};
use tim_store::Group;

use super::{Handled, Reply, groups};
#[cfg(feature = "outgoing")]
use crate::callbacks::{Platform, RoomMove};
use crate::client_context::ClientContext;
use crate::refusal::Refusal;
use crate::service::Services;

pub(super) fn is_av_chat_room(group: &Group) -> bool {
    group.group_type == GroupType::AV_CHAT_ROOM
}

/// Lets the user in. A user who may not enter is not let in for a moment either; the same check follows after the entry, so
/// that one of the two sees a ban or a dismissal which happens meanwhile.
pub(super) fn join(
    services: &Services,
    client: &ClientContext,
    group: GroupId,
) -> Handled<JoinGroup<'static>> {
    let (presence, user) = (&services.presence, client.user());
    if !presence.is_in(&group, &user) {
        check_entry(services, &user, group)?;
        let max = services.options.group_policy().max_groups;
        if presence.count_av_chat_rooms(&user) >= max as usize {
            return Err(Refused::TooManyGroups { user, max }.into());
        }
    }
    let is_new = presence.enter_av_chat_room(group, &user);
    if is_new {
        if let Err(refusal) = check_entry(services, &user, group) {
            presence.leave_av_chat_room_silently(group, &user);
            return Err(refusal);
        }
        presence.announce(group, user);
        services.timer.wake();
        #[cfg(feature = "outgoing")]
        tell(services, group, user, RoomMove::Joined);
    }
    let status = match is_new {
        true => JoinStatus::JOINED,
        false => JoinStatus::ALREADY_IN_GROUP,
    };
    Reply::now(&JoinGroupResponse::new(status))
}

/// Lets the user go.
pub(super) fn quit(services: &Services, client: &ClientContext, group: GroupId) -> Handled<QuitGroup> {
    if services.presence.leave_av_chat_room(group, &client.user()) {
        services.timer.wake();
        #[cfg(feature = "outgoing")]
        tell(services, group, client.user(), RoomMove::Quit);
    }
    Reply::now(&Done)
}

/// Tells the application who has come or gone.
#[cfg(feature = "outgoing")]
fn tell(services: &Services, group: GroupId, user: UserId, how: RoomMove) {
    let by = (user, Platform::Device);
    services
        .callbacks
        .moved((group, &[user]), how, by, services.now_ms());
}

fn check_entry(services: &Services, user: &UserId, group: GroupId) -> Result<(), Refusal> {
    let store = services.reads.store();
    if store.group(&group)?.is_none() {
        return Err(Refused::NoSuchGroup(group).into());
    }
    let until_ms = store.restriction(&group, user)?.banned_until_ms;
    if until_ms > services.now_ms() {
        let until_s = until_ms / 1000;
        let text = format!("you are banned from this group until {until_s} (unix time)");
        return Err(Refusal::new(ErrorCode::GROUP_PERMISSION_DENY, text));
    }
    Ok(())
}

/// Everything about the conversation of an AVChatRoom that the user is in.
pub(super) fn conversation(
    services: &Services,
    client: &ClientContext,
    conversation: ConversationId,
) -> Handled<GetConversationProfile> {
    let room = match conversation {
        ConversationId::Group(group) if services.presence.is_in(&group, &client.user()) => {
            services.reads.store().group(&group)?.filter(is_av_chat_room)
        }
        _ => None,
    };
    let Some(room) = room else {
        return Err(Refusal::new(ErrorCode::CONVERSATION_NOT_FOUND, ""));
    };
    Reply::now(
        &ConversationProfile::new(
            Conversation::new(conversation)
                .with_name(&room.name)
                .with_avatar(&room.avatar)
                .with_group_type(GroupType::AV_CHAT_ROOM)
                .with_receive_option(ReceiveOption::default()),
        )
        .with_group(groups::profile_for(services, &room, None, true)),
    )
}
