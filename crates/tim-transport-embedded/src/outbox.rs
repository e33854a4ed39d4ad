//! Messages that survive a reset: what is being sent is kept in storage until the hub has answered.

use core::future::Future;

use tim_session::proto::message::{PayloadBody, SendOptions};
use tim_session::proto::planted::{self, Fault};
use tim_session::proto::request::{Send, SendMessage, SendResponse};
use tim_session::proto::wire::{Encode, Writer, decode_body};
use tim_session::proto::{ErrorCode, Message, MessageId};

use crate::caller::{Attempts, Caller as _, stored};
use crate::{Client, Error, FramingChoice};

/// The application could not read or write its storage, or the storage is full; the application knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the storage failed or is full")]
pub struct StorageFailed;

impl From<StorageFailed> for Error {
    fn from(_: StorageFailed) -> Self {
        Self::Storage
    }
}

/// Storage for the messages that the hub has not answered yet, such as flash. A storage with room for a single record suits a
/// device that sends one message at a time.
///
/// # Requirements
///
/// - A record is there as a whole or not at all, also if the power fails while it is written or removed. Storages with a
///   checksum per record, such as `sequential-storage` and `ekv`, ensure this.
/// - When a future completes, the change is in the storage, not in a cache.
/// - A future may be dropped before it completes. The record is then there or not.
///
/// The crate's front page says how to use it, and `tim-kiosk` implements it on NOR flash.
pub trait OutboxStorage {
    /// Keeps a record under this id.
    ///
    /// # Errors
    /// [`StorageFailed`], also if there is no room. The records that are there stay.
    fn keep(&mut self, id: &MessageId, record: &[u8]) -> impl Future<Output = Result<(), StorageFailed>>;

    /// Removes the record with this id, if there is one.
    ///
    /// # Errors
    /// [`StorageFailed`]. The message is then sent again by [`Client::resend_kept`], which the hub recognises.
    fn forget(&mut self, id: &MessageId) -> impl Future<Output = Result<(), StorageFailed>>;

    /// Copies the record that has been kept for the longest time to the beginning of `record`. Returns its id and its length, or
    /// `None` if there is no record. A length that is rounded up, as to a word of flash, does no harm: the record knows its own.
    ///
    /// # Errors
    /// [`StorageFailed`], also if `record` is too short.
    fn oldest(
        &mut self,
        record: &mut [u8],
    ) -> impl Future<Output = Result<Option<(MessageId, usize)>, StorageFailed>>;
}

impl<F: FramingChoice> Client<'_, F> {
    /// [`Client::send_message_with`] for a message that must be sent even if the device is reset: it is kept in `storage` before
    /// it is sent, and forgotten once the hub has stored it or has refused it for good. `record` is a buffer; it needs the length
    /// of the message's frame.
    ///
    /// After an error that is not [final](Error::is_final), and if the future is dropped, the message is still kept, and
    /// [`Client::resend_kept`] sends it.
    ///
    /// # Errors
    /// [`Error::Storage`]: it could not be kept, and was not sent; so it is with [`Error::NotReady`] before the first login, when
    /// it is not known whose message it is; [`Error::TooLarge`] also if `record` is too short; else as
    /// [`Client::send_message`].
    pub async fn send_kept_message(
        &self,
        message: &mut Message<'_, impl PayloadBody>,
        options: SendOptions<'_>,
        storage: &mut impl OutboxStorage,
        record: &mut [u8],
    ) -> Result<SendResponse<'static>, Error> {
        self.check_own(message.id, message.envelope.from)?;
        let id = message.id;
        let request = SendMessage::new(&*message).with_options(options);
        storage.keep(&id, record_in(&request, record)?).await?;
        let sent = self.send_message_with(message, options).await;
        if is_done(&sent) {
            // What cannot be forgotten now is sent again by `resend_kept`, and the hub recognises it.
            let _ = storage.forget(&id).await;
        } else {
            // The id under which it is kept. A successor of it is found again.
            message.id = id;
        }
        sent
    }

    /// Sends the messages that [`Client::send_kept_message`] has kept and the hub has not answered, oldest first, under the ids
    /// that they had. Call it after each reset, when the client is ready, before new messages are sent.
    ///
    /// When a message has been forgotten, `on_sent` is told its id and outcome: a response, or an error that is
    /// [final](Error::is_final). [`SendResponse::duplicate`] tells that the hub had stored it before the reset. `record` is a buffer for one record.
    ///
    /// # Errors
    /// [`Error::NotReady`] before the first login; [`Error::Storage`]; an error that is not final. The messages that `on_sent` was
    /// not told of are still kept; call this again.
    ///
    /// [`Error::OtherAccount`]: the oldest message is one of another account: of another user, or of this one before the hub removed
    /// the account as unused or lost its data. It and those behind it are still kept. Log in as its user, or remove it:
    /// [`OutboxStorage::oldest`] returns its id, [`OutboxStorage::forget`] takes it.
    pub async fn resend_kept(
        &self,
        storage: &mut impl OutboxStorage,
        record: &mut [u8],
        mut on_sent: impl FnMut(&MessageId, Result<SendResponse<'static>, Error>),
    ) -> Result<(), Error> {
        while let Some((id, len)) = storage.oldest(record).await? {
            self.check_kept(id)?;
            let sent = self.send_record(record.get(..len).unwrap_or_default()).await;
            if !is_done(&sent) {
                return sent.map(|_| ());
            }
            storage.forget(&id).await?;
            on_sent(&id, sent);
        }
        Ok(())
    }

    /// Sends a message from its record. Its payload is passed on as it is.
    async fn send_record(&self, record: &[u8]) -> Result<SendResponse<'static>, Error> {
        let mut send = read_record(record)?;
        let mut attempts = Attempts::default();
        loop {
            let outcome = self.call(&send, stored).await;
            if let Some(sent) = attempts.end_of_kept(outcome, &mut send, self.ids().device) {
                return sent;
            }
        }
    }
}

/// Whether a message need not be sent again.
pub(crate) fn is_done<T>(sent: &Result<T, Error>) -> bool {
    sent.as_ref().map_or_else(
        |error| error.is_final() || planted::is(Fault::UnansweredForgotten),
        |_| true,
    )
}

/// A request as a record, at the beginning of `buffer`: its length in two bytes, and the request. A storage may return more than the
/// record, up to the next word of its flash.
pub(crate) fn record_in<'b>(request: &dyn Encode, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
    let max = buffer.len();
    let written = buffer.split_first_chunk_mut().and_then(|(prefix, room)| {
        let mut writer = Writer::new(room);
        request.encode(&mut writer);
        let len = writer.finish().ok()?;
        *prefix = u16::try_from(len).ok()?.to_le_bytes();
        Some(prefix.len() + len)
    });
    match written {
        Some(len) => Ok(buffer.get(..len).unwrap_or_default()),
        None => Err(Error::TooLarge {
            len: tim_session::proto::wire::encoded_len(request).saturating_add(2),
            max,
        }),
    }
}

/// The message of a record.
pub(crate) fn read_record(record: &[u8]) -> Result<Send<'_>, Error> {
    let found = record.split_first_chunk().and_then(|(prefix, rest)| {
        let body = rest.get(..usize::from(u16::from_le_bytes(*prefix)))?;
        decode_body(body).ok()
    });
    found.ok_or(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE))
}
