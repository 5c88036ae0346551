/* analytics - what was asked, what was read, what failed, how the machine was: contract 1.5,
 * 5, 7.9.
 *
 *     route -> tars_analytics_query() -> bounded queue -> one writer thread -> sink (SQLite, ...)
 *     /analytics/... -> tars_analytics_stats() ... -> SQL in the sink
 *
 * A row costs its caller a copy into the queue, never a disk. The queue is a ring of bytes in a
 * mapped file (analytics/journal.h), so rows that were given survive the death of the process. A
 * full queue drops the oldest rows and counts them. Analytics never fail their caller: a NULL
 * object is allowed and does nothing.
 *
 * Rights    Rows carry a tenant; every question to them names one (NULL: all, for the owner).
 *           Accesses carry the collection; questions about documents count only visible ones.
 * Bounds    queue_bytes of memory for rows that wait; a row of more than a quarter of it is
 *           dropped. Statistics are made in SQL, with memory that does not grow with the rows.
 * Threads   Safe to share. One thread of its own writes, in batches, and between them removes what
 *           is past retention_days, some hundred rows at a time, and rolls up hours that are over.
 */
#ifndef TARS_ANALYTICS_ANALYTICS_H
#define TARS_ANALYTICS_ANALYTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "obs/call.h"
#include "obs/log.h"
#include "obs/metrics.h"

struct tars_analytics;
struct tars_analytics_sink; /* a back end: analytics/sink_sqlite.h */

/* One source of an answer. */
struct tars_access_row {
    const char *document_id, *file_name, *chunk_id;
    const char *collection; /* its key in the store, or NULL: unknown, seen by all of the tenant */
    double relevance_score;
    int rank; /* from 1 */
};

/* One question. Texts are borrowed for the call. */
struct tars_query_row {
    int64_t time_us; /* since 1970, UTC; 0: now */
    const char *tenant;
    const char *client_id;
    const char *query_text;
    const char *model_used;
    const char *request_id;
    const char *conversation_id; /* or NULL */
    const char *error_message;   /* NULL: success */
    double retrieval_time_ms, generation_time_ms, total_time_ms;
    int tokens_generated;
    int expansion_count; /* variants asked besides the question */
    bool used_reranking, used_hybrid_search, used_query_expansion; /* facts, not settings */
    bool used_history;                      /* earlier turns were in the prompt */
    const struct tars_access_row *accesses; /* (access_count,) best first */
    size_t access_count;
};

struct tars_error_row {
    int64_t time_us;
    const char *tenant;
    const char *error_type, *error_message;                   /* required */
    const char *service, *operation, *client_id, *request_id; /* or NULL */
    const char *severity;                                     /* NULL: "ERROR" */
};

/* A sample of the machine; NaN and -1: unknown. */
struct tars_system_row {
    int64_t time_us;
    double cpu_usage_percent, memory_usage_percent;
    double gpu_usage_percent, gpu_memory_usage_percent;
    double cache_hit_rate, avg_query_time_ms, avg_retrieval_time_ms, avg_generation_time_ms;
    double queries_per_minute;
    int64_t active_connections, total_documents, total_chunks;
};

/* Which rows, both ends included; 0: open. */
struct tars_analytics_range {
    const char *tenant; /* NULL: all */
    int64_t from_us, to_us;
    const struct tars_visible *visible; /* documents of these collections; NULL: all */
};

/* A question as it was kept. */
struct tars_logged_query {
    struct tars_query_row row; /* without accesses */
    int64_t id;
    int64_t query_length; /* characters */
    int64_t sources_count;
    double avg_relevance_score, max_relevance_score; /* 0 without sources */
    const char *query_id;                            /* of an imported row, or NULL */
};

/* One source of an answer as it was kept. */
struct tars_logged_access {
    struct tars_access_row row;
    int64_t id, time_us;
    int64_t query_id; /* id of its question; 0: none */
    const char *tenant;
};

/* A failure as it was kept. */
struct tars_logged_error {
    struct tars_error_row row;
    int64_t id;
    const struct tars_logged_query *query; /* of the same tenant and request id; NULL: none */
};

/* A sample of the machine as it was kept. */
struct tars_logged_system {
    struct tars_system_row row;
    int64_t id;
};

