//! The model of a group: a reading of the tables of its own, with lists.

use std::collections::BTreeMap;

use tim_hub::store::flags;
use tim_proto::{GroupId, GroupType, UserId};

pub(crate) const USERS: usize = 5;
/// Small, so that they are reached.
pub(crate) const MAX_MEMBERS: usize = 4;
pub(crate) const MAX_ADMINS: usize = 1;

/// What the actor is answered: words, or the code of the refusal.
pub(crate) type Answer = Result<String, u32>;

const DENIED: u32 = 10007;
const NO_GROUP: u32 = 10010;
const WRONG: u32 = 10004;
const FULL: u32 = 10014;
const MUTED: u32 = 10017;
const HANDLED: u32 = 10024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Rank {
    Member,
    Admin,
    Owner,
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) rank: Rank,
    pub(crate) joined_ms: u64,
    pub(crate) joined_at: usize,
    pub(crate) read: usize,
    pub(crate) muted_until: u64,
    pub(crate) card: u8,
    pub(crate) receive: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    TheManagers,
    TheUser,
}

struct Request {
    inviter: Option<usize>,
    verdict: Option<(usize, bool)>,
}

pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) sender: Option<usize>,
    pub(crate) flags: u32,
    pub(crate) mentions: Vec<usize>,
    pub(crate) all: bool,
}

pub(crate) struct Model {
    pub(crate) users: Vec<UserId>,
    pub(crate) group: GroupId,
    pub(crate) kind: GroupType,
    pub(crate) ended_by: Option<usize>,
    pub(crate) owner: usize,
    former: Option<usize>,
    pub(crate) members: BTreeMap<usize, Member>,
    pub(crate) name: u8,
    pub(crate) join: u8,
    pub(crate) invite: u8,
    pub(crate) mute_all: bool,
    requests: BTreeMap<(usize, Asked), Request>,
    pub(crate) log: Vec<Line>,
    pub(crate) inbox: Vec<Vec<(String, u32)>>,
    pub(crate) now_ms: u64,
}

fn done() -> Answer {
    Ok("done".to_owned())
}

impl Model {
    /// The first user makes the group.
    pub(crate) fn new(users: Vec<UserId>, group: GroupId, kind: GroupType, now_ms: u64) -> Self {
        let (join, invite) = match kind {
            GroupType::WORK => (3, 1),
            GroupType::PUBLIC => (2, 2),
            GroupType::MEETING => (1, 3),
            _ => (1, 1),
        };
        let mut model = Self {
            users,
            group,
            kind,
            ended_by: None,
            owner: 0,
            former: None,
            members: BTreeMap::new(),
            name: 0,
            join,
            invite,
            mute_all: false,
            requests: BTreeMap::new(),
            log: Vec::new(),
            inbox: vec![Vec::new(); USERS],
            now_ms,
        };
        model.let_in(0);
        model.members.get_mut(&0).unwrap().rank = Rank::Owner;
        model.tip(1, 0, &[0]);
        model.notice(0, 6, Some(0), "", flags::NO_UNREAD);
        model
    }

    fn let_in(&mut self, user: usize) {
        let member = Member {
            rank: Rank::Member,
            joined_ms: self.now_ms,
            joined_at: self.log.len(),
            read: self.log.len(),
            muted_until: 0,
            card: 0,
            receive: 1,
        };
        self.members.insert(user, member);
        for ((whom, _), request) in &mut self.requests {
            if *whom == user && request.verdict.is_none() {
                request.verdict = Some((user, true));
            }
        }
    }

    fn tip(&mut self, operation: u32, by: usize, to: &[usize]) {
        let users: Vec<&str> = to.iter().map(|user| self.users[*user].as_str()).collect();
        let (by, count) = (self.users[by], self.members.len());
        let quiet = if self.kind == GroupType::MEETING {
            flags::NO_UNREAD
        } else {
            0
        };
        self.log.push(Line {
            text: format!("tip {operation} by {by}: {} ({count})", users.join(",")),
            sender: None,
            flags: flags::SYSTEM | quiet,
            mentions: Vec::new(),
            all: false,
        });
    }

    fn notice(&mut self, to: usize, operation: u32, by: Option<usize>, words: &str, more_flags: u32) {
        let by = by.map_or(UserId::SYSTEM, |by| self.users[by]);
        let text = format!("notice {operation} by {by}: {words}");
        self.inbox[to].push((text, flags::SYSTEM | more_flags));
    }

    fn rank(&self, user: usize) -> Option<Rank> {
        self.members.get(&user).map(|member| member.rank)
    }

    /// The actor's rank, which must be at least this one.
    fn at_least(&self, actor: usize, needed: Rank) -> Result<Rank, u32> {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        self.rank(actor).filter(|rank| *rank >= needed).ok_or(DENIED)
    }

