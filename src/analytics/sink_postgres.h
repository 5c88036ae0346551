/* sink_postgres - rows and statistics in PostgreSQL: the tables of the wire contract, section 5.
 *
 *     write: BEGIN, move the journal's mark and take numbers, COPY each table, COMMIT
 *     read:  one statement on a connection of the pool, within its time
 *
 * Opening connects to nobody: the first who needs the database brings its tables up to date
 * (migrations/postgres_analytics, under an advisory lock), adopting those that another program of
 * the same contract made. Until then, and whenever the server is away, everything answers
 * TARS_EUNAVAILABLE at once, and rows wait in the journal.
 *
 * Once     A journal's mark is moved from where it was to where the rows end, in their transaction;
 *          a transaction that finds it elsewhere is undone. So a batch whose COMMIT was not
 *          answered is not written again, even if the server comes to it late.
 * Texts    Bytes that are no UTF-8 become U+FFFD; texts longer than their column are cut.
 * Bounds   As the pool (store/postgres_pool.h). What waits for an answer waits at most
 *          statement_timeout_ms and timeout_ms; a write at most WRITE_MS a step.
 * Threads  As analytics/sink.h.
 */
#ifndef TARS_ANALYTICS_SINK_POSTGRES_H
#define TARS_ANALYTICS_SINK_POSTGRES_H

#include "analytics/sink.h"
#include "obs/metrics.h"
#include "store/postgres_pool.h"

struct tars_sink_postgres_config {
    struct tars_pg_pool_config pool; /* its texts are set by the sink; what it lends is copied */
    bool partition;                  /* new tables in monthly partitions */
    struct tars_metrics *metrics;    /* may be NULL */
    struct tars_log *log;            /* may be NULL */
};

/* ENOMEM. */
TARS_MUST_USE tars_status tars_sink_postgres_open(const struct tars_sink_postgres_config *config,
                                                  struct tars_analytics_sink **sink,
                                                  struct tars_err *err);
/* Connect and bring the tables up to date, now; says what is wrong: who does not answer, which
 * table is another's, that a newer program made the database. EUNAVAILABLE, ENOMEM. */
TARS_MUST_USE tars_status tars_sink_postgres_prepare(struct tars_analytics_sink *sink,
                                                     struct tars_err *err);
/* As tars_pg_pool_health(), and why the tables cannot be used, if so. */
TARS_MUST_USE tars_status tars_sink_postgres_health(struct tars_analytics_sink *sink,
                                                    struct tars_err *err);

/* What a database is like, as it is: nothing is made or changed. Texts are in the arena. */
struct tars_sink_postgres_look {
    const char *database, *user, *encoding;
    int server_version; /* 150020 for 15.20 */
    bool may_make;      /* tables */
    bool is_read_only;
    int64_t foreign;     /* tables that it needs and does not own */
    int version, latest; /* of the schema: there, and known to this program */
};
/* By one connection of its own. EUNAVAILABLE, ETIMEOUT, ENOMEM. */
TARS_MUST_USE tars_status tars_sink_postgres_look(const struct tars_pg_config *server,
                                                  struct tars_arena *arena,
                                                  struct tars_sink_postgres_look *out,
                                                  struct tars_err *err);
struct tars_pg_pool_stats tars_sink_postgres_stats(struct tars_analytics_sink *sink);

#endif
