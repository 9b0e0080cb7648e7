-- What is sealed for history is bytes from now on, packed for the store that takes them.
CREATE TABLE history_sealed (
    id          BLOB PRIMARY KEY,
    shipment_id BLOB REFERENCES history_shipments (id) ON DELETE CASCADE,
    row_count   INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    rows        BLOB NOT NULL
) STRICT;

INSERT INTO history_sealed (id, shipment_id, row_count, bytes, rows)
SELECT id, shipment_id, row_count, bytes, CAST(rows AS BLOB) FROM history_batches;

DROP TABLE history_batches;
ALTER TABLE history_sealed RENAME TO history_batches;

CREATE INDEX history_batches_waiting ON history_batches (id) WHERE shipment_id IS NULL;
CREATE INDEX history_batches_shipment ON history_batches (shipment_id) WHERE shipment_id IS NOT NULL;
