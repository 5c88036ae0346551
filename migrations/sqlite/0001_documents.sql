-- Documents, their passages and vectors, the log of changes, jobs. Times are microseconds since
-- 1970, UTC. A number or a name in this file is never used again for something else.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- sha256 is '' from the first batch of a new version until its last: then the file counts as taken in.
CREATE TABLE files (
    id          INTEGER PRIMARY KEY,
    collection  TEXT NOT NULL,
    path        TEXT NOT NULL,
    sha256      TEXT NOT NULL DEFAULT '',
    size        INTEGER NOT NULL DEFAULT 0,
    modified_us INTEGER NOT NULL DEFAULT 0,
    indexed_us  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (collection, path)
) STRICT;

-- round is the pass over the file that saw the document last.
CREATE TABLE documents (
    id            INTEGER PRIMARY KEY,
    document_id   TEXT NOT NULL UNIQUE,
    file_id       INTEGER NOT NULL REFERENCES files (id),
    external_id   TEXT NOT NULL,
    round         INTEGER NOT NULL,
    file_name     TEXT NOT NULL,
    file_type     TEXT NOT NULL,
    title         TEXT NOT NULL,
    language      INTEGER NOT NULL,
    file_size     INTEGER NOT NULL,
    sha256        TEXT NOT NULL,
    created_us    INTEGER NOT NULL,
    modified_us   INTEGER NOT NULL,
    indexed_us    INTEGER NOT NULL,
    page_count    INTEGER NOT NULL,
    word_count    INTEGER NOT NULL,
    char_count    INTEGER NOT NULL,
    metadata      TEXT NOT NULL,
    passage_first INTEGER NOT NULL DEFAULT 0,
    chunk_count   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (file_id, external_id)
) STRICT;
CREATE INDEX documents_sha256 ON documents (sha256);

-- AUTOINCREMENT: an id is never used again, so that the index can forget it for good.
CREATE TABLE passages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    document    INTEGER NOT NULL REFERENCES documents (id),
    chunk_index INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    language    INTEGER NOT NULL,
    page_first  INTEGER NOT NULL,
    page_last   INTEGER NOT NULL,
    token_count INTEGER NOT NULL,
    char_start  INTEGER NOT NULL,
    char_end    INTEGER NOT NULL,
    section     TEXT NOT NULL,
    text        TEXT NOT NULL
) STRICT;
CREATE INDEX passages_document ON passages (document);

-- windows: (n, 2) little-endian uint32, first byte and bytes of each in the passage's text.
-- vectors: (n, dim) little-endian float32, unit length; dim is meta 'embed.dim'.
CREATE TABLE passage_vectors (
    passage_id INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,
    windows    BLOB NOT NULL,
    vectors    BLOB NOT NULL
) STRICT;

-- op: 1 add, 2 remove. An add whose passages are gone again may be missing.
CREATE TABLE changes (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    op          INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_first ON changes (first);

-- state: 1 queued, 2 running, 3 done, 4 failed, 5 cancelled
CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL,
    collection    TEXT NOT NULL,
    path          TEXT NOT NULL,
    spool         TEXT NOT NULL DEFAULT '',
    force         INTEGER NOT NULL DEFAULT 0,
    state         INTEGER NOT NULL DEFAULT 1,
    stage         TEXT NOT NULL DEFAULT 'waiting',
    progress      REAL NOT NULL DEFAULT 0,
    attempts      INTEGER NOT NULL DEFAULT 0,
    error         TEXT NOT NULL DEFAULT '',
    result        TEXT NOT NULL DEFAULT '',
    document_id   TEXT NOT NULL DEFAULT '',
    chunks        INTEGER NOT NULL DEFAULT 0,
    cancel_wanted INTEGER NOT NULL DEFAULT 0,
    not_before_us INTEGER NOT NULL DEFAULT 0,
    created_us    INTEGER NOT NULL DEFAULT 0,
    updated_us    INTEGER NOT NULL DEFAULT 0,
    finished_us   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_state ON jobs (state, id);
