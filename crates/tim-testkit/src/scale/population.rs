//! Users, their groups, and the hubs at which their devices are.

use super::Installation;
use crate::Rng;

/// How many users mostly talk with each other, such as a school or a company.
const COMMUNITY: u32 = 2_000;
/// Of the members of a group and the partners of a conversation, these are of the own community, in per cent.
const OWN: u8 = 90;
/// In how many groups a user is, on average.
const GROUPS_OF_USER: u64 = 8;
/// How large groups are: of so many per cent, from and up to.
const SIZES: [(u64, u64, u64); 4] = [(70, 3, 15), (24, 15, 100), (5, 100, 500), (1, 500, 2_000)];

/// Which hub the devices of a user connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Any: as a load balancer hands out connections.
    Any,
    /// The same one for all devices of a user.
    User,
    /// The same one for the users of a community.
    Community,
}

impl Placement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Any, Self::User, Self::Community];

    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Any => "any hub",
            Self::User => "one hub for a user",
            Self::Community => "one hub for a community",
        }
    }
}

/// The users of an installation, in communities, and their groups.
#[derive(Debug)]
pub struct Population {
    users: u32,
    /// The members of all groups, one after another, and where each group begins.
    members: Vec<u32>,
    begins: Vec<u32>,
    /// The groups of each user, in the same way.
    groups: Vec<u32>,
    groups_begin: Vec<u32>,
}

impl Population {
    /// Draws it.
    #[must_use]
    pub fn new(installation: &Installation) -> Self {
        let users = (installation.devices / 2).max(2);
        let mut rng = Rng::new(installation.seed);
        let (mut members, mut begins) = (Vec::new(), vec![0]);
        while (members.len() as u64) < u64::from(users) * GROUPS_OF_USER {
            let home = rng.below(u64::from(users)) as u32;
            let size = size(&mut rng).min(u64::from(users));
            members.extend((0..size).map(|_| near(&mut rng, home, users)));
            begins.push(members.len() as u32);
        }
        let (groups, groups_begin) = by_user(&members, &begins, users);
        Self {
            users,
            members,
            begins,
            groups,
            groups_begin,
        }
    }

    /// How many users there are.
    #[must_use]
    pub const fn users(&self) -> u32 {
        self.users
    }

    /// How many groups there are.
    #[must_use]
    pub const fn groups(&self) -> usize {
        self.begins.len() - 1
    }

    /// The members of a group.
    pub(super) fn members(&self, group: u32) -> &[u32] {
        range(&self.members, &self.begins, group)
    }

    /// One of two groups of a user: the smaller one, where more is said. `None` for who is in none.
    pub(super) fn group_of(&self, user: u32, rng: &mut Rng) -> Option<u32> {
        let groups = range(&self.groups, &self.groups_begin, user);
        let mut draw = || groups.get(rng.below(groups.len() as u64) as usize).copied();
        let two = [draw()?, draw()?];
        two.into_iter().min_by_key(|group| self.members(*group).len())
    }

    /// With whom a user talks.
    pub(super) fn partner(&self, user: u32, rng: &mut Rng) -> u32 {
        near(rng, user, self.users)
    }

    /// The hub of each device; the devices of user `n` are `2 n` and `2 n + 1`.
    pub(super) fn hubs(&self, installation: &Installation, placement: Placement) -> Vec<u16> {
        let hubs = u64::from(installation.hubs.max(1));
        let mut rng = Rng::new(installation.seed ^ 0x4A11);
        let communities = self.users.div_ceil(COMMUNITY) as usize;
        let of_community: Vec<u16> = (0..communities).map(|at| (at as u64 % hubs) as u16).collect();
        let mut placed = Vec::with_capacity(self.users as usize * 2);
        for user in 0..self.users {
            let own = rng.below(hubs) as u16;
            let other = rng.below(hubs) as u16;
            placed.extend(match placement {
                Placement::Any => [own, other],
                Placement::User => [own, own],
                Placement::Community => [of_community[(user / COMMUNITY) as usize]; 2],
            });
        }
        placed
    }
}

fn range<'a>(all: &'a [u32], begins: &[u32], at: u32) -> &'a [u32] {
    let at = at as usize;
    all.get(begins[at] as usize..begins[at + 1] as usize)
        .unwrap_or_default()
}

fn size(rng: &mut Rng) -> u64 {
    let mut chosen = rng.below(100);
    for (share, from, to) in SIZES {
        if chosen < share {
            return rng.within(from..to);
        }
        chosen -= share;
    }
    2
}

/// A user of the same community, mostly.
fn near(rng: &mut Rng, home: u32, users: u32) -> u32 {
    if !rng.percent(OWN) {
        return rng.below(u64::from(users)) as u32;
    }
    let first = home / COMMUNITY * COMMUNITY;
    let end = (first + COMMUNITY).min(users);
    rng.within(u64::from(first)..u64::from(end)) as u32
}

/// The groups of each user.
fn by_user(members: &[u32], begins: &[u32], users: u32) -> (Vec<u32>, Vec<u32>) {
    let mut begins_of = vec![0_u32; users as usize + 1];
    for member in members {
        begins_of[*member as usize + 1] += 1;
    }
    for user in 0..users as usize {
        begins_of[user + 1] += begins_of[user];
    }
    let (mut groups, mut next) = (vec![0; members.len()], begins_of.clone());
    for (group, bounds) in begins.windows(2).enumerate() {
        for member in &members[bounds[0] as usize..bounds[1] as usize] {
            let at = &mut next[*member as usize];
            groups[*at as usize] = group as u32;
            *at += 1;
        }
    }
    (groups, begins_of)
}
