//! Changing groups. The store decides, in one step with the tips and notices; what is left for the hub is to keep in step
//! what it has in memory, and to tell AVChatRooms, of which nothing is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use tim_proto::message::{Envelope, MessageFlags};
use tim_proto::request::ConversationChange;
use tim_proto::wire::{FrameKind, encoded_len};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MemberResult, Priority, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::delivery::live::LiveQueue;
use crate::device::{Answered, Delivery, Device, Outcome};
use crate::encoding as encode;
use crate::groups::{GroupAction, GroupCommand, GroupResponse};
use crate::handlers::groups::refused;
use crate::handlers::requests::ANSWER_OVERHEAD;
use crate::permissions::{Permissions, takes_rights};
use crate::presence::registry::PresenceRegistry;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{
    Group, GroupChanged, LogKey, Refused, SystemEntry, Write, WriteError, WriteResult, Written,
};

/// To whom of a group something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// All members; in an AVChatRoom those who are in it now.
    Everybody,
    /// These members; who is none is left out.
    Users(&'a [UserId]),
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Has the store change a group, or what is not its business, changes it here.
    pub(crate) fn change_group(
        &mut self,
        id: u32,
        kind: FrameKind,
        device: &Arc<Device>,
        group: GroupId,
        action: GroupAction,
    ) -> Result<(), Refusal> {
        self.fits(&action)?;
        let hub = Arc::clone(&self.hub);
        let standing = hub.reader.group_and_membership(&group, &device.user)?;
        let (found, membership) = standing.map_or((None, None), |(found, me)| (Some(found), me));
        // Only who owns the group can end it.
        let owned = found.as_ref().filter(|group| group.owner == device.user);
        hub.presence
            .may_send(&device.user, hub.steady_ms(), cost(&action, owned))?;
        let is_room = found.as_ref().is_some_and(is_room);
        match action {
            GroupAction::Join { .. } if is_room => return self.join_room(id, device, group),
            GroupAction::Quit if is_room && membership.is_none() => {
                return self.quit_room(id, device, group);
            }
            GroupAction::Invite { ref users, .. } if membership.is_some() => hub.introduce(users)?,
            _ => {}
        }
        let is_option = matches!(action, GroupAction::SetReceiveOption { .. });
        let answered = {
            let (device, presence) = (Arc::clone(device), Arc::clone(&hub.presence));
            move |answer: WriteResult| {
                if is_option && answer.is_ok() {
                    tell_to_ask(&presence, &device, group);
                }
                device.answer(Answered {
                    request: id,
                    kind,
                    log: Some(LogKey::Group(group)),
                    group: Some(group),
                    outcome: Outcome::Store(answer),
                });
            }
        };
        let submitted = hub.change_group(device.user, group, action, answered);
        submitted.map_err(|error| Refusal::from(&error))
    }

    /// Caps the list of users, and sees to it that the answer can be given.
    fn fits(&mut self, action: &GroupAction) -> Result<(), Refusal> {
        let (GroupAction::Invite { users, .. }
        | GroupAction::Remove { users, .. }
        | GroupAction::Ban { users, .. }) = action
        else {
            return Ok(());
        };
        let most = self.hub.options.limits.members_per_call() as usize;
        if users.len() > most {
            let text = format!("{} users, at most {most} are taken at once", users.len());
            return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
        }
        let answer: usize = users.iter().map(|user| encoded_len(user).saturating_add(1)).sum();
        if answer.saturating_add(ANSWER_OVERHEAD) > self.max_answer() {
            return Err(Refusal::new(
                ErrorCode::FRAME_TOO_LARGE,
                "the answer about so many users would be larger than you take; ask for fewer at once",
            ));
        }
        Ok(())
    }
}

/// How many messages it is worth: as many as the users whom it concerns. `owned` is the group, if it is the user's own.
fn cost(action: &GroupAction, owned: Option<&Group>) -> u32 {
    let users = match action {
        GroupAction::Invite { users, .. }
        | GroupAction::Remove { users, .. }
        | GroupAction::Ban { users, .. } => users.len() as u64,
        GroupAction::Dismiss => owned.map_or(1, |group| group.member_count),
        _ => 1,
    };
    u32::try_from(users.max(1)).unwrap_or(u32::MAX)
}

pub(crate) fn is_room(group: &Group) -> bool {
    group.group_type == GroupType::AV_CHAT_ROOM
}

impl Services {
    /// Where registration is open, whoever is invited has an account.
    fn introduce(&self, users: &[UserId]) -> Result<(), Refusal> {
        if !self.options.open_registration {
            return Ok(());
        }
        let users = users
            .iter()
            .copied()
            .filter(|user| *user != UserId::SYSTEM && user.is_well_formed())
            .collect();
        let submitted = self.writer.submit(Write::EnsureAccounts(users), |_| ());
        submitted.map_err(|error| Refusal::from(&error))
    }

    /// Hands a change of a group to the store. `answered` is called on the writer's thread when it is durable and what the
    /// hub has in memory is in step with it.
    fn change_group(
        &self,
        actor: UserId,
        group: GroupId,
        action: GroupAction,
        answered: impl FnOnce(WriteResult) + Send + 'static,
    ) -> Result<(), WriteError> {
        let aftermath = Aftermath {
            presence: Arc::clone(&self.presence),
            live: self.live.clone(),
            group,
            time: self.now_ms() / 1000,
            about: About::of(&action, actor),
            permissions: takes_rights(&action).then(|| Arc::clone(&self.permissions)),
        };
        let command = GroupCommand {
            group,
            actor,
            random: self.next_random(),
            policy: self.options.group_policy(),
            live_members: self.room_members_after(&group, &action, actor),
            action,
        };
        self.writer
            .submit(Write::ChangeGroup(Box::new(command)), move |answer| {
                if let Ok(Written::GroupChanged(changed)) = &answer {
                    aftermath.follow(changed);
                }
                answered(answer);
            })
    }

