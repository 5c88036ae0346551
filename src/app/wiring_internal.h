/* wiring_internal - what the files of the wiring share: the parts, and the steps that are files of
 * their own. */
#ifndef TARS_APP_WIRING_INTERNAL_H
#define TARS_APP_WIRING_INTERNAL_H

#include "app/events.h"
#include "app/service.h"
#include "app/wiring.h"
#include "ingest/ingest.h"
#include "llm/llm.h"
#include "obs/gpu.h"
#include "retrieve/retrieve.h"

struct tars_analytics;
struct tars_client;
struct tars_analytics_sink;
struct tars_sampler;
struct tars_tracer;
struct tars_follow;
struct tars_vectors;
struct tars_trace_export;
struct tars_replicas;
struct tars_snapshots;
struct tars_rate_share;

#define TARS_OWNER_TOKEN_BYTES 32

struct tars_wiring {
    struct tars_arena arena; /* texts below */
    const struct tars_settings *settings;
    struct tars_log *log;
    const char *data;
    const atomic_bool *stopping; /* as configured */
    bool serves;                 /* as configured */
    bool is_past;    /* the index has seen what the store has given up: it is not saved */
    bool texts_anew; /* the index did not go on from where the texts beside it are */
    bool no_index;   /* TARS_ROLE=ingest */
    const char *index_dir;
    const char *snapshot_dir; /* of this store's; or NULL */
    struct tars_snapshots *snapshots;
    char token[2 * TARS_OWNER_TOKEN_BYTES + 1];
    struct tars_buf warnings;

    struct tars_metrics *metrics;
    struct tars_tracer *tracer;             /* NULL: traces are not recorded */
    struct tars_trace_export *trace_export; /* likewise */
    struct tars_health health;
    int64_t
        awaited_ms; /* since when servers elsewhere are waited for; 0: from the end of opening */
    struct tars_gpu *gpu; /* NULL: there is none */
    struct tars_store *store;
    struct tars_encoder *encoder; /* NULL: words only */
    struct tars_wordpiece *plain; /* tokenizer where there is no encoder; owned */
    struct tars_index *index;
    struct tars_vectors *vectors; /* in a server; NULL: those of index */
    struct tars_follow *follow;   /* of them */
    uint64_t vectors_written, vectors_rebuilds, vectors_failures; /* counted so far */
    const char *history_dir;  /* of the index, where the store may go back; or NULL */
    struct tars_cache *cache; /* or NULL */
    struct tars_epoch *epoch; /* of the store */
    const char *ranking;      /* the settings that results depend on, as text */
    struct tars_extract *extract;
    struct tars_events *events;
    struct tars_sampler *sampler;         /* or NULL */
    struct tars_analytics *analytics;     /* NULL: switched off, or away */
    struct tars_analytics_sink *postgres; /* of analytics, where it is PostgreSQL; lent by it */
    struct tars_ingest *ingest;
    struct tars_ingest_observer ingest_observer;
    struct tars_watch *watch;
    struct tars_reranker *reranker;    /* NULL: nothing is reranked */
    struct tars_client *rerank_client; /* of a remote one; or NULL */
    struct tars_retriever *retriever;
    struct tars_writer *writer;
    struct tars_llm *quoter;        /* answers where the writer cannot */
    struct tars_expander *expander; /* NULL: questions are not expanded */
    struct tars_history *history;
    struct tars_rag *rag;
    struct tars_service service;
    struct tars_pool *compute;
    struct tars_pool *answer;
    struct tars_pool *wait;
    struct tars_pool *takes_in;
    struct tars_pool *status;
    struct tars_oidc *oidc; /* NULL: no provider */
    struct tars_auth *auth;
    struct tars_rate_limit *rate_limit;  /* NULL: none */
    struct tars_rate_share *limit_share; /* of it and of sign-ins, with other servers; or NULL */
    struct tars_cache *limit_redis;      /* where */
    uint64_t limit_seed[2];              /* the servers have it in common */
    struct tars_quota *quota;
    struct tars_replicas *replicas; /* NULL: nobody shares the store */
    struct tars_proxies *proxies;   /* that are believed */
    struct tars_api *api;
};

