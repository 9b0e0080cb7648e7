//! Lists on their way into a statement: one JSON text, an array of rows, each an array of cells. Not
//! through `json_each`, which writes each row out as text again for every cell that is asked for.

use serde_json::{Value, json};
use uuid::Uuid;

/// Rows for `jsonb_each(?)`: cell `n` of a row is `value ->> n`, an id is `unhex(value ->> n)`.
pub(super) fn rows<T, const CELLS: usize>(
    of: impl IntoIterator<Item = T>,
    cells: impl Fn(T) -> [Value; CELLS],
) -> String {
    let rows: Vec<Value> = of.into_iter().map(|one| cells(one).to_vec().into()).collect();
    Value::Array(rows).to_string()
}

/// Ids for `jsonb_each(?)`: each is `unhex(value)`.
pub(super) fn ids(of: impl IntoIterator<Item = Uuid>) -> String {
    Value::Array(of.into_iter().map(id).collect()).to_string()
}

pub(super) fn id(of: Uuid) -> Value {
    json!(of.simple())
}
