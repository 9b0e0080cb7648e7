-- History in a file of its own: what was seen, and its sums. A check that runs every ten seconds
-- makes three million runs a year, so rows are small: what is usual takes no room (integers 0 and 1,
-- NULL), and tables are their own index (WITHOUT ROWID). Instants are milliseconds since the Unix epoch.

-- Whose runs these are, told once. Gone with its last run and sum.
CREATE TABLE series (
    id         INTEGER PRIMARY KEY,
    project_id BLOB NOT NULL,
    check_id   BLOB NOT NULL,
    region     TEXT NOT NULL,
    UNIQUE (project_id, check_id, region)
) STRICT;

-- outcome is NULL for `ok`, and so is a reason that there is none of. started_after_ms counts from the
-- slot, and may be negative. address has 4 or 16 bytes.
CREATE TABLE runs (
    series           INTEGER NOT NULL,
    slot             INTEGER NOT NULL,
    slots            INTEGER NOT NULL,
    outcome          TEXT,
    reason           TEXT,
    attempt          INTEGER NOT NULL,
    started_after_ms INTEGER NOT NULL,
    status_code      INTEGER NOT NULL,
    dns_us           INTEGER NOT NULL,
    connect_us       INTEGER NOT NULL,
    tls_us           INTEGER NOT NULL,
    first_byte_us    INTEGER NOT NULL,
    total_us         INTEGER NOT NULL,
    address          BLOB,
    error            TEXT,
    PRIMARY KEY (series, slot)
) STRICT, WITHOUT ROWID;

-- Sums by minute, hour and day. The histogram is `Histogram::to_bytes`.
CREATE TABLE run_metrics (
    series         INTEGER NOT NULL,
    resolution_s   INTEGER NOT NULL,
    bucket         INTEGER NOT NULL,
    ok             INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    inconclusive   INTEGER NOT NULL,
    missed         INTEGER NOT NULL,
    latency_us_sum INTEGER NOT NULL,
    latency_count  INTEGER NOT NULL,
    histogram      BLOB NOT NULL,
    PRIMARY KEY (series, resolution_s, bucket)
) STRICT, WITHOUT ROWID;

-- Shipments that have arrived here, in their order, so that none is counted twice. The newest are
-- remembered by number, not by age: a machine may sleep for a month between arrival and receipt.
CREATE TABLE history_arrivals (
    number      INTEGER PRIMARY KEY,
    shipment_id BLOB NOT NULL UNIQUE
) STRICT;
