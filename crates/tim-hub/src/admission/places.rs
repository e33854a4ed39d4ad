//! Places for connections, in classes that cannot use up each other's.
//!
//! A connection is *half-open* until its login is admitted, then *established*. There is always a place for a new connection, as
//! half-open ones are [dropped](super::droppable) for it. Established connections have a ceiling, and one for each network. Serial
//! ports have places of their own; those that anybody can connect are dropped for newer ones as half-open connections are, while nobody
//! is logged in on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use super::droppable::{Droppable, Progress};
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
    half_open: Droppable,
    established: usize,
    /// Of each network that has any.
    of_networks: HashMap<Network, usize>,
    /// Serial ports that anybody can connect.
    accepted: Droppable,
    /// The hub's own serial ports.
    own: usize,
    /// The number of the next connection.
    next: u64,
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
const ACCEPTED_SERIAL: u8 = 2;
const OWN_SERIAL: u8 = 3;

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
            dropped = table.half_open.drop_one().flatten();
        }
        let number = table.next_number();
        table.half_open.insert(number, network);
        drop(table);
        dropped.inspect(AbortHandle::abort);
        self.place(network, number, HALF_OPEN)
    }

    /// A place for a serial port of the hub's own, if there is one.
    pub(crate) fn enter_serial(self: &Arc<Self>) -> Option<Arc<Place>> {
        self.serial(|table| table.own += 1)?;
        Some(self.place(None, 0, OWN_SERIAL))
    }

    /// A place for a serial port that anybody can connect, from this network if it is known. `None` if somebody is logged in on all.
    pub(crate) fn enter_accepted_serial(self: &Arc<Self>, network: Option<Network>) -> Option<Arc<Place>> {
        let number = self.serial(|table| {
            let number = table.next_number();
            table.accepted.insert(number, network);
            number
        })?;
        Some(self.place(network, number, ACCEPTED_SERIAL))
    }

    /// Counts one more serial port, for which another one is dropped if need be.
    fn serial<T>(&self, count: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let mut table = lock(&self.table);
        let mut dropped = None;
        if table.serial() >= self.limits.serial {
            dropped = table.accepted.drop_one()?;
        }
        let counted = count(&mut table);
        drop(table);
        dropped.inspect(AbortHandle::abort);
        Some(counted)
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
            serial: table.serial(),
        }
    }

    /// How many half-open connections and serial ports were dropped for newer ones.
    pub(crate) fn dropped(&self) -> u64 {
        let table = lock(&self.table);
        table.half_open.dropped() + table.accepted.dropped()
    }
}

impl Table {
    const fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn serial(&self) -> usize {
        self.accepted.len() + self.own
    }

    /// Those of a class that can be dropped, if any of it can.
    const fn droppable(&mut self, class: u8) -> Option<&mut Droppable> {
        match class {
            HALF_OPEN => Some(&mut self.half_open),
            ACCEPTED_SERIAL => Some(&mut self.accepted),
            _ => None,
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
        // After the lock is taken: the task may have run meanwhile.
        let class = self.class();
        let droppable = table.droppable(class);
        let is_dropped = droppable.is_some_and(|those| !those.set_task(self.number, &task));
        drop(table);
        if is_dropped {
            task.abort();
        }
    }

    /// The client logs in.
    ///
    /// # Errors
    /// [`NoPlace::Dropped`]
    pub(crate) fn begin_login(&self) -> Result<(), NoPlace> {
        self.progress(Progress::LoggingIn)
    }

    /// The login was refused, or the session is over.
    pub(crate) fn end_login(&self) {
        // Whoever was dropped ends.
        let _ = self.progress(Progress::Silent);
    }

    fn progress(&self, progress: Progress) -> Result<(), NoPlace> {
        let mut table = lock(&self.places.table);
        let droppable = table.droppable(self.class());
        match droppable.is_none_or(|those| those.progress(self.number, progress)) {
            true => Ok(()),
            false => Err(NoPlace::Dropped),
        }
    }

    /// The login is admitted, if there is a place for it.
    pub(crate) fn establish(&self) -> Result<(), NoPlace> {
        if self.class() != HALF_OPEN {
            return self.progress(Progress::LoggedIn);
        }
        let mut table = lock(&self.places.table);
        let limits = &self.places.limits;
        if table.established >= limits.established {
            return Err(NoPlace::Full);
        }
        let of_network = self.network.and_then(|network| table.of_networks.get(&network));
        if limits.of_network > 0 && of_network.is_some_and(|count| *count >= limits.of_network) {
            return Err(NoPlace::OfNetwork);
        }
        if !table.half_open.remove(self.number) {
            return Err(NoPlace::Dropped);
        }
        table.established += 1;
        if let Some(network) = self.network {
            *table.of_networks.entry(network).or_default() += 1;
        }
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
            ESTABLISHED => {
                table.established -= 1;
                let of_network = self
                    .network
                    .and_then(|network| table.of_networks.get_mut(&network));
                if let Some(count) = of_network {
                    *count -= 1;
                    if *count == 0 {
                        self.network.map(|network| table.of_networks.remove(&network));
                    }
                }
            }
            OWN_SERIAL => table.own -= 1,
            class => {
                table.droppable(class).map(|those| those.remove(self.number));
            }
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
        assert!(lock(&places.table).of_networks.is_empty());
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
        assert_eq!((table.half_open.networks(), table.half_open.len()), (0, 0));
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
            assert_eq!(lock(&places.table).half_open.networks(), 2);
        }
        assert_eq!(own.begin_login(), Ok(()));
        assert_eq!(
            flood.iter().filter(|place| place.begin_login().is_ok()).count(),
            98
        );
        drop((established, flood, own));
        let table = lock(&places.table);
        assert!(table.half_open.networks() == 0 && table.of_networks.is_empty());
    }

    #[test]
    fn no_class_uses_up_the_places_of_another() {
        let places = places();
        let port = places.enter_serial().unwrap();
        assert!(places.enter_serial().is_none());
        assert!(places.enter_accepted_serial(network(1)).is_none());
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
        assert!(places.enter_serial().is_some());
    }

    #[test]
    fn a_flood_of_serial_ports_drops_its_own_and_none_on_which_somebody_is_logged_in() {
        let places = Places::new(PlaceLimits {
            serial: 5,
            ..places().limits
        });
        let enter = |number| places.enter_accepted_serial(network(number)).unwrap();
        let own = places.enter_serial().unwrap();
        let busy = enter(2);
        assert_eq!((busy.begin_login(), busy.establish()), (Ok(()), Ok(())));
        let quiet = enter(1);
        let flood: Vec<_> = (0..100).map(|_| enter(2)).collect();
        assert_eq!((places.occupied().serial, places.dropped()), (5, 98));
        assert_eq!((quiet.begin_login(), quiet.establish()), (Ok(()), Ok(())));
        // The session is over, and the port waits for the next one. Another network has more that wait.
        busy.end_login();
        let more = enter(3);
        assert_eq!(
            (more.establish(), busy.establish()),
            (Ok(()), Err(NoPlace::Dropped))
        );
        let taken = |places: &Arc<Places>| places.enter_accepted_serial(network(4)).is_none();
        assert_eq!((flood[98].establish(), flood[99].establish()), (Ok(()), Ok(())));
        assert!(taken(&places), "somebody is logged in on all");
        drop((own, busy, quiet, flood, more));
        assert_eq!(
            (places.occupied(), lock(&places.table).accepted.networks()),
            (Occupied::default(), 0)
        );
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
