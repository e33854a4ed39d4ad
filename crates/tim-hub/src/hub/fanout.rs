//! From the store's commits to the devices that are online.
//!
//! A thread of its own, so that a message to a large group does not hold up the writer. It never touches a socket: it
//! puts references to the same bytes into mailboxes.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tracing::warn;

use super::encode;
use super::online::{Delivery, Online};
use crate::store::{LogKey, Published, StoreReader};

/// Hands out what the store publishes until the store is closed.
pub(super) fn run(published: &Receiver<Vec<Published>>, online: &Online, reader: &dyn StoreReader) {
    while let Ok(batch) = published.recv() {
        for Published { log, entry, roster } in batch {
            if let Some(roster) = roster {
                let group = roster.group;
                match reader.members(&group) {
                    Ok(members) => online.regroup(group, members.iter().map(|member| member.account.user)),
                    Err(error) => {
                        warn!(%group, %error, "members cannot be read; live push of this group may lack some")
                    }
                }
            }
            deliver(online, &log, &Arc::new(encode::delivery(&entry)));
        }
    }
}

/// Puts a delivery into the mailboxes of those whom it concerns.
pub(super) fn deliver(online: &Online, log: &LogKey, delivery: &Arc<Delivery>) {
    match log {
        LogKey::Group(group) => online
            .group(group)
            .iter()
            .for_each(|device| device.deliver(delivery)),
        LogKey::System(user) => online
            .devices(user)
            .iter()
            .for_each(|device| device.deliver(delivery)),
        LogKey::C2c(pair) => {
            let (one, other) = pair.users();
            online
                .devices(&one)
                .iter()
                .for_each(|device| device.deliver(delivery));
            if other != one {
                online
                    .devices(&other)
                    .iter()
                    .for_each(|device| device.deliver(delivery));
            }
        }
    }
}
