-- Many incidents at once, told of as one. `shared` is what was seen of an incident that others may share, as JSON;
-- `told_at` is when channels were first told of it by itself. A storm is an incident of that kind; `gathers` says
-- whether more may join it.
ALTER TABLE incidents
    ADD COLUMN shared  TEXT,
    ADD COLUMN told_at BIGINT,
    ADD COLUMN gathers BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX incidents_told ON incidents (project_id, told_at) WHERE told_at IS NOT NULL;
CREATE INDEX incidents_storms ON incidents (project_id) WHERE kind = 'storm' AND resolved_slot IS NULL;
CREATE UNIQUE INDEX incidents_one_gathers ON incidents (project_id) WHERE gathers AND resolved_slot IS NULL;
