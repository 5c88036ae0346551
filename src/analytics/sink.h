/* sink - where rows go and statistics come from: one const struct of functions a back end.
 *
 *     sink_sqlite    a SQLite file of its own, beside the store
 *
 * All back ends pass tests/unit/analytics/test_sink.c. Statistics are made by the back end's SQL;
 * what they mean is said in analytics.h.
 *
 * Threads   write, prune and clear come from one thread at a time; the others from any.
 */
#ifndef TARS_ANALYTICS_SINK_H
#define TARS_ANALYTICS_SINK_H

#include "analytics/analytics.h"

enum tars_row_kind { TARS_ROW_QUERY = 1, TARS_ROW_ERROR = 2, TARS_ROW_SYSTEM = 3 };

struct tars_row {
    enum tars_row_kind kind;
    union {
        struct tars_query_row query;
        struct tars_error_row error;
        struct tars_system_row system;
    } as;
};

/* How far a journal has been written. */
struct tars_analytics_mark {
    uint64_t journal;  /* tars_journal_id() */
    uint64_t position; /* behind the last row */
};

struct tars_analytics_sink_ops {
    const char *name;
    void (*close)(struct tars_analytics_sink *sink);
    /* All rows and the mark, or nothing. Every text but those that may be NULL is set, and time_us
     * too. EINVAL, EFORMAT and ETOOBIG: these rows will never be taken. */
    tars_status (*write)(struct tars_analytics_sink *sink, const struct tars_row *rows, size_t n,
                         const struct tars_analytics_mark *mark, struct tars_err *err);
    /* The position that was written last for this journal; 0 when none was. */
    tars_status (*position)(struct tars_analytics_sink *sink, uint64_t journal, uint64_t *position,
                            struct tars_err *err);
    /* Remove at most max rows of a table that are older than before_us; *removed: 0 when no more
     * are left. */
    tars_status (*prune)(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                         size_t *removed, struct tars_err *err);
    /* Remove at most max rows of a table that are a tenant's (NULL: all rows). */
    tars_status (*clear)(struct tars_analytics_sink *sink, const char *tenant, size_t max,
                         size_t *removed, struct tars_err *err);

    tars_status (*stats)(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                         struct tars_query_stats *out, struct tars_err *err);
    tars_status (*popular)(struct tars_analytics_sink *sink,
                           const struct tars_analytics_range *range, size_t top_n,
                           struct tars_arena *arena, struct tars_popular_document **out,
                           size_t *count, struct tars_err *err);
    tars_status (*patterns)(struct tars_analytics_sink *sink,
                            const struct tars_analytics_range *range, struct tars_arena *arena,
                            struct tars_query_patterns *out, struct tars_err *err);
    tars_status (*totals)(struct tars_analytics_sink *sink,
                          const struct tars_analytics_range *range,
                          struct tars_analytics_totals *out, struct tars_err *err);
    tars_status (*history)(struct tars_analytics_sink *sink,
                           const struct tars_analytics_range *range, int64_t interval_s,
                           struct tars_arena *arena, struct tars_system_row **out, size_t *count,
                           struct tars_err *err);
    /* At most max questions with an id above after_id, by id. */
    tars_status (*page)(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                        int64_t after_id, size_t max, struct tars_arena *arena,
                        struct tars_logged_query **out, size_t *count, struct tars_err *err);
};

/* A back end's object begins with this. */
struct tars_analytics_sink {
    const struct tars_analytics_sink_ops *ops;
};

#define TARS_ANALYTICS_WORDS_MAX   20    /* of tars_query_patterns */
#define TARS_ANALYTICS_HISTORY_MAX 10000 /* steps of a history */

#endif
