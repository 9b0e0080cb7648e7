-- Who is told of an incident, and when. `follow_up_at` is when to ask again who is to be told, NULL for never;
-- `telling` is what was done so far, as JSON, and NULL where all was told at once and nothing is to follow.
-- `parent_id` is the incident under which this one is told.
ALTER TABLE incidents ADD COLUMN follow_up_at INTEGER;
ALTER TABLE incidents ADD COLUMN telling TEXT;
ALTER TABLE incidents ADD COLUMN parent_id BLOB;

CREATE INDEX incidents_to_follow_up ON incidents (follow_up_at) WHERE follow_up_at IS NOT NULL;
CREATE INDEX incidents_of_parent ON incidents (parent_id) WHERE parent_id IS NOT NULL;
