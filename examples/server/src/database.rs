//! The database: its pool, and the queries.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use crate::settings::Settings;

/// How long the database has to answer when the server starts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request waits for a connection until it is answered with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A row of the table `items`.
#[derive(Serialize)]
pub struct Item {
    id: i64,
    name: String,
}

/// Creates the table if it is missing, and returns a pool of connections.
///
/// A program with a history of schemas uses `sqlx::migrate!` here.
pub async fn connect(settings: &Settings) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = settings.database_url.parse().context(
        "DATABASE_URL is no address of a database; set for example DATABASE_URL=postgres://user@localhost/shop",
    )?;
    // A connection of its own: the pool would try again and again, and hide why it fails.
    let mut connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options))
        .await
        .map_err(anyhow::Error::new)
        .and_then(|connected| Ok(connected?))
        .context("the database does not answer; start PostgreSQL, or correct DATABASE_URL")?;
    let create = "CREATE TABLE IF NOT EXISTS items (\
                  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)";
    sqlx::query(create)
        .execute(&mut connection)
        .await
        .context("the table `items` could not be created; let the user of DATABASE_URL create tables")?;
    connection.close().await?;
    let pool = PgPoolOptions::new().max_connections(settings.database_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

/// Adds an item, and returns it with its number.
pub async fn insert_item(pool: &PgPool, name: &str) -> sqlx::Result<Item> {
    let insert = "INSERT INTO items (name) VALUES ($1) RETURNING id, name";
    let (id, name) = sqlx::query_as(insert).bind(name).fetch_one(pool).await?;
    Ok(Item { id, name })
}

/// Returns the item with this number, if there is one.
pub async fn find_item(pool: &PgPool, id: i64) -> sqlx::Result<Option<Item>> {
    let select = "SELECT id, name FROM items WHERE id = $1";
    let row = sqlx::query_as(select).bind(id).fetch_optional(pool).await?;
    Ok(row.map(|(id, name)| Item { id, name }))
}
