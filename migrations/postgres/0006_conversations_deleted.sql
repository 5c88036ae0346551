-- Which conversations were deleted, and when: a turn of before that, which waits at a server until the
-- store takes it, does not bring one back. By a trigger, so that whatever deletes them is remembered, a
-- program of before this as well.
CREATE TABLE tars.conversations_deleted (
    tenant          bigint NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    at_us           bigint NOT NULL,
    PRIMARY KEY (tenant, conversation_id)
);
CREATE INDEX conversations_deleted_at ON tars.conversations_deleted (at_us);

CREATE FUNCTION tars.conversation_deleted() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
    INSERT INTO tars.conversations_deleted AS d (tenant, conversation_id, at_us)
        VALUES (OLD.tenant, OLD.conversation_id,
                floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ON CONFLICT (tenant, conversation_id)
        DO UPDATE SET at_us = greatest(d.at_us, excluded.at_us);
    RETURN NULL;
END $fn$;

CREATE TRIGGER conversations_deleted AFTER DELETE ON tars.conversations
    FOR EACH ROW EXECUTE FUNCTION tars.conversation_deleted();
