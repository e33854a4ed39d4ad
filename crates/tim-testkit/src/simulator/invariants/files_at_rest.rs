//! Each stored message with a file has its content. No other content is left, no upload is kept beyond its life, and what quotas count is
//! what there is.

use std::collections::BTreeMap;

use tim_session::proto::UserId;

use super::super::files::{content_of, hash_of};
use super::super::history::{Content, FilesAtRest as Found, Stored};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct FilesAtRest;

const NAME: &str = "files-at-rest";

impl Invariant for FilesAtRest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Files
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let Some(found) = &model.snapshot.files else {
            return Ok(0);
        };
        let mut checked = 0;
        for stored in model.snapshot.logs.values().flatten() {
            checked += named(model, found, stored)?;
        }
        Ok(checked + left(model, found)? + counted(model, found)?)
    }
}

fn fails<T>(words: String) -> Result<T, Violation> {
    Err(Violation::new(NAME, words))
}

/// A stored message has the file that it was sent with.
fn named(model: &Model<'_>, found: &Found, stored: &Stored) -> Result<u64, Violation> {
    let seen = &stored.seen;
    let (Some(file), Content::Said(said)) = (&stored.file, &seen.content) else {
        return Ok(0);
    };
    let at_rest = found.files.get(file).cloned().unwrap_or_default();
    if at_rest.row.is_none() || !at_rest.uses.contains(&(seen.log, seen.sequence)) {
        return fails(format!("{seen} names a file of which the store knows nothing"));
    }
    let Some(content) = at_rest.content else {
        return fails(format!("{seen} has lost the content of its file"));
    };
    let sent = said.mark.and_then(|mark| model.messages.get(&mark));
    let Some(of) = sent.and_then(|message| message.sent.file) else {
        return fails(format!("{seen} names a file, and was sent without one"));
    };
    let expected = content_of(of);
    if content != (expected.len() as u64, hash_of(&expected)) {
        return fails(format!(
            "{seen} has the content of another file, of {} bytes",
            content.0
        ));
    }
    Ok(1)
}

/// Nothing is left of what is not needed.
fn left(model: &Model<'_>, found: &Found) -> Result<u64, Violation> {
    if found.staged > 0 {
        return fails(format!("{} uploads are kept beyond their life", found.staged));
    }
    if let Some(litter) = found.litter.first() {
        return fails(format!("there is {litter} beside the files"));
    }
    for (file, at_rest) in &found.files {
        if at_rest.row.is_none() {
            return fails(format!(
                "there is content of {file}, of which the store knows nothing"
            ));
        }
        if at_rest.content.is_none() {
            return fails(format!("the store knows {file}, of which there is no content"));
        }
        // A hub that was started again, or whose clock was set, does not know how much time has passed.
        if at_rest.uses.is_empty() && model.is_one_time() {
            return fails(format!("no message has named {file} for longer than it may wait"));
        }
    }
    Ok(1 + found.files.len() as u64)
}

/// What the store counts is what there is, and not more than the quota.
fn counted(model: &Model<'_>, found: &Found) -> Result<u64, Violation> {
    let mut expected: BTreeMap<UserId, (u64, u64)> = BTreeMap::new();
    for (owner, bytes) in found.files.values().filter_map(|file| file.row) {
        let sum = expected.entry(owner).or_default();
        (sum.0, sum.1) = (sum.0 + bytes, sum.1 + 1);
    }
    let quota = model.history.plan.settings.files;
    let (most_bytes, most_files) = quota.map_or((0, 0), |quota| (quota.account_bytes, quota.account_files));
    for (user, (bytes, files)) in &found.usage {
        let sum = expected.get(user).copied().unwrap_or_default();
        if sum != (*bytes, *files) {
            let words = format!(
                "the store counts {files} files of {user} with {bytes} bytes, and there are {} with {}",
                sum.1, sum.0
            );
            return fails(words);
        }
        let is_over = |value: u64, most: u64| most > 0 && value > most;
        if is_over(*bytes, most_bytes) || is_over(*files, most_files) {
            return fails(format!(
                "{user} has {files} files with {bytes} bytes, more than the quota"
            ));
        }
    }
    Ok(found.usage.len() as u64)
}

#[cfg(test)]
mod tests {
    use tim_session::proto::FileId;

    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::history::{FileAtRest, What};
    use crate::simulator::op::{FileSettings, Plan, Target};

