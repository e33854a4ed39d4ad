//! What the interface of an application's server has in common with the requests of devices.

use tim_proto::FileId;
use tim_proto::message::Content;

use super::files::{check_named, named};
use super::send::check_content;
use crate::refusal::Refusal;
use crate::service::Services;

/// Checks a message that an application's server has a user send, as one from a device is checked. Returns the files of this hub that
/// it names. Reads the store if there are any.
pub(crate) fn check_message(services: &Services, content: &Content<'_>) -> Result<Vec<FileId>, Refusal> {
    let payload = check_content(services, content, content.payload.len())?;
    let files: Vec<_> = named(&payload).into_iter().flatten().collect();
    files.iter().try_for_each(|file| check_named(services, file))?;
    Ok(files.into_iter().map(|named| named.file).collect())
}
