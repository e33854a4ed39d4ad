//! Which store has the files of a directory: a hub must not lose them because it is started with another one.
//!
//! A store of objects has an id, in the object `tim-files` beside the content; the directory of the uploads remembers it. Content that
//! is copied to another store, that object with it, is still the content of the directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::content::{Content, sync_directory};
use crate::error::{FileError, NO_BUCKET};

/// The object that has the id of the store.
const MARK: &str = "tim-files";
/// The file that remembers it.
pub(crate) const REMEMBERED: &str = "store-id";
/// The file that remembers the id of a store that is being taken into use.
const TAKING: &str = "store-id.new";

/// Checks that a store of objects can be used, and that it has the files of this directory, or none yet. `fresh` is the id of a new one.
pub(crate) fn settle_remote(
    directory: &Path,
    content: &Content,
    store: &str,
    fresh: &str,
) -> Result<(), FileError> {
    let unusable = |error: FileError| FileError::Store {
        store: store.to_owned(),
        reason: explained(&error),
    };
    let other = |reason: String| FileError::Store {
        store: store.to_owned(),
        reason,
    };
    let mark = content.note(MARK).map_err(unusable)?.map(|text| id_in(&text));
    content.try_out().map_err(unusable)?;
    let at = directory.display();
    match (remembered(directory, REMEMBERED)?, mark) {
        (Some(ours), Some(theirs)) if ours == theirs => Ok(()),
        (Some(ours), theirs) => Err(other(format!(
            "the files of {at} are in the store with the id {ours}, and this one has {}; use that store, or copy all of its objects \
             to this one, {MARK:?} too; to give up its files, remove {at}/{REMEMBERED}",
            theirs.map_or_else(|| "none".to_owned(), |theirs| format!("the id {theirs}"))
        ))),
        (None, Some(theirs)) if remembered(directory, TAKING)?.as_ref() == Some(&theirs) => {
            Ok(take(directory)?)
        }
        (None, Some(theirs)) => Err(other(format!(
            "it has the files of another hub, which this one would remove; use another bucket or prefix; if they are the files of \
             {at}, for example after a restore, write {theirs} to {at}/{REMEMBERED}"
        ))),
        (None, None) if has_files(&directory.join("content")) => Err(other(format!(
            "the files of {at} are in {at}/content; copy all in it to the store (aws s3 sync {at}/content {store}), then rename \
             {at}/content"
        ))),
        (None, None) => {
            fs::write(directory.join(TAKING), fresh)?;
            content.set_note(MARK, &format!("{fresh}\n")).map_err(unusable)?;
            Ok(take(directory)?)
        }
    }
}

/// Checks that the files of this directory are not in a store of objects, unless they were copied from there.
pub(crate) fn settle_local(directory: &Path) -> Result<(), FileError> {
    let Some(ours) = remembered(directory, REMEMBERED)? else {
        return Ok(());
    };
    let mark = directory.join("content").join(MARK);
    if read(&mark)?.is_some_and(|text| id_in(&text) == ours) {
        fs::remove_file(directory.join(REMEMBERED))?;
        return Ok(fs::remove_file(mark)?);
    }
    let at = directory.display();
    Err(FileError::Store {
        store: format!("{at}/content"),
        reason: format!(
            "the files are in the store of objects with the id {ours}; use that one, or copy all of its objects to {at}/content, \
             {MARK:?} too; to give up its files, remove {at}/{REMEMBERED}"
        ),
    })
}

/// The file that a directory has whose content is in a store of objects.
pub(crate) fn has_store(directory: &Path) -> PathBuf {
    directory.join(REMEMBERED)
}

/// The store is taken into use.
fn take(directory: &Path) -> io::Result<()> {
    fs::rename(directory.join(TAKING), directory.join(REMEMBERED))?;
    sync_directory(directory)
}

