/* service - what routes ask of the rooms below, as plain values: one struct of functions.
 *
 * app/service implements it over store, index, retrieve and ingest; tests of routes may implement
 * it over a table. So no route sees SQL, vectors or models.
 *
 * All texts are terminated and live in the arena of the call, or are static.
 */
#ifndef TARS_API_SERVICE_H
#define TARS_API_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "obs/call.h"

/* A passage as /rag/search shows it. */
struct tars_hit {
    const char *chunk_id;
    const char *document_id;
    const char *external_id; /* the file's own id (JSONL), or "" */
    const char *collection;  /* key */
    struct tars_span content;
    int64_t chunk_index; /* from 0 */
    int64_t token_count;
    const char *file_path;
    const char *file_name;
    const char *file_type; /* no dot */
    const char *title;
    const char *section;
    const char *sha256;
    const char *metadata_json; /* object of the document's other fields, or "" */
    int64_t file_size;         /* bytes */
    int64_t created_us;
    int64_t modified_us;
    int64_t indexed_us;
    int64_t page_count; /* 0: no pages */
    int64_t word_count;
    int page_first; /* 0: no pages */
    int page_last;
    size_t char_start;
    size_t char_end;
    double relevance;
    double fused;
    double vector_score; /* NaN: none */
    double bm25_score;
    double coverage;     /* of the words of the question, 0..1 */
    double rerank_score; /* 0..1; NaN: it was not reranked */
};

enum tars_search_mode { TARS_SEARCH_HYBRID, TARS_SEARCH_WORDS, TARS_SEARCH_VECTORS };

/* Every field is part of the key of a kept result: who adds one adds it to app/recall.c. */
struct tars_search_request {
    const char *query;
    size_t top_k;
    double threshold;         /* negative: none */
    const char *filters_json; /* or NULL */
    const char *collection;   /* key: only this one; NULL: all that the caller may read */
    enum tars_search_mode mode;
    bool distinct_documents;
    bool rerank;          /* let a reranker read the first ones, where there is one */
    bool include_content; /* nothing to who searches, but to who renders the result */
};

struct tars_search_reply {
    struct tars_hit *hits; /* (count,) best first */
    size_t count;
    const char *fusion_method;
    const char *degraded; /* which part was away, or NULL */
    const char *unmet;    /* a phrase of the query that nothing holds, or NULL */
    uint64_t index_seq;   /* state of the documents that it is of */
    bool is_kept;         /* what was found was kept from an earlier question */
    bool is_partial;      /* not all was reranked or compared that should be: not to be kept */
};

/* What was rendered of an earlier reply to the same request. */
struct tars_recalled {
    struct tars_span results; /* JSON array; in the call's arena */
    int64_t count;            /* of its elements */
};

/* The watched folder (contract 7.10). */
struct tars_nas_view {
    bool enabled; /* a folder is watched */
    bool mounted; /* and it is there */
    const char *watch_path;
    int64_t files_detected, files_indexed, files_failed, files_skipped;
    int64_t pending_files, processing_files;
    int64_t indexed_files; /* that the store has */
    int64_t last_scan_us;  /* 0: none yet */
    int64_t started_us;    /* 0: not watched */
};

#define TARS_CACHE_VIEW_KINDS  4
#define TARS_CACHE_VIEW_LEVELS 2

/* What a cache has done since the start. */
struct tars_cache_tally {
    const char *name; /* of the kind */
    uint64_t hits, misses, sets, errors, evictions;
    uint64_t entries, bytes; /* now; 0 where a level does not know */
    double hit_rate_percent;
};

struct tars_cache_level_view {
    const char *name; /* "memory", "redis" */
    struct tars_cache_tally total;
    struct tars_cache_tally kinds[TARS_CACHE_VIEW_KINDS];
};

/* How Redis is. Texts live in the call's arena. */
struct tars_redis_view {
    bool configured; /* it is to be used */
    bool connected;
    const char *breaker; /* closed, half open, open */
    const char *host;
    int64_t port, db;
    const char *version;
    const char *error; /* of the last failure, while it lasts; "" else */
    uint64_t used_memory, max_memory, clients, total_keys, tars_keys;
    uint64_t reconnects, connections, busy;
};

struct tars_cache_view {
    bool enabled;
    struct tars_cache_tally total; /* of the whole: a look counts once, wherever it was found */
    struct tars_cache_tally kinds[TARS_CACHE_VIEW_KINDS];
    uint64_t shared; /* computations that were not done twice */
    struct tars_cache_level_view levels[TARS_CACHE_VIEW_LEVELS]; /* (level_count,) nearest first */
    size_t level_count;
    struct tars_redis_view redis;
    int64_t embedding_ttl_s, reranker_ttl_s, default_ttl_s; /* 0: no end */
};

