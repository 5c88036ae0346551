/* scope - see scope.h. */
#include "retrieve/scope.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "retrieve/owners.h"
#include "retrieve/sieve.h"
#include "store/accounts.h"

#define KEY_BYTES_MAX   ((size_t)1 << 20) /* filters and collections of one sieve */
#define SIZES_BYTES_MAX ((size_t)64 << 20)
#define WORD_BITS       64

/* A sieve that is kept; or that was, and is still asked by a call. */
struct kept {
    struct tars_sieve *sieve; /* owned */
    struct tars_buf key;      /* what it is of */
    uint64_t seq, upto;
    size_t users;
    struct kept *next; /* less recently used */
    bool listed;
};

struct tars_scopes {
    struct tars_store *store;
    struct tars_owners *owners;

    pthread_mutex_t lock; /* guards what follows, and users, next, listed of each kept */
    struct kept *kept;    /* most recently used first */
    size_t kept_count, kept_bytes;
    struct tars_arena sizes_arena;            /* of full */
    const struct tars_collection_size *sizes; /* (full_count,) */
    const char **full; /* (full_count,) keys of collections with documents, ascending */
    size_t full_count;
    uint64_t full_seq;
    bool full_known;
};

struct tars_scope {
    struct tars_scopes *scopes;
    struct tars_visible visible; /* what may be read, narrowed to the one collection */
    const char *one[1];          /* of visible, when it is narrowed */
    bool everything;             /* no filter is needed */
    bool happens;                /* everything, because visible holds all there is */
    bool empty;
    uint64_t seq;
    const struct tars_owners *owners; /* NULL: whosever it is */
    uint64_t *allowed;                /* (number_count / 64 + 1,) bits, by number of collection */
    size_t number_count;
    struct kept *kept; /* NULL: no filters */
    struct tars_index_filter filter;
    struct tars_index_filter rights;
    uint64_t passages; /* that rights accepts */
};

/* --------------------------------------------------------------- life cycle */

tars_status tars_scopes_new(struct tars_store *store, struct tars_scopes **scopes)
{
    struct tars_scopes *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    status = tars_owners_new(store, &made->owners);
    if (status) {
        free(made);
        return status;
    }
    made->store = store;
    tars_arena_init(&made->sizes_arena, SIZES_BYTES_MAX);
    (void)pthread_mutex_init(&made->lock, NULL);
    *scopes = made;
    return TARS_OK;
}

static void free_kept(struct kept *kept)
{
    tars_sieve_free(kept->sieve);
    tars_buf_release(&kept->key);
    free(kept);
}

void tars_scopes_free(struct tars_scopes *scopes)
{
    if (!scopes)
        return;
    while (scopes->kept) {
        struct kept *kept = scopes->kept;

        scopes->kept = kept->next;
        free_kept(kept);
    }
    tars_owners_free(scopes->owners);
    tars_arena_release(&scopes->sizes_arena);
    (void)pthread_mutex_destroy(&scopes->lock);
    free(scopes);
}

/* -------------------------------------------------------------- everything? */

/* Under the lock: know which collections have documents, at seq or later. */
static tars_status know_full(struct tars_scopes *scopes, uint64_t seq, struct tars_err *err)
{
    struct tars_collection_size *sizes = NULL;
    size_t count = 0;
    uint64_t partial = tars_store_partial(scopes->store);
    tars_status status;

    if (scopes->full_known && scopes->full_seq >= seq)
        return TARS_OK;
    scopes->full_known = false;
    tars_arena_clear(&scopes->sizes_arena);
    status = tars_accounts_sizes(scopes->store, &scopes->sizes_arena, &sizes, &count, err);
    if (status)
        return status;
    scopes->full = tars_arena_calloc(&scopes->sizes_arena, count + 1, sizeof(*scopes->full));
    if (!scopes->full)
        return tars_fail(TARS_ENOMEM, err, "no memory to know what the collections hold");
    for (size_t i = 0; i < count; i++)
        scopes->full[i] = sizes[i].key;
    scopes->sizes = sizes;
    scopes->full_count = count;
    scopes->full_seq = seq;
    scopes->full_known = tars_store_partial(scopes->store) == partial;
    return TARS_OK;
}

