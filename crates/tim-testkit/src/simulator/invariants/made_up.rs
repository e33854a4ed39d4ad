//! Histories that never happened, for the tests of the checkers.

use tim_session::proto::message::TipOperation;
use tim_session::proto::{ErrorCode, FileId, GroupType, MessageId, MessageKind, ReceiveOption, Role, UserId};

use super::super::files::{content_of, hash_of};
use super::super::history::{
    Content, DeviceState, Downloaded, Event, Failed, FileOf, FreshView, GroupState, History, ListEntry, Log,
    Mark, MemberState, Notified, Observation, Question, Returned, Said, Seen, Sent, SinkAnswer, Snapshot,
    Started, StartsFrom, Stored, Told, Verdict, What,
};
use super::super::op::{
    Body, Call, DeviceKind, DeviceRef, FileBody, FileKind, Mention, Plan, Population, Profile, Server,
    ServerSettings, Settings, Target, UserPlan, Which,
};
use super::{Invariant, Model};

const WALL_MS: u64 = 1_700_000_000_000;

/// A run of three users with one device each, all of them ready.
#[derive(Debug, Clone)]
pub(super) struct MadeUp {
    pub(super) history: History,
    pub(super) snapshot: Snapshot,
    next: u32,
}

pub(super) const fn device(user: u8) -> DeviceRef {
    DeviceRef::new(user, 0)
}

pub(super) fn c2c(one: u8, other: u8) -> Log {
    Log::C2c(Plan::user(one), Plan::user(other))
}

/// Checks that an invariant holds, and returns how much it compared.
#[track_caller]
pub(super) fn passes(invariant: &dyn Invariant, run: &MadeUp) -> u64 {
    match invariant.check(&Model::new(&run.history, &run.snapshot)) {
        Ok(checked) => checked,
        Err(violation) => panic!("{violation}"),
    }
}

/// Checks that an invariant does not hold, in these words.
#[track_caller]
pub(super) fn violates(invariant: &dyn Invariant, run: &MadeUp, words: &str) {
    match invariant.check(&Model::new(&run.history, &run.snapshot)) {
        Ok(checked) => panic!("nothing found in {checked} comparisons"),
        Err(violation) => {
            assert_eq!(violation.invariant, invariant.name());
            assert!(violation.words.contains(words), "{violation}");
            let observations = run.history.observations.len();
            assert!(violation.observations.iter().all(|at| *at < observations));
        }
    }
}

impl MadeUp {
    pub(super) fn new() -> Self {
        let user = UserPlan {
            devices: vec![DeviceKind::Sdk],
        };
        let plan = Plan {
            seed: 0,
            profile: Profile::Calm,
            population: Population {
                users: vec![user; 3],
                hostile: 1,
                groups: vec![GroupType::PUBLIC, GroupType::AV_CHAT_ROOM],
                innocent_pair: false,
                backend: true,
            },
            settings: Settings::default(),
            steps: Vec::new(),
        };
        let mut run = Self {
            history: History::new(plan),
            snapshot: Snapshot {
                wall_ms: WALL_MS,
                ..Snapshot::default()
            },
            next: 0,
        };
        run.push(None, What::HubStarted { wall_ms: WALL_MS });
        for user in 0..3 {
            let started = Started {
                life: 0,
                from: StartsFrom::Now,
                twin: false,
            };
            run.push(Some(device(user)), What::Started(started));
            run.push(Some(device(user)), What::Event(Event::Ready));
            run.snapshot.devices.push(DeviceState {
                device: device(user),
                wants_in: true,
                ready: true,
                list: None,
                truncated: false,
                total_unread: None,
                held: Vec::new(),
                sig_since_s: None,
            });
        }
        run
    }

    /// Adds an observation, ten milliseconds after the last one.
    pub(super) fn push(&mut self, device: Option<DeviceRef>, what: What) -> usize {
        self.pass(10);
        self.at_once(device, what)
    }

