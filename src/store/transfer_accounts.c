/* transfer_accounts - who may do what, and what was said, from one store to another. */
#include <string.h>

#include "store/conversations.h"
#include "store/transfer_internal.h"

#define PAGE 1000 /* entries of the audit log */

/* Both sides, in one arena. */
struct sides {
    const struct tars_transfer_config *config;
    struct tars_arena arena;
    struct tars_access from, to;
};

static tars_status load(struct sides *sides, struct tars_err *err)
{
    tars_status status = tars_accounts_load(sides->config->from, &sides->arena, &sides->from, err);

    return status ? status : tars_accounts_load(sides->config->to, &sides->arena, &sides->to, err);
}

/* What is there already is fine. */
static tars_status or_there(tars_status status)
{
    return status == TARS_EEXIST ? TARS_OK : status;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ------------------------------------------------------- tenants, collections */

static tars_status add_tenants(struct sides *sides, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < sides->from.tenant_count; i++) {
        struct tars_tenant open = sides->from.tenants[i];

        open.max_documents = open.max_bytes = 0;
        open.disabled = false;
        status = or_there(tars_accounts_tenant_add(sides->config->to, &open, err));
        if (!status)
            status = tars_accounts_tenant_set(sides->config->to, &open, err);
    }
    for (size_t i = 0; !status && i < sides->from.collection_count; i++) {
        struct tars_collection collection = sides->from.collections[i];

        status = or_there(tars_accounts_collection_add(sides->config->to, &collection, err));
    }
    return status;
}

/* Its number on the other side, or 0. */
static int64_t collection_there(const struct sides *sides, int64_t id)
{
    const char *key = "";

    for (size_t i = 0; i < sides->from.collection_count; i++) {
        if (sides->from.collections[i].id == id)
            key = sides->from.collections[i].key;
    }
    for (size_t i = 0; i < sides->to.collection_count; i++) {
        if (same(sides->to.collections[i].key, key))
            return sides->to.collections[i].id;
    }
    return 0;
}

static tars_status set_collections(struct sides *sides, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < sides->from.collection_count; i++) {
        struct tars_collection collection = sides->from.collections[i];

        collection.id = collection_there(sides, collection.id);
        status = tars_accounts_collection_set(sides->config->to, &collection, err);
    }
    return status;
}

/* ------------------------------------------------------------ accounts, rights */

static tars_status add_accounts(struct sides *sides, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < sides->from.account_count; i++) {
        struct tars_account account = sides->from.accounts[i];

        status = or_there(tars_accounts_add(sides->config->to, &account, err));
    }
    return status;
}

static int64_t account_there(const struct sides *sides, int64_t id)
{
    const struct tars_account *wanted = NULL;

    for (size_t i = 0; i < sides->from.account_count; i++) {
        if (sides->from.accounts[i].id == id)
            wanted = &sides->from.accounts[i];
    }
    for (size_t i = 0; wanted && i < sides->to.account_count; i++) {
        if (same(sides->to.accounts[i].tenant, wanted->tenant) &&
            same(sides->to.accounts[i].name, wanted->name))
            return sides->to.accounts[i].id;
    }
    return 0;
}

/* One that is there from an earlier run may have been revoked since. */
static tars_status set_key(struct sides *sides, const struct tars_api_key *from,
                           struct tars_err *err)
{
    struct tars_api_key key = *from;
    tars_status status;

    key.account_id = account_there(sides, key.account_id);
    status = or_there(tars_accounts_key_add(sides->config->to, &key, err));
    for (size_t i = 0; !status && key.revoked && i < sides->to.key_count; i++) {
        if (same(sides->to.keys[i].hash, key.hash) && !sides->to.keys[i].revoked)
            status = tars_accounts_key_revoke(sides->config->to, sides->to.keys[i].id, err);
    }
    return status;
}

static tars_status set_accounts(struct sides *sides, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < sides->from.account_count; i++) {
        struct tars_account account = sides->from.accounts[i];

        account.id = account_there(sides, account.id);
        status = tars_accounts_set(sides->config->to, &account, err);
    }
    for (size_t i = 0; !status && i < sides->from.key_count; i++)
        status = set_key(sides, &sides->from.keys[i], err);
    for (size_t i = 0; !status && i < sides->from.grant_count; i++) {
        struct tars_grant grant = sides->from.grants[i];

        grant.account_id = account_there(sides, grant.account_id);
        grant.collection_id = collection_there(sides, grant.collection_id);
        status = tars_accounts_grant(sides->config->to, &grant, err);
    }
    return status;
}

struct revoking {
    struct tars_store *to;
    tars_status status;
    struct tars_err *err;
};

static bool revoke(void *ctx, const char *id, int64_t expires_us)
{
    struct revoking *revoking = ctx;

    revoking->status = tars_accounts_revoke(revoking->to, id, expires_us, revoking->err);
    return revoking->status == TARS_OK;
}

static tars_status move_revoked(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct revoking revoking = {config->to, TARS_OK, err};
    tars_status status = tars_accounts_revoked(config->from, revoke, &revoking, err);

    return revoking.status ? revoking.status : status;
}

