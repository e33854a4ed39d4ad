//! The tables.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::OpenError;
use super::recent::{is_listed, unread_of_row};
use super::usage::recount;

/// The version of the first tables below. Databases of earlier versions were never in use outside of development.
const FIRST: u32 = 12;

/// What makes a database of the next version of one; the first step, an empty database. A new one takes all of them.
pub(super) const STEPS: [&str; 10] = [
    TABLES,
    RECENT,
    GENERATIONS,
    USAGE,
    UNUSED,
    FILES,
    ADMINISTER,
    PUSH,
    CONTACTS,
    BLOCKED,
];

/// The version after all steps.
#[allow(clippy::cast_possible_truncation)]
const VERSION: u32 = FIRST + STEPS.len() as u32 - 1;

/// Unsigned 64-bit numbers are stored bit for bit as SQLite's signed ones. Roles, group types, options, kinds and flags have
/// the numbers of `tim-proto`'s types and of [`EntryFlags`](tim_store::EntryFlags).
const TABLES: &str = "
-- The newest change number, when that change was made (0 before the first one), and the number of the newest application or
-- invitation.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    change INTEGER NOT NULL,
    time_ms INTEGER NOT NULL DEFAULT 0,
    request INTEGER NOT NULL DEFAULT 0
);
INSERT INTO meta (id, change) VALUES (0, 0);

-- One row for each opening that changed something; ids grow. first: the newest change before it.
CREATE TABLE epochs (id INTEGER PRIMARY KEY, first INTEGER NOT NULL);

-- Row 0 is the system. The id is the account number without its base.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    nick TEXT NOT NULL DEFAULT '',
    avatar TEXT NOT NULL DEFAULT ''
);
INSERT INTO users (id, name) VALUES (0, '@TIM#SYSTEM');

-- One head per log. countable: how many entries count as unread, ever. last_*: the newest entry that shows in the list.
-- first_time_ms: the oldest kept entry's time, NULL if none is kept; moves only when the log fills or is purged.
-- sum: a checksum of these columns but the id and first_time_ms.
CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    sequence INTEGER NOT NULL DEFAULT 0,
    change INTEGER NOT NULL DEFAULT 0,
    countable INTEGER NOT NULL DEFAULT 0,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    last_change INTEGER NOT NULL DEFAULT 0,
    first_kept INTEGER NOT NULL DEFAULT 1,
    first_time_ms INTEGER,
    purged_change INTEGER NOT NULL DEFAULT 0,
    purged_countable INTEGER NOT NULL DEFAULT 0,
    sum INTEGER NOT NULL
);
CREATE UNIQUE INDEX logs_by_name ON logs (name, kind);
CREATE INDEX logs_by_age ON logs (first_time_ms) WHERE first_time_ms IS NOT NULL;

-- countable: of this log up to and with this entry. content: the id of its content. sum: a checksum of all other columns and of the
-- content.
CREATE TABLE entries (
    log INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    change INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    client_time INTEGER NOT NULL,
    random INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    countable INTEGER NOT NULL,
    content INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (log, sequence)
) WITHOUT ROWID;

-- What the entries say. Ids only grow. log: whose entry's it is; NULL if it was removed: then the body is zeros. Nothing in this table may
-- be moved, see the module `contents`; so it has no index, and rows do not get longer.
CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    log INTEGER,
    body BLOB NOT NULL
);

-- The ids of stored messages. Ordered by time, so that new ones share pages and old ones are cut off in one piece.
CREATE TABLE sent (
    client_time INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    random INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    change INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    log INTEGER NOT NULL,
    PRIMARY KEY (client_time, sender, random)
) WITHOUT ROWID;

-- Revoked messages: sender and counted are the message's, entry is the revocation's position.
CREATE TABLE revoked (
    log INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    revoker INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    change INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (log, sequence)
) WITHOUT ROWID;

