//! The model of a group: a reading of the tables of its own, with lists.

use std::collections::BTreeMap;

use tim_proto::{GroupId, GroupType, UserId};

use crate::EntryFlags;

pub(crate) const USERS: usize = 5;
/// Small, so that they are reached.
pub(crate) const MAX_MEMBERS: usize = 4;
pub(crate) const MAX_ADMINS: usize = 1;

/// What the actor is answered: words, or the code of the refusal.
pub(crate) type Answer = Result<String, u32>;

pub(super) const DENIED: u32 = 10007;
pub(super) const NO_GROUP: u32 = 10010;
pub(super) const WRONG: u32 = 10004;
pub(super) const FULL: u32 = 10014;
pub(super) const MUTED: u32 = 10017;
pub(super) const HANDLED: u32 = 10024;

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
    /// How far the member has ever read: mentions up to there are forgotten.
    pub(crate) seen: usize,
    pub(crate) card: u8,
    pub(crate) receive: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    TheManagers,
    TheUser,
}

pub(super) struct Request {
    pub(super) inviter: Option<usize>,
    pub(super) verdict: Option<(usize, bool)>,
}

pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) sender: Option<usize>,
    pub(crate) flags: EntryFlags,
    pub(crate) mentions: Vec<usize>,
    pub(crate) all: bool,
}

pub(crate) struct Model {
    pub(crate) users: Vec<UserId>,
    pub(crate) group: GroupId,
    pub(crate) kind: GroupType,
    pub(crate) ended_by: Option<usize>,
    pub(crate) owner: usize,
    pub(super) former: Option<usize>,
    pub(crate) members: BTreeMap<usize, Member>,
    pub(crate) name: u8,
    pub(crate) join: u8,
    pub(crate) invite: u8,
    pub(crate) mute_all: bool,
    /// Until when whom; members or not.
    pub(crate) muted: BTreeMap<usize, u64>,
    pub(super) requests: BTreeMap<(usize, Asked), Request>,
    pub(crate) log: Vec<Line>,
    pub(crate) inbox: Vec<Vec<(String, EntryFlags)>>,
    pub(crate) now_ms: u64,
    /// A member proposed somebody, and a manager accepted or refused.
    pub(super) proposals: [bool; 2],
}

