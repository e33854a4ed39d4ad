//! `importmsg`: a message of another system.
//!
//! It is stored when it is imported: a log is in the order in which it was written. When it was written there is the time of its id.

use tim_proto::{ConversationId, MessageId};
use tim_store::{EntryFlags, Fingerprint, Refused, Write, WriteError, Written};

use super::pair;
use super::repeat::of_target;
use super::send::append;
use crate::http::rest::body::{Body, OF_C2C};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, Coded as _, RestError};

pub(in crate::http::rest) async fn import(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let (from, to) = pair(&fields, &["From_Account"], &["To_Account"])?;
    let counts = match fields.number("SyncFromOldSystem").coded(codes::BAD_IMPORT)? {
        Some(1) => true,
        Some(2) => false,
        _ => {
            return Err(fields
                .fault("SyncFromOldSystem", "is not 1 or 2")
                .with_code(codes::BAD_IMPORT));
        }
    };
    let random = fields.need_number32("MsgRandom").coded(codes::BAD_RANDOM)?;
    let written = fields.need_number32("MsgTimeStamp").coded(codes::BAD_TIME)?;
    let sequence = fields.number("MsgSeq")?;
    let mut body = Body::read(&fields, OF_C2C)?;
    body.flags |= EntryFlags::IMPORTED;
    if !counts {
        body.flags |= EntryFlags::NO_UNREAD;
    }
    let known = call
        .read(move |services| Ok(services.reads.store().accounts(&[from, to])?))
        .await?;
    let account = |user, code| {
        let found = known.iter().find(|account| account.user == user);
        found.ok_or_else(|| RestError::new(code, format!("{user} has no account")))
    };
    let from = account(from, codes::BAD_FROM_ACCOUNT)?;
    account(to, codes::UNKNOWN_TO_ACCOUNT)?;
    let files = {
        let checked = body.clone();
        let check = move |services: &std::sync::Arc<_>| Ok(checked.check(services, to.into(), true));
        call.read(check)
            .await?
            .map_err(|refusal| body.refused(call.service, refusal))?
    };
    // What was imported first stays, whatever a repetition says. A message with the same id to somebody else is another one.
    let conversation = ConversationId::C2c(to).to_string();
    let fingerprint = Fingerprint::of(&[
        b"import",
        conversation.as_bytes(),
        &sequence.unwrap_or(0).to_le_bytes(),
    ]);
    for random in [random, of_target(random, &to)] {
        let id = MessageId {
            sender: from.number,
            client_time: written.into(),
            random,
        };
        let append = append(&body, from, to, id, fingerprint, &files);
        match call.services.writer.write(Write::Append(append)).await {
            Ok(Written::Stored(_) | Written::Duplicate(_) | Written::DuplicateOfRevoked(..)) => {
                return Ok(Answer::ok());
            }
            Ok(_) => return Err(call.wrong_answer()),
            Err(WriteError::Refused(Refused::IdReused)) => {}
            Err(error) => return Err(RestError::of_write(call.service, error)),
        }
    }
    let info = "another message of this sender has the same MsgRandom and MsgTimeStamp";
    Err(RestError::new(codes::BAD_RANDOM, info))
}
