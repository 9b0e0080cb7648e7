-- What is worth keeping of a run that was not all well, as JSON, and NULL for most, which takes no room.
ALTER TABLE runs ADD COLUMN evidence TEXT;
