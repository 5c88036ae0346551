-- Which conversations were deleted, and when: a turn of before that, which waits until the store takes
-- it, does not bring one back.
CREATE TABLE conversations_deleted (
    tenant          INTEGER NOT NULL,
    conversation_id TEXT NOT NULL,
    at_us           INTEGER NOT NULL,
    PRIMARY KEY (tenant, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_deleted_at ON conversations_deleted (at_us);

CREATE TRIGGER conversations_deleted AFTER DELETE ON conversations BEGIN
    INSERT INTO conversations_deleted (tenant, conversation_id, at_us)
        VALUES (old.tenant, old.conversation_id,
                CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000)
        ON CONFLICT (tenant, conversation_id) DO UPDATE SET at_us = max(at_us, excluded.at_us);
END;
