//! Places for connections, in classes that cannot use up each other's.
//!
//! A connection is *half-open* until its login is admitted, then *established*. There is always a place for a new connection:
//! if all half-open ones are taken, one of the network that has most of them is dropped, so that a flood of them drops itself.
//! First goes the oldest that has not logged in. If all have, it is the newest: the others are closer to their turn. Established
//! connections have a ceiling, and one for each network; serial ports have places of their own.
//!
//! All operations take logarithmic time: a flood is when they are needed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use super::network::Network;
use crate::threads::lock;

/// How many connections there may be of each class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaceLimits {
    pub(crate) half_open: usize,
    pub(crate) established: usize,
    /// Of one network; 0 is no limit.
    pub(crate) of_network: usize,
    pub(crate) serial: usize,
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Occupied {
    pub(crate) half_open: usize,
    pub(crate) established: usize,
    pub(crate) serial: usize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken.
    Full,
    /// The network has as many as it may have.
    OfNetwork,
    /// The connection was dropped for a newer one.
    Dropped,
}

/// The places of a hub.
#[derive(Debug)]
pub(crate) struct Places {
    limits: PlaceLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By number, which is their age.
    half_open: BTreeMap<u64, HalfOpen>,
    established: usize,
    serial: usize,
    networks: HashMap<Option<Network>, OfNetwork>,
    /// The networks with half-open connections; the last one is the next to lose one.
    ranks: BTreeSet<(Rank, Option<Network>)>,
    /// The number of the next connection.
    next: u64,
    /// How many half-open connections were dropped for newer ones.
    dropped: u64,
}

#[derive(Debug, Default)]
struct HalfOpen {
    /// To end it. `None` before its task is known.
    task: Option<AbortHandle>,
}

/// The connections of a network.
#[derive(Debug, Default)]
struct OfNetwork {
    /// The half-open ones that have not logged in.
    silent: BTreeSet<u64>,
    /// The half-open ones whose login waits for its turn.
    logging_in: BTreeSet<u64>,
    established: usize,
}

/// How many half-open connections a network has, and which of them is dropped first: of networks with as many, the one with the
/// oldest loses it.
type Rank = (usize, Reverse<u64>);

impl OfNetwork {
    /// `None` without half-open connections.
    fn rank(&self) -> Option<Rank> {
        let first = self.silent.first().or_else(|| self.logging_in.last())?;
        Some((self.silent.len() + self.logging_in.len(), Reverse(*first)))
    }

    /// One half-open connection fewer.
    fn remove(&mut self, number: u64) {
        let _ = self.silent.remove(&number) || self.logging_in.remove(&number);
    }
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    network: Option<Network>,
    number: u64,
    /// Changed by the connection only.
    class: AtomicU8,
}

const HALF_OPEN: u8 = 0;
const ESTABLISHED: u8 = 1;
const SERIAL: u8 = 2;

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Arc<Self> {
        let table = Mutex::default();
        Arc::new(Self { limits, table })
    }

    /// A place for a new connection, from this network if it is known.
    pub(crate) fn enter(self: &Arc<Self>, network: Option<Network>) -> Arc<Place> {
        let mut table = lock(&self.table);
        let mut dropped = None;
        if table.half_open.len() >= self.limits.half_open {
            dropped = table.drop_one();
        }
        let number = table.next;
        table.next += 1;
        table.half_open.insert(number, HalfOpen::default());
        table.change(network, |of| _ = of.silent.insert(number));
        drop(table);
        if let Some(HalfOpen { task: Some(task) }) = dropped {
            task.abort();
        }
        self.place(network, number, HALF_OPEN)
    }

    /// A place for a serial port.
    pub(crate) fn enter_serial(self: &Arc<Self>, network: Option<Network>) -> Option<Arc<Place>> {
        let mut table = lock(&self.table);
        if table.serial >= self.limits.serial {
            return None;
        }
        table.serial += 1;
        Some(self.place(network, 0, SERIAL))
    }

    fn place(self: &Arc<Self>, network: Option<Network>, number: u64, class: u8) -> Arc<Place> {
        Arc::new(Place {
            places: Arc::clone(self),
            network,
            number,
            class: AtomicU8::new(class),
        })
    }

    pub(crate) fn occupied(&self) -> Occupied {
        let table = lock(&self.table);
        Occupied {
            half_open: table.half_open.len(),
            established: table.established,
            serial: table.serial,
        }
    }

    /// How many half-open connections were dropped for newer ones.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.table).dropped
    }
}

