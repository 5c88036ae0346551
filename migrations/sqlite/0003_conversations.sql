-- What was said. A conversation keeps its newest 100 messages; an id is the client's own text.

CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY,
    tenant          INTEGER NOT NULL REFERENCES tenants (id),
    conversation_id TEXT NOT NULL,
    client          TEXT NOT NULL,
    title           TEXT NOT NULL,
    metadata        TEXT NOT NULL DEFAULT '',
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL,
    message_count   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, conversation_id)
) STRICT;
CREATE INDEX conversations_client ON conversations (tenant, client, updated_us);
CREATE INDEX conversations_tenant ON conversations (tenant, updated_us);

CREATE TABLE messages (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message_id   TEXT NOT NULL,
    role         TEXT NOT NULL,
    content      TEXT NOT NULL,
    timestamp    TEXT NOT NULL,
    sources      TEXT NOT NULL,
    metadata     TEXT NOT NULL
) STRICT;
CREATE INDEX messages_conversation ON messages (conversation, id);
