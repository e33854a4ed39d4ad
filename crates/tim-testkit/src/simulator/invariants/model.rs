//! What can be concluded from a history: calls and their outcomes, messages by their marks, restores, clocks, and who may have been in a
//! group when. Nothing of it is asked of the hub.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::message::TipOperation;
use tim_session::proto::{GroupId, MessageId, UserId};

use super::super::history::{
    AttackSaw, Content, Event, Failed, History, Log, Mark, Observation, Question, Returned, Said, Seen, Sent,
    Snapshot, Stored, Verdict, What,
};
use super::super::op::{
    Call, DeviceFault, DeviceKind, DeviceRef, LinkFault, Plan, Rest, Settings, StoreFault,
};

/// What the hub and the client take for handing something on, generously, in milliseconds.
const SLACK_MS: u64 = 300;

/// A history and a snapshot, with what follows from them.
pub struct Model<'a> {
    /// The history up to the rest.
    pub history: &'a History,
    /// What everybody had at the rest.
    pub snapshot: &'a Snapshot,
    /// The calls, by number.
    pub(super) calls: BTreeMap<u32, Called<'a>>,
    /// What devices have kept in their storage: the first observation of each message there.
    pub(super) kept: BTreeMap<Mark, usize>,
    /// The messages, by mark.
    pub(super) messages: BTreeMap<Mark, Spoken<'a>>,
    /// The entries of the store with a mark.
    pub(super) stored_marks: BTreeMap<Mark, Vec<(Log, &'a Stored)>>,
    /// The restores: the observation, and that of the backup which was restored.
    restores: Vec<(usize, usize)>,
    /// The wall clock: from an observation on, virtual time and wall clock.
    walls: Vec<(usize, u64, u64)>,
    /// How often the hub was started.
    hub_starts: usize,
    /// Who was a member when, in each group whose tips are known.
    pub(super) periods: BTreeMap<(GroupId, UserId), Vec<Period>>,
    /// The groups of which all tips are known.
    pub(super) whole: BTreeSet<GroupId>,
    /// How far a log had certainly come, after an observation.
    reached: BTreeMap<Log, Vec<(usize, u64)>>,
    /// The observation after which somebody has nothing any more that was on its way when the store was restored last.
    in_this_store: BTreeMap<Watcher, usize>,
    /// What the application's server was asked, and in which observation.
    pub(super) questions: Vec<(usize, &'a Question)>,
    /// When an answer to a question was given.
    pub(super) answered: BTreeMap<u32, usize>,
    /// For each restore: the first observation in which somebody had a connection to the restored hub.
    reconnected: Vec<BTreeMap<Watcher, usize>>,
}

/// Somebody who sees something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watcher {
    Device(DeviceRef),
    Hostile(u8),
}

/// A call, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called<'a> {
    pub(super) device: DeviceRef,
    pub(super) op: &'a Call,
    pub(super) message: Option<&'a Sent>,
    pub(super) begun: usize,
    /// The observation of its return, and what it returned.
    pub(super) ended: Option<(usize, &'a Result<Returned, Failed>)>,
    /// Its application ended before it returned.
    pub(super) abandoned: bool,
}

impl<'a> Called<'a> {
    /// What it returned, if it succeeded.
    pub(super) fn returned(&self) -> Option<(usize, &'a Returned)> {
        match self.ended {
            Some((at, Ok(returned))) => Some((at, returned)),
            _ => None,
        }
    }

    /// Whether it certainly did nothing.
    pub(super) fn certainly_failed(&self) -> bool {
        matches!(self.ended, Some((_, Err(failed))) if !failed.unknown)
    }

    /// The observation after which it certainly has no effect any more.
    pub(super) fn over(&self) -> usize {
        match self.ended {
            Some((at, Ok(_))) => at,
            Some((at, Err(failed))) if !failed.unknown => at,
            _ => usize::MAX,
        }
    }

    /// Whether it may have had an effect after this observation, or has it still.
    pub(super) fn may_act_after(&self, observation: usize) -> bool {
        self.over() > observation && !(self.certainly_failed())
    }
}

