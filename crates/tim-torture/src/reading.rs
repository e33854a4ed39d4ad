//! Reading everything back through the protocol, and what differs from the ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tim_client::{Client, Event, EventStream, Gap, ImError, Message};
use tokio::time::timeout;

use crate::ledger::{CREATION, LOGS, Ledger, Log, PEOPLE, logs_of};
use crate::load::Devices;

/// How many ranges of sequences a report names.
const MAX_RANGES: usize = 8;

/// What a device was shown of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    pub(crate) sender: String,
    pub(crate) text: Option<String>,
    pub(crate) is_revoked: bool,
}

impl From<&Message> for Seen {
    fn from(message: &Message) -> Self {
        Self {
            sequence: message.sequence(),
            sender: message.sender().to_string(),
            text: message.text().map(str::to_owned),
            is_revoked: message.is_revoked(),
        }
    }
}

/// How patient a reading is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a request.
    pub(crate) request: Duration,
    /// For the next delivery, while some are missing.
    pub(crate) quiet: Duration,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deviation {
    /// Something was served that nobody said, or at another position, or twice.
    Wrong(String),
    /// Something that was acknowledged was not served: of this conversation (an index into [`LOGS`]), or of all.
    Missing { log: Option<usize>, what: String },
    /// The hub or the device said by itself that something cannot be served: an error or a gap.
    Announced { log: Option<usize>, what: String },
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(what) => write!(f, "wrong: {what}"),
            Self::Missing { what, .. } => write!(f, "missing: {what}"),
            Self::Announced { what, .. } => write!(f, "announced: {what}"),
        }
    }
}

/// Reads as each user, with a new device, and compares. `is_alive` tells whether the hub still runs.
pub(crate) async fn read_back(
    devices: &Devices,
    ledger: &Ledger,
    seed: u64,
    patience: Patience,
    mut is_alive: impl FnMut() -> bool,
) -> Vec<Deviation> {
    let mut found = Vec::new();
    for person in 0..PEOPLE.len() {
        let client = devices.device(person, true, patience.request);
        let mut reader = Reader {
            ledger,
            seed,
            person,
            patience,
            found: &mut found,
        };
        reader.read(&client, &mut is_alive).await;
        drop(client);
    }
    found
}

struct Reader<'a> {
    ledger: &'a Ledger,
    seed: u64,
    person: usize,
    patience: Patience,
    found: &'a mut Vec<Deviation>,
}