/* Does visible hold every collection that has documents? Both ascend. */
static tars_status covers(struct tars_scopes *scopes, const struct tars_visible *visible,
                          uint64_t seq, bool *all, struct tars_err *err)
{
    size_t at = 0;
    tars_status status;

    (void)pthread_mutex_lock(&scopes->lock);
    status = know_full(scopes, seq, err);
    for (size_t i = 0; !status && at < scopes->full_count && i < visible->count; i++)
        at += strcmp(visible->keys[i], scopes->full[at]) == 0;
    *all = !status && at == scopes->full_count;
    (void)pthread_mutex_unlock(&scopes->lock);
    return status;
}

/* Passages of the collections in visible. */
static tars_status count_passages(struct tars_scopes *scopes, const struct tars_visible *visible,
                                  uint64_t seq, uint64_t *count, struct tars_err *err)
{
    tars_status status;

    *count = 0;
    (void)pthread_mutex_lock(&scopes->lock);
    status = know_full(scopes, seq, err);
    for (size_t i = 0; !status && i < scopes->full_count; i++) {
        if (tars_visible_has(visible, scopes->sizes[i].key))
            *count += (uint64_t)scopes->sizes[i].passages;
    }
    (void)pthread_mutex_unlock(&scopes->lock);
    return status;
}

/* ------------------------------------------------------------- kept sieves */

static void make_key(struct tars_buf *key, const struct tars_visible *visible, const char *filters)
{
    tars_buf_append(key, visible->all ? "*" : "", 1);
    for (size_t i = 0; !visible->all && i < visible->count; i++)
        tars_buf_append(key, visible->keys[i], strlen(visible->keys[i]) + 1);
    tars_buf_append(key, "", 1);
    tars_buf_append(key, filters, strlen(filters));
}

static size_t bytes_of(const struct kept *kept)
{
    return sizeof(*kept) + kept->key.len + tars_sieve_bytes(kept->sieve);
}

/* Under the lock. */
static void unlist(struct tars_scopes *scopes, struct kept **at)
{
    struct kept *kept = *at;

    if (!kept)
        return;
    *at = kept->next;
    kept->listed = false;
    scopes->kept_count--;
    scopes->kept_bytes -= bytes_of(kept);
    if (kept->users == 0)
        free_kept(kept);
}

static bool is_of(const struct kept *kept, const struct tars_buf *key)
{
    return kept->key.len == key->len && memcmp(kept->key.ptr, key->ptr, key->len) == 0;
}

/* The sieve of key, to the front of the list and with one more user; NULL when none is kept. */
static struct kept *find_kept(struct tars_scopes *scopes, const struct tars_buf *key)
{
    struct kept *found = NULL;

    (void)pthread_mutex_lock(&scopes->lock);
    for (struct kept **at = &scopes->kept; *at; at = &(*at)->next) {
        if (!is_of(*at, key))
            continue;
        found = *at;
        *at = found->next;
        found->next = scopes->kept;
        scopes->kept = found;
        found->users++;
        break;
    }
    (void)pthread_mutex_unlock(&scopes->lock);
    return found;
}

static void let_go(struct tars_scopes *scopes, struct kept *kept)
{
    bool last;

    if (!kept)
        return;
    (void)pthread_mutex_lock(&scopes->lock);
    last = --kept->users == 0 && !kept->listed;
    (void)pthread_mutex_unlock(&scopes->lock);
    if (last)
        free_kept(kept);
}

/* Under the lock, with something in the list: where its last one hangs. */
static struct kept **oldest(struct tars_scopes *scopes)
{
    struct kept **at = &scopes->kept;

    for (struct kept *kept = *at; kept && kept->next; kept = kept->next)
        at = &kept->next;
    return at;
}