    /// Adds an observation at the time of the last one.
    pub(super) fn at_once(&mut self, device: Option<DeviceRef>, what: What) -> usize {
        let at_ms = self.snapshot.at_ms;
        self.history
            .observations
            .push(Observation { at_ms, device, what });
        self.snapshot.observations = self.history.observations.len();
        self.history.observations.len() - 1
    }

    pub(super) const fn pass(&mut self, ms: u64) {
        self.snapshot.at_ms += ms;
        self.snapshot.wall_ms += ms;
    }

    pub(super) fn call(&mut self, user: u8, op: Call) -> u32 {
        self.call_about(user, op, None)
    }

    /// The application's server calls.
    pub(super) fn backend(&mut self, op: Call) -> u32 {
        self.backend_about(op, None)
    }

    pub(super) fn backend_about(&mut self, op: Call, message: Option<Sent>) -> u32 {
        self.next += 1;
        let call = self.next;
        let backend = Some(DeviceRef::BACKEND);
        self.push(backend, What::Called { call, op, message });
        call
    }

    /// The mark of the message of the next call.
    pub(super) const fn next_mark(&self) -> Mark {
        Mark(self.next + 1)
    }

    pub(super) fn call_about(&mut self, user: u8, op: Call, message: Option<Sent>) -> u32 {
        self.next += 1;
        let call = self.next;
        self.push(Some(device(user)), What::Called { call, op, message });
        call
    }

    pub(super) fn returns(&mut self, call: u32, returned: Returned) {
        let device = self.caller(call);
        let result = Ok(returned);
        self.push(Some(device), What::Resolved { call, result });
    }

    pub(super) fn fail(&mut self, call: u32, code: u32, unknown: bool) {
        let device = self.caller(call);
        let result = Err(Failed {
            code: ErrorCode(code),
            unknown,
            text: String::new(),
        });
        self.push(Some(device), What::Resolved { call, result });
    }

    fn caller(&self, number: u32) -> DeviceRef {
        let calls = self.history.observations.iter().rev();
        let is_it = |what: &What| matches!(what, What::Called { call, .. } if *call == number);
        let device = |observation: &Observation| observation.device.filter(|_| is_it(&observation.what));
        calls.into_iter().find_map(device).expect("a call")
    }

    pub(super) fn id_of(&self, mark: Mark) -> MessageId {
        MessageId {
            sender: 1,
            client_time: 2,
            random: mark.0,
        }
    }

    pub(super) fn message(&self, from: UserId, to: Target, mark: Mark) -> Sent {
        let log = match to {
            Target::User(user) => Log::of(from, tim_session::proto::ConversationId::C2c(Plan::user(user))),
            Target::Group(group) => Log::Group(Plan::group(group)),
            Target::System => Log::System(from),
        };
        Sent {
            log,
            from,
            id: self.id_of(mark),
            said: Said::of(MessageKind::TEXT, mark.text().as_bytes()),
            online_only: false,
            file: None,
        }
    }

    /// A run in which the hub calls servers of others, which work.
    pub(super) fn with_servers() -> Self {
        let mut run = Self::new();
        run.history.plan.settings.servers = Some(ServerSettings {
            timeout_ms: 2_000,
            refuse_without_answer: false,
            max_waiting: 4_096,
            max_age_s: 24 * 3600,
            max_concurrent: 32,
            refuses: 0,
            changes: 0,
            drops: 0,
            unanswered: 0,
            not_taken: 0,
        });
        run
    }

    /// The application's server is asked about a message, and answers.
    pub(super) fn ask(&mut self, mark: Mark, verdict: Verdict) {
        let number = mark.0;
        let question = Question {
            number,
            command: "C2C.CallbackBeforeSendMsg".to_owned(),
            mark: Some(mark),
            by: Some(self.message_of(mark).from),
            group: None,
            verdict,
            after_ms: Some(1),
        };
        self.push(None, What::Asked(question));
        self.push(None, What::Answered(number));
    }

    /// It is told that a message is stored, and answers at once.
    pub(super) fn tell(&mut self, mark: Mark, sequence: u64) {
        self.tell_answered(mark, sequence, Some(1));
    }

