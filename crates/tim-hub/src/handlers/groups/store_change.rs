//! Hands a change of a group to the store, and keeps the hub's memory in step with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tim_groups::{Authority, GroupAction, GroupCommand, GroupResponse};
use tim_proto::{GroupId, MemberResult, Priority, UserId};
use tim_store::{GroupChanged, LogKey, Write, WriteError, WriteResult, Written};

#[cfg(feature = "outgoing")]
use crate::callbacks::{AfterChange, Callbacks, Platform, RoomMove};
use crate::delivery::{LiveQueue, live_delivery};
use crate::permissions::{Permissions, revokes_permissions};
use crate::presence::PresenceRegistry;
use crate::service::Services;

/// Who changes a group, in whose right, and whether it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    pub(super) actor: UserId,
    pub(super) authority: Authority,
    pub(super) silent: bool,
    /// Whether the application is told by callbacks.
    #[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
    pub(super) told: bool,
}

impl By {
    /// A user, as far as the user's role permits it.
    pub(super) const fn user(actor: UserId) -> Self {
        Self {
            actor,
            authority: Authority::Role,
            silent: false,
            told: true,
        }
    }

    /// Where the change comes from.
    #[cfg(feature = "outgoing")]
    fn platform(self) -> Platform {
        let is_user = self.authority == Authority::Role && self.actor != UserId::SYSTEM;
        if is_user {
            Platform::Device
        } else {
            Platform::Server
        }
    }
}

/// Submits a change of a group to the store. `answered` is called by the fan-out when the change is durable and the hub's
/// memory, with who is in the group, is in step with it. `new_users` get accounts in the same transaction.
pub(super) fn submit_change(
    services: &Services,
    by: By,
    group: GroupId,
    action: GroupAction,
    new_users: Vec<UserId>,
    answered: impl FnOnce(WriteResult) + Send + 'static,
) -> Result<(), WriteError> {
    let By {
        actor,
        authority,
        silent,
        ..
    } = by;
    #[cfg(feature = "outgoing")]
    let after = match by.told {
        true => AfterChange::new(
            &services.callbacks,
            (actor, by.platform()),
            &action,
            services.options.group_policy(),
            services.now_ms(),
        ),
        false => None,
    };
    let follow_up = FollowUp {
        presence: Arc::clone(&services.presence),
        live: services.live.clone(),
        group,
        time: services.now_ms() / 1000,
        concerns: Concerns::of(&action, by),
        permissions: revokes_permissions(&action).then(|| Arc::clone(&services.permissions)),
        #[cfg(feature = "outgoing")]
        callbacks: services.callbacks.clone(),
        #[cfg(feature = "outgoing")]
        by: (actor, by.platform()),
    };
    let command = GroupCommand {
        group,
        actor,
        random: services.randoms.next(),
        authority,
        silent,
        policy: services.options.group_policy(),
        live_members: av_chat_room_members_after(&services.presence, &group, &action, actor),
        action,
    };
    let write = Write::WithAccounts {
        users: new_users,
        write: Box::new(Write::ChangeGroup(Box::new(command))),
    };
    let fanout = services.fanout.clone();
    services.writer.submit(write, move |answer| {
        if let Ok(Written::GroupChanged(changed)) = &answer {
            follow_up.apply(changed);
        }
        fanout.answer(answer, move |answer| {
            #[cfg(feature = "outgoing")]
            if let (Some(after), Ok(Written::GroupChanged(changed))) = (&after, &answer) {
                changed.delta.iter().for_each(|delta| after.changed(delta));
            }
            answered(answer);
        });
    })
}

/// How many are in an AVChatRoom, without those of them who are now banned.
fn av_chat_room_members_after(
    presence: &PresenceRegistry,
    group: &GroupId,
    action: &GroupAction,
    actor: UserId,
) -> u32 {
    let members = presence.av_chat_room_members(group);
    let GroupAction::Ban {
        users, seconds: 1.., ..
    } = action
    else {
        return members;
    };
    let users: BTreeSet<UserId> = users.iter().copied().collect();
    let gone = users
        .iter()
        .filter(|user| **user != actor && presence.is_in(group, user));
    members.saturating_sub(u32::try_from(gone.count()).unwrap_or(u32::MAX))
}

