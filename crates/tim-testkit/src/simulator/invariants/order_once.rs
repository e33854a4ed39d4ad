//! Each device gets each entry of its conversations exactly once and in order, over all its lives as far as it keeps its cursor, and at rest
//! it has all that came since it was ready, and nothing from before it started with what is new. What it gets is what was sent, and
//! everybody sees the same entry at the same place.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::{MessageId, UserId};

use super::super::history::{Content, Event, Log, Seen, StartsFrom, What};
use super::super::op::{DeviceKind, DeviceRef};
use super::model::Accepted;
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct OrderOnce;

const NAME: &str = "order-once";

/// How long the hub certainly remembers what it passed on without storing it, in milliseconds.
const REMEMBERED_MS: u64 = 110_000;

impl Invariant for OrderOnce {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = places(model)?;
        for state in &model.snapshot.devices {
            let mut device = Device::new(state.device);
            for (at, observation) in model.history.observations.iter().enumerate() {
                let is_of_hub = matches!(observation.what, What::HubStarted { .. } | What::HubClock { .. });
                if observation.device == Some(state.device) || is_of_hub {
                    checked += device.observe(model, at, &observation.what)?;
                }
            }
            if state.ready {
                checked += device.has_all(model)?;
            }
        }
        Ok(checked)
    }
}

/// At each place of a log everybody sees the same entry, with the content that was sent.
fn places(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, seen, viewer) in model.seen() {
        content(model, at, seen)?;
        let is_current = model.is_of_this_store(viewer, at);
        // A piece of a message comes without its id.
        let has_id = seen.id != MessageId::default();
        if seen.sequence == 0 || !is_current || !has_id {
            continue;
        }
        checked += 1;
        let Some(first) = model.first_kept(&seen.log) else {
            continue;
        };
        match model.stored(&seen.log, seen.sequence) {
            Some(stored) if !is_same(&stored.seen, seen) => {
                let words = format!(
                    "{seen} has the id {}, and in the store there is {} with {}",
                    seen.id, stored.seen, stored.seen.id
                );
                return Err(Violation::new(NAME, words).at([at]));
            }
            None if seen.sequence >= first => {
                let words = format!("{seen} was seen, and is not in the store");
                return Err(Violation::new(NAME, words).at([at]));
            }
            _ => {}
        }
    }
    Ok(checked)
}

/// Whether two are the same entry. The hub's own have no account in their ids where they travel.
fn is_same(one: &Seen, other: &Seen) -> bool {
    let id = |seen: &Seen| {
        let sender = if seen.from == UserId::SYSTEM {
            0
        } else {
            seen.id.sender
        };
        (sender, seen.id.client_time, seen.id.random)
    };
    (one.from, id(one)) == (other.from, id(other))
}

/// What arrives is what was sent, by whom it was sent.
fn content(model: &Model<'_>, at: usize, seen: &Seen) -> Result<(), Violation> {
    let Content::Said(said) = &seen.content else {
        return Ok(());
    };
    let Some(message) = said.mark.and_then(|mark| model.messages.get(&mark)) else {
        return Err(Violation::new(NAME, format!("nobody sent {seen}")).at([at]));
    };
    if model.differs(&message.sent.said, &seen.content)
        || message.sent.from != seen.from
        || !message.is_to(&seen.log)
    {
        let words = format!(
            "{seen} arrived changed: {} sent {:?} to {}",
            message.sent.from, message.sent.said, message.sent.log
        );
        return Err(Violation::new(NAME, words).at([message.begun, at]));
    }
    Ok(())
}

/// What a device has got.
struct Device {
    device: DeviceRef,
    user: UserId,
    /// The deliveries behind its cursor: the observation, and the place.
    got: Vec<(usize, Log, u64)>,
    places: BTreeSet<(Log, u64)>,
    last: BTreeMap<Log, u64>,
    /// What it got that is not stored, from the hub that runs now, since it was started.
    live: BTreeMap<(UserId, MessageId), usize>,
    /// The hub was started, and the device has not been connected since: what it gets is of the one before.
    is_cut_off: bool,
    /// The gaps that it was told of.
    gaps: Vec<(Log, u64, u64)>,
    /// Everything that was sent after this observation is to arrive.
    since: Option<usize>,
    /// It starts with what is new when it is ready next.
    waits: bool,
    /// When this life started, if it did with what is new.
    new_since: Option<usize>,
}

