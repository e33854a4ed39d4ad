//! Uploads: checks what is announced, and hands pieces to the pool that writes them.

use std::sync::Arc;

use tim_files::{Announced, FileError};
use tim_proto::planted::{self, Fault};
use tim_proto::request::{BeginUpload, BeginUploadResponse, CancelUpload, EndUpload, Upload, UploadRefused};
use tim_proto::{ErrorCode, UserId};
use tim_store::{File, FileContent, Write, Written};

use super::super::{Handled, Reply};
use crate::client_context::ClientContext;
use crate::device::Responder;
use crate::files::{MAX_PIECES, Piece};
use crate::refusal::Refusal;
use crate::service::Services;

/// Begins an upload, or continues one. Content that the account has uploaded already is not uploaded again.
pub(in crate::handlers) fn begin<'a>(
    services: &Arc<Services>,
    client: &mut ClientContext,
    request: &BeginUpload<'a>,
) -> Handled<BeginUpload<'a>> {
    services.files.content()?;
    request.check(&services.options.limits).map_err(refused)?;
    let sha256 = request
        .sha256
        .try_into()
        .map_err(|_| refused(UploadRefused::Sha256))?;
    let user = client.user();
    let known = services.reads.store().file_with(&FileContent {
        owner: user,
        kind: request.kind,
        size: request.size,
        sha256,
    })?;
    let announced = Announced {
        owner: user.as_str().to_owned(),
        kind: request.kind.0,
        name: request.name.to_owned(),
        media_type: request.media_type.to_owned(),
        size: request.size,
        sha256,
        duration_ms: request.duration_ms,
    };
    let Some(file) = known else {
        if !planted::is(Fault::FileQuotaIgnored) {
            check_quota(services, user, &announced)?;
        }
        return Reply::now(&begun(services, &announced)?);
    };
    // Whether its content is there is for the file store to say, which may be slow.
    let responder = client.responder::<BeginUpload<'static>>();
    let known = Arc::clone(services);
    services.files.on_objects(user, move || {
        // A file of the account that has lost content is already part of the usage.
        let begun = match known.files.is_whole(&file) {
            Ok(true) => return claim(&known, responder, &file),
            Ok(false) => begun(&known, &announced),
            Err(refusal) => Err(refusal),
        };
        match begun {
            Ok(begun) => responder.respond(&begun),
            Err(refusal) => responder.refuse(refusal),
        }
    });
    Reply::later()
}

/// Begins the upload, or goes on with it.
fn begun(services: &Services, announced: &Announced) -> Result<BeginUploadResponse, Refusal> {
    let content = services.files.content()?;
    let begun = content.begin(announced, services.now_ms(), services.steady_ms())?;
    Ok(response(services, begun.upload, begun.received))
}

/// Keeps the file for the message that is about to name it. If it is removed at this moment, the client begins again.
fn claim(services: &Services, responder: Responder<BeginUpload<'static>>, file: &File) {
    let write = Write::ClaimFile {
        owner: file.owner,
        file: file.id,
    };
    let files = Arc::clone(&services.files);
    let [a, b, c, d, e, f, g, h, ..] = file.id.to_bytes();
    let upload = u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1);
    let response = response(services, upload, file.size);
    let answered = responder.clone();
    let submitted = services.writer.submit(write, move |answer| match answer {
        Ok(Written::File { file, .. }) => {
            files.finished(upload, file.into());
            answered.respond(&response);
        }
        Ok(_) => answered.refuse(Refusal::wrong_answer()),
        Err(error) => {
            let refusal = Refusal::from(error);
            answered.refuse(match refusal.code {
                // It was there a moment ago.
                ErrorCode::FILE_NOT_FOUND => Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""),
                _ => refusal,
            });
        }
    });
    if let Err(error) = submitted {
        responder.refuse(error.into());
    }
}

/// Refuses a file for which the quota has no room. The store decides again when the upload ends.
fn check_quota(services: &Services, user: UserId, announced: &Announced) -> Result<(), Refusal> {
    let (usage, quota) = (
        services.reads.store().file_usage(&user)?,
        services.settings.file_quota(),
    );
    let files = &services.files;
    let pending = files
        .content()?
        .pending_bytes(announced, |upload| files.is_finished(user, upload));
    let bytes = usage.bytes.saturating_add(pending).saturating_add(announced.size);
    if bytes > quota.bytes {
        let text = format!(
            "the files of this account have {} bytes and {pending} more are being uploaded; the quota is {}",
            usage.bytes, quota.bytes
        );
        return Err(Refusal::new(ErrorCode::FILE_QUOTA_REACHED, text));
    }
    if usage.files >= quota.files {
        let text = format!("this account has {} files, which is its quota", usage.files);
        return Err(Refusal::new(ErrorCode::FILE_QUOTA_REACHED, text));
    }
    Ok(())
}

fn response(services: &Services, upload: u64, offset: u64) -> BeginUploadResponse {
    let limits = &services.options.limits;
    let window = usize::from(limits.upload_window()).clamp(1, MAX_PIECES);
    BeginUploadResponse::new(
        upload,
        offset,
        piece_len(services),
        u8::try_from(window).unwrap_or(1),
    )
}

/// Pieces are whole blocks of the disk. This also leaves room in a client's frame.
const BLOCK: u32 = 4096;

/// The maximum length of a piece.
fn piece_len(services: &Services) -> u32 {
    let overhead = u32::try_from(Upload::OVERHEAD).unwrap_or(u32::MAX);
    let frame = services.options.connection.max_frame.saturating_sub(overhead);
    let most = services.options.limits.piece_bytes().min(frame);
    match most / BLOCK {
        0 => most.max(1),
        blocks => blocks * BLOCK,
    }
}

/// Takes a piece of an upload, which is written and answered on the pool.
pub(in crate::handlers) fn piece<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Upload<'a>,
) -> Handled<Upload<'a>> {
    let user = client.user();
    if !services
        .files
        .content()?
        .is_upload_of(user.as_str(), request.upload)
    {
        return Err(FileError::UnknownUpload.into());
    }
    let most = piece_len(services);
    if request.bytes.len() > most as usize {
        let text = format!(
            "the piece has {} bytes; the maximum is {most}",
            request.bytes.len()
        );
        return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    let piece = Piece {
        offset: request.offset,
        bytes: request.bytes.into(),
        responder: client.responder(),
    };
    services.files.add_piece(user, request.upload, piece)?;
    Reply::later()
}

/// Ends an upload, behind its pieces.
pub(in crate::handlers) fn end(
    services: &Services,
    client: &mut ClientContext,
    request: &EndUpload,
) -> Handled<EndUpload> {
    services.files.content()?;
    services
        .files
        .end(client.user(), request.upload, client.responder())?;
    Reply::later()
}

/// Cancels an upload, behind its pieces.
pub(in crate::handlers) fn cancel(
    services: &Services,
    client: &mut ClientContext,
    request: &CancelUpload,
) -> Handled<CancelUpload> {
    services.files.content()?;
    services
        .files
        .cancel(client.user(), request.upload, client.responder())?;
    Reply::later()
}

fn refused(error: UploadRefused) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}
