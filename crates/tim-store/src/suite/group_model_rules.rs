//! What the model of a group makes of each command.

use tim_proto::GroupType;

use super::group_model_state::{
    Answer, Asked, DENIED, FULL, HANDLED, Line, MAX_ADMINS, MAX_MEMBERS, MUTED, Model, NO_GROUP, Rank,
    Update, WRONG,
};
use crate::EntryFlags;

fn done() -> Answer {
    Ok("done".to_owned())
}

impl Model {
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
                self.notice(actor, 2, Some(self.owner), "", EntryFlags::NONE);
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
        self.notice(actor, 8, Some(actor), "", EntryFlags::NO_UNREAD);
        done()
    }

    fn own(&mut self, next: usize) {
        self.former = Some(self.owner);
        self.owner = next;
        let member = self.members.get_mut(&next).unwrap();
        member.rank = Rank::Owner;
        self.muted.remove(&next);
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
        self.proposals[usize::from(accept)] |= inviter.is_some();
        if accept {
            self.let_in(user);
            self.tip(1, actor, &[user]);
        }
        match (inviter, accept) {
            (None, true) => self.notice(user, 2, Some(actor), "ok", EntryFlags::NONE),
            (None, false) => self.notice(user, 3, Some(actor), "ok", EntryFlags::NONE),
            (Some(inviter), true) => {
                self.notice(user, 7, Some(inviter), "ok", EntryFlags::NONE);
                self.notice(inviter, 13, Some(user), "ok", EntryFlags::NONE);
            }
            (Some(inviter), false) => self.notice(inviter, 14, Some(user), "ok", EntryFlags::NONE),
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
            self.notice(actor, 2, Some(inviter), "", EntryFlags::NONE);
        }
        self.notice(
            inviter,
            if accept { 13 } else { 14 },
            Some(actor),
            "ok",
            EntryFlags::NONE,
        );
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
            self.notice(*user, 7, Some(actor), "come", EntryFlags::NONE);
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
            self.notice(*user, 4, Some(actor), "bye", EntryFlags::NONE);
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
        self.notice(
            user,
            if admin { 9 } else { 10 },
            Some(actor),
            "",
            EntryFlags::NONE,
        );
        done()
    }

    pub(crate) fn mute(&mut self, actor: usize, user: usize, seconds: u32) -> Answer {
        let rank = self.at_least(actor, Rank::Admin)?;
        self.to_lower(rank, user)?;
        if seconds == 0 && self.muted_until(user) == 0 {
            return done();
        }
        self.muted.insert(user, self.now_ms + u64::from(seconds) * 1000);
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
            let quiet = if user == actor {
                EntryFlags::NO_UNREAD
            } else {
                EntryFlags::NONE
            };
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
            self.notice(
                actor,
                20,
                Some(actor),
                name,
                EntryFlags::NO_UNREAD | EntryFlags::NO_LAST,
            );
        }
        done()
    }

    pub(crate) fn announce(&mut self) -> Answer {
        if self.ended_by.is_some() {
            return Err(NO_GROUP);
        }
        for user in self.members.keys().copied().collect::<Vec<_>>() {
            self.notice(user, 255, None, "news", EntryFlags::NONE);
        }
        done()
    }

    pub(crate) fn say(&mut self, actor: usize, mentions: &[usize], all: bool) -> Answer {
        let rank = self.at_least(actor, Rank::Member)?;
        let manages = rank > Rank::Member;
        if all && !manages && self.kind != GroupType::WORK {
            return Err(DENIED);
        }
        if self.muted_until(actor) > 0 || (self.mute_all && !manages) {
            return Err(MUTED);
        }
        let mut mentions = mentions.to_vec();
        mentions.retain(|user| self.members.contains_key(user));
        self.log.push(Line {
            text: "x".to_owned(),
            sender: Some(actor),
            flags: if self.kind == GroupType::MEETING {
                EntryFlags::NO_UNREAD
            } else {
                EntryFlags::NONE
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
        member.seen = member.seen.max(member.read);
        Ok(format!("read {}", self.unread(actor)))
    }
}

/// What an administrator does, in whose right the actor acts.
impl Model {
    fn exists(&self) -> Result<(), u32> {
        match self.ended_by {
            Some(_) => Err(NO_GROUP),
            None => Ok(()),
        }
    }

    pub(crate) fn add(&mut self, actor: usize, users: &[usize], silent: bool) -> Answer {
        self.exists()?;
        let mut results = Vec::new();
        let mut added = Vec::new();
        for user in once(users) {
            results.push(if self.rank(user).is_some() {
                "AlreadyMember"
            } else if self.members.len() + added.len() >= MAX_MEMBERS {
                "Full"
            } else {
                added.push(user);
                "Added"
            });
        }
        added.iter().for_each(|user| self.let_in(*user));
        if !silent && !added.is_empty() {
            self.tip(1, actor, &added);
            for user in added {
                self.notice(user, 7, Some(actor), "", EntryFlags::NONE);
            }
        }
        Ok(results.join(","))
    }

    pub(crate) fn kick(&mut self, actor: usize, users: &[usize], silent: bool) -> Answer {
        self.exists()?;
        let mut results = Vec::new();
        let mut gone = Vec::new();
        for user in once(users) {
            results.push(match self.rank(user) {
                None => "NotMember",
                Some(Rank::Owner) => "NotAllowed",
                Some(_) => {
                    gone.push(user);
                    "Removed"
                }
            });
        }
        for user in &gone {
            self.members.remove(user);
        }
        if !silent && !gone.is_empty() {
            self.tip(3, actor, &gone);
            for user in gone {
                self.notice(user, 4, Some(actor), "bye", EntryFlags::NONE);
            }
        }
        Ok(results.join(","))
    }

    /// As many are unread as are asked for, or as there are.
    pub(crate) fn set_unread(&mut self, user: usize, unread: usize) -> Answer {
        self.exists()?;
        if self.rank(user).is_none() {
            return Err(WRONG);
        }
        if self.kind != GroupType::MEETING {
            let from = self.members[&user].joined_at;
            self.members.get_mut(&user).unwrap().read = self.log.len();
            while self.unread(user) < unread && self.members[&user].read > from {
                self.members.get_mut(&user).unwrap().read -= 1;
            }
            let member = self.members.get_mut(&user).unwrap();
            member.seen = member.seen.max(member.read);
        }
        Ok(format!("read {}", self.unread(user)))
    }
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
