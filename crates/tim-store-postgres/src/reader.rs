//! The reading end: pages, lists, profiles.

use std::path::Path;
use std::sync::Arc;

use super::db::{self, Connection, Optional as _};
use tim_groups::{Field, FieldScope};
use tim_proto::planted::{self, Fault};
use tim_proto::{FileId, GroupId, MessageId, MessageKind, UserId};
use tim_store::{
    About, Account, AllGroups, AllGroupsRequest, Changes, ChangesRequest, Contacts, Conversation,
    ConversationsPage, Entry, Epochs, File, FileContent, FileUsage, Fingerprint, Group, GroupStatus,
    GroupsPage, ListPosition, LogKey, MAX_CONVERSATIONS, Member, MembersPage, MembersRequest, Membership,
    Merge, NotStored, Page, PageRequest, PushToken, PushUser, ReadState, Refused, Restriction, StoreError,
    StoreReader, StoreStats, Stored,
};
use tracing::warn;

use super::administer;
use super::append::earlier_send;
use super::blocked;
use super::damage::Damage;
use super::entry_rows::EntryRows;
use super::pool::Pool;
use super::recent::{self, Listed};
use super::rosters::{self, group, groups_of, membership};
use super::rows::{Head, Personal, Senders, entry_at, number_of, sql, user_id};
use super::sizes::Sizes;
use super::watch::Watch;
use super::{changes, contacts, epochs, files, mentions, push};

/// The reading end of a store. It can be shared freely.
pub struct PostgresReader {
    pool: Pool,
    watch: Watch,
    epochs: Arc<Epochs>,
    sizes: Sizes,
}

impl PostgresReader {
    pub(super) const fn new(pool: Pool, watch: Watch, epochs: Arc<Epochs>, sizes: Sizes) -> Self {
        Self {
            pool,
            watch,
            epochs,
            sizes,
        }
    }

    /// Reads something of a group; the default if it does not exist.
    fn in_group<T: Default>(
        &self,
        group: &GroupId,
        work: impl Fn(&Connection, &Head) -> db::Result<T>,
    ) -> Result<T, StoreError> {
        self.pool
            .read(|db| match Head::find(db, &LogKey::Group(*group))? {
                Some(head) => work(db, &head),
                None => Ok(T::default()),
            })
    }
}

impl std::fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresReader").finish_non_exhaustive()
    }
}

impl StoreReader for PostgresReader {
    fn on_fatal(&self, callback: Box<dyn Fn(&StoreError) + Send + Sync>) {
        self.pool.on_fatal(callback);
    }

    fn head_change(&self) -> Result<u64, StoreError> {
        self.pool.read_one(changes::head_change)
    }

    fn is_blocked(&self, user: &UserId) -> Result<bool, StoreError> {
        self.pool.read(|db| blocked::is_blocked(db, user))
    }

    fn back_up(&self, _: &Path) -> Result<(), StoreError> {
        let text = "a store on PostgreSQL is not copied by the hub: use pg_dump, or a base backup with its write-ahead log";
        Err(StoreError::NotStored(NotStored::Engine(text.to_owned())))
    }

    fn stats(&self) -> StoreStats {
        self.sizes.stats(&self.pool)
    }

    fn check(&self) -> Option<Result<(), StoreError>> {
        Some(self.watch.check())
    }

    fn epochs(&self) -> Arc<Epochs> {
        Arc::clone(&self.epochs)
    }

    fn newest_time_ms(&self) -> Result<Option<u64>, StoreError> {
        self.pool.read(epochs::newest_time_ms)
    }

    fn page(&self, request: &PageRequest) -> Result<Page, StoreError> {
        self.pool.read(|db| page(db, request))
    }

    fn entry(&self, log: &LogKey, sequence: u64) -> Result<Option<Entry>, StoreError> {
        self.pool.read(|db| match Head::find(db, log)? {
            Some(head) => entry_at(db, &head, sequence),
            None => Ok(None),
        })
    }

    fn stored(
        &self,
        sender: &UserId,
        id: &MessageId,
        fingerprint: Fingerprint,
    ) -> Result<Option<Result<Stored, Refused>>, StoreError> {
        self.pool.read(|db| match user_id(db, sender)? {
            Some(sender) => earlier_send(db, sender, id, fingerprint),
            None => Ok(None),
        })
    }

