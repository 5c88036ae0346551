/* snapshot - see snapshot.h. Rows that name a tenant, an account or a collection that is not there
 * are passed over: the store's foreign keys rule them out, and none may be a right. */
#include "auth/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tars_snapshot {
    atomic_size_t holders;
    struct tars_arena arena; /* all below */
    struct tars_snapshot_tenant *tenants;
    size_t tenant_count;
    struct tars_snapshot_account *accounts;
    size_t account_count;
    const struct tars_snapshot_account **by_external; /* (external_count,) */
    size_t external_count;
    const struct tars_snapshot_account **by_id; /* (account_count,) */
    struct tars_snapshot_key *keys;
    size_t key_count;
};

/* --------------------------------------------------------------------- order */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_tenants(const void *a, const void *b)
{
    return strcmp(((const struct tars_snapshot_tenant *)a)->tenant->name,
                  ((const struct tars_snapshot_tenant *)b)->tenant->name);
}

static int compare_accounts(const void *a, const void *b)
{
    const struct tars_account *left = ((const struct tars_snapshot_account *)a)->account;
    const struct tars_account *right = ((const struct tars_snapshot_account *)b)->account;
    int order = strcmp(left->tenant, right->tenant);

    return order ? order : strcmp(left->name, right->name);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t left = (*(const struct tars_snapshot_account *const *)a)->account->id;
    int64_t right = (*(const struct tars_snapshot_account *const *)b)->account->id;

    return (left > right) - (left < right);
}

static int compare_externals(const void *a, const void *b)
{
    return strcmp((*(const struct tars_snapshot_account *const *)a)->account->external,
                  (*(const struct tars_snapshot_account *const *)b)->account->external);
}

static int compare_hashes(const void *a, const void *b)
{
    return strcmp(((const struct tars_snapshot_key *)a)->key->hash,
                  ((const struct tars_snapshot_key *)b)->key->hash);
}

static int compare_collections(const void *a, const void *b)
{
    const struct tars_collection *left = a;
    const struct tars_collection *right = b;
    int order = strcmp(left->tenant, right->tenant);

    return order ? order : strcmp(left->name, right->name);
}

static int compare_collection_ids(const void *a, const void *b)
{
    int64_t left = (*(const struct tars_collection *const *)a)->id;
    int64_t right = (*(const struct tars_collection *const *)b)->id;

    return (left > right) - (left < right);
}

/* By account, then by collection: any order that puts an account's grants together will do. */
static int compare_grants(const void *a, const void *b)
{
    const struct tars_grant *left = a;
    const struct tars_grant *right = b;

    return (left->account_id > right->account_id) - (left->account_id < right->account_id);
}

static int compare_grant_keys(const void *a, const void *b)
{
    return strcmp(((const struct tars_snapshot_grant *)a)->collection->key,
                  ((const struct tars_snapshot_grant *)b)->collection->key);
}

static void sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count)
        qsort(array, count, size, compare);
}

static const void *search(const void *key, const void *array, size_t count, size_t size,
                          int (*compare)(const void *, const void *))
{
    return count ? bsearch(key, array, count, size, compare) : NULL;
}

/* ---------------------------------------------------------------------- make */

/* collections, sorted, are those of one tenant from begin on. */
static tars_status fill_tenant(struct tars_snapshot *made, struct tars_snapshot_tenant *tenant,
                               const struct tars_collection *begin, size_t count)
{
    const struct tars_collection **list = tars_arena_calloc(&made->arena, count + 1, sizeof(*list));
    const char **all = tars_arena_calloc(&made->arena, count + 1, sizeof(*all));
    const char **open = tars_arena_calloc(&made->arena, count + 1, sizeof(*open));

    if (!list || !all || !open)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        list[i] = &begin[i];
        all[i] = begin[i].key;
        if (!begin[i].restricted)
            open[tenant->open_count++] = begin[i].key;
    }
    sort((void *)all, count, sizeof(*all), compare_texts);
    sort((void *)open, tenant->open_count, sizeof(*open), compare_texts);
    tenant->collections = list;
    tenant->collection_count = count;
    tenant->all = all;
    tenant->open = open;
    return TARS_OK;
}

