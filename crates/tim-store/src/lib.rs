//! What the hub keeps, behind one trait of domain operations.
//!
//! Every conversation is an append-only **log** ([`LogKey`]) with a contiguous `sequence` from 1; messages, tips, notices and
//! revocations are its entries. Every entry also has a `change` number: one strictly increasing order over the whole
//! store, in commit order. A device's [`Cursor`] is a change number and the [`Epoch`] of the store in which the change was made;
//! [`Epochs::resume`] says whether the store was put back from an older copy since, and [`StoreReader::changes_since`] is all
//! that the device needs to catch up.
//!
//! Nothing else grows with the size of a group: a message costs one append, one head update and the sender's own row.
//! Unread counts are computed (see [`Conversation::unread`]); a receiver's row is written when that user acts.
//!
//! A group changes by [`Write::ChangeGroup`], as the rules in [`tim_groups`] decide inside the transaction. A dismissed
//! group leaves a tombstone: nobody finds its log, and its id is never free again. Ending a group is the one change that
//! costs as much as the group has members, for each of them is told.
//!
//! Writing is batched: [`StoreWriter::commit`] makes a whole batch durable at once, and [`Writer`] is the thread that
//! collects batches from everybody who waits. Readers work on snapshots, never wait for the writer, and see every
//! write that was answered before they were asked.
//!
//! `tim-store-sqlite` is the embedded engine. Another engine passes the same suite.

mod epoch;
mod error;
#[cfg(feature = "suite")]
pub mod faults;
mod fingerprint;
mod open;
mod read;
#[cfg(feature = "suite")]
pub mod suite;
mod types;
mod write;
mod writer;

pub use epoch::{Cursor, CursorBytes, Epoch, Epochs, ResumePoint};
pub use error::{NotStored, StoreError};
pub use fingerprint::Fingerprint;
pub use open::Store;
pub use read::{
    About, ChangeEntry, Changes, ChangesRequest, Conversation, ConversationsPage, Gap, GroupsPage,
    ListPosition, Member, MembersPage, MembersRequest, Page, PageRequest, StoreReader,
};
pub use tim_groups::{CreateGroup, EntryFlags, Group, Membership, Refused, Restriction, SystemEntry};
pub use types::{Account, Entry, LogKey, Pair, SYSTEM_NUMBER, account_number};
pub use write::{
    Append, Commit, GroupChanged, Published, Purge, Revoke, RosterChange, StoreWriter, Stored, Write, Written,
};
pub use writer::{Hooks, WriteError, WriteResult, Writer, WriterConfig};

/// The most items of one [`StoreWriter::commit`].
pub const MAX_BATCH: usize = 256;
/// The most bytes of one entry's content.
pub const MAX_CONTENT: usize = 1 << 20;
/// The most conversations that a list returns (S188).
pub const MAX_CONVERSATIONS: usize = 100;
/// The most messages of a conversation that [`Conversation::at`] names.
pub const MAX_AT: usize = 10;
/// Among how many of the newest messages that mention a user [`Conversation::at`] looks for those: revoked ones and the
/// user's own are passed over, and nobody is to wait while very many are.
pub const MAX_AT_LOOK: usize = 1_000;
/// The most users that a message mentions; further ones are not told.
pub const MAX_MENTIONS: usize = 100;