impl Device {
    fn new(device: DeviceRef) -> Self {
        Self {
            device,
            user: device.user_id(),
            got: Vec::new(),
            places: BTreeSet::new(),
            last: BTreeMap::new(),
            live: BTreeMap::new(),
            is_cut_off: false,
            gaps: Vec::new(),
            since: None,
            waits: true,
            new_since: None,
        }
    }

    fn observe(&mut self, model: &Model<'_>, at: usize, what: &What) -> Result<u64, Violation> {
        match what {
            What::Started(started) if !started.twin => {
                self.live.clear();
                self.new_since = (started.from == StartsFrom::Now).then_some(at);
                match started.from {
                    StartsFrom::Now | StartsFrom::Start => self.start_anew(),
                    StartsFrom::Cursor { observations } => {
                        self.got.retain(|(at, ..)| *at < observations);
                        self.rebuild();
                    }
                }
            }
            What::HubStarted { .. } => {
                self.live.clear();
                self.is_cut_off = true;
            }
            What::Event(Event::Other(name)) if self.is_cut_off && name == "net Connected" => {
                self.live.clear();
                self.is_cut_off = false;
            }
            What::Event(Event::Ready) if self.waits => {
                self.since = Some(at);
                self.waits = false;
            }
            What::Event(Event::RestoredGap) => {
                self.start_anew();
                self.since = Some(at);
                self.waits = false;
            }
            What::Event(Event::Gap { log, from, to }) => self.gaps.push((*log, *from, *to)),
            What::Event(Event::Received(entries)) => {
                for seen in entries {
                    self.receive(model, at, seen)?;
                }
                return Ok(entries.len() as u64);
            }
            _ => {}
        }
        Ok(0)
    }

    fn start_anew(&mut self) {
        self.got.clear();
        self.rebuild();
        self.gaps.clear();
        self.since = None;
        self.waits = true;
    }

    fn rebuild(&mut self) {
        self.places = self
            .got
            .iter()
            .map(|(_, log, sequence)| (*log, *sequence))
            .collect();
        self.last.clear();
        for (log, sequence) in &self.places {
            self.last.insert(*log, *sequence);
        }
    }

    fn receive(&mut self, model: &Model<'_>, at: usize, seen: &Seen) -> Result<(), Violation> {
        let place = (seen.log, seen.sequence);
        if seen.sequence == 0 && seen.id != MessageId::default() {
            return self.receive_live(model, at, seen);
        }
        if seen.sequence == 0 || self.is_own(model, seen) || self.has_moved(model, at, seen) {
            return Ok(());
        }
        let before = |place: &(Log, u64)| {
            let found = self
                .got
                .iter()
                .find(|(_, log, sequence)| (*log, *sequence) == *place);
            found.map(|(at, ..)| *at)
        };
        if self.places.contains(&place) {
            let words = format!("{} got {seen} twice", self.device);
            return Err(Violation::new(NAME, words).at(before(&place)).at([at]));
        }
        if let Some(last) = self
            .last
            .get(&seen.log)
            .copied()
            .filter(|last| *last > seen.sequence)
        {
            let words = format!("{} got {seen} after {last}", self.device);
            return Err(Violation::new(NAME, words).at(before(&(seen.log, last))).at([at]));
        }
        self.is_new(model, at, seen)?;
        self.got.push((at, seen.log, seen.sequence));
        self.places.insert(place);
        self.last.insert(seen.log, seen.sequence);
        Ok(())
    }

    /// Whether an entry that the device got before a restore shows the place that it has in the restored store. All events name the
    /// same instance of a message, and the application reads the first one when the device has got it again already, behind the
    /// event that tells of the restore.
    fn has_moved(&self, model: &Model<'_>, at: usize, seen: &Seen) -> bool {
        let later = model.history.observations.get(at + 1..).unwrap_or_default();
        let own = later.iter().filter(|later| later.device == Some(self.device));
        let mut own = own.map(|later| &later.what);
        let is_told = |what: &&What| {
            matches!(
                what,
                What::Started(_) | What::Ended | What::Event(Event::Ready | Event::RestoredGap)
            )
        };
        if own.find(is_told) != Some(&What::Event(Event::RestoredGap)) || !model.restored_between(0, at) {
            return false;
        }
        let is_same =
            |later: &Seen| (later.id, later.log, later.sequence) == (seen.id, seen.log, seen.sequence);
        let mut life = own.take_while(|what| !matches!(what, What::Started(_) | What::Ended));
        life.any(|what| matches!(what, What::Event(Event::Received(entries)) if entries.iter().any(is_same)))
    }