impl Reader<'_> {
    async fn read(&mut self, client: &Client, is_alive: &mut impl FnMut() -> bool) {
        let mut events = client.events();
        match timeout(self.patience.request, client.login()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return self.announced(None, format!("login: {error}")),
            Err(_) => return self.missing(None, "no response to a login".to_owned()),
        }
        // First: the client is ready only when the deliveries that waited are taken.
        self.deliveries(&mut events, is_alive).await;
        drop(events);
        if !is_alive() {
            return;
        }
        match timeout(self.patience.request, client.wait_until_ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.announced(None, format!("after the login: {error}")),
            Err(_) => return self.missing(None, "the device does not become ready".to_owned()),
        }
        for log in logs_of(self.person) {
            if is_alive() {
                self.history(client, log).await;
            }
        }
        if is_alive() {
            self.list(client).await;
        }
    }

    fn announced(&mut self, log: Option<usize>, what: String) {
        let what = format!("{}: {what}", PEOPLE[self.person]);
        self.found.push(Deviation::Announced { log, what });
    }

    fn missing(&mut self, log: Option<usize>, what: String) {
        let what = format!("{}: {what}", PEOPLE[self.person]);
        self.found.push(Deviation::Missing { log, what });
    }

    fn wrong(&mut self, what: impl fmt::Display) {
        self.found
            .push(Deviation::Wrong(format!("{}: {what}", PEOPLE[self.person])));
    }

    fn failed(&mut self, log: Option<usize>, what: &str, error: &ImError) {
        match error.code {
            // The client's own: the hub has not answered.
            code if code == tim_client::ErrorCode::NETWORK_TIMEOUT => {
                self.missing(log, format!("{what}: {error}"));
            }
            _ => self.announced(log, format!("{what}: {error}")),
        }
    }

    /// The history, which has every message once.
    async fn history(&mut self, client: &Client, log: usize) {
        let conversation = LOGS[log].seen_by(self.person);
        let mut all: BTreeMap<u64, Seen> = BTreeMap::new();
        let mut next = None;
        let mut is_whole = true;
        loop {
            let page = client.get_message_list(conversation, next.as_ref(), None);
            let page = match timeout(self.patience.request, page).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => {
                    self.failed(Some(log), &format!("history of {}", LOGS[log].key()), &error);
                    is_whole = false;
                    break;
                }
                Err(_) => {
                    self.missing(
                        Some(log),
                        format!("no response to a history request of {}", LOGS[log].key()),
                    );
                    is_whole = false;
                    break;
                }
            };
            for message in &page.message_list {
                let seen = Seen::from(message);
                let sequence = seen.sequence;
                self.compare(log, &seen, "history");
                if all.insert(sequence, seen).is_some() {
                    self.wrong(format_args!(
                        "{} {sequence}: twice in the history",
                        LOGS[log].key()
                    ));
                }
            }
            if page.is_completed {
                break;
            }
            if next.as_ref() == Some(&page.next_req_message_id) {
                self.wrong(format_args!(
                    "the history of {} goes round in a circle",
                    LOGS[log].key()
                ));
                break;
            }
            next = Some(page.next_req_message_id);
        }
        if is_whole {
            self.complete(log, "history", |sequence| all.contains_key(&sequence));
        }
    }

    /// Every message, and of the entries beside them as many as there were revocations.
    fn complete(&mut self, log: usize, place: &str, has: impl Fn(u64) -> bool) {
        let of = &self.ledger.logs[log];
        let key = LOGS[log].key();
        let creation = (LOGS[log] == Log::Group).then_some(CREATION);
        let expected = creation.into_iter().chain(of.said.keys().copied());
        let lost: Vec<u64> = expected.filter(|sequence| !has(*sequence)).collect();
        if !lost.is_empty() {
            self.missing(Some(log), format!("{key}: not in the {place}: {}", ranges(&lost)));
        }
    }

    /// A message is what was said at this position.
    fn compare(&mut self, log: usize, seen: &Seen, place: &str) {
        let key = LOGS[log].key();
        let sequence = seen.sequence;
        if LOGS[log] == Log::Group && sequence == CREATION {
            if seen.text.is_some() {
                self.wrong(format_args!(
                    "{key} {sequence}: a text instead of the creation: {seen:?}"
                ));
            }
            return;
        }
        let Some(said) = self.ledger.logs[log].said.get(&sequence).copied() else {
            return self.wrong(format_args!(
                "{key} {sequence}: nobody said that: {seen:?} ({place})"
            ));
        };
        let author = PEOPLE[said.author];
        let expected = (!said.is_revoked).then(|| said.text(self.seed));
        if seen.sender != author {
            self.wrong(format_args!(
                "{key} {sequence}: from {} instead of {author} ({place})",
                seen.sender
            ));
        }
        if seen.is_revoked != said.is_revoked {
            self.wrong(format_args!(
                "{key} {sequence}: revoked is {} ({place})",
                seen.is_revoked
            ));
        } else if !said.is_revoked && seen.text != expected {
            self.wrong(format_args!(
                "{key} {sequence}: other bytes ({place}): {:?}",
                seen.text
            ));
        } else if said.is_revoked && seen.text.as_ref().is_some_and(|text| !text.is_empty()) {
            self.wrong(format_args!(
                "{key} {sequence}: revoked content is served ({place})"
            ));
        }
    }

    /// The list of conversations with the unread counts.
    async fn list(&mut self, client: &Client) {
        let list = match timeout(self.patience.request, client.get_conversation_list()).await {
            Ok(Ok(list)) => list.conversation_list,
            Ok(Err(error)) => return self.failed(None, "conversation list", &error),
            Err(_) => return self.missing(None, "no response to a list request".to_owned()),
        };
        for log in logs_of(self.person) {
            let conversation = LOGS[log].seen_by(self.person);
            let of = &self.ledger.logs[log];
            let (key, expected) = (LOGS[log].key(), of.unread(LOGS[log], self.person));
            let holes = of.said.len() as u64 + of.revocations + u64::from(LOGS[log] == Log::Group);
            match list.iter().find(|found| found.id == conversation) {
                None => self.missing(Some(log), format!("{key} is not in the list")),
                Some(found) if found.last_sequence != holes => self.missing(
                    Some(log),
                    format!(
                        "{key} ends with {} instead of {holes}: there are holes, or entries that nobody wrote",
                        found.last_sequence
                    ),
                ),
                Some(found) if u64::from(found.unread_count) != expected => self.missing(
                    Some(log),
                    format!("{key}: {} unread instead of {expected}", found.unread_count),
                ),
                Some(_) => {}
            }
        }
    }

    /// What a device that knows nothing is sent: every entry once and in order.
    async fn deliveries(&mut self, events: &mut EventStream, is_alive: &mut impl FnMut() -> bool) {
        let mut seen: [BTreeMap<u64, ()>; LOGS.len()] = Default::default();
        let mut gaps: Vec<(usize, u64, u64)> = Vec::new();
        let mut last = [0; LOGS.len()];
        let mut remaining: usize = (0..LOGS.len()).map(|log| self.expected(log)).sum();
        while remaining > 0 && is_alive() {
            let Ok(Some(event)) = timeout(self.patience.quiet, events.next()).await else {
                break;
            };
            match event {
                Event::MessageReceived(messages) => {
                    for message in &messages {
                        let Some(log) = Log::index(self.person, message.conversation_id()) else {
                            continue;
                        };
                        let one = Seen::from(message);
                        self.compare(log, &one, "deliveries");
                        if one.sequence <= last[log] {
                            self.wrong(format_args!(
                                "{} {}: delivered twice or late",
                                LOGS[log].key(),
                                one.sequence
                            ));
                        }
                        last[log] = one.sequence;
                        seen[log].insert(one.sequence, ());
                        remaining = remaining.saturating_sub(1);
                    }
                }
                Event::Gap(gap) => {
                    if let Some(found) = self.gap(gap) {
                        gaps.push(found);
                        let covered = self.ledger.logs[found.0].said.range(found.1..=found.2);
                        remaining = remaining.saturating_sub(covered.count());
                    }
                }
                Event::KickedOut(error) => return self.announced(None, format!("kicked out: {error}")),
                _ => {}
            }
        }
        for log in logs_of(self.person) {
            let in_gap = |sequence| {
                gaps.iter()
                    .any(|&(of, from, to)| of == log && from <= sequence && sequence <= to)
            };
            let has = |sequence| seen[log].contains_key(&sequence) || in_gap(sequence);
            self.complete(log, "deliveries", has);
        }
    }

    fn gap(&mut self, gap: Gap) -> Option<(usize, u64, u64)> {
        let log = Log::index(self.person, gap.conversation);
        self.announced(log, format!("gap: {gap:?}"));
        log.map(|log| (log, gap.from, gap.to))
    }

    /// How many messages of a conversation a device is sent.
    fn expected(&self, log: usize) -> usize {
        match LOGS[log].has(self.person) {
            true => self.ledger.logs[log].said.len() + usize::from(LOGS[log] == Log::Group),
            false => 0,
        }
    }
}

/// Ascending numbers in short.
fn ranges(numbers: &[u64]) -> String {
    let mut text = format!("{} entries:", numbers.len());
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    for run in runs.take(MAX_RANGES) {
        match run {
            [only] => text.push_str(&format!(" {only}")),
            [first, .., last] => text.push_str(&format!(" {first}-{last}")),
            [] => {}
        }
    }
    text
}
