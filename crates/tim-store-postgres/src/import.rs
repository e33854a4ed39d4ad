//! The rows of a whole store that come from another engine, in a [transfer](tim_store::transfer).
//!
//! Until it is complete, `usable_from` in `tim_schema` keeps all hubs out, also older ones, and the table `tim_migration` says where the
//! rows come from. It stays, so that a transfer that is begun again after its end finds that there is nothing to do.

use tim_store::StoreError;
use tim_store::transfer::{Begun, Identity, Row, Rows, Table, Target, TransferError, Value};
use tracing::warn;

use super::damage::damaged;
use super::db::{self, CommitError, Connection, Optional as _};
use super::errors::{commit_error, plain_error};
use super::rows::rows as limit;
use super::schema::{self, UNFINISHED};
use super::session::{Place, take_lock};
use super::value::{FromValue, Raw, ToValue, Value as Parameter, params};
use super::writer::COMMIT_TIME;
use super::{OpenError, OpenOptions};

/// A schema into which a store is copied. No hub can use it meanwhile.
#[derive(Debug)]
pub struct Import {
    db: Connection,
    schema: String,
}

impl OpenOptions {
    /// Opens the schema for a copy of another store. It is created if it does not exist; [`Target::begin`] finds out whether it is empty.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn import(&self, url: &str) -> Result<Import, OpenError> {
        let place = Place::new(url, &self.schema)?;
        let db = place.session()?;
        take_lock(&db, &place, None)?;
        match schema::migrate(&db, &self.schema) {
            Ok(()) | Err(OpenError::Unfinished { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(Import {
            db,
            schema: self.schema.clone(),
        })
    }
}

/// Whether there are rows that no transfer has made. The first rows of two tables are there from the beginning.
const HAS_ROWS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE id <> 0) OR EXISTS (SELECT 1 FROM logs) OR EXISTS (SELECT 1 FROM epochs)
    OR EXISTS (SELECT 1 FROM meta WHERE change <> 0 OR removed_user <> 0 OR removed_file <> 0)";

impl Import {
    /// From which store a transfer into this schema was begun, and whether it was completed.
    fn found(&self) -> db::Result<Option<(i64, i64, bool)>> {
        let is_there: bool = self
            .db
            .statement("SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = ?1::text AND tablename = 'tim_migration')")?
            .query_row([self.schema.as_str()], |row| row.get(0))?;
        if !is_there {
            return Ok(None);
        }
        self.db
            .statement("SELECT store, generation, is_complete FROM tim_migration")?
            .query_row(params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
    }

    fn start(&self, source: &Identity) -> db::Result<()> {
        self.db.send("BEGIN");
        self.db.batch(
            "CREATE TABLE tim_migration (
                 store BIGINT NOT NULL, generation BIGINT NOT NULL, usable_from BIGINT NOT NULL, is_complete BOOLEAN NOT NULL)",
        )?;
        self.db
            .statement(
                "INSERT INTO tim_migration SELECT ?1::bigint, ?2::bigint, usable_from, FALSE FROM tim_schema",
            )?
            .run([source.store, source.generation])?;
        self.db
            .statement("UPDATE tim_schema SET usable_from = ?1")?
            .run([UNFINISHED])?;
        // The source has these rows.
        self.db.batch("DELETE FROM users; DELETE FROM meta")
    }

    fn insert_rows(&self, table: &Table, rows: &[Row]) -> db::Result<()> {
        let places: Vec<String> = (1..=table.columns.len())
            .map(|number| format!("?{number}"))
            .collect();
        let text = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.name,
            table.columns.join(", "),
            places.join(", ")
        );
        let statement = self.db.statement(&text)?;
        self.db.send("BEGIN");
        for row in rows {
            statement.run(row.iter().map(ToValue::to_value).collect::<Vec<Parameter>>())?;
        }
        Ok(())
    }

    fn end(&self) -> db::Result<()> {
        self.db.send("BEGIN");
        // The next log gets the next id, and a hub finds the newest epoch.
        self.db.batch(
            "SELECT setval(pg_get_serial_sequence('logs', 'id'), greatest((SELECT max(id) FROM logs), 1));
             UPDATE meta SET epoch = (SELECT max(id) FROM epochs) WHERE id = 0;
             UPDATE tim_schema SET usable_from = (SELECT usable_from FROM tim_migration);
             UPDATE tim_migration SET is_complete = TRUE",
        )
    }

    /// Commits what was done, or takes it back.
    fn committed(&self, done: db::Result<()>) -> Result<(), StoreError> {
        let committed = done
            .map_err(CommitError::Before)
            .and_then(|()| self.db.commit(COMMIT_TIME));
        let error = match committed {
            Ok(()) => return Ok(()),
            Err(CommitError::Before(error)) => plain_error(&error),
            Err(CommitError::During(error)) => commit_error(&error),
        };
        if !self.db.is_lost() {
            // The first error counts.
            let _ = self.db.roll_back();
        }
        Err(error)
    }