    fn changes_after(&self, request: &ChangesRequest, merge: &mut Merge) -> Result<Changes, StoreError> {
        let mut is_first = true;
        self.pool.read(|db| {
            // A reading that was interrupted has left its merge in the middle.
            if !std::mem::take(&mut is_first) {
                *merge = Merge::default();
            }
            changes::changes_after(db, request, merge)
        })
    }

    fn conversations(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<ConversationsPage, StoreError> {
        let limit = limit.clamp(1, MAX_CONVERSATIONS);
        self.pool.read(|db| conversations(db, user, after, limit))
    }

    fn conversation(&self, user: &UserId, log: &LogKey) -> Result<Option<Conversation>, StoreError> {
        self.pool.read(|db| {
            let Some(id) = user_id(db, user)? else {
                return Ok(None);
            };
            let Some(head) = Head::find(db, log)? else {
                return Ok(None);
            };
            let Some(personal) = Personal::find(db, id, &head)? else {
                return Ok(None);
            };
            let membership = membership(db, id, &head)?;
            conversation_of(db, user, &head, &personal, membership)
        })
    }

    fn read_states(&self, log: &LogKey, users: &[UserId], below: u64) -> Result<Vec<ReadState>, StoreError> {
        self.pool.read(|db| read_states(db, log, users, below))
    }

    fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError> {
        self.in_group(id, |db, head| group(db, head.id))
    }

    fn members_page(&self, request: &MembersRequest) -> Result<MembersPage, StoreError> {
        let page = |db: &Connection, head: &Head| rosters::members_page(db, head.id, request).map(Some);
        let empty = || MembersPage {
            members: Vec::new(),
            next: None,
        };
        Ok(self.in_group(&request.group, page)?.unwrap_or_else(empty))
    }

    fn managers(&self, group: &GroupId) -> Result<Vec<Member>, StoreError> {
        self.in_group(group, |db, head| rosters::managers(db, head.id))
    }

    fn group_and_membership(
        &self,
        id: &GroupId,
        user: &UserId,
    ) -> Result<Option<(Group, Option<Membership>)>, StoreError> {
        self.in_group(id, |db, head| {
            let Some(group) = group(db, head.id)? else {
                return Ok(None);
            };
            let Some(user) = user_id(db, user)? else {
                return Ok(Some((group, None)));
            };
            Ok(Some((group, membership(db, user, head)?)))
        })
    }

    fn all_groups(&self, request: &AllGroupsRequest) -> Result<AllGroups, StoreError> {
        self.pool.read(|db| administer::all_groups(db, request))
    }

    fn group_status(&self, group: &GroupId) -> Result<Option<GroupStatus>, StoreError> {
        let log = LogKey::Group(*group);
        self.pool.read(|db| match Head::find(db, &log)? {
            Some(head) => administer::group_status(db, &head),
            None => Ok(None),
        })
    }

    fn muted_users(
        &self,
        group: &GroupId,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<(UserId, u64)>, StoreError> {
        self.in_group(group, |db, head| {
            administer::muted_users(db, head.id, now_ms, limit)
        })
    }

    fn fields(&self, group: &GroupId, of: &[FieldScope]) -> Result<Vec<Vec<Field>>, StoreError> {
        self.in_group(group, |db, head| {
            of.iter().map(|of| administer::fields(db, head.id, of)).collect()
        })
    }

    fn restriction(&self, group: &GroupId, user: &UserId) -> Result<Restriction, StoreError> {
        self.in_group(group, |db, head| rosters::restriction(db, head.id, user))
    }

    fn membership(&self, group: &GroupId, user: &UserId) -> Result<Option<Membership>, StoreError> {
        self.in_group(group, |db, head| match user_id(db, user)? {
            Some(user) => membership(db, user, head),
            None => Ok(None),
        })
    }

    fn groups_of(&self, user: &UserId) -> Result<Vec<Group>, StoreError> {
        self.pool.read(|db| groups_of(db, user))
    }

    fn groups_page(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<GroupsPage, StoreError> {
        self.pool.read(|db| rosters::groups_page(db, user, after, limit))
    }

    fn accounts(&self, users: &[UserId]) -> Result<Vec<Account>, StoreError> {
        self.pool.read(|db| {
            users
                .iter()
                .filter_map(|user| account(db, user).transpose())
                .collect()
        })
    }

    fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError> {
        self.pool.read(|db| account(db, user))
    }

    fn user_sigs_valid_from(&self, user: &UserId) -> Result<u64, StoreError> {
        self.pool.read(|db| contacts::valid_from(db, user))
    }

    fn contacts(&self, user: &UserId) -> Result<Contacts, StoreError> {
        self.pool.read(|db| contacts::contacts(db, user))
    }

    fn unused_since(&self, user: &UserId) -> Result<Option<u64>, StoreError> {
        self.pool.read(|db| super::unused::unused_since(db, user))
    }

    fn file(&self, file: &FileId) -> Result<Option<File>, StoreError> {
        self.pool.read(|db| files::file(db, file))
    }

    fn file_with(&self, content: &FileContent) -> Result<Option<File>, StoreError> {
        self.pool.read(|db| files::file_with(db, content))
    }

    fn file_usage(&self, owner: &UserId) -> Result<FileUsage, StoreError> {
        self.pool.read(|db| files::usage(db, owner))
    }

    fn files_of(&self, log: &LogKey, sequence: u64) -> Result<Vec<FileId>, StoreError> {
        self.pool.read(|db| files::files_of(db, log, sequence))
    }

    fn may_send_file(&self, user: &UserId, file: &FileId) -> Result<bool, StoreError> {
        self.pool.read(|db| files::may_send(db, user, file))
    }

    fn push_tokens(&self, user: &UserId) -> Result<Vec<PushToken>, StoreError> {
        self.pool.read(|db| push::tokens(db, user))
    }

    fn push_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<PushUser>, StoreError> {
        self.pool.read(|db| push::users(db, after.as_ref(), limit))
    }

    fn push_members(&self, group: &GroupId) -> Result<Vec<UserId>, StoreError> {
        self.in_group(group, |db, head| push::members(db, head.id))
    }
}

fn page(db: &Connection, request: &PageRequest) -> db::Result<Page> {
    let Some(head) = Head::find(db, &request.log)? else {
        return Ok(Page {
            entries: Vec::new(),
            first_kept: 1,
            completed: true,
            next: 1,
        });
    };
    let below = request.before.unwrap_or(u64::MAX).min(head.sequence + 1);
    let after = request.after.min(head.sequence);
    let mut rows = EntryRows::below(db, head.id, (after, below), request.limit);
    let mut senders = Senders::new(db);
    let mut entries: Vec<Entry> = Vec::with_capacity(request.limit.min(64));
    let mut budget = request.max_bytes;
    // The last sequence that was seen, and the last one before the page's end.
    let (mut seen, end) = (below, after.max(head.first_kept.saturating_sub(1)));
    let completed = loop {
        let found = match rows.next()? {
            Some(row) => senders
                .entry(row)
                .and_then(|entry| match entry.sequence + 1 == seen {
                    true => Ok(entry),
                    false => Err(Damage::of_entry(head.id, seen.saturating_sub(1)).into()),
                }),
            None if seen <= end + 1 => break true,
            None => Err(Damage::of_entry(head.id, seen - 1).into()),
        };
        let entry = match found {
            Ok(entry) => entry,
            // What is newer is a page. The next one fails.
            Err(error) if Damage::found(&error).is_some() && !entries.is_empty() => break false,
            Err(error) => return Err(error),
        };
        seen = entry.sequence;
        if entry.kind == MessageKind::REVOCATION {
            continue;
        }
        let size = entry.content.len();
        // One more than fits: there is another page.
        if !entries.is_empty() && (entries.len() >= request.limit || size > budget) {
            break false;
        }
        budget = budget.saturating_sub(size);
        entries.push(entry);
    };
    entries.reverse();
    let next = entries.first().map_or(below, |oldest| oldest.sequence);
    Ok(Page {
        entries,
        first_kept: head.first_kept,
        completed,
        next,
    })
}

fn conversations(
    db: &Connection,
    user: &UserId,
    after: Option<ListPosition>,
    limit: usize,
) -> db::Result<ConversationsPage> {
    let mut page = ConversationsPage {
        conversations: Vec::new(),
        next: Vec::new(),
        more: false,
        total_unread: 0,
    };
    let Some(id) = user_id(db, user)? else {
        return Ok(page);
    };
    let below = after.map_or(i64::MAX, |after| sql(after.parts().0));
    let few = recent::groups_and_notices(db, user, id, below)?;
    page.total_unread = recent::unread_below(db, id, below)?;
    for Listed { head, personal, .. } in few.iter().filter(|listed| listed.counts()) {
        page.total_unread += personal.unread(db, head)?;
    }
    // One more than requested: there is another page.
    let many = recent::page(db, id, below, limit.saturating_add(1))?;
    let (mut few, mut many) = (few.into_iter().peekable(), many.into_iter().peekable());
    loop {
        let is_few_next = match (few.peek(), many.peek()) {
            (Some(few), Some(many)) => few.head.last_change > many.head.last_change,
            (few, _) => few.is_some(),
        };
        let Some(listed) = (if is_few_next { few.next() } else { many.next() }) else {
            break;
        };
        if page.conversations.len() == limit {
            page.more = true;
            break;
        }
        let Listed {
            head,
            personal,
            membership,
        } = listed;
        if let Some(conversation) = conversation_of(db, user, &head, &personal, membership)? {
            page.conversations.push(conversation);
            page.next.push(ListPosition::new(head.last_change, 0));
        }
    }
    Ok(page)
}

fn read_states(db: &Connection, log: &LogKey, users: &[UserId], below: u64) -> db::Result<Vec<ReadState>> {
    let Some(head) = Head::find(db, log)? else {
        return Ok(Vec::new());
    };
    let mut states = Vec::new();
    for user in users {
        let Some(id) = user_id(db, user)? else { continue };
        let found = Personal::find(db, id, &head)?;
        let Some(personal) = found.filter(|personal| personal.read_sequence < below) else {
            continue;
        };
        states.push(ReadState {
            user: *user,
            read_sequence: personal.read_to(&head),
            unread: personal.unread(db, &head)?,
            counted: head.sequence,
            deleted_through: if personal.hides(&head) {
                personal.hidden_through
            } else {
                0
            },
        });
    }
    Ok(states)
}

/// A conversation of one user.
fn conversation_of(
    db: &Connection,
    user: &UserId,
    head: &Head,
    personal: &Personal,
    membership: Option<Membership>,
) -> db::Result<Option<Conversation>> {
    let Some(id) = head.key.seen_by(user) else {
        return Ok(None);
    };
    let about = match head.key {
        LogKey::C2c(pair) => {
            let peer = pair.peer_of(user).unwrap_or(*user);
            // What was said stays when the peer's account is deleted, which leaves it without names.
            let found = opened_once(db, &peer)?;
            let found =
                found.filter(|(_, is_deleted)| !is_deleted || !planted::is(Fault::DeletedPeerUnlisted));
            found.map(|(account, _)| About::Peer(account))
        }
        LogKey::Group(_) => group(db, head.id)?
            .zip(membership)
            .map(|(group, membership)| About::Group(group, membership)),
        LogKey::System(_) => Some(About::System),
    };
    let Some(about) = about else { return Ok(None) };
    let visible = head.last_sequence > personal.joined_at;
    let last = if visible {
        match entry_at(db, head, head.last_sequence) {
            // The list goes on without it.
            Err(error) if Damage::found(&error).is_some() => {
                warn!(conversation = %head.key, sequence = head.last_sequence, "a damaged entry is left out of a list");
                None
            }
            last => last?,
        }
    } else {
        None
    };
    Ok(Some(Conversation {
        log: head.key,
        id,
        last,
        unread: personal.unread(db, head)?,
        read_sequence: personal.read_to(head),
        head_sequence: head.sequence,
        head_change: head.change,
        first_kept: head.first_kept,
        hidden: personal.hides(head),
        about,
        at: mentions::behind(db, head, personal)?,
    }))
}

pub(super) fn account(db: &Connection, user: &UserId) -> db::Result<Option<Account>> {
    let found = opened_once(db, user)?;
    Ok(found.and_then(|(account, is_deleted)| (!is_deleted).then_some(account)))
}

/// The account that a user has, or had until it was deleted; and whether it was.
fn opened_once(db: &Connection, user: &UserId) -> db::Result<Option<(Account, bool)>> {
    if *user == UserId::SYSTEM {
        return Ok(None);
    }
    db.statement("SELECT id, nick, avatar, deleted FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| {
            let account = Account {
                user: *user,
                number: number_of(row.get(0)?),
                nick: row.get(1)?,
                avatar: row.get(2)?,
            };
            Ok((account, row.get(3)?))
        })
        .optional()
}