impl Model {
    /// The first user makes the group with the next two.
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
            muted: BTreeMap::new(),
            requests: BTreeMap::new(),
            log: Vec::new(),
            inbox: vec![Vec::new(); USERS],
            now_ms,
            proposals: [false; 2],
        };
        (0..3).for_each(|user| model.let_in(user));
        model.members.get_mut(&0).unwrap().rank = Rank::Owner;
        model.tip(1, 0, &[0, 1, 2]);
        model.notice(0, 6, Some(0), "", EntryFlags::NO_UNREAD);
        model.notice(1, 7, Some(0), "", EntryFlags::NONE);
        model.notice(2, 7, Some(0), "", EntryFlags::NONE);
        model
    }

    pub(super) fn let_in(&mut self, user: usize) {
        let member = Member {
            rank: Rank::Member,
            joined_ms: self.now_ms,
            joined_at: self.log.len(),
            read: self.log.len(),
            seen: self.log.len(),
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

    pub(super) fn tip(&mut self, operation: u32, by: usize, to: &[usize]) {
        let users: Vec<&str> = to.iter().map(|user| self.users[*user].as_str()).collect();
        let (by, count) = (self.users[by], self.members.len());
        let quiet = if self.kind == GroupType::MEETING {
            EntryFlags::NO_UNREAD
        } else {
            EntryFlags::NONE
        };
        self.log.push(Line {
            text: format!("tip {operation} by {by}: {} ({count})", users.join(",")),
            sender: None,
            flags: EntryFlags::SYSTEM | quiet,
            mentions: Vec::new(),
            all: false,
        });
    }

    pub(super) fn notice(
        &mut self,
        to: usize,
        operation: u32,
        by: Option<usize>,
        words: &str,
        more_flags: EntryFlags,
    ) {
        let by = by.map_or(UserId::SYSTEM, |by| self.users[by]);
        let text = format!("notice {operation} by {by}: {words}");
        self.inbox[to].push((text, EntryFlags::SYSTEM | more_flags));
    }

    pub(super) fn rank(&self, user: usize) -> Option<Rank> {
        self.members.get(&user).map(|member| member.rank)
    }

    /// The actor's rank, which must be at least this one.
    pub(super) fn at_least(&self, actor: usize, needed: Rank) -> Result<Rank, u32> {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        self.rank(actor).filter(|rank| *rank >= needed).ok_or(DENIED)
    }

    /// Until when the user may not write; 0 if they may.
    pub(crate) fn muted_until(&self, user: usize) -> u64 {
        let until = self.muted.get(&user).copied().unwrap_or(0);
        if until > self.now_ms { until } else { 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= MAX_MEMBERS
    }

    pub(crate) fn managers(&self) -> Vec<usize> {
        let managers = self
            .members
            .iter()
            .filter(|(_, member)| member.rank > Rank::Member);
        managers.map(|(user, _)| *user).collect()
    }

    pub(super) fn is_open(&self, user: usize, asked: Asked) -> bool {
        self.requests
            .get(&(user, asked))
            .is_some_and(|request| request.verdict.is_none())
    }

    /// Somebody is to become a member, if whoever is asked agrees; asked once.
    pub(super) fn request(&mut self, user: usize, asked: Asked, inviter: Option<usize>, words: &str) {
        if self.is_open(user, asked) {
            return;
        }
        let verdict = None;
        self.requests.insert((user, asked), Request { inviter, verdict });
        match asked {
            Asked::TheUser => self.notice(user, 12, inviter, words, EntryFlags::NONE),
            Asked::TheManagers => {
                for manager in self.managers() {
                    self.notice(manager, 1, Some(user), words, EntryFlags::NONE);
                }
            }
        }
    }

    /// Who waits for an answer of theirs, or is to give one.
    pub(crate) fn waiting(&self, asked: Asked) -> Vec<usize> {
        let open = self
            .requests
            .keys()
            .filter(|(user, to)| *to == asked && self.is_open(*user, asked));
        open.map(|(user, _)| *user).collect()
    }

    /// Which tips and notices there were.
    pub(crate) fn happened(&self) -> impl Iterator<Item = String> {
        let lines = self
            .log
            .iter()
            .filter(|line| line.sender.is_none())
            .map(|line| &line.text);
        let notices = self.inbox.iter().flatten().map(|(text, _)| text);
        let kinds = lines
            .chain(notices)
            .map(|text| text.split(" by ").next().unwrap_or("").to_owned());
        let proposals = ["proposal refused", "proposal accepted"]
            .into_iter()
            .zip(self.proposals);
        let proposals = proposals
            .filter(|(_, seen)| *seen)
            .map(|(what, _)| what.to_owned());
        kinds.chain(proposals).collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn unread(&self, user: usize) -> usize {
        let read = self.members[&user].read;
        let counts = |line: &&Line| !line.flags.contains(EntryFlags::NO_UNREAD) && line.sender != Some(user);
        self.log.iter().skip(read).filter(counts).count()
    }

    /// The newest ten of somebody else's that mention the user behind the read mark: sequence, sender, kind.
    pub(crate) fn at(&self, user: usize) -> Vec<(usize, usize, u8)> {
        let seen = self.members[&user].seen;
        let behind = self.log.iter().enumerate().skip(self.members[&user].read);
        let mut found: Vec<_> = behind
            .filter_map(|(index, line)| {
                let sender = line.sender.filter(|sender| *sender != user)?;
                let kind = u8::from(index >= seen && line.mentions.contains(&user)) + 2 * u8::from(line.all);
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
