-- What a target is seen to be, and when that changes. `traits` of a region is a short hash of what was last
-- seen: only where a run has another are the two tables touched. `memory`, `before` and `after` are JSON.
ALTER TABLE check_regions ADD COLUMN traits BIGINT;

CREATE TABLE traits (
    check_id UUID NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    memory   TEXT NOT NULL,
    PRIMARY KEY (check_id, region, kind)
);

CREATE TABLE changes (
    id         UUID PRIMARY KEY,
    project_id UUID NOT NULL,
    check_id   UUID NOT NULL REFERENCES checks (id) ON DELETE CASCADE,
    region     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    before     TEXT NOT NULL,
    after      TEXT NOT NULL,
    slot       BIGINT NOT NULL
);

CREATE INDEX changes_of_check ON changes (check_id, id DESC);
CREATE INDEX changes_of_project ON changes (project_id, id DESC);
