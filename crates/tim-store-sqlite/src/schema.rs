//! The tables.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{OpenError, revoke};

/// The migration steps, one per version. A new database takes all of them, so that it equals a migrated one.
pub(super) const STEPS: [&str; 8] = [
    TABLES,
    GROUPS,
    LEFTOVERS,
    OPEN_REQUESTS,
    EPOCHS,
    FINGERPRINTS,
    RESTRICTIONS,
    DELETED_IS_READ,
];

/// The version after all steps.
#[allow(clippy::cast_possible_truncation)]
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Version 1. Unsigned 64-bit numbers are stored bit for bit as SQLite's signed ones.
const TABLES: &str = "
-- The newest change number.
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), change INTEGER NOT NULL);
INSERT INTO meta VALUES (0, 0);

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
    purged_countable INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX logs_by_name ON logs (name, kind);
CREATE INDEX logs_by_age ON logs (first_time_ms) WHERE first_time_ms IS NOT NULL;

-- countable: of this log up to and with this entry.
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
    content BLOB NOT NULL,
    PRIMARY KEY (log, sequence)
) WITHOUT ROWID;

-- The ids of stored messages. Ordered by time, so that new ones share pages and old ones are cut off in one piece.
CREATE TABLE sent (
    client_time INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    random INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    change INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (client_time, sender, random)
) WITHOUT ROWID;

-- Revoked messages: sender and counted are the message's, entry is the revocation's place.
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

-- What is one user's own in one log. role is NULL outside groups and for those who left.
-- own_at_read: own countable entries up to the read mark or the purged ones, whichever is further.
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
    PRIMARY KEY (user, log)
) WITHOUT ROWID;
CREATE INDEX members ON personal (log) WHERE role IS NOT NULL;

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
    member_count INTEGER NOT NULL
);
";

/// Version 2: group management.
const GROUPS: &str = "
-- The number of the newest application or invitation.
ALTER TABLE meta ADD COLUMN request INTEGER NOT NULL DEFAULT 0;

ALTER TABLE personal ADD COLUMN muted_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE personal ADD COLUMN receive_option INTEGER NOT NULL DEFAULT 1;
ALTER TABLE personal ADD COLUMN name_card TEXT NOT NULL DEFAULT '';

-- Members in the order in which they joined; the few who manage a group apart.
DROP INDEX members;
CREATE INDEX members ON personal (log, joined_ms, user) WHERE role IS NOT NULL;
CREATE INDEX managers ON personal (log, joined_ms, user) WHERE role > 200;

-- The owner before this one, and of a group that is no more (its log has kind 4): when, and by whom.
ALTER TABLE groups ADD COLUMN join_option INTEGER NOT NULL DEFAULT 1;
ALTER TABLE groups ADD COLUMN invite_option INTEGER NOT NULL DEFAULT 1;
ALTER TABLE groups ADD COLUMN mute_all INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN former_owner INTEGER;
ALTER TABLE groups ADD COLUMN dismissed_ms INTEGER;
ALTER TABLE groups ADD COLUMN dismissed_by INTEGER;
UPDATE groups SET
    join_option = CASE group_type WHEN 1 THEN 3 WHEN 2 THEN 2 ELSE 1 END,
    invite_option = CASE group_type WHEN 2 THEN 2 WHEN 3 THEN 3 WHEN 4 THEN 3 ELSE 1 END;

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

-- What users may not do in an AVChatRoom, whose members are not stored.
CREATE TABLE restrictions (
    log INTEGER NOT NULL,
    user INTEGER NOT NULL,
    banned_until_ms INTEGER NOT NULL,
    muted_until_ms INTEGER NOT NULL,
    PRIMARY KEY (log, user)
) WITHOUT ROWID;

-- Messages that mention a member; user 0 is everybody: one row, however many members there are.
CREATE TABLE mentions (
    log INTEGER NOT NULL,
    user INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    PRIMARY KEY (log, user, sequence)
) WITHOUT ROWID;
";

/// Version 3: data that is no longer read is deleted.
const LEFTOVERS: &str = "
-- Who leaves a group has no row in personal any more: role is NULL outside groups only.
DELETE FROM personal WHERE role IS NULL AND log IN (SELECT id FROM logs WHERE kind IN (2, 4));
-- Of a group that is no more its id is kept, its type, and who made, owned and ended it.
UPDATE groups SET name = '', introduction = '', notification = '', avatar = '' WHERE dismissed_ms IS NOT NULL;

-- For removing what is old or over without looking at the rest.
CREATE INDEX mentions_by_sequence ON mentions (log, sequence);
CREATE INDEX restrictions_by_end ON restrictions (max(banned_until_ms, muted_until_ms));
";

/// Version 4: an index of the open requests.
const OPEN_REQUESTS: &str = "
CREATE INDEX open_requests ON requests (log, kind) WHERE accepted IS NULL;
";

/// Version 5: the epochs, and the time of the newest change.
const EPOCHS: &str = "
-- One row for each opening that changed something; ids grow. first: the newest change before it.
CREATE TABLE epochs (id INTEGER PRIMARY KEY, first INTEGER NOT NULL);

-- When the newest change was made; 0 before the first one.
ALTER TABLE meta ADD COLUMN time_ms INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET time_ms = coalesce((
    SELECT e.time_ms FROM (SELECT id, sequence FROM logs ORDER BY change DESC LIMIT 1) l
    JOIN entries e ON e.log = l.id AND e.sequence = l.sequence), 0);
";

/// Version 6: fingerprints of messages and groups. NULL for earlier ones, which are compared with the entry.
const FINGERPRINTS: &str = "
ALTER TABLE sent ADD COLUMN fingerprint INTEGER;
ALTER TABLE groups ADD COLUMN fingerprint INTEGER;
";

/// Version 7: mutes outlive membership, and the contents of revoked messages are removed ([`revoke::remove_all`]).
const RESTRICTIONS: &str = "
-- What users may not do in a group, whether they are members or not.
INSERT INTO restrictions SELECT log, user, 0, muted_until_ms FROM personal WHERE muted_until_ms > 0
    ON CONFLICT (log, user) DO UPDATE SET muted_until_ms = max(muted_until_ms, excluded.muted_until_ms);
ALTER TABLE personal DROP COLUMN muted_until_ms;

DELETE FROM mentions WHERE EXISTS
    (SELECT 1 FROM revoked r WHERE r.log = mentions.log AND r.sequence = mentions.sequence);
";

/// Version 8: deleted conversations are read.
const DELETED_IS_READ: &str = "
UPDATE personal SET
    own_at_read = own_total - (SELECT count(*) FROM entries e
        WHERE e.log = personal.log AND e.sequence > hidden_through AND e.sender = personal.user AND e.flags & 2 = 0),
    read_countable = coalesce(
        (SELECT e.countable FROM entries e WHERE e.log = personal.log AND e.sequence = hidden_through),
        (SELECT l.purged_countable FROM logs l WHERE l.id = personal.log)),
    read_sequence = hidden_through
WHERE hidden_through > read_sequence;
";

/// Creates the tables of an empty database, or migrates old ones; refuses a database of a newer program.
pub(super) fn migrate(connection: &Connection) -> Result<(), OpenError> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(OpenError::NewerSchema {
            found,
            known: VERSION,
        });
    }
    if found < VERSION {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        let steps = STEPS.get(found as usize..).unwrap_or(&[]);
        for step in steps {
            transaction.execute_batch(step)?;
            if *step == RESTRICTIONS {
                revoke::remove_all(&transaction)?;
            }
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}