    /// It is told that a message is stored, and answers after so many virtual milliseconds, if at all.
    pub(super) fn tell_answered(&mut self, mark: Mark, sequence: u64, after_ms: Option<u64>) {
        let message = self.message_of(mark);
        let told = Told {
            command: "C2C.CallbackAfterSendMsg".to_owned(),
            mark: Some(mark),
            place: Some((message.log, sequence)),
            result: 0,
            online_only: false,
            by: Some(message.from),
            group: None,
            action: String::new(),
            after_ms,
        };
        self.push(None, What::Told(told));
    }

    /// The notification of a user of a message, through a token.
    pub(super) fn notification(&self, user: u8, mark: Mark, sequence: u64, token: u16) -> Notified {
        let message = self.message_of(mark);
        let (platform, token) = Call::token(token);
        Notified {
            sink: Server::sink_of(platform),
            id: format!("{}-{token}", message.id),
            user: Plan::user(user),
            platform,
            token,
            place: (message.log, sequence),
            message: message.id,
            sender: message.from,
            mark: Some(mark),
            is_changed: false,
            answer: SinkAnswer::Taken,
            after_ms: Some(1),
        }
    }

    /// A user sends a message.
    pub(super) fn send(&mut self, user: u8, to: Target) -> Mark {
        let mark = Mark(self.next + 1);
        let message = self.message(Plan::user(user), to, mark);
        let op = Call::Send {
            to,
            body: Body::Text(0),
            priority: 2,
            online_only: false,
            mention: Mention::Nobody,
            retry_ms: 0,
        };
        assert_eq!(self.call_about(user, op, Some(message)), mark.0);
        mark
    }

    /// A user sends a message that its device is to keep.
    pub(super) fn send_kept(&mut self, user: u8, to: Target) -> Mark {
        let mark = Mark(self.next + 1);
        let message = self.message(Plan::user(user), to, mark);
        let op = Call::SendKept {
            to,
            body: Body::Text(0),
            priority: 2,
        };
        assert_eq!(self.call_about(user, op, Some(message)), mark.0);
        mark
    }

    /// A user sends a message with a file.
    pub(super) fn send_file(&mut self, user: u8, to: Target) -> Mark {
        self.send_file_of(FileKind::File, user, to)
    }

    pub(super) fn send_file_of(&mut self, kind: FileKind, user: u8, to: Target) -> Mark {
        let mark = Mark(self.next + 1);
        let body = FileBody {
            kind,
            size: 100,
            content: 0,
        };
        let message = Sent {
            said: Self::said_of_file(kind, mark),
            file: Some(FileOf { origin: mark, body }),
            ..self.message(Plan::user(user), to, mark)
        };
        let op = Call::Send {
            to,
            body: Body::File(body),
            priority: 2,
            online_only: false,
            mention: Mention::Nobody,
            retry_ms: 0,
        };
        assert_eq!(self.call_about(user, op, Some(message)), mark.0);
        mark
    }

    fn said_of_file(kind: FileKind, mark: Mark) -> Said {
        Said {
            mark: Some(mark),
            ..Said::of(kind.message(), &[])
        }
    }

    /// A run in which user 0 has sent a message with a file to user 1.
    pub(super) fn with_file() -> (Self, Mark) {
        let mut run = Self::new();
        let mark = run.send_file(0, Target::User(1));
        run.accept(mark, 1);
        (run, mark)
    }

    /// What a download of the file of a message yields from this position on.
    pub(super) fn downloaded(&self, mark: Mark, offset: u64) -> Downloaded {
        let message = self.message_of(mark);
        let content = message.file.map(content_of).unwrap_or_default();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let accepted = self
            .history
            .observations
            .iter()
            .find_map(|observation| match &observation.what {
                What::Resolved {
                    result:
                        Ok(Returned::Accepted {
                            mark: of, sequence, ..
                        }),
                    ..
                } if *of == mark => Some(*sequence),
                _ => None,
            });
        Downloaded {
            log: message.log,
            sequence: accepted.unwrap_or(1),
            mark: Some(mark),
            part: 0,
            offset,
            len: rest.len() as u64,
            hash: hash_of(rest),
        }
    }