/* In the place of an older one; what is then too much goes. */
static void keep(struct tars_scopes *scopes, struct kept *kept)
{
    struct kept **at;

    (void)pthread_mutex_lock(&scopes->lock);
    for (at = &scopes->kept; *at; at = &(*at)->next) {
        if (is_of(*at, &kept->key)) {
            unlist(scopes, at);
            break;
        }
    }
    kept->next = scopes->kept;
    kept->listed = true;
    scopes->kept = kept;
    scopes->kept_count++;
    scopes->kept_bytes += bytes_of(kept);
    while (scopes->kept &&
           (scopes->kept_count > TARS_SCOPES_KEPT || scopes->kept_bytes > TARS_SCOPES_BYTES_MAX))
        unlist(scopes, oldest(scopes));
    (void)pthread_mutex_unlock(&scopes->lock);
}

/* A sieve of what there is at seq, made from an older one where there is one. */
static tars_status make_kept(struct tars_scopes *scopes, const struct tars_scope *scope,
                             const char *filters, uint64_t upto, const struct kept *older,
                             struct kept **out, struct tars_err *err)
{
    const struct tars_sieve_config config = {
        .store = scopes->store,
        .filters_json = filters,
        .visible = &scope->visible,
        .upto = upto,
        .older = older ? older->sieve : NULL,
        .older_upto = older ? older->upto : 0,
    };
    struct kept *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for filters");
    tars_buf_init(&made->key, KEY_BYTES_MAX);
    make_key(&made->key, &scope->visible, filters);
    status = made->key.status;
    if (!status)
        status = tars_sieve_new(&config, &made->sieve, err);
    if (status) {
        free_kept(made);
        return status;
    }
    made->seq = scope->seq;
    made->upto = upto;
    made->users = 1;
    *out = made;
    return TARS_OK;
}

static tars_status take_sieve(struct tars_scopes *scopes, struct tars_scope *scope,
                              const char *filters, uint64_t upto, struct tars_err *err)
{
    uint64_t partial = tars_store_partial(scopes->store);
    struct tars_buf key;
    struct kept *found;
    tars_status status;

    tars_buf_init(&key, KEY_BYTES_MAX);
    make_key(&key, &scope->visible, filters);
    status = key.status;
    if (status) {
        tars_buf_release(&key);
        return tars_fail(status, err, "no memory for filters");
    }
    found = find_kept(scopes, &key);
    tars_buf_release(&key);
    if (found && found->seq >= scope->seq) {
        scope->kept = found;
        return TARS_OK;
    }
    status = make_kept(scopes, scope, filters, upto, found, &scope->kept, err);
    let_go(scopes, found);
    /* One that may lack something is this question's alone. */
    if (!status && tars_store_partial(scopes->store) == partial)
        keep(scopes, scope->kept);
    return status;
}

/* ---------------------------------------------------------------- one scope */

static bool may_see(void *ctx, uint64_t id)
{
    const struct tars_scope *scope = ctx;
    unsigned number = scope->owners ? tars_owners_of(scope->owners, id) : 0;

    return !scope->owners ||
           (number <= scope->number_count &&
            (scope->allowed[number / WORD_BITS] >> (number % WORD_BITS) & 1U) != 0);
}

static bool accepts(void *ctx, uint64_t id)
{
    const struct tars_scope *scope = ctx;

    if (!may_see(ctx, id))
        return false;
    return !scope->kept || tars_sieve_accepts(scope->kept->sieve, id);
}

static bool next_seen(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct tars_scope *scope = ctx;

    *run = (struct tars_index_run){from, UINT64_MAX};
    return !scope->owners || tars_owners_next(scope->owners, scope->allowed, scope->number_count,
                                              from, &run->first, &run->last);
}

/* What both let through: the later start and the earlier end, once they meet. */
static bool next_accepted(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct tars_scope *scope = ctx;
    struct tars_index_run let;

    for (;;) {
        if (!next_seen(ctx, from, run))
            return false;
        if (!scope->kept)
            return true;
        if (!tars_sieve_next(scope->kept->sieve, run->first, &let.first, &let.last))
            return false;
        if (let.first <= run->last) {
            run->first = let.first;
            run->last = let.last < run->last ? let.last : run->last;
            return true;
        }
        from = let.first;
    }
}

