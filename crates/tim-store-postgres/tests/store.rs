//! The store's conformance suite on PostgreSQL, and what only this engine promises.

mod server;

use server::Database;
use tim_store::Store;
use tim_store::suite::Engine;

/// A database of its own for each test.
struct Postgres(Database);

impl Postgres {
    fn fresh() -> Box<dyn Engine> {
        Box::new(Self(Database::new()))
    }
}

impl Engine for Postgres {
    fn open(&self) -> Store {
        tim_store_postgres::open(&self.0.url()).unwrap().into()
    }

    fn copy(&self) -> Box<dyn Engine> {
        Box::new(Self(Database::of(&self.0.name)))
    }
}

tim_store::suite!(Postgres::fresh);
