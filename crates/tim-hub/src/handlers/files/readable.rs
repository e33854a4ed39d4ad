//! Files for readers outside of the protocol, such as HTTP.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tim_files::{Part, default_thumbnail};
use tim_proto::request::FileUrl;
use tim_proto::{ErrorCode, MessageKind, Payload, UserId};
use tokio::sync::oneshot;

use super::download::{Found, Wanted, find_with};
use crate::refusal::Refusal;
use crate::service::Services;

/// A file that a user could read at the moment when it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readable {
    found: Found,
    kind: MessageKind,
    /// The name that its sender gave; may be empty.
    pub(crate) name: String,
}

impl Readable {
    /// Looks up the file of a message, if the user may read that now.
    pub(crate) async fn find(
        services: &Arc<Services>,
        user: UserId,
        request: &FileUrl,
    ) -> Result<Self, Refusal> {
        let (of, wanted) = (Arc::clone(services), Wanted::from(request));
        let found = services.reads.run(user, move || {
            let about = |payload: &Payload<'_>| {
                let name = match payload {
                    Payload::File(file) => file.name,
                    _ => "",
                };
                (payload.kind(), name.to_owned())
            };
            let (found, (kind, name)) = find_with(&of, user, &wanted, about)?;
            Ok(Self { found, kind, name })
        });
        found.await.unwrap_or_else(|_| Err(interrupted()))
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        match &self.found {
            Found::File { size, .. } => *size,
            Found::DefaultThumbnail => default_thumbnail().len() as u64,
        }
    }

    /// An entity tag: other content has another one.
    pub(crate) fn tag(&self) -> String {
        match &self.found {
            Found::File { file, part, .. } => {
                let hash: String = file
                    .sha256
                    .iter()
                    .take(16)
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                match part {
                    Part::Original => hash,
                    Part::Large => format!("{hash}-large"),
                    Part::Thumbnail => format!("{hash}-thumbnail"),
                }
            }
            Found::DefaultThumbnail => "default-thumbnail".to_owned(),
        }
    }

    /// Its media type: of a picture by its content, otherwise as announced by its owner.
    pub(crate) async fn media_type(&self, services: &Arc<Services>, user: UserId) -> Result<String, Refusal> {
        match &self.found {
            Found::File {
                part: Part::Original,
                file,
                ..
            } => Ok(file.media_type.clone()),
            _ => {
                // Renditions have one of two formats.
                let first = self.read(services, user, 0..4.min(self.size())).await?;
                Ok(match first.starts_with(b"\x89PNG") {
                    true => "image/png",
                    false => "image/jpeg",
                }
                .to_owned())
            }
        }
    }

    /// Reads a range, without checking again whether the user may.
    pub(crate) async fn read(
        &self,
        services: &Arc<Services>,
        user: UserId,
        range: Range<u64>,
    ) -> Result<Bytes, Refusal> {
        match &self.found {
            Found::File { file, part, .. } => {
                let (tell, told) = oneshot::channel();
                services.files.read(user, (file.id, *part), range, move |read| {
                    // The receiver may be gone.
                    let _ = tell.send(read);
                });
                told.await.unwrap_or_else(|_| Err(interrupted()))
            }
            Found::DefaultThumbnail => {
                let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
                let range = start.ok().zip(end.ok());
                let bytes = range.and_then(|(start, end)| default_thumbnail().get(start..end));
                Ok(Bytes::from_static(bytes.unwrap_or_default()))
            }
        }
    }

    /// The kind of message that it belongs to.
    pub(crate) const fn kind(&self) -> MessageKind {
        self.kind
    }
}

fn interrupted() -> Refusal {
    Refusal::new(ErrorCode::SERVER_SHUTTING_DOWN, "")
}
