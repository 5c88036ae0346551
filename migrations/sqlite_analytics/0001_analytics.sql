-- What was asked, what was read, what failed, how the machine was: the tables of the wire contract,
-- section 5, with real defaults. timestamp is UTC, "YYYY-MM-DD HH:MM:SS.ffffff", so that text order
-- is time order. tenant and collection are ours.

CREATE TABLE query_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'),
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
);
CREATE INDEX idx_query_timestamp ON query_logs (timestamp);
CREATE INDEX idx_query_client_timestamp ON query_logs (client_id, timestamp);
CREATE INDEX idx_query_success ON query_logs (success);
CREATE INDEX idx_query_features
    ON query_logs (used_reranking, used_hybrid_search, used_query_expansion);
CREATE INDEX ix_query_logs_query_hash ON query_logs (query_hash);

CREATE TABLE document_accesses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'),
    query_id INTEGER REFERENCES query_logs (id) ON DELETE CASCADE,
    document_id VARCHAR(255) NOT NULL,
    file_name VARCHAR(512) NOT NULL,
    chunk_id VARCHAR(255),
    relevance_score FLOAT NOT NULL,
    rank INTEGER,
    metadata JSONB,
    tenant VARCHAR(64) NOT NULL DEFAULT 'default',
    collection VARCHAR(255)
);
CREATE INDEX idx_doc_access_timestamp ON document_accesses (timestamp);
CREATE INDEX idx_doc_access_document ON document_accesses (document_id, timestamp);
CREATE INDEX idx_doc_access_query ON document_accesses (query_id);
CREATE INDEX ix_document_accesses_chunk_id ON document_accesses (chunk_id);

CREATE TABLE error_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'),
    error_type VARCHAR(255) NOT NULL,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    service VARCHAR(100),
    operation VARCHAR(100),
    client_id VARCHAR(255),
    severity VARCHAR(20) NOT NULL DEFAULT 'ERROR',
    metadata JSONB,
    tenant VARCHAR(64) NOT NULL DEFAULT 'default'
);
CREATE INDEX idx_error_timestamp ON error_logs (timestamp);
CREATE INDEX idx_error_type_timestamp ON error_logs (error_type, timestamp);
CREATE INDEX idx_error_service ON error_logs (service);
CREATE INDEX idx_error_severity ON error_logs (severity);
CREATE INDEX ix_error_logs_client_id ON error_logs (client_id);

CREATE TABLE system_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'),
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
);
CREATE INDEX idx_metrics_timestamp ON system_metrics (timestamp);

-- How far each journal has been written here (src/analytics/journal.h): in the transaction of the
-- rows themselves, so that no row is written twice.
CREATE TABLE journal_marks (
    journal INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
);
