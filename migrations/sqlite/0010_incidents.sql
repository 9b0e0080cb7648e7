-- Incidents as people work with them: how bad, who sees to it, what was said. `title` and `tags` are those of
-- an incident that has no check; such a one is its own `check_id`. `region` had the first failing slot; `was`
-- is what the check was in it before, and `calm_since` the end of the incident before. `resolved_slot` is the
-- first good slot; `resolved_at` is when the end was recognised.
ALTER TABLE incidents ADD COLUMN severity TEXT NOT NULL DEFAULT 'down';
ALTER TABLE incidents ADD COLUMN title TEXT;
ALTER TABLE incidents ADD COLUMN tags TEXT;
ALTER TABLE incidents ADD COLUMN region TEXT;
ALTER TABLE incidents ADD COLUMN was TEXT;
ALTER TABLE incidents ADD COLUMN calm_since INTEGER;
ALTER TABLE incidents ADD COLUMN acknowledged_at INTEGER;
ALTER TABLE incidents ADD COLUMN acknowledged_by TEXT;
ALTER TABLE incidents ADD COLUMN resolved_at INTEGER;
ALTER TABLE incidents ADD COLUMN resolved_by TEXT;

UPDATE incidents SET resolved_at = (
    SELECT raised_at FROM alerts WHERE incident_id = incidents.id AND alerts.kind = 'resolved');

CREATE INDEX incidents_lasting ON incidents (project_id, id DESC) WHERE resolved_slot IS NULL;

-- What people did about an incident and said of it, in order.
CREATE TABLE incident_notes (
    id          BLOB PRIMARY KEY,
    project_id  BLOB NOT NULL,
    incident_id BLOB NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    author      TEXT,
    body        TEXT NOT NULL,
    written_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX incident_notes_of_incident ON incident_notes (incident_id, id);

-- What all servers and workers of an installation share: the key that signs links in messages, drawn once,
-- and the address at which people reach them. One row.
CREATE TABLE installation (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    link_key   BLOB NOT NULL,
    public_url TEXT
) STRICT;