    fn is_full(&self) -> bool {
        self.members.len() >= MAX_MEMBERS
    }

    fn managers(&self) -> Vec<usize> {
        let managers = self
            .members
            .iter()
            .filter(|(_, member)| member.rank > Rank::Member);
        managers.map(|(user, _)| *user).collect()
    }

    fn is_open(&self, user: usize, asked: Asked) -> bool {
        self.requests
            .get(&(user, asked))
            .is_some_and(|request| request.verdict.is_none())
    }

    /// Somebody is to become a member, if whoever is asked agrees; asked once.
    fn request(&mut self, user: usize, asked: Asked, inviter: Option<usize>, words: &str) {
        if self.is_open(user, asked) {
            return;
        }
        let verdict = None;
        self.requests.insert((user, asked), Request { inviter, verdict });
        match asked {
            Asked::TheUser => self.notice(user, 12, inviter, words, 0),
            Asked::TheManagers => {
                for manager in self.managers() {
                    self.notice(manager, 1, Some(user), words, 0);
                }
            }
        }
    }

    pub(crate) fn join(&mut self, actor: usize) -> Answer {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        if self.rank(actor).is_some() {
            return Ok("AlreadyInGroup".to_owned());
        }
        match self.join {
            1 if self.is_full() => Err(FULL),
            1 => {
                self.let_in(actor);
                self.tip(1, actor, &[actor]);
                self.notice(actor, 2, Some(self.owner), "", 0);
                Ok("JoinedSuccess".to_owned())
            }
            2 => {
                self.request(actor, Asked::TheManagers, None, "please");
                Ok("WaitAdminApproval".to_owned())
            }
            _ => Err(DENIED),
        }
    }

    pub(crate) fn quit(&mut self, actor: usize) -> Answer {
        if let Some(by) = self.ended_by {
            return if by == actor { done() } else { Err(NO_GROUP) };
        }
        let Some(rank) = self.rank(actor) else {
            return done();
        };
        if rank == Rank::Owner && self.kind != GroupType::WORK {
            return Err(10009);
        }
        if rank == Rank::Owner && self.members.len() == 1 {
            self.end(actor);
        } else {
            self.members.remove(&actor);
            self.tip(2, actor, &[actor]);
        }
        if rank == Rank::Owner && self.ended_by.is_none() {
            // A Work group has no admins: who stands longest, and of those the older account.
            let next = self
                .members
                .iter()
                .min_by_key(|(user, member)| (member.joined_ms, **user));
            let next = *next.unwrap().0;
            self.own(next);
            self.tip(6, actor, &[]);
        }
        self.notice(actor, 8, Some(actor), "", flags::NO_UNREAD);
        done()
    }

    fn own(&mut self, next: usize) {
        self.former = Some(self.owner);
        self.owner = next;
        self.members.get_mut(&next).unwrap().rank = Rank::Owner;
    }

    fn end(&mut self, by: usize) {
        self.ended_by = Some(by);
        self.members.clear();
        self.requests.clear();
    }

    pub(crate) fn handle_application(&mut self, actor: usize, user: usize, accept: bool) -> Answer {
        self.at_least(actor, Rank::Admin)?;
        let full = self.is_full();
        let request = self.requests.get_mut(&(user, Asked::TheManagers)).ok_or(WRONG)?;
        match request.verdict {
            Some(verdict) if verdict == (actor, accept) => return done(),
            Some(_) => return Err(HANDLED),
            None if accept && full => return Err(FULL),
            None => request.verdict = Some((actor, accept)),
        }
        let inviter = request.inviter;
        if accept {
            self.let_in(user);
            self.tip(1, actor, &[user]);
        }
        match (inviter, accept) {
            (None, true) => self.notice(user, 2, Some(actor), "ok", 0),
            (None, false) => self.notice(user, 3, Some(actor), "ok", 0),
            (Some(inviter), true) => {
                self.notice(user, 7, Some(inviter), "ok", 0);
                self.notice(inviter, 13, Some(user), "ok", 0);
            }
            (Some(inviter), false) => self.notice(inviter, 14, Some(user), "ok", 0),
        }
        done()
    }

    pub(crate) fn handle_invitation(&mut self, actor: usize, accept: bool) -> Answer {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        let full = self.is_full();
        let request = self.requests.get_mut(&(actor, Asked::TheUser)).ok_or(WRONG)?;
        match request.verdict {
            Some(verdict) if verdict == (actor, accept) => return done(),
            Some(_) => return Err(HANDLED),
            None if accept && full => return Err(FULL),
            None => request.verdict = Some((actor, accept)),
        }
        let inviter = request.inviter.unwrap();
        if accept {
            self.let_in(actor);
            self.tip(1, inviter, &[actor]);
            self.notice(actor, 2, Some(inviter), "", 0);
        }
        self.notice(inviter, if accept { 13 } else { 14 }, Some(actor), "ok", 0);
        done()
    }