struct tars_collection_stats {
    int64_t files;
    int64_t documents;
    int64_t chunks;
    int64_t bytes; /* of the files */
    int64_t last_indexed_us;
    int64_t dimension;
    int64_t jobs_queued, jobs_running, jobs_failed;
    int64_t oldest_job_us;       /* of those that wait or run; 0: none */
    const char *embedding_model; /* "" when there is none */
    const char *reranker;        /* its model; "" without one */
    const char *language_model;
};

/* How full everything is, of all tenants together: for who watches the server. */
struct tars_vitals {
    int64_t documents, chunks;
    int64_t jobs_queued, jobs_running;
    int64_t oldest_job_us;  /* when the oldest of those came, wall clock; 0: there is none */
    uint64_t index_vectors; /* held, those of removed passages included */
    uint64_t index_removed; /* passages that are gone and whose vectors wait for the next save */
    uint64_t index_unsaved; /* passages added or removed since the snapshot */
    double disk_bytes, disk_free_bytes; /* of the disk with the data folder; 0: it does not tell */
};

struct tars_collection_view {
    const char *key; /* store/accounts.h */
    int64_t files, documents, chunks;
    int64_t bytes; /* of the files */
    int64_t last_indexed_us;
};

/* A file to be taken in. */
struct tars_take {
    const char *path;       /* what it is called; absolute where it is to be read, too */
    struct tars_span bytes; /* of an upload; ptr NULL: read path */
    const char *collection; /* key, which the caller may change; NULL: TARS_COLLECTION */
    bool force;             /* also when it is unchanged */
};

/* How one file ended. Texts as `tars ingest --json` prints them. */
#define TARS_TAKEN_LIST(X)                  \
    X(TARS_TAKEN_INDEXED, 1, "indexed")     \
    X(TARS_TAKEN_UNCHANGED, 2, "unchanged") \
    X(TARS_TAKEN_FAILED, 3, "failed")       \
    X(TARS_TAKEN_SKIPPED, 4, "skipped")     \
    X(TARS_TAKEN_FORGOTTEN, 5, "forgotten")

enum tars_taken_outcome {
#define X(name, value, text) name = (value),
    TARS_TAKEN_LIST(X)
#undef X
};
const char *tars_taken_text(enum tars_taken_outcome outcome);

struct tars_taken {
    const char *path;
    const char *document_id; /* "" when there is none, or several */
    enum tars_taken_outcome outcome;
    const char *reason; /* why it failed or was skipped; "" else */
    int64_t chunks;
    double ms;
    int64_t job_id;
};

/* Files and folders of the server's machine, taken in while the caller waits. */
struct tars_tree {
    const char *path;       /* absolute */
    const char *collection; /* as in struct tars_take */
    bool force;
    bool forget_missing; /* what is gone from the folder goes from the store */
};

/* One file has ended (taken not NULL), or files were found and wait: total is how many are to be
 * expected as far as known. false: stop. */
typedef bool tars_taken_fn(void *ctx, const struct tars_taken *taken, size_t total);

struct tars_job_view {
    int64_t id;
    const char *kind;
    const char *collection; /* key */
    const char *path;
    const char *state;
    const char *stage;
    double progress; /* 0..1 */
    int64_t attempts;
    const char *error;
    const char *document_id;
    int64_t chunks;
    int64_t created_us, updated_us, finished_us;
};

struct tars_document_view {
    const char *document_id;
    const char *external_id;
    const char *collection; /* key */
    const char *path;
    const char *file_name;
    const char *file_type;
    const char *title;
    const char *sha256;
    const char *language;
    int64_t file_size;
    int64_t pages;
    int64_t chunks;
    int64_t tokens; /* of all passages; 0 in lists */
    int64_t indexed_us;
};

/* What an export of a tenant wrote, or its removal took away. */
struct tars_tenant_tally {
    int64_t documents, chunks, conversations, jobs, lines;
};

