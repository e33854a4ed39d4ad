//! The answer to a SEND, which comes from the store, the live thread or the group's queue.

use tim_proto::request::{Send, SendResponse};
use tim_proto::wire::Extensions;
use tim_store::{Stored, WriteError, Written};

use crate::device::Responder;
use crate::refusal::Refusal;

/// How a message was passed on to those online.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOn {
    /// When, unix seconds.
    pub(super) time: u64,
    /// It had been passed on before, and was not now.
    pub(super) duplicate: bool,
}

/// Answers a SEND, with the names that the message carries for its sender.
#[derive(Debug)]
pub(crate) struct SendReceipt {
    pub(crate) responder: Responder<Send<'static>>,
    /// The sender's names as extensions; empty for a client without the feature.
    pub(crate) names: Box<[u8]>,
}

impl SendReceipt {
    /// The store has answered.
    pub(crate) fn written(self, answer: Result<Written, WriteError>) {
        match answer {
            Ok(Written::Stored(at)) => self.stored(at, false),
            Ok(Written::Duplicate(at)) => self.stored(at, true),
            Ok(_) => self.refuse(Refusal::wrong_answer()),
            Err(error) => self.refuse(error.into()),
        }
    }

    /// The message is stored here.
    pub(crate) fn stored(self, at: Stored, duplicate: bool) {
        self.respond(at.sequence, at.time_ms / 1000, duplicate);
    }

    /// The message was passed on, or refused, without being stored.
    pub(crate) fn passed_on(self, result: Result<PassedOn, Refusal>) {
        match result {
            Ok(passed) => self.respond(0, passed.time, passed.duplicate),
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(crate) fn refuse(self, refusal: Refusal) {
        self.responder.refuse(refusal);
    }

    fn respond(self, sequence: u64, time: u64, duplicate: bool) {
        // What was just written is well-formed.
        let response = SendResponse::new(sequence, time)
            .with_duplicate(duplicate)
            .with_extensions(Extensions::new(&self.names).unwrap_or_default());
        self.responder.respond(&response);
    }
}
