-- What a target is seen to be, and when that changes. `traits` of a region is a short hash of what was last
-- seen: only where a run has another are the two tables touched. `memory`, `before` and `after` are JSON.
ALTER TABLE check_regions ADD COLUMN traits INTEGER;

CREATE TABLE traits (
    check_id BLOB NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    memory   TEXT NOT NULL,
    PRIMARY KEY (check_id, region, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    id         BLOB NOT NULL PRIMARY KEY,
    project_id BLOB NOT NULL,
    check_id   BLOB NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    before     TEXT NOT NULL,
    after      TEXT NOT NULL,
    slot       INTEGER NOT NULL
) STRICT;

CREATE INDEX changes_of_check ON changes (check_id, id DESC);
CREATE INDEX changes_of_project ON changes (project_id, id DESC);