fn remembered(directory: &Path, name: &str) -> Result<Option<String>, FileError> {
    Ok(read(&directory.join(name))?.map(|text| id_in(&text)))
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An id, as it is shown.
fn id_in(text: &str) -> String {
    let id = text.trim().chars().take(64);
    id.map(|c| if c.is_ascii_alphanumeric() { c } else { '?' })
        .collect()
}

/// Whether there is a file in one of the directories in it.
fn has_files(content: &Path) -> bool {
    let Ok(folders) = fs::read_dir(content) else {
        return false;
    };
    let is_full = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    folders.flatten().any(|folder| is_full(&folder.path()))
}

/// What the operator can do about an error at the start.
fn explained(error: &FileError) -> String {
    let text = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let hint = if has(&[NO_BUCKET]) {
        "there is no such bucket; create it, or correct its name, the region or the endpoint"
    } else if has(&["RequestTimeTooSkewed", "RequestExpired"]) {
        "the clock of this machine is wrong; set it"
    } else if has(&[
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthFailure",
    ]) {
        "the key is not accepted; correct the access key and its secret, or the file of credentials"
    } else if has(&[
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "incorrectly configured region",
    ]) {
        "the bucket is in another region; correct the region or the endpoint"
    } else if has(&["403", "AccessDenied"]) {
        "the key is not allowed to use the bucket; it needs s3:ListBucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and \
         s3:AbortMultipartUpload for its objects"
    } else if has(&["169.254.169.254", "metadata"]) {
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file of credentials"
    } else {
        "see that the endpoint is right, that the store is running and that this machine reaches it"
    };
    format!("{hint} ({text})")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use object_store::memory::InMemory;
    use tempfile::TempDir;

    use super::*;
    use crate::{FileStore, FileStoreOptions, Remote};

    static NOW_MS: AtomicU64 = AtomicU64::new(0);

    fn open(directory: &TempDir, store: Option<&Arc<InMemory>>) -> Result<(), String> {
        // Each directory has a secret of its own, as each hub has.
        let mut secret = [1; 32];
        let name = directory.path().as_os_str().as_encoded_bytes();
        secret
            .iter_mut()
            .zip(name.iter().rev())
            .for_each(|(to, from)| *to = *from);
        let mut options = FileStoreOptions::new(secret);
        options.content = store.map(|store| Remote::new("memory", Arc::clone(store) as _));
        // The ids of two stores differ as the times do at which they were taken into use.
        let now_ms = NOW_MS.fetch_add(1, Ordering::Relaxed);
        let opened = FileStore::open(directory.path(), options, now_ms, 0);
        opened.map(drop).map_err(|error| error.to_string())
    }

    fn directory() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_directory_keeps_its_store_and_a_store_its_directory() {
        let (ours, other) = (directory(), directory());
        let [store, another] = [(); 2].map(|()| Arc::new(InMemory::new()));
        for _ in 0..2 {
            open(&ours, Some(&store)).unwrap();
        }
        let refused = |directory, store| open(directory, store).unwrap_err();
        assert!(refused(&ours, Some(&another)).contains("this one has none"));
        assert!(refused(&ours, None).contains("in the store of objects"));
        assert!(refused(&other, Some(&store)).contains("of another hub"));
        open(&other, Some(&another)).unwrap();
        assert!(refused(&ours, Some(&another)).contains("this one has the id"));
        // What the errors say helps.
        let id = fs::read_to_string(ours.path().join(REMEMBERED)).unwrap();
        let restored = directory();
        fs::write(restored.path().join(REMEMBERED), format!("{id}\n")).unwrap();
        open(&restored, Some(&store)).unwrap();
        fs::remove_file(ours.path().join(REMEMBERED)).unwrap();
        open(&ours, None).unwrap();
    }

    #[test]
    fn a_store_that_was_being_taken_when_the_process_ended_is_taken() {
        let (ours, store) = (directory(), Arc::new(InMemory::new()));
        open(&ours, Some(&store)).unwrap();
        let path = |name| ours.path().join(name);
        fs::rename(path(REMEMBERED), path(TAKING)).unwrap();
        open(&ours, Some(&store)).unwrap();
        assert!(path(REMEMBERED).exists());
    }

    #[test]
    fn content_in_the_directory_is_not_forgotten() {
        let (ours, store) = (directory(), Arc::new(InMemory::new()));
        open(&ours, None).unwrap();
        fs::create_dir_all(ours.path().join("content/ab")).unwrap();
        fs::write(ours.path().join("content/ab/x"), b"x").unwrap();
        assert!(open(&ours, Some(&store)).unwrap_err().contains("aws s3 sync"));
        fs::rename(ours.path().join("content"), ours.path().join("moved")).unwrap();
        open(&ours, Some(&store)).unwrap();
    }
}
