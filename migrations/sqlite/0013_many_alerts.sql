-- no-transaction
-- An incident has one end, and may be told of often: `number` tells alerts of a kind apart, from 1.
-- A constraint goes with its table, and a table with what refers to it, unless nobody looks (sqlite.org/lang_altertable.html,
-- section 7); that cannot be said within a transaction. Begun again from anywhere it comes to the same.
PRAGMA foreign_keys = OFF;

BEGIN IMMEDIATE;

CREATE TABLE alerts_anew (
    id          BLOB PRIMARY KEY,
    project_id  BLOB NOT NULL,
    check_id    BLOB NOT NULL,
    incident_id BLOB NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    raised_at   INTEGER NOT NULL,
    message     TEXT,
    number      INTEGER NOT NULL DEFAULT 1,
    UNIQUE (incident_id, kind, number)
) STRICT, WITHOUT ROWID;

INSERT INTO alerts_anew (id, project_id, check_id, incident_id, kind, raised_at, message)
SELECT id, project_id, check_id, incident_id, kind, raised_at, message FROM alerts;

DROP TABLE alerts;
ALTER TABLE alerts_anew RENAME TO alerts;
CREATE INDEX alerts_of_check ON alerts (check_id, id DESC);

COMMIT;

PRAGMA foreign_keys = ON;