enum tars_analytics_table {
    TARS_TABLE_QUERIES,
    TARS_TABLE_ACCESSES,
    TARS_TABLE_ERRORS,
    TARS_TABLE_SYSTEM,
};

/* A row of one of the tables. */
struct tars_logged {
    enum tars_analytics_table table;
    union {
        struct tars_logged_query query;
        struct tars_logged_access access;
        struct tars_logged_error error;
        struct tars_logged_system system;
    } as;
};

/* Where a page ended; zeros: before the first row. */
struct tars_analytics_cursor {
    int64_t time_us, id;
};

/* A page of a table. */
struct tars_analytics_wanted {
    enum tars_analytics_table table;
    const struct tars_analytics_range *range;
    const char *request_id; /* metadata.request_id is this; of questions and errors. NULL: any */
    bool newest_first;      /* the order is turned round: (timestamp, id) descending */
    bool with_query;        /* of errors: query is filled in, where there is one. It is the first
                             * question by id with the tenant and metadata.request_id of the error */
    struct tars_analytics_cursor after;
    size_t max;
};

/* Whose rows: all conditions hold. */
struct tars_analytics_who {
    const char *tenant;    /* NULL: of all */
    const char *client_id; /* NULL: of all */
    int64_t before_us;     /* older than this; 0: of all times */
};

/* Rows that were removed or changed. */
struct tars_analytics_changed {
    int64_t queries, accesses, errors;
};

struct tars_query_stats { /* contract 1.5; zeros without rows */
    int64_t total, successful;
    double avg_retrieval_time_ms, avg_generation_time_ms, avg_total_time_ms;
    double avg_sources_count, avg_relevance_score;
    int64_t reranking, hybrid_search, query_expansion; /* questions that used it */
};

struct tars_popular_document {
    const char *document_id, *file_name;
    int64_t access_count;
    int64_t last_accessed_us;
    double avg_relevance_score;
};

struct tars_word_count {
    const char *word;
    int64_t count;
};

struct tars_query_patterns {
    int64_t total;
    int64_t min_length, max_length; /* characters; of questions that still have a text */
    double avg_length;
    struct tars_word_count *top_words; /* (top_word_count,) at most 20, commonest first */
    size_t top_word_count;
    int64_t by_hour[24]; /* UTC */
};

struct tars_analytics_totals {
    int64_t queries, errors, documents; /* documents: distinct ones that were accessed */
};

#define TARS_ANALYTICS_QUEUE_DEFAULT ((size_t)4 << 20)
#define TARS_ANALYTICS_QUEUE_MIN     ((size_t)4096)

struct tars_analytics_config {
    struct tars_analytics_sink *sink; /* required; taken */
    const char *journal;              /* path of the queue's file; NULL: memory only */
    size_t queue_bytes;               /* 0: TARS_ANALYTICS_QUEUE_DEFAULT */
    int64_t retention_days;           /* 0: for ever */
    int64_t gather_ms;                /* rows wait so long for company; 0: 100 */
    const char *pseudonym_key;        /* names of anonymous clients come from it; NULL: no names */
    struct tars_log *log;             /* may be NULL */
    struct tars_metrics *metrics;     /* rag_analytics_*; may be NULL */
};

TARS_MUST_USE tars_status tars_analytics_open(const struct tars_analytics_config *config,
                                              struct tars_analytics **analytics,
                                              struct tars_err *err);
/* Writes what is queued, then closes. NULL is allowed. */
void tars_analytics_close(struct tars_analytics *analytics);
/* Wait until what was given before is in the sink, or it fails, five seconds at most. */
void tars_analytics_flush(struct tars_analytics *analytics);

void tars_analytics_query(struct tars_analytics *analytics, const struct tars_query_row *row);
void tars_analytics_error(struct tars_analytics *analytics, const struct tars_error_row *row);
void tars_analytics_system(struct tars_analytics *analytics, const struct tars_system_row *row);

/* Each flushes first, so that what was answered is counted. A NULL object gives zeros. */
TARS_MUST_USE tars_status tars_analytics_stats(struct tars_analytics *analytics,
                                               const struct tars_analytics_range *range,
                                               struct tars_query_stats *out, struct tars_err *err);
TARS_MUST_USE tars_status tars_analytics_popular(struct tars_analytics *analytics,
                                                 const struct tars_analytics_range *range,
                                                 size_t top_n, struct tars_arena *arena,
                                                 struct tars_popular_document **out, size_t *count,
                                                 struct tars_err *err);