impl Table {
    /// Takes away the place of a half-open connection of the network that has most of them.
    fn drop_one(&mut self) -> Option<HalfOpen> {
        let ((_, Reverse(number)), network) = *self.ranks.last()?;
        self.change(network, |of| of.remove(number));
        self.dropped += 1;
        self.half_open.remove(&number)
    }

    /// Changes what is counted of a network. One without connections is forgotten.
    fn change(&mut self, network: Option<Network>, change: impl FnOnce(&mut OfNetwork)) {
        let of = self.networks.entry(network).or_default();
        let before = of.rank();
        change(of);
        let after = of.rank();
        if after.is_none() && of.established == 0 {
            self.networks.remove(&network);
        }
        if before != after {
            if let Some(rank) = before {
                self.ranks.remove(&(rank, network));
            }
            self.ranks.extend(after.map(|rank| (rank, network)));
        }
    }
}

impl Place {
    /// The network whose limits apply to the connection, if any.
    pub(crate) const fn network(&self) -> Option<Network> {
        self.network
    }

    /// The task of the connection: ends it at once if it has been dropped already.
    pub(crate) fn set_task(&self, task: AbortHandle) {
        let mut table = lock(&self.places.table);
        if let Some(half_open) = table.half_open.get_mut(&self.number) {
            half_open.task = Some(task);
            return;
        }
        drop(table);
        if self.class() == HALF_OPEN {
            task.abort();
        }
    }

    /// The client logs in.
    ///
    /// # Errors
    /// [`NoPlace::Dropped`]
    pub(crate) fn begin_login(&self) -> Result<(), NoPlace> {
        if self.class() != HALF_OPEN {
            return Ok(());
        }
        let mut table = lock(&self.places.table);
        if !table.half_open.contains_key(&self.number) {
            return Err(NoPlace::Dropped);
        }
        table.change(self.network, |of| {
            if of.silent.remove(&self.number) {
                of.logging_in.insert(self.number);
            }
        });
        Ok(())
    }

    /// The login was refused.
    pub(crate) fn end_login(&self) {
        if self.class() == HALF_OPEN {
            let mut table = lock(&self.places.table);
            table.change(self.network, |of| {
                if of.logging_in.remove(&self.number) {
                    of.silent.insert(self.number);
                }
            });
        }
    }

    /// The login is admitted, if there is a place for it.
    pub(crate) fn establish(&self) -> Result<(), NoPlace> {
        if self.class() != HALF_OPEN {
            return Ok(());
        }
        let mut table = lock(&self.places.table);
        let limits = &self.places.limits;
        if table.established >= limits.established {
            return Err(NoPlace::Full);
        }
        let of_network = table.networks.get(&self.network).map_or(0, |of| of.established);
        if self.network.is_some() && limits.of_network > 0 && of_network >= limits.of_network {
            return Err(NoPlace::OfNetwork);
        }
        table.half_open.remove(&self.number).ok_or(NoPlace::Dropped)?;
        table.change(self.network, |of| {
            of.remove(self.number);
            of.established += 1;
        });
        table.established += 1;
        self.class.store(ESTABLISHED, Ordering::Relaxed);
        Ok(())
    }

