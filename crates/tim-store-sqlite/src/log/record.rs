//! The writes of a batch as bytes.
//!
//! Changes of groups and profiles, which many readers would have to see, and retention have no record: SQLite commits the generation
//! with them.

use bytes::Bytes;
use tim_groups::{EntryFlags, SystemEntry};
use tim_proto::{FileId, GroupId, IdError, MessageId, MessageKind, UserId};
use tim_store::{AddFile, Append, FileQuota, Fingerprint, LogKey, PushUser, Quota, Revoke, Write};

use super::super::details::{self, Details};

/// Whether the write has a record. Others end their generation.
pub(in super::super) fn is_logged(write: &Write) -> bool {
    match write {
        Write::EnsureAccount(_)
        | Write::EnsureAccounts(_)
        | Write::Append(_)
        | Write::AppendSystem { .. }
        | Write::Revoke(_)
        | Write::MarkRead { .. }
        | Write::DeleteConversation { .. }
        | Write::AddFile(_)
        | Write::ClaimFile { .. }
        | Write::Pushed(_) => true,
        Write::WithAccounts { write, .. } => is_logged(write),
        Write::SetUserProfile { .. }
        | Write::CreateGroup(_)
        | Write::ChangeGroup(_)
        | Write::ImportMessages(_)
        | Write::SetUnread { .. }
        | Write::VoidUserSigs { .. }
        | Write::DeleteAccount { .. }
        | Write::ChangeContacts(_)
        | Write::Purge(_)
        | Write::RemoveFiles(_)
        | Write::RegisterPush(_)
        | Write::Block { .. }
        | Write::UnregisterPush { .. } => false,
    }
}

mod tag {
    pub(super) const ENSURE_ACCOUNTS: u8 = 1;
    pub(super) const ENSURE_ACCOUNT: u8 = 2;
    pub(super) const WITH_ACCOUNTS: u8 = 3;
    pub(super) const APPEND: u8 = 4;
    pub(super) const APPEND_SYSTEM: u8 = 5;
    pub(super) const REVOKE: u8 = 6;
    pub(super) const MARK_READ: u8 = 7;
    pub(super) const DELETE_CONVERSATION: u8 = 8;
    pub(super) const APPEND_WITHIN: u8 = 9;
    /// Files before an append that names them.
    pub(super) const WITH_FILES: u8 = 10;
    pub(super) const ADD_FILE: u8 = 11;
    pub(super) const CLAIM_FILE: u8 = 12;
    /// As an administrator.
    pub(super) const REVOKE_ANY: u8 = 13;
    pub(super) const PUSHED: u8 = 14;

    pub(super) const C2C: u8 = 1;
    pub(super) const GROUP: u8 = 2;
    pub(super) const SYSTEM: u8 = 3;
}

