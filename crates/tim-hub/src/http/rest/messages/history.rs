//! `admin_getroammsg`: the messages of two users, from new to old.

use serde_json::{Map, Value};
use tim_proto::UserId;
use tim_store::{Entry, LogKey, PageRequest, StoreReader};

use super::key::{MsgKey, first_after, is_written};
use super::pair;
use crate::http::rest::body::shown;
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError};
use crate::refusal::Refusal;

/// The most messages of an answer, and the most bytes of what they say.
pub(in crate::http::rest) const MAX_COUNT: usize = 100;
const MAX_BYTES: usize = 13 * 1024;
/// The flag of a message that was revoked.
const REVOKED: u32 = 8;

/// A part of a history that is asked for.
#[derive(Debug, Clone, Copy)]
struct Range {
    me: UserId,
    peer: UserId,
    count: usize,
    /// Unix seconds, both inclusive.
    min_time: u64,
    max_time: u64,
    /// Only what is older than this.
    last: Option<MsgKey>,
}

/// What was found, from old to new.
struct Found {
    entries: Vec<Entry>,
    is_all: bool,
    /// What each of the two users has read.
    read: [u64; 2],
}

pub(in crate::http::rest) async fn history(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let (me, peer) = pair(
        &fields,
        &["From_Account", "Operator_Account"],
        &["To_Account", "Peer_Account"],
    )?;
    let last = match fields.non_empty_text("LastMsgKey")? {
        None => None,
        Some(key) => {
            let wrong = |()| {
                fields
                    .fault("LastMsgKey", "is not a MsgKey")
                    .with_code(codes::BAD_KEY)
            };
            Some(key.parse().map_err(wrong)?)
        }
    };
    let count = fields.need_number("MaxCnt")?.clamp(1, MAX_COUNT as u64);
    let range = Range {
        me,
        peer,
        count: usize::try_from(count).unwrap_or(1),
        min_time: fields.need_number("MinTime")?,
        max_time: fields.need_number("MaxTime")?,
        last,
    };
    let found = call.read(move |services| {
        let store = services.reads.store();
        match unknown_to(store, me, peer)? {
            Some(unknown) => Ok(Err(unknown)),
            None => find(store, &range).map(Ok),
        }
    });
    let found = found.await?.map_err(|unknown| {
        let code = match unknown == me {
            true => codes::BAD_FROM_ACCOUNT,
            false => codes::BAD_TO_ACCOUNT,
        };
        RestError::new(code, format!("{unknown} has no account"))
    })?;
    let first = found.entries.first().map(MsgKey::of);
    let rows: Vec<_> = found
        .entries
        .iter()
        .map(|entry| row(entry, &range, found.read))
        .collect();
    Ok(Answer::ok()
        .with("Complete", u32::from(found.is_all))
        .with("MsgCnt", rows.len())
        .with("LastMsgTime", first.map_or(0, |key| key.time))
        .with(
            "LastMsgKey",
            first.map_or_else(String::new, |key| key.to_string()),
        )
        .with("MsgList", rows))
}

fn find(store: &dyn StoreReader, range: &Range) -> Result<Found, Refusal> {
    let log = LogKey::c2c(range.me, range.peer);
    let mut before = first_after(store, &log, range.max_time)?;
    if let Some(last) = range.last.filter(|last| last.sequence > 0) {
        before = before.min(last.sequence);
    }
    let page = store.page(&PageRequest {
        log,
        before: Some(before),
        after: 0,
        limit: range.count,
        max_bytes: MAX_BYTES,
    })?;
    let count = page.entries.len();
    let mut entries = page.entries;
    entries.retain(|entry| entry.time_ms / 1000 >= range.min_time);
    let is_all = page.completed || entries.len() < count;
    let states = store.read_states(&log, &[range.me, range.peer], u64::MAX)?;
    let read = |user: UserId| {
        let state = states.iter().find(|state| state.user == user);
        state.map_or(0, |state| state.read_sequence)
    };
    Ok(Found {
        entries,
        is_all,
        read: [read(range.me), read(range.peer)],
    })
}

/// One of two users who has no account, and has had no messages with the other one either.
fn unknown_to(store: &dyn StoreReader, me: UserId, peer: UserId) -> Result<Option<UserId>, Refusal> {
    let known = store.accounts(&[me, peer])?;
    let is_known = |user: &UserId| known.iter().any(|account| account.user == *user);
    let unknown = [me, peer].into_iter().find(|user| !is_known(user));
    match unknown {
        Some(_) if is_written(store, &LogKey::c2c(me, peer))? => Ok(None),
        unknown => Ok(unknown),
    }
}

fn row(entry: &Entry, range: &Range, [mine, peers]: [u64; 2]) -> Value {
    let (to, read) = match entry.sender == range.me {
        true => (range.peer, peers),
        false => (range.me, mine),
    };
    let key = MsgKey::of(entry);
    let shown = shown(entry);
    let fields = [
        ("From_Account", entry.sender.as_str().into()),
        ("To_Account", to.as_str().into()),
        ("MsgSeq", key.sequence.into()),
        ("MsgRandom", key.random.into()),
        ("MsgTimeStamp", key.time.into()),
        ("MsgClientTime", entry.id.client_time.into()),
        ("MsgFlagBits", if entry.is_revoked() { REVOKED } else { 0 }.into()),
        ("MsgKey", key.to_string().into()),
        ("IsPeerRead", u32::from(read >= entry.sequence).into()),
        ("MsgBody", shown.body.into()),
    ];
    let mut row: Map<_, Value> = fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
    if !shown.cloud_custom_data.is_empty() {
        row.insert("CloudCustomData".to_owned(), shown.cloud_custom_data.into());
    }
    Value::Object(row)
}
