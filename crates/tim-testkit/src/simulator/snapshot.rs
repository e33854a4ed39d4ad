//! What everybody has when a run rests: the devices, the store, and what a fresh device of each user sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tim_client::{Client, Conversation, Event as SdkEvent, Message};
use tim_proto::{FileId, GroupId, UserId};
use tim_store::{LogKey, MembersRequest, PageRequest, StoreError, StoreReader};

use super::history::{
    Downloaded, Failed, FileAtRest, FilesAtRest, FreshView, GroupState, ListEntry, Log, Mark, MemberState,
    Returned, Snapshot, Stored,
};
use super::hub::Life;
use super::network::LifeLine;
use super::op::Plan;
use super::recorder::{APP, Shared};
use super::{files, sdk, seen};

/// The device numbers of fresh devices begin here.
const FRESH: u32 = 1 << 20;
/// How long a fresh device may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most files that a fresh device downloads.
const MAX_FILES: usize = 30;
/// The most pages of a conversation that a fresh device reads.
const MAX_PAGES: u8 = 100;

/// All users of a plan, hostile ones included.
pub(crate) fn all_users(plan: &Plan) -> Vec<UserId> {
    let users = (0..plan.population.users.len() as u8).map(Plan::user);
    users
        .chain((0..plan.population.hostile).map(Plan::hostile_user))
        .collect()
}

/// The whole store.
pub(crate) fn of_store(plan: &Plan, life: &Life, snapshot: &mut Snapshot) {
    let reader = &*life.reader;
    let users = all_users(plan);
    let groups: Vec<GroupId> = (0..plan.population.groups.len() as u8).map(Plan::group).collect();
    let read = || -> Result<(), StoreError> {
        let mut keys: Vec<LogKey> = Vec::new();
        for (at, user) in users.iter().enumerate() {
            keys.push(LogKey::System(*user));
            keys.extend(users[at..].iter().map(|other| LogKey::c2c(*user, *other)));
        }
        keys.extend(groups.iter().map(|group| LogKey::Group(*group)));
        for key in keys {
            let entries = whole_log(reader, key)?;
            if !entries.is_empty() {
                snapshot.logs.insert(seen::log_of(&key), entries);
            }
        }
        for group in groups {
            if let Some(state) = group_state(reader, group, &users)? {
                snapshot.groups.insert(group, state);
            }
        }
        Ok(())
    };
    read().unwrap_or_else(|error| panic!("the store cannot be read at rest: {error}"));
    snapshot.marks_in_files = marks_in(&life.dir);
    if plan.settings.files.is_some() {
        let files = files_of(reader, &life.dir.join("files"), &users, &snapshot.logs);
        snapshot.files = Some(files.unwrap_or_else(|error| panic!("files cannot be read at rest: {error}")));
    }
}

/// The file store, and what the store knows of it.
fn files_of(
    reader: &dyn StoreReader,
    dir: &Path,
    users: &[UserId],
    logs: &BTreeMap<Log, Vec<Stored>>,
) -> Result<FilesAtRest, Box<dyn std::error::Error>> {
    let mut found = FilesAtRest::default();
    let mut paths = Vec::new();
    for folder in fs::read_dir(dir.join("content"))? {
        for file in fs::read_dir(folder?.path())? {
            paths.push(file?.path());
        }
    }
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match name.parse::<FileId>() {
            Ok(id) => {
                let bytes = fs::read(&path)?;
                let at_rest: &mut FileAtRest = found.files.entry(id).or_default();
                at_rest.content = Some((bytes.len() as u64, files::hash_of(&bytes)));
            }
            // There are no renditions of pictures this small.
            Err(_) => found.litter.push(name),
        }
    }
    for entry in fs::read_dir(dir.join("staging"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        found.staged += usize::from(name.ends_with(".meta"));
        if !name.ends_with(".meta") && !name.ends_with(".part") {
            found.litter.push(name);
        }
    }
    for (log, entries) in logs {
        for stored in entries.iter().filter(|stored| stored.file.is_some()) {
            for file in reader.files_of(&seen::key_of(log), stored.seen.sequence)? {
                let uses = &mut found.files.entry(file).or_default().uses;
                uses.push((*log, stored.seen.sequence));
            }
        }
    }
    for (id, at_rest) in &mut found.files {
        at_rest.row = reader.file(id)?.map(|file| (file.owner, file.bytes()));
    }
    for user in users {
        let usage = reader.file_usage(user)?;
        found.usage.insert(*user, (usage.bytes, usage.files));
    }
    Ok(found)
}

/// Every entry that a log still has, revocations included.
fn whole_log(reader: &dyn StoreReader, log: LogKey) -> Result<Vec<Stored>, StoreError> {
    let newest = reader.page(&PageRequest {
        log,
        before: None,
        after: 0,
        limit: 1,
        max_bytes: 1 << 20,
    })?;
    let mut entries = Vec::new();
    let mut sequence = newest.first_kept.max(1);
    let last_message = newest.entries.last().map_or(0, |entry| entry.sequence);
    // A page shows no revocations: behind the last message there may be some.
    loop {
        match reader.entry(&log, sequence)? {
            Some(entry) => entries.push(seen::of_entry(&log, &entry)),
            None if sequence > last_message => return Ok(entries),
            None => {}
        }
        sequence += 1;
    }
}

