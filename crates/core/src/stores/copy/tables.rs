//! What a state store holds, table by table, in an order in which no row refers to a later one.

/// How a column's value crosses from SQLite to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same on both sides: texts and numbers.
    Plain,
    /// A UUID: 16 bytes there, `uuid` here.
    Id,
    /// An instant: milliseconds there, `timestamptz` here.
    Time,
    /// A JSON document: text there, `jsonb` here.
    Json,
    /// 0 and 1 there, `boolean` here.
    Flag,
    /// Bytes as they are.
    Bytes,
}

/// One table.
#[derive(Debug)]
pub struct Table {
    /// Its name, the same in both dialects.
    pub name: &'static str,
    /// What people call its rows.
    pub rows: &'static str,
    /// Its primary key.
    pub key: &'static [&'static str],
    /// All its columns that are copied.
    pub columns: &'static [(&'static str, Kind)],
}

use Kind::{Bytes, Flag, Id, Json, Plain, Time};

/// All of them but the history on its way, which has arrived by then, and `listening`: where a copy
/// goes, nobody has been there to hear a ping. `check_regions` comes last:
/// before it, nothing is due in the target.
pub const TABLES: [Table; 16] = [
    Table {
        name: "projects",
        rows: "projects",
        key: &["id"],
        columns: &[("id", Id), ("slug", Plain), ("created_at", Time)],
    },
    Table {
        name: "installation",
        rows: "installations",
        key: &["id"],
        columns: &[("id", Plain), ("link_key", Bytes), ("public_url", Plain)],
    },
    Table {
        name: "checks",
        rows: "checks",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("config", Json),
            ("webhook_secret", Plain),
            ("version", Plain),
            ("created_at", Time),
            ("updated_at", Time),
            ("deleted_at", Time),
        ],
    },
    Table {
        name: "settings",
        rows: "settings",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("kind", Plain),
            ("config", Json),
            ("version", Plain),
            ("created_at", Time),
            ("updated_at", Time),
        ],
    },
    Table {
        name: "channel_states",
        rows: "channels' states",
        key: &["project_id", "channel"],
        columns: &[
            ("project_id", Id),
            ("channel", Plain),
            ("failures", Plain),
            ("failing_since", Plain),
            ("open_until", Plain),
            ("disabled_at", Plain),
            ("reason", Plain),
            ("fallback", Id),
        ],
    },
    Table {
        name: "incidents",
        rows: "incidents",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("check_id", Id),
            ("started_slot", Plain),
            ("opened_at", Time),
            ("resolved_slot", Plain),
            ("resolution", Plain),
            ("cause", Plain),
            ("kind", Plain),
            ("severity", Plain),
            ("title", Plain),
            ("tags", Json),
            ("region", Plain),
            ("was", Plain),
            ("calm_since", Plain),
            ("acknowledged_at", Time),
            ("acknowledged_by", Plain),
            ("resolved_at", Time),
            ("resolved_by", Plain),
            ("follow_up_at", Plain),
            ("telling", Plain),
            ("parent_id", Id),
            ("shared", Plain),
            ("told_at", Plain),
            ("gathers", Flag),
        ],
    },
    Table {
        name: "incident_notes",
        rows: "notes",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("incident_id", Id),
            ("kind", Plain),
            ("author", Plain),
            ("body", Plain),
            ("written_at", Time),
        ],
    },
    Table {
        name: "alerts",
        rows: "alerts",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("check_id", Id),
            ("incident_id", Id),
            ("kind", Plain),
            ("raised_at", Time),
            ("message", Plain),
            ("number", Plain),
        ],
    },
    Table {
        name: "deliveries",
        rows: "deliveries",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("check_id", Id),
            ("incident_id", Id),
            ("alert_id", Id),
            ("kind", Plain),
            ("sequence", Plain),
            ("channel", Plain),
            ("channel_id", Id),
            ("body", Plain),
            ("state", Plain),
            ("next_attempt_at", Plain),
            ("schedule_step", Plain),
            ("attempts", Plain),
            ("leased_until", Plain),
            ("raised_at", Plain),
            ("instead_of", Id),
            ("stood_in", Flag),
        ],
    },
    Table {
        name: "attempts",
        rows: "attempts",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("check_id", Id),
            ("delivery_id", Id),
            ("number", Plain),
            ("started_at", Time),
            ("finished_at", Time),
            ("request_headers", Json),
            ("status", Plain),
            ("response_headers", Json),
            ("response_body", Plain),
            ("error", Plain),
            ("latency_ms", Plain),
            ("timed_out", Flag),
        ],
    },
    Table {
        name: "idempotency_keys",
        rows: "idempotency keys",
        key: &["project_id", "key"],
        columns: &[
            ("project_id", Id),
            ("key", Plain),
            ("request_hash", Bytes),
            ("check_id", Id),
            ("created_at", Time),
        ],
    },
    Table {
        name: "secrets",
        rows: "secrets",
        key: &["project_id", "name"],
        columns: &[
            ("project_id", Id),
            ("name", Plain),
            ("sealed", Bytes),
            ("created_at", Time),
            ("updated_at", Time),
        ],
    },
    Table {
        name: "heartbeats",
        rows: "heartbeats",
        key: &["check_id"],
        columns: &[
            ("check_id", Id),
            ("project_id", Id),
            ("token", Plain),
            ("expected", Plain),
            ("deadline", Plain),
            ("started", Plain),
            ("last_ping", Plain),
        ],
    },
    Table {
        name: "traits",
        rows: "traits",
        key: &["check_id", "region", "kind"],
        columns: &[("check_id", Id), ("region", Plain), ("kind", Plain), ("memory", Plain)],
    },
    Table {
        name: "changes",
        rows: "changes",
        key: &["id"],
        columns: &[
            ("id", Id),
            ("project_id", Id),
            ("check_id", Id),
            ("region", Plain),
            ("kind", Plain),
            ("before", Plain),
            ("after", Plain),
            ("slot", Plain),
        ],
    },
    Table {
        name: "check_regions",
        rows: "health states",
        key: &["check_id", "region"],
        columns: &[
            ("check_id", Id),
            ("region", Plain),
            ("project_id", Id),
            ("version", Plain),
            ("interval_ms", Plain),
            ("timeout_ms", Plain),
            ("threshold", Plain),
            ("alert_window", Plain),
            ("recovery", Plain),
            ("next_slot", Plain),
            ("out_slot", Plain),
            ("out_until", Plain),
            ("last_slot", Plain),
            ("state", Plain),
            ("failures", Plain),
            ("failing_since", Plain),
            ("trail", Plain),
            ("traits", Plain),
        ],
    },
];

impl Table {
    /// The table's columns, parted by commas.
    #[must_use]
    pub fn columns_listed(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The key's columns, parted by commas.
    #[must_use]
    pub fn key_listed(&self) -> String {
        self.key.join(", ")
    }
}