    fn error(&self, error: &db::Error) -> StoreError {
        damaged(&self.db, error).unwrap_or_else(|| plain_error(error))
    }
}

impl Rows for Import {
    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<Row>, StoreError> {
        let key = table.columns.get(..table.key).unwrap_or(table.columns).join(", ");
        let after = after.unwrap_or(&[]);
        let condition = match after.len() {
            0 => String::new(),
            count => {
                let places: Vec<String> = (0..count).map(|number| format!("?{}", number + 2)).collect();
                format!(" WHERE ({key}) > ({})", places.join(", "))
            }
        };
        let text = format!(
            "SELECT {} FROM {}{condition} ORDER BY {key} LIMIT ?1",
            table.columns.join(", "),
            table.name
        );
        let mut values = vec![Parameter::Number(limit(most))];
        values.extend(after.iter().map(ToValue::to_value));
        self.read(&text, values, table.columns.len())
            .map_err(|error| self.error(&error))
    }
}

impl Import {
    fn read(&self, text: &str, values: Vec<Parameter>, columns: usize) -> db::Result<Vec<Row>> {
        let rows = self
            .db
            .statement(text)?
            .query_map(values, |row| (0..columns).map(|column| row.get(column)).collect())?;
        rows.collect()
    }
}

impl Target for Import {
    fn begin(&mut self, source: &Identity) -> Result<Begun, TransferError> {
        let target = |error: db::Error| TransferError::Target(self.error(&error));
        match self.found().map_err(target)? {
            Some((store, ..)) if store != source.store => return Err(TransferError::OtherSource),
            // Also of a complete copy: the directory has been used since.
            Some((_, generation, _)) if generation != source.generation => {
                return Err(TransferError::SourceChanged);
            }
            Some((_, _, true)) => return Ok(Begun::Complete),
            Some(_) => return Ok(Begun::Resumed),
            None => {}
        }
        let has_rows: bool = self
            .db
            .statement(HAS_ROWS)
            .and_then(|statement| statement.query_row(params![], |row| row.get(0)))
            .map_err(target)?;
        if has_rows {
            return Err(TransferError::NotEmpty);
        }
        self.committed(self.start(source))
            .map_err(TransferError::Target)?;
        Ok(Begun::Fresh)
    }

    fn newest_key(&self, table: &Table) -> Result<Option<Row>, StoreError> {
        let key = table.columns.get(..table.key).unwrap_or(table.columns);
        let descending: Vec<String> = key.iter().map(|column| format!("{column} DESC")).collect();
        let text = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            key.join(", "),
            table.name,
            descending.join(", ")
        );
        let found = self.read(&text, Vec::new(), key.len());
        found
            .map(|mut rows| rows.pop())
            .map_err(|error| self.error(&error))
    }

    fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        self.committed(self.insert_rows(table, rows))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.committed(self.end())?;
        // What a server knows of tables that were just filled decides how it reads them.
        // The copy is complete without it, and autovacuum does it later.
        if let Err(error) = self.db.batch("ANALYZE") {
            warn!(%error, "the tables were not analyzed");
        }
        Ok(())
    }
}

impl ToValue for Value {
    fn to_value(&self) -> Parameter {
        match self {
            Self::Number(number) => Parameter::Number(*number),
            Self::Bytes(bytes) => Parameter::Bytes(bytes.clone()),
            _ => Parameter::Null,
        }
    }
}

impl FromValue for Value {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        Some(match raw {
            Raw::Null => Self::Null,
            Raw::Number(number) => Self::Number(number),
            Raw::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_store::transfer::TABLES;

    /// What hubs on this engine keep for themselves, beside what a store keeps.
    const OWN: [&str; 5] = ["meta.epoch", "meta.turn", "meta.hubs", "hubs", "turns"];

    #[test]
    fn every_table_and_column_is_copied() {
        let made = schema::tables();
        let missing = made
            .iter()
            .filter(|made| TABLES.iter().all(|table| table.name != made.as_str()));
        let missing: Vec<_> = missing.filter(|made| !OWN.contains(&made.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
        for table in TABLES {
            let made = schema::columns(table.name);
            assert!(
                table
                    .columns
                    .iter()
                    .all(|column| made.iter().any(|made| made == column))
            );
            let missing = made.iter().filter(|made| !table.columns.contains(&made.as_str()));
            let missing = missing.map(|column| format!("{}.{column}", table.name));
            let missing: Vec<_> = missing.filter(|column| !OWN.contains(&column.as_str())).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }
}