/* The collections that may be read: those of the call, or the one of them that was asked for. */
static void narrow(struct tars_scope *scope, const struct tars_scope_wish *wish)
{
    if (!wish->visible)
        return;
    scope->visible = *wish->visible;
    if (!wish->collection)
        return;
    scope->one[0] = wish->collection;
    scope->visible = (struct tars_visible){
        .keys = scope->one, .count = tars_visible_has(wish->visible, wish->collection) ? 1 : 0};
}

/* A bit for each collection that may be read. */
static tars_status allow(struct tars_scope *scope, struct tars_owners *owners,
                         struct tars_arena *arena, struct tars_err *err)
{
    bool any = false;

    scope->allowed =
        tars_arena_calloc(arena, scope->number_count / WORD_BITS + 1, sizeof(*scope->allowed));
    if (!scope->allowed)
        return tars_fail(TARS_ENOMEM, err, "no memory for the rights of a call");
    for (size_t i = 0; i < scope->visible.count; i++) {
        unsigned number = tars_owners_number(owners, scope->visible.keys[i]);

        if (number == 0 || number > scope->number_count)
            continue;
        scope->allowed[number / WORD_BITS] |= UINT64_C(1) << (number % WORD_BITS);
        any = true;
    }
    scope->owners = owners;
    scope->empty = !any;
    return TARS_OK;
}

static tars_status fill(struct tars_scopes *scopes, const struct tars_scope_wish *wish,
                        struct tars_arena *arena, struct tars_scope *scope, struct tars_err *err)
{
    uint64_t last = 0;
    bool all = scope->visible.all;
    tars_status status = TARS_OK;

    if (!all && !wish->exact) {
        status = covers(scopes, &scope->visible, wish->seq, &all, err);
        scope->happens = all;
    }
    if (status || (all && !wish->filters_json)) {
        scope->everything = true;
        return status;
    }
    status = tars_owners_refresh(scopes->owners, wish->seq, &last, &scope->number_count, err);
    if (!status && !scope->visible.all)
        status = allow(scope, scopes->owners, arena, err);
    if (!status && scope->owners)
        status = count_passages(scopes, &scope->visible, wish->seq, &scope->passages, err);
    if (!status && wish->filters_json)
        status = take_sieve(scopes, scope, wish->filters_json, last, err);
    return status;
}

tars_status tars_scope_new(struct tars_scopes *scopes, const struct tars_scope_wish *wish,
                           struct tars_arena *arena, struct tars_scope **scope,
                           struct tars_err *err)
{
    struct tars_scope *made = tars_arena_calloc(arena, 1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the rights of a call");
    made->scopes = scopes;
    made->seq = wish->seq;
    made->filter =
        (struct tars_index_filter){.accepts = accepts, .ctx = made, .next = next_accepted};
    made->rights = (struct tars_index_filter){.accepts = may_see, .ctx = made, .next = next_seen};
    narrow(made, wish);
    made->empty = !made->visible.all && made->visible.count == 0;
    status = fill(scopes, wish, arena, made, err);
    if (!status)
        *scope = made;
    return status;
}

void tars_scope_release(struct tars_scope *scope)
{
    if (scope)
        let_go(scope->scopes, scope->kept);
}

const struct tars_index_filter *tars_scope_filter(const struct tars_scope *scope)
{
    return scope->everything ? NULL : &scope->filter;
}

const struct tars_index_filter *tars_scope_rights(const struct tars_scope *scope)
{
    return scope->owners ? &scope->rights : NULL;
}

uint64_t tars_scope_passages(const struct tars_scope *scope)
{
    return scope->passages;
}

const struct tars_visible *tars_scope_visible(const struct tars_scope *scope)
{
    return &scope->visible;
}

bool tars_scope_is_narrow(const struct tars_scope *scope)
{
    return scope->kept != NULL;
}

bool tars_scope_is_empty(const struct tars_scope *scope)
{
    return scope->empty;
}

bool tars_scope_shows(const struct tars_scope *scope, const char *collection)
{
    return tars_visible_has(&scope->visible, collection);
}

bool tars_scope_has_expired(struct tars_scope *scope, uint64_t seq)
{
    bool all = false;

    if (!scope->happens || !scope->everything || seq == scope->seq)
        return false;
    return covers(scope->scopes, &scope->visible, seq, &all, NULL) != TARS_OK || !all;
}
