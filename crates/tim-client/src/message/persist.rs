//! Messages as bytes that an application persists.

use tim_proto::message::{self, Header, to_vec};
use tim_proto::wire::{DecodeError, Encode, Writer, crc32, decode_with};
use tim_proto::{ErrorCode, UserId};

use crate::client::Client;
use crate::files::{Attachment, Files};
use crate::message::Persisted;
use crate::{ImError, Message, OfflinePush, SendOptions, Status};

/// The bytes begin with a name and the version of the format.
const NAME: [u8; 3] = *b"tim";
/// The version of messages without files, and that of messages whose files are still to be uploaded.
const VERSIONS: [u8; 2] = [1, 2];
/// The length of the checksum at the end.
const SUM: usize = 4;

mod bits {
    pub(super) const CREATED_HERE: u8 = 1 << 0;
    pub(super) const RESEND: u8 = 1 << 1;
}

/// The order of the fields in the bytes.
struct Record<'a> {
    owner: UserId,
    status: u8,
    bits: u8,
    options: message::SendOptions<'a>,
    /// The files that are still to be uploaded; in version 2.
    files: Option<Files>,
    header: Header<'a>,
}

impl Encode for Record<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.owner.encode(writer);
        self.status.encode(writer);
        self.bits.encode(writer);
        self.options.encode(writer);
        if let Some(files) = &self.files {
            files.encode(writer);
        }
        self.header.encode(writer);
    }
}

impl<'a> Record<'a> {
    fn decode(bytes: &'a [u8], has_files: bool) -> Result<Self, DecodeError> {
        decode_with(bytes, |reader| Self {
            owner: reader.read(),
            status: reader.read(),
            bits: reader.read(),
            options: reader.read(),
            files: has_files.then(|| Files::read(reader)),
            header: reader.read(),
        })
    }
}

impl Message {
    /// The instance as bytes for the application to persist, with id, content, status and send options.
    /// [`Client::restore_message`] restores it, also after a restart.
    ///
    /// Persist a message before it is sent, with the options that it will be sent with ([`Message::with_options`]), and again when
    /// its status has changed or it was revoked. Of a message that carries a file, the bytes have the path, and how much of the file the
    /// hub has is its own knowledge: sending goes on there. A file that was not at a path must be given again, with
    /// [`Client::attach_source`]. Bytes without the options restore a message that is resent as an ordinary one. The
    /// format is private to this crate; later versions read what earlier ones wrote. A checksum detects damage, not forgery.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // In this order: if the status changes in between, the older one is kept, and resending is harmless.
        let persisted = self.persisted();
        let record = Record {
            owner: self.owner(),
            status: match persisted.status {
                Status::UnSend => 0,
                Status::Success => 1,
                Status::Fail => 2,
            },
            bits: if persisted.created_here {
                bits::CREATED_HERE
            } else {
                0
            } | if persisted.resend { bits::RESEND } else { 0 },
            options: persisted.options.as_borrowed(),
            files: self
                .attachment()
                .filter(|_| persisted.status != Status::Success)
                .map(Attachment::files),
            header: self.header(),
        };
        let mut bytes = NAME.to_vec();
        bytes.push(VERSIONS[usize::from(record.files.is_some())]);
        bytes.append(&mut to_vec(&record));
        let sum = crc32(&[&bytes]);
        bytes.extend(sum.to_le_bytes());
        bytes
    }
}

