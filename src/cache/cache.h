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
 *           which waits for a far level as long as that one's bound allows, or tars_cache_fetch()
 *           (cache/fetch.h), which also makes what is missing, once for all who want it now.
 * Names     Outside this process, and for who clears by pattern, a value is called
 *           tars:KIND:sha256hex(key).
 * Failure   Never the caller's: a cache that is away, full or broken is a miss. NULL is a cache
 *           that holds nothing.
 * Threads   Safe to share.
 */
#ifndef TARS_CACHE_CACHE_H
#define TARS_CACHE_CACHE_H

#include <stdatomic.h>
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
    uint64_t shared; /* values that another was making already (cache/fetch.h) */
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
    char policy[32];      /* what goes when max_memory is reached: "noeviction", "allkeys-lru" */
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
    /* As get, but without waiting for anything outside this process, and a miss is not counted:
     * who misses looks again with get. NULL: nothing is near. */
    tars_status (*get_near)(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_arena *arena,
                            struct tars_span *value);
    /* As set, in this process only; NULL: as set where is_fast, else nothing. */
    tars_status (*set_near)(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_span value);
    /* Forget what has a name that a pattern of Redis matches (glob.h); NULL: it cannot. */
    tars_status (*clear_matching)(struct tars_cache *cache, const char *pattern, uint64_t *removed,
                                  struct tars_err *err);
    /* How many values have such a name; NULL: it does not say. May take long. */
    tars_status (*count_matching)(struct tars_cache *cache, const char *pattern, uint64_t *count,
                                  struct tars_err *err);
    /* Level i, the nearest first, or NULL; NULL: it is a level itself. */
    struct tars_cache *(*level)(struct tars_cache *cache, size_t i);
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
    struct tars_series *looks[TARS_CACHE_KINDS][3]; /* of this level: hit, miss, error */
    bool is_redis;                /* its hits and misses have families of their own, too */
    atomic_ullong told_errors;    /* that the family of failures has been told of */
    struct tars_flights *flights; /* cache/fetch.h; NULL: everybody computes */
};

/* Count into the families of the contract (section 3) from now on, and into those of each level.
 * Before it is shared. */
void tars_cache_count_into(struct tars_cache *cache, struct tars_metrics *metrics);
/* Set the gauges of now: bytes and values of each level, the hit rate, how a far level is. For who
 * scrapes. */
void tars_cache_sample(struct tars_cache *cache);

/* TARS_OK and *value, a copy in arena; else nothing. */
TARS_MUST_USE tars_status tars_cache_get(struct tars_cache *cache, enum tars_cache_kind kind,
                                         struct tars_span key, struct tars_arena *arena,
                                         struct tars_span *value);
/* Copies both. It may be lost at any time, at once too. */
void tars_cache_set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                    struct tars_span value);
/* The same, in this process only: what others have no use for, or shall not have. */
void tars_cache_set_near(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                         struct tars_span value);
bool tars_cache_drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key);
/* Forget all of one kind, or of every kind (TARS_CACHE_KINDS); returns how many. */
uint64_t tars_cache_clear(struct tars_cache *cache, enum tars_cache_kind kind);
/* Forget, on every level, what has a name that the pattern matches ("tars:embedding:*"); *removed
 * says how much. TARS_EINVAL: the pattern is too long. Others: a level could not, in
 * words; the rest did. */
TARS_MUST_USE tars_status tars_cache_clear_matching(struct tars_cache *cache, const char *pattern,
                                                    uint64_t *removed, struct tars_err *err);
/* How many values on the farthest level have a name that the pattern matches. Waits as long as it
 * takes. TARS_EUNAVAILABLE: it does not say, or is away. */
TARS_MUST_USE tars_status tars_cache_count_matching(struct tars_cache *cache, const char *pattern,
                                                    uint64_t *count, struct tars_err *err);
/* The name of a value. out: TARS_CACHE_NAME_BYTES. */
#define TARS_CACHE_NAME_BYTES  96
#define TARS_CACHE_PATTERN_MAX 256
TARS_MUST_USE tars_status tars_cache_name(enum tars_cache_kind kind, struct tars_span key,
                                          char *out);
/* Zeros for NULL. */
void tars_cache_stats(struct tars_cache *cache, struct tars_cache_stats *stats);
/* Of all kinds together. */
struct tars_cache_counts tars_cache_total(const struct tars_cache_stats *stats);
/* 0..100; 0 where nothing was asked. */
double tars_cache_hit_percent(const struct tars_cache_counts *counts);
bool tars_cache_is_fast(const struct tars_cache *cache);
/* Level i, the nearest first; a cache without levels is its own level 0. NULL: no such level. */
struct tars_cache *tars_cache_level(struct tars_cache *cache, size_t i);
const char *tars_cache_level_name(const struct tars_cache *cache);
/* As tars_cache_get(), without waiting: what the near level has. A miss is not counted: whoever
 * misses looks again with tars_cache_get() where waiting is allowed. */
TARS_MUST_USE tars_status tars_cache_get_near(struct tars_cache *cache, enum tars_cache_kind kind,
                                              struct tars_span key, struct tars_arena *arena,
                                              struct tars_span *value);
/* All zero where there is no far level. */
void tars_cache_state(struct tars_cache *cache, struct tars_cache_state *state);
/* NULL is allowed. */
void tars_cache_free(struct tars_cache *cache);

#endif
