-- A storm is of one severity, and one of each may gather in a project.
DROP INDEX incidents_one_gathers;
CREATE UNIQUE INDEX incidents_one_gathers ON incidents (project_id, severity) WHERE gathers AND resolved_slot IS NULL;