impl Client {
    /// Restores an instance from [`Message::to_bytes`], of this or an earlier run of the application. It has the same id, so
    /// that sending it again leaves one entry in the conversation, and its status, so that it can be shown, resent and
    /// revoked. If the application still holds the instance, that one is returned.
    ///
    /// A message that was being sent when it was persisted is restored as [`Status::Fail`]: the outcome is unknown, and
    /// [`Client::resend_message`] finds out. That call also accepts a restored message that is [`Status::UnSend`]. The hub
    /// remembers an id for its retention time and a day longer; a message that is resent later than that is a new one.
    ///
    /// # Errors
    /// - [`ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE`] for a message that a client of another user persisted. Before the
    ///   first login only the user id is compared; sending compares the account number too.
    /// - [`ErrorCode::INVALID_OPERATION`] for bytes that are damaged, truncated, or not from [`Message::to_bytes`].
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, database: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::{SendOptions, Status, UserId};
    ///
    /// // Keep the message before it is sent.
    /// let options = SendOptions::online_only();
    /// let message = client.create_text_message(UserId::new("bob")?, "once")?.with_options(options.clone())?;
    /// database.push(message.to_bytes());
    /// client.send_message(&message, options).await?;
    /// *database.last_mut().unwrap() = message.to_bytes();
    ///
    /// // After a restart: send what was not answered.
    /// for kept in database {
    ///     let message = client.restore_message(kept)?;
    ///     if message.status() != Status::Success {
    ///         client.resend_message(&message).await?;
    ///         *kept = message.to_bytes();
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn restore_message(&self, bytes: &[u8]) -> Result<Message, ImError> {
        let record = open(bytes)?;
        let me = &self.shared.user;
        let not_mine = |text: String| ImError::new(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE, text);
        if record.owner != *me {
            let owner = record.owner;
            return Err(not_mine(format!(
                "this message was kept by {owner}, and this client is {me}'s"
            )));
        }
        let is_own = record.header.sender() == me;
        let (account, number) = (self.shared.account(), record.header.content.id.sender);
        if is_own && account != 0 && number != account {
            return Err(not_mine(format!(
                "this message was kept under account {number}, and {me} has account {account}"
            )));
        }
        let created_here = record.bits & bits::CREATED_HERE != 0;
        let status = match record.status {
            0 => Status::UnSend,
            1 => Status::Success,
            2 => Status::Fail,
            _ => return Err(damaged("its status is unknown")),
        };
        if created_here && !is_own {
            return Err(damaged("it was created here and has another sender"));
        }
        let persisted = Persisted {
            created_here,
            status,
            resend: record.bits & bits::RESEND != 0,
            options: owned(&record.options),
            attachment: record.files.map(Attachment::new),
        };
        Ok(self.shared.messages.restore(&record.header, persisted))
    }
}

/// The record in the bytes.
fn open(bytes: &[u8]) -> Result<Record<'_>, ImError> {
    let Some((rest, sum)) = bytes.split_last_chunk::<SUM>() else {
        return Err(damaged("they are too short"));
    };
    let Some((magic, body)) = rest.split_first_chunk::<4>() else {
        return Err(damaged("they are too short"));
    };
    let Some(version) = magic.strip_prefix(&NAME) else {
        return Err(damaged("they begin otherwise"));
    };
    let has_files = version == &VERSIONS[1..];
    if !has_files && version != &VERSIONS[..1] {
        return Err(damaged("a later version of this library wrote them"));
    }
    if crc32(&[rest]) != u32::from_le_bytes(*sum) {
        return Err(damaged("the check sum is wrong"));
    }
    Record::decode(body, has_files).map_err(|error| damaged(&error.to_string()))
}

fn damaged(why: &str) -> ImError {
    let text = format!("these bytes are no kept message: {why}");
    ImError::new(ErrorCode::INVALID_OPERATION, text)
}

fn owned(options: &message::SendOptions<'_>) -> SendOptions {
    let text = |text: Option<&str>| text.map(str::to_owned);
    SendOptions {
        online_user_only: options.online_user_only,
        offline_push: options.offline_push.map(|push| OfflinePush {
            disable_push: push.disable_push,
            title: text(push.title),
            description: text(push.description),
            extension: text(push.extension),
            ignore_ios_badge: push.ignore_ios_badge,
            android_oppo_channel_id: text(push.android_oppo_channel_id),
        }),
        // Belongs to the call, not to the message.
        retry_for: std::time::Duration::ZERO,
    }
}
