//! The other hubs on the same database: who is online there, and what is said to them.
//!
//! What is said may be lost. So each hub says again who is online there when the bus is connected anew or another hub comes, and forgets
//! what it knows of a hub that is gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tim_proto::{GroupId, Priority, UserId};
use tim_store::{Bus, LogKey};

use crate::device::{Delivery, Device, LoginId};
use crate::threads::lock;

/// The form of what is said. What has another form is not understood.
const FORM: u8 = 1;
/// How many devices are said at a time.
const DEVICES: usize = 256;

/// What hubs say to each other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Say who is online.
    WhoIsThere,
    /// Nobody is online but those who are said to be from now on.
    Anew,
    /// These devices are logged in.
    Entered(Vec<Login>),
    /// This one is not any more.
    Left(Login),
    /// A message that is not stored.
    Live(LiveSaid),
    /// A user has joined an AVChatRoom, or left it.
    Room {
        group: String,
        user: String,
        has_joined: bool,
    },
    /// So many users are in an AVChatRoom there.
    Members { group: String, members: u32 },
}

/// A device, and its login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    user: String,
    device: u64,
    session: u64,
    attempt: u32,
    /// When, in Unix time.
    at_ms: u64,
}

/// A message that is not stored, on its way to other hubs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LiveSaid {
    to: Receivers,
    sender: String,
    origin: u64,
    priority: u8,
    message: Bytes,
}

/// Who gets a message.
#[derive(Debug, Serialize, Deserialize)]
enum Receivers {
    C2c(String, String),
    Group(String),
    System(String),
    Users(Vec<String>),
}

/// Who gets a message of another hub.
#[derive(Debug)]
pub(crate) enum To {
    Log(LogKey),
    Users(Vec<UserId>),
}

impl Said {
    /// `None` for what has another form.
    pub(crate) fn decoded(message: &[u8]) -> Option<Self> {
        match message.split_first() {
            Some((&FORM, body)) => postcard::from_bytes(body).ok(),
            _ => None,
        }
    }

    fn encoded(&self) -> Bytes {
        // Nothing of it cannot be encoded; what could not be would not be understood.
        postcard::to_extend(self, vec![FORM]).unwrap_or_default().into()
    }
}

impl LiveSaid {
    /// What is to be delivered, and to whom. `None` if it is malformed.
    pub(crate) fn delivery(self) -> Option<(To, Arc<Delivery>)> {
        let user = |name: &str| UserId::from_record(name).ok();
        let to = match &self.to {
            Receivers::C2c(one, other) => To::Log(LogKey::c2c(user(one)?, user(other)?)),
            Receivers::Group(group) => To::Log(LogKey::Group(GroupId::from_record(group).ok()?)),
            Receivers::System(name) => To::Log(LogKey::System(user(name)?)),
            Receivers::Users(names) => To::Users(names.iter().map(|name| user(name)).collect::<Option<_>>()?),
        };
        let delivery = Delivery::live(
            user(&self.sender)?,
            self.origin,
            Priority(self.priority),
            self.message,
        );
        Some((to, Arc::new(delivery)))
    }
}

/// A login that is known.
#[derive(Debug)]
struct Known {
    /// On which hub; `None` for this one.
    hub: Option<u64>,
    device: u64,
    login: LoginId,
    at_ms: u64,
}

impl Known {
    /// Whether it was made after another login of the same device.
    fn is_after(&self, other: &Self) -> bool {
        match self.login.session == other.login.session {
            true => self.login.attempt > other.login.attempt,
            false => (self.at_ms, self.hub) > (other.at_ms, other.hub),
        }
    }
}

/// What follows for a device here from a login elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The device has logged in there.
    Replaced(u64),
    /// The user has too many devices, and this is the oldest one.
    TooMany(u64),
}

#[derive(Debug, Default)]
struct Tables {
    /// Of all users who are online somewhere, the devices.
    users: HashMap<UserId, Vec<Known>>,
    /// How many users of other hubs are in an AVChatRoom, by hub.
    rooms: HashMap<GroupId, HashMap<u64, u32>>,
    /// The other hubs.
    hubs: Vec<u64>,
}

/// The other hubs; without a bus there are none, and nothing is kept.
#[derive(Default)]
pub(crate) struct Others {
    bus: OnceLock<Arc<dyn Bus>>,
    tables: Mutex<Tables>,
    max_devices: AtomicUsize,
    /// Whether something could not be said.
    is_behind: AtomicBool,
}

impl Others {
    pub(crate) fn set_bus(&self, bus: Arc<dyn Bus>) {
        // It is set once.
        let _ = self.bus.set(bus);
    }

    fn say(&self, said: &Said) {
        if let Some(bus) = self.bus.get() {
            let is_sent = bus.send(said.encoded());
            self.is_behind.fetch_or(!is_sent, Ordering::Relaxed);
        }
    }

