//! The tables of a store, whatever the engine calls them.

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of its columns, from the first one, are its key.
    pub key: usize,
    /// The names of its columns. `account` is the id of a user.
    pub columns: &'static [&'static str],
    /// How many rows are read at once: fewer if they can be long.
    pub page: usize,
    /// Whether the first column is a log, and each log is compared by itself.
    pub is_by_log: bool,
}

/// Rows of numbers and short texts.
const SHORT: usize = 1_000;
/// Rows with up to a mebibyte.
const LONG: usize = 32;

const fn table(name: &'static str, key: usize, columns: &'static [&'static str]) -> Table {
    Table {
        name,
        key,
        columns,
        page: SHORT,
        is_by_log: false,
    }
}

/// All tables with what a store keeps, in the order in which they are copied. The last one says which change is the newest.
pub const TABLES: [Table; 19] = [
    table(
        "users",
        1,
        &[
            "id",
            "name",
            "nick",
            "avatar",
            "unread",
            "bytes",
            "conversations",
            "is_new",
            "used_ms",
            "valid_from",
            "deleted",
            "contacts_version",
            "contacts",
            "blocked",
        ],
    ),
    table(
        "logs",
        1,
        &[
            "id",
            "kind",
            "name",
            "sequence",
            "change",
            "countable",
            "last_sequence",
            "last_change",
            "first_kept",
            "first_time_ms",
            "purged_change",
            "purged_countable",
            "begun_by",
        ],
    ),
    table(
        "groups",
        1,
        &[
            "log",
            "group_type",
            "owner",
            "creation_random",
            "name",
            "introduction",
            "notification",
            "avatar",
            "created_ms",
            "creator",
            "member_count",
            "join_option",
            "invite_option",
            "mute_all",
            "former_owner",
            "dismissed_ms",
            "dismissed_by",
            "fingerprint",
            "max_members",
            "profile_changes",
            "profile_ms",
        ],
    ),
    table(
        "personal",
        2,
        &[
            "account",
            "log",
            "role",
            "joined_ms",
            "joined_at",
            "read_sequence",
            "read_countable",
            "own_total",
            "own_at_read",
            "hidden_through",
            "receive_option",
            "name_card",
        ],
    ),
    table("recent", 3, &["account", "listed", "change", "log", "unread"]),
    table("fields", 4, &["log", "kind", "account", "name", "value"]),
    table(
        "requests",
        3,
        &[
            "log",
            "account",
            "kind",
            "number",
            "inviter",
            "decided_by",
            "accepted",
            "time_ms",
        ],
    ),
    table(
        "restrictions",
        2,
        &["log", "account", "banned_until_ms", "muted_until_ms"],
    ),
    table("mentions", 3, &["log", "account", "sequence", "sender"]),
    table("contacts", 2, &["account", "contact", "number", "details"]),
    table(
        "push_tokens",
        1,
        &["id", "account", "platform", "token", "enabled"],
    ),
    table("push_users", 1, &["account", "pushed"]),
    table(
        "files",
        1,
        &[
            "id",
            "name",
            "owner",
            "kind",
            "size",
            "digest",
            "bytes",
            "created_ms",
            "unused_ms",
            "touched_ms",
            "details",
        ],
    ),
    table("uses", 3, &["log", "sequence", "file"]),
    table(
        "revoked",
        2,
        &[
            "log", "sequence", "sender", "counted", "revoker", "entry", "change", "time_ms",
        ],
    ),
    table(
        "sent",
        3,
        &[
            "client_time",
            "sender",
            "random",
            "sequence",
            "change",
            "time_ms",
            "fingerprint",
            "log",
        ],
    ),
    Table {
        page: LONG,
        is_by_log: true,
        ..table(
            "entries",
            2,
            &[
                "log",
                "sequence",
                "change",
                "time_ms",
                "sender",
                "client_time",
                "random",
                "origin",
                "flags",
                "kind",
                "countable",
                "body",
            ],
        )
    },
    table("epochs", 1, &["id", "first"]),
    table(
        "meta",
        1,
        &[
            "id",
            "change",
            "time_ms",
            "request",
            "removed_user",
            "removed_file",
            "push_token",
        ],
    ),
];

/// Where the key of a row ends.
pub(super) fn key_of<'a>(table: &Table, row: &'a [super::Value]) -> &'a [super::Value] {
    row.get(..table.key).unwrap_or(row)
}