-- What is one user's own in one log. role is NULL outside groups; who leaves a group has no row any more.
-- own_at_read: own countable entries up to the read mark or the purged ones, whichever is further. sum: a checksum of user, log,
-- joined_ms and joined_at.
CREATE TABLE personal (
    user INTEGER NOT NULL,
    log INTEGER NOT NULL,
    role INTEGER,
    joined_ms INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    read_sequence INTEGER NOT NULL,
    read_countable INTEGER NOT NULL,
    own_total INTEGER NOT NULL DEFAULT 0,
    own_at_read INTEGER NOT NULL DEFAULT 0,
    hidden_through INTEGER NOT NULL DEFAULT 0,
    receive_option INTEGER NOT NULL DEFAULT 1,
    name_card TEXT NOT NULL DEFAULT '',
    sum INTEGER NOT NULL,
    PRIMARY KEY (user, log)
) WITHOUT ROWID;
-- Members in the order in which they joined; the few who manage a group apart.
CREATE INDEX members ON personal (log, joined_ms, user) WHERE role IS NOT NULL;
CREATE INDEX managers ON personal (log, joined_ms, user) WHERE role < 3;

-- former_owner: the owner before this one. Of a group that is no more (its log has kind 4) its id is kept, its type, who made and
-- owned it, and when and by whom it was dismissed.
CREATE TABLE groups (
    log INTEGER PRIMARY KEY,
    group_type INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    creation_random INTEGER NOT NULL,
    name TEXT NOT NULL,
    introduction TEXT NOT NULL,
    notification TEXT NOT NULL,
    avatar TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    creator INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    join_option INTEGER NOT NULL,
    invite_option INTEGER NOT NULL,
    mute_all INTEGER NOT NULL DEFAULT 0,
    former_owner INTEGER,
    dismissed_ms INTEGER,
    dismissed_by INTEGER,
    fingerprint INTEGER NOT NULL
);

-- The newest application (kind 1) and invitation (kind 2) of a user. accepted is NULL while it is open.
CREATE TABLE requests (
    log INTEGER NOT NULL,
    user INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    inviter INTEGER,
    decided_by INTEGER,
    accepted INTEGER,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (log, user, kind)
) WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (time_ms);
CREATE INDEX open_requests ON requests (log, kind) WHERE accepted IS NULL;

-- What users may not do in a group, whether they are members or not.
CREATE TABLE restrictions (
    log INTEGER NOT NULL,
    user INTEGER NOT NULL,
    banned_until_ms INTEGER NOT NULL,
    muted_until_ms INTEGER NOT NULL,
    PRIMARY KEY (log, user)
) WITHOUT ROWID;
CREATE INDEX restrictions_by_end ON restrictions (max(banned_until_ms, muted_until_ms));

-- Messages that mention a member; user 0 is everybody: one row, however many members there are.
CREATE TABLE mentions (
    log INTEGER NOT NULL,
    user INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    PRIMARY KEY (log, user, sequence)
) WITHOUT ROWID;
CREATE INDEX mentions_by_sequence ON mentions (log, sequence);
";

/// What the module [`recent`](super::recent) keeps. `kind` 1 is a one-to-one conversation; of these every participant has a row.
const RECENT: &str = concat!(
    "
-- The one-to-one conversations of a user. listed: whether this row is of the list, see the module `recent`. unread: of a listed row,
-- what is unread in the conversation; 0 for the newest one.
CREATE TABLE recent (
    user INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    change INTEGER NOT NULL,
    log INTEGER NOT NULL,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, listed, change)
) WITHOUT ROWID;
-- The sum of unread of the user's listed rows in `recent`.
ALTER TABLE users ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
-- The groups of a user.
CREATE INDEX memberships ON personal (user, log) WHERE role IS NOT NULL;

INSERT INTO recent (user, listed, change, log, unread)
    SELECT p.user, 1, l.last_change, l.id, ",
    unread_of_row!(),
    " FROM personal p CROSS JOIN logs l ON l.id = p.log WHERE l.kind = 1 AND ",
    is_listed!(),
    ";
