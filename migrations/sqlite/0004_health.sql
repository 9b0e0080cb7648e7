-- Health counts more than failures in a row: failures within a window, and good slots before a check
-- counts as recovered. All three are NULL for most rows, which stay as narrow as they were: failures
-- in a row, the first good slot, and nothing else to count. `trail` is JSON.
ALTER TABLE check_regions ADD COLUMN alert_window INTEGER;
ALTER TABLE check_regions ADD COLUMN recovery INTEGER;
ALTER TABLE check_regions ADD COLUMN trail TEXT;

DROP VIEW check_views;
CREATE VIEW check_views AS
SELECT c.*,
       (SELECT min(next_slot) FROM check_regions WHERE check_id = c.id) AS next_slot,
       (SELECT max(last_slot) FROM check_regions WHERE check_id = c.id) AS last_slot,
       CASE WHEN NOT (c.config ->> 'enabled') THEN 'paused'
            WHEN EXISTS (SELECT 1 FROM check_regions WHERE check_id = c.id AND state = 'down') THEN 'down'
            WHEN EXISTS (SELECT 1 FROM check_regions WHERE check_id = c.id AND state = 'degraded') THEN 'degraded'
            WHEN EXISTS (SELECT 1 FROM check_regions WHERE check_id = c.id AND state = 'up') THEN 'up'
            ELSE 'pending' END AS status
FROM checks c
WHERE c.deleted_at IS NULL;
