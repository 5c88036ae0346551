-- Sums of whole hours and days, so that statistics of long times need not read every row. An hour is
-- the text 'YYYY-MM-DD HH', a day 'YYYY-MM-DD', UTC. Several servers may write and roll up at once:
-- whoever adds, changes or removes rows of an hour holds a lock on its row of rollup_hours.

-- Hours that have rows. state 0: no sums; 1: there are sums of the hour; 2: of its day, too.
CREATE TABLE rollup_hours (
    hour TEXT COLLATE "C" PRIMARY KEY,
    state INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_rollup_hours_state ON rollup_hours (state, hour);
-- Days that have sums: all of their hours have state 2.
CREATE TABLE rollup_days (
    day TEXT COLLATE "C" PRIMARY KEY
);

-- Sums; span is an hour or a day. Times in microseconds, relevance in millionths, so that sums are
-- exact.
CREATE TABLE rollup_queries (
    span TEXT COLLATE "C" NOT NULL,
    tenant TEXT NOT NULL,
    total BIGINT NOT NULL,
    successful BIGINT NOT NULL,
    retrieval_us BIGINT NOT NULL,
    generation_us BIGINT NOT NULL,
    total_us BIGINT NOT NULL,
    sources BIGINT NOT NULL,
    relevance BIGINT NOT NULL,
    reranking BIGINT NOT NULL,
    hybrid_search BIGINT NOT NULL,
    query_expansion BIGINT NOT NULL,
    texts BIGINT NOT NULL,
    length_sum BIGINT NOT NULL,
    length_min BIGINT,
    length_max BIGINT,
    PRIMARY KEY (span, tenant)
);
CREATE TABLE rollup_clock (
    span TEXT COLLATE "C" NOT NULL,
    tenant TEXT NOT NULL,
    clock INTEGER NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (span, tenant, clock)
);
CREATE TABLE rollup_errors (
    span TEXT COLLATE "C" NOT NULL,
    tenant TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (span, tenant)
);
-- last: time of the last access and the file's name in it, in one text, so that its greatest is both.
CREATE TABLE rollup_documents (
    span TEXT COLLATE "C" NOT NULL,
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    collection TEXT,
    total BIGINT NOT NULL,
    relevance BIGINT NOT NULL,
    last TEXT COLLATE "C" NOT NULL
);
CREATE INDEX idx_rollup_documents ON rollup_documents (span, tenant);
CREATE TABLE rollup_words (
    span TEXT COLLATE "C" NOT NULL,
    tenant TEXT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL
);
CREATE INDEX idx_rollup_words ON rollup_words (span, tenant);

-- An hour whose state becomes 0 loses its sums, and its day's.
CREATE FUNCTION tars_hour_undone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $fn$
DECLARE
    spans text[] := ARRAY[NEW.hour, substr(NEW.hour, 1, 10)];
BEGIN
    DELETE FROM rollup_queries WHERE span = ANY (spans);
    DELETE FROM rollup_clock WHERE span = ANY (spans);
    DELETE FROM rollup_errors WHERE span = ANY (spans);
    DELETE FROM rollup_documents WHERE span = ANY (spans);
    DELETE FROM rollup_words WHERE span = ANY (spans);
    DELETE FROM rollup_days WHERE day = spans[2];
    UPDATE rollup_hours SET state = 1
        WHERE state = 2 AND hour > spans[2] || ' ' AND hour < spans[2] || '!';
    RETURN NULL;
END
$fn$;
CREATE TRIGGER rollup_hours_undone AFTER UPDATE OF state ON rollup_hours FOR EACH ROW
    WHEN (NEW.state = 0 AND OLD.state > 0) EXECUTE FUNCTION tars_hour_undone();

-- Make hours ones without sums, and hold them until the transaction ends. Who only holds them does
-- not keep others from it; an hour that is new is waited for.
CREATE FUNCTION tars_undo_hours(hours text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $fn$
BEGIN
    IF hours IS NULL THEN
        RETURN;
    END IF;
    PERFORM 1 FROM rollup_hours WHERE hour = ANY (hours) ORDER BY hour FOR SHARE;
    INSERT INTO rollup_hours (hour)
        SELECT h FROM unnest(hours) AS h
        WHERE NOT EXISTS (SELECT FROM rollup_hours r WHERE r.hour = h) ORDER BY h
        ON CONFLICT (hour) DO UPDATE SET state = 0;
    UPDATE rollup_hours SET state = 0 WHERE hour = ANY (hours) AND state > 0;
END
$fn$;

-- Whoever changes rows makes their hours ones without sums.
CREATE FUNCTION tars_rows_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $fn$
BEGIN
    PERFORM tars_undo_hours((SELECT array_agg(to_char(h, 'YYYY-MM-DD HH24')) FROM
        (SELECT DISTINCT date_trunc('hour', timestamp) AS h FROM added) AS hours));
    RETURN NULL;
END
$fn$;
CREATE FUNCTION tars_rows_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $fn$
BEGIN
    PERFORM tars_undo_hours((SELECT array_agg(to_char(h, 'YYYY-MM-DD HH24')) FROM
        (SELECT DISTINCT date_trunc('hour', timestamp) AS h FROM removed) AS hours));
    RETURN NULL;
END
$fn$;
CREATE FUNCTION tars_rows_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $fn$
BEGIN
    PERFORM tars_undo_hours((SELECT array_agg(to_char(h, 'YYYY-MM-DD HH24')) FROM
        (SELECT date_trunc('hour', timestamp) AS h FROM removed UNION
         SELECT date_trunc('hour', timestamp) FROM added) AS hours));
    RETURN NULL;
END
$fn$;
CREATE TRIGGER query_logs_added AFTER INSERT ON query_logs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_added();
CREATE TRIGGER query_logs_changed AFTER UPDATE ON query_logs
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_changed();
CREATE TRIGGER query_logs_removed AFTER DELETE ON query_logs REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_removed();
CREATE TRIGGER document_accesses_added AFTER INSERT ON document_accesses
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_added();
CREATE TRIGGER document_accesses_changed AFTER UPDATE ON document_accesses
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_changed();
CREATE TRIGGER document_accesses_removed AFTER DELETE ON document_accesses
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_removed();
CREATE TRIGGER error_logs_added AFTER INSERT ON error_logs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_added();
CREATE TRIGGER error_logs_changed AFTER UPDATE ON error_logs
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_changed();
CREATE TRIGGER error_logs_removed AFTER DELETE ON error_logs REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION tars_rows_removed();
INSERT INTO rollup_hours (hour)
    SELECT to_char(h, 'YYYY-MM-DD HH24') FROM
    (SELECT date_trunc('hour', timestamp) AS h FROM query_logs UNION
     SELECT date_trunc('hour', timestamp) FROM document_accesses UNION
     SELECT date_trunc('hour', timestamp) FROM error_logs) AS hours;

-- Partitions that go take the sums of their hours with them.
CREATE OR REPLACE FUNCTION tars_drop_partitions(before timestamp) RETURNS integer LANGUAGE plpgsql
SET lock_timeout = '5s' AS $fn$
DECLARE
    part regclass;
    ends timestamp;
    dropped integer := 0;
BEGIN
    FOR part, ends IN
        SELECT * FROM (SELECT c.oid::regclass,
            substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']*)'\)$re$)::timestamp AS ends
            FROM tars_partitioned() AS p JOIN pg_inherits i ON i.inhparent = p
            JOIN pg_class c ON c.oid = i.inhrelid) AS parts WHERE parts.ends <= before
    LOOP
        EXECUTE format('DROP TABLE %s', part);
        UPDATE rollup_hours SET state = 0
            WHERE state > 0 AND hour < to_char(ends, 'YYYY-MM-DD HH24')
            AND hour >= to_char(ends - interval '1 month', 'YYYY-MM-DD HH24');
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$fn$;

-- What tells an imported row from a new one; no cost for others.
CREATE INDEX idx_query_imported ON query_logs (query_hash, (metadata->>'query_id'))
    WHERE (metadata->>'imported') IS NOT NULL;
CREATE INDEX idx_error_client_timestamp ON error_logs (client_id, timestamp);
