/* service - the functions that routes call (api/service.h), over store, retrieve and ingest. */
#ifndef TARS_APP_SERVICE_H
#define TARS_APP_SERVICE_H

#include <stdatomic.h>

#include "api/service.h"
#include "app/events.h"
#include "obs/metrics.h"
#include "store/store.h"

struct tars_analytics;
struct tars_cache;
struct tars_follow;
struct tars_index;
struct tars_retriever;
struct tars_ingest;
struct tars_settings;
struct tars_writer;
struct tars_watch;

/* What the functions work on: their ctx. Borrowed; filled by wiring. */
struct tars_service {
    struct tars_store *store;
    struct tars_retriever *retriever;
    const struct tars_index *index;
    struct tars_follow *follow; /* of vectors that are in a server; or NULL */
    struct tars_cache *cache;   /* or NULL */
    const char *ranking;        /* the settings that results depend on, as text */
    const struct tars_settings *settings;
    struct tars_ingest *ingest;
    struct tars_events *events;
    struct tars_metrics *metrics;     /* may be NULL */
    struct tars_analytics *analytics; /* may be NULL */
    const char *data;                 /* the data folder */
    const char *spool_dir;
    _Atomic int64_t max_upload_bytes; /* of one file, as it is now */
    int64_t dimension;                /* of the vectors; 0: words only */
    const char *embedding_model;      /* "" when there is none */
    const char *reranker;             /* its model, or "" */
    struct tars_writer *writer;       /* the language model */
    struct tars_watch *watch;         /* NULL: no folder is watched */
    bool leaves_jobs;                 /* other processes that share the store take documents in */
    const char *watch_path;
};

extern const struct tars_service_ops tars_service_ops;

/* Of service_documents.c, for that table. */
tars_status tars_service_documents(void *ctx, const struct tars_visible *visible, size_t limit,
                                   size_t offset, struct tars_arena *arena,
                                   struct tars_document_view **out, size_t *count,
                                   struct tars_err *err);
tars_status tars_service_document(void *ctx, const char *document_id, struct tars_arena *arena,
                                  struct tars_document_view *out, struct tars_err *err);

/* Of service_cache.c. */
void tars_service_cache_view(void *ctx, bool counts_keys, struct tars_arena *arena,
                             struct tars_cache_view *view);
void tars_service_cache_sample(void *ctx);
tars_status tars_service_cache_clear(void *ctx, const char *kind, const char *pattern,
                                     uint64_t *removed, struct tars_err *err);

#endif
