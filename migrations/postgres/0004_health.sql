-- Health counts more than failures in a row: failures within a window, and good slots before a check
-- counts as recovered. All three are NULL for most rows, which stay as narrow as they were: failures
-- in a row, the first good slot, and nothing else to count. `trail` is JSON.
ALTER TABLE check_regions
    ADD COLUMN alert_window SMALLINT,
    ADD COLUMN recovery     SMALLINT,
    ADD COLUMN trail        TEXT;

CREATE OR REPLACE VIEW check_views AS
SELECT c.*, r.next_slot, r.last_slot,
       CASE WHEN NOT (c.config ->> 'enabled')::boolean THEN 'paused'
            WHEN r.any_down THEN 'down'
            WHEN r.any_degraded THEN 'degraded'
            WHEN r.any_up THEN 'up'
            ELSE 'pending' END AS status
FROM checks c,
LATERAL (
    SELECT min(next_slot) AS next_slot, max(last_slot) AS last_slot,
           bool_or(state = 'down') AS any_down, bool_or(state = 'degraded') AS any_degraded,
           bool_or(state = 'up') AS any_up
    FROM check_regions WHERE check_id = c.id
) r
WHERE c.deleted_at IS NULL;
