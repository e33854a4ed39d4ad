//! What somebody downloads of the file of a message is what its sender has uploaded, byte for byte.

use super::super::files::{content_of, hash_of};
use super::super::history::{Downloaded, Returned};
use super::{Invariant, Model, Violation};
use crate::simulator::op::{FileKind, Profile};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct FileContent;

const NAME: &str = "file-content";

impl Invariant for FileContent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Files
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        for call in model.calls.values() {
            let Some((at, Returned::Downloaded(downloaded))) = call.returned() else {
                continue;
            };
            checked += 1;
            if let Some(words) = differs(model, downloaded) {
                let words = format!("{} has downloaded {words}", call.device);
                return Err(Violation::new(NAME, words).at([call.begun, at]));
            }
        }
        for view in &model.snapshot.fresh {
            for ((log, sequence), read) in &view.files {
                checked += 1;
                let words = match read {
                    Ok(downloaded) => differs(model, downloaded),
                    Err(failed) => Some(format!("nothing of {log}/{sequence}: {failed}")),
                };
                if let Some(words) = words {
                    let words = format!("a new device of {} has downloaded {words}", view.user);
                    return Err(Violation::new(NAME, words));
                }
            }
        }
        Ok(checked)
    }
}

/// The thumbnail of a video: the hub has one for all that have none.
const THUMBNAIL: u8 = 3;

/// What is wrong with what was downloaded, in words.
fn differs(model: &Model<'_>, downloaded: &Downloaded) -> Option<String> {
    let Downloaded {
        log,
        sequence,
        mark,
        part,
        offset,
        len,
        hash,
    } = *downloaded;
    let place = format!("part {part} of {log}/{sequence}");
    let sent = mark
        .and_then(|mark| model.messages.get(&mark))
        .map(|message| message.sent);
    let Some(file) = sent.and_then(|sent| sent.file) else {
        return Some(format!("{place}, which carries no file"));
    };
    if part == THUMBNAIL && file.body.kind == FileKind::Video {
        return (len == 0 && offset == 0).then(|| format!("nothing of {place}"));
    }
    let content = content_of(file);
    let expected = content
        .get(usize::try_from(offset).unwrap_or(usize::MAX)..)
        .unwrap_or_default();
    let is_right = (expected.len() as u64, hash_of(expected)) == (len, hash);
    (!is_right).then(|| {
        let size = expected.len();
        format!("{len} bytes of {place} from {offset} on, which are not the {size} that were uploaded")
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::op::Target;

    #[test]
    fn what_was_uploaded_or_something_else() {
        let (mut run, mark) = MadeUp::with_file();
        let downloaded = run.downloaded(mark, 0);
        run.download(1, downloaded);
        run.download(1, run.downloaded(mark, 7));
        assert_eq!(passes(&FileContent, &run), 2);
        for wrong in [
            Downloaded {
                hash: 1,
                ..downloaded
            },
            Downloaded { len: 3, ..downloaded },
            Downloaded {
                offset: 1,
                ..downloaded
            },
        ] {
            let mut run = run.clone();
            run.download(1, wrong);
            violates(&FileContent, &run, "which are not the");
        }
    }

    #[test]
    fn what_carries_no_file() {
        let mut run = MadeUp::new();
        let text = run.send(0, Target::User(1));
        run.accept(text, 1);
        run.download(1, run.downloaded(text, 0));
        violates(&FileContent, &run, "which carries no file");
    }

    #[test]
    fn the_thumbnail_of_a_video_is_something_whatever_it_is() {
        let mut run = MadeUp::new();
        let mark = run.send_file_of(FileKind::Video, 0, Target::User(1));
        run.accept(mark, 1);
        let thumbnail = Downloaded {
            part: THUMBNAIL,
            hash: 1,
            ..run.downloaded(mark, 0)
        };
        let mut nothing = run.clone();
        run.download(1, thumbnail);
        assert_eq!(passes(&FileContent, &run), 1);
        nothing.download(1, Downloaded { len: 0, ..thumbnail });
        violates(&FileContent, &nothing, "nothing of");
        // The video itself is compared.
        run.download(1, Downloaded { part: 0, ..thumbnail });
        violates(&FileContent, &run, "which are not the");
    }

    #[test]
    fn a_new_device_gets_nothing_or_something_else() {
        let (mut run, mark) = MadeUp::with_file();
        run.lists(1, Vec::new(), 0);
        let read = run.downloaded(mark, 0);
        let place = (read.log, read.sequence);
        run.snapshot.fresh[0].files.insert(place, Ok(read));
        assert_eq!(passes(&FileContent, &run), 1);
        let other = Downloaded { hash: 1, ..read };
        run.snapshot.fresh[0].files.insert(place, Ok(other));
        violates(&FileContent, &run, "which are not the");
        let failed = crate::simulator::history::Failed {
            code: tim_session::proto::ErrorCode::FILE_NOT_FOUND,
            unknown: false,
            text: String::new(),
        };
        run.snapshot.fresh[0].files.insert(place, Err(failed));
        violates(&FileContent, &run, "nothing of");
    }
}