TARS_MUST_USE tars_status tars_analytics_patterns(struct tars_analytics *analytics,
                                                  const struct tars_analytics_range *range,
                                                  struct tars_arena *arena,
                                                  struct tars_query_patterns *out,
                                                  struct tars_err *err);
TARS_MUST_USE tars_status tars_analytics_totals(struct tars_analytics *analytics,
                                                const struct tars_analytics_range *range,
                                                struct tars_analytics_totals *out,
                                                struct tars_err *err);
/* Samples of the machine, averaged over steps of interval_s seconds, oldest first. */
TARS_MUST_USE tars_status tars_analytics_history(struct tars_analytics *analytics,
                                                 const struct tars_analytics_range *range,
                                                 int64_t interval_s, struct tars_arena *arena,
                                                 struct tars_system_row **out, size_t *count,
                                                 struct tars_err *err);
/* Calls each(ctx, row) oldest first; false stops. Rows are lent for the call of each. */
typedef bool tars_logged_fn(void *ctx, const struct tars_logged *row);
TARS_MUST_USE tars_status tars_analytics_each(struct tars_analytics *analytics,
                                              enum tars_analytics_table table,
                                              const struct tars_analytics_range *range,
                                              tars_logged_fn *each, void *ctx,
                                              struct tars_err *err);
/* One page; the next one's after is where it ended (tars_analytics_end_of). Flushes first. */
TARS_MUST_USE tars_status tars_analytics_read(struct tars_analytics *analytics,
                                              const struct tars_analytics_wanted *wanted,
                                              struct tars_arena *arena, struct tars_logged **out,
                                              size_t *count, struct tars_err *err);
/* Where a page that ends with this row ends. */
struct tars_analytics_cursor tars_analytics_end_of(const struct tars_logged *row);

/* What follows changes rows that are there, and those that still wait at that time.
 * TARS_EUNAVAILABLE when the sink is away: nothing is done by halves then, try again. After
 * removing, no file of ours has the removed texts. */

/* Remove all rows of a tenant (NULL: of all, samples of the machine too). */
TARS_MUST_USE tars_status tars_analytics_clear(struct tars_analytics *analytics, const char *tenant,
                                               struct tars_err *err);
/* Remove all rows of a client; who->client_id is required. ECANCELED: call was over, and the rest
 * is still there; call may be NULL. */
TARS_MUST_USE tars_status tars_analytics_erase(struct tars_analytics *analytics,
                                               const struct tars_analytics_who *who,
                                               struct tars_call *call,
                                               struct tars_analytics_changed *removed,
                                               struct tars_err *err);
/* Take from rows what tells whose they are; statistics stay. named: a client's rows stay together,
 * under a name that is the same each time and cannot be turned back; else all become "anonymous".
 */
TARS_MUST_USE tars_status tars_analytics_anonymize(struct tars_analytics *analytics,
                                                   const struct tars_analytics_who *who, bool named,
                                                   struct tars_call *call,
                                                   struct tars_analytics_changed *changed,
                                                   struct tars_err *err);
/* Add rows of another program's log; those that are there already are left out. */
TARS_MUST_USE tars_status tars_analytics_import(struct tars_analytics *analytics,
                                                const struct tars_logged_query *rows, size_t n,
                                                size_t *added, struct tars_err *err);
bool tars_analytics_is_on(const struct tars_analytics *analytics);

/* Rows so far, since the opening. */
struct tars_analytics_counts {
    uint64_t queries, accesses, errors, samples; /* that the sink has taken */
    uint64_t replayed;                           /* of those, left by a process before */
    uint64_t dropped;                            /* lost: the queue was full, or no memory */
    uint64_t failures;                           /* of the sink; rows wait meanwhile */
    size_t queued_bytes, queue_bytes;            /* that wait; that there is room for */
};
struct tars_analytics_counts tars_analytics_counts(const struct tars_analytics *analytics);
/* How the sink is: words of its last failure when it has not recovered. TARS_EUNAVAILABLE for a
 * NULL object. */
TARS_MUST_USE tars_status tars_analytics_health(const struct tars_analytics *analytics,
                                                struct tars_err *err);

#endif