INSERT INTO recent (user, listed, change, log)
    SELECT p.user, 0, l.change, l.id FROM personal p CROSS JOIN logs l ON l.id = p.log
    WHERE l.kind = 1 AND l.sequence > 0 AND NOT (l.change = l.last_change AND ",
    is_listed!(),
    ");
UPDATE recent SET unread = 0 WHERE listed = 1
    AND change = (SELECT max(change) FROM recent n WHERE n.user = recent.user AND n.listed = 1);
UPDATE users SET unread = (SELECT coalesce(sum(r.unread), 0) FROM recent r WHERE r.user = users.id AND r.listed = 1);
"
);

/// The log in front of the database. generation: the newest one that was committed. salt: a secret that blocks of the log begin with.
const GENERATIONS: &str = "
ALTER TABLE meta ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN salt INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET salt = random();
";

/// What the module [`usage`](super::usage) keeps.
const USAGE: &str = concat!(
    "
-- What the user's kept entries count for, and how many one-to-one conversations the user has begun.
ALTER TABLE users ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN conversations INTEGER NOT NULL DEFAULT 0;
-- Who has begun a one-to-one conversation; 0 is nobody.
ALTER TABLE logs ADD COLUMN begun_by INTEGER NOT NULL DEFAULT 0;

UPDATE logs SET begun_by = coalesce((SELECT e.sender FROM entries e WHERE e.log = logs.id ORDER BY e.sequence LIMIT 1), 0)
    WHERE kind = 1;
",
    recount!()
);

/// What the module [`unused`](super::unused) keeps.
const UNUSED: &str = "
-- is_new: nothing has ever referred to this user. used_ms: when it was in use last, as long as that is so.
ALTER TABLE users ADD COLUMN is_new INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX unused ON users (used_ms) WHERE is_new = 1;
-- The greatest id of a user who was removed.
ALTER TABLE meta ADD COLUMN removed_user INTEGER NOT NULL DEFAULT 0;

UPDATE users SET is_new = 1, used_ms = max(unixepoch() * 1000, (SELECT time_ms FROM meta))
    WHERE id <> 0 AND nick = '' AND avatar = '' AND id NOT IN (
        SELECT user FROM personal
        UNION SELECT sender FROM entries UNION SELECT sender FROM sent
        UNION SELECT sender FROM revoked UNION SELECT revoker FROM revoked
        UNION SELECT user FROM requests UNION SELECT coalesce(inviter, 0) FROM requests
        UNION SELECT coalesce(decided_by, 0) FROM requests
        UNION SELECT user FROM restrictions UNION SELECT user FROM mentions
        UNION SELECT owner FROM groups UNION SELECT creator FROM groups
        UNION SELECT coalesce(former_owner, 0) FROM groups UNION SELECT coalesce(dismissed_by, 0) FROM groups);
";

/// What the module [`files`](super::files) keeps.
const FILES: &str = "
-- Complete files. name: 16 bytes. digest: the first bytes of the hash. bytes: what it counts for. unused_ms: since when it waits for a
-- message, 0 if its last use has ended; NULL while it is used. touched_ms: when its owner last claimed it, 0 if the owner has sent it since.
-- content: the id of its details in `contents`, whose log is the negative id of the file. sum: a checksum of the other columns that do
-- not change, and of the details.
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    owner INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    unused_ms INTEGER,
    touched_ms INTEGER NOT NULL,
    content INTEGER NOT NULL,
    sum INTEGER NOT NULL
);
CREATE INDEX files_by_content ON files (owner, digest, size, kind, bytes);
CREATE INDEX unused_files ON files (unused_ms) WHERE unused_ms IS NOT NULL;

