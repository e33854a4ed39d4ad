//! What users may do in groups, as the store and the rooms have it now.
//!
//! A right is checked when a message comes, and what is remembered of it may be used for that. A message that no log has then
//! waits, at its group's gate and in the live queue. Rights that are taken away meanwhile are seen by a count: it grows with
//! each change that takes one, before that is answered, and a message that was checked at another count is checked again
//! when it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tim_proto::{ErrorCode, GroupId, Role, UserId};

use crate::client_context::GroupMembership;
use crate::clock::Clock;
use crate::groups::GroupAction;
use crate::groups::rules::{Sender, TypeRules};
use crate::handlers::groups::refused;
use crate::presence::registry::PresenceRegistry;
use crate::refusal::Refusal;
use crate::store::{Refused, StoreReader};

pub(crate) struct Permissions {
    reader: Arc<dyn StoreReader>,
    presence: Arc<PresenceRegistry>,
    clock: Clock,
    taken: AtomicU64,
}

/// How often rights had been taken away when one was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckedAt(u64);

impl Permissions {
    pub(crate) fn new(reader: Arc<dyn StoreReader>, presence: Arc<PresenceRegistry>, clock: Clock) -> Self {
        Self {
            reader,
            presence,
            clock,
            taken: AtomicU64::new(0),
        }
    }

    /// To be asked before a right is checked, and before it is asked whether what is remembered of it is stale.
    pub(crate) fn now(&self) -> CheckedAt {
        CheckedAt(self.taken.load(Ordering::Acquire))
    }

    /// A right may have been taken away. To be called when what is remembered of it is marked stale, before the change is
    /// answered.
    pub(crate) fn take(&self) {
        self.taken.fetch_add(1, Ordering::AcqRel);
    }

    /// A user's standing in a group of the user's.
    pub(crate) fn place(&self, user: &UserId, group: GroupId) -> Result<GroupMembership, Refusal> {
        let edition = self.presence.edition(&group, user);
        let Some((found, membership)) = self.reader.group_and_membership(&group, user)? else {
            return Err(refused(Refused::NoSuchGroup(group)));
        };
        let rules = TypeRules::of_stored(found.group_type).map_err(refused)?;
        if let Some(membership) = membership {
            return Ok(GroupMembership {
                rules,
                role: membership.role,
                name_card: membership.name_card.into(),
                muted_until_ms: membership.muted_until_ms,
                mute_all: found.mute_all,
                edition,
            });
        }
        if rules.is_stored || !self.presence.is_in(&group, user) {
            return Err(refused(Refused::NotParticipant(*user)));
        }
        Ok(GroupMembership {
            rules,
            role: Role::MEMBER,
            name_card: Box::default(),
            muted_until_ms: self.reader.restriction(&group, user)?.muted_until_ms,
            mute_all: found.mute_all,
            edition,
        })
    }

    /// Whether a user who was allowed to write to those who are online in a group is allowed to still.
    pub(crate) fn may_still_write(
        &self,
        checked: CheckedAt,
        user: &UserId,
        group: GroupId,
        mention_all: bool,
    ) -> Result<(), Refusal> {
        let listed = self.presence.is_in(&group, user);
        // A sender that has disconnected sends again when it is back.
        if !listed && self.presence.devices(user).is_empty() {
            return Err(Refusal::new(ErrorCode::GROUP_PERMISSION_DENY, ""));
        }
        // The list of who is online in a group follows the store. A new member may not be in it yet, so the store decides.
        if listed && checked == self.now() {
            return Ok(());
        }
        let place = self.place(user, group)?;
        place.may_write(self.now_ms(), mention_all).map_err(refused)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }
}

impl GroupMembership {
    pub(crate) fn may_write(&self, now_ms: u64, mention_all: bool) -> Result<(), Refused> {
        let sender = Sender {
            role: self.role,
            muted_until_ms: self.muted_until_ms,
            mute_all: self.mute_all,
        };
        self.rules.may_send(&sender, mention_all, now_ms)
    }
}

/// Whether a change of a group can take away somebody's right to write in it.
pub(crate) const fn takes_rights(action: &GroupAction) -> bool {
    match action {
        GroupAction::Quit
        | GroupAction::Remove { .. }
        | GroupAction::SetMember { .. }
        | GroupAction::ChangeOwner { .. }
        | GroupAction::Update(_)
        | GroupAction::Dismiss
        | GroupAction::Ban { .. }
        | GroupAction::Reclaim => true,
        GroupAction::Join { .. }
        | GroupAction::HandleApplication { .. }
        | GroupAction::Invite { .. }
        | GroupAction::HandleInvitation { .. }
        | GroupAction::SetReceiveOption { .. }
        | GroupAction::Notify { .. } => false,
    }
}
