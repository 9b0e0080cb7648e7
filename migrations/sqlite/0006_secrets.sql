-- What checks refer to as {{secret.NAME}}: sealed before it comes here, and never shown again.
CREATE TABLE secrets (
    project_id BLOB NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) STRICT, WITHOUT ROWID;