    /// Whether a user has a device on another hub.
    pub(super) fn has(&self, user: &UserId) -> bool {
        self.bus.get().is_some() && self.count(user) > 0
    }

    /// How many devices a user has on other hubs.
    pub(super) fn count(&self, user: &UserId) -> usize {
        let tables = lock(&self.tables);
        let devices = tables.users.get(user).map(|known| known.iter());
        devices
            .into_iter()
            .flatten()
            .filter(|known| known.hub.is_some())
            .count()
    }

    /// A device has logged in here. Returns the number of a device here that has to go for it.
    pub(super) fn entered(&self, device: &Device, max_devices: usize, at_ms: u64) -> Option<u64> {
        self.bus.get()?;
        self.max_devices.store(max_devices, Ordering::Relaxed);
        let known = Known {
            hub: None,
            device: device.number(),
            login: *device.login(),
            at_ms,
        };
        let login = login(&device.user(), &known);
        let oldest = {
            let mut tables = lock(&self.tables);
            let devices = tables.users.entry(device.user()).or_default();
            devices.retain(|other| other.device != known.device);
            devices.push(known);
            too_many(devices, max_devices)
        };
        self.say(&Said::Entered(vec![login]));
        oldest
    }

    /// A device has gone from here.
    pub(super) fn left(&self, device: &Device) {
        if self.bus.get().is_none() {
            return;
        }
        let gone = {
            let mut tables = lock(&self.tables);
            remove(&mut tables, &device.user(), |known| {
                known.hub.is_none() && known.device == device.number() && known.login == *device.login()
            })
        };
        if let Some(gone) = gone {
            self.say(&Said::Left(login(&device.user(), &gone)));
        }
    }

    /// A device has logged in on another hub.
    pub(crate) fn entered_elsewhere(&self, hub: u64, entered: &Login) -> Option<(UserId, Consequence)> {
        let user = UserId::from_record(&entered.user).ok()?;
        let known = Known {
            hub: Some(hub),
            device: entered.device,
            login: LoginId {
                session: entered.session,
                attempt: entered.attempt,
            },
            at_ms: entered.at_ms,
        };
        let max_devices = self.max_devices.load(Ordering::Relaxed);
        let (consequence, newer) = {
            let mut tables = lock(&self.tables);
            let devices = tables.users.entry(user).or_default();
            let before = devices.iter().position(|other| other.device == known.device);
            let before = before.map(|at| devices.remove(at));
            match before {
                // It comes late.
                Some(before) if before.is_after(&known) => {
                    let newer = before.hub.is_none().then(|| login(&user, &before));
                    devices.push(before);
                    (None, newer)
                }
                before => {
                    let is_here = before.is_some_and(|before| before.hub.is_none());
                    let device = known.device;
                    devices.push(known);
                    let consequence = match is_here {
                        true => Some(Consequence::Replaced(device)),
                        false => too_many(devices, max_devices).map(Consequence::TooMany),
                    };
                    (consequence, None)
                }
            }
        };
        // The other hub does not know yet.
        if let Some(newer) = newer {
            self.say(&Said::Entered(vec![newer]));
        }
        consequence.map(|consequence| (user, consequence))
    }

    /// A device has gone from another hub.
    pub(crate) fn left_elsewhere(&self, hub: u64, left: &Login) {
        let Ok(user) = UserId::from_record(&left.user) else {
            return;
        };
        remove(&mut lock(&self.tables), &user, |known| {
            known.hub == Some(hub)
                && known.device == left.device
                && (known.login.session, known.login.attempt) == (left.session, left.attempt)
        });
    }

    /// Nobody is online on another hub, until it says who is.
    pub(crate) fn forget(&self, hub: u64) {
        lock(&self.tables).users.retain(|_, devices| {
            devices.retain(|known| known.hub != Some(hub));
            !devices.is_empty()
        });
    }

    /// These are the other hubs now. Whether they are to be told who is online here: one has come, or something could not be said.
    pub(crate) fn hubs(&self, others: &[u64]) -> bool {
        let mut tables = lock(&self.tables);
        let has_come = others.iter().any(|hub| !tables.hubs.contains(hub));
        let is_there = |hub: &u64| others.contains(hub);
        if tables.hubs.iter().any(|hub| !is_there(hub)) {
            tables.users.retain(|_, devices| {
                devices.retain(|known| known.hub.as_ref().is_none_or(is_there));
                !devices.is_empty()
            });
            tables.rooms.retain(|_, hubs| {
                hubs.retain(|hub, _| is_there(hub));
                !hubs.is_empty()
            });
        }
        tables.hubs = others.to_vec();
        self.is_behind.swap(false, Ordering::Relaxed) || has_come
    }

    /// Asks who is online elsewhere.
    pub(crate) fn ask(&self) {
        self.say(&Said::WhoIsThere);
    }