tars_status tars_transfer_accounts(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct sides sides = {.config = config};
    tars_status status;

    tars_arena_init(&sides.arena, TRANSFER_ARENA_MAX);
    status = load(&sides, err);
    if (!status)
        status = add_tenants(&sides, err);
    if (!status)
        status = add_accounts(&sides, err);
    if (!status)
        status = load(&sides, err); /* the numbers of those just added */
    if (!status)
        status = set_collections(&sides, err);
    if (!status)
        status = set_accounts(&sides, err);
    if (!status)
        status = move_revoked(config, err);
    tars_arena_release(&sides.arena);
    return status;
}

/* ------------------------------------------------------------- conversations */

struct talking {
    const struct tars_transfer_config *config;
    struct tars_arena arena;
    tars_status status;
    struct tars_err *err;
};

/* One of a single message has the time of that. */
int64_t tars_transfer_changed_us(const struct tars_conversation *said)
{
    return said->message_count > 1 ? said->updated_us : said->created_us;
}

/* The first message makes it, at its time; the others come at the time it was last changed. */
static tars_status say(struct talking *talking, const struct tars_conversation *said)
{
    struct tars_store *to = talking->config->to;
    tars_status status =
        tars_conversation_append(to, said->tenant, said->client_id, said->id, said->messages, 1,
                                 false, said->created_us, talking->err);

    if (!status && said->message_count > 1) {
        status = tars_conversation_append(to, said->tenant, said->client_id, said->id,
                                          said->messages + 1, (size_t)said->message_count - 1, true,
                                          said->updated_us, talking->err);
    }
    return status;
}

static bool move_conversation(void *ctx, const struct tars_conversation *said)
{
    struct talking *talking = ctx;
    struct tars_conversation found;
    tars_status status;

    tars_arena_clear(&talking->arena);
    status = tars_conversation_get(talking->config->to, said->tenant, said->client_id, said->id,
                                   &talking->arena, &found, NULL);
    if (status == TARS_OK && found.message_count == said->message_count &&
        tars_transfer_changed_us(&found) == tars_transfer_changed_us(said))
        return true;
    if (status == TARS_OK) { /* it was stopped between the two steps, or has gone on since */
        status = tars_conversation_delete(talking->config->to, said->tenant, said->client_id,
                                          said->id, talking->err);
    } else if (status == TARS_ENOTFOUND) {
        status = TARS_OK;
    }
    if (!status && said->message_count > 0)
        status = say(talking, said);
    talking->status = status;
    return status == TARS_OK;
}

static tars_status move_conversations(const struct sides *sides, struct tars_err *err)
{
    struct talking talking = {.config = sides->config, .err = err};
    tars_status status = TARS_OK;

    tars_arena_init(&talking.arena, TRANSFER_ARENA_MAX);
    for (size_t i = 0; !status && i < sides->from.tenant_count; i++) {
        status = tars_conversation_each(sides->config->from, sides->from.tenants[i].name,
                                        move_conversation, &talking, err);
        if (talking.status)
            status = talking.status;
    }
    tars_arena_release(&talking.arena);
    return status;
}

/* --------------------------------------------------------------------- audit */

tars_status tars_transfer_audit(struct tars_store *store, struct tars_arena *arena,
                                struct tars_audit_entry **entries, size_t *count,
                                struct tars_err *err)
{
    struct tars_audit_filter filter = {.limit = PAGE};
    struct tars_audit_entry *all = NULL;
    size_t total = 0;
    size_t cap = 0;
    size_t n = PAGE;
    tars_status status = TARS_OK;

    while (!status && n == PAGE) {
        struct tars_audit_entry *page = NULL;
        void *items = all;

        status = tars_accounts_audit_list(store, &filter, arena, &page, &n, err);
        if (status || n == 0)
            break;
        if (tars_arena_grow(arena, &items, &cap, total + n, sizeof(*all)))
            return tars_fail(TARS_ENOMEM, err, "no memory for the audit log");
        all = items;
        memcpy(&all[total], page, n * sizeof(*page));
        total += n;
        filter.before_id = page[n - 1].id;
    }
    for (size_t i = 0; i < total / 2; i++) {
        struct tars_audit_entry swapped = all[i];

        all[i] = all[total - 1 - i];
        all[total - 1 - i] = swapped;
    }
    *entries = all;
    *count = total;
    return status;
}

/* Those after the ones that an earlier run has copied. */
static tars_status move_audit(struct sides *sides, struct tars_err *err)
{
    struct tars_audit_entry *entries = NULL;
    struct tars_audit_entry *there = NULL;
    size_t count = 0;
    size_t done = 0;
    tars_status status =
        tars_transfer_audit(sides->config->from, &sides->arena, &entries, &count, err);

    if (!status)
        status = tars_transfer_audit(sides->config->to, &sides->arena, &there, &done, err);
    for (size_t i = done; !status && i < count; i++)
        status = tars_accounts_audit(sides->config->to, &entries[i], err);
    return status;
}

tars_status tars_transfer_rest(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct sides sides = {.config = config};
    tars_status status;

    tars_arena_init(&sides.arena, TRANSFER_ARENA_MAX);
    status = load(&sides, err);
    if (!status)
        status = move_conversations(&sides, err);
    if (!status)
        status = move_audit(&sides, err);
    for (size_t i = 0; !status && i < sides.from.tenant_count; i++)
        status = tars_accounts_tenant_set(config->to, &sides.from.tenants[i], err);
    tars_arena_release(&sides.arena);
    return status;
}
