#![doc = include_str!("../README.md")]

mod administer;
mod contacts;
mod elsewhere;
mod epoch;
mod error;
mod fair_queue;
#[cfg(feature = "faults")]
pub mod faults;
mod files;
mod fingerprint;
pub mod measure;
mod merge;
mod open;
mod push;
mod read;
#[cfg(feature = "suite")]
pub mod suite;
pub mod transfer;
mod types;
mod write;
mod writer;

pub use administer::{
    AllGroups, AllGroupsRequest, GroupStatus, ImportMessages, ImportedMessage, MAX_IMPORT, MAX_SET_UNREAD,
};
pub use contacts::{ChangeContacts, Contact, Contacts};
pub use elsewhere::{Bus, BusEvent, BusReceiver, Change, Elsewhere};
pub use epoch::{Cursor, CursorBytes, Epoch, Epochs, ResumePoint};
pub use error::{NotStored, StoreError};
pub use fair_queue::FairQueue;
pub use files::{AddFile, File, FileContent, FileImage, FileQuota, FileUsage, RemoveFiles};
pub use fingerprint::Fingerprint;
pub use measure::{StoreStats, WriterStats};
pub use merge::{Merge, Position};
pub use open::Store;
pub use push::{PushToken, PushUser, RegisterPush};
pub use read::{
    About, ChangeEntry, Changes, ChangesRequest, Conversation, ConversationsPage, Gap, GroupsPage,
    ListPosition, Member, MembersPage, MembersRequest, Page, PageRequest, ReadState, StoreReader,
};
pub use tim_groups::{CreateGroup, EntryFlags, Group, Membership, Refused, Restriction, SystemEntry};
pub use types::{Account, Entry, LogKey, Pair, SYSTEM_NUMBER, account_number};
pub use write::{
    Append, Commit, GroupChanged, Published, Purge, PurgedLog, Quota, Revoke, RosterChange, StoreWriter,
    Stored, Write, Written,
};
pub use writer::{Around, Hooks, WriteError, WriteResult, Writer, WriterConfig};

/// The most items of one [`StoreWriter::commit`].
pub const MAX_BATCH: usize = 256;
/// What an entry counts for in its sender's [`Quota`] besides its content, in bytes: about what a store keeps beside it.
pub const ENTRY_BYTES: u64 = 128;
/// The largest content of an entry, in bytes.
pub const MAX_CONTENT: usize = 1 << 20;
/// The most conversations of a page of the list.
pub const MAX_CONVERSATIONS: usize = 100;
/// The most messages in [`Conversation::at`].
pub const MAX_AT: usize = 10;
/// How many of the newest messages that mention a user are searched for [`Conversation::at`]. Revoked ones and the user's own are
/// skipped, and the search is bounded however many those are.
pub const MAX_AT_LOOK: usize = 1_000;
/// The most contacts of a user.
pub const MAX_CONTACTS: usize = 3_000;
/// The most bytes that are said of a contact, and of a list of contacts.
pub const MAX_CONTACT_DETAILS: usize = 16 * 1024;
/// The most users that a message can mention; further ones are ignored.
pub const MAX_MENTIONS: usize = 100;
/// The most files that a message can name.
pub const MAX_FILES: usize = 4;
/// The longest media type of a file, in bytes.
pub const MAX_MEDIA_TYPE: usize = 255;
/// The most tokens of push services that a user has.
pub const MAX_PUSH_TOKENS: usize = 10;
/// The most pictures of a file: itself and its renditions.
pub const MAX_IMAGES: usize = 8;
/// How many uses of a file are searched for one that lets a user who does not own it send it on.
pub const MAX_USES_LOOK: usize = 10_000;