/// Appends the record of a write that [has one](is_logged).
pub(in super::super) fn encode(write: &Write, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    match write {
        Write::EnsureAccount(user) => out.byte(tag::ENSURE_ACCOUNT).user(user),
        Write::EnsureAccounts(users) => out.byte(tag::ENSURE_ACCOUNTS).users(users),
        Write::WithAccounts { users, write } => {
            out.byte(tag::WITH_ACCOUNTS).users(users);
            encode(write, out.0);
            &mut out
        }
        Write::Append(append) => out.append(append),
        Write::AppendSystem { log, entry } => out.append_system(log, entry),
        Write::Revoke(revoke) => out.revoke(revoke),
        Write::MarkRead { user, log, upto } => out.byte(tag::MARK_READ).user(user).log(log).optional(*upto),
        Write::DeleteConversation { user, log } => out.byte(tag::DELETE_CONVERSATION).user(user).log(log),
        Write::AddFile(add) => out.add_file(add),
        Write::ClaimFile { owner, file } => out.byte(tag::CLAIM_FILE).user(owner).file(file),
        Write::Pushed(users) => out.pushed(users),
        Write::SetUserProfile { .. }
        | Write::CreateGroup(_)
        | Write::ChangeGroup(_)
        | Write::ImportMessages(_)
        | Write::SetUnread { .. }
        | Write::VoidUserSigs { .. }
        | Write::DeleteAccount { .. }
        | Write::ChangeContacts(_)
        | Write::Purge(_)
        | Write::RemoveFiles(_)
        | Write::RegisterPush(_)
        | Write::Block { .. }
        | Write::UnregisterPush { .. } => &mut out,
    };
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8)
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn user(&mut self, user: &UserId) -> &mut Self {
        self.text(user.as_str())
    }

    fn users(&mut self, users: &[UserId]) -> &mut Self {
        self.number(users.len() as u64);
        for user in users {
            self.user(user);
        }
        self
    }

    fn optional(&mut self, number: Option<u64>) -> &mut Self {
        match number {
            None => self.byte(0),
            Some(number) => self.byte(1).number(number),
        }
    }

    fn log(&mut self, log: &LogKey) -> &mut Self {
        match log {
            LogKey::C2c(pair) => {
                let (low, high) = pair.users();
                self.byte(tag::C2C).user(&low).user(&high)
            }
            LogKey::Group(group) => self.byte(tag::GROUP).text(group.as_str()),
            LogKey::System(user) => self.byte(tag::SYSTEM).user(user),
        }
    }

    fn id(&mut self, id: &MessageId) -> &mut Self {
        self.number(id.sender)
            .number(id.client_time)
            .number(id.random.into())
    }

    fn file(&mut self, file: &FileId) -> &mut Self {
        self.0.extend_from_slice(&file.to_bytes());
        self
    }

    fn files(&mut self, files: &[FileId]) -> &mut Self {
        self.number(files.len() as u64);
        for file in files {
            self.file(file);
        }
        self
    }

    fn pushed(&mut self, users: &[PushUser]) -> &mut Self {
        self.byte(tag::PUSHED).number(users.len() as u64);
        for PushUser { user, pushed } in users {
            self.user(user).number(*pushed);
        }
        self
    }

    fn add_file(&mut self, add: &AddFile) -> &mut Self {
        let AddFile { file, quota } = add;
        self.byte(tag::ADD_FILE)
            .file(&file.id)
            .user(&file.owner)
            .number(file.kind.0.into())
            .number(file.size)
            .bytes(&details::encode(file))
            .number(quota.bytes)
            .number(quota.files)
    }

    fn append(&mut self, append: &Append) -> &mut Self {
        if !append.files.is_empty() {
            self.byte(tag::WITH_FILES).files(&append.files);
        }
        // It is in the log if it was refused too, when an account was made with it.
        match append.quota {
            Quota::NONE => self.byte(tag::APPEND),
            Quota { bytes, conversations } => {
                self.byte(tag::APPEND_WITHIN).number(bytes).number(conversations)
            }
        };
        self.log(&append.log)
            .user(&append.sender)
            .id(&append.id)
            .number(append.fingerprint.to_bits())
            .number(append.origin)
            .number(append.kind.0.into())
            .number(append.flags.to_bits().into())
            .bytes(&append.content)
            .byte(append.require_membership.into())
            .users(&append.mentions)
            .byte(append.mention_all.into())
    }

    fn append_system(&mut self, log: &LogKey, entry: &SystemEntry) -> &mut Self {
        self.byte(tag::APPEND_SYSTEM)
            .log(log)
            .number(entry.client_time)
            .number(entry.random.into())
            .number(entry.kind.0.into())
            .number(entry.flags.to_bits().into())
            .bytes(&entry.content)
    }

    fn revoke(&mut self, revoke: &Revoke) -> &mut Self {
        self.byte(match revoke.as_administrator {
            false => tag::REVOKE,
            true => tag::REVOKE_ANY,
        })
        .log(&revoke.log)
        .number(revoke.sequence)
        .user(&revoke.by)
        .number(revoke.window_ms)
        .number(revoke.manager_window_ms)
        .text(&revoke.reason)
        .number(revoke.origin)
        .id(&revoke.id)
        .bytes(&revoke.content)
    }
}