/* Each gives TARS_OK or a status with words. */
struct tars_service_ops {
    tars_status (*search)(void *ctx, const struct tars_search_request *request,
                          struct tars_call *call, struct tars_search_reply *reply,
                          struct tars_err *err);
    /* The results kept for this request, as long as no document has changed since, for a caller
     * who may read the same collections. Never waits: loop threads may ask. ENOTFOUND. */
    tars_status (*recall)(void *ctx, const struct tars_search_request *request,
                          struct tars_call *call, struct tars_recalled *recalled);
    /* Keep the results of reply, as rendered. */
    void (*keep)(void *ctx, const struct tars_search_request *request, struct tars_call *call,
                 const struct tars_search_reply *reply, struct tars_span results);
    /* counts_keys: ask Redis how many keys are ours, too, which waits for it. */
    void (*cache_view)(void *ctx, bool counts_keys, struct tars_arena *arena,
                       struct tars_cache_view *view);
    /* Set the gauges of the cache. */
    void (*cache_sample)(void *ctx);
    /* Forget what is kept on every level; *removed says how much. pattern: what has a name that it
     * matches (cache/glob.h); kind: what is of this kind; both: what either names; both NULL: all.
     * EINVAL: there is no such kind, or the pattern is too long. Others: a level was not cleared.
     */
    tars_status (*cache_clear)(void *ctx, const char *kind, const char *pattern, uint64_t *removed,
                               struct tars_err *err);
    void (*nas)(void *ctx, struct tars_nas_view *view);
    /* Of what may be seen, jobs too. */
    tars_status (*stats)(void *ctx, const struct tars_visible *visible, struct tars_arena *arena,
                         struct tars_collection_stats *stats, struct tars_err *err);
    /* Asks nobody who may be slow to answer. */
    tars_status (*vitals)(void *ctx, struct tars_arena *arena, struct tars_vitals *vitals);
    /* Of each collection that may be seen and holds something, by key. */
    tars_status (*collections)(void *ctx, const struct tars_visible *visible,
                               struct tars_arena *arena, struct tars_collection_view **views,
                               size_t *count, struct tars_err *err);
    /* Queue files durably; job_ids (n,). Bytes that are sent are on disk when it returns.
     * ENOTFOUND, EDENIED, EQUOTA as tars_accounts_room(). */
    tars_status (*submit)(void *ctx, const struct tars_take *takes, size_t n,
                          struct tars_call *call, int64_t *job_ids, struct tars_err *err);
    /* Wait for a job's end. */
    tars_status (*wait)(void *ctx, int64_t job_id, struct tars_call *call, struct tars_taken *taken,
                        struct tars_err *err);
    /* Take a tree in and wait. When the call is over, what has not begun is cancelled. */
    tars_status (*ingest)(void *ctx, const struct tars_tree *tree, struct tars_call *call,
                          tars_taken_fn *each, void *each_ctx, struct tars_err *err);
    /* ENOTFOUND when there is no such document, or not in what may be changed. */
    tars_status (*forget)(void *ctx, const struct tars_visible *writable, const char *document_id,
                          int64_t *chunks, struct tars_err *err);
    /* A file, or all files below a folder; of the collection with this key, which may be changed.
     * ENOTFOUND. */
    tars_status (*forget_path)(void *ctx, const char *collection, const char *path,
                               int64_t *documents, int64_t *chunks, struct tars_err *err);
    /* All of one collection, by its key; none is fine. What is queued still comes in. */
    tars_status (*forget_collection)(void *ctx, const char *key, struct tars_call *call,
                                     int64_t *documents, int64_t *chunks, struct tars_err *err);
    /* Jobs of what may be seen (changed), newest first; state NULL: all; EINVAL when it is no
     * state. Those of other collections are ENOTFOUND. */
    tars_status (*jobs)(void *ctx, const struct tars_visible *visible, const char *state,
                        size_t limit, struct tars_arena *arena, struct tars_job_view **jobs,
                        size_t *count, struct tars_err *err);
    tars_status (*job)(void *ctx, const struct tars_visible *visible, int64_t id,
                       struct tars_arena *arena, struct tars_job_view *job, struct tars_err *err);
    tars_status (*job_cancel)(void *ctx, const struct tars_visible *writable, int64_t id,
                              struct tars_err *err);
    tars_status (*job_retry)(void *ctx, const struct tars_visible *writable, int64_t id,
                             struct tars_err *err);
    /* Write everything of a tenant as lines of JSON into a new file, 0600:
     * docs/internals/rights.md. EEXIST when the file is there. Takes as long as it takes. */
    tars_status (*tenant_export)(void *ctx, const char *tenant, const char *path,
                                 struct tars_call *call, struct tars_tenant_tally *tally,
                                 struct tars_err *err);
    /* The first step of removing a tenant: disable it, cancel its jobs, take its documents out of
     * store and index, its uploads and its analytics. It can be repeated after a failure or a
     * crash. Then comes tars_directory_tenant_remove(), then scrub. EINVAL for the default tenant.
     */
    tars_status (*tenant_empty)(void *ctx, const char *tenant, struct tars_call *call,
                                struct tars_tenant_tally *tally, struct tars_err *err);
    /* Write the files of store and index anew, so that nothing that was removed can be read from
     * them any more. Slow. Should the process die first, the next start does it. */
    tars_status (*scrub)(void *ctx, struct tars_err *err);
    /* Of what may be seen, by collection, path, external id. */
    tars_status (*documents)(void *ctx, const struct tars_visible *visible, size_t limit,
                             size_t offset, struct tars_arena *arena,
                             struct tars_document_view **documents, size_t *count,
                             struct tars_err *err);
    /* One, whoever may see it: for who has just taken it in. ENOTFOUND. */
    tars_status (*document)(void *ctx, const char *document_id, struct tars_arena *arena,
                            struct tars_document_view *document, struct tars_err *err);
};

#endif
