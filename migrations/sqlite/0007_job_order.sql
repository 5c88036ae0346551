-- Jobs of one file are worked off in the order in which they came, also where one is tried again later.
CREATE INDEX jobs_path ON jobs (collection, path, id) WHERE state IN (1, 2);
