-- Checks that wait: what their job calls by, and what is expected of it next. Instants are NULL where
-- nothing is.
CREATE TABLE heartbeats (
    check_id   BLOB PRIMARY KEY REFERENCES checks (id) ON DELETE CASCADE,
    project_id BLOB NOT NULL,
    token      TEXT NOT NULL UNIQUE,
    expected   INTEGER,
    deadline   INTEGER,
    started    INTEGER,
    last_ping  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX heartbeats_overdue ON heartbeats (deadline) WHERE deadline IS NOT NULL;

-- Since when servers have been there to hear pings, and when one last said so. One row.
CREATE TABLE listening (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    since     INTEGER NOT NULL,
    last_said INTEGER NOT NULL
) STRICT;
