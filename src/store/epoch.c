/* epoch - see epoch.h for the contract. */
#include "store/epoch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "store/store.h"
#include "store/store_postgres.h"

#define META_KEY   "cache.epoch" /* "EPOCH SEQ" */
#define META_BYTES 64
#define ARENA_MAX  ((size_t)64 << 10)

struct tars_epoch {
    struct tars_store *store;
    char own[TARS_EPOCH_BYTES];       /* of this process */
    char inherited[TARS_EPOCH_BYTES]; /* of the state at the opening; "" when unknown */
    uint64_t born_seq;                /* of that state */
    bool is_shared;                   /* own is of all who share the store: nobody inherits it */
};

/* "EPOCH SEQ", and SEQ must be seq. */
static bool is_of(const char *text, uint64_t seq, char *epoch)
{
    char expected[META_BYTES];

    if (strlen(text) < TARS_EPOCH_BYTES)
        return false;
    memcpy(epoch, text, TARS_EPOCH_BYTES - 1);
    epoch[TARS_EPOCH_BYTES - 1] = '\0';
    (void)snprintf(expected, sizeof(expected), "%s %llu", epoch, (unsigned long long)seq);
    return strspn(epoch, "0123456789abcdef") == TARS_EPOCH_BYTES - 1 && strcmp(text, expected) == 0;
}

static tars_status inherit(struct tars_epoch *epoch, struct tars_err *err)
{
    const char *text = NULL;
    struct tars_store_stats stats;
    struct tars_arena arena;
    tars_status status = tars_store_stats(epoch->store, &stats, err);

    if (status != TARS_OK)
        return status;
    epoch->born_seq = stats.seq;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_store_meta_get(epoch->store, META_KEY, &arena, &text, err);
    if (status == TARS_OK && !is_of(text, stats.seq, epoch->inherited))
        epoch->inherited[0] = '\0';
    tars_arena_release(&arena);
    return status == TARS_ENOTFOUND ? TARS_OK : status;
}

tars_status tars_epoch_open(struct tars_store *store, struct tars_epoch **epoch,
                            struct tars_err *err)
{
    struct tars_epoch *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for an epoch");
    made->store = store;
    status = tars_random_hex(made->own, TARS_EPOCH_BYTES / 2);
    if (status == TARS_OK) {
        status = inherit(made, err);
    } else {
        status = tars_fail(status, err, "no random bytes for an epoch");
    }
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    *epoch = made;
    return TARS_OK;
}

tars_status tars_epoch_open_shared(struct tars_store *store, struct tars_epoch **epoch,
                                   struct tars_err *err)
{
    struct tars_epoch *made = calloc(1, sizeof(*made));
    const char *text = "";
    struct tars_arena arena;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for an epoch");
    made->store = store;
    made->is_shared = true;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_store_meta_get(store, TARS_STORE_EPOCH, &arena, &text, err);
    if (!status && strlen(text) != TARS_EPOCH_BYTES - 1)
        status = tars_fail(TARS_EFORMAT, err, "the store's %s is damaged", TARS_STORE_EPOCH);
    if (!status)
        memcpy(made->own, text, TARS_EPOCH_BYTES);
    tars_arena_release(&arena);
    if (status) {
        free(made);
        return status;
    }
    *epoch = made;
    return TARS_OK;
}

const char *tars_epoch_of(const struct tars_epoch *epoch, uint64_t seq)
{
    return epoch->inherited[0] && seq == epoch->born_seq ? epoch->inherited : epoch->own;
}

void tars_epoch_close(struct tars_epoch *epoch)
{
    struct tars_store_stats stats;
    char text[META_BYTES];

    if (!epoch)
        return;
    if (!epoch->is_shared && tars_store_stats(epoch->store, &stats, NULL) == TARS_OK &&
        tars_epoch_of(epoch, stats.seq) == epoch->own) {
        (void)snprintf(text, sizeof(text), "%s %llu", epoch->own, (unsigned long long)stats.seq);
        (void)!tars_store_meta_set(epoch->store, META_KEY, text, NULL);
    }
    free(epoch);
}

tars_status tars_epoch_forget(struct tars_store *store, struct tars_err *err)
{
    return tars_store_meta_set(store, META_KEY, NULL, err);
}
