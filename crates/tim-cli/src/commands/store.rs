//! The store of `tim serve`: the data directory, or a PostgreSQL database.

use tim_hub::{Hub, HubOptions};
#[cfg(feature = "postgres")]
use tim_store::Store;
#[cfg(feature = "postgres")]
use tracing::warn;

use super::serve::cannot_open;
use crate::config::Settings;
use crate::error::Failure;
use crate::local::DataDir;

/// The place of a store as it may be shown: a password becomes `***`.
pub(super) fn without_password(store: &str) -> String {
    let Some((scheme, rest)) = store.split_once("://") else {
        // A list of keywords, as `psql` takes it, can have a password anywhere.
        return if store.contains('=') { "***" } else { store }.to_owned();
    };
    // As the driver does, credentials end at an `@`, whatever is before it; what follows up to the path may still be of a password.
    let from = rest.find('@').unwrap_or(0);
    let end = rest[from..].find(['/', '?']).map_or(rest.len(), |at| from + at);
    let (authority, path) = rest.split_at(end);
    let shown = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@{hosts}{path}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    // A password can be a parameter, too.
    let parameters = shown.split_inclusive(['?', '&']).map(|part| {
        let value = part.strip_prefix("password=");
        value.map_or_else(
            || part.to_owned(),
            |value| format!("password=***{}", if value.ends_with('&') { "&" } else { "" }),
        )
    });
    format!("{scheme}://{}", parameters.collect::<String>())
}

/// The schema of an application: each has one of its own.
#[cfg(feature = "postgres")]
pub(super) fn schema_of(app: u32) -> String {
    format!("tim_{app}")
}

/// A hub on the store that the settings name.
pub(super) async fn open_hub(
    settings: &Settings,
    options: HubOptions,
    data: &DataDir,
) -> Result<Hub, Failure> {
    match settings.store.as_str() {
        "directory" if let Some(place) = data.moved_to() => Err(moved(data, &place)),
        "directory" => Hub::open(data.path(), options).map_err(|error| cannot_open(&error, data)),
        url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            open_on_postgres(settings, options, data).await
        }
        other => Err(Failure::usage(format_args!(
            "--store {:?} is neither directory nor a postgres:// URL",
            without_password(other)
        ))),
    }
}

/// What was stored since the move is not in the directory.
fn moved(data: &DataDir, place: &str) -> Failure {
    let directory = data.path().display();
    Failure::failed(format_args!("the messages of {directory} were moved to {place}")).hint(format_args!(
        "name that database with --store; remove {directory}/moved-to to go on with what is in the directory instead, without what was stored since"
    ))
}

#[cfg(feature = "postgres")]
async fn open_on_postgres(settings: &Settings, options: HubOptions, data: &DataDir) -> Result<Hub, Failure> {
    if settings.max_data > 0 {
        return Err(Failure::usage(
            "--max-data is of the data directory: limit the size of a PostgreSQL database there",
        ));
    }
    if data.has_store() && data.moved_to().is_none() {
        warn!(
            "the messages in {} are not those of --store",
            data.path().display()
        );
    }
    let (url, schema) = (settings.store.clone(), schema_of(settings.app_id));
    let (data, is_shared) = (data.clone(), settings.store_shared);
    let opening = tokio::task::spawn_blocking(move || {
        let opened = tim_store_postgres::OpenOptions::new().schema(schema);
        let store = match is_shared {
            true => opened.open_shared(&url),
            false => opened.open(&url).map(Store::from),
        };
        let store = store.map_err(|error| Failure::failed(format_args!("--store: {error}")))?;
        Hub::with_store(options, store).map_err(|error| cannot_open(&error, &data))
    });
    opening.await.map_err(Failure::failed)?
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async)] // it is not there
async fn open_on_postgres(_: &Settings, _: HubOptions, _: &DataDir) -> Result<Hub, Failure> {
    Err(Failure::usage(
        "this program was built without --store postgres://: build it with the feature `postgres`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (given, shown) in [
            ("directory", "directory"),
            ("postgres://tim@db/tim", "postgres://tim@db/tim"),
            (
                "postgres://tim:s3:cr@t@db:1,db2/tim?x=@",
                "postgres://tim:***@db:1,db2/tim?x=@",
            ),
            (
                "postgres:///tim?user=tim&password=s3cret&x=1",
                "postgres:///tim?user=tim&password=***&x=1",
            ),
            ("postgers://tim:s3cret@db", "postgers://tim:***@db"),
            ("postgres://tim:s3/cr?t@db/tim", "postgres://tim:***@db/tim"),
            ("postgres://tim:s3@cret@db/tim", "postgres://tim:***@db/tim"),
            (
                "postgres:///tim?password=s3&password=cret",
                "postgres:///tim?password=***&password=***",
            ),
            ("host=db user=tim password=s3cret", "***"),
        ] {
            assert_eq!(without_password(given), shown);
        }
    }
}
