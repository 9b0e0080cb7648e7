-- Lists over all checks of a project, newest first.

CREATE INDEX incidents_listed ON incidents (project_id, id DESC);
CREATE INDEX attempts_listed ON attempts (project_id, id DESC);