fn group_state(
    reader: &dyn StoreReader,
    id: GroupId,
    users: &[UserId],
) -> Result<Option<GroupState>, StoreError> {
    let mut restrictions = BTreeMap::new();
    for user in users {
        let restriction = reader.restriction(&id, user)?;
        if restriction != tim_store::Restriction::default() {
            restrictions.insert(*user, (restriction.banned_until_ms, restriction.muted_until_ms));
        }
    }
    let Some(group) = reader.group(&id)? else {
        return Ok(None);
    };
    let (mut members, mut after) = (BTreeMap::new(), None);
    loop {
        let page = reader.members_page(&MembersRequest {
            group: id,
            role: None,
            after,
            limit: 100,
        })?;
        members.extend(page.members.into_iter().map(|member| {
            let state = MemberState {
                role: member.membership.role,
                joined_at: member.membership.joined_at,
                receive_option: member.membership.receive_option,
            };
            (member.account.user, state)
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(Some(GroupState {
        group_type: group.group_type,
        owner: group.owner,
        mute_all: group.mute_all,
        members,
        restrictions,
    }))
}

/// The marks in the bytes of all files of a directory.
fn marks_in(dir: &Path) -> Vec<Mark> {
    let mut marks = BTreeSet::new();
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    for file in files {
        let bytes = fs::read(file.path()).unwrap_or_default();
        let mut rest = &bytes[..];
        while let Some(at) = find(rest) {
            marks.extend(Mark::find(&rest[at..rest.len().min(at + 14)]));
            rest = &rest[at + 5..];
        }
    }
    marks.into_iter().collect()
}

/// Where the next mark is.
fn find(bytes: &[u8]) -> Option<usize> {
    const BEGIN: &[u8] = b"mark:";
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == b'm')?;
        if bytes[at..].starts_with(BEGIN) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// What a fresh device of a user sees. `Err`: it does not get that far.
pub(crate) async fn fresh_view(shared: &Rc<Shared>, number: u32, user: UserId) -> Result<FreshView, String> {
    let link = FRESH + number;
    let life = LifeLine::default();
    let seed = shared
        .rng(u64::from(link) << 24 | shared.observed() as u64)
        .draw();
    let wall = shared.hub_wall.clone();
    let sig = shared.user_sig(user, 3600);
    let builder = Client::builder(APP, user, sig.text)
        .device(u64::from(link) + 1)
        .wall_clock(move || wall.ms())
        .seed(seed);
    shared.network.set_faults(
        link,
        Some(crate::Faults {
            max_fragment: 0,
            ..crate::Faults::NONE
        }),
    );
    let client = builder.build(shared.network.connector(link, life.clone()));
    let view = tokio::time::timeout(PATIENCE, look(&client, user)).await;
    let _ = tokio::time::timeout(PATIENCE, client.logout()).await;
    life.end(true);
    match view {
        Ok(view) => view.map_err(|error| format!("a fresh device of {user} fails: {error}")),
        Err(_) => Err(format!(
            "a fresh device of {user} waits for more than {PATIENCE:?}"
        )),
    }
}

async fn look(client: &Client, user: UserId) -> Result<FreshView, tim_client::ImError> {
    let mut events = client.events();
    client.login().await?;
    while !matches!(events.next().await, Some(SdkEvent::SdkReady) | None) {}
    drop(events);
    let list = client.get_latest_conversations(1_000).await?;
    let conversations: Vec<&Conversation> = list.conversation_list.iter().map(|entry| &**entry).collect();
    let entries: Vec<ListEntry> = conversations
        .iter()
        .map(|entry| seen::of_conversation(user, entry))
        .collect();
    let total_unread = client.get_total_unread_message_count();
    let groups = client.get_group_list().await?.group_list;
    let (mut pages, mut files) = (BTreeMap::new(), BTreeMap::new());
    for conversation in conversations {
        let (messages, _) = sdk::page_back(client, conversation.id, 50, MAX_PAGES).await?;
        for message in messages.iter().filter(|message| !message.is_revoked()) {
            if let Some(read) = read_file(client, user, message).await
                && files.len() < MAX_FILES
            {
                files.insert((Log::of(user, conversation.id), message.sequence()), read);
            }
        }
        pages.insert(
            Log::of(user, conversation.id),
            seen::of_instances(user, &messages),
        );
    }
    Ok(FreshView {
        user,
        list: entries,
        truncated: list.is_truncated,
        total_unread,
        groups: groups.iter().map(|group| seen::of_group(group)).collect(),
        pages,
        files,
    })
}

/// What a fresh device reads of the file of a message, if that has one.
async fn read_file(client: &Client, user: UserId, message: &Message) -> Option<Result<Downloaded, Failed>> {
    files::file_in(&message.payload())?;
    match sdk::download(user, client, message, 0, 0, 0).await {
        Ok(Returned::Downloaded(downloaded)) => Some(Ok(downloaded)),
        Ok(_) => None,
        Err(error) => Some(Err(seen::failed_call(&error))),
    }
}
