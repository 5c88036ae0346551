/* at_once - see at_once.h for the contract. */
#include "api/at_once.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/crypto/digest.h"
#include "base/crypto/siphash.h"

#define FIRST_ROWS 16

struct row {
    uint64_t caller;
    size_t count; /* 1 or more */
};

struct tars_at_once {
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    pthread_mutex_t lock; /* guards all below */
    size_t limit;
    struct row *rows; /* (count,) in any order */
    size_t count, cap;
};

tars_status tars_at_once_new(size_t limit, struct tars_at_once **at_once)
{
    struct tars_at_once *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    status = tars_random_bytes(made->seed, sizeof(made->seed));
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    made->limit = limit;
    pthread_mutex_init(&made->lock, NULL);
    *at_once = made;
    return TARS_OK;
}

void tars_at_once_free(struct tars_at_once *at_once)
{
    if (!at_once)
        return;
    pthread_mutex_destroy(&at_once->lock);
    free(at_once->rows);
    free(at_once);
}

void tars_at_once_set(struct tars_at_once *at_once, size_t limit)
{
    pthread_mutex_lock(&at_once->lock);
    at_once->limit = limit;
    pthread_mutex_unlock(&at_once->lock);
}

size_t tars_at_once_limit(struct tars_at_once *at_once)
{
    size_t limit;

    pthread_mutex_lock(&at_once->lock);
    limit = at_once->limit;
    pthread_mutex_unlock(&at_once->lock);
    return limit;
}

/* Under the lock; NULL: it has none. */
static struct row *find(struct tars_at_once *at_once, uint64_t caller)
{
    for (size_t i = 0; i < at_once->count; i++) {
        if (at_once->rows[i].caller == caller)
            return &at_once->rows[i];
    }
    return NULL;
}

/* Under the lock. */
static struct row *add(struct tars_at_once *at_once, uint64_t caller)
{
    if (at_once->count == at_once->cap) {
        size_t cap = at_once->cap ? at_once->cap * 2 : FIRST_ROWS;
        struct row *rows = realloc(at_once->rows, cap * sizeof(*rows));

        if (!rows)
            return NULL;
        at_once->rows = rows;
        at_once->cap = cap;
    }
    at_once->rows[at_once->count] = (struct row){.caller = caller};
    return &at_once->rows[at_once->count++];
}

tars_status tars_at_once_enter(struct tars_at_once *at_once, struct tars_span caller,
                               uint64_t *place)
{
    uint64_t name = tars_siphash(at_once->seed, caller.ptr, caller.len);
    tars_status status = TARS_OK;
    struct row *row;

    name += name == 0;
    pthread_mutex_lock(&at_once->lock);
    row = find(at_once, name);
    if (row && at_once->limit > 0 && row->count >= at_once->limit) {
        status = TARS_EBUSY;
    } else {
        row = row ? row : add(at_once, name);
        status = row ? TARS_OK : TARS_ENOMEM;
    }
    if (status == TARS_OK) {
        row->count++;
        *place = name;
    }
    pthread_mutex_unlock(&at_once->lock);
    return status;
}

void tars_at_once_leave(struct tars_at_once *at_once, uint64_t place)
{
    struct row *row;

    pthread_mutex_lock(&at_once->lock);
    row = find(at_once, place);
    assert(row && row->count > 0);
    if (row && --row->count == 0)
        *row = at_once->rows[--at_once->count];
    pthread_mutex_unlock(&at_once->lock);
}
