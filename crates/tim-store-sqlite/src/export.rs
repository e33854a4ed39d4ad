//! The rows of a whole store, for a [transfer](tim_store::transfer) to another engine.

use std::path::Path;

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use tim_store::StoreError;
use tim_store::transfer::{Identity, Row, Rows, Source, Table, Value};

use super::rows::{check_entry, entries_columns, name_of, sql, unsigned};
use super::sums::damaged;
use super::{
    DATABASE, OpenError, OpenOptions, SqliteReader, SqliteWriter, check, open_reader, plain_error, size,
};

/// A page of rows is not continued beyond so many bytes.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A store that is being copied. No hub can use it meanwhile.
pub struct Export {
    db: Connection,
    identity: Identity,
    /// They keep hubs out.
    _store: (SqliteWriter, SqliteReader),
}

impl Export {
    /// Opens a data directory as a hub does: what a killed one has left in its log is taken over first. All of the store is checked
    /// then, and one that is damaged is refused.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(DATABASE);
        if size(&path)?.is_none() {
            return Err(OpenError::Lost { path });
        }
        let store = OpenOptions::new().open(dir)?;
        store.1.settle().map_err(OpenError::from_store)?;
        let in_file = |error| OpenError::from(error).in_file(&path);
        let mut db = open_reader(&path).map_err(in_file)?;
        db.execute_batch("BEGIN").map_err(in_file)?;
        let report = check::run(&mut db, None);
        let damage = report.broken.iter().cloned();
        let damage = damage.chain(report.damaged.iter().map(ToString::to_string));
        let files = report.damaged_files.iter();
        let damage: Vec<String> = damage
            .chain(files.map(|file| format!("what is stored about file {file}")))
            .collect();
        if !damage.is_empty() {
            let what = damage.join("; ");
            return Err(OpenError::Damaged { path, what });
        }
        let identity = identity(&db).map_err(in_file)?;
        Ok(Self {
            db,
            identity,
            _store: store,
        })
    }
}

fn identity(db: &Connection) -> rusqlite::Result<Identity> {
    db.query_row("SELECT salt, generation, change FROM meta", [], |row| {
        Ok(Identity::new(row.get(0)?, row.get(1)?, unsigned(row, 2)?))
    })
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// What a column is called here, in the table or beside it.
fn column(table: &Table, name: &str) -> String {
    match (table.name, name) {
        (_, "account") => "t.user".to_owned(),
        ("files", "details") => "c.body".to_owned(),
        (_, name) => format!("t.{name}"),
    }
}

/// The rows after a key. Those of entries are as [`check_entry`] reads them.
fn query(table: &Table, has_key: bool) -> String {
    let columns = |names: &[&str]| {
        let columns: Vec<String> = names.iter().map(|name| column(table, name)).collect();
        columns.join(", ")
    };
    let key = table.columns.get(..table.key).unwrap_or(table.columns);
    if table.name == "entries" {
        let after = if has_key {
            " WHERE (e.log, e.sequence) > (?2, ?3)"
        } else {
            ""
        };
        return format!(
            "SELECT {} {after} ORDER BY e.log, e.sequence LIMIT ?1",
            entries_columns!()
        );
    }
    let contents = match table.name {
        "files" => " CROSS JOIN contents c ON c.id = t.content",
        _ => "",
    };
    let after = match has_key {
        true => {
            let values: Vec<String> = (0..table.key).map(|number| format!("?{}", number + 2)).collect();
            format!(" WHERE ({}) > ({})", columns(key), values.join(", "))
        }
        false => String::new(),
    };
    format!(
        "SELECT {} FROM {} t{contents}{after} ORDER BY {} LIMIT ?1",
        columns(table.columns),
        table.name,
        columns(key)
    )
}

impl Rows for Export {
    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<Row>, StoreError> {
        read(&self.db, table, after, most)
            .map_err(|error| damaged(&self.db, &error).unwrap_or_else(|| plain_error(&error)))
    }
}

fn read(db: &Connection, table: &Table, after: Option<&[Value]>, most: usize) -> rusqlite::Result<Vec<Row>> {
    let mut statement = db.prepare_cached(&query(table, after.is_some()))?;
    let mut values = vec![Sql::Integer(sql(most as u64))];
    for value in after.unwrap_or(&[]) {
        values.push(match value {
            Value::Number(number) => Sql::Integer(*number),
            // Only texts are in keys.
            Value::Bytes(bytes) => Sql::Text(String::from_utf8_lossy(bytes).into_owned()),
            _ => Sql::Null,
        });
    }
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let row = match table.name {
            "entries" => entry(row)?,
            _ => (0..table.columns.len())
                .map(|column| value(row, column))
                .collect::<rusqlite::Result<Row>>()?,
        };
        bytes += row.iter().map(len).sum::<usize>();
        found.push(row);
        if bytes >= MAX_PAGE_BYTES {
            break;
        }
    }
    Ok(found)
}

/// The columns of an entry that its checksum fits.
fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    check_entry(row)?;
    [11, 0, 1, 2, 3, 5, 6, 7, 8, 9, 12, 10]
        .into_iter()
        .map(|column| value(row, column))
        .collect()
}

fn value(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Value> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Number(number)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(rusqlite::Error::InvalidColumnType(
            column,
            "a number".to_owned(),
            rusqlite::types::Type::Real,
        )),
    }
}

const fn len(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() + 8,
        _ => 8,
    }
}

impl Source for Export {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let text = format!("SELECT count(*) FROM {}", table.name);
        self.db
            .query_row(&text, [], |row| unsigned(row, 0))
            .map_err(|error| plain_error(&error))
    }

    fn log_name(&self, id: i64) -> String {
        name_of(&self.db, id)
    }
}