    pub(super) fn download(&mut self, user: u8, downloaded: Downloaded) {
        let op = Call::Download {
            which: Which::Own(0),
            part: 0,
            from: 0,
            again_after: 0,
        };
        let call = self.call(user, op);
        self.returns(call, Returned::Downloaded(downloaded));
    }

    /// The store has a message of a user with a file.
    pub(super) fn store_file(&mut self, log: Log, sequence: u64, from: u8, mark: Mark, file: FileId) {
        let content = Content::Said(Self::said_of_file(FileKind::File, mark));
        let seen = self.seen(log, sequence, Plan::user(from), self.id_of(mark), content);
        self.put(seen).file = Some(file);
    }

    pub(super) fn message_of(&self, mark: Mark) -> Sent {
        let sent = |observation: &Observation| match &observation.what {
            What::Called {
                message: Some(message),
                ..
            } if message.said.mark == Some(mark) => Some(*message),
            _ => None,
        };
        self.history
            .observations
            .iter()
            .find_map(sent)
            .expect("a message")
    }

    /// The hub acknowledges a message.
    pub(super) fn accept(&mut self, mark: Mark, sequence: u64) {
        self.accept_as(mark, sequence, mark.0);
    }

    pub(super) fn accept_as(&mut self, mark: Mark, sequence: u64, random: u32) {
        let message = self.message_of(mark);
        let id = MessageId { random, ..message.id };
        let time_s = (WALL_MS + self.snapshot.at_ms) / 1000;
        let log = message.log;
        self.returns(
            mark.0,
            Returned::Accepted {
                log,
                sequence,
                id,
                time_s,
                mark,
            },
        );
    }

    pub(super) fn seen_of(&self, mark: Mark, sequence: u64) -> Seen {
        let message = self.message_of(mark);
        self.seen(
            message.log,
            sequence,
            message.from,
            message.id,
            Content::Said(message.said),
        )
    }

    fn seen(&self, log: Log, sequence: u64, from: UserId, id: MessageId, content: Content) -> Seen {
        Seen {
            log,
            sequence,
            id,
            from,
            time_s: self.snapshot.wall_ms / 1000,
            content,
            revoked: false,
            online_only: false,
        }
    }

    fn put(&mut self, seen: Seen) -> &mut Stored {
        let entries = self.snapshot.logs.entry(seen.log).or_default();
        let stored = Stored {
            file: None,
            change: seen.sequence,
            time_ms: self.snapshot.wall_ms,
            no_unread: false,
            no_last: false,
            seen,
        };
        entries.push(stored);
        entries.sort_by_key(|stored| stored.seen.sequence);
        let last = entries.len() - 1;
        &mut entries[last]
    }

    /// The store has a message of a user.
    pub(super) fn store(&mut self, log: Log, sequence: u64, from: u8, mark: Mark) -> &mut Stored {
        let said = Said::of(MessageKind::TEXT, mark.text().as_bytes());
        let id = self.id_of(mark);
        let seen = self.seen(log, sequence, Plan::user(from), id, Content::Said(said));
        self.put(seen)
    }

    pub(super) fn receive(&mut self, user: u8, entries: &[Seen]) {
        self.push(Some(device(user)), What::Event(Event::Received(entries.to_vec())));
    }

    pub(super) fn hold(&mut self, user: u8, seen: Seen) {
        self.snapshot.devices[usize::from(user)].held = vec![seen];
    }

    /// The store has only the place of an entry.
    pub(super) fn revoke(&mut self, log: Log, sequence: u64) {
        let entries = self.snapshot.logs.get_mut(&log).expect("a log");
        let stored = entries.iter_mut().find(|stored| stored.seen.sequence == sequence);
        let seen = &mut stored.expect("an entry").seen;
        (seen.content, seen.revoked) = (Content::Gone, true);
    }

