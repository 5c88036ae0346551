-- Which store this is: an index in a data folder is of one store, and of no other.
INSERT INTO tars.meta (key, value)
    VALUES ('store.id', md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text))
    ON CONFLICT (key) DO NOTHING;
