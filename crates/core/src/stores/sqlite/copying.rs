//! State on its way to another store: rows as JSON objects, as PostgreSQL reads them.

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::AssertSqlSafe;

use super::{Sqlite, error};
use crate::ports::StoreResult;
use crate::stores::copy::tables::{Kind, Table};

impl Sqlite {
    /// All rows of `table`, each a JSON object.
    pub(in crate::stores) fn rows(&self, table: &Table) -> BoxStream<'_, StoreResult<String>> {
        let fields: Vec<String> = table
            .columns
            .iter()
            .map(|(name, kind)| format!("'{name}', {}", value(name, *kind)))
            .collect();
        // The names are our own: they stand in `tables`.
        let select =
            AssertSqlSafe(format!("SELECT json_object({}) FROM {}", fields.join(", "), table.name));
        Box::pin(sqlx::query_scalar(select).fetch(self.readers()).map_err(error))
    }

    /// Takes back every lease on history that waits: whoever held one is gone.
    pub(in crate::stores) async fn take_back_shipments(&self) -> StoreResult<()> {
        sqlx::query(
            "-- copying.take_back_shipments\n UPDATE history_shipments SET leased_until = 0",
        )
        .execute(self.state.writer())
        .await
        .map(drop)
        .map_err(error)
    }

    /// How many rows `table` has.
    pub(in crate::stores) async fn count(&self, table: &Table) -> StoreResult<u64> {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(self.readers()).await.map_err(error)?;
        Ok(rows.unsigned_abs())
    }
}

/// The expression that gives a column's value as PostgreSQL reads it out of JSON.
fn value(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Plain => name.to_owned(),
        Kind::Id => format!("iif({name} IS NULL, NULL, lower(hex({name})))"),
        Kind::Time => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {name} / 1000.0, 'unixepoch')"),
        Kind::Json => format!("json({name})"),
        Kind::Flag => format!("json(iif({name}, 'true', 'false'))"),
        Kind::Bytes => format!("'\\x' || lower(hex({name}))"),
    }
}
