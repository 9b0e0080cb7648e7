-- Checks that wait: what their job calls by, and what is expected of it next. Instants are NULL where
-- nothing is. Locked before the check's regions.
CREATE TABLE heartbeats (
    check_id   UUID PRIMARY KEY REFERENCES checks (id) ON DELETE CASCADE,
    project_id UUID NOT NULL,
    token      TEXT NOT NULL UNIQUE,
    expected   BIGINT,
    deadline   BIGINT,
    started    BIGINT,
    last_ping  BIGINT
) WITH (fillfactor = 70);

CREATE INDEX heartbeats_overdue ON heartbeats (deadline) WHERE deadline IS NOT NULL;

-- Since when servers have been there to hear pings, and when one last said so. One row.
CREATE TABLE listening (
    id        SMALLINT PRIMARY KEY CHECK (id = 1),
    since     BIGINT NOT NULL,
    last_said BIGINT NOT NULL
);
