-- The spine: checks, their slots and health, incidents, alerts, deliveries, and history on its way.
-- Slots and other instants that rules reckon with are BIGINT milliseconds since the Unix epoch;
-- instants that are only shown are TIMESTAMPTZ.

CREATE TABLE projects (
    id         UUID PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

INSERT INTO projects (id, slug) VALUES ('00000000-0000-0000-0000-000000000000', 'default');

-- What users configured. Wide and quiet: nothing here moves when a check runs.
CREATE TABLE checks (
    id             UUID PRIMARY KEY,
    project_id     UUID NOT NULL REFERENCES projects (id),
    config         JSONB NOT NULL,
    webhook_secret TEXT,
    version        INTEGER NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    deleted_at     TIMESTAMPTZ
);

CREATE INDEX checks_listed ON checks (project_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX checks_deleted ON checks (deleted_at) WHERE deleted_at IS NOT NULL;

-- Where a check stands in one region: its slot ledger and its health. Narrow and busy. Only
-- next_slot is indexed, and only claims move it, so that recording stays HOT.
CREATE TABLE check_regions (
    check_id      UUID NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region        TEXT NOT NULL,
    project_id    UUID NOT NULL,
    version       INTEGER NOT NULL,
    interval_ms   INTEGER NOT NULL,
    timeout_ms    INTEGER NOT NULL,
    threshold     SMALLINT NOT NULL,
    next_slot     BIGINT,
    out_slot      BIGINT,
    out_until     BIGINT,
    last_slot     BIGINT,
    state         TEXT NOT NULL DEFAULT 'pending',
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since BIGINT,
    PRIMARY KEY (check_id, region)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE INDEX check_regions_next ON check_regions (next_slot) WHERE next_slot IS NOT NULL;

-- A check and where it stands over all its regions.
CREATE VIEW check_views AS
SELECT c.*, r.next_slot, r.last_slot,
       CASE WHEN NOT (c.config ->> 'enabled')::boolean THEN 'paused'
            WHEN r.any_down THEN 'down'
            WHEN r.any_up THEN 'up'
            ELSE 'pending' END AS status
FROM checks c,
LATERAL (
    SELECT min(next_slot) AS next_slot, max(last_slot) AS last_slot,
           bool_or(state = 'down') AS any_down, bool_or(state = 'up') AS any_up
    FROM check_regions WHERE check_id = c.id
) r
WHERE c.deleted_at IS NULL;

CREATE TABLE incidents (
    id            UUID PRIMARY KEY,
    project_id    UUID NOT NULL,
    check_id      UUID NOT NULL,
    started_slot  BIGINT NOT NULL,
    opened_at     TIMESTAMPTZ NOT NULL,
    resolved_slot BIGINT,
    resolution    TEXT,
    cause         TEXT NOT NULL
);

-- One outage, one incident: whatever races, a check never has two open ones.
CREATE UNIQUE INDEX incidents_one_open ON incidents (check_id) WHERE resolved_slot IS NULL;
CREATE INDEX incidents_of_check ON incidents (check_id, id DESC);

CREATE TABLE alerts (
    id          UUID PRIMARY KEY,
    project_id  UUID NOT NULL,
    check_id    UUID NOT NULL,
    incident_id UUID NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    raised_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (incident_id, kind)
);

CREATE INDEX alerts_of_check ON alerts (check_id, id DESC);

-- The outbox. `sequence` orders the alerts of one incident; `schedule_step` is the place in the
-- retry schedule, `attempts` counts all attempts over all replays.
CREATE TABLE deliveries (
    id              UUID PRIMARY KEY,
    project_id      UUID NOT NULL,
    check_id        UUID NOT NULL,
    incident_id     UUID NOT NULL,
    alert_id        UUID NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    kind            TEXT NOT NULL,
    sequence        SMALLINT NOT NULL,
    channel         TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'pending',
    next_attempt_at BIGINT NOT NULL,
    schedule_step   INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    leased_until    BIGINT,
    UNIQUE (alert_id, channel)
);

CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_of_incident ON deliveries (incident_id, channel, sequence);

CREATE TABLE attempts (
    id               UUID PRIMARY KEY,
    project_id       UUID NOT NULL,
    check_id         UUID NOT NULL,
    delivery_id      UUID NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number           INTEGER NOT NULL,
    started_at       TIMESTAMPTZ NOT NULL,
    finished_at      TIMESTAMPTZ,
    request_headers  JSONB,
    status           INTEGER,
    response_headers JSONB,
    response_body    TEXT,
    error            TEXT,
    latency_ms       INTEGER,
    timed_out        BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (delivery_id, number)
);

CREATE INDEX attempts_of_check ON attempts (check_id, id DESC);

CREATE TABLE idempotency_keys (
    project_id   UUID NOT NULL,
    key          TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    check_id     UUID NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, key)
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- History on its way: sealed by the transaction that made it, grouped into shipments, gone once it
-- has arrived. A shipment's batches never change, so shipping it again ships the same bytes.
CREATE TABLE history_shipments (
    id           UUID PRIMARY KEY,
    leased_until BIGINT NOT NULL
);

CREATE TABLE history_batches (
    id          UUID PRIMARY KEY,
    shipment_id UUID REFERENCES history_shipments (id) ON DELETE CASCADE,
    row_count   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    rows        TEXT NOT NULL
);

CREATE INDEX history_batches_waiting ON history_batches (id) WHERE shipment_id IS NULL;
CREATE INDEX history_batches_shipment ON history_batches (shipment_id) WHERE shipment_id IS NOT NULL;

-- History where no ClickHouse is configured: one partition a day, made when first needed and
-- dropped when its time is over.
CREATE TABLE runs (
    project_id    UUID NOT NULL,
    check_id      UUID NOT NULL,
    region        TEXT NOT NULL,
    slot          BIGINT NOT NULL,
    slots         INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    started_at    TIMESTAMPTZ NOT NULL,
    status_code   INTEGER NOT NULL,
    dns_us        BIGINT NOT NULL,
    connect_us    BIGINT NOT NULL,
    tls_us        BIGINT NOT NULL,
    first_byte_us BIGINT NOT NULL,
    total_us      BIGINT NOT NULL,
    address       TEXT NOT NULL,
    error         TEXT NOT NULL,
    PRIMARY KEY (check_id, slot, region)
) PARTITION BY RANGE (slot);

CREATE TABLE run_metrics (
    project_id     UUID NOT NULL,
    check_id       UUID NOT NULL,
    region         TEXT NOT NULL,
    resolution_s   INTEGER NOT NULL,
    bucket         BIGINT NOT NULL,
    ok             BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    inconclusive   BIGINT NOT NULL,
    missed         BIGINT NOT NULL,
    latency_us_sum BIGINT NOT NULL,
    latency_count  BIGINT NOT NULL,
    histogram      INTEGER[] NOT NULL,
    PRIMARY KEY (check_id, resolution_s, bucket, region)
) WITH (fillfactor = 70);

CREATE INDEX run_metrics_age ON run_metrics (resolution_s, bucket);

-- Shipments that have arrived here, so that none is counted twice.
CREATE TABLE history_arrivals (
    shipment_id UUID PRIMARY KEY,
    arrived_at  BIGINT NOT NULL
);

CREATE INDEX history_arrivals_age ON history_arrivals (arrived_at);
