//! A flash with a log of records, which the power may tear.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;

/// How many bytes are written at a time.
const WORD: usize = 4;

/// What a power cut leaves of the word that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tear {
    Nothing,
    Half,
    Garbage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A message, its id and its bytes, is in the outbox.
    Kept([u8; 20], Vec<u8>),
    Forgotten([u8; 20]),
    /// The cursor, and the text of the entry behind which it stands, if it stands behind one.
    Reached(Vec<u8>, String),
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let (kind, one, other) = match self {
            Self::Kept(id, record) => (1, &id[..], &record[..]),
            Self::Forgotten(id) => (2, &id[..], &[][..]),
            Self::Reached(cursor, text) => (3, &cursor[..], text.as_bytes()),
        };
        let mut bytes = vec![kind, one.len() as u8, other.len() as u8];
        bytes.extend_from_slice(one);
        bytes.extend_from_slice(other);
        bytes.extend(sum(&bytes).to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    /// The record at the beginning of these bytes, and how long it is, if it is whole.
    fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let [kind, one, other, rest @ ..] = bytes else {
            return None;
        };
        let (one, rest) = rest.split_at_checked((*one).into())?;
        let (other, rest) = rest.split_at_checked((*other).into())?;
        let len = 3 + one.len() + other.len();
        let is_whole = rest.first_chunk() == Some(&sum(&bytes[..len]).to_le_bytes());
        let record = match kind {
            1 => Self::Kept(one.try_into().ok()?, other.to_vec()),
            2 => Self::Forgotten(one.try_into().ok()?),
            _ => Self::Reached(one.to_vec(), String::from_utf8(other.to_vec()).ok()?),
        };
        let padded = (len + 4).next_multiple_of(WORD);
        (is_whole && bytes.len() >= padded).then_some((record, padded))
    }
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[derive(Default)]
pub(crate) struct Flash {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// Somebody writes a record, and which word of it.
    busy: bool,
    writing: Option<Vec<u8>>,
}

async fn next_poll() {
    let mut waited = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut waited, true) {
            false => Poll::Pending,
            true => Poll::Ready(()),
        }
    })
    .await;
}

impl Flash {
    /// Writes a record, a word at a poll.
    pub(crate) async fn append(flash: &RefCell<Self>, record: &Record) {
        while flash.borrow().busy {
            next_poll().await;
        }
        flash.borrow_mut().busy = true;
        let bytes = record.encode();
        for word in bytes.chunks(WORD) {
            flash.borrow_mut().writing = Some(word.to_vec());
            next_poll().await;
            let mut flash = flash.borrow_mut();
            flash.writing = None;
            flash.bytes.extend_from_slice(word);
        }
        let mut flash = flash.borrow_mut();
        flash.records.push(record.clone());
        flash.busy = false;
    }

    /// The power is cut.
    pub(crate) fn cut(&mut self, tear: Tear) {
        self.busy = false;
        let Some(word) = self.writing.take() else { return };
        match tear {
            Tear::Nothing => {}
            Tear::Half => self.bytes.extend_from_slice(&word[..WORD / 2]),
            Tear::Garbage => self.bytes.extend(word.iter().map(|byte| byte ^ 0x55)),
        }
    }

    /// Reads what is whole and drops the rest. Returns the cursor, and the entry that was reached last.
    pub(crate) fn boot(&mut self) -> (Vec<u8>, Option<String>) {
        let (mut at, mut records) = (0, Vec::new());
        while let Some((record, len)) = Record::decode(&self.bytes[at..]) {
            at += len;
            records.push(record);
        }
        self.bytes.truncate(at);
        assert!(records.starts_with(&self.records) && records.len() <= self.records.len() + 1);
        self.records = records;
        (self.cursor(), self.last())
    }

    pub(crate) fn cursor(&self) -> Vec<u8> {
        let mut cursors = self.records.iter().rev();
        let cursor = cursors.find_map(|record| match record {
            Record::Reached(cursor, _) => Some(cursor.clone()),
            _ => None,
        });
        cursor.unwrap_or_default()
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<String> {
        self.records.iter().rev().find_map(|record| match record {
            Record::Reached(_, text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    }

    /// How many messages were ever kept.
    pub(crate) fn kept(&self) -> usize {
        let is_kept = |record: &&Record| matches!(record, Record::Kept(..));
        self.records.iter().filter(is_kept).count()
    }

    /// The messages that were not forgotten, oldest first.
    pub(crate) fn outbox(&self) -> Vec<([u8; 20], Vec<u8>)> {
        let mut kept = Vec::new();
        for record in &self.records {
            match record {
                Record::Kept(id, bytes) => kept.push((*id, bytes.clone())),
                Record::Forgotten(id) => kept.retain(|(other, _)| other != id),
                Record::Reached(..) => {}
            }
        }
        kept
    }
}
