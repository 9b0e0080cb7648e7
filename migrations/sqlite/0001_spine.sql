-- The spine: checks, their slots and health, incidents, alerts, deliveries, and history on its way.
-- The same tables as in PostgreSQL. Ids are blobs of 16 bytes, instants are INTEGER milliseconds
-- since the Unix epoch, yes and no are 1 and 0.

CREATE TABLE projects (
    id         BLOB PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT, WITHOUT ROWID;

INSERT INTO projects (id, slug) VALUES (zeroblob(16), 'default');

-- What users configured. Wide and quiet: nothing here moves when a check runs.
CREATE TABLE checks (
    id             BLOB PRIMARY KEY,
    project_id     BLOB NOT NULL REFERENCES projects (id),
    config         TEXT NOT NULL,
    webhook_secret TEXT,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER,
    -- Name and URL in lower case, each on a line.
    searched       TEXT NOT NULL
) STRICT;

CREATE INDEX checks_listed ON checks (project_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX checks_deleted ON checks (deleted_at) WHERE deleted_at IS NOT NULL;

-- Where a check stands in one region: its slot ledger and its health. Narrow and busy.
CREATE TABLE check_regions (
    check_id      BLOB NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region        TEXT NOT NULL,
    project_id    BLOB NOT NULL,
    version       INTEGER NOT NULL,
    interval_ms   INTEGER NOT NULL,
    timeout_ms    INTEGER NOT NULL,
    threshold     INTEGER NOT NULL,
    next_slot     INTEGER,
    out_slot      INTEGER,
    out_until     INTEGER,
    last_slot     INTEGER,
    state         TEXT NOT NULL DEFAULT 'pending',
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    PRIMARY KEY (check_id, region)
) STRICT, WITHOUT ROWID;

CREATE INDEX check_regions_next ON check_regions (next_slot) WHERE next_slot IS NOT NULL;

-- A check and where it stands over all its regions.
CREATE VIEW check_views AS
SELECT c.*,
       (SELECT min(next_slot) FROM check_regions WHERE check_id = c.id) AS next_slot,
       (SELECT max(last_slot) FROM check_regions WHERE check_id = c.id) AS last_slot,
       CASE WHEN NOT (c.config ->> 'enabled') THEN 'paused'
            WHEN EXISTS (SELECT 1 FROM check_regions WHERE check_id = c.id AND state = 'down') THEN 'down'
            WHEN EXISTS (SELECT 1 FROM check_regions WHERE check_id = c.id AND state = 'up') THEN 'up'
            ELSE 'pending' END AS status
FROM checks c
WHERE c.deleted_at IS NULL;

CREATE TABLE incidents (
    id            BLOB PRIMARY KEY,
    project_id    BLOB NOT NULL,
    check_id      BLOB NOT NULL,
    started_slot  INTEGER NOT NULL,
    opened_at     INTEGER NOT NULL,
    resolved_slot INTEGER,
    resolution    TEXT,
    cause         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One outage, one incident: whatever races, a check never has two open ones.
CREATE UNIQUE INDEX incidents_one_open ON incidents (check_id) WHERE resolved_slot IS NULL;
CREATE INDEX incidents_of_check ON incidents (check_id, id DESC);

CREATE TABLE alerts (
    id          BLOB PRIMARY KEY,
    project_id  BLOB NOT NULL,
    check_id    BLOB NOT NULL,
    incident_id BLOB NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    raised_at   INTEGER NOT NULL,
    UNIQUE (incident_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_of_check ON alerts (check_id, id DESC);

-- The outbox. `sequence` orders the alerts of one incident; `schedule_step` is the place in the
-- retry schedule, `attempts` counts all attempts over all replays.
CREATE TABLE deliveries (
    id              BLOB PRIMARY KEY,
    project_id      BLOB NOT NULL,
    check_id        BLOB NOT NULL,
    incident_id     BLOB NOT NULL,
    alert_id        BLOB NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL,
    sequence        INTEGER NOT NULL,
    channel         TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'pending',
    next_attempt_at INTEGER NOT NULL,
    schedule_step   INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    leased_until    INTEGER,
    UNIQUE (alert_id, channel)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_of_incident ON deliveries (incident_id, channel, sequence);

CREATE TABLE attempts (
    id               BLOB PRIMARY KEY,
    project_id       BLOB NOT NULL,
    check_id         BLOB NOT NULL,
    delivery_id      BLOB NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number           INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    request_headers  TEXT,
    status           INTEGER,
    response_headers TEXT,
    response_body    TEXT,
    error            TEXT,
    latency_ms       INTEGER,
    timed_out        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (delivery_id, number)
) STRICT;

CREATE INDEX attempts_of_check ON attempts (check_id, id DESC);

CREATE TABLE idempotency_keys (
    project_id   BLOB NOT NULL,
    key          TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    check_id     BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- History on its way: sealed by the transaction that made it, grouped into shipments, gone once it
-- has arrived. A shipment's batches never change, so shipping it again ships the same bytes.
CREATE TABLE history_shipments (
    id           BLOB PRIMARY KEY,
    leased_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history_batches (
    id          BLOB PRIMARY KEY,
    shipment_id BLOB REFERENCES history_shipments (id) ON DELETE CASCADE,
    row_count   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    rows        TEXT NOT NULL
) STRICT;

CREATE INDEX history_batches_waiting ON history_batches (id) WHERE shipment_id IS NULL;
CREATE INDEX history_batches_shipment ON history_batches (shipment_id) WHERE shipment_id IS NOT NULL;
