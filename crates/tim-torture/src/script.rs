//! A deterministic sequence of batches for a store, and the state after each of them.

use bytes::Bytes;
use tim_proto::message::{Content, Revocation, Text, to_vec};
use tim_proto::{ConversationId, MessageId, MessageKind, UserId};
use tim_store::{
    Append, EntryFlags, Fingerprint, LogKey, Purge, Quota, Revoke, StoreReader, StoreWriter, Write,
    account_number,
};
use tim_testkit::{Rng, user};

use crate::Result;

/// The users, who have account numbers in this order.
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// The conversations, as indices of users.
const PAIRS: [(usize, usize); 3] = [(0, 1), (1, 2), (0, 2)];
/// After so many batches the store is closed and opened again.
pub(crate) const REOPEN_EVERY: usize = 40;

/// A message of the model: its content, none if it was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    Message(Bytes),
    Revoked,
    Revocation,
}

/// What the conversations hold, by sequence.
pub(crate) type State = [Vec<Stored>; PAIRS.len()];

/// Yields the batches of a seed.
#[derive(Debug)]
pub(crate) struct Script {
    rng: Rng,
    state: State,
    messages: u32,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            state: State::default(),
            messages: 0,
        }
    }

    /// What must be there after all batches so far.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// The batch before all others.
    pub(crate) fn accounts() -> Vec<Write> {
        NAMES.map(|name| Write::EnsureAccount(user(name))).into()
    }

    /// The next batch.
    pub(crate) fn next_batch(&mut self) -> Vec<Write> {
        let mut batch = Vec::new();
        for _ in 0..=self.rng.below(12) {
            let log = self.rng.below(PAIRS.len() as u64) as usize;
            match self.rng.below(100) {
                0..10 => batch.extend(self.revoke(log)),
                10..15 => batch.push(Write::MarkRead {
                    user: user(NAMES[PAIRS[log].0]),
                    log: key(log),
                    upto: Some(self.state[log].len() as u64),
                }),
                _ => batch.push(self.append(log)),
            }
        }
        if self.rng.percent(6) {
            // Nothing is old; this empties the write-ahead log after revocations.
            batch.push(Write::Purge(Purge {
                older_than_ms: 0,
                forget_ids_before_ms: 0,
                over_before_ms: 0,
                budget: 100,
                ..Purge::NONE
            }));
        }
        batch
    }

    fn append(&mut self, log: usize) -> Write {
        let (low, high) = PAIRS[log];
        let (from, to) = if self.rng.percent(50) {
            (low, high)
        } else {
            (high, low)
        };
        self.messages += 1;
        let len = match self.rng.percent(8) {
            true => self.rng.within(3_000..12_000),
            false => self.rng.below(200),
        };
        let filler = (0..len).map(|_| char::from(b'a' + (self.rng.draw() % 26) as u8));
        let text: String = format!("{} ", self.messages).chars().chain(filler).collect();
        let id = MessageId {
            sender: account_number(from as u64 + 1),
            client_time: 1_700_000_000,
            random: self.messages,
        };
        let text = to_vec(&Text::new(&text));
        let to = ConversationId::C2c(user(NAMES[to]));
        let content: Bytes = to_vec(&Content::new(to, id, MessageKind::TEXT, &text)).into();
        self.state[log].push(Stored::Message(content.clone()));
        Write::Append(Append {
            log: key(log),
            sender: user(NAMES[from]),
            id,
            fingerprint: Fingerprint::of(&[&content]),
            origin: 1,
            kind: MessageKind::TEXT,
            flags: EntryFlags::NONE,
            content,
            require_membership: true,
            mentions: Vec::new(),
            mention_all: false,
            quota: Quota::NONE,
            files: Vec::new(),
        })
    }

    /// Revokes a message, if the one chosen is one.
    fn revoke(&mut self, log: usize) -> Option<Write> {
        let at = self.rng.below(self.state[log].len() as u64) as usize;
        let Some(Stored::Message(content)) = self.state[log].get(at) else {
            return None;
        };
        let header: Content<'_> = tim_proto::wire::decode_body(content).ok()?;
        let author = NAMES[(header.id.sender - account_number(1)) as usize];
        let by: UserId = user(author);
        let revocation = Revocation::new(at as u64 + 1, header.id, by, by);
        let id = MessageId {
            client_time: 1_700_000_001,
            ..header.id
        };
        let payload = to_vec(&revocation);
        let write = Write::Revoke(Revoke {
            log: key(log),
            sequence: at as u64 + 1,
            by,
            as_administrator: false,
            window_ms: u64::MAX,
            manager_window_ms: u64::MAX,
            reason: String::new(),
            origin: 1,
            id,
            content: to_vec(&Content::new(header.to, id, MessageKind::REVOCATION, &payload)).into(),
        });
        self.state[log][at] = Stored::Revoked;
        self.state[log].push(Stored::Revocation);
        Some(write)
    }
}

fn key(log: usize) -> LogKey {
    let (low, high) = PAIRS[log];
    LogKey::c2c(user(NAMES[low]), user(NAMES[high]))
}

/// Opens the store in this directory, commits a batch, and fails if a write is refused.
pub(crate) fn commit(writer: &mut impl StoreWriter, now_ms: u64, batch: &[Write]) -> Result<()> {
    for result in writer.commit(now_ms, batch)?.results {
        result?;
    }
    Ok(())
}

/// What a store holds. `None` if an entry is neither there nor past the end.
pub(crate) fn read(reader: &impl StoreReader) -> Result<State> {
    let mut state = State::default();
    for (log, entries) in state.iter_mut().enumerate() {
        while let Some(entry) = reader.entry(&key(log), entries.len() as u64 + 1)? {
            entries.push(match entry.kind {
                MessageKind::REVOCATION => Stored::Revocation,
                _ if entry.is_revoked() => Stored::Revoked,
                _ => Stored::Message(entry.content),
            });
        }
        let head = reader.conversation(&user(NAMES[PAIRS[log].0]), &key(log))?;
        let head = head.map_or(0, |conversation| conversation.head_sequence);
        if head != entries.len() as u64 {
            return Err(format!("{} ends with {head}, but has {} entries", key(log), entries.len()).into());
        }
    }
    Ok(state)
}
