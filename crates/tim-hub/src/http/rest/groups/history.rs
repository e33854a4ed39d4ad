//! `group_msg_get_simple`: the messages of a group, from new to old.

use serde_json::Value;
use tim_proto::{GroupType, UserId};
use tim_store::{Entry, LogKey, Page, PageRequest, StoreError, StoreReader};

use super::{existing, group_of, not_in_this_type};
use crate::http::rest::body::shown;
use crate::http::rest::call::Call;
use crate::http::rest::envelope::{Answer, RestError, object};

/// The most messages of an answer, and the most bytes of what they say.
pub(in crate::http::rest) const MAX_COUNT: usize = 20;
const MAX_BYTES: usize = 512 * 1024;
/// How many pages are read for an answer.
const MAX_PAGES: usize = 500;
/// All of what was asked for is in the answer; it was cut; it is past retention.
const ALL: u32 = 1;
const CUT: u32 = 0;
const EXPIRED: u32 = 2;
/// The body of the message is gone: it was revoked.
const REVOKED: u32 = 2;

pub(in crate::http::rest) async fn history(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let asked = fields.need_number("ReqMsgNumber")?;
    let last = fields.number("ReqMsgSeq")?;
    let with_revoked = fields.flag("WithRecalledMsg")?;
    let found = existing(&call, group).await?;
    if found.group_type == GroupType::AV_CHAT_ROOM {
        return Err(not_in_this_type(&found));
    }
    let most = MAX_COUNT as u64;
    let count = asked.clamp(1, most);
    let request = PageRequest {
        log: LogKey::Group(group),
        before: last.map(|last| last.saturating_add(1)),
        after: 0,
        limit: usize::try_from(count).unwrap_or(1),
        max_bytes: MAX_BYTES,
    };
    let page = call
        .read(move |services| Ok(find(services.reads.store(), request, with_revoked)?))
        .await?;
    let is_whole = page.completed || asked <= most && page.entries.len() as u64 == count;
    let finished = match is_whole {
        true if page.entries.is_empty() && page.first_kept > 1 => EXPIRED,
        true => ALL,
        false => CUT,
    };
    let rows = page.entries.iter().map(row);
    Ok(Answer::ok()
        .with("GroupId", group.as_str())
        .with("IsFinished", finished)
        .with("RspMsgList", rows.collect::<Vec<_>>()))
}

/// The newest messages that are asked for, newest first. Those that were revoked do not count unless they are asked for, too. Of a
/// longer run of them than is read at a time the last one is in the page, so that callers can go on behind it.
fn find(store: &dyn StoreReader, mut request: PageRequest, with_revoked: bool) -> Result<Page, StoreError> {
    let limit = request.limit;
    let mut found = Vec::new();
    for round in 1..=MAX_PAGES {
        let page = store.page(&request)?;
        let passed = page.entries.first().cloned();
        let is_cut = page.entries.len() < limit && !page.completed;
        let newest_first = page.entries.into_iter().rev();
        let mut entries = newest_first.filter(|entry| with_revoked || !entry.is_revoked());
        found.extend(entries.by_ref().take(limit - found.len()));
        let is_full = entries.next().is_some();
        let is_done = page.completed || is_full || found.len() == limit || is_cut && !found.is_empty();
        if round == MAX_PAGES && found.is_empty() {
            found.extend(passed);
        }
        if is_done || round == MAX_PAGES {
            return Ok(Page {
                entries: found,
                first_kept: page.first_kept,
                completed: page.completed && !is_full,
                next: page.next,
            });
        }
        request.before = Some(page.next);
    }
    store.page(&request)
}

fn row(entry: &Entry) -> Value {
    let shown = shown(entry);
    let place = if entry.is_revoked() { REVOKED } else { 0 };
    object([
        ("From_Account", entry.sender.as_str().into()),
        ("IsPlaceMsg", place.into()),
        ("IsSystemMsg", u32::from(entry.sender == UserId::SYSTEM).into()),
        ("MsgBody", shown.body.into()),
        ("MsgPriority", shown.priority.0.into()),
        ("MsgRandom", entry.id.random.into()),
        ("MsgSeq", entry.sequence.into()),
        ("MsgTimeStamp", (entry.time_ms / 1000).into()),
        ("CloudCustomData", shown.cloud_custom_data.into()),
    ])
}
