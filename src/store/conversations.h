/* conversations - what was said, by whom, with what sources: the contract's section 1.4.
 *
 * Model     A conversation belongs to the client that made it, within a tenant; its id is the
 *           client's own text. It keeps the newest TARS_CONVERSATION_MESSAGES messages. A message
 * is text with sources and metadata as JSON, which the store does not look into. Durable   _append
 * with durable set is on disk when it returns TARS_OK; without, it survives the process, and a
 * power cut may undo the newest. Rights    Every function takes tenant and client; another client's
 * conversation is TARS_EDENIED, another tenant's is TARS_ENOTFOUND. client NULL: any of the tenant
 * (admins).
 */
#ifndef TARS_STORE_CONVERSATIONS_H
#define TARS_STORE_CONVERSATIONS_H

#include "store/store.h"

#define TARS_CONVERSATION_MESSAGES    100
#define TARS_CONVERSATION_TITLE_CHARS 50
#define TARS_CONVERSATION_ID_CHARS    255
#define TARS_CONVERSATION_ID_MAX      ((size_t)4 * TARS_CONVERSATION_ID_CHARS) /* bytes */
#define TARS_CONVERSATION_MESSAGE_MAX ((size_t)128 << 10) /* bytes of all texts of a message */

struct tars_message {
    const char *id;   /* the client's text; "" on the way in: the store makes one */
    const char *role; /* free text: "user", "assistant" */
    const char *content;
    const char *timestamp;     /* as sent, or the contract's shape of now */
    const char *sources_json;  /* array, or "" for null */
    const char *metadata_json; /* object, or "" for null */
};

struct tars_conversation {
    const char *id;
    const char *tenant;
    const char *client_id;
    const char *title;         /* first 50 characters of the first message, "..." if cut */
    const char *metadata_json; /* object, or "" for null */
    int64_t created_us, updated_us;
    int64_t message_count;
    struct tars_message *messages; /* (message_count,) oldest first; NULL in lists of heads */
};

struct tars_conversation_stats {
    int64_t conversations;
    int64_t messages;
    int64_t oldest_us, newest_us; /* by creation; 0: none */
};

/* What of TARS_CONVERSATION_MESSAGE_MAX a message takes. */
size_t tars_message_bytes(const struct tars_message *message);

/* A back end's; reached through struct tars_store_ops.conversations. */
struct tars_conversations_ops;

/* Add n messages, all or none; makes the conversation when there is none. now_us: its times.
 * TARS_EDENIED: it is another client's. TARS_EINVAL: an id that is empty or too long. TARS_ETOOBIG:
 * a message is, so that a whole conversation fits into the memory of one request. */
TARS_MUST_USE tars_status tars_conversation_append(struct tars_store *store, const char *tenant,
                                                   const char *client, const char *id,
                                                   const struct tars_message *messages, size_t n,
                                                   bool durable, int64_t now_us,
                                                   struct tars_err *err);
/* The same, durable, of what has waited since now_us. TARS_ENOTFOUND: the conversation was deleted
 * meanwhile, here or by another server, also where there is a new one of its name. That it was is
 * known for a year. */
TARS_MUST_USE tars_status tars_conversation_append_late(
    struct tars_store *store, const char *tenant, const char *client, const char *id,
    const struct tars_message *messages, size_t n, int64_t now_us, struct tars_err *err);
/* With its messages; ENOTFOUND, EDENIED. */
TARS_MUST_USE tars_status tars_conversation_get(struct tars_store *store, const char *tenant,
                                                const char *client, const char *id,
                                                struct tars_arena *arena,
                                                struct tars_conversation *out,
                                                struct tars_err *err);
/* The newest n messages, oldest first; none (TARS_OK, 0) when there is no such conversation. */
TARS_MUST_USE tars_status tars_conversation_recent(struct tars_store *store, const char *tenant,
                                                   const char *client, const char *id, size_t n,
                                                   struct tars_arena *arena,
                                                   struct tars_message **messages, size_t *count,
                                                   struct tars_err *err);
/* Newest updated first, with their messages; as many as fit into arena, if it is not one alone that
 * does not. */
TARS_MUST_USE tars_status tars_conversation_list(struct tars_store *store, const char *tenant,
                                                 const char *client, size_t limit,
                                                 struct tars_arena *arena,
                                                 struct tars_conversation **out, size_t *count,
                                                 struct tars_err *err);
/* All of a tenant, oldest first, with their messages; each is lent for the call. */
typedef bool tars_conversation_fn(void *ctx, const struct tars_conversation *conversation);
TARS_MUST_USE tars_status tars_conversation_each(struct tars_store *store, const char *tenant,
                                                 tars_conversation_fn *each, void *ctx,
                                                 struct tars_err *err);
/* Durable. */
TARS_MUST_USE tars_status tars_conversation_delete(struct tars_store *store, const char *tenant,
                                                   const char *client, const char *id,
                                                   struct tars_err *err);
/* Forget which ones were deleted a year before now_us. */
TARS_MUST_USE tars_status tars_conversation_prune(struct tars_store *store, int64_t now_us,
                                                  struct tars_err *err);
/* tenant NULL: all. */
TARS_MUST_USE tars_status tars_conversation_stats(struct tars_store *store, const char *tenant,
                                                  struct tars_conversation_stats *out,
                                                  struct tars_err *err);

#endif
