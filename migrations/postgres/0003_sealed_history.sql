-- What is sealed for history is bytes from now on, packed for the store that takes them, and small
-- enough to lie there as it is: compressing it for the second that it lives would only cost time.
ALTER TABLE history_batches ALTER COLUMN rows TYPE BYTEA USING convert_to(rows, 'UTF8');
ALTER TABLE history_batches ALTER COLUMN rows SET STORAGE EXTERNAL;
