/* conversations_internal - what a back end gives for conversations.h. Not for others. */
#ifndef TARS_STORE_CONVERSATIONS_INTERNAL_H
#define TARS_STORE_CONVERSATIONS_INTERNAL_H

#include "store/conversations.h"

#define TARS_CONVERSATION_TITLE_BYTES ((size_t)4 * TARS_CONVERSATION_TITLE_CHARS + sizeof("..."))

/* The title of a conversation that begins with this text (NULL: ""). out has
 * TARS_CONVERSATION_TITLE_BYTES. */
void tars_conversation_title(const char *text, char *out);

/* What one call of _append() adds. */
struct tars_conversation_addition {
    const char *tenant, *client, *id;
    const struct tars_message *messages; /* (n,) */
    size_t n;
    int64_t now_us;
    bool is_durable;
    bool has_waited; /* since now_us: not where the conversation was deleted meanwhile */
};

/* Each promises what the function of conversations.h with its name does. */
struct tars_conversations_ops {
    tars_status (*append)(struct tars_store *store,
                          const struct tars_conversation_addition *addition, struct tars_err *err);
    tars_status (*get)(struct tars_store *store, const char *tenant, const char *client,
                       const char *id, struct tars_arena *arena, struct tars_conversation *out,
                       struct tars_err *err);
    tars_status (*recent)(struct tars_store *store, const char *tenant, const char *client,
                          const char *id, size_t n, struct tars_arena *arena,
                          struct tars_message **messages, size_t *count, struct tars_err *err);
    tars_status (*list)(struct tars_store *store, const char *tenant, const char *client,
                        size_t limit, struct tars_arena *arena, struct tars_conversation **out,
                        size_t *count, struct tars_err *err);
    tars_status (*each)(struct tars_store *store, const char *tenant, tars_conversation_fn *each,
                        void *ctx, struct tars_err *err);
    tars_status (*delete)(struct tars_store *store, const char *tenant, const char *client,
                          const char *id, struct tars_err *err);
    /* Those of before_us and earlier. */
    tars_status (*prune)(struct tars_store *store, int64_t before_us, struct tars_err *err);
    tars_status (*stats)(struct tars_store *store, const char *tenant,
                         struct tars_conversation_stats *out, struct tars_err *err);
};

#endif
