-- Who may use the program and what they may see: tenants, accounts, keys, collections, grants,
-- revoked tokens, usage, audit. Ids of accounts, keys and collections are never used again.

CREATE TABLE tenants (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT NOT NULL UNIQUE,
    title             TEXT NOT NULL DEFAULT '',
    settings          TEXT NOT NULL DEFAULT '',
    max_documents     INTEGER NOT NULL DEFAULT 0,
    max_bytes         INTEGER NOT NULL DEFAULT 0,
    max_questions_day INTEGER NOT NULL DEFAULT 0,
    created_us        INTEGER NOT NULL DEFAULT 0,
    disabled          INTEGER NOT NULL DEFAULT 0
) STRICT;

-- kind: 1 user, 2 client. role: 0 none, 1 reader, 2 writer, 3 admin.
CREATE TABLE accounts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    name        TEXT NOT NULL,
    secret_hash TEXT NOT NULL DEFAULT '',
    external    TEXT NOT NULL DEFAULT '',
    created_us  INTEGER NOT NULL DEFAULT 0,
    used_us     INTEGER NOT NULL DEFAULT 0,
    kind        INTEGER NOT NULL,
    role        INTEGER NOT NULL,
    disabled    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, name)
) STRICT;
CREATE UNIQUE INDEX accounts_external ON accounts (external) WHERE external <> '';

CREATE TABLE api_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    label      TEXT NOT NULL DEFAULT '',
    prefix     TEXT NOT NULL DEFAULT '',
    hash       TEXT NOT NULL UNIQUE,
    created_us INTEGER NOT NULL DEFAULT 0,
    used_us    INTEGER NOT NULL DEFAULT 0,
    expires_us INTEGER NOT NULL DEFAULT 0,
    role       INTEGER NOT NULL DEFAULT 0,
    revoked    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX api_keys_account ON api_keys (account);

-- key is what files.collection and jobs.collection hold.
CREATE TABLE collections (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    created_us  INTEGER NOT NULL DEFAULT 0,
    restricted  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE grants (
    account    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    writes     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, collection)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_collection ON grants (collection);

CREATE TABLE revoked (
    id         TEXT PRIMARY KEY,
    expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_expires ON revoked (expires_us);

-- day: days since 1970, UTC.
CREATE TABLE usage (
    tenant    INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    day       INTEGER NOT NULL,
    questions INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;

-- tenant is a name and not a reference: a sign-in may fail for a tenant that is not there.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us    INTEGER NOT NULL,
    tenant     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    address    TEXT NOT NULL,
    request_id TEXT NOT NULL,
    detail     TEXT NOT NULL,
    success    INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_time ON audit (time_us);
CREATE INDEX audit_tenant ON audit (tenant, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_action ON audit (action, id);

-- What a collection holds, kept by the triggers below, so that quotas and counts cost no pass over
-- the documents. The key may be of a collection that is gone; then all is zero.
CREATE TABLE collection_sizes (
    key             TEXT PRIMARY KEY,
    files           INTEGER NOT NULL DEFAULT 0,
    documents       INTEGER NOT NULL DEFAULT 0,
    passages        INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,
    last_indexed_us INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TRIGGER files_added AFTER INSERT ON files BEGIN
    INSERT INTO collection_sizes (key, files, bytes, last_indexed_us)
    VALUES (NEW.collection, NEW.indexed_us > 0, NEW.size, NEW.indexed_us)
    ON CONFLICT (key) DO UPDATE SET files = files + excluded.files, bytes = bytes + excluded.bytes,
        last_indexed_us = max(last_indexed_us, excluded.last_indexed_us);
END;
CREATE TRIGGER files_changed AFTER UPDATE OF size, indexed_us ON files BEGIN
    UPDATE collection_sizes SET files = files + (NEW.indexed_us > 0) - (OLD.indexed_us > 0),
        bytes = bytes + NEW.size - OLD.size,
        last_indexed_us = max(last_indexed_us, NEW.indexed_us) WHERE key = NEW.collection;
END;
CREATE TRIGGER files_removed AFTER DELETE ON files BEGIN
    UPDATE collection_sizes SET files = files - (OLD.indexed_us > 0), bytes = bytes - OLD.size
    WHERE key = OLD.collection;
END;
CREATE TRIGGER documents_added AFTER INSERT ON documents BEGIN
    UPDATE collection_sizes SET documents = documents + 1, passages = passages + NEW.chunk_count
    WHERE key = (SELECT collection FROM files WHERE id = NEW.file_id);
END;
CREATE TRIGGER documents_changed AFTER UPDATE OF chunk_count ON documents BEGIN
    UPDATE collection_sizes SET passages = passages + NEW.chunk_count - OLD.chunk_count
    WHERE key = (SELECT collection FROM files WHERE id = NEW.file_id);
END;
CREATE TRIGGER documents_removed AFTER DELETE ON documents BEGIN
    UPDATE collection_sizes SET documents = documents - 1, passages = passages - OLD.chunk_count
    WHERE key = (SELECT collection FROM files WHERE id = OLD.file_id);
END;

INSERT INTO collection_sizes (key, files, bytes, last_indexed_us)
    SELECT collection, sum(indexed_us > 0), sum(size), max(indexed_us) FROM files
    GROUP BY collection;
UPDATE collection_sizes SET (documents, passages) =
    (SELECT count(*), coalesce(sum(d.chunk_count), 0)
     FROM files f CROSS JOIN documents d ON d.file_id = f.id
     WHERE f.collection = collection_sizes.key);

-- Passages by id with their file, without a look into the documents themselves.
CREATE INDEX documents_passages ON documents (passage_first, chunk_count, file_id);
-- Jobs of a collection.
CREATE INDEX jobs_collection ON jobs (collection, id);

INSERT INTO tenants (name, created_us)
    VALUES ('default', unixepoch() * 1000000);
INSERT INTO collections (tenant, name, key, created_us)
    SELECT id, 'default', 'tars_documents', created_us FROM tenants;
-- Collections of before there were rows for them; one that was called "default" is not the default.
INSERT INTO collections (tenant, name, key, created_us)
    SELECT t.id, iif(k.key = 'default', 'default_1', k.key), k.key, t.created_us FROM tenants t
    JOIN (SELECT collection AS key FROM files
          UNION SELECT collection FROM jobs WHERE state IN (1, 2)) k
    WHERE k.key <> 'tars_documents';
