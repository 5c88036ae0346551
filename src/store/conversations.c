/* conversations - see conversations.h for the contract. The way to the back end. */
#include "store/conversations.h"

#include <stdio.h>
#include <string.h>

#include "store/conversations_internal.h"

/* A year: for so long it is remembered that a conversation was deleted. */
#define DELETED_US (INT64_C(366) * 24 * 3600 * 1000000)

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) : 0;
}

size_t tars_message_bytes(const struct tars_message *message)
{
    return bytes_of(message->id) + bytes_of(message->role) + bytes_of(message->content) +
           bytes_of(message->timestamp) + bytes_of(message->sources_json) +
           bytes_of(message->metadata_json);
}

/* Bytes of the first 50 characters; cut tells whether there are more. */
static size_t title_bytes(const char *text, bool *cut)
{
    size_t chars = 0;
    size_t i = 0;

    for (; text[i]; i++) {
        bool starts = ((unsigned char)text[i] & 0xC0) != 0x80;

        if (starts && chars == TARS_CONVERSATION_TITLE_CHARS)
            break;
        chars += starts;
    }
    *cut = text[i] != '\0';
    return i;
}

void tars_conversation_title(const char *text, char *out)
{
    bool cut = false;
    size_t len = text ? title_bytes(text, &cut) : 0;

    (void)snprintf(out, TARS_CONVERSATION_TITLE_BYTES, "%.*s%s", (int)len, text ? text : "",
                   cut ? "..." : "");
}

static tars_status append(struct tars_store *store,
                          const struct tars_conversation_addition *addition, struct tars_err *err)
{
    const char *id = addition->id;

    if (!id || !id[0] || strlen(id) > TARS_CONVERSATION_ID_MAX) {
        return tars_fail(TARS_EINVAL, err, "the id of a conversation has 1 to %zu bytes",
                         TARS_CONVERSATION_ID_MAX);
    }
    if (!addition->client || addition->n == 0) {
        return tars_fail(TARS_EINVAL, err,
                         "a conversation is a client's and begins with a message");
    }
    for (size_t i = 0; i < addition->n; i++) {
        if (tars_message_bytes(&addition->messages[i]) > TARS_CONVERSATION_MESSAGE_MAX) {
            return tars_fail(TARS_ETOOBIG, err, "a message has more than %zu bytes",
                             TARS_CONVERSATION_MESSAGE_MAX);
        }
    }
    return store->ops->conversations->append(store, addition, err);
}

tars_status tars_conversation_append(struct tars_store *store, const char *tenant,
                                     const char *client, const char *id,
                                     const struct tars_message *messages, size_t n, bool durable,
                                     int64_t now_us, struct tars_err *err)
{
    const struct tars_conversation_addition addition = {
        tenant, client, id, messages, n, now_us, .is_durable = durable};

    return append(store, &addition, err);
}

tars_status tars_conversation_append_late(struct tars_store *store, const char *tenant,
                                          const char *client, const char *id,
                                          const struct tars_message *messages, size_t n,
                                          int64_t now_us, struct tars_err *err)
{
    const struct tars_conversation_addition addition = {
        tenant, client, id, messages, n, now_us, .is_durable = true, .has_waited = true};

    return append(store, &addition, err);
}

tars_status tars_conversation_get(struct tars_store *store, const char *tenant, const char *client,
                                  const char *id, struct tars_arena *arena,
                                  struct tars_conversation *out, struct tars_err *err)
{
    return store->ops->conversations->get(store, tenant, client, id, arena, out, err);
}

tars_status tars_conversation_recent(struct tars_store *store, const char *tenant,
                                     const char *client, const char *id, size_t n,
                                     struct tars_arena *arena, struct tars_message **messages,
                                     size_t *count, struct tars_err *err)
{
    return store->ops->conversations->recent(store, tenant, client, id, n, arena, messages, count,
                                             err);
}

tars_status tars_conversation_list(struct tars_store *store, const char *tenant, const char *client,
                                   size_t limit, struct tars_arena *arena,
                                   struct tars_conversation **out, size_t *count,
                                   struct tars_err *err)
{
    return store->ops->conversations->list(store, tenant, client, limit, arena, out, count, err);
}

tars_status tars_conversation_each(struct tars_store *store, const char *tenant,
                                   tars_conversation_fn *each, void *ctx, struct tars_err *err)
{
    return store->ops->conversations->each(store, tenant, each, ctx, err);
}

tars_status tars_conversation_delete(struct tars_store *store, const char *tenant,
                                     const char *client, const char *id, struct tars_err *err)
{
    return store->ops->conversations->delete (store, tenant, client, id, err);
}

tars_status tars_conversation_prune(struct tars_store *store, int64_t now_us, struct tars_err *err)
{
    return store->ops->conversations->prune(store, now_us - DELETED_US, err);
}

tars_status tars_conversation_stats(struct tars_store *store, const char *tenant,
                                    struct tars_conversation_stats *out, struct tars_err *err)
{
    return store->ops->conversations->stats(store, tenant, out, err);
}
