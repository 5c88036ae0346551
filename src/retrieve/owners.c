/* owners - see owners.h. */
#include "retrieve/owners.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

#define PAGE_IDS ((size_t)65536)
#define PAGES    ((size_t)65536)

typedef _Atomic(uint16_t) cell;

struct named {
    char *key; /* owned */
    unsigned number;
};

struct tars_owners {
    struct tars_store *store;
    _Atomic(cell *) *pages; /* (PAGES,) each (PAGE_IDS,) or NULL */

    pthread_mutex_t lock; /* guards what follows */
    struct named *named;  /* (count,) by key; numbers are 1..count */
    size_t count, cap;
    size_t recent;  /* where the key that was asked for last is, or was */
    uint64_t seq;   /* of the index, that is known for sure */
    uint64_t last;  /* newest passage id that is known */
    bool refreshed; /* once */
};

tars_status tars_owners_new(struct tars_store *store, struct tars_owners **owners)
{
    struct tars_owners *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->pages = calloc(PAGES, sizeof(*made->pages));
    if (!made->pages) {
        free(made);
        return TARS_ENOMEM;
    }
    made->store = store;
    (void)pthread_mutex_init(&made->lock, NULL);
    *owners = made;
    return TARS_OK;
}

void tars_owners_free(struct tars_owners *owners)
{
    if (!owners)
        return;
    for (size_t i = 0; i < PAGES; i++)
        free((void *)atomic_load(&owners->pages[i]));
    for (size_t i = 0; i < owners->count; i++)
        free(owners->named[i].key);
    (void)pthread_mutex_destroy(&owners->lock);
    free(owners->named);
    free(owners->pages);
    free(owners);
}

/* Under the lock: where key is, or would be. */
static size_t place_of(const struct tars_owners *owners, const char *key)
{
    size_t low = 0;
    size_t high = owners->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(owners->named[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Under the lock: the number of key, 0 when it has none. */
static unsigned find(struct tars_owners *owners, const char *key)
{
    size_t at = owners->recent;

    if (at >= owners->count || strcmp(owners->named[at].key, key) != 0)
        at = place_of(owners, key);
    if (at >= owners->count || strcmp(owners->named[at].key, key) != 0)
        return 0;
    owners->recent = at;
    return owners->named[at].number;
}

static tars_status add_key(struct tars_owners *owners, const char *key, unsigned *number)
{
    size_t at = place_of(owners, key);
    char *copy;

    if (owners->count == TARS_OWNERS_COLLECTIONS_MAX)
        return TARS_ETOOBIG;
    if (owners->count == owners->cap) {
        size_t cap = owners->cap ? owners->cap * 2 : 16;
        struct named *named = realloc(owners->named, cap * sizeof(*named));

        if (!named)
            return TARS_ENOMEM;
        owners->named = named;
        owners->cap = cap;
    }
    copy = strdup(key);
    if (!copy)
        return TARS_ENOMEM;
    memmove(owners->named + at + 1, owners->named + at,
            (owners->count - at) * sizeof(*owners->named));
    *number = (unsigned)++owners->count;
    owners->named[at] = (struct named){copy, *number};
    return TARS_OK;
}

static tars_status mark(struct tars_owners *owners, uint64_t first, uint64_t last, unsigned number)
{
    if (last >= PAGES * PAGE_IDS)
        return TARS_ETOOBIG;
    for (uint64_t id = first; id <= last; id++) {
        cell *page = atomic_load_explicit(&owners->pages[id / PAGE_IDS], memory_order_relaxed);

        if (!page) {
            page = calloc(PAGE_IDS, sizeof(*page));
            if (!page)
                return TARS_ENOMEM;
            atomic_store_explicit(&owners->pages[id / PAGE_IDS], page, memory_order_release);
        }
        atomic_store_explicit(&page[id % PAGE_IDS], (uint16_t)number, memory_order_relaxed);
    }
    return TARS_OK;
}

/* Numbers of collections, a bit each. */
struct allowed {
    const uint64_t *bits; /* (count / 64 + 1,) */
    size_t count;
};

struct reading {
    struct tars_owners *owners;
    tars_status status;
};

static bool take_run(void *ctx, const struct tars_store_run *run)
{
    struct reading *reading = ctx;
    struct tars_owners *owners = reading->owners;
    unsigned number = find(owners, run->collection);

    if (!number)
        reading->status = add_key(owners, run->collection, &number);
    if (!reading->status)
        reading->status = mark(owners, run->first, run->last, number);
    if (!reading->status)
        owners->last = run->last;
    return !reading->status;
}

tars_status tars_owners_refresh(struct tars_owners *owners, uint64_t seq, uint64_t *last,
                                size_t *count, struct tars_err *err)
{
    struct reading reading = {owners, TARS_OK};
    uint64_t partial = tars_store_partial(owners->store);
    tars_status status = TARS_OK;

    (void)pthread_mutex_lock(&owners->lock);
    if (!owners->refreshed || owners->seq < seq) {
        status = tars_store_runs(owners->store, owners->last, take_run, &reading, err);
        if (!status && reading.status)
            status = tars_fail(reading.status, err, "no room to know whose the passages are");
        /* What may be missing is asked for again. */
        if (!status && tars_store_partial(owners->store) == partial) {
            owners->seq = seq;
            owners->refreshed = true;
        }
    }
    *last = owners->last;
    *count = owners->count;
    (void)pthread_mutex_unlock(&owners->lock);
    return status;
}

unsigned tars_owners_number(struct tars_owners *owners, const char *key)
{
    unsigned number;

    (void)pthread_mutex_lock(&owners->lock);
    number = find(owners, key);
    (void)pthread_mutex_unlock(&owners->lock);
    return number;
}

unsigned tars_owners_of(const struct tars_owners *owners, uint64_t passage_id)
{
    const cell *page;

    if (passage_id >= PAGES * PAGE_IDS)
        return 0;
    page = atomic_load_explicit(&owners->pages[passage_id / PAGE_IDS], memory_order_acquire);
    return page ? atomic_load_explicit(&page[passage_id % PAGE_IDS], memory_order_relaxed) : 0;
}

static unsigned number_at(const cell *page, size_t at)
{
    return atomic_load_explicit(&page[at], memory_order_relaxed);
}

/* Where another number begins that is, or is not, allowed: neighbours mostly have the same. */
static size_t skip(const struct allowed *allowed, const cell *page, size_t at, bool like)
{
    while (at < PAGE_IDS) {
        unsigned number = number_at(page, at);
        bool is = number > 0 && number <= allowed->count &&
                  (allowed->bits[number / 64] >> (number % 64) & 1U) != 0;

        if (is != like)
            break;
        while (at < PAGE_IDS && number_at(page, at) == number)
            at++;
    }
    return at;
}

bool tars_owners_next(const struct tars_owners *owners, const uint64_t *allowed, size_t count,
                      uint64_t from, uint64_t *first, uint64_t *last)
{
    const struct allowed by = {allowed, count};
    size_t at = from % PAGE_IDS;

    for (uint64_t number = from / PAGE_IDS; number < PAGES; number++, at = 0) {
        const cell *page = atomic_load_explicit(&owners->pages[number], memory_order_acquire);

        if (page)
            at = skip(&by, page, at, false);
        if (!page || at == PAGE_IDS)
            continue;
        *first = number * PAGE_IDS + at;
        *last = number * PAGE_IDS + skip(&by, page, at, true) - 1;
        return true;
    }
    return false;
}