/* The provider of identities (wiring_oidc.c); secret signs its cookies. Closed with access. */
TARS_MUST_USE tars_status tars_wiring_open_oidc(struct tars_wiring *w, const char *secret,
                                                struct tars_err *err);

/* Sign-in and rights, and who is believed on the way (wiring_access.c). */
TARS_MUST_USE tars_status tars_wiring_open_access(struct tars_wiring *w, bool serves,
                                                  struct tars_err *err);
void tars_wiring_close_access(struct tars_wiring *w);
/* The fields of config that these parts fill. */
void tars_wiring_fill_access(const struct tars_wiring *w, struct tars_api_config *config);

/* Limits that servers on a store count together (wiring_limits.c): opened before the parts of
 * access that limit, which are made with the seed (NULL: each server for itself), and started
 * after. */
TARS_MUST_USE tars_status tars_wiring_open_limits(struct tars_wiring *w, struct tars_err *err);
const uint64_t *tars_wiring_limit_seed(const struct tars_wiring *w);
TARS_MUST_USE tars_status tars_wiring_start_limits(struct tars_wiring *w, struct tars_err *err);
void tars_wiring_close_limits(struct tars_wiring *w);

/* The other servers on the store, where it is shared (wiring_replicas.c); after access. */
TARS_MUST_USE tars_status tars_wiring_open_replicas(struct tars_wiring *w,
                                                    const struct tars_wiring_config *config,
                                                    struct tars_err *err);
/* TARS_ROLE: is it one that can be played? After the store. */
TARS_MUST_USE tars_status tars_wiring_open_role(struct tars_wiring *w, struct tars_err *err);
bool tars_wiring_takes_jobs(const struct tars_wiring *w);
/* Begin with the shared snapshot, where there is one; before the index, which opens as config. */
TARS_MUST_USE tars_status tars_wiring_adopt_snapshot(struct tars_wiring *w,
                                                     const struct tars_index_config *config,
                                                     struct tars_err *err);
/* TARS_EMISMATCH: one of several servers that goes without the others' embedding model, for the
 * reason why, would take documents in that have no vectors. */
TARS_MUST_USE tars_status tars_wiring_may_lack_model(struct tars_wiring *w,
                                                     const struct tars_err *why,
                                                     struct tars_err *err);