    /// Who starts with what is new gets nothing that was acknowledged before.
    fn is_new(&self, model: &Model<'_>, at: usize, seen: &Seen) -> Result<(), Violation> {
        let message = seen.content.mark().and_then(|mark| model.messages.get(&mark));
        let (Some(since), Some(message)) = (self.new_since, message) else {
            return Ok(());
        };
        let is_older = |accepted: &&Accepted| accepted.at < since && accepted.sequence == seen.sequence;
        match message.accepted.iter().find(is_older) {
            // After a restore, sequences are assigned again.
            Some(accepted) if !model.restored_between(accepted.at, at) => {
                let words = format!(
                    "{} started with what is new and got {seen} from before",
                    self.device
                );
                Err(Violation::new(NAME, words).at([accepted.at, since, at]))
            }
            _ => Ok(()),
        }
    }

    /// What is not stored comes once, as long as the hub remembers that it was passed on.
    fn receive_live(&mut self, model: &Model<'_>, at: usize, seen: &Seen) -> Result<(), Violation> {
        let before = self.live.insert((seen.from, seen.id), at);
        match before {
            Some(before) if model.at_ms(at) - model.at_ms(before) < REMEMBERED_MS => {
                let words = format!("{} got {seen} twice", self.device);
                Err(Violation::new(NAME, words).at([before, at]))
            }
            _ => Ok(()),
        }
    }

    /// Whether this device itself sent it. Whether it gets that is no promise.
    fn is_own(&self, model: &Model<'_>, seen: &Seen) -> bool {
        if seen.from != self.user {
            return false;
        }
        // What is not complete has no mark; the store knows which message it is.
        let stored = || {
            model
                .stored(&seen.log, seen.sequence)
                .and_then(|stored| stored.seen.content.mark())
        };
        let mark = seen.content.mark().or_else(stored);
        // What was revoked before it came and is removed since has its id only, and its place: an application's server is told no more.
        let by_id = || {
            let mut messages = model.messages.values();
            messages.find(|message| {
                let is_it = |accepted: &Accepted| {
                    let is_there = (accepted.log, accepted.sequence) == (seen.log, seen.sequence);
                    accepted.id == seen.id || is_there && message.is_by_backend()
                };
                message.sent.from == seen.from
                    && (message.sent.id == seen.id || message.accepted.iter().any(is_it))
            })
        };
        let message = mark.and_then(|mark| model.messages.get(&mark)).or_else(by_id);
        message.is_none_or(|message| message.device == Some(self.device))
    }

    /// At rest it has everything that others sent since it was ready, as far as it may see it.
    fn has_all(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let Some(since) = self.since else { return Ok(0) };
        let mut checked = 0;
        let stored = model.stored_marks.iter().filter_map(|(mark, places)| {
            let message = model.messages.get(mark)?;
            let is_once = places.len() <= message.copies();
            is_once.then(|| places.iter().map(move |place| (message, place)))
        });
        for (message, (log, stored)) in stored.flatten() {
            let sequence = stored.seen.sequence;
            if message.begun <= since
                || message.device == Some(self.device)
                || stored.seen.revoked
                || !self.is_to_get(model, log, sequence)
            {
                continue;
            }
            checked += 1;
            if !self.places.contains(&(*log, sequence)) && !self.has_gap(log, sequence) {
                let words = format!("{} is ready and has never got {}", self.device, stored.seen);
                return Err(Violation::new(NAME, words).at([since, message.begun]));
            }
        }
        Ok(checked + self.is_told_of_purged(model, since)?)
    }

    /// Of what retention removed before it came back, it was told.
    fn is_told_of_purged(&self, model: &Model<'_>, since: usize) -> Result<u64, Violation> {
        let mut checked = 0;
        if model.last_restore().is_some() {
            return Ok(0);
        }
        // Firmware may have got a piece without the mark, of which nobody knows any more which device of the user sent it.
        let has_marks = model.kind(self.device) == Some(DeviceKind::Sdk);
        for message in model.messages.values() {
            let Some(accepted) = message.accepted.first() else {
                continue;
            };
            let (log, sequence) = (&accepted.log, accepted.sequence);
            let is_purged = model.first_kept(log).is_some_and(|first| sequence < first);
            if sequence == 0
                || !is_purged
                || message.begun <= since
                || message.device == Some(self.device)
                || message.sent.from == self.user && !has_marks
                || !self.is_to_get(model, log, sequence)
            {
                continue;
            }
            checked += 1;
            if !self.places.contains(&(*log, sequence)) && !self.has_gap(log, sequence) {
                let words = format!(
                    "{} has never got {log}/{sequence}, which retention has removed, and was not told",
                    self.device
                );
                return Err(Violation::new(NAME, words).at([since, message.begun, accepted.at]));
            }
        }
        Ok(checked)
    }

