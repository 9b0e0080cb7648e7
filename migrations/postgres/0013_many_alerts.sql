-- An incident has one end, and may be told of often: `number` tells alerts of a kind apart, from 1.
ALTER TABLE alerts
    ADD COLUMN number SMALLINT NOT NULL DEFAULT 1,
    DROP CONSTRAINT alerts_incident_id_kind_key,
    ADD CONSTRAINT alerts_each_once UNIQUE (incident_id, kind, number);
