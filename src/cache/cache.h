/* cache - what may be lost, behind one interface.
 *
 * A value is found again by its kind and its key. Whoever keeps something puts all that it depends
 * on into the key (the model, the state of the index, the rights of who asked), so that nothing has
 * to be thrown away when the world changes: what is old is simply not asked for any more.
 *
 *     if (tars_cache_get(cache, TARS_CACHE_EMBEDDING, key, arena, &value) != TARS_OK)
 *         ...                                      make it, then
 *         tars_cache_set(cache, TARS_CACHE_EMBEDDING, key, value);
 *
 * Values    Bytes. Of EMBEDDING and RERANK they are float (n,) in this machine's order; a back end
 *           outside this process writes them there as the wire contract (section 4) has them.
 * Levels    A cache may have a near level in this process before a far one (cache/cache_levels.h).
 *           A loop thread asks tars_cache_get_near(), which never waits; others tars_cache_get(),
 *           which waits for a far level as long as that one's bound allows.
 * Failure   Never the caller's: a cache that is away, full or broken is a miss. NULL is a cache
 *           that holds nothing.
 * Threads   Safe to share.
 */
#ifndef TARS_CACHE_CACHE_H
#define TARS_CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "base/sys/breaker.h"
#include "obs/metrics.h"

/* X(ID, number, "name"): names are part of keys outside this process. */
#define TARS_CACHE_KIND_LIST(X)                                                       \
    X(TARS_CACHE_EMBEDDING, 0, "embedding") /* key: model, newline, text */           \
    X(TARS_CACHE_RERANK, 1, "rerank")       /* key: model, newline, query, chunks */  \
    X(TARS_CACHE_RESULT, 2, "result")       /* key: see whoever renders the result */ \
    X(TARS_CACHE_GENERIC, 3, "generic")

enum tars_cache_kind {
#define X(id, number, name) id = (number),
    TARS_CACHE_KIND_LIST(X)
#undef X
        TARS_CACHE_KINDS
};

const char *tars_cache_kind_text(enum tars_cache_kind kind);

/* Since the cache was opened, but for entries and bytes, which are of now. */
struct tars_cache_counts {
    uint64_t hits, misses, sets, errors, evictions;
    uint64_t entries;
    uint64_t bytes; /* with what keeping them costs */
};

struct tars_cache_stats {
    struct tars_cache_counts kind[TARS_CACHE_KINDS];
};

/* A level outside this process. Texts are terminated; "" and 0: unknown. */
struct tars_cache_state {
    bool is_configured; /* there is such a level */
    bool is_connected;
    enum tars_breaker_state breaker;
    char host[256];
    int port;
    int db;
    char version[32];
    char error[256];      /* of the last failure, while it lasts */
    uint64_t used_memory; /* bytes, of the whole server; as of some seconds ago */
    uint64_t max_memory;  /* 0: no limit */
    uint64_t clients;     /* of the server */
    uint64_t keys;        /* of the database */
    uint64_t reconnects;  /* since the opening */
    uint64_t open, busy;  /* own connections */
};

struct tars_cache;

struct tars_cache_ops {
    const char *name; /* "memory", "redis"; static */
    bool is_fast;     /* answers from this process's memory, without waiting */
    /* *value is a copy in arena. TARS_ENOTFOUND; anything else is an error that it has counted. */
    tars_status (*get)(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_arena *arena, struct tars_span *value);
    tars_status (*set)(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_span value);
    /* True if it was there. */
    bool (*drop)(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key);
    /* Forget all of one kind; returns how many. */
    uint64_t (*clear)(struct tars_cache *cache, enum tars_cache_kind kind);
    /* As get, but without waiting for anything outside this process; NULL: get is that already
     * where is_fast, and nothing is near where it is not. */
    tars_status (*get_near)(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_arena *arena,
                            struct tars_span *value);
    /* How a far level is; NULL: there is none. */
    void (*state)(struct tars_cache *cache, struct tars_cache_state *state);
    void (*stats)(struct tars_cache *cache, struct tars_cache_stats *stats);
    void (*free)(struct tars_cache *cache);
};

/* First member of every back end's object. */
struct tars_cache {
    const struct tars_cache_ops *ops;
    struct tars_metrics *metrics; /* NULL: not counted there */
    struct tars_series *hits, *misses, *sets, *errors;
};

/* Count into the families of the contract (section 3) from now on. Before it is shared. */
void tars_cache_count_into(struct tars_cache *cache, struct tars_metrics *metrics);

/* TARS_OK and *value, a copy in arena; else nothing. */
TARS_MUST_USE tars_status tars_cache_get(struct tars_cache *cache, enum tars_cache_kind kind,
                                         struct tars_span key, struct tars_arena *arena,
                                         struct tars_span *value);
/* Copies both. It may be lost at any time, at once too. */
void tars_cache_set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                    struct tars_span value);
bool tars_cache_drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key);
/* Forget all of one kind, or of every kind (TARS_CACHE_KINDS); returns how many. */
uint64_t tars_cache_clear(struct tars_cache *cache, enum tars_cache_kind kind);
/* Zeros for NULL. */
void tars_cache_stats(struct tars_cache *cache, struct tars_cache_stats *stats);
/* Of all kinds together. */
struct tars_cache_counts tars_cache_total(const struct tars_cache_stats *stats);
/* 0..100; 0 where nothing was asked. */
double tars_cache_hit_percent(const struct tars_cache_counts *counts);
bool tars_cache_is_fast(const struct tars_cache *cache);
/* As tars_cache_get(), without waiting: what the near level has. */
TARS_MUST_USE tars_status tars_cache_get_near(struct tars_cache *cache, enum tars_cache_kind kind,
                                              struct tars_span key, struct tars_arena *arena,
                                              struct tars_span *value);
/* All zero where there is no far level. */
void tars_cache_state(struct tars_cache *cache, struct tars_cache_state *state);
/* NULL is allowed. */
void tars_cache_free(struct tars_cache *cache);

#endif
