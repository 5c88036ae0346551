/* sink - where rows go and statistics come from: one const struct of functions a back end.
 *
 *     sink_sqlite      a SQLite file of its own, beside the store
 *     sink_postgres    a PostgreSQL database
 *
 * All back ends pass tests/unit/analytics/test_sink.c. Statistics are made by the back end's SQL;
 * what they mean is said in analytics.h.
 *
 * Numbers   Statistics are exact, however rows are added up: averages of times are those of whole
 *           microseconds, averages of relevance those of whole millionths, each row rounded by
 *           itself and summed as an integer. A relevance that is NULL counts as 0 in the average
 *           of questions.
 * Rollups   A back end may keep sums of complete hours (UTC). Statistics are the same with and
 *           without: whoever adds, removes or changes a row of an hour makes the hour unrolled in
 *           the same transaction, and its sums, which hold words, go with it.
 * Threads   write, prune, clear, rollup, import, erase, anonymize and scrub come from one thread at
 *           a time; the others from any.
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
     * too. EINVAL, EFORMAT and ETOOBIG: some of these rows will never be taken. After any other
     * failure it may have been done after all: position() tells. */
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
    /* A page of a table: rows of the range behind wanted->after, in the order of (timestamp, id),
     * at most wanted->max of them. range->visible counts for accesses alone; of samples, tenant
     * means nothing. *count below max: there are no more. Texts are in the arena. */
    tars_status (*read)(struct tars_analytics_sink *sink,
                        const struct tars_analytics_wanted *wanted, struct tars_arena *arena,
                        struct tars_logged **out, size_t *count, struct tars_err *err);

    /* Any of the following may be NULL: then the back end has no such thing. */

    /* Roll up at most max unrolled hours that ended at before_us or earlier; *rolled: how many, 0
     * when none is left. One transaction. */
    tars_status (*rollup)(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                          size_t *rolled, struct tars_err *err);
    /* Add questions of another program's log, all or none. A row is left out where its tenant has
     * one with the same metadata.query_id and query_hash (SHA-256 hex of query_text), be it of
     * rows before it in the same call; *added counts the others. query_id is never NULL.
     *
     *   success             row.error_message is NULL
     *   sources_count, avg_relevance_score      as given
     *   relevance_scores    NULL
     *   metadata            {"query_id", "query_length", "max_relevance_score", "imported": true}
     */
    tars_status (*import)(struct tars_analytics_sink *sink, const struct tars_logged_query *rows,
                          size_t n, size_t *added, struct tars_err *err);
    /* Remove at most max questions and at most max errors whose tenant, client_id and time are
     * who's; their accesses go along, however many. *removed is set; all zeros: none is left. */
    tars_status (*erase)(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                         size_t max, struct tars_analytics_changed *removed, struct tars_err *err);
    /* At most max distinct client ids, ascending as the back end orders texts, behind after (NULL:
     * from the first), of questions and errors that are who's and not anonymized. who->client_id
     * counts too. */
    tars_status (*clients)(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                           const char *after, size_t max, struct tars_arena *arena,
                           const char ***out, size_t *count, struct tars_err *err);
    /* Make at most max questions and at most max errors anonymous, of who's that are not yet;
     * who->client_id is set. Numbers, flags, model, time, tenant and accesses stay.
     *
     *   questions   client_id = pseudonym; query_text = '', query_hash = '';
     *               error_message = '' where there was one; metadata reduced to those of
     * used_history, max_relevance_score and imported that it had, and "anonymized": true errors
     * client_id = pseudonym; error_message = '', stack_trace NULL; metadata
     *               {"anonymized": true}
     *
     * *changed is set (accesses: 0); all zeros: none is left. */
    tars_status (*anonymize)(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                             const char *pseudonym, size_t max,
                             struct tars_analytics_changed *changed, struct tars_err *err);
    /* After removing: see to it that no file of the back end has the removed texts any longer, as
     * far as it is able to. */
    tars_status (*scrub)(struct tars_analytics_sink *sink, struct tars_err *err);
};

/* A back end's object begins with this. */
struct tars_analytics_sink {
    const struct tars_analytics_sink_ops *ops;
};

#define TARS_ANALYTICS_WORDS_MAX   20    /* of tars_query_patterns */
#define TARS_ANALYTICS_HISTORY_MAX 10000 /* steps of a history */

#endif
