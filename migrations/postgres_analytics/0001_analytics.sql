-- What was asked, what was read, what failed, how the machine was: the tables of the wire contract,
-- section 5, with real defaults. timestamp is UTC. tenant and collection are ours.
--
-- Tables that are there already (another program's of the same contract) are kept with their rows;
-- what they lack is added, and nothing is taken away. New ones are made in monthly partitions where
-- tars.partition is 'on': then the key is (id, timestamp), and nothing refers to it.

DO $do$
DECLARE
    ending text := ', PRIMARY KEY (id))';
    refers text := ' REFERENCES query_logs (id) ON DELETE CASCADE';
BEGIN
    IF current_setting('tars.partition', true) = 'on' THEN
        ending := ', PRIMARY KEY (id, timestamp)) PARTITION BY RANGE (timestamp)';
    END IF;
    IF to_regclass('query_logs') IS NULL THEN
        EXECUTE $sql$
CREATE TABLE query_logs (
    id SERIAL NOT NULL,
    timestamp TIMESTAMP WITHOUT TIME ZONE NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    query_text TEXT NOT NULL,
    query_hash VARCHAR(64) NOT NULL,
    client_id VARCHAR(255) NOT NULL,
    retrieval_time_ms FLOAT NOT NULL,
    generation_time_ms FLOAT NOT NULL,
    total_time_ms FLOAT NOT NULL,
    sources_count INTEGER NOT NULL,
    relevance_scores JSONB,
    avg_relevance_score FLOAT,
    model_used VARCHAR(100) NOT NULL,
    tokens_generated INTEGER NOT NULL DEFAULT 0,
    expansion_count INTEGER NOT NULL DEFAULT 0,
    used_reranking BOOLEAN NOT NULL DEFAULT FALSE,
    used_hybrid_search BOOLEAN NOT NULL DEFAULT FALSE,
    used_query_expansion BOOLEAN NOT NULL DEFAULT FALSE,
    success BOOLEAN NOT NULL DEFAULT TRUE,
    error_message TEXT,
    metadata JSONB,
    tenant VARCHAR(64) NOT NULL DEFAULT 'default'
$sql$ || ending;
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('query_logs')) = 'p' THEN
        refers := '';
    END IF;
    IF to_regclass('document_accesses') IS NULL THEN
        EXECUTE $sql$
CREATE TABLE document_accesses (
    id BIGSERIAL NOT NULL,
    timestamp TIMESTAMP WITHOUT TIME ZONE NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    query_id INTEGER$sql$ || refers || $sql$,
    document_id VARCHAR(255) NOT NULL,
    file_name VARCHAR(512) NOT NULL,
    chunk_id VARCHAR(255),
    relevance_score FLOAT NOT NULL,
    rank INTEGER,
    metadata JSONB,
    tenant VARCHAR(64) NOT NULL DEFAULT 'default',
    collection VARCHAR(255)
$sql$ || ending;
    END IF;
    IF to_regclass('error_logs') IS NULL THEN
        EXECUTE $sql$
CREATE TABLE error_logs (
    id BIGSERIAL NOT NULL,
    timestamp TIMESTAMP WITHOUT TIME ZONE NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    error_type VARCHAR(255) NOT NULL,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    service VARCHAR(100),
    operation VARCHAR(100),
    client_id VARCHAR(255),
    severity VARCHAR(20) NOT NULL DEFAULT 'ERROR',
    metadata JSONB,
    tenant VARCHAR(64) NOT NULL DEFAULT 'default'
$sql$ || ending;
    END IF;
    IF to_regclass('system_metrics') IS NULL THEN
        EXECUTE $sql$
CREATE TABLE system_metrics (
    id BIGSERIAL NOT NULL,
    timestamp TIMESTAMP WITHOUT TIME ZONE NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    cpu_usage_percent FLOAT,
    memory_usage_percent FLOAT,
    gpu_usage_percent FLOAT,
    gpu_memory_usage_percent FLOAT,
    cache_hit_rate FLOAT,
    avg_query_time_ms FLOAT,
    avg_retrieval_time_ms FLOAT,
    avg_generation_time_ms FLOAT,
    queries_per_minute FLOAT,
    active_connections INTEGER,
    total_documents INTEGER,
    total_chunks INTEGER,
    metadata JSONB
$sql$ || ending;
    END IF;
END
$do$;

-- Of tables that were there: columns that may be missing, and defaults.
ALTER TABLE query_logs
    ADD COLUMN IF NOT EXISTS relevance_scores JSONB,
    ADD COLUMN IF NOT EXISTS avg_relevance_score FLOAT,
    ADD COLUMN IF NOT EXISTS tokens_generated INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS expansion_count INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS used_reranking BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS used_hybrid_search BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS used_query_expansion BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS success BOOLEAN NOT NULL DEFAULT TRUE,
    ADD COLUMN IF NOT EXISTS error_message TEXT,
    ADD COLUMN IF NOT EXISTS metadata JSONB,
    ADD COLUMN IF NOT EXISTS tenant VARCHAR(64) NOT NULL DEFAULT 'default',
    ALTER COLUMN timestamp SET DEFAULT (now() AT TIME ZONE 'utc'),
    ALTER COLUMN tokens_generated SET DEFAULT 0,
    ALTER COLUMN expansion_count SET DEFAULT 0,
    ALTER COLUMN used_reranking SET DEFAULT FALSE,
    ALTER COLUMN used_hybrid_search SET DEFAULT FALSE,
    ALTER COLUMN used_query_expansion SET DEFAULT FALSE,
    ALTER COLUMN success SET DEFAULT TRUE;
ALTER TABLE document_accesses
    ADD COLUMN IF NOT EXISTS query_id INTEGER,
    ADD COLUMN IF NOT EXISTS chunk_id VARCHAR(255),
    ADD COLUMN IF NOT EXISTS rank INTEGER,
    ADD COLUMN IF NOT EXISTS metadata JSONB,
    ADD COLUMN IF NOT EXISTS tenant VARCHAR(64) NOT NULL DEFAULT 'default',
    ADD COLUMN IF NOT EXISTS collection VARCHAR(255),
    ALTER COLUMN timestamp SET DEFAULT (now() AT TIME ZONE 'utc');
ALTER TABLE error_logs
    ADD COLUMN IF NOT EXISTS stack_trace TEXT,
    ADD COLUMN IF NOT EXISTS service VARCHAR(100),
    ADD COLUMN IF NOT EXISTS operation VARCHAR(100),
    ADD COLUMN IF NOT EXISTS client_id VARCHAR(255),
    ADD COLUMN IF NOT EXISTS severity VARCHAR(20) NOT NULL DEFAULT 'ERROR',
    ADD COLUMN IF NOT EXISTS metadata JSONB,
    ADD COLUMN IF NOT EXISTS tenant VARCHAR(64) NOT NULL DEFAULT 'default',
    ALTER COLUMN timestamp SET DEFAULT (now() AT TIME ZONE 'utc'),
    ALTER COLUMN severity SET DEFAULT 'ERROR';
ALTER TABLE system_metrics
    ADD COLUMN IF NOT EXISTS cpu_usage_percent FLOAT,
    ADD COLUMN IF NOT EXISTS memory_usage_percent FLOAT,
    ADD COLUMN IF NOT EXISTS gpu_usage_percent FLOAT,
    ADD COLUMN IF NOT EXISTS gpu_memory_usage_percent FLOAT,
    ADD COLUMN IF NOT EXISTS cache_hit_rate FLOAT,
    ADD COLUMN IF NOT EXISTS avg_query_time_ms FLOAT,
    ADD COLUMN IF NOT EXISTS avg_retrieval_time_ms FLOAT,
    ADD COLUMN IF NOT EXISTS avg_generation_time_ms FLOAT,
    ADD COLUMN IF NOT EXISTS queries_per_minute FLOAT,
    ADD COLUMN IF NOT EXISTS active_connections INTEGER,
    ADD COLUMN IF NOT EXISTS total_documents INTEGER,
    ADD COLUMN IF NOT EXISTS total_chunks INTEGER,
    ADD COLUMN IF NOT EXISTS metadata JSONB,
    ALTER COLUMN timestamp SET DEFAULT (now() AT TIME ZONE 'utc');

CREATE INDEX IF NOT EXISTS idx_query_timestamp ON query_logs (timestamp);
CREATE INDEX IF NOT EXISTS idx_query_client_timestamp ON query_logs (client_id, timestamp);
CREATE INDEX IF NOT EXISTS idx_query_success ON query_logs (success);
CREATE INDEX IF NOT EXISTS idx_query_features
    ON query_logs (used_reranking, used_hybrid_search, used_query_expansion);
CREATE INDEX IF NOT EXISTS ix_query_logs_query_hash ON query_logs (query_hash);
CREATE INDEX IF NOT EXISTS idx_query_metadata ON query_logs USING gin (metadata jsonb_path_ops);

CREATE INDEX IF NOT EXISTS idx_doc_access_timestamp ON document_accesses (timestamp);
CREATE INDEX IF NOT EXISTS idx_doc_access_document ON document_accesses (document_id, timestamp);
CREATE INDEX IF NOT EXISTS idx_doc_access_query ON document_accesses (query_id);
CREATE INDEX IF NOT EXISTS ix_document_accesses_chunk_id ON document_accesses (chunk_id);

CREATE INDEX IF NOT EXISTS idx_error_timestamp ON error_logs (timestamp);
CREATE INDEX IF NOT EXISTS idx_error_type_timestamp ON error_logs (error_type, timestamp);
CREATE INDEX IF NOT EXISTS idx_error_service ON error_logs (service);
CREATE INDEX IF NOT EXISTS idx_error_severity ON error_logs (severity);
CREATE INDEX IF NOT EXISTS ix_error_logs_client_id ON error_logs (client_id);
CREATE INDEX IF NOT EXISTS idx_error_metadata ON error_logs USING gin (metadata jsonb_path_ops);

CREATE INDEX IF NOT EXISTS idx_metrics_timestamp ON system_metrics (timestamp);

-- How far each journal has been written here (src/analytics/journal.h): in the transaction of the
-- rows themselves, so that no row is written twice.
CREATE TABLE IF NOT EXISTS journal_marks (
    journal BIGINT PRIMARY KEY,
    position BIGINT NOT NULL
);

-- Tables of ours that are partitioned.
CREATE FUNCTION tars_partitioned() RETURNS SETOF regclass LANGUAGE sql STABLE AS $fn$
    SELECT c.oid::regclass FROM pg_class c
    WHERE c.relkind = 'p' AND c.oid IN (to_regclass('query_logs'), to_regclass('document_accesses'),
                                        to_regclass('error_logs'), to_regclass('system_metrics'))
$fn$;

-- See to it that rows of this month have a place; returns how many partitions were made. A month that
-- somebody else's partitions cover is left to them.
CREATE FUNCTION tars_make_partitions(moment timestamp) RETURNS integer LANGUAGE plpgsql AS $fn$
DECLARE
    first timestamp := date_trunc('month', moment);
    parent regclass;
    part text;
    made integer := 0;
BEGIN
    FOR parent IN SELECT tars_partitioned() LOOP
        part := (SELECT relname FROM pg_class WHERE oid = parent) || to_char(first, '_YYYY_MM');
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(6075998093219);
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part,
                           first, first + interval '1 month');
            made := made + 1;
        EXCEPTION WHEN invalid_object_definition THEN
            NULL;
        END;
    END LOOP;
    RETURN made;
END
$fn$;

-- Drop partitions whose rows are all older than this; returns how many.
CREATE FUNCTION tars_drop_partitions(before timestamp) RETURNS integer LANGUAGE plpgsql
SET lock_timeout = '5s' AS $fn$
DECLARE
    part regclass;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.oid::regclass FROM tars_partitioned() AS p JOIN pg_inherits i ON i.inhparent = p
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']*)'\)$re$)::timestamp <= before
    LOOP
        EXECUTE format('DROP TABLE %s', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$fn$;