static tars_status make_tenants(struct tars_snapshot *made, struct tars_access *access)
{
    tars_status status = TARS_OK;
    size_t at = 0;

    made->tenants =
        tars_arena_calloc(&made->arena, access->tenant_count + 1, sizeof(*made->tenants));
    if (!made->tenants)
        return TARS_ENOMEM;
    made->tenant_count = access->tenant_count;
    for (size_t i = 0; i < access->tenant_count; i++)
        made->tenants[i].tenant = &access->tenants[i];
    sort(made->tenants, made->tenant_count, sizeof(*made->tenants), compare_tenants);
    sort(access->collections, access->collection_count, sizeof(*access->collections),
         compare_collections);
    for (size_t i = 0; i < made->tenant_count && status == TARS_OK; i++) {
        const char *name = made->tenants[i].tenant->name;
        size_t begin;

        while (at < access->collection_count && strcmp(access->collections[at].tenant, name) < 0)
            at++;
        begin = at;
        while (at < access->collection_count && strcmp(access->collections[at].tenant, name) == 0)
            at++;
        status = fill_tenant(made, &made->tenants[i], access->collections + begin, at - begin);
    }
    return status;
}

static tars_status index_accounts(struct tars_snapshot *made)
{
    size_t count = made->account_count;

    made->by_id =
        tars_arena_calloc(&made->arena, count + 1, sizeof(struct tars_snapshot_account *));
    made->by_external =
        tars_arena_calloc(&made->arena, count + 1, sizeof(struct tars_snapshot_account *));
    if (!made->by_id || !made->by_external)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        made->by_id[i] = &made->accounts[i];
        if (made->accounts[i].account->external && *made->accounts[i].account->external)
            made->by_external[made->external_count++] = &made->accounts[i];
    }
    sort((void *)made->by_id, count, sizeof(struct tars_snapshot_account *), compare_ids);
    sort((void *)made->by_external, made->external_count, sizeof(struct tars_snapshot_account *),
         compare_externals);
    return TARS_OK;
}

static tars_status make_accounts(struct tars_snapshot *made, const struct tars_access *access)
{
    made->accounts =
        tars_arena_calloc(&made->arena, access->account_count + 1, sizeof(*made->accounts));
    if (!made->accounts)
        return TARS_ENOMEM;
    for (size_t i = 0; i < access->account_count; i++) {
        const struct tars_snapshot_tenant *tenant =
            tars_snapshot_tenant(made, access->accounts[i].tenant);

        if (!tenant)
            continue;
        made->accounts[made->account_count++] =
            (struct tars_snapshot_account){.account = &access->accounts[i], .tenant = tenant};
    }
    sort(made->accounts, made->account_count, sizeof(*made->accounts), compare_accounts);
    return index_accounts(made);
}

static const struct tars_collection *collection_by_id(const struct tars_collection **by_id,
                                                      size_t count, int64_t id)
{
    const struct tars_collection wanted = {.id = id};
    const struct tars_collection *key = &wanted;
    const struct tars_collection *const *found = search(
        &key, (const void *)by_id, count, sizeof(struct tars_collection *), compare_collection_ids);

    return found ? *found : NULL;
}

/* A grant counts only within a tenant. */
static tars_status make_grants(struct tars_snapshot *made, struct tars_access *access)
{
    size_t count = access->collection_count;
    const struct tars_collection **by_id =
        tars_arena_calloc(&made->arena, count + 1, sizeof(struct tars_collection *));
    struct tars_snapshot_grant *grants =
        tars_arena_calloc(&made->arena, access->grant_count + 1, sizeof(*grants));
    size_t used = 0;

    if (!by_id || !grants)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        by_id[i] = &access->collections[i];
    sort((void *)by_id, count, sizeof(struct tars_collection *), compare_collection_ids);
    sort(access->grants, access->grant_count, sizeof(*access->grants), compare_grants);
    for (size_t i = 0; i < access->grant_count; i++) {
        const struct tars_grant *grant = &access->grants[i];
        const struct tars_collection *collection =
            collection_by_id(by_id, count, grant->collection_id);
        const struct tars_snapshot_account *found =
            tars_snapshot_account_by_id(made, grant->account_id);
        struct tars_snapshot_account *account;

        if (!found || !collection || strcmp(found->account->tenant, collection->tenant) != 0)
            continue;
        account = &made->accounts[found - made->accounts];
        if (!account->grants)
            account->grants = &grants[used];
        grants[used++] = (struct tars_snapshot_grant){collection, grant->writes};
        account->grant_count++;
    }
    for (size_t i = 0; i < made->account_count; i++) {
        sort((void *)made->accounts[i].grants, made->accounts[i].grant_count, sizeof(*grants),
             compare_grant_keys);
    }
    return TARS_OK;
}