/// What of the hub's memory a change concerns.
enum Concerns {
    /// The memberships of these users.
    Users(Vec<UserId>),
    /// All memberships.
    Everybody,
    /// The users who have to leave if the group is an AVChatRoom.
    Banned,
    /// The whole group, which is dismissed.
    Group,
}

impl Concerns {
    fn of(action: &GroupAction, by: By) -> Self {
        let actor = by.actor;
        match action {
            // The owner before is not known here.
            GroupAction::ChangeOwner { .. } if by.authority == Authority::Administrator => Self::Everybody,
            GroupAction::MuteMembers { users, .. } => Self::Users(users.clone()),
            GroupAction::Edit(edit) => Self::Users(vec![edit.user]),
            GroupAction::SetMember { user, .. } => Self::Users(vec![*user]),
            GroupAction::ChangeOwner { owner } => Self::Users(vec![*owner, actor]),
            GroupAction::Remove { users, .. } => Self::Users(users.clone()),
            GroupAction::Quit => Self::Users(vec![actor]),
            GroupAction::Update(update) if update.mute_all.is_some() => Self::Everybody,
            GroupAction::Ban { seconds: 1.., .. } => Self::Banned,
            GroupAction::Dismiss | GroupAction::Reclaim => Self::Group,
            _ => Self::Users(Vec::new()),
        }
    }
}

/// What follows in the hub's memory from a change that is durable.
struct FollowUp {
    presence: Arc<PresenceRegistry>,
    live: LiveQueue,
    group: GroupId,
    time: u64,
    concerns: Concerns,
    /// If the change can revoke any.
    permissions: Option<Arc<Permissions>>,
    #[cfg(feature = "outgoing")]
    callbacks: Callbacks,
    /// Who makes the change, and where it comes from.
    #[cfg(feature = "outgoing")]
    by: (UserId, Platform),
}

impl FollowUp {
    /// Tells the application of those who were in an AVChatRoom and are banned.
    #[cfg(feature = "outgoing")]
    fn left_room(&self, users: &[UserId]) {
        let (group, now_ms) = (self.group, self.time.saturating_mul(1000));
        self.callbacks
            .moved((group, users), RoomMove::Kicked, self.by, now_ms);
    }

    #[cfg(not(feature = "outgoing"))]
    #[allow(clippy::unused_self)]
    const fn left_room(&self, _: &[UserId]) {}

    fn apply(&self, changed: &GroupChanged) {
        match (&self.concerns, &changed.response) {
            (Concerns::Users(users), _) => users.iter().for_each(|user| self.presence.invalidate(user)),
            (Concerns::Everybody, _) => self.presence.advance_epoch(&self.group),
            (Concerns::Banned, GroupResponse::Members(results)) => {
                let removed = results
                    .iter()
                    .filter(|(_, result)| *result == MemberResult::REMOVED)
                    .map(|(user, _)| *user);
                let left = |user: &UserId| self.presence.leave_av_chat_room_silently(self.group, user);
                self.left_room(&removed.filter(left).collect::<Vec<_>>());
            }
            (Concerns::Banned | Concerns::Group, _) => {}
        }
        if let Some(permissions) = &self.permissions {
            permissions.advance();
        }
        for entry in &changed.live {
            // For those online; a hub that is too busy even for that continues without it.
            let delivery = live_delivery(entry, self.time, Priority::HIGH);
            let _ = self.live.deliver(LogKey::Group(self.group), delivery);
        }
        // Behind what is still to be delivered. Looked up now: it may have been made since the request arrived.
        if matches!(self.concerns, Concerns::Group) && self.presence.is_av_chat_room(&self.group) {
            self.live.dismiss(self.group);
        }
    }
}
