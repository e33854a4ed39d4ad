#![doc = include_str!("../README.md")]

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
