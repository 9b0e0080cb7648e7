-- How far history has been copied to another store, so that a copy that was interrupted goes on. A
-- target is told by a fingerprint of its own: one that was made anew under an old name is another.

CREATE TABLE copies (
    target TEXT NOT NULL,
    series INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (target, series)
) STRICT, WITHOUT ROWID;

-- The shipment under way: the same id means the same runs, so sending it again is harmless.
CREATE TABLE copy_ranges (
    target      TEXT NOT NULL,
    series      INTEGER NOT NULL,
    shipment_id BLOB NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    PRIMARY KEY (target, series)
) STRICT, WITHOUT ROWID;