    /// How many are in a room, without those of them who are now banned.
    fn room_members_after(&self, group: &GroupId, action: &GroupAction, actor: UserId) -> u32 {
        let members = self.presence.room_members(group);
        let GroupAction::Ban {
            users, seconds: 1.., ..
        } = action
        else {
            return members;
        };
        let users: BTreeSet<UserId> = users.iter().copied().collect();
        let gone = users
            .iter()
            .filter(|user| **user != actor && self.presence.is_in(group, user));
        members.saturating_sub(u32::try_from(gone.count()).unwrap_or(u32::MAX))
    }

    /// Ends a group in the service's name (notice 11).
    pub(crate) async fn reclaim_group(&self, group: GroupId) -> Result<(), WriteError> {
        self.as_system(group, GroupAction::Reclaim).await
    }

    /// Tells members of a group something in the application's name (notice 255).
    pub(crate) async fn notify_group(
        &self,
        group: GroupId,
        audience: Audience<'_>,
        text: &str,
    ) -> Result<(), WriteError> {
        let found = self.reader.group(&group)?.ok_or(Refused::NoSuchGroup(group))?;
        if let Audience::Users(users) = audience
            && users.len() > self.options.limits.receivers() as usize
        {
            return Err(Refused::BadValue("more users are named than one notice can have").into());
        }
        if is_room(&found) {
            return self.notify_room(&found, audience, text);
        }
        let users = match audience {
            Audience::Everybody => Vec::new(),
            Audience::Users([]) => return Ok(()),
            Audience::Users(users) => users.to_vec(),
        };
        let text = text.to_owned();
        self.as_system(group, GroupAction::Notify { users, text }).await
    }

    async fn as_system(&self, group: GroupId, action: GroupAction) -> Result<(), WriteError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.change_group(UserId::SYSTEM, group, action, move |answer| {
            // Whoever asked may have gone.
            let _ = tell.send(answer);
        })?;
        told.await.unwrap_or(Err(WriteError::Closed)).map(|_| ())
    }
}

/// What of the hub's memory a change concerns.
enum About {
    /// The standing of these users.
    Users(Vec<UserId>),
    /// Everybody's.
    Everybody,
    /// Who is to go if it is an AVChatRoom.
    Banned,
    /// The whole group, which is no more.
    End,
}

impl About {
    fn of(action: &GroupAction, actor: UserId) -> Self {
        match action {
            GroupAction::SetMember { user, .. } => Self::Users(vec![*user]),
            GroupAction::ChangeOwner { owner } => Self::Users(vec![*owner, actor]),
            GroupAction::Remove { users, .. } => Self::Users(users.clone()),
            GroupAction::Quit => Self::Users(vec![actor]),
            GroupAction::Update(update) if update.mute_all.is_some() => Self::Everybody,
            GroupAction::Ban { seconds: 1.., .. } => Self::Banned,
            GroupAction::Dismiss | GroupAction::Reclaim => Self::End,
            _ => Self::Users(Vec::new()),
        }
    }
}

/// What follows a change that is durable.
struct Aftermath {
    presence: Arc<PresenceRegistry>,
    live: LiveQueue,
    group: GroupId,
    time: u64,
    about: About,
    /// If the change can take any away.
    permissions: Option<Arc<Permissions>>,
}

impl Aftermath {
    fn follow(&self, changed: &GroupChanged) {
        match &self.about {
            About::Users(users) => {
                for user in users {
                    self.presence
                        .devices(user)
                        .iter()
                        .for_each(|device| device.forget());
                }
            }
            About::Everybody => self.presence.renew(&self.group),
            About::Banned if let GroupResponse::Members(results) = &changed.response => {
                let gone = results
                    .iter()
                    .filter(|(_, result)| *result == MemberResult::REMOVED);
                gone.for_each(|(user, _)| self.presence.slip_out(self.group, user));
            }
            About::Banned | About::End => {}
        }
        if let Some(permissions) = &self.permissions {
            permissions.take();
        }
        for prepared in &changed.live {
            // For those who are there; a hub that is too busy even for that goes on without it.
            let delivery = Arc::new(live(prepared, self.time, Priority::HIGH));
            let _ = self.live.deliver(LogKey::Group(self.group), delivery);
        }
        // Behind what the room is still to be told. Asked now: it may have been made since the request came.
        if matches!(self.about, About::End) && self.presence.is_room(&self.group) {
            self.live.dismiss(self.group);
        }
    }
}

/// What the hub says to those who are online.
pub(crate) fn live(prepared: &SystemEntry, time: u64, priority: Priority) -> Delivery {
    let envelope = Envelope {
        sequence: 0,
        time,
        flags: MessageFlags::ONLINE_ONLY,
        origin: 0,
        from: UserId::SYSTEM,
    };
    let message = encode::enveloped(&envelope, &prepared.content);
    Delivery::live(UserId::SYSTEM, 0, priority, message)
}

impl From<Refused> for Refusal {
    fn from(error: Refused) -> Self {
        refused(error)
    }
}

/// What counts in the user's total has changed: the user's other devices are to ask for the list.
fn tell_to_ask(presence: &PresenceRegistry, device: &Arc<Device>, group: GroupId) {
    for other in presence.devices(&device.user) {
        if !Arc::ptr_eq(&other, device) {
            other.change(ConversationChange {
                conversation: ConversationId::Group(group),
                unread: 0,
                read_sequence: 0,
                counted: 0,
                deleted_through: 0,
            });
        }
    }
}
