//! What users may do in groups, by the store and by who is in an AVChatRoom.
//!
//! A permission is checked when a message arrives, maybe against a cached membership. A message that is not stored then
//! waits, in its group's queue and in the live queue. Permissions that are revoked meanwhile are noticed by a generation: it
//! advances with each change that revokes some, before the change is answered, and a message that was checked in an earlier
//! generation is checked again when it is delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tim_groups::rules::{Sender, TypeRules};
use tim_groups::{GroupAction, Refused};
use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, GroupId, Role, UserId};

use crate::clock::Clock;
use crate::presence::PresenceRegistry;
use crate::reads::Reads;
use crate::refusal::Refusal;

/// Checks permissions.
pub(crate) struct Permissions {
    reads: Reads,
    presence: Arc<PresenceRegistry>,
    clock: Clock,
    generation: AtomicU64,
}

/// How often permissions had been revoked when one was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// What decides what a user may do in a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMembership {
    pub(crate) rules: &'static TypeRules,
    sender: Sender,
    pub(crate) name_card: Box<str>,
    /// The group's [epoch](PresenceRegistry::epoch) before all this was read.
    pub(crate) epoch: Option<u64>,
}

impl Permissions {
    pub(crate) const fn new(reads: Reads, presence: Arc<PresenceRegistry>, clock: Clock) -> Self {
        Self {
            reads,
            presence,
            clock,
            generation: AtomicU64::new(0),
        }
    }

    /// The generation. To be read before a permission is checked, and before a cached membership is tested for being stale.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// A permission may have been revoked. To be called after caches of it are marked stale, before the change is answered.
    pub(crate) fn advance(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The membership of a user in a group of the user's. Reads the store.
    pub(crate) fn membership(&self, user: &UserId, group: GroupId) -> Result<GroupMembership, Refusal> {
        let store = self.reads.store();
        let epoch = self.presence.epoch(&group, user);
        let Some((found, membership)) = store.group_and_membership(&group, user)? else {
            return Err(Refused::NoSuchGroup(group).into());
        };
        let rules = TypeRules::of_stored(found.group_type)?;
        if let Some(membership) = membership {
            return Ok(GroupMembership {
                rules,
                sender: Sender {
                    role: membership.role,
                    muted_until_ms: membership.muted_until_ms,
                    mute_all: found.mute_all,
                },
                name_card: membership.name_card.into(),
                epoch,
            });
        }
        if rules.is_stored || !self.presence.is_in(&group, user) {
            return Err(Refused::NotParticipant(*user).into());
        }
        Ok(GroupMembership {
            rules,
            sender: Sender {
                role: Role::MEMBER,
                muted_until_ms: store.restriction(&group, user)?.muted_until_ms,
                mute_all: found.mute_all,
            },
            name_card: Box::default(),
            epoch,
        })
    }

    /// Whether a user who was permitted to write to those online in a group still is. May read the store.
    pub(crate) fn may_still_write(
        &self,
        checked: Generation,
        user: &UserId,
        group: GroupId,
        mention_all: bool,
    ) -> Result<(), Refusal> {
        if planted::is(Fault::WaitingNotCheckedAgain) {
            return Ok(());
        }
        let is_listed = self.presence.is_in(&group, user);
        // A sender that has disconnected sends again when it is back.
        if !is_listed && !self.presence.is_online(user) {
            return Err(Refusal::new(ErrorCode::GROUP_PERMISSION_DENY, ""));
        }
        // Presence follows the store. It may not list a new member yet, so the store decides.
        if is_listed && checked == self.generation() {
            return Ok(());
        }
        let membership = self.membership(user, group)?;
        Ok(membership.may_write(self.clock.wall_ms(), mention_all)?)
    }
}

impl GroupMembership {
    pub(crate) fn may_write(&self, now_ms: u64, mention_all: bool) -> Result<(), Refused> {
        self.rules.may_send(&self.sender, mention_all, now_ms)
    }
}

/// Whether a change of a group can revoke a user's permission to write in it.
pub(crate) const fn revokes_permissions(action: &GroupAction) -> bool {
    match action {
        GroupAction::Quit
        | GroupAction::Remove { .. }
        | GroupAction::SetMember { .. }
        | GroupAction::ChangeOwner { .. }
        | GroupAction::Update(_)
        | GroupAction::Dismiss
        | GroupAction::Ban { .. }
        | GroupAction::MuteMembers { .. }
        | GroupAction::Edit(_)
        | GroupAction::Reclaim => true,
        GroupAction::Join { .. }
        | GroupAction::HandleApplication { .. }
        | GroupAction::Invite { .. }
        | GroupAction::HandleInvitation { .. }
        | GroupAction::SetReceiveOption { .. }
        | GroupAction::Add { .. }
        | GroupAction::SetAttributes { .. }
        | GroupAction::Notify { .. } => false,
    }
}
