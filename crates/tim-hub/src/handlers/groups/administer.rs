//! What administrators of the application do to groups: the store decides, and the hub's memory follows, as with what members do.

use std::sync::Arc;

use tim_groups::{Authority, CreateGroup, GroupAction, GroupResponse};
use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, GroupId, GroupType, UserId};
use tim_store::{Group, Write, WriteError, WriteResult, Written};
use tokio::sync::oneshot;

use super::store_change::{By, submit_change};
use super::system::{Audience, notify_av_chat_room};
#[cfg(feature = "outgoing")]
use crate::callbacks::{AfterCreate, Platform};
use crate::presence::PresenceRegistry;
use crate::service::Services;

/// What an administrator wants done in a group.
#[derive(Debug)]
pub(crate) struct Administered {
    /// The administrator, whom tips and notices name. The account is made if there is none.
    pub(crate) admin: UserId,
    pub(crate) group: GroupId,
    /// Whether nobody is told.
    pub(crate) silent: bool,
    /// Whether the application is told by callbacks.
    #[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
    pub(crate) told: bool,
    pub(crate) action: GroupAction,
}

/// Changes a group in an administrator's right.
pub(crate) async fn administer(
    services: &Services,
    change: Administered,
) -> Result<GroupResponse, WriteError> {
    let by = By {
        actor: change.admin,
        authority: Authority::Administrator,
        silent: change.silent,
        told: change.told,
    };
    let (answer, written) = oneshot::channel();
    let accounts = vec![change.admin];
    submit_change(services, by, change.group, change.action, accounts, sends(answer))?;
    match written.await.unwrap_or(Err(WriteError::Closed))? {
        Written::GroupChanged(changed) => Ok(changed.response),
        _ => Ok(GroupResponse::Done),
    }
}

/// The caller may have gone.
fn sends(answer: oneshot::Sender<WriteResult>) -> impl FnOnce(WriteResult) + Send + 'static {
    move |result| drop(answer.send(result))
}

/// Creates a group that was prepared, for an administrator. Its owner is in a new AVChatRoom if the owner is online.
pub(crate) async fn create_prepared(
    services: &Services,
    admin: UserId,
    create: CreateGroup,
) -> Result<(), WriteError> {
    #[cfg(feature = "outgoing")]
    let after = AfterCreate::new(
        &services.callbacks,
        admin,
        Platform::Server,
        &create.group,
        services.now_ms(),
    );
    #[cfg(not(feature = "outgoing"))]
    let _ = admin;
    let (group, owner) = (create.group.group, create.group.owner);
    let is_room = create.group.group_type == GroupType::AV_CHAT_ROOM;
    let presence = Arc::clone(&services.presence);
    let fanout = services.fanout.clone();
    let (answer, written) = oneshot::channel();
    let write = Write::CreateGroup(Box::new(create));
    services.writer.submit(write, move |result| {
        if is_room && matches!(result, Ok(Written::Group { created: true })) && presence.is_online(&owner) {
            presence.enter_av_chat_room(group, &owner);
        }
        #[cfg(feature = "outgoing")]
        if matches!(result, Ok(Written::Group { created: true })) {
            after.into_iter().for_each(AfterCreate::created);
        }
        fanout.answer(result, sends(answer));
    })?;
    written.await.unwrap_or(Err(WriteError::Closed)).map(|_| ())
}

/// Sends those who are in an AVChatRoom a notice of the application (255), in an administrator's name.
pub(crate) fn notify_room(
    services: &Services,
    admin: UserId,
    room: &Group,
    text: &str,
) -> Result<(), WriteError> {
    notify_av_chat_room(services, admin, room, Audience::Everybody, text)
}

/// Tells a user's devices to ask for the list of conversations: what is unread or counted in a group has changed.
pub(crate) fn tell_list_changed(presence: &PresenceRegistry, user: &UserId, group: GroupId) {
    let change = ConversationChange::new(ConversationId::Group(group));
    for device in presence.devices(user) {
        device.change(change);
    }
}