static tars_status make_keys(struct tars_snapshot *made, const struct tars_access *access)
{
    made->keys = tars_arena_calloc(&made->arena, access->key_count + 1, sizeof(*made->keys));
    if (!made->keys)
        return TARS_ENOMEM;
    for (size_t i = 0; i < access->key_count; i++) {
        const struct tars_snapshot_account *account =
            tars_snapshot_account_by_id(made, access->keys[i].account_id);

        if (account)
            made->keys[made->key_count++] = (struct tars_snapshot_key){&access->keys[i], account};
    }
    sort(made->keys, made->key_count, sizeof(*made->keys), compare_hashes);
    return TARS_OK;
}

tars_status tars_snapshot_read(struct tars_store *store, struct tars_snapshot **snapshot,
                               struct tars_err *err)
{
    struct tars_snapshot *made = calloc(1, sizeof(*made));
    struct tars_access *access;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to read the accounts");
    atomic_init(&made->holders, 1);
    tars_arena_init(&made->arena, TARS_SNAPSHOT_BYTES_MAX);
    access = tars_arena_calloc(&made->arena, 1, sizeof(*access));
    status = access ? tars_accounts_load(store, &made->arena, access, err) : TARS_ENOMEM;
    if (status == TARS_OK)
        status = make_tenants(made, access);
    if (status == TARS_OK)
        status = make_accounts(made, access);
    if (status == TARS_OK)
        status = make_grants(made, access);
    if (status == TARS_OK)
        status = make_keys(made, access);
    if (status != TARS_OK) {
        tars_snapshot_drop(made);
        return status == TARS_ENOMEM ? tars_fail(status, err, "no memory to read the accounts")
                                     : status;
    }
    *snapshot = made;
    return TARS_OK;
}

struct tars_snapshot *tars_snapshot_hold(struct tars_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->holders, 1, memory_order_relaxed);
    return snapshot;
}

void tars_snapshot_drop(struct tars_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->holders, 1, memory_order_acq_rel) != 1)
        return;
    tars_arena_release(&snapshot->arena);
    free(snapshot);
}

/* ----------------------------------------------------------------------- ask */

const struct tars_snapshot_tenant *tars_snapshot_tenant(const struct tars_snapshot *snapshot,
                                                        const char *name)
{
    const struct tars_tenant tenant = {.name = name};
    const struct tars_snapshot_tenant wanted = {.tenant = &tenant};

    return search(&wanted, snapshot->tenants, snapshot->tenant_count, sizeof(wanted),
                  compare_tenants);
}

const struct tars_snapshot_account *tars_snapshot_account(const struct tars_snapshot *snapshot,
                                                          const char *tenant, const char *name)
{
    const struct tars_account account = {.tenant = tenant, .name = name};
    const struct tars_snapshot_account wanted = {.account = &account};

    return search(&wanted, snapshot->accounts, snapshot->account_count, sizeof(wanted),
                  compare_accounts);
}

const struct tars_snapshot_account *
tars_snapshot_account_by_id(const struct tars_snapshot *snapshot, int64_t id)
{
    const struct tars_account account = {.id = id};
    const struct tars_snapshot_account wanted = {.account = &account};
    const struct tars_snapshot_account *key = &wanted;
    const struct tars_snapshot_account *const *found = search(
        &key, (const void *)snapshot->by_id, snapshot->account_count, sizeof(key), compare_ids);

    return found ? *found : NULL;
}

const struct tars_snapshot_account *
tars_snapshot_account_by_external(const struct tars_snapshot *snapshot, const char *external)
{
    const struct tars_account account = {.external = external};
    const struct tars_snapshot_account wanted = {.account = &account};
    const struct tars_snapshot_account *key = &wanted;
    const struct tars_snapshot_account *const *found =
        search(&key, (const void *)snapshot->by_external, snapshot->external_count, sizeof(key),
               compare_externals);

    return found ? *found : NULL;
}

const struct tars_snapshot_key *tars_snapshot_key(const struct tars_snapshot *snapshot,
                                                  const char *hash)
{
    const struct tars_api_key key = {.hash = hash};
    const struct tars_snapshot_key wanted = {.key = &key};

    return search(&wanted, snapshot->keys, snapshot->key_count, sizeof(wanted), compare_hashes);
}

static int compare_name(const void *name, const void *collection)
{
    return strcmp(name, (*(const struct tars_collection *const *)collection)->name);
}

const struct tars_collection *tars_snapshot_collection(const struct tars_snapshot_tenant *tenant,
                                                       const char *name)
{
    const struct tars_collection *const *found =
        search(name, (const void *)tenant->collections, tenant->collection_count,
               sizeof(struct tars_collection *), compare_name);

    return found ? *found : NULL;
}

const struct tars_snapshot_tenant *tars_snapshot_tenants(const struct tars_snapshot *snapshot,
                                                         size_t *count)
{
    *count = snapshot->tenant_count;
    return snapshot->tenants;
}

