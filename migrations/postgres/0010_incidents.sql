-- Incidents as people work with them: how bad, who sees to it, what was said. `title` and `tags` are those of
-- an incident that has no check; such a one is its own `check_id`. `region` had the first failing slot; `was`
-- is what the check was in it before, and `calm_since` the end of the incident before. `resolved_slot` is the
-- first good slot; `resolved_at` is when the end was recognised.
ALTER TABLE incidents
    ADD COLUMN severity        TEXT NOT NULL DEFAULT 'down',
    ADD COLUMN title           TEXT,
    ADD COLUMN tags            JSONB,
    ADD COLUMN region          TEXT,
    ADD COLUMN was             TEXT,
    ADD COLUMN calm_since      BIGINT,
    ADD COLUMN acknowledged_at TIMESTAMPTZ,
    ADD COLUMN acknowledged_by TEXT,
    ADD COLUMN resolved_at     TIMESTAMPTZ,
    ADD COLUMN resolved_by     TEXT;

UPDATE incidents i SET resolved_at = a.raised_at FROM alerts a WHERE a.incident_id = i.id AND a.kind = 'resolved';

CREATE INDEX incidents_lasting ON incidents (project_id, id DESC) WHERE resolved_slot IS NULL;

-- What people did about an incident and said of it, in order.
CREATE TABLE incident_notes (
    id          UUID PRIMARY KEY,
    project_id  UUID NOT NULL,
    incident_id UUID NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    author      TEXT,
    body        TEXT NOT NULL,
    written_at  TIMESTAMPTZ NOT NULL
);

CREATE INDEX incident_notes_of_incident ON incident_notes (incident_id, id);

-- What all servers and workers of an installation share: the key that signs links in messages, drawn once,
-- and the address at which people reach them. One row.
CREATE TABLE installation (
    id         SMALLINT PRIMARY KEY CHECK (id = 1),
    link_key   BYTEA NOT NULL,
    public_url TEXT
);
