-- Sums of whole hours and days, so that statistics of long times need not read every row; what finds
-- rows by request; what tells an imported row from a new one. Times stay the text of 0001: an hour is
-- its first 13 characters, a day its first 10.

-- Hours that have rows. state 0: no sums; 1: there are sums of the hour; 2: of its day, too.
CREATE TABLE rollup_hours (
    hour TEXT PRIMARY KEY,
    state INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX idx_rollup_hours_state ON rollup_hours (state, hour);
-- Days that have sums: all of their hours have state 2.
CREATE TABLE rollup_days (
    day TEXT PRIMARY KEY
) WITHOUT ROWID;

-- Sums; span is an hour or a day. Times in microseconds, relevance in millionths, so that sums are
-- exact.
CREATE TABLE rollup_queries (
    span TEXT NOT NULL,
    tenant TEXT NOT NULL,
    total INTEGER NOT NULL,
    successful INTEGER NOT NULL,
    retrieval_us INTEGER NOT NULL,
    generation_us INTEGER NOT NULL,
    total_us INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    relevance INTEGER NOT NULL,
    reranking INTEGER NOT NULL,
    hybrid_search INTEGER NOT NULL,
    query_expansion INTEGER NOT NULL,
    texts INTEGER NOT NULL,
    length_sum INTEGER NOT NULL,
    length_min INTEGER,
    length_max INTEGER,
    PRIMARY KEY (span, tenant)
) WITHOUT ROWID;
CREATE TABLE rollup_clock (
    span TEXT NOT NULL,
    tenant TEXT NOT NULL,
    clock INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (span, tenant, clock)
) WITHOUT ROWID;
CREATE TABLE rollup_errors (
    span TEXT NOT NULL,
    tenant TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (span, tenant)
) WITHOUT ROWID;
-- last: time of the last access and the file's name in it, in one text, so that its greatest is both.
CREATE TABLE rollup_documents (
    span TEXT NOT NULL,
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    collection TEXT,
    total INTEGER NOT NULL,
    relevance INTEGER NOT NULL,
    last TEXT NOT NULL
);
CREATE INDEX idx_rollup_documents ON rollup_documents (span, tenant);
CREATE TABLE rollup_words (
    span TEXT NOT NULL,
    tenant TEXT NOT NULL,
    word TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (span, tenant, word)
) WITHOUT ROWID;

-- An hour whose state becomes 0 loses its sums, and its day's.
CREATE TRIGGER rollup_hours_undone AFTER UPDATE OF state ON rollup_hours
WHEN NEW.state = 0 AND OLD.state > 0
BEGIN
    DELETE FROM rollup_queries WHERE span IN (NEW.hour, substr(NEW.hour, 1, 10));
    DELETE FROM rollup_clock WHERE span IN (NEW.hour, substr(NEW.hour, 1, 10));
    DELETE FROM rollup_errors WHERE span IN (NEW.hour, substr(NEW.hour, 1, 10));
    DELETE FROM rollup_documents WHERE span IN (NEW.hour, substr(NEW.hour, 1, 10));
    DELETE FROM rollup_words WHERE span IN (NEW.hour, substr(NEW.hour, 1, 10));
    DELETE FROM rollup_days WHERE day = substr(NEW.hour, 1, 10);
    UPDATE rollup_hours SET state = 1
        WHERE state = 2 AND hour BETWEEN substr(NEW.hour, 1, 10) || ' ' AND substr(NEW.hour, 1, 10) || '!';
END;

-- Whoever changes a row makes its hour one without sums.
CREATE TRIGGER query_logs_added AFTER INSERT ON query_logs BEGIN
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13))
        ON CONFLICT (hour) DO UPDATE SET state = 0 WHERE state > 0;
END;
CREATE TRIGGER query_logs_changed AFTER UPDATE ON query_logs BEGIN
    UPDATE rollup_hours SET state = 0
        WHERE hour IN (substr(OLD.timestamp, 1, 13), substr(NEW.timestamp, 1, 13)) AND state > 0;
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13)) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER query_logs_removed AFTER DELETE ON query_logs BEGIN
    UPDATE rollup_hours SET state = 0 WHERE hour = substr(OLD.timestamp, 1, 13) AND state > 0;
END;
CREATE TRIGGER document_accesses_added AFTER INSERT ON document_accesses BEGIN
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13))
        ON CONFLICT (hour) DO UPDATE SET state = 0 WHERE state > 0;
END;
CREATE TRIGGER document_accesses_changed AFTER UPDATE ON document_accesses BEGIN
    UPDATE rollup_hours SET state = 0
        WHERE hour IN (substr(OLD.timestamp, 1, 13), substr(NEW.timestamp, 1, 13)) AND state > 0;
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13)) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER document_accesses_removed AFTER DELETE ON document_accesses BEGIN
    UPDATE rollup_hours SET state = 0 WHERE hour = substr(OLD.timestamp, 1, 13) AND state > 0;
END;
CREATE TRIGGER error_logs_added AFTER INSERT ON error_logs BEGIN
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13))
        ON CONFLICT (hour) DO UPDATE SET state = 0 WHERE state > 0;
END;
CREATE TRIGGER error_logs_changed AFTER UPDATE ON error_logs BEGIN
    UPDATE rollup_hours SET state = 0
        WHERE hour IN (substr(OLD.timestamp, 1, 13), substr(NEW.timestamp, 1, 13)) AND state > 0;
    INSERT INTO rollup_hours (hour) VALUES (substr(NEW.timestamp, 1, 13)) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER error_logs_removed AFTER DELETE ON error_logs BEGIN
    UPDATE rollup_hours SET state = 0 WHERE hour = substr(OLD.timestamp, 1, 13) AND state > 0;
END;
INSERT OR IGNORE INTO rollup_hours (hour) SELECT DISTINCT substr(timestamp, 1, 13) FROM query_logs;
INSERT OR IGNORE INTO rollup_hours (hour)
    SELECT DISTINCT substr(timestamp, 1, 13) FROM document_accesses;
INSERT OR IGNORE INTO rollup_hours (hour) SELECT DISTINCT substr(timestamp, 1, 13) FROM error_logs;

-- What metadata says too, where an index can find it.
ALTER TABLE query_logs ADD COLUMN request_id TEXT;
ALTER TABLE query_logs ADD COLUMN imported_id TEXT;
ALTER TABLE error_logs ADD COLUMN request_id TEXT;
UPDATE query_logs SET request_id = json_extract(metadata, '$.request_id');
UPDATE error_logs SET request_id = json_extract(metadata, '$.request_id');
CREATE INDEX idx_query_request ON query_logs (request_id);
CREATE INDEX idx_query_imported ON query_logs (imported_id, query_hash) WHERE imported_id IS NOT NULL;
CREATE INDEX idx_error_request ON error_logs (request_id);
CREATE INDEX idx_error_client_timestamp ON error_logs (client_id, timestamp);
