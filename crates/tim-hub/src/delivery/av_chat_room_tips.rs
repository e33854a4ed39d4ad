//! Tips to AVChatRooms about who came and who left. Nothing of them is stored.

use std::sync::Arc;

use tim_groups::rules::TypeRules;
use tim_groups::tips::{Announcer, MAX_NAMED, Tip};
use tim_groups::{Group, Refused};
use tim_proto::Priority;
use tim_proto::message::TipOperation;
use tim_store::{LogKey, StoreError};
use tracing::warn;

use super::live::{LiveQueue, live_delivery};
use crate::clock::Clock;
use crate::presence::{Moves, PresenceRegistry};
use crate::randoms::Randoms;
use crate::reads::Reads;

/// Tells AVChatRooms who came and who left.
#[derive(Clone)]
pub(crate) struct AvChatRoomTips {
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) reads: Reads,
    pub(crate) live: LiveQueue,
    pub(crate) randoms: Arc<Randoms>,
    pub(crate) clock: Clock,
}

impl AvChatRoomTips {
    /// Tells the AVChatRooms whose turn it is.
    pub(crate) fn turn(&self, now_ms: u64) {
        let due = self.presence.take_moves(now_ms);
        if due.is_empty() {
            return;
        }
        let tips = self.clone();
        self.reads.run_detached(None, move || {
            for moves in &due {
                if let Err(error) = tips.tell(moves) {
                    warn!(group = %moves.group, %error, "a room cannot be told who came");
                }
            }
        });
    }

    fn tell(&self, moves: &Moves) -> Result<(), StoreError> {
        let Some(group) = self.reads.store().group(&moves.group)? else {
            return Ok(());
        };
        let now_s = self.clock.wall_ms() / 1000;
        let Ok(announcer) = announcer(&group, now_s) else {
            return Ok(());
        };
        for (operation, users) in [
            (TipOperation::QUIT, &moves.left),
            (TipOperation::JOIN, &moves.joined),
        ] {
            if let Some(first) = users.first() {
                let tip = Tip::new(operation, *first, users, u64::from(moves.members));
                let book = self.reads.name_book(users.get(..MAX_NAMED).unwrap_or(users))?;
                let entry = announcer.tip(&tip, self.randoms.next(), &book);
                let delivery = live_delivery(&entry, now_s, Priority::LOWEST);
                // For those online; a hub that is too busy even for that continues without it.
                let _ = self.live.deliver(LogKey::Group(moves.group), delivery);
            }
        }
        Ok(())
    }
}

/// Writes the tips and notices of a group.
pub(crate) fn announcer(group: &Group, now_s: u64) -> Result<Announcer<'_>, Refused> {
    Ok(Announcer {
        group: group.group,
        name: &group.name,
        rules: TypeRules::of_stored(group.group_type)?,
        now_s,
    })
}
