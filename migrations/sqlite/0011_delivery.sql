-- What an alert said, before any channel worded it: so that another channel can be told the same, later.
-- NULL for alerts of earlier versions.
ALTER TABLE alerts ADD COLUMN message TEXT;

-- When a delivery was written, by the store's clock; which delivery it was made instead of; and whether a
-- stand-in has been looked for because it waited too long.
ALTER TABLE deliveries ADD COLUMN raised_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN instead_of BLOB;
ALTER TABLE deliveries ADD COLUMN stood_in INTEGER NOT NULL DEFAULT 0;

UPDATE deliveries SET raised_at = (SELECT raised_at FROM alerts WHERE id = deliveries.alert_id);

-- What an alerter takes is found receiver by receiver, however much waits: what is tried for the first time, what failed
-- before, and tests, which have places of their own. The expression is that of the claim.
CREATE INDEX deliveries_waiting ON deliveries (project_id, channel,
    (CASE WHEN kind = 'test' THEN 2 WHEN schedule_step > 0 THEN 1 ELSE 0 END), next_attempt_at, id)
    WHERE state = 'pending';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'pending' AND leased_until IS NOT NULL;

CREATE INDEX deliveries_listed ON deliveries (project_id, id DESC);
CREATE INDEX deliveries_dead ON deliveries (project_id, raised_at) WHERE state = 'dead';
CREATE INDEX deliveries_late ON deliveries (raised_at) WHERE state = 'pending' AND stood_in = 0;

-- Receivers that have failed since they last answered well, and channels that Pulse has switched off.
-- `channel` is that of `deliveries`. A receiver that is well has no row. `fallback` is that of a channel
-- that has been removed, for what was on its way to it.
CREATE TABLE channel_states (
    project_id    BLOB NOT NULL,
    channel       TEXT NOT NULL,
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    open_until    INTEGER,
    disabled_at   INTEGER,
    reason        TEXT,
    fallback      BLOB,
    PRIMARY KEY (project_id, channel)
) STRICT, WITHOUT ROWID;