-- Which entries use which files.
CREATE TABLE uses (
    log INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    file INTEGER NOT NULL,
    PRIMARY KEY (log, sequence, file)
) WITHOUT ROWID;
CREATE INDEX uses_by_file ON uses (file, log, sequence);
-- The greatest id of a file that was removed.
ALTER TABLE meta ADD COLUMN removed_file INTEGER NOT NULL DEFAULT 0;
";

/// What the module [`administer`](super::administer) keeps.
const ADMINISTER: &str = "
-- max_members: 0 for as many as the type allows. profile_changes and profile_ms: how often and when the profile was changed; 0 if never.
ALTER TABLE groups ADD COLUMN max_members INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN profile_changes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN profile_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX groups_by_type ON groups (group_type, log) WHERE dismissed_ms IS NULL;

-- Fields of groups (kind 1), of members (kind 2) and attributes of groups (kind 3). user is 0 but for those of members.
CREATE TABLE fields (
    log INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    user INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (log, kind, user, name)
) WITHOUT ROWID;
";

/// What the module [`push`](super::push) keeps.
const PUSH: &str = "
-- Tokens of push services. Ids only grow. A token is one user's.
CREATE TABLE push_tokens (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    platform INTEGER NOT NULL,
    token TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    UNIQUE (token, platform)
);
CREATE INDEX push_tokens_by_user ON push_tokens (user, id);
-- Users with tokens. pushed: the change through which the user was notified.
CREATE TABLE push_users (user INTEGER PRIMARY KEY, pushed INTEGER NOT NULL);
-- The newest id of a token.
ALTER TABLE meta ADD COLUMN push_token INTEGER NOT NULL DEFAULT 0;
";

/// What the module [`contacts`](super::contacts) keeps.
const CONTACTS: &str = "
-- valid_from: UserSigs issued before this time, in seconds, are void. deleted: nobody has this account, until it is opened again.
-- contacts_version: how often the user's contacts were changed. contacts: what is said of the list.
ALTER TABLE users ADD COLUMN valid_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN contacts_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN contacts TEXT NOT NULL DEFAULT '';
-- number: the version of the list when the contact was added.
CREATE TABLE contacts (
    user INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    number INTEGER NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (user, contact)
) WITHOUT ROWID;
CREATE INDEX contacts_by_contact ON contacts (contact);
";

/// What the module [`blocked`](super::blocked) keeps.
const BLOCKED: &str = "
-- blocked: the user may not log in.
ALTER TABLE users ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
";

/// The first version whose stores have a log.
const WITH_LOG: u32 = FIRST + 2;
const _: () = assert!(WITH_LOG <= VERSION);

/// Creates the tables of an empty database, or migrates those of an older version; refuses a database of a newer program, and one
/// from before the first version. Returns whether a hub that used it has made a log.
pub(super) fn migrate(connection: &Connection) -> Result<bool, OpenError> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = match found {
        0 => STEPS.as_slice(),
        FIRST..=VERSION => STEPS.get((found - FIRST + 1) as usize..).unwrap_or(&[]),
        1..FIRST => return Err(OpenError::OldSchema { found, known: FIRST }),
        _ => {
            return Err(OpenError::NewerSchema {
                found,
                known: VERSION,
            });
        }
    };
    if !steps.is_empty() {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(found >= WITH_LOG)
}

/// The definitions of all tables and indices, in order.
pub(super) fn statements(db: &Connection) -> rusqlite::Result<Vec<[String; 4]>> {
    let mut statement =
        db.prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        // SQLite's own tables for statistics come and go.
        if !name.starts_with("sqlite_stat") {
            found.push([row.get(0)?, name, row.get(2)?, row.get(3)?]);
        }
    }
    Ok(found)
}

/// What [`statements`] finds in an intact database.
pub(super) fn expected() -> rusqlite::Result<Vec<[String; 4]>> {
    let database = Connection::open_in_memory()?;
    for step in STEPS {
        database.execute_batch(step)?;
    }
    statements(&database)
}