    /// Says who is online here.
    pub(crate) fn tell(&self) {
        let logins: Vec<Login> = {
            let tables = lock(&self.tables);
            let users = tables.users.iter();
            let own = users.flat_map(|(user, devices)| {
                let here = devices.iter().filter(|known| known.hub.is_none());
                here.map(|known| login(user, known))
            });
            own.collect()
        };
        // What was said before may be lost, also that somebody has gone.
        self.say(&Said::Anew);
        for logins in logins.chunks(DEVICES) {
            self.say(&Said::Entered(logins.to_vec()));
        }
    }

    /// Passes a message that is not stored on.
    pub(crate) fn pass_on(&self, log: &LogKey, delivery: &Delivery) {
        if self.bus.get().is_none() {
            return;
        }
        let text = |user: &UserId| user.as_str().to_owned();
        self.say_live(
            match log {
                LogKey::C2c(pair) => {
                    let (one, other) = pair.users();
                    Receivers::C2c(text(&one), text(&other))
                }
                LogKey::Group(group) => Receivers::Group(group.as_str().to_owned()),
                LogKey::System(user) => Receivers::System(text(user)),
            },
            delivery,
        );
    }

    /// Passes a message to some users on.
    #[cfg(feature = "rest")]
    pub(crate) fn pass_on_to(&self, users: &[UserId], delivery: &Delivery) {
        if self.bus.get().is_some() {
            let users = users.iter().map(|user| user.as_str().to_owned()).collect();
            self.say_live(Receivers::Users(users), delivery);
        }
    }

    fn say_live(&self, to: Receivers, delivery: &Delivery) {
        let (sender, origin) = delivery.from();
        self.say(&Said::Live(LiveSaid {
            to,
            sender: sender.as_str().to_owned(),
            origin,
            priority: delivery.priority().0,
            message: delivery.message().clone(),
        }));
    }

    /// A user has joined an AVChatRoom here, or left it.
    pub(super) fn moved(&self, group: &GroupId, user: &UserId, has_joined: bool) {
        if self.bus.get().is_some() {
            self.say(&Said::Room {
                group: group.as_str().to_owned(),
                user: user.as_str().to_owned(),
                has_joined,
            });
        }
    }

    /// So many users are in an AVChatRoom here.
    pub(super) fn members_here(&self, group: &GroupId, members: u32) {
        if self.bus.get().is_some() {
            let group = group.as_str().to_owned();
            self.say(&Said::Members { group, members });
        }
    }

    /// So many users are in an AVChatRoom on another hub.
    pub(crate) fn members_there(&self, hub: u64, group: &str, members: u32) {
        let Ok(group) = GroupId::from_record(group) else {
            return;
        };
        let mut tables = lock(&self.tables);
        if members > 0 {
            tables.rooms.entry(group).or_default().insert(hub, members);
        } else if let Some(hubs) = tables.rooms.get_mut(&group) {
            hubs.remove(&hub);
            if hubs.is_empty() {
                tables.rooms.remove(&group);
            }
        }
    }

    /// How many users are in an AVChatRoom on other hubs.
    pub(super) fn members(&self, group: &GroupId) -> u32 {
        if self.bus.get().is_none() {
            return 0;
        }
        let tables = lock(&self.tables);
        let hubs = tables.rooms.get(group).map(|hubs| hubs.values());
        hubs.into_iter()
            .flatten()
            .fold(0, |sum, members| sum.saturating_add(*members))
    }
}

fn login(user: &UserId, known: &Known) -> Login {
    Login {
        user: user.as_str().to_owned(),
        device: known.device,
        session: known.login.session,
        attempt: known.login.attempt,
        at_ms: known.at_ms,
    }
}

/// Removes a login of a user.
fn remove(tables: &mut Tables, user: &UserId, is_it: impl Fn(&Known) -> bool) -> Option<Known> {
    let devices = tables.users.get_mut(user)?;
    let at = devices.iter().position(is_it);
    let gone = at.map(|at| devices.remove(at));
    if devices.is_empty() {
        tables.users.remove(user);
    }
    gone
}

/// The oldest device of those here, if there are too many and it is the oldest of all. It goes; those elsewhere are up to their hubs.
fn too_many(devices: &[Known], max_devices: usize) -> Option<u64> {
    if devices.len() <= max_devices.max(1) {
        return None;
    }
    let oldest = devices
        .iter()
        .min_by_key(|known| (known.at_ms, known.hub, known.device))?;
    oldest.hub.is_none().then_some(oldest.device)
}

