/* revoked - see revoked.h. Open addressing with linear probes, at most three quarters full; an
 * entry with expires_us 0 is empty. Only a rebuild removes, so no entry is ever a grave. */
#include "auth/revoked.h"

#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "base/crypto/digest.h"

#define ID_BYTES       16
#define CAPACITY_LEAST 64

struct entry {
    unsigned char id[ID_BYTES];
    int64_t expires_us; /* 0: empty */
};

struct tars_revoked {
    size_t max;
    pthread_rwlock_t lock; /* guards all below */
    struct entry *entries; /* (capacity,) owned; capacity is a power of two, or 0 */
    size_t capacity, count;
};

tars_status tars_revoked_new(size_t max, struct tars_revoked **revoked)
{
    struct tars_revoked *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->max = max ? max : TARS_REVOKED_MAX;
    pthread_rwlock_init(&made->lock, NULL);
    *revoked = made;
    return TARS_OK;
}

void tars_revoked_free(struct tars_revoked *revoked)
{
    if (!revoked)
        return;
    pthread_rwlock_destroy(&revoked->lock);
    free(revoked->entries);
    free(revoked);
}

static tars_status digest(const char *id, unsigned char *out)
{
    unsigned char bytes[TARS_SHA256_BYTES];
    tars_status status = tars_sha256(id, strlen(id), bytes);

    if (status == TARS_OK)
        memcpy(out, bytes, ID_BYTES);
    return status;
}

/* Where id is, or the empty place where it would be. There is one. */
static struct entry *place(struct entry *entries, size_t capacity, const unsigned char *id)
{
    uint64_t hash;
    size_t at;

    memcpy(&hash, id, sizeof(hash));
    at = hash & (capacity - 1);
    while (entries[at].expires_us && memcmp(entries[at].id, id, ID_BYTES) != 0)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

/* Only those that expire after now_us, in a table of this capacity. */
static tars_status rebuild(struct tars_revoked *revoked, size_t capacity, int64_t now_us)
{
    struct entry *entries = calloc(capacity, sizeof(*entries));
    size_t count = 0;

    if (!entries)
        return TARS_ENOMEM;
    for (size_t i = 0; i < revoked->capacity; i++) {
        if (revoked->entries[i].expires_us > now_us) {
            *place(entries, capacity, revoked->entries[i].id) = revoked->entries[i];
            count++;
        }
    }
    free(revoked->entries);
    revoked->entries = entries;
    revoked->capacity = capacity;
    revoked->count = count;
    return TARS_OK;
}

static size_t alive(const struct tars_revoked *revoked, int64_t now_us)
{
    size_t count = 0;

    for (size_t i = 0; i < revoked->capacity; i++)
        count += revoked->entries[i].expires_us > now_us;
    return count;
}

static size_t capacity_for(size_t count)
{
    size_t capacity = CAPACITY_LEAST;

    while (capacity / 4 * 3 < count)
        capacity *= 2;
    return capacity;
}

/* Room for one more. */
static tars_status make_room(struct tars_revoked *revoked, int64_t now_us)
{
    size_t left;

    if (revoked->count < revoked->max && revoked->count + 1 <= revoked->capacity / 4 * 3)
        return TARS_OK;
    left = alive(revoked, now_us);
    if (left >= revoked->max)
        return TARS_ETOOBIG;
    return rebuild(revoked, capacity_for(2 * (left + 1)), now_us);
}

tars_status tars_revoked_add(struct tars_revoked *revoked, const char *id, int64_t expires_us,
                             int64_t now_us)
{
    unsigned char bytes[ID_BYTES];
    tars_status status = digest(id, bytes);
    struct entry *entry;

    if (status != TARS_OK || expires_us <= now_us)
        return status;
    pthread_rwlock_wrlock(&revoked->lock);
    status = make_room(revoked, now_us);
    if (status == TARS_OK) {
        entry = place(revoked->entries, revoked->capacity, bytes);
        if (!entry->expires_us) {
            memcpy(entry->id, bytes, ID_BYTES);
            revoked->count++;
        }
        if (entry->expires_us < expires_us)
            entry->expires_us = expires_us;
    }
    pthread_rwlock_unlock(&revoked->lock);
    return status;
}

bool tars_revoked_has(struct tars_revoked *revoked, const char *id)
{
    unsigned char bytes[ID_BYTES];
    bool has = false;

    if (digest(id, bytes) != TARS_OK)
        return true; /* nobody can say: then it is not let in */
    pthread_rwlock_rdlock(&revoked->lock);
    if (revoked->count)
        has = place(revoked->entries, revoked->capacity, bytes)->expires_us != 0;
    pthread_rwlock_unlock(&revoked->lock);
    return has;
}

void tars_revoked_prune(struct tars_revoked *revoked, int64_t now_us)
{
    tars_status ignored = TARS_OK; /* without memory the old table goes on */
    size_t left;

    pthread_rwlock_wrlock(&revoked->lock);
    left = alive(revoked, now_us);
    if (left < revoked->count)
        ignored = rebuild(revoked, capacity_for(2 * left), now_us);
    pthread_rwlock_unlock(&revoked->lock);
    (void)ignored;
}

size_t tars_revoked_count(struct tars_revoked *revoked)
{
    size_t count;

    pthread_rwlock_rdlock(&revoked->lock);
    count = revoked->count;
    pthread_rwlock_unlock(&revoked->lock);
    return count;
}
