-- Jobs of one file are worked off in the order in which they came, whoever takes them.
CREATE INDEX jobs_path ON tars.jobs (collection, path, id) WHERE state IN (1, 2);

-- Since when the one that alone may take a job has not been seen alive; 0: it has. Those of its disk
-- are lost with it, so it is waited for longer than for a lease.
ALTER TABLE tars.jobs ADD COLUMN orphan_us bigint NOT NULL DEFAULT 0;
CREATE INDEX jobs_holder ON tars.jobs (holder) WHERE state = 1 AND holder <> '';