impl std::fmt::Debug for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Others").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is said.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Bytes>>);

    impl Bus for Kept {
        fn receive(&self, _: tim_store::BusReceiver) {}

        fn send(&self, message: Bytes) -> bool {
            lock(&self.0).push(message);
            true
        }
    }

    fn hub() -> (Others, Arc<Kept>) {
        let (others, kept) = (Others::default(), Arc::<Kept>::default());
        others.set_bus(Arc::clone(&kept) as Arc<dyn Bus>);
        (others, kept)
    }

    fn alice() -> UserId {
        UserId::new("alice").unwrap()
    }

    fn device(number: u64, session: u64, attempt: u32) -> Device {
        Device::new(alice(), number, 1).with_login(LoginId { session, attempt })
    }

    fn take(kept: &Kept) -> Vec<Login> {
        let said = std::mem::take(&mut *lock(&kept.0));
        let said = said.iter().map(|said| Said::decoded(said).unwrap());
        said.flat_map(|said| match said {
            Said::Entered(logins) => logins,
            Said::Anew => Vec::new(),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn a_login_elsewhere_replaces_the_one_before_it_and_no_later_one() {
        let ((one, said), (other, answered)) = (hub(), hub());
        assert_eq!(one.entered(&device(5, 1, 1), 3, 10), None);
        let first = take(&said).remove(0);
        // It has gone over to the other hub, which then hears of the login before.
        assert_eq!(other.entered(&device(5, 1, 2), 3, 9), None);
        let second = take(&answered).remove(0);
        assert_eq!(other.entered_elsewhere(1, &first), None);
        assert_eq!(
            take(&answered),
            std::slice::from_ref(&second),
            "the other hub is told again"
        );
        let replaced = Some((alice(), Consequence::Replaced(5)));
        assert_eq!(one.entered_elsewhere(2, &second), replaced);
        assert_eq!(one.entered_elsewhere(2, &second), None, "only once");
        assert!(one.has(&alice()) && !other.has(&alice()));
        // The connection that was replaced ends; what was said of the other one stays.
        one.left(&device(5, 1, 1));
        assert!(one.has(&alice()));
        one.left_elsewhere(2, &first);
        assert!(one.has(&alice()), "of a login that is over");
        one.left_elsewhere(2, &second);
        assert!(!one.has(&alice()));
    }

    #[test]
    fn of_too_many_devices_on_all_hubs_the_oldest_goes() {
        let ((one, said), (other, answered)) = (hub(), hub());
        assert_eq!(one.entered(&device(1, 1, 1), 2, 1), None);
        assert_eq!(other.entered(&device(2, 2, 1), 2, 2), None);
        for login in take(&said) {
            assert_eq!(other.entered_elsewhere(1, &login), None);
        }
        for login in take(&answered) {
            assert_eq!(one.entered_elsewhere(2, &login), None);
        }
        assert_eq!(other.entered(&device(3, 3, 1), 2, 3), None, "it is not here");
        let third = take(&answered).remove(0);
        let too_many = Some((alice(), Consequence::TooMany(1)));
        assert_eq!(one.entered_elsewhere(2, &third), too_many);
    }

    #[test]
    fn of_a_hub_that_is_gone_nothing_is_known() {
        let ((one, _), (other, said)) = (hub(), hub());
        other.entered(&device(1, 1, 1), 2, 1);
        assert!(one.hubs(&[7]) && !one.hubs(&[7]));
        one.entered_elsewhere(7, &take(&said)[0]);
        let room = GroupId::new("room").unwrap();
        one.members_there(7, "room", 3);
        assert!(one.has(&alice()));
        assert_eq!((one.count(&alice()), one.members(&room)), (1, 3));
        other.tell();
        let again = take(&said).remove(0);
        // It was not heard that she has gone, but that everything is said anew.
        one.forget(7);
        assert!(!one.has(&alice()));
        assert_eq!(one.members(&room), 3);
        one.entered_elsewhere(7, &again);
        assert!(!one.hubs(&[]));
        assert!(!one.has(&alice()));
        assert_eq!(one.members(&room), 0);
    }

    #[test]
    fn a_message_that_is_not_stored_comes_as_it_was_passed_on() {
        let (one, said) = hub();
        let delivery = Delivery::live(alice(), 4, Priority::HIGH, Bytes::from_static(b"hello"));
        let group = LogKey::Group(GroupId::new("g").unwrap());
        for log in [
            group,
            LogKey::System(alice()),
            LogKey::c2c(alice(), UserId::SYSTEM),
        ] {
            one.pass_on(&log, &delivery);
            let bytes = lock(&said.0).pop().unwrap();
            let Some(Said::Live(live)) = Said::decoded(&bytes) else {
                panic!("it is a message");
            };
            let (to, again) = live.delivery().unwrap();
            assert!(matches!(to, To::Log(to) if to == log));
            assert_eq!(
                (again.from(), again.message()),
                (delivery.from(), delivery.message())
            );
            for len in 0..bytes.len() {
                assert!(Said::decoded(&bytes[..len]).is_none(), "{len}");
            }
        }
    }
}