/// A message with a mark.
#[derive(Debug, Clone)]
pub(super) struct Spoken<'a> {
    pub(super) sent: &'a Sent,
    /// The device, unless a hostile user sent it.
    pub(super) device: Option<DeviceRef>,
    /// The observation of the first call.
    pub(super) begun: usize,
    /// The calls, by number.
    pub(super) calls: Vec<u32>,
    /// Where it was accepted.
    pub(super) accepted: Vec<Accepted>,
    /// The logs to which it goes, if there are more than that of `sent`: an application's server sends to many at once.
    pub(super) logs: Vec<Log>,
}

impl Spoken<'_> {
    /// Whether it goes to this log.
    pub(super) fn is_to(&self, log: &Log) -> bool {
        self.sent.log == *log || self.logs.contains(log)
    }

    /// How many logs it goes to.
    pub(super) fn copies(&self) -> usize {
        self.logs.len().max(1)
    }

    /// Whether an application's server sent it.
    pub(super) fn is_by_backend(&self) -> bool {
        self.device.is_some_and(DeviceRef::is_backend)
    }
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) at: usize,
    /// Who was told.
    pub(super) by: Watcher,
    pub(super) log: Log,
    pub(super) sequence: u64,
    pub(super) id: MessageId,
    pub(super) time_s: Option<u64>,
}

/// A time of membership: the entries after `after`, up to and including `through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) after: u64,
    pub(super) through: u64,
}

impl Period {
    pub(super) const fn contains(&self, sequence: u64) -> bool {
        sequence > self.after && sequence <= self.through
    }
}

impl<'a> Model<'a> {
    /// Draws the conclusions.
    #[must_use]
    pub fn new(history: &'a History, snapshot: &'a Snapshot) -> Self {
        let mut model = Self {
            history,
            snapshot,
            calls: BTreeMap::new(),
            kept: BTreeMap::new(),
            messages: BTreeMap::new(),
            stored_marks: BTreeMap::new(),
            restores: Vec::new(),
            walls: Vec::new(),
            hub_starts: 0,
            periods: BTreeMap::new(),
            whole: BTreeSet::new(),
            reached: BTreeMap::new(),
            in_this_store: BTreeMap::new(),
            questions: Vec::new(),
            answered: BTreeMap::new(),
            reconnected: Vec::new(),
        };
        let mut backups = BTreeMap::new();
        let mut attacks = BTreeMap::new();
        for (at, observation) in history.observations.iter().enumerate() {
            model.observe(at, observation, &mut backups, &mut attacks);
        }
        for (log, entries) in &snapshot.logs {
            for stored in entries {
                if let Some(mark) = stored.seen.content.mark() {
                    model.stored_marks.entry(mark).or_default().push((*log, stored));
                }
            }
        }
        model.follow_restore();
        model.follow_connections();
        model.follow_members();
        model.follow_logs();
        model
    }

    /// Who has come to know the store as it is since the last restore.
    fn follow_restore(&mut self) {
        let Some(restored) = self.last_restore() else {
            return;
        };
        let since = self.history.observations.iter().enumerate().skip(restored);
        for (at, observation) in since {
            let watcher = match (&observation.what, observation.device) {
                (What::Event(Event::Ready | Event::RestoredGap), Some(device)) => Watcher::Device(device),
                (
                    What::AttackSaw {
                        hostile,
                        saw: AttackSaw::LoggedIn(_),
                    },
                    _,
                ) => Watcher::Hostile(*hostile),
                _ => continue,
            };
            self.in_this_store.entry(watcher).or_insert(at);
        }
    }

    /// Who has come back to the hub since each restore.
    fn follow_connections(&mut self) {
        for (restored, _) in &self.restores {
            // An application's server gets no answer of a hub that has ended.
            let mut first = BTreeMap::from([(Watcher::Device(DeviceRef::BACKEND), *restored)]);
            for (at, observation) in self.history.observations.iter().enumerate().skip(*restored) {
                if let Some(watcher) = connects(observation) {
                    first.entry(watcher).or_insert(at);
                }
            }
            self.reconnected.push(first);
        }
    }

