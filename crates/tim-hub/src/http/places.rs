//! Who may be connected: a limit of all connections, and one of those of an address.
//!
//! When all places are taken, nobody keeps others out: of the address that has the most connections, the oldest that waits for a request
//! makes room for a connection of an address that has fewer.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::admission::Network;
use crate::threads::lock;

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    /// The most connections.
    most: usize,
    /// The most of an address; 0 is no limit.
    most_of_address: usize,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// The connections, oldest first.
    connections: BTreeMap<u64, Guest>,
    arrived: u64,
    by_network: HashMap<Network, usize>,
}

/// A connection. Those without a network are of trusted addresses.
#[derive(Debug)]
struct Guest {
    network: Option<Network>,
    state: Arc<GuestState>,
}

#[derive(Debug, Default)]
struct GuestState {
    /// Its requests that have come and are not answered to the end.
    requests: AtomicUsize,
    leave: Notify,
}

/// The place of a connection, or of a request on the connection of a proxy. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    network: Option<Network>,
    connection: Option<(u64, Arc<GuestState>)>,
}

/// A request of a connection that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<GuestState>);

impl Places {
    pub(super) fn new(most: usize, most_of_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_address,
            tables: Mutex::default(),
        })
    }

    /// A place for one more connection, if there is one or somebody makes room.
    pub(super) fn connection(self: &Arc<Self>, network: Option<Network>) -> Option<Place> {
        let mut tables = lock(&self.tables);
        if !self.has_room_for_address(&tables, network) {
            return None;
        }
        if tables.connections.len() >= self.most {
            let leaving = tables.who_makes_room_for(network)?;
            tables.remove(leaving)?.state.leave.notify_one();
        }
        let state = Arc::new(GuestState::default());
        let number = tables.arrived;
        tables.arrived += 1;
        let guest = Guest {
            network,
            state: Arc::clone(&state),
        };
        tables.connections.insert(number, guest);
        tables.count(network);
        drop(tables);
        Some(Place {
            places: Arc::clone(self),
            network,
            connection: Some((number, state)),
        })
    }

    /// A place for a request on the connection of a proxy, if its client has one left.
    pub(super) fn request(self: &Arc<Self>, network: Option<Network>) -> Option<Place> {
        let mut tables = lock(&self.tables);
        if !self.has_room_for_address(&tables, network) {
            return None;
        }
        tables.count(network);
        drop(tables);
        Some(Place {
            places: Arc::clone(self),
            network,
            connection: None,
        })
    }

    fn has_room_for_address(&self, tables: &Tables, network: Option<Network>) -> bool {
        self.most_of_address == 0 || network.is_none() || tables.of(network) < self.most_of_address
    }
}

impl Tables {
    fn of(&self, network: Option<Network>) -> usize {
        let count = network.and_then(|network| self.by_network.get(&network));
        count.copied().unwrap_or_default()
    }

    fn count(&mut self, network: Option<Network>) {
        if let Some(network) = network {
            *self.by_network.entry(network).or_default() += 1;
        }
    }

    /// The oldest connection without a request of the address that has the most of them; `None` if no other has more than this one
    /// would. Trusted addresses make room for nobody, but among themselves.
    fn who_makes_room_for(&self, network: Option<Network>) -> Option<u64> {
        let least = self.of(network) + 1;
        let is_idle = |guest: &Guest| guest.state.requests.load(Ordering::Acquire) == 0;
        let of_others = |guest: &Guest| guest.network.is_some() && self.of(guest.network) > least;
        let mut idle = self.connections.iter().filter(|(_, guest)| is_idle(guest));
        let largest = idle
            .clone()
            .filter(|(_, guest)| of_others(guest))
            .max_by_key(|(number, guest)| (self.of(guest.network), std::cmp::Reverse(**number)));
        let found = largest.or_else(|| match network {
            None => idle.find(|(_, guest)| guest.network.is_none()),
            Some(_) => None,
        });
        found.map(|(number, _)| *number)
    }

    fn remove(&mut self, number: u64) -> Option<Guest> {
        let guest = self.connections.remove(&number)?;
        self.leave(guest.network);
        Some(guest)
    }

    fn leave(&mut self, network: Option<Network>) {
        if let Some(network) = network
            && let Some(count) = self.by_network.get_mut(&network)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

impl Place {
    /// Ready when the connection is to make room for another one.
    pub(super) async fn told_to_leave(&self) {
        match &self.connection {
            Some((_, state)) => state.leave.notified().await,
            None => std::future::pending().await,
        }
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Option<UnderWay> {
        let (_, state) = self.connection.as_ref()?;
        state.requests.fetch_add(1, Ordering::AcqRel);
        Some(UnderWay(Arc::clone(state)))
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.connection.as_ref();
        state.is_some_and(|(_, state)| state.requests.load(Ordering::Acquire) > 0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tables = lock(&self.places.tables);
        match &self.connection {
            // Nothing is left of one that has made room.
            Some((number, _)) => drop(tables.remove(*number)),
            None => tables.leave(self.network),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::net::IpAddr;

    use super::*;

    fn of(last: u8) -> Option<Network> {
        Some(IpAddr::from([10, 0, 0, last]).into())
    }

    fn is_told(place: &Place) -> bool {
        use std::task::{Context, Poll, Waker};
        let mut leave = std::pin::pin!(place.told_to_leave());
        leave.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn the_oldest_idle_one_of_the_largest_makes_room_and_nobody_for_equals() {
        let places = Places::new(5, 0);
        let enter = |last| places.connection(of(last));
        let (one, two, three) = (enter(1).unwrap(), enter(1).unwrap(), enter(1).unwrap());
        let (four, _five) = (enter(2).unwrap(), enter(2).unwrap());
        assert!(enter(1).is_none(), "its own do not make room for it");
        let busy = one.begin();
        let _six = enter(3).unwrap();
        assert!(is_told(&two) && !is_told(&one) && !is_told(&three) && !is_told(&four));
        drop(two);
        assert!(
            enter(3).is_none(),
            "two, two and one: none has more than it would have"
        );
        drop(busy);
        let trusted = places.connection(None).unwrap();
        assert!(is_told(&one), "for a trusted address");
        let _seven = enter(4).unwrap();
        assert!(is_told(&four), "of the one address that has two");
        assert!(enter(5).is_none() && !is_told(&trusted));
        let _others: Vec<_> = std::iter::from_fn(|| places.connection(None)).take(9).collect();
        assert!(lock(&places.tables).connections.len() == 5);
    }

    #[test]
    fn a_place_is_free_again_once() {
        let places = Places::new(2, 1);
        let first = places.connection(of(1)).unwrap();
        assert!(places.connection(of(1)).is_none(), "one of an address");
        assert!(places.request(of(1)).is_none());
        drop(first);
        let request = places.request(of(1)).unwrap();
        assert!(request.begin().is_none() && !is_told(&request));
        drop(request);
        assert!(lock(&places.tables).by_network.is_empty());
    }
}