    fn has_gap(&self, log: &Log, sequence: u64) -> bool {
        self.gaps
            .iter()
            .any(|(gap, from, to)| gap == log && (*from..=*to).contains(&sequence))
    }

    fn is_to_get(&self, model: &Model<'_>, log: &Log, sequence: u64) -> bool {
        match log {
            Log::C2c(one, other) => *one == self.user || *other == self.user,
            Log::System(user) => *user == self.user,
            Log::Group(group) => {
                let members = model.snapshot.groups.get(group).map(|group| &group.members);
                let member = members.and_then(|members| members.get(&self.user));
                member.is_some_and(|member| member.joined_at < sequence)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, device, passes, violates};
    use super::*;
    use crate::simulator::history::Started;
    use crate::simulator::op::Target;

    /// Two messages of user 0 to user 1, stored.
    fn two() -> (MadeUp, [Seen; 2]) {
        let mut run = MadeUp::new();
        let seen = [1, 2].map(|sequence| {
            let sent = run.send(0, Target::User(1));
            run.accept(sent, sequence);
            run.store(c2c(0, 1), sequence, 0, sent).seen.clone()
        });
        (run, seen)
    }

    #[test]
    fn all_once_and_in_order_is_fine() {
        let (mut run, [one, two]) = two();
        run.receive(1, &[one, two]);
        assert!(passes(&OrderOnce, &run) >= 4);
    }

    #[test]
    fn twice_out_of_order_or_never() {
        let (run, [one, two]) = two();
        let received = |seen: &[&Seen]| {
            let mut run = run.clone();
            for seen in seen {
                run.receive(1, &[(*seen).clone()]);
            }
            run
        };
        violates(&OrderOnce, &received(&[&one, &one, &two]), "twice");
        violates(&OrderOnce, &received(&[&two, &one]), "after 2");
        violates(&OrderOnce, &received(&[&one]), "never got");
    }

    #[test]
    fn a_life_with_a_kept_cursor_gets_again_only_what_came_after_it() {
        let (mut run, [one, two]) = two();
        run.receive(1, std::slice::from_ref(&one));
        let kept = run.history.observations.len();
        run.receive(1, std::slice::from_ref(&two));
        run.push(Some(device(1)), What::Ended);
        let from = StartsFrom::Cursor { observations: kept };
        run.push(
            Some(device(1)),
            What::Started(Started {
                life: 1,
                from,
                twin: false,
            }),
        );
        let mut good = run.clone();
        good.receive(1, std::slice::from_ref(&two));
        passes(&OrderOnce, &good);
        violates(&OrderOnce, &run, "never got");
        run.receive(1, &[one, two]);
        violates(&OrderOnce, &run, "twice");
    }

    #[test]
    fn a_life_that_starts_with_what_is_new_gets_nothing_from_before() {
        let (mut run, [one, two]) = two();
        run.push(Some(device(1)), What::Ended);
        let started = Started {
            life: 1,
            from: StartsFrom::Now,
            twin: false,
        };
        run.push(Some(device(1)), What::Started(started));
        passes(&OrderOnce, &run);
        let mut restored = run.clone();
        run.receive(1, &[two]);
        violates(&OrderOnce, &run, "from before");
        restored.push(None, What::Restored { backup: 0 });
        restored.receive(1, &[one]);
        passes(&OrderOnce, &restored);
    }

    #[test]
    fn an_announced_gap_excuses_what_is_missing() {
        let (mut run, [_, two]) = two();
        let log = c2c(0, 1);
        run.push(Some(device(1)), What::Event(Event::Gap { log, from: 1, to: 1 }));
        run.receive(1, &[two]);
        passes(&OrderOnce, &run);
    }

    #[test]
    fn what_is_read_late_shows_the_place_that_it_has_in_a_restored_store() {
        let (mut run, [one, mut two]) = two();
        run.receive(1, &[one]);
        run.push(None, What::Restored { backup: 0 });
        two.sequence = 1;
        let entries = run.snapshot.logs.get_mut(&c2c(0, 1)).unwrap();
        entries.remove(0);
        entries[0].seen.sequence = 1;
        run.receive(1, std::slice::from_ref(&two));
        let mut untold = run.clone();
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        run.receive(1, std::slice::from_ref(&two));
        passes(&OrderOnce, &run);
        run.receive(1, std::slice::from_ref(&two));
        violates(&OrderOnce, &run, "twice");
        untold.receive(1, &[two]);
        violates(&OrderOnce, &untold, "twice");
    }

    #[test]
    fn what_is_not_stored_arrives_twice() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        let mut seen = run.seen_of(sent, 0);
        seen.online_only = true;
        run.receive(1, std::slice::from_ref(&seen));
        passes(&OrderOnce, &run);
        // A hub that was started again has forgotten it.
        let mut started = run.clone();
        started.push(None, What::HubStarted { wall_ms: 0 });
        started.receive(1, std::slice::from_ref(&seen));
        passes(&OrderOnce, &started);
        // What the device read last may have waited since before the start.
        let mut reads_late = run.clone();
        reads_late.push(None, What::HubStarted { wall_ms: 0 });
        reads_late.receive(1, std::slice::from_ref(&seen));
        let connected = What::Event(Event::Other("net Connected".to_owned()));
        reads_late.push(Some(device(1)), connected.clone());
        reads_late.receive(1, std::slice::from_ref(&seen));
        passes(&OrderOnce, &reads_late);
        reads_late.push(Some(device(1)), connected);
        reads_late.receive(1, std::slice::from_ref(&seen));
        violates(&OrderOnce, &reads_late, "twice");
        let mut late = run.clone();
        late.pass(120_000);
        late.receive(1, std::slice::from_ref(&seen));
        passes(&OrderOnce, &late);
        run.receive(1, &[seen]);
        violates(&OrderOnce, &run, "twice");
    }

    #[test]
    fn retention_removes_what_a_device_never_got() {
        let (mut run, [one, two]) = two();
        run.receive(1, std::slice::from_ref(&two));
        run.snapshot.logs.get_mut(&c2c(0, 1)).unwrap().remove(0);
        let log = c2c(0, 1);
        let mut told = run.clone();
        told.push(Some(device(1)), What::Event(Event::Gap { log, from: 1, to: 1 }));
        assert!(passes(&OrderOnce, &told) > passes(&OrderOnce, &MadeUp::new()));
        violates(&OrderOnce, &run, "was not told");
        let (mut before, _) = self::two();
        before.receive(1, &[one, two]);
        before.snapshot.logs.get_mut(&log).unwrap().remove(0);
        passes(&OrderOnce, &before);
    }

    #[test]
    fn what_another_device_of_the_user_sent_comes_revoked_and_is_removed_since() {
        let mut run = MadeUp::new();
        let other = DeviceRef { user: 0, device: 1 };
        run.history.plan.population.users[0].devices.push(DeviceKind::Sdk);
        let mut state = run.snapshot.devices[0].clone();
        state.device = other;
        run.snapshot.devices.push(state);
        run.push(Some(other), What::Event(Event::Ready));
        let log = c2c(0, 1);
        let seen = [1, 2].map(|sequence| {
            let sent = run.send(0, Target::User(1));
            run.accept(sent, sequence);
            run.store(log, sequence, 0, sent).seen.clone()
        });
        let [mut gone, kept] = seen;
        run.snapshot.logs.get_mut(&log).unwrap().remove(0);
        run.receive(1, &[gone.clone(), kept.clone()]);
        let mut without = run.clone();
        without.push(Some(other), What::Event(Event::Received(vec![kept.clone()])));
        violates(&OrderOnce, &without, "was not told");
        (gone.content, gone.revoked) = (Content::Gone, true);
        run.push(Some(other), What::Event(Event::Received(vec![gone, kept])));
        passes(&OrderOnce, &run);
    }

    #[test]
    fn what_arrives_is_not_what_was_sent_or_stored() {
        let (mut run, [one, two]) = two();
        let mut changed = one.clone();
        if let Content::Said(said) = &mut changed.content {
            said.len += 1;
        }
        run.receive(1, &[changed]);
        violates(&OrderOnce, &run, "arrived changed");
        let (mut run, [mut moved, _]) = self::two();
        moved.sequence = two.sequence;
        run.receive(1, &[moved]);
        violates(&OrderOnce, &run, "in the store there is");
        let (mut run, [mut lost, _]) = self::two();
        lost.sequence = 9;
        run.receive(1, &[lost]);
        violates(&OrderOnce, &run, "not in the store");
    }
}