    fn class(&self) -> u8 {
        self.class.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&self.places.table);
        match self.class() {
            HALF_OPEN => {
                if table.half_open.remove(&self.number).is_some() {
                    table.change(self.network, |of| of.remove(self.number));
                }
            }
            ESTABLISHED => {
                table.established -= 1;
                table.change(self.network, |of| of.established -= 1);
            }
            _ => table.serial -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Option<Network> {
        Some(Network::from(std::net::IpAddr::from([192, 0, 2, number])))
    }

    fn places() -> Arc<Places> {
        Places::new(PlaceLimits {
            half_open: 4,
            established: 3,
            of_network: 2,
            serial: 1,
        })
    }

    #[test]
    fn a_flood_drops_its_own_half_open_connections() {
        let places = places();
        let own = places.enter(network(1));
        let flood: Vec<_> = (0..100).map(|_| places.enter(network(2))).collect();
        assert_eq!((places.occupied().half_open, places.dropped()), (4, 97));
        assert_eq!(own.begin_login(), Ok(()));
        let (newest, others) = flood.split_last().unwrap();
        assert_eq!(
            others[..97]
                .iter()
                .filter(|place| place.begin_login().is_ok())
                .count(),
            0
        );
        assert_eq!(newest.begin_login(), Ok(()));
        assert_eq!(own.establish(), Ok(()));
        drop(flood);
        let occupied = |half_open, established, serial| Occupied {
            half_open,
            established,
            serial,
        };
        assert_eq!(places.occupied(), occupied(0, 1, 0));
        drop(own);
        assert_eq!(places.occupied(), Occupied::default());
        assert!(lock(&places.table).networks.is_empty());
    }

    #[test]
    fn logins_that_wait_keep_nobody_out_and_the_oldest_keep_their_places() {
        let places = places();
        let waiting: Vec<_> = (0..4).map(|_| places.enter(network(1))).collect();
        for place in &waiting {
            place.begin_login().unwrap();
        }
        // Of those that all wait for their turn, the newest has waited in vain for the shortest time.
        let other = places.enter(network(2));
        assert_eq!(waiting[3].establish(), Err(NoPlace::Dropped));
        // Whoever has not logged in goes first, and one of those who have most.
        waiting[1].end_login();
        let newer = places.enter(network(2));
        assert_eq!(waiting[1].begin_login(), Err(NoPlace::Dropped));
        assert_eq!((other.begin_login(), newer.begin_login()), (Ok(()), Ok(())));
        assert_eq!((waiting[0].establish(), waiting[2].establish()), (Ok(()), Ok(())));
        assert_eq!(other.establish(), Ok(()));
        drop((waiting, other, newer));
        let table = lock(&places.table);
        assert!(table.networks.is_empty() && table.ranks.is_empty() && table.half_open.is_empty());
    }

    #[test]
    fn the_network_to_lose_a_place_is_found_among_many() {
        const MANY: u32 = 20_000;
        let places = Places::new(PlaceLimits {
            half_open: 100,
            established: MANY as usize,
            of_network: 2,
            serial: 1,
        });
        let of = |number: u32| Some(Network::from(std::net::IpAddr::from(number.to_be_bytes())));
        let mut established = Vec::new();
        for number in 0..MANY {
            let place = places.enter(of(number));
            place.establish().unwrap();
            established.push(place);
        }
        let flood: Vec<_> = (0..99).map(|_| places.enter(of(MANY))).collect();
        let own = places.enter(of(1));
        for number in 0..MANY {
            // Each comes and goes, from a network of its own.
            drop(places.enter(of(2 * MANY + number)));
            assert_eq!(lock(&places.table).ranks.len(), 2);
        }
        assert_eq!(own.begin_login(), Ok(()));
        assert_eq!(
            flood.iter().filter(|place| place.begin_login().is_ok()).count(),
            98
        );
        drop((established, flood, own));
        assert!(lock(&places.table).ranks.is_empty() && lock(&places.table).networks.is_empty());
    }

    #[test]
    fn no_class_uses_up_the_places_of_another() {
        let places = places();
        let port = places.enter_serial(None).unwrap();
        assert!(places.enter_serial(None).is_none());
        let mut established = Vec::new();
        let mut establish = |number| {
            let place = places.enter(number);
            let result = place.establish();
            established.push(place);
            result
        };
        assert_eq!(establish(network(1)), Ok(()));
        assert_eq!(establish(network(1)), Ok(()));
        assert_eq!(establish(network(1)), Err(NoPlace::OfNetwork));
        assert_eq!(establish(None), Ok(()));
        assert_eq!(establish(network(2)), Err(NoPlace::Full));
        drop(established);
        drop(port);
        assert!(places.enter_serial(None).is_some());
    }

    #[tokio::test]
    async fn a_dropped_connection_ends_also_if_its_task_is_known_late() {
        let places = places();
        let task = || tokio::spawn(std::future::pending::<()>());
        let (early, late) = (places.enter(None), places.enter(None));
        let (one, two) = (task(), task());
        early.set_task(one.abort_handle());
        let newer: Vec<_> = [1, 2, 3, 4].map(|number| places.enter(network(number))).into();
        assert_eq!(newer.len(), 4);
        late.set_task(two.abort_handle());
        assert!(one.await.unwrap_err().is_cancelled());
        assert!(two.await.unwrap_err().is_cancelled());
    }
}
