-- What is worth keeping of a run that was not all well, as JSON, and empty for most.
ALTER TABLE check_results ADD COLUMN IF NOT EXISTS evidence String CODEC(ZSTD(1));