    const FILE: FileId = FileId::from_bytes([7; 16]);
    const OTHER: FileId = FileId::from_bytes([8; 16]);

    /// A stored message with its file.
    fn stored() -> MadeUp {
        let (mut run, mark) = MadeUp::with_file();
        let of = run.message_of(mark).file.unwrap();
        let content = content_of(of);
        let log = run.message_of(mark).log;
        run.store_file(log, 1, 0, mark, FILE);
        let size = content.len() as u64;
        let at_rest = FileAtRest {
            row: Some((Plan::user(0), size)),
            content: Some((size, hash_of(&content))),
            uses: vec![(log, 1)],
        };
        run.snapshot.files = Some(Found {
            files: [(FILE, at_rest)].into(),
            usage: [(Plan::user(0), (size, 1)), (Plan::user(1), (0, 0))].into(),
            ..Found::default()
        });
        run
    }

    fn changed(change: impl FnOnce(&mut Found)) -> MadeUp {
        let mut run = stored();
        change(run.snapshot.files.as_mut().unwrap());
        run
    }

    #[test]
    fn a_message_has_its_file() {
        assert!(passes(&FilesAtRest, &stored()) >= 4);
        let lost = changed(|found| found.files.get_mut(&FILE).unwrap().content = None);
        violates(&FilesAtRest, &lost, "has lost the content");
        let unknown = changed(|found| found.files.get_mut(&FILE).unwrap().row = None);
        violates(&FilesAtRest, &unknown, "knows nothing");
        let unused = changed(|found| found.files.get_mut(&FILE).unwrap().uses.clear());
        violates(&FilesAtRest, &unused, "knows nothing");
        let another = changed(|found| found.files.get_mut(&FILE).unwrap().content = Some((100, 1)));
        violates(&FilesAtRest, &another, "the content of another file");
        let mut text = stored();
        let mark = text.send(0, Target::User(1));
        let log = text.message_of(mark).log;
        text.store_file(log, 2, 0, mark, FILE);
        let found = text.snapshot.files.as_mut().unwrap();
        found.files.get_mut(&FILE).unwrap().uses.push((log, 2));
        violates(&FilesAtRest, &text, "was sent without one");
    }

    #[test]
    fn nothing_else_is_left() {
        violates(
            &FilesAtRest,
            &changed(|found| found.staged = 1),
            "beyond their life",
        );
        let litter = changed(|found| found.litter.push("x".to_owned()));
        violates(&FilesAtRest, &litter, "there is x");
        let other = |row: Option<(UserId, u64)>, content: Option<(u64, u64)>| {
            changed(|found| {
                found.usage.insert(Plan::user(1), (9, 1));
                let uses = Vec::new();
                found.files.insert(OTHER, FileAtRest { row, content, uses });
            })
        };
        violates(&FilesAtRest, &other(None, Some((9, 9))), "there is content of");
        violates(&FilesAtRest, &other(Some((Plan::user(1), 9)), None), "no content");
        let mut unused = other(Some((Plan::user(1), 9)), Some((9, 9)));
        violates(&FilesAtRest, &unused, "no message has named");
        unused.push(None, What::HubStarted { wall_ms: 0 });
        passes(&FilesAtRest, &unused);
    }

    #[test]
    fn what_is_counted_is_what_there_is() {
        let more = changed(|found| {
            found.usage.insert(Plan::user(1), (5, 1));
        });
        violates(&FilesAtRest, &more, "the store counts 1 files");
        let mut over = stored();
        let mut quota = FileSettings {
            piece_bytes: 1,
            window: 1,
            account_bytes: 1_000,
            account_files: 1,
            max_uploads: 1,
            upload_life_ms: 1,
            unsent_life_ms: 1,
        };
        over.history.plan.settings.files = Some(quota);
        passes(&FilesAtRest, &over);
        let found = over.snapshot.files.as_mut().unwrap();
        let one = found.files.get(&FILE).cloned().unwrap();
        let (owner, size) = one.row.unwrap();
        found.files.insert(OTHER, one);
        found.usage.insert(owner, (2 * size, 2));
        violates(&FilesAtRest, &over, "more than the quota");
        (quota.account_bytes, quota.account_files) = (10, 2);
        over.history.plan.settings.files = Some(quota);
        violates(&FilesAtRest, &over, "more than the quota");
    }
}