const struct tars_snapshot_account *tars_snapshot_accounts(const struct tars_snapshot *snapshot,
                                                           size_t *count)
{
    *count = snapshot->account_count;
    return snapshot->accounts;
}

const struct tars_snapshot_key *tars_snapshot_keys(const struct tars_snapshot *snapshot,
                                                   size_t *count)
{
    *count = snapshot->key_count;
    return snapshot->keys;
}

/* -------------------------------------------------------------------- rights */

struct list {
    const char *const *keys; /* (count,) sorted */
    size_t count;
};

/* The union of a and b, copied. */
static tars_status merge(struct tars_arena *arena, struct list a, struct list b, struct list *out)
{
    const char **made = tars_arena_calloc(arena, a.count + b.count + 1, sizeof(*made));
    size_t count = 0;
    size_t i = 0;
    size_t k = 0;

    if (!made)
        return TARS_ENOMEM;
    while (i < a.count || k < b.count) {
        int order = i == a.count ? 1 : -1;

        if (i < a.count && k < b.count)
            order = strcmp(a.keys[i], b.keys[k]);
        made[count] = tars_arena_strdup(arena, order <= 0 ? a.keys[i] : b.keys[k]);
        if (!made[count++])
            return TARS_ENOMEM;
        i += order <= 0;
        k += order >= 0;
    }
    *out = (struct list){made, count};
    return TARS_OK;
}

/* The keys of what account was given, or of that part of it that it may change. */
static tars_status granted(const struct tars_snapshot_account *account, bool to_write,
                           struct tars_arena *arena, struct list *out)
{
    const char **keys;
    size_t count = 0;

    *out = (struct list){NULL, 0};
    if (!account || account->grant_count == 0)
        return TARS_OK;
    keys = tars_arena_calloc(arena, account->grant_count, sizeof(*keys));
    if (!keys)
        return TARS_ENOMEM;
    for (size_t i = 0; i < account->grant_count; i++) {
        if (!to_write || account->grants[i].writes)
            keys[count++] = account->grants[i].collection->key;
    }
    *out = (struct list){keys, count};
    return TARS_OK;
}

static tars_status collect(const struct tars_snapshot_tenant *tenant,
                           const struct tars_snapshot_account *account, bool is_admin,
                           bool to_write, struct tars_arena *arena, struct list *out)
{
    const struct list all = {tenant->all, tenant->collection_count};
    const struct list open = {tenant->open, tenant->open_count};
    struct list given = {NULL, 0};
    tars_status status = TARS_OK;

    if (!is_admin)
        status = granted(account, to_write, arena, &given);
    return status == TARS_OK ? merge(arena, is_admin ? all : open, given, out) : status;
}

tars_status tars_snapshot_rights(const struct tars_snapshot_tenant *tenant,
                                 const struct tars_snapshot_account *account,
                                 struct tars_arena *arena, struct tars_principal *out)
{
    bool is_admin = out->role >= TARS_ROLE_ADMIN;
    struct list reads = {NULL, 0};
    struct list writes = {NULL, 0};
    tars_status status = TARS_OK;

    if (out->role >= TARS_ROLE_READER)
        status = collect(tenant, account, is_admin, false, arena, &reads);
    if (status == TARS_OK && out->role >= TARS_ROLE_WRITER)
        status = collect(tenant, account, is_admin, true, arena, &writes);
    if (status != TARS_OK)
        return status;
    out->visible = (struct tars_visible){.keys = reads.keys, .count = reads.count};
    out->writable = writes.keys;
    out->writable_count = writes.count;
    return TARS_OK;
}

tars_status tars_snapshot_rights_all(const struct tars_snapshot *snapshot, struct tars_arena *arena,
                                     struct tars_principal *out)
{
    const char **keys;
    size_t count = 0;

    for (size_t i = 0; i < snapshot->tenant_count; i++)
        count += snapshot->tenants[i].collection_count;
    keys = tars_arena_calloc(arena, count + 1, sizeof(*keys));
    if (!keys)
        return TARS_ENOMEM;
    count = 0;
    for (size_t i = 0; i < snapshot->tenant_count; i++) {
        for (size_t k = 0; k < snapshot->tenants[i].collection_count; k++) {
            keys[count] = tars_arena_strdup(arena, snapshot->tenants[i].all[k]);
            if (!keys[count++])
                return TARS_ENOMEM;
        }
    }
    sort((void *)keys, count, sizeof(*keys), compare_texts);
    out->visible = (struct tars_visible){.all = true, .keys = keys, .count = count};
    out->writable = keys;
    out->writable_count = count;
    out->writes_all = true;
    return TARS_OK;
}
