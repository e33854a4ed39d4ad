//! The progress of an upload grows, and is the whole before the message is sent. Messages without files do not notice that there are
//! files.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::{ErrorCode, MessageKind};

use super::super::history::{Failed, Mark, Returned, What};
use super::super::op::{Call, DeviceKind, DeviceRef};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Uploads;

const NAME: &str = "uploads";

impl Invariant for Uploads {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Files
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        Ok(progress(model)? + others(model)?)
    }
}

/// Progress grows from call to call, unless the upload was cancelled or the application was started again.
fn progress(model: &Model<'_>) -> Result<u64, Violation> {
    let mut last: BTreeMap<(DeviceRef, Mark), u64> = BTreeMap::new();
    let mut whole: BTreeSet<(DeviceRef, Mark)> = BTreeSet::new();
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let Some(device) = observation.device else {
            continue;
        };
        match &observation.what {
            What::Uploaded {
                mark, done, total, ..
            } => {
                let before = last.get(&(device, *mark)).copied().unwrap_or(0);
                checked += 1;
                // What is told again when the last piece had come before is no step back.
                let grows = done.is_sorted() && done.first().is_none_or(|first| *first >= before);
                let most = done.last().copied().unwrap_or(before);
                if !grows || most > *total {
                    let words = format!("the progress of {mark} was {before}, then {done:?} of {total}");
                    return Err(Violation::new(NAME, words).at([at]));
                }
                last.insert((device, *mark), most);
                whole.extend((most == *total).then_some((device, *mark)));
            }
            What::Called {
                op: Call::CancelUpload(_) | Call::ResendKept(_),
                ..
            }
            | What::Resolved {
                result:
                    Err(Failed {
                        code: ErrorCode::UPLOAD_CANCELLED,
                        ..
                    }),
                ..
            }
            | What::Started(_) => last.retain(|(other, _), _| *other != device),
            What::Resolved {
                call,
                result: Ok(Returned::Accepted { mark, .. }),
            } => {
                let uploads = uploads(model, *call, *mark) && model.kind(device) == Some(DeviceKind::Sdk);
                checked += u64::from(uploads);
                if uploads && !whole.contains(&(device, *mark)) {
                    let words = format!("{mark} was sent before its upload was told to be complete");
                    return Err(Violation::new(NAME, words).at([at]));
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

/// Whether a call has uploaded the file of a message that was made for it.
fn uploads(model: &Model<'_>, call: u32, mark: Mark) -> bool {
    let Some(message) = model.messages.get(&mark) else {
        return false;
    };
    let is_new = model
        .calls
        .get(&call)
        .is_some_and(|call| matches!(call.op, Call::Send { .. }));
    is_new && message.sent.file.is_some_and(|file| file.origin == mark)
}

/// The codes that are about files.
const OF_FILES: std::ops::RangeInclusive<u32> = 200_030..=200_037;

/// Who sends a message without a file is not refused because of files.
fn others(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for call in model.calls.values() {
        let (Some(message), Some((at, result))) = (call.message, call.ended) else {
            continue;
        };
        let has_file = message.file.is_some()
            || matches!(
                message.said.kind,
                MessageKind::IMAGE | MessageKind::AUDIO | MessageKind::VIDEO | MessageKind::FILE
            );
        if has_file {
            continue;
        }
        checked += 1;
        if let Err(failed) = result
            && OF_FILES.contains(&failed.code.0)
        {
            let words = format!(
                "a message of {} without a file was refused: {failed}",
                call.device
            );
            return Err(Violation::new(NAME, words).at([call.begun, at]));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::{Started, StartsFrom};
    use crate::simulator::op::Target;

    fn told(run: &mut MadeUp, mark: Mark, done: &[u64]) {
        let call = mark.0;
        let uploaded = What::Uploaded {
            call,
            mark,
            done: done.to_vec(),
            total: 100,
        };
        run.push(Some(device(0)), uploaded);
    }

    #[test]
    fn progress_that_grows_to_the_whole_and_progress_that_does_not() {
        for (done, words) in [
            (&[10, 50, 100][..], ""),
            (&[100], ""),
            (&[10, 50], "before its upload"),
            (&[], "before its upload"),
            (&[50, 10, 100], "the progress of"),
            (&[101], "the progress of"),
        ] {
            let mut run = MadeUp::new();
            let mark = run.send_file(0, Target::User(1));
            told(&mut run, mark, done);
            run.accept(mark, 1);
            match words {
                "" => assert!(passes(&Uploads, &run) >= 2),
                words => violates(&Uploads, &run, words),
            }
        }
    }

    #[test]
    fn progress_goes_back_only_when_the_upload_begins_anew() {
        let mut run = MadeUp::new();
        let mark = run.send_file(0, Target::User(1));
        told(&mut run, mark, &[50]);
        run.fail(mark.0, 200_036, false);
        let anew: [fn(&mut MadeUp); 4] = [
            |run| {
                run.call(0, Call::CancelUpload(0));
            },
            |run| {
                run.call(0, Call::ResendKept(0));
            },
            |run| {
                let call = run.call(0, Call::Resend(0));
                run.fail(call, ErrorCode::UPLOAD_CANCELLED.0, false);
            },
            |run| {
                let started = Started {
                    life: 1,
                    from: StartsFrom::Now,
                    twin: false,
                };
                run.push(Some(device(0)), What::Started(started));
            },
        ];
        for begin in anew {
            let mut run = run.clone();
            begin(&mut run);
            told(&mut run, mark, &[40]);
            passes(&Uploads, &run);
        }
        run.call(1, Call::CancelUpload(0));
        told(&mut run, mark, &[40]);
        violates(&Uploads, &run, "the progress of");
    }

    #[test]
    fn a_message_without_a_file_is_refused_because_of_files() {
        for (code, is_fine) in [
            (200_029, true),
            (200_030, false),
            (200_037, false),
            (200_038, true),
        ] {
            let mut run = MadeUp::new();
            let text = run.send(0, Target::User(1));
            run.fail(text.0, code, false);
            match is_fine {
                true => assert_eq!(passes(&Uploads, &run), 1),
                false => violates(&Uploads, &run, "without a file was refused"),
            }
        }
    }
}