/* A copy of the texts of passages, where the store is shared; after the index. */
TARS_MUST_USE tars_status tars_wiring_open_texts(struct tars_wiring *w, struct tars_err *err);
/* Before anything that they tell of. */
void tars_wiring_close_replicas(struct tars_wiring *w);
/* TARS_OK, or why the others are out of reach. */
/* For the API: as tars_replicas_may_answer(). */
TARS_MUST_USE tars_status tars_wiring_may_answer(void *ctx, struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_replicas_health(struct tars_wiring *w, struct tars_err *err);
/* Is what only one of several servers does for this one to do? */
bool tars_wiring_leads(const struct tars_wiring *w);
/* The key that signs tokens: the operator's, else that of all who share the store, else our own
 * (app/secrets.h). In w->arena. */
TARS_MUST_USE tars_status tars_wiring_secret(struct tars_wiring *w, bool is_loopback,
                                             const char **secret, struct tars_err *err);

/* Query expansion, conversations and their memory (wiring_chat.c); after the writer. */
TARS_MUST_USE tars_status tars_wiring_open_chat(struct tars_wiring *w, struct tars_err *err);
void tars_wiring_close_chat(struct tars_wiring *w);
void tars_wiring_fill_chat(const struct tars_wiring *w, struct tars_api_config *config);

/* The cache and the names of the store's states (wiring_cache.c); epoch after the store and before
 * any change, cache after the model. Closed when nothing changes documents any more. */
TARS_MUST_USE tars_status tars_wiring_open_epoch(struct tars_wiring *w, struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_open_cache(struct tars_wiring *w, struct tars_err *err);
/* Redis into health, where it is to be used. */
TARS_MUST_USE tars_status tars_wiring_register_redis(struct tars_wiring *w);
void tars_wiring_close_cache(struct tars_wiring *w);

/* Who reads the first candidates of a search (wiring_rerank.c); before the cache, whose keys name
 * it. One that cannot be had costs the feature. */
TARS_MUST_USE tars_status tars_wiring_open_reranker(struct tars_wiring *w, struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_register_reranker(struct tars_wiring *w);
void tars_wiring_close_reranker(struct tars_wiring *w);
struct tars_rerank_config tars_wiring_rerank_config(const struct tars_wiring *w);
/* What of it results depend on, as text; NULL without memory. */
const char *tars_wiring_rerank_ranking(const struct tars_wiring *w, struct tars_arena *arena);

/* Vectors that are in a server (wiring_vectors.c): opened before the index, which has words only
 * then; followed from before ingest is opened, and started when all that they depend on is there.
 * The follower ends before replicas and store. */
TARS_MUST_USE tars_status tars_wiring_open_vectors(struct tars_wiring *w, struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_open_follow(struct tars_wiring *w, struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_start_follow(struct tars_wiring *w,
                                                   const struct tars_wiring_config *config,
                                                   struct tars_err *err);
TARS_MUST_USE tars_status tars_wiring_register_vectors(struct tars_wiring *w);
void tars_wiring_close_follow(struct tars_wiring *w);
void tars_wiring_close_vectors(struct tars_wiring *w);

/* What was asked and how the machine was (wiring_analytics.c). A file that cannot be opened costs
 * the feature, with a warning. */
TARS_MUST_USE tars_status tars_wiring_open_analytics(struct tars_wiring *w, struct tars_err *err);
void tars_wiring_close_analytics(struct tars_wiring *w);
TARS_MUST_USE tars_status tars_wiring_fill_analytics(struct tars_wiring *w,
                                                     struct tars_api_config *config,
                                                     struct tars_err *err);
/* What the rooms below tell, into metrics (wiring_metrics.c); ctx is the registry. Every search,
 * whoever asked: routes, answers, their variants, commands. Every text that a back end wrote. */
void tars_wiring_count_search(void *ctx, const struct tars_retrieved *found);
void tars_wiring_count_generation(void *ctx, const struct tars_llm_ended *ended);
/* The graphics processors, where there are any. */
TARS_MUST_USE tars_status tars_wiring_open_gpu(struct tars_wiring *w, struct tars_err *err);
struct tars_ingest_observer tars_wiring_ingest_observer(struct tars_metrics *metrics);
void tars_wiring_count_file(const struct tars_wiring *w, const struct tars_ingest_event *event);

/* Where its rows are kept (wiring_postgres.c); adds the health part "postgres" where it is there.
 */
TARS_MUST_USE tars_status tars_wiring_open_sink(struct tars_wiring *w,
                                                struct tars_analytics_sink **sink,
                                                struct tars_err *err);
/* How a file ended: into metrics, the watched folder's numbers, and the error log. */
void tars_wiring_count_event(struct tars_wiring *w, const struct tars_ingest_event *event);
/* Samples of the machine, for a server. */
TARS_MUST_USE tars_status tars_wiring_open_sampler(struct tars_wiring *w,
                                                   const struct tars_wiring_config *config,
                                                   struct tars_err *err);

/* Traces, where they are to go somewhere (wiring_trace.c). What records them is closed before. */
TARS_MUST_USE tars_status tars_wiring_open_trace(struct tars_wiring *w, bool serves,
                                                 struct tars_err *err);
void tars_wiring_close_trace(struct tars_wiring *w);

/* What a reload may change, into config; texts are lent by settings (wiring_life.c). */
void tars_wiring_fill_live(const struct tars_settings *settings, struct tars_api_config *config);
/* Wait for servers elsewhere, within the bound of the settings. */
void tars_wiring_await(struct tars_wiring *w, const struct tars_wiring_config *config);

/* MODEL_TEMPERATURE; below 0 where nobody set one. */
float tars_wiring_temperature(const struct tars_settings *settings);

/* Tell the operator, at the start and in the log. */
void tars_wiring_warn(struct tars_wiring *w, const char *words);

#endif