    fn observe(
        &mut self,
        at: usize,
        observation: &'a Observation,
        backups: &mut BTreeMap<u32, usize>,
        attacks: &mut BTreeMap<(u8, u32), Mark>,
    ) {
        match (&observation.what, observation.device) {
            (What::Called { call, op, message }, Some(device)) => {
                self.calls.insert(
                    *call,
                    Called {
                        device,
                        op,
                        message: message.as_ref(),
                        begun: at,
                        ended: None,
                        abandoned: false,
                    },
                );
                let sends = matches!(
                    op,
                    Call::Send { .. }
                        | Call::SendKept { .. }
                        | Call::ResendOutbox
                        | Call::Forward { .. }
                        | Call::Resend(_)
                        | Call::ResendKept(_)
                        | Call::Rest(Rest::Send { .. } | Rest::Import { .. } | Rest::SendGroup { .. })
                );
                if let Some(sent) = message.as_ref().filter(|_| sends)
                    && let Some(mark) = sent.said.mark
                {
                    let message = self.said(mark, sent, Some(device), at);
                    message.calls.push(*call);
                    if let Call::Rest(Rest::Send { from, to, .. }) = op {
                        let from = Plan::user(*from);
                        let logs = to.iter().map(|to| Log::of(from, Plan::user(*to).into()));
                        message.logs = logs.collect();
                    }
                }
            }
            (What::Resolved { call, result }, _) => self.resolved(at, *call, result),
            (What::Kept(mark), _) => drop(self.kept.entry(*mark).or_insert(at)),
            (What::Ended, Some(device)) => {
                let of_device = self.calls.values_mut().filter(|call| call.device == device);
                for call in of_device.filter(|call| call.ended.is_none()) {
                    call.abandoned = true;
                }
            }
            (What::Asked(question), _) => self.questions.push((at, question)),
            (What::Answered(number), _) => drop(self.answered.insert(*number, at)),
            (What::BackedUp { backup, .. }, _) => drop(backups.insert(*backup, at)),
            (What::Restored { backup }, _) => {
                let backed_up = backups.get(backup).copied().unwrap_or(0);
                self.restores.push((at, backed_up));
            }
            (What::HubStarted { wall_ms }, _) => {
                self.hub_starts += 1;
                self.walls.push((at, observation.at_ms, *wall_ms));
            }
            (What::HubClock { wall_ms, .. }, _) => self.walls.push((at, observation.at_ms, *wall_ms)),
            (
                What::AttackSent {
                    hostile,
                    request,
                    message,
                },
                _,
            ) => {
                if let Some(mark) = message.said.mark {
                    attacks.insert((*hostile, *request), mark);
                    self.said(mark, message, None, at);
                }
            }
            (
                What::AttackSaw {
                    hostile,
                    saw:
                        AttackSaw::Accepted {
                            request, sequence, ..
                        },
                },
                _,
            ) => {
                if let Some(message) = attacks
                    .get(&(*hostile, *request))
                    .and_then(|mark| self.messages.get_mut(mark))
                {
                    message.accepted.push(Accepted {
                        at,
                        by: Watcher::Hostile(*hostile),
                        log: message.sent.log,
                        sequence: *sequence,
                        id: message.sent.id,
                        time_s: None,
                    });
                }
            }
            _ => {}
        }
    }

