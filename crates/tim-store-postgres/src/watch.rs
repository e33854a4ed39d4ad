//! Whether the database can be written to now.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tim_store::StoreError;

use super::OpenError;
use super::db::Connection;
use super::errors::{not_opened, plain_error};
use super::session::{Place, check_server};

/// For how long each server is waited for. Whoever asks whether a hub is ready waits for less than ten seconds.
const TIME: Duration = Duration::from_millis(1_500);
/// For how long the result is good.
const LIFE: Duration = Duration::from_millis(500);

/// Looks after the server on a connection of its own, which no reading and no batch holds up.
#[derive(Debug)]
pub(super) struct Watch {
    place: Place,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    found: Option<(Instant, Result<(), StoreError>)>,
}

impl Watch {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            state: Mutex::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        // Two who ask at a time look once.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = &state.found
            && at.elapsed() < LIFE
        {
            return found.clone();
        }
        let looked = self.look(state.connection.take());
        let found = looked.map(|connection| state.connection = Some(connection));
        state.found = Some((Instant::now(), found.clone()));
        found
    }

    /// Asks the server of the connection, or any if there is none.
    fn look(&self, connection: Option<Connection>) -> Result<Connection, StoreError> {
        if let Some(db) = connection {
            match check_server(&db) {
                Ok(Ok(())) => return Ok(db),
                // Another one may be the primary now.
                Ok(Err(OpenError::Standby | OpenError::ReadOnly { .. })) => {}
                Ok(Err(error)) => return Err(not_opened(error)),
                Err(_) if db.is_lost() => {}
                Err(error) => return Err(plain_error(&error)),
            }
        }
        let db = self.place.session_within(TIME).map_err(not_opened)?;
        db.answer_within(TIME);
        Ok(db)
    }
}
