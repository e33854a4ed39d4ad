//! Connections on which nobody is logged in, any of which can be dropped for a newer one.
//!
//! The network that has most of them loses one, so that a flood drops itself. First goes its oldest that has not logged in. If all
//! have, it is the newest: the others are closer to their turn. All operations take logarithmic time: a flood is when they are needed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::task::AbortHandle;

use super::network::Network;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has not logged in.
    Silent,
    /// Its login waits for its turn.
    LoggingIn,
    /// Somebody is logged in: it is not dropped.
    LoggedIn,
}

/// The connections of a class.
#[derive(Debug, Default)]
pub(super) struct Droppable {
    /// By number, which is their age.
    connections: BTreeMap<u64, Connection>,
    networks: HashMap<Option<Network>, OfNetwork>,
    /// The networks with connections that can be dropped; the last one is the next to lose one.
    ranks: BTreeSet<(Rank, Option<Network>)>,
    dropped: u64,
}

#[derive(Debug)]
struct Connection {
    network: Option<Network>,
    progress: Progress,
    /// To end it. `None` before its task is known.
    task: Option<AbortHandle>,
}

/// The connections of a network that can be dropped.
#[derive(Debug, Default)]
struct OfNetwork {
    silent: BTreeSet<u64>,
    logging_in: BTreeSet<u64>,
}

/// How many a network has, and which of them goes first: of networks with as many, the one with the oldest loses it.
type Rank = (usize, Reverse<u64>);

impl OfNetwork {
    fn of(&mut self, progress: Progress) -> Option<&mut BTreeSet<u64>> {
        match progress {
            Progress::Silent => Some(&mut self.silent),
            Progress::LoggingIn => Some(&mut self.logging_in),
            Progress::LoggedIn => None,
        }
    }

    fn rank(&self) -> Option<Rank> {
        let first = self.silent.first().or_else(|| self.logging_in.last())?;
        Some((self.silent.len() + self.logging_in.len(), Reverse(*first)))
    }
}

impl Droppable {
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// How many have been dropped.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn insert(&mut self, number: u64, network: Option<Network>) {
        let connection = Connection {
            network,
            progress: Progress::Silent,
            task: None,
        };
        self.connections.insert(number, connection);
        self.change(network, |of| _ = of.silent.insert(number));
    }

    /// A connection has come so far; whether it is still there.
    pub(super) fn progress(&mut self, number: u64, progress: Progress) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else {
            return false;
        };
        let before = std::mem::replace(&mut connection.progress, progress);
        let network = connection.network;
        self.change(network, |of| {
            of.of(before).map(|those| those.remove(&number));
            of.of(progress).map(|those| those.insert(number));
        });
        true
    }

    /// The task of a connection is known; whether it is still there.
    pub(super) fn set_task(&mut self, number: u64, task: &AbortHandle) -> bool {
        let connection = self.connections.get_mut(&number);
        connection
            .map(|connection| connection.task = Some(task.clone()))
            .is_some()
    }

    /// A connection is none of these any more; whether it was.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let is_there = self.progress(number, Progress::LoggedIn);
        self.connections.remove(&number);
        is_there
    }

    /// Drops one, if any can be. Its task is to be aborted, if that is known already.
    pub(super) fn drop_one(&mut self) -> Option<Option<AbortHandle>> {
        let ((_, Reverse(number)), _) = *self.ranks.last()?;
        self.progress(number, Progress::LoggedIn);
        self.dropped += 1;
        let connection = self.connections.remove(&number)?;
        Some(connection.task)
    }

    /// Changes what is counted of a network. One without connections is forgotten.
    fn change(&mut self, network: Option<Network>, change: impl FnOnce(&mut OfNetwork)) {
        let of = self.networks.entry(network).or_default();
        let before = of.rank();
        change(of);
        let after = of.rank();
        if after.is_none() {
            self.networks.remove(&network);
        }
        if before != after {
            if let Some(rank) = before {
                self.ranks.remove(&(rank, network));
            }
            self.ranks.extend(after.map(|rank| (rank, network)));
        }
    }

    #[cfg(test)]
    pub(super) fn networks(&self) -> usize {
        assert_eq!(self.networks.len(), self.ranks.len());
        self.networks.len()
    }
}
