//! The answer to a SEND, which comes from the store, the live thread or the group's queue.

use std::sync::Arc;

use tim_proto::ConversationId;
use tim_proto::message::{Content, to_vec};
#[cfg(feature = "outgoing")]
use tim_proto::planted::{self, Fault};
use tim_proto::request::{ConversationChange, Send, SendResponse};
use tim_proto::wire::{Extensions, decode_body};
use tim_store::{Entry, LogKey, StoreError, StoreReader, Stored, WriteError, Written};

use crate::device::Responder;
use crate::presence::PresenceRegistry;
use crate::refusal::Refusal;

/// How a message was passed on to those online.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOn {
    /// When, unix seconds.
    pub(crate) time: u64,
    /// It had been passed on before, and was not now.
    pub(crate) duplicate: bool,
}

/// Answers a SEND, with the names that the message carries for its sender.
#[derive(Debug)]
pub(crate) struct SendReceipt {
    pub(crate) responder: Responder<Send<'static>>,
    /// The sender's names as extensions; `None` for a client without the feature.
    pub(crate) names: Option<Box<[u8]>>,
    /// Where the message goes, as its sender sees it.
    pub(crate) conversation: ConversationId,
    pub(crate) presence: Arc<PresenceRegistry>,
    /// What the application is told of it.
    #[cfg(feature = "outgoing")]
    pub(crate) after: Option<Box<crate::callbacks::AfterSend>>,
    /// The application was asked about it, and it is under way as long as this receipt is.
    #[cfg(feature = "outgoing")]
    pub(crate) _passage: Option<Box<crate::callbacks::Passage>>,
}

/// What the store answers to a message that it has already, at this place.
pub(crate) fn stored_before(
    store: &dyn StoreReader,
    log: &LogKey,
    at: Stored,
) -> Result<Written, StoreError> {
    let revoked = store.entry(log, at.sequence)?.filter(Entry::is_revoked);
    Ok(revoked.map_or(Written::Duplicate(at), |left| {
        Written::DuplicateOfRevoked(at, Box::new(left))
    }))
}

impl SendReceipt {
    /// The store has answered.
    pub(crate) fn written(self, answer: Result<Written, WriteError>) {
        match answer {
            Ok(Written::Stored(at)) => {
                self.tell_successor();
                #[cfg(feature = "outgoing")]
                self.after.iter().for_each(|after| after.stored(at));
                self.stored(at, false);
            }
            Ok(Written::Duplicate(at)) => {
                #[cfg(feature = "outgoing")]
                if planted::is(Fault::ToldOfRepetitions) {
                    self.after.iter().for_each(|after| after.stored(at));
                }
                self.stored(at, true);
            }
            Ok(Written::DuplicateOfRevoked(at, left)) => self.revoked(at, &left),
            Ok(_) => self.refuse(Refusal::wrong_answer()),
            Err(error) => self.refuse(error.into()),
        }
    }

    /// A message is not delivered to the device that has sent it. If the connection on which it did has ended, the device may have
    /// logged in again and been told its list before the message was stored: it is to ask for the list once more.
    fn tell_successor(&self) {
        let device = self.responder.device();
        if device.has_left()
            && let Some(successor) = self.presence.successor(device)
        {
            successor.change(ConversationChange::new(self.conversation));
        }
    }

    /// The message is stored here.
    fn stored(self, at: Stored, duplicate: bool) {
        self.respond(at, duplicate);
    }

    /// The message was stored here, and this is left of it. The answer says who has revoked it.
    fn revoked(mut self, at: Stored, left: &Entry) {
        let content = decode_body::<Content<'_>>(&left.content).ok();
        let by = content.and_then(|content| content.revoked_by());
        self.names = self.names.map(|names| {
            [&names, by.map_or_else(Vec::new, |by| to_vec(&by)).as_slice()]
                .concat()
                .into()
        });
        self.stored(at, true);
    }

    /// The message was passed on, or refused, without being stored.
    pub(crate) fn passed_on(self, result: Result<PassedOn, Refusal>) {
        match result {
            Ok(PassedOn { time, duplicate }) => {
                let at = Stored {
                    sequence: 0,
                    change: 0,
                    time_ms: time * 1000,
                };
                #[cfg(feature = "outgoing")]
                self.after
                    .iter()
                    .filter(|_| !duplicate)
                    .for_each(|after| after.stored(at));
                self.respond(at, duplicate);
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.refuser()(refusal);
    }

    /// Refuses the message when the receipt itself has been given away, to a writer that does not take the message.
    pub(crate) fn refuser(&self) -> impl FnOnce(Refusal) + use<> {
        let responder = self.responder.clone();
        #[cfg(feature = "outgoing")]
        let after = self.after.clone();
        move |refusal| {
            #[cfg(feature = "outgoing")]
            after
                .iter()
                .for_each(|after| after.refused(refusal.code.0, &refusal.text));
            responder.refuse(refusal);
        }
    }

    fn respond(self, at: Stored, duplicate: bool) {
        // What was just written is well-formed.
        let response = SendResponse::new(at.sequence, at.time_ms / 1000)
            .with_duplicate(duplicate)
            .with_extensions(Extensions::new(self.names.as_deref().unwrap_or_default()).unwrap_or_default());
        self.responder.respond_stored(&response, at.change);
    }
}
