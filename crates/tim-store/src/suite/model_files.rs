//! Files in the model: who owns what, and what uses it, found by looking at every entry.

use std::collections::BTreeSet;

use tim_proto::{FileId, MessageKind};

use super::World;
use super::files::{add, naming, picture};
use super::model_state::{Model, SYSTEM};
use crate::{EntryFlags, File, FileQuota, FileUsage, Refused, RemoveFiles, Write, Written};

/// How many contents each user has to upload.
pub(crate) const CONTENTS: u8 = 1;

/// A file that was stored, whether or not it is still there.
pub(crate) struct ModelFile {
    pub(crate) owner: usize,
    pub(crate) file: File,
    /// When it was stored or claimed, 0 once its owner has sent it.
    claimed_ms: u64,
}

impl Model {
    fn is_used(&self, id: FileId) -> bool {
        let kept = self.logs.iter().flat_map(super::model_state::ModelLog::kept);
        kept.filter(|entry| entry.revoked_by.is_none())
            .any(|entry| entry.files.contains(&id))
    }

    fn sees(&self, user: usize, id: FileId) -> bool {
        let logs = self.logs.iter().enumerate();
        let rows = logs.filter_map(|(log, entries)| Some((self.row(log, user)?, entries)));
        rows.into_iter().any(|(row, log)| {
            log.kept().any(|entry| {
                entry.revoked_by.is_none() && entry.at.sequence > row.joined_at && entry.files.contains(&id)
            })
        })
    }

    fn may_send(&self, user: usize, id: FileId) -> bool {
        let found = self.files.iter().find(|found| found.file.id == id);
        found.is_some_and(|found| found.owner == user || self.sees(user, id))
    }
}

pub(crate) fn upload(world: &mut World, model: &mut Model, user: usize, content: u8) {
    let file = picture(model.users[user], content);
    let answer = world.write(add(&file, FileQuota::NONE));
    let known = model.files.iter_mut().find(|found| found.file.id == file.id);
    let (expected, is_new) = match known {
        Some(found) => {
            found.claimed_ms = world.now_ms;
            (found.file.clone(), false)
        }
        None => {
            let created_ms = world.now_ms;
            let file = File { created_ms, ..file };
            model.files.push(ModelFile {
                owner: user,
                file: file.clone(),
                claimed_ms: created_ms,
            });
            (file, true)
        }
    };
    let file = Box::new(expected);
    assert_eq!(answer, Ok(Written::File { file, is_new }));
}

pub(crate) fn send(
    world: &mut World,
    model: &mut Model,
    (log, user): (usize, usize),
    (owner, content): (usize, u8),
) {
    let sender = model.users[user];
    let id = picture(model.users[owner], content).id;
    let mut append = naming(world, model.keys[log], sender, &[id]);
    append.content = "x".into();
    let answer = world.write(Write::Append(append));
    if log >= SYSTEM || !model.is_party(log, user) {
        assert_eq!(answer, Err(Refused::NotParticipant(sender)));
    } else if !model.may_send(user, id) {
        assert_eq!(answer, Err(Refused::FileNotYours));
    } else {
        let at = model.push(log, sender, EntryFlags::NONE, MessageKind::IMAGE, world.now_ms);
        assert_eq!(answer, Ok(Written::Stored(at)));
        if let Some(entry) = model.logs[log].entries.last_mut() {
            entry.files = vec![id];
        }
        let own = model
            .files
            .iter_mut()
            .filter(|found| found.file.id == id && found.owner == user);
        own.for_each(|found| found.claimed_ms = 0);
    }
}

/// Where the newest message is that names a file: its log, its sender, and how far it is from the end of the log.
pub(crate) fn newest(model: &Model, (owner, content): (usize, u8)) -> Option<(usize, usize, u64)> {
    let id = picture(model.users[owner], content).id;
    let logs = model.logs.iter().enumerate();
    let entries = logs.flat_map(|(log, entries)| entries.kept().map(move |entry| (log, entry)));
    let named = entries.filter(|(_, entry)| entry.revoked_by.is_none() && entry.files.contains(&id));
    let (log, newest) = named.max_by_key(|(_, entry)| entry.at.change)?;
    let sender = model.users.iter().position(|user| *user == newest.sender)?;
    Some((log, sender, model.logs[log].head() - newest.at.sequence))
}

pub(crate) fn claim(world: &mut World, model: &mut Model, user: usize, (owner, content): (usize, u8)) {
    let file = picture(model.users[owner], content).id;
    let answer = world.write(Write::ClaimFile {
        owner: model.users[user],
        file,
    });
    let mut own = model
        .files
        .iter_mut()
        .filter(|found| found.file.id == file && found.owner == user);
    match own.next() {
        None => assert_eq!(answer, Err(Refused::NoSuchFile)),
        Some(found) => {
            found.claimed_ms = world.now_ms;
            let file = Box::new(found.file.clone());
            assert_eq!(answer, Ok(Written::File { file, is_new: false }));
        }
    }
}

pub(crate) fn remove(world: &mut World, model: &mut Model, keep_s: u64, most: u32) {
    let unsent_before_ms = world.now_ms.saturating_sub(keep_s * 1000);
    let mut removed = BTreeSet::new();
    loop {
        let step = RemoveFiles {
            unsent_before_ms,
            most,
        };
        let Ok(Written::FilesRemoved { files, more }) = world.write(Write::RemoveFiles(step)) else {
            panic!("not removed")
        };
        assert!(files.len() <= most as usize);
        removed.extend(files);
        if !more {
            break;
        }
    }
    let (gone, kept) = std::mem::take(&mut model.files)
        .into_iter()
        .partition(|found| found.claimed_ms < unsent_before_ms && !model.is_used(found.file.id));
    model.files = kept;
    let gone: Vec<ModelFile> = gone;
    assert_eq!(removed, gone.iter().map(|found| found.file.id).collect());
}

/// What every user has, and may send.
pub(crate) fn compare(world: &World, model: &Model) {
    for user in 0..3 {
        let name = model.users[user];
        let own = model.files.iter().filter(|found| found.owner == user);
        let expected = own.fold(FileUsage::default(), |sum, found| FileUsage {
            bytes: sum.bytes + found.file.bytes(),
            files: sum.files + 1,
        });
        assert_eq!(world.reader().file_usage(&name), Ok(expected), "of user {user}");
        for content in 0..CONTENTS {
            let id = picture(name, content).id;
            let expected = model.files.iter().find(|found| found.file.id == id);
            assert_eq!(
                world.reader().file(&id),
                Ok(expected.map(|found| found.file.clone())),
                "file {content} of user {user}"
            );
            for sender in 0..3 {
                assert_eq!(
                    world.reader().may_send_file(&model.users[sender], &id),
                    Ok(model.may_send(sender, id)),
                    "whether user {sender} may send file {content} of user {user}"
                );
            }
        }
    }
}

/// What every entry uses.
pub(crate) fn compare_uses(world: &World, model: &Model) {
    for (key, log) in model.keys.iter().zip(&model.logs) {
        for entry in &log.entries {
            let sequence = entry.at.sequence;
            let is_kept = sequence > log.purged && entry.revoked_by.is_none();
            let expected: &[FileId] = if is_kept { &entry.files } else { &[] };
            let found = world.reader().files_of(key, sequence).unwrap();
            assert_eq!(found, expected, "{key}: entry {sequence}");
        }
    }
}
