-- What people configured besides checks: where they are told, and of what. `kind` says which; `config`
-- is what the models read. Few and quiet.
CREATE TABLE settings (
    id         UUID PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (id),
    kind       TEXT NOT NULL,
    config     JSONB NOT NULL,
    version    INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX settings_listed ON settings (project_id, kind, id DESC);

-- Which channel a delivery is for; NULL where a check's own webhook is. `channel` stays the name by
-- which deliveries for one receiver are told from those for others.
ALTER TABLE deliveries ADD COLUMN channel_id UUID;

-- Not every incident is an outage of a check: a test of a channel is none, has no check, and is over at once.
ALTER TABLE incidents ADD COLUMN kind TEXT NOT NULL DEFAULT 'outage';
