/* conversations - see conversations.h for the contract. The way to the back end. */
#include "store/conversations.h"

#include <string.h>

#include "store/conversations_internal.h"

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

tars_status tars_conversation_append(struct tars_store *store, const char *tenant,
                                     const char *client, const char *id,
                                     const struct tars_message *messages, size_t n, bool durable,
                                     int64_t now_us, struct tars_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (tars_message_bytes(&messages[i]) > TARS_CONVERSATION_MESSAGE_MAX) {
            return tars_fail(TARS_ETOOBIG, err, "a message has more than %zu bytes",
                             TARS_CONVERSATION_MESSAGE_MAX);
        }
    }
    return store->ops->conversations->append(store, tenant, client, id, messages, n, durable,
                                             now_us, err);
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

tars_status tars_conversation_stats(struct tars_store *store, const char *tenant,
                                    struct tars_conversation_stats *out, struct tars_err *err)
{
    return store->ops->conversations->stats(store, tenant, out, err);
}