    /// The hub and the user's device list this.
    pub(super) fn lists(&mut self, user: u8, list: Vec<ListEntry>, total_unread: u64) {
        let state = &mut self.snapshot.devices[usize::from(user)];
        state.list = Some(list.clone());
        state.total_unread = Some(total_unread);
        self.snapshot.fresh.push(FreshView {
            user: Plan::user(user),
            list,
            truncated: false,
            total_unread,
            groups: Vec::new(),
            pages: std::collections::BTreeMap::new(),
            files: std::collections::BTreeMap::new(),
        });
    }

    fn tip(&mut self, operation: TipOperation, by: u8, users: &[u8], sequence: u64) {
        let content = Content::Tip {
            operation,
            operator: Plan::user(by).to_string(),
            users: users.iter().map(|user| Plan::user(*user).to_string()).collect(),
            members: 0,
        };
        let id = self.id_of(Mark(sequence as u32));
        let seen = self.seen(Log::Group(Plan::group(0)), sequence, UserId::SYSTEM, id, content);
        self.put(seen);
    }

    /// Group 0 is created.
    pub(super) fn create(&mut self, owner: u8, members: &[u8]) {
        let create = Call::CreateGroup {
            group: 0,
            members: members.to_vec(),
            join: 1,
            invite: 1,
        };
        let call = self.call(owner, create);
        self.returns(call, Returned::Done);
        let all = [&[owner], members].concat();
        self.tip(TipOperation::JOIN, owner, &all, 1);
        let member = |user: &u8| {
            let state = MemberState {
                role: Role::MEMBER,
                joined_at: 0,
                receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            };
            (Plan::user(*user), state)
        };
        let state = GroupState {
            group_type: GroupType::PUBLIC,
            owner: Plan::user(owner),
            mute_all: false,
            members: all.iter().map(member).collect(),
            restrictions: std::collections::BTreeMap::new(),
        };
        self.snapshot.groups.insert(Plan::group(0), state);
    }

    /// A message in group 0, stored.
    pub(super) fn say(&mut self, user: u8, sequence: u64) -> Seen {
        let sent = self.send(user, Target::Group(0));
        self.accept(sent, sequence);
        self.store(Log::Group(Plan::group(0)), sequence, user, sent)
            .seen
            .clone()
    }

    /// A user revokes an entry of group 0.
    pub(super) fn say_revoked(&mut self, user: u8, sequence: u64, by: u64) {
        let log = Log::Group(Plan::group(0));
        let mark = self.snapshot.logs[&log]
            .iter()
            .find(|stored| stored.seen.sequence == sequence)
            .and_then(|stored| stored.seen.content.mark());
        let message = mark.map(|mark| self.message_of(mark));
        let call = self.call_about(user, Call::Revoke(Which::Own(0)), message);
        self.returns(call, Returned::Revoked { log, sequence, mark });
        self.revoke(log, sequence);
        let id = self.id_of(Mark(by as u32));
        let content = Content::Revocation { sequence };
        let seen = self.seen(log, by, Plan::user(user), id, content);
        self.put(seen);
    }

    pub(super) fn join(&mut self, user: u8, sequence: u64) {
        let call = self.call(user, Call::Join(0));
        self.returns(call, Returned::Joined(1));
        self.tip(TipOperation::JOIN, user, &[user], sequence);
        let state = MemberState {
            role: Role::MEMBER,
            joined_at: sequence - 1,
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
        };
        let group = self.snapshot.groups.get_mut(&Plan::group(0)).expect("a group");
        group.members.insert(Plan::user(user), state);
    }

    pub(super) fn quit(&mut self, user: u8, sequence: u64) {
        let call = self.call(user, Call::Quit(0));
        self.returns(call, Returned::Done);
        self.tip(TipOperation::QUIT, user, &[user], sequence);
        let group = self.snapshot.groups.get_mut(&Plan::group(0)).expect("a group");
        group.members.remove(&Plan::user(user));
    }
}