    pub(crate) fn invite(&mut self, actor: usize, users: &[usize]) -> Answer {
        let rank = self.at_least(actor, Rank::Member)?;
        if self.invite == 3 {
            return Err(DENIED);
        }
        let mut results = Vec::new();
        let mut added: Vec<usize> = Vec::new();
        for user in once(users) {
            results.push(match self.invite {
                _ if self.rank(user).is_some() => "AlreadyMember",
                _ if self.members.len() + added.len() >= MAX_MEMBERS => "Full",
                1 => {
                    added.push(user);
                    "Added"
                }
                _ if rank > Rank::Member => {
                    self.request(user, Asked::TheUser, Some(actor), "come");
                    "Invited"
                }
                _ => {
                    self.request(user, Asked::TheManagers, Some(actor), "come");
                    "WaitAdminApproval"
                }
            });
        }
        for user in &added {
            self.let_in(*user);
            // All of them come in with one tip.
            self.notice(*user, 7, Some(actor), "come", 0);
        }
        if !added.is_empty() {
            self.tip(1, actor, &added);
        }
        Ok(results.join(","))
    }

    pub(crate) fn remove(&mut self, actor: usize, users: &[usize]) -> Answer {
        let needed = if self.kind == GroupType::WORK {
            Rank::Owner
        } else {
            Rank::Admin
        };
        let rank = self.at_least(actor, needed)?;
        let mut results = Vec::new();
        let mut gone = Vec::new();
        for user in once(users) {
            results.push(match self.rank(user) {
                None => "NotMember",
                Some(other) if other < rank => {
                    gone.push(user);
                    "Removed"
                }
                Some(_) => "NotAllowed",
            });
        }
        for user in &gone {
            self.members.remove(user);
            self.notice(*user, 4, Some(actor), "bye", 0);
        }
        if !gone.is_empty() {
            self.tip(3, actor, &gone);
        }
        Ok(results.join(","))
    }

    /// Somebody of higher rank does something to a member.
    fn to_lower(&self, rank: Rank, user: usize) -> Result<(), u32> {
        let other = self.rank(user).ok_or(WRONG)?;
        if other < rank { Ok(()) } else { Err(DENIED) }
    }

    pub(crate) fn set_admin(&mut self, actor: usize, user: usize, admin: bool) -> Answer {
        let rank = self.at_least(actor, Rank::Owner)?;
        if self.kind == GroupType::WORK {
            return Err(DENIED);
        }
        self.to_lower(rank, user)?;
        let wanted = if admin { Rank::Admin } else { Rank::Member };
        if self.rank(user) == Some(wanted) {
            return done();
        }
        if admin && self.managers().len() > MAX_ADMINS {
            return Err(DENIED);
        }
        self.members.get_mut(&user).unwrap().rank = wanted;
        self.tip(if admin { 4 } else { 5 }, actor, &[user]);
        self.notice(user, if admin { 9 } else { 10 }, Some(actor), "", 0);
        done()
    }

    pub(crate) fn mute(&mut self, actor: usize, user: usize, seconds: u32) -> Answer {
        let rank = self.at_least(actor, Rank::Admin)?;
        self.to_lower(rank, user)?;
        let now_ms = self.now_ms;
        let member = self.members.get_mut(&user).unwrap();
        if seconds == 0 && member.muted_until <= now_ms {
            return done();
        }
        member.muted_until = if seconds == 0 {
            0
        } else {
            now_ms + u64::from(seconds) * 1000
        };
        self.tip(7, actor, &[user]);
        done()
    }

    pub(crate) fn set_card(&mut self, actor: usize, user: usize, card: u8) -> Answer {
        if actor == user {
            self.at_least(actor, Rank::Member)?;
        } else {
            let rank = self.at_least(actor, Rank::Admin)?;
            self.to_lower(rank, user)?;
        }
        let member = self.members.get_mut(&user).unwrap();
        if member.card != card {
            member.card = card;
            self.tip(7, actor, &[user]);
        }
        done()
    }

    pub(crate) fn change_owner(&mut self, actor: usize, next: usize) -> Answer {
        let rank = self.at_least(actor, Rank::Member)?;
        if self.former == Some(actor) && self.owner == next {
            return done();
        }
        if rank < Rank::Owner {
            return Err(DENIED);
        }
        if next == actor {
            return done();
        }
        self.rank(next).ok_or(WRONG)?;
        self.members.get_mut(&actor).unwrap().rank = Rank::Member;
        self.own(next);
        self.tip(6, actor, &[]);
        done()
    }

