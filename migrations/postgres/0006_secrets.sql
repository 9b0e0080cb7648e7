-- What checks refer to as {{secret.NAME}}: sealed before it comes here, and never shown again.
CREATE TABLE secrets (
    project_id UUID NOT NULL REFERENCES projects (id),
    name       TEXT COLLATE "C" NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, name)
);
