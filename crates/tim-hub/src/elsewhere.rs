//! What other hubs on the same database have written, and what they say.

use std::sync::Arc;

use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, ErrorCode};
use tim_store::{Bus, BusEvent, Change, Elsewhere, Published, Writer};
use tokio::runtime::Handle;
use tracing::{debug, warn};

use crate::delivery::LiveQueue;
use crate::permissions::Permissions;
use crate::presence::{Consequence, PresenceRegistry, Said, To};
use crate::push::Push;
use crate::retention::Announcer;

/// What of a hub's memory follows the other hubs.
pub(crate) struct Follower {
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) announcer: Arc<Announcer>,
    pub(crate) live: LiveQueue,
    pub(crate) push: Push,
}

impl Follower {
    /// Follows what other hubs have written. `publish` is for entries.
    pub(crate) fn follow(&self, elsewhere: Vec<Elsewhere>, mut publish: impl FnMut(Vec<Published>)) {
        let mut published = Vec::new();
        for one in elsewhere {
            match one {
                Elsewhere::Published(one) => published.push(one),
                Elsewhere::Changed(change) => {
                    if !published.is_empty() {
                        publish(std::mem::take(&mut published));
                    }
                    self.change(change);
                }
                Elsewhere::Missed => {
                    published.clear();
                    begin_again(
                        &self.presence,
                        &self.permissions,
                        "what other hubs have written is missing here",
                    );
                }
            }
        }
        if !published.is_empty() {
            publish(published);
        }
    }

    fn change(&self, change: Change) {
        let presence = &self.presence;
        match change {
            Change::Read {
                user,
                log,
                read_sequence,
                unread,
                counted,
                deleted_through,
            } => {
                let Some(conversation) = log.seen_by(&user) else {
                    return;
                };
                let change = ConversationChange::new(conversation)
                    .with_unread(u32::try_from(unread).unwrap_or(u32::MAX))
                    .with_read_sequence(read_sequence)
                    .with_counted(counted)
                    .with_deleted_through(deleted_through);
                presence
                    .devices(&user)
                    .iter()
                    .for_each(|device| device.change(change));
            }
            Change::Sessions { user, before_s } => {
                for device in presence.devices(&user) {
                    // A device that has logged in since has shown a UserSig that is good.
                    if before_s.is_none_or(|before_s| device.issued_s() < before_s) {
                        device.close(ErrorCode::KICKED_OUT_REST_API);
                    }
                }
            }
            Change::User(user) => presence.invalidate(&user),
            Change::Permissions(group) => {
                presence.advance_epoch(&group);
                self.permissions.advance();
            }
            Change::Banned(group, users) => {
                if presence.is_av_chat_room(&group) {
                    for user in users {
                        presence.leave_av_chat_room_silently(group, &user);
                    }
                }
            }
            Change::Dismissed(group) => {
                if presence.is_av_chat_room(&group) {
                    self.live.dismiss(group);
                }
            }
            Change::Counts(group) => {
                let change = ConversationChange::new(ConversationId::Group(group));
                presence
                    .group(&group)
                    .iter()
                    .for_each(|device| device.change(change));
            }
            Change::Purged(purged) => Arc::clone(&self.announcer).announce(vec![purged]),
            Change::Push {
                user,
                platform,
                pushed,
            } => self.push.registered(platform, user, pushed),
        }
    }
}

/// Commits were made of which nobody here was told: who has come into a group or left it, what was revoked or read, what is to be
/// delivered. Everybody begins again, from the store.
pub(crate) fn begin_again(presence: &PresenceRegistry, permissions: &Permissions, why: &str) {
    warn!("{why}; all devices have to log in again");
    permissions.advance();
    for device in presence.all() {
        device.begin_again();
    }
}

/// What takes what comes over the bus. It owns queues of workers, so it ends before they do.
pub(crate) struct Listener {
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) live: LiveQueue,
    pub(crate) push: Push,
    pub(crate) writer: Arc<Writer>,
    /// Where tasks are spawned, if there is one.
    pub(crate) runtime: Option<Handle>,
}

impl Listener {
    /// Listens to the bus for as long as this is kept.
    pub(crate) fn listen(self, bus: &Arc<dyn Bus>) -> Arc<Self> {
        self.presence.others().set_bus(Arc::clone(bus));
        self.push.wait_for_lead();
        let listener = Arc::new(self);
        let heard = Arc::downgrade(&listener);
        bus.receive(Box::new(move |event| {
            if let Some(listener) = heard.upgrade() {
                listener.take(event);
            }
        }));
        listener
    }

    fn take(&self, event: BusEvent<'_>) {
        let others = self.presence.others();
        match event {
            BusEvent::Wrote => self.writer.look(),
            BusEvent::Connected => {
                others.tell();
                others.ask();
            }
            BusEvent::Hubs { own, others: hubs } => {
                if others.hubs(hubs) {
                    others.tell();
                }
                // The oldest one notifies for all.
                let _entered = self.runtime.as_ref().map(Handle::enter);
                match hubs.iter().all(|other| own < *other) {
                    true => self.push.lead(),
                    false => self.push.step_down(),
                }
            }
            BusEvent::Message { from, message } => match Said::decoded(message) {
                Some(said) => hear(from, said, &self.presence, &self.live),
                None => debug!(from, "what another hub says is not understood"),
            },
        }
    }
}

/// Hears what another hub says.
fn hear(from: u64, said: Said, presence: &PresenceRegistry, live: &LiveQueue) {
    let others = presence.others();
    match said {
        Said::WhoIsThere => others.tell(),
        Said::Anew => others.forget(from),
        Said::Entered(logins) => {
            for login in logins {
                let (user, (device, reason)) = match others.entered_elsewhere(from, &login) {
                    Some((user, Consequence::Replaced(device))) => {
                        (user, (device, ErrorCode::SESSION_REPLACED))
                    }
                    Some((user, Consequence::TooMany(device))) => {
                        (user, (device, ErrorCode::KICKED_OUT_MULT_DEVICE))
                    }
                    None => continue,
                };
                presence.close_device(&user, device, reason);
            }
        }
        Said::Left(login) => others.left_elsewhere(from, &login),
        Said::Live(message) => {
            if let Some((to, delivery)) = message.delivery() {
                // A hub that is too busy even for that continues without it.
                let _ = match to {
                    To::Log(log) => live.deliver_here(log, delivery),
                    To::Users(users) => live.deliver_here_to(users, delivery),
                };
            }
        }
        Said::Room {
            group,
            user,
            has_joined,
        } => presence.moved_elsewhere(&group, &user, has_joined),
        Said::Members { group, members } => others.members_there(from, &group, members),
    }
}
