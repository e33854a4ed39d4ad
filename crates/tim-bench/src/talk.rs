//! A user to whom many others write.

use std::path::Path;

use tim_proto::message::{Text, to_vec};
use tim_proto::{MessageId, UserId};
use tim_store::{MAX_BATCH, StoreReader as _, StoreWriter as _, Write, WriteError};
use tim_store_sqlite as sqlite;

use crate::prepare::{ACCOUNTS, READER, TEXT, commit, member, message, now_ms};
use crate::{Result, stop};

/// Conversations of [`READER`], in which only the others write.
pub(crate) struct Talk {
    reader: UserId,
    payload: Vec<u8>,
    /// With their account numbers.
    peers: Vec<(UserId, u64)>,
}

impl Talk {
    /// Fills a directory with so many conversations, and with so many messages that come in all of them in turn.
    pub(crate) fn fill(data: &Path, conversations: u32, messages: u32) -> Result<Self> {
        let (mut store, accounts) = sqlite::open(data)?;
        let reader = UserId::new(READER)?;
        commit(&mut store, Write::EnsureAccount(reader))?;
        let peers: Result<Vec<UserId>, _> = (0..conversations)
            .map(|number| UserId::new(&member(number)))
            .collect();
        let mut talk = Self {
            reader,
            payload: to_vec(&Text::new(TEXT)),
            peers: Vec::new(),
        };
        for part in peers?.chunks(ACCOUNTS) {
            commit(&mut store, Write::EnsureAccounts(part.to_vec()))?;
            let made = accounts.accounts(part)?;
            talk.peers
                .extend(made.into_iter().map(|account| (account.user, account.number)));
        }
        let numbers: Vec<u32> = (0..messages).collect();
        for part in numbers.chunks(MAX_BATCH) {
            let batch: Vec<Write> = part
                .iter()
                .map(|number| talk.message(number % conversations, 1, *number))
                .collect();
            stop::check()?;
            let done = store.commit(now_ms(), &batch)?;
            if let Some(Err(refused)) = done.results.into_iter().find(Result::is_err) {
                return Err(WriteError::Refused(refused).into());
            }
        }
        Ok(talk)
    }

    pub(crate) const fn conversations(&self) -> u32 {
        self.peers.len() as u32
    }

    /// A message from a peer.
    pub(crate) fn message(&self, peer: u32, client_time: u64, random: u32) -> Write {
        let (name, number) = self.peers[peer as usize];
        let id = MessageId {
            sender: number,
            client_time,
            random,
        };
        message(name, self.reader, id, &self.payload)
    }
}