    pub(crate) fn update(&mut self, actor: usize, what: Update) -> Answer {
        let work = self.kind == GroupType::WORK;
        let needed = match what {
            Update::Name(_) if work => Rank::Member,
            Update::Name(_) | Update::MuteAll(_) => Rank::Admin,
            Update::Join(_) | Update::Invite(_) => Rank::Owner,
        };
        self.at_least(actor, needed)?;
        let fixed = !matches!(self.kind, GroupType::PUBLIC | GroupType::COMMUNITY);
        let changed = match what {
            Update::Name(name) => std::mem::replace(&mut self.name, name) != name,
            Update::Join(_) if fixed => return Err(DENIED),
            Update::Join(option) => std::mem::replace(&mut self.join, option) != option,
            Update::Invite(option) => std::mem::replace(&mut self.invite, option) != option,
            Update::MuteAll(mute) => std::mem::replace(&mut self.mute_all, mute) != mute,
        };
        if changed {
            self.tip(6, actor, &[]);
        }
        done()
    }

    pub(crate) fn dismiss(&mut self, actor: usize) -> Answer {
        if self.ended_by == Some(actor) {
            return done();
        }
        self.at_least(actor, Rank::Owner)?;
        if self.kind == GroupType::WORK && self.members.len() > 1 {
            return Err(DENIED);
        }
        for user in self.members.keys().copied().collect::<Vec<_>>() {
            let quiet = if user == actor { flags::NO_UNREAD } else { 0 };
            self.notice(user, 5, Some(actor), "", quiet);
        }
        self.end(actor);
        done()
    }

    pub(crate) fn receive(&mut self, actor: usize, option: u8) -> Answer {
        self.at_least(actor, Rank::Member)?;
        let member = self.members.get_mut(&actor).unwrap();
        if member.receive != option {
            member.receive = option;
            let name = ["AcceptAndNotify", "AcceptNotNotify", "Discard"][usize::from(option) - 1];
            self.notice(actor, 20, Some(actor), name, flags::NO_UNREAD | flags::NO_LAST);
        }
        done()
    }

    pub(crate) fn announce(&mut self) -> Answer {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        for user in self.members.keys().copied().collect::<Vec<_>>() {
            self.notice(user, 255, None, "news", 0);
        }
        done()
    }

    pub(crate) fn say(&mut self, actor: usize, mentions: &[usize], all: bool) -> Answer {
        let rank = self.at_least(actor, Rank::Member)?;
        let manages = rank > Rank::Member;
        if all && !manages && self.kind != GroupType::WORK {
            return Err(DENIED);
        }
        if self.members[&actor].muted_until > self.now_ms || (self.mute_all && !manages) {
            return Err(MUTED);
        }
        let mut mentions = mentions.to_vec();
        mentions.retain(|user| self.members.contains_key(user));
        self.log.push(Line {
            text: "x".to_owned(),
            sender: Some(actor),
            flags: if self.kind == GroupType::MEETING {
                flags::NO_UNREAD
            } else {
                0
            },
            mentions,
            all,
        });
        Ok("stored".to_owned())
    }

    pub(crate) fn read(&mut self, actor: usize, upto: usize) -> Answer {
        self.at_least(actor, Rank::Member)?;
        let head = self.log.len();
        let member = self.members.get_mut(&actor).unwrap();
        member.read = member.read.max(upto.min(head));
        Ok(format!("read {}", self.unread(actor)))
    }

    pub(crate) fn unread(&self, user: usize) -> usize {
        let read = self.members[&user].read;
        let counts = |line: &&Line| line.flags & flags::NO_UNREAD == 0 && line.sender != Some(user);
        self.log.iter().skip(read).filter(counts).count()
    }

    /// The newest ten of somebody else's that mention the user behind the read mark: sequence, sender, kind.
    pub(crate) fn at(&self, user: usize) -> Vec<(usize, usize, u8)> {
        let behind = self.log.iter().enumerate().skip(self.members[&user].read);
        let mut found: Vec<_> = behind
            .filter_map(|(index, line)| {
                let sender = line.sender.filter(|sender| *sender != user)?;
                let kind = u8::from(line.mentions.contains(&user)) + 2 * u8::from(line.all);
                (kind > 0).then_some((index + 1, sender, kind))
            })
            .collect();
        found.drain(..found.len().saturating_sub(10));
        found
    }
}

/// One change of the profile.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Update {
    Name(u8),
    Join(u8),
    Invite(u8),
    MuteAll(bool),
}

fn once(users: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    for user in users {
        if !seen.contains(user) {
            seen.push(*user);
        }
    }
    seen
}