/// The records of a block; `None` if they are malformed, which the checksum of the block excludes unless a newer hub wrote it.
pub(in super::super) fn decode(bytes: &[u8]) -> Option<Vec<Write>> {
    let mut reader = Reader(bytes);
    let mut writes = Vec::new();
    while !reader.0.is_empty() {
        writes.push(reader.write(true)?);
    }
    Some(writes)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            number |= bits
                .checked_shl(shift)
                .filter(|shifted| shifted >> shift == bits)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.small()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    fn id_of<T>(&mut self, make: impl FnOnce(&str) -> Result<T, IdError>) -> Option<T> {
        make(self.text()?).ok()
    }

    fn user(&mut self) -> Option<UserId> {
        self.id_of(UserId::from_record)
    }

    fn users(&mut self) -> Option<Vec<UserId>> {
        let count: u64 = self.number()?;
        (0..count).map(|_| self.user()).collect()
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        match self.flag()? {
            false => Some(None),
            true => self.number().map(Some),
        }
    }

    fn log(&mut self) -> Option<LogKey> {
        match self.byte()? {
            tag::C2C => {
                let low = self.user()?;
                Some(LogKey::c2c(low, self.user()?))
            }
            tag::GROUP => self.id_of(GroupId::from_record).map(LogKey::Group),
            tag::SYSTEM => self.user().map(LogKey::System),
            _ => None,
        }
    }

    fn message_id(&mut self) -> Option<MessageId> {
        Some(MessageId {
            sender: self.number()?,
            client_time: self.number()?,
            random: self.small()?,
        })
    }

    fn content(&mut self) -> Option<Bytes> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    /// `may_nest`: accounts come before one write, which is not of this kind.
    fn write(&mut self, may_nest: bool) -> Option<Write> {
        Some(match self.byte()? {
            tag::ENSURE_ACCOUNT => Write::EnsureAccount(self.user()?),
            tag::ENSURE_ACCOUNTS => Write::EnsureAccounts(self.users()?),
            tag::WITH_ACCOUNTS if may_nest => Write::WithAccounts {
                users: self.users()?,
                write: Box::new(self.write(false)?),
            },
            tag @ (tag::APPEND | tag::APPEND_WITHIN) => Write::Append(self.append_of(tag)?),
            tag::WITH_FILES => {
                let files = self.files().filter(|files| !files.is_empty())?;
                let tag = self.byte()?;
                let append = self.append_of(tag)?;
                Write::Append(Append { files, ..append })
            }
            tag::APPEND_SYSTEM => Write::AppendSystem {
                log: self.log()?,
                entry: SystemEntry {
                    client_time: self.number()?,
                    random: self.small()?,
                    kind: MessageKind(self.small()?),
                    flags: EntryFlags::from_bits(self.small()?),
                    content: self.content()?,
                },
            },
            tag::REVOKE => Write::Revoke(self.revoke(false)?),
            tag::REVOKE_ANY => Write::Revoke(self.revoke(true)?),
            tag::MARK_READ => Write::MarkRead {
                user: self.user()?,
                log: self.log()?,
                upto: self.optional()?,
            },
            tag::DELETE_CONVERSATION => Write::DeleteConversation {
                user: self.user()?,
                log: self.log()?,
            },
            tag::ADD_FILE => Write::AddFile(Box::new(self.add_file()?)),
            tag::CLAIM_FILE => Write::ClaimFile {
                owner: self.user()?,
                file: self.file()?,
            },
            tag::PUSHED => Write::Pushed(self.pushed()?),
            _ => return None,
        })
    }

    fn pushed(&mut self) -> Option<Vec<PushUser>> {
        let count: u64 = self.number()?;
        let user = |reader: &mut Self| {
            Some(PushUser {
                user: reader.user()?,
                pushed: reader.number()?,
            })
        };
        (0..count).map(|_| user(self)).collect()
    }

    fn file(&mut self) -> Option<FileId> {
        let (key, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(FileId::from_bytes(*key))
    }

    fn files(&mut self) -> Option<Vec<FileId>> {
        let count: u64 = self.number()?;
        (0..count).map(|_| self.file()).collect()
    }

    fn add_file(&mut self) -> Option<AddFile> {
        let (id, owner) = (self.file()?, self.user()?);
        let (kind, size) = (MessageKind(self.small()?), self.number()?);
        let details = Details::decode(self.bytes()?)?;
        let file = details.file(id, owner, kind, size, 0);
        let quota = FileQuota {
            bytes: self.number()?,
            files: self.number()?,
        };
        Some(AddFile { file, quota })
    }

    fn append_of(&mut self, tag: u8) -> Option<Append> {
        match tag {
            tag::APPEND => self.append(Quota::NONE),
            tag::APPEND_WITHIN => {
                let quota = Quota {
                    bytes: self.number()?,
                    conversations: self.number()?,
                };
                self.append(quota)
            }
            _ => None,
        }
    }

    fn append(&mut self, quota: Quota) -> Option<Append> {
        Some(Append {
            log: self.log()?,
            sender: self.user()?,
            id: self.message_id()?,
            fingerprint: Fingerprint::from_bits(self.number()?),
            origin: self.number()?,
            kind: MessageKind(self.small()?),
            flags: EntryFlags::from_bits(self.small()?),
            content: self.content()?,
            require_membership: self.flag()?,
            mentions: self.users()?,
            mention_all: self.flag()?,
            quota,
            files: Vec::new(),
        })
    }

    fn revoke(&mut self, as_administrator: bool) -> Option<Revoke> {
        Some(Revoke {
            log: self.log()?,
            sequence: self.number()?,
            by: self.user()?,
            as_administrator,
            window_ms: self.number()?,
            manager_window_ms: self.number()?,
            reason: self.text()?.to_owned(),
            origin: self.number()?,
            id: self.message_id()?,
            content: self.content()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tim_store::{File, FileImage};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    /// One of each kind.
    fn all() -> Vec<Write> {
        let (alice, bob) = (user("alice"), user("bob"));
        let log = LogKey::c2c(bob, alice);
        let group = LogKey::Group(GroupId::new("crew").unwrap());
        let id = MessageId {
            sender: u64::MAX,
            client_time: 1_705_307_415,
            random: u32::MAX,
        };
        let append = Append {
            log: group,
            sender: alice,
            id,
            fingerprint: Fingerprint::of(&[b"x"]),
            origin: 3,
            kind: MessageKind::TEXT,
            flags: EntryFlags::NO_UNREAD,
            content: vec![9; 300].into(),
            require_membership: true,
            mentions: vec![bob, alice],
            mention_all: true,
            quota: Quota::NONE,
            files: Vec::new(),
        };
        let entry = SystemEntry {
            client_time: 7,
            random: 8,
            kind: MessageKind::TEXT,
            flags: EntryFlags::NO_LAST,
            content: Bytes::from_static(b"notice"),
        };
        vec![
            Write::EnsureAccount(alice),
            Write::EnsureAccounts(vec![alice, bob]),
            Write::EnsureAccounts(Vec::new()),
            Write::WithAccounts {
                users: vec![bob],
                write: Box::new(Write::Append(Append {
                    log,
                    quota: Quota {
                        bytes: 1 << 30,
                        conversations: 0,
                    },
                    ..append.clone()
                })),
            },
            Write::Append(Append {
                files: vec![FileId::from_bytes([7; 16]), FileId::from_bytes([0; 16])],
                ..append.clone()
            }),
            Write::Append(append),
            Write::AddFile(Box::new(AddFile {
                file: File {
                    id: FileId::from_bytes([9; 16]),
                    owner: alice,
                    kind: MessageKind::IMAGE,
                    size: 1 << 33,
                    sha256: [0xab; 32],
                    media_type: "image/png".to_owned(),
                    format: 3,
                    images: vec![FileImage {
                        part: 1,
                        width: 720,
                        height: 1,
                        size: 300,
                        is_original: true,
                    }],
                    created_ms: 0,
                },
                quota: FileQuota::NONE,
            })),
            Write::ClaimFile {
                owner: bob,
                file: FileId::from_bytes([3; 16]),
            },
            Write::AppendSystem {
                log: LogKey::System(alice),
                entry,
            },
            Write::Revoke(Revoke {
                log,
                sequence: 1 << 40,
                by: bob,
                as_administrator: false,
                window_ms: 120_000,
                manager_window_ms: 0,
                reason: "wrong \u{1f4a5}".to_owned(),
                origin: 0,
                id,
                content: Bytes::new(),
            }),
            Write::Revoke(Revoke {
                log,
                sequence: 1,
                by: bob,
                as_administrator: true,
                window_ms: 0,
                manager_window_ms: 0,
                reason: String::new(),
                origin: 0,
                id,
                content: Bytes::new(),
            }),
            Write::MarkRead {
                user: alice,
                log,
                upto: Some(0),
            },
            Write::MarkRead {
                user: alice,
                log,
                upto: None,
            },
            Write::DeleteConversation { user: bob, log },
            Write::Pushed(vec![PushUser {
                user: bob,
                pushed: 1 << 40,
            }]),
        ]
    }

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let all = all();
        assert!(all.iter().all(is_logged));
        let mut bytes = Vec::new();
        for write in &all {
            encode(write, &mut bytes);
        }
        let read = decode(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{all:?}"));
    }

    #[test]
    fn malformed_records_are_no_writes() {
        for write in all() {
            let mut bytes = Vec::new();
            encode(&write, &mut bytes);
            for cut in 1..bytes.len() {
                assert!(decode(&bytes[..cut]).is_none(), "{write:?} cut at {cut}");
            }
        }
        assert!(decode(&[0]).is_none());
        // Accounts before accounts, without an end.
        assert!(decode(&[tag::WITH_ACCOUNTS, 0].repeat(100_000)).is_none());
        assert!(decode(&[&[tag::WITH_FILES, 1][..], &[0; 16]].concat().repeat(100_000)).is_none());
        // A number of more than 64 bits, and a length that is not there.
        assert!(decode(&[&[tag::ENSURE_ACCOUNT][..], &[0xff; 10]].concat()).is_none());
        assert!(decode(&[tag::ENSURE_ACCOUNTS, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_none());
    }
}