    fn said(
        &mut self,
        mark: Mark,
        sent: &'a Sent,
        device: Option<DeviceRef>,
        begun: usize,
    ) -> &mut Spoken<'a> {
        self.messages.entry(mark).or_insert_with(|| Spoken {
            sent,
            device,
            begun,
            calls: Vec::new(),
            accepted: Vec::new(),
            logs: Vec::new(),
        })
    }

    fn resolved(&mut self, at: usize, number: u32, result: &'a Result<Returned, Failed>) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.ended = Some((at, result));
        if let Ok(Returned::Accepted {
            log,
            sequence,
            id,
            time_s,
            mark,
        }) = result
            && let Some(message) = self.messages.get_mut(mark)
        {
            message.accepted.push(Accepted {
                at,
                by: Watcher::Device(call.device),
                log: *log,
                sequence: *sequence,
                id: *id,
                time_s: Some(*time_s),
            });
        }
    }

    /// From tips to periods of membership.
    fn follow_members(&mut self) {
        let mut tips: BTreeMap<GroupId, BTreeMap<u64, (TipOperation, &'a [String])>> = BTreeMap::new();
        let mut note = |seen: &'a Seen| {
            if let (Log::Group(group), Content::Tip { operation, users, .. }) = (seen.log, &seen.content)
                && seen.sequence > 0
            {
                tips.entry(group)
                    .or_default()
                    .insert(seen.sequence, (*operation, users));
            }
        };
        for (group, entries) in &self.snapshot.logs {
            for stored in entries {
                note(&stored.seen);
            }
            if let (Log::Group(group), Some(first)) = (group, entries.first())
                && first.seen.sequence == 1
            {
                self.whole.insert(*group);
            }
        }
        // After a restore, tips of the time before it may be of entries that are lost.
        for (_, seen, _) in self
            .seen()
            .filter(|(at, _, viewer)| self.is_of_this_store(*viewer, *at))
        {
            note(seen);
        }
        for (group, tips) in tips {
            for (sequence, (operation, users)) in tips {
                for user in users.iter().filter_map(|user| UserId::new(user).ok()) {
                    let periods = self.periods.entry((group, user)).or_default();
                    let is_open = periods.last().is_some_and(|period| period.through == u64::MAX);
                    match operation {
                        TipOperation::JOIN if !is_open => periods.push(Period {
                            after: sequence - 1,
                            through: u64::MAX,
                        }),
                        TipOperation::QUIT | TipOperation::KICKED_OUT => {
                            if let Some(open) = periods.last_mut().filter(|_| is_open) {
                                open.through = sequence;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn follow_logs(&mut self) {
        let from = self.last_restore().map_or(0, |at| at + 1);
        let mut reached: BTreeMap<Log, Vec<(usize, u64)>> = BTreeMap::new();
        let mut note = |at: usize, log: Log, sequence: u64| {
            let known = reached.entry(log).or_default();
            if known.last().is_none_or(|(_, most)| *most < sequence) {
                known.push((at, sequence));
            }
        };
        let seen = self
            .seen()
            .filter(|(at, _, viewer)| self.is_of_this_store(*viewer, *at));
        let seen = seen.map(|(at, seen, _)| (at, seen.log, seen.sequence));
        let accepted = self.messages.values().flat_map(|message| {
            let accepted = message.accepted.iter();
            accepted.map(|accepted| (accepted.at, accepted.log, accepted.sequence))
        });
        let mut all: Vec<_> = seen.chain(accepted).filter(|(at, ..)| *at >= from).collect();
        all.sort_unstable();
        for (at, log, sequence) in all {
            note(at, log, sequence);
        }
        self.reached = reached;
    }

    /// Everything that somebody saw, in order: the observation, the entry, and who saw it.
    pub(super) fn seen(&self) -> impl Iterator<Item = (usize, &'a Seen, Viewer)> + use<'a> {
        let observations = self.history.observations.iter().enumerate();
        observations.flat_map(|(at, observation)| {
            let (viewer, seen): (_, Vec<&'a Seen>) = match (&observation.what, observation.device) {
                (What::Event(Event::Received(seen) | Event::Revoked(seen)), Some(device)) => {
                    (Viewer::Pushed(device), seen.iter().collect())
                }
                (What::Event(Event::List(entries)), Some(device)) => {
                    let last = entries.iter().filter_map(|entry| entry.last.as_ref());
                    (Viewer::Pushed(device), last.collect())
                }
                (
                    What::Resolved {
                        call,
                        result: Ok(returned),
                    },
                    Some(device),
                ) => (Viewer::Asked(device, *call), seen_in(returned)),
                (
                    What::AttackSaw {
                        hostile,
                        saw: AttackSaw::Entries(seen),
                    },
                    _,
                ) => (Viewer::Hostile(*hostile), seen.iter().collect()),
                _ => (Viewer::Nobody, Vec::new()),
            };
            seen.into_iter().map(move |seen| (at, seen, viewer))
        })
    }

    /// When an observation was made, in virtual milliseconds.
    pub(super) fn at_ms(&self, observation: usize) -> u64 {
        let found = self.history.observations.get(observation);
        found.map_or(self.snapshot.at_ms, |observation| observation.at_ms)
    }

    /// The last restore of the store.
    pub(super) fn last_restore(&self) -> Option<usize> {
        self.restores.last().map(|(at, _)| *at)
    }

    /// Whether a restore may have undone what somebody saw acknowledged in this observation. An answer that was on its way when the hub
    /// ended is seen after the restore, but not on a later connection.
    pub(super) fn may_be_lost(&self, by: Watcher, acknowledged: usize) -> bool {
        let mut restores = self.restores.iter().zip(&self.reconnected);
        restores.any(|((_, backup), reconnected)| {
            let until = reconnected.get(&by).copied().unwrap_or(usize::MAX);
            *backup < acknowledged && acknowledged < until
        })
    }

    /// How long what the hub passes to a device may be on its way, in milliseconds; `None` if something other than distance holds it up in
    /// this run: the link is narrow or a serial one, or the application does not read.
    pub(super) fn travel_ms(&self, device: DeviceRef) -> Option<u64> {
        let settings = &self.history.plan.settings;
        if settings.socket_bytes < Settings::default().socket_bytes {
            return None; // all links are narrow
        }
        let mut most_ms = settings.delay_us.1 / 1000;
        let own = |observation: &&Observation| observation.device == Some(device);
        for observation in self.history.observations.iter().filter(own) {
            match observation.what {
                What::LinkFault(LinkFault::Slow { delay_ms, .. }) => {
                    most_ms += u64::from(delay_ms); // two may be at once
                }
                What::LinkFault(LinkFault::Narrow { .. })
                | What::DeviceFault(DeviceFault::ReadsNothing(_)) => return None,
                _ => {}
            }
        }
        (self.kind(device) == Some(DeviceKind::Sdk)).then_some(most_ms + SLACK_MS)
    }

    /// The earliest observation before which the hub cannot have answered a call of a device that returned at `ended`: an answer that
    /// nothing disturbs arrives soon. `None` if anything disturbed it since `begun`.
    pub(super) fn leaves_the_hub(&self, device: DeviceRef, begun: usize, ended: usize) -> Option<usize> {
        let travel_ms = self.travel_ms(device)?;
        let begun_ms = self.at_ms(begun);
        let waits = |observation: &Observation| match observation.what {
            What::StoreFault(StoreFault::SlowAnswers { later_ms, for_ms }) => {
                observation.at_ms + u64::from(for_ms) + 10 * u64::from(later_ms) > begun_ms
            }
            _ => false,
        };
        if self.history.observations.get(..begun)?.iter().any(waits) {
            return None; // what was read may have waited in the hub
        }
        let during = self.history.observations.get(begun..ended)?;
        let disturbs = |observation: &Observation| match &observation.what {
            What::LinkFault(_) | What::DeviceFault(_) | What::Ended | What::Event(Event::Other(_)) => {
                observation.device == Some(device)
            }
            What::HubEnded(_) | What::HubFailed | What::StoreFault(_) => true,
            _ => false,
        };
        if during.iter().any(disturbs) {
            return None;
        }
        let earliest_ms = self.at_ms(ended).saturating_sub(travel_ms);
        let offset = during.partition_point(|observation| observation.at_ms < earliest_ms);
        Some(begun + offset)
    }

    /// What the hub's clock said when an observation was made, Unix time in milliseconds.
    pub(super) fn wall_ms(&self, observation: usize) -> u64 {
        let set = self.walls.iter().rfind(|(at, ..)| *at <= observation);
        set.map_or(0, |(_, at_ms, wall_ms)| {
            wall_ms + self.at_ms(observation).saturating_sub(*at_ms)
        })
    }

    /// Whether one hub has run all the time, by a clock that nobody set: it knows for certain how much time has passed.
    pub(super) fn is_one_time(&self) -> bool {
        self.hub_starts <= 1 && self.walls.len() <= 1
    }

    /// Whether the store was restored between two observations.
    pub(super) fn restored_between(&self, from: usize, to: usize) -> bool {
        self.restores.iter().any(|(at, _)| from < *at && *at < to)
    }

    /// Whether the hub's clock was moved between two observations.
    pub(super) fn clock_moved_between(&self, from: usize, to: usize) -> bool {
        let moves = self
            .history
            .observations
            .get(from..to.min(self.history.observations.len()));
        let is_move = |observation: &Observation| matches!(observation.what, What::HubClock { .. });
        moves.unwrap_or_default().iter().any(is_move)
    }

    /// The latest time that retention may have taken for proven, Unix time in milliseconds: what has passed by the first clock; of a
    /// hub that was started again, whatever its clock has shown.
    fn latest_proven_ms(&self) -> u64 {
        let end = self.snapshot.at_ms;
        let wall =
            |(_, at_ms, wall_ms): &(usize, u64, u64), until: u64| wall_ms + until.saturating_sub(*at_ms);
        let first = self.walls.first().map_or(0, |first| wall(first, end));
        if self.hub_starts <= 1 {
            return first;
        }
        let ends = self.walls.iter().skip(1).map(|(_, at_ms, _)| *at_ms).chain([end]);
        let shown = self.walls.iter().zip(ends).map(|(from, until)| wall(from, until));
        shown.max().unwrap_or(0).max(first)
    }

    /// Whether retention may have removed what was stored at this time, Unix time in seconds.
    pub(super) fn may_be_purged(&self, time_s: u64) -> bool {
        let kept_ms = self.history.plan.settings.retention_seconds.saturating_mul(1000);
        (time_s * 1000).saturating_add(kept_ms) <= self.latest_proven_ms().saturating_add(1000)
    }

    /// Whether a message was sent again from what was kept of it before it was sent first.
    pub(super) fn was_kept(&self, mark: Option<Mark>) -> bool {
        let calls = mark
            .and_then(|mark| self.messages.get(&mark))
            .map(|message| &message.calls);
        let ops = calls
            .into_iter()
            .flatten()
            .filter_map(|call| self.calls.get(call));
        ops.into_iter().any(|call| matches!(call.op, Call::ResendKept(_)))
    }

    /// Whether a device has made a call like this.
    pub(super) fn has_called(&self, device: DeviceRef, is_it: impl Fn(&Call) -> bool) -> bool {
        self.calls
            .values()
            .any(|call| call.device == device && is_it(call.op))
    }

    /// What a device is.
    pub(super) fn kind(&self, device: DeviceRef) -> Option<DeviceKind> {
        let user = self.history.plan.population.users.get(usize::from(device.user))?;
        user.devices.get(usize::from(device.device)).copied()
    }

    /// Whether it is certain that a log had come to this sequence before an observation.
    pub(super) fn had_reached(&self, log: &Log, sequence: u64, before: usize) -> bool {
        let Some(reached) = self.reached.get(log) else {
            return false;
        };
        let known = reached.partition_point(|(at, _)| *at < before);
        known
            .checked_sub(1)
            .is_some_and(|last| reached[last].1 >= sequence)
    }

    /// An entry of the store.
    pub(super) fn stored(&self, log: &Log, sequence: u64) -> Option<&'a Stored> {
        let entries = self.snapshot.logs.get(log)?;
        let found = entries.binary_search_by_key(&sequence, |stored| stored.seen.sequence);
        found.ok().map(|index| &entries[index])
    }

    /// The smallest sequence that a log still has; one more than its last if it is empty.
    pub(super) fn first_kept(&self, log: &Log) -> Option<u64> {
        let entries = self.snapshot.logs.get(log)?;
        entries.first().map(|stored| stored.seen.sequence)
    }

    /// Whether what somebody saw belongs to the store as it is now, and not to what a restore has undone. What was on its way
    /// when the store was restored may be seen for some time yet.
    pub(super) fn is_of_this_store(&self, viewer: Viewer, observation: usize) -> bool {
        let watcher = match viewer {
            Viewer::Pushed(device) | Viewer::Asked(device, _) => Watcher::Device(device),
            Viewer::Hostile(number) => Watcher::Hostile(number),
            Viewer::Nobody => return false,
        };
        let since = self.in_this_store.get(&watcher);
        self.last_restore().is_none() || since.is_some_and(|since| *since < observation)
    }

    /// What the application's server was asked about a message.
    pub(super) fn asked_about(&self, mark: Mark) -> impl Iterator<Item = (usize, &'a Question)> {
        let questions = self.questions.iter().copied();
        questions.filter(move |(_, question)| question.mark == Some(mark))
    }

    /// Whether the content of an entry is another one than what was said, and than what an application's server has made of it.
    pub(super) fn differs(&self, said: &Said, content: &Content) -> bool {
        let has_changed = |mark| {
            self.asked_about(mark)
                .any(|(_, question)| match (&question.verdict, content) {
                    (Verdict::Change(changed), Content::Said(found)) => changed == found,
                    _ => false,
                })
        };
        differs(said, content) && !said.mark.is_some_and(has_changed)
    }

    /// The message of a user that somebody saw. What is not complete has no mark, but it has the message's id.
    pub(super) fn message_of(&self, seen: &Seen) -> Option<&Spoken<'a>> {
        if let Some(mark) = seen.content.mark() {
            return self.messages.get(&mark);
        }
        let is_it = |message: &&Spoken<'a>| (message.sent.from, message.sent.id) == (seen.from, seen.id);
        let mut messages = self.messages.values();
        messages.find(is_it).filter(|_| seen.content == Content::Stub)
    }
}

/// Who has a new connection, by an observation.
fn connects(observation: &Observation) -> Option<Watcher> {
    match (&observation.what, observation.device) {
        (What::Event(Event::Other(name)), Some(device)) if name == "net Connected" => {
            Some(Watcher::Device(device))
        }
        (What::Event(Event::Ready | Event::RestoredGap), Some(device)) => Some(Watcher::Device(device)),
        (What::Started(started), Some(device)) if !started.twin => Some(Watcher::Device(device)),
        (
            What::AttackSaw {
                hostile,
                saw: AttackSaw::LoggedIn(_),
            },
            _,
        ) => Some(Watcher::Hostile(*hostile)),
        _ => None,
    }
}

/// Who saw something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Viewer {
    /// A device, by an event.
    Pushed(DeviceRef),
    /// A device, by the call with this number.
    Asked(DeviceRef, u32),
    /// A hostile user.
    Hostile(u8),
    /// Nobody.
    Nobody,
}

impl Viewer {
    /// The user.
    pub(super) fn user(self) -> Option<UserId> {
        match self {
            Self::Pushed(device) | Self::Asked(device, _) => Some(device.user_id()),
            Self::Hostile(number) => Some(Plan::hostile_user(number)),
            Self::Nobody => None,
        }
    }
}

fn seen_in(returned: &Returned) -> Vec<&Seen> {
    match returned {
        Returned::Page { entries, .. } => entries.iter().collect(),
        Returned::List { entries, .. } => entries.iter().filter_map(|entry| entry.last.as_ref()).collect(),
        _ => Vec::new(),
    }
}

/// Whether the content of an entry is another one than what was said.
fn differs(said: &Said, content: &Content) -> bool {
    !matches!(content, Content::Said(found) if found == said)
        && !matches!(content, Content::Gone | Content::Stub)
}
