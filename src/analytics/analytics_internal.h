/* analytics_internal - what the files of analytics share. Not for others. */
#ifndef TARS_ANALYTICS_ANALYTICS_INTERNAL_H
#define TARS_ANALYTICS_ANALYTICS_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include "analytics/analytics.h"
#include "analytics/journal.h"
#include "analytics/sink.h"

struct tars_analytics {
    struct tars_analytics_config config; /* with every default filled in */
    struct tars_analytics_sink *sink;    /* owned */
    char *key;                           /* of pseudonyms, or NULL; owned */
    pthread_t writer;
    bool is_running;

    /* The writer's own. */
    unsigned char *batch;  /* (batch_bytes,) */
    struct tars_row *rows; /* (BATCH_ROWS,) */
    uint64_t *ends;        /* (BATCH_ROWS,) positions behind them */
    struct tars_arena arena;
    size_t batch_bytes;
    int64_t next_prune_ms; /* 0: never */
    int64_t next_roll_ms;  /* likewise */
    size_t roll_hours;     /* at once: one after a failure, which may have been the time it took */

    pthread_mutex_t write_lock; /* one transaction at a time: the writer's, or a clearing */
    pthread_mutex_t lock;       /* guards all below */
    pthread_cond_t work;        /* the writer has something to do */
    pthread_cond_t done;        /* the writer has tried */
    struct tars_journal *journal;
    uint64_t taken;   /* rows before it are in the sink or in the writer's hands */
    bool must_ask;    /* how far the journal has been written is not known */
    uint64_t begun;   /* tries of the writer, ever */
    uint64_t failed;  /* number of the last one that failed, from 1 */
    size_t flushers;  /* who wait for done */
    bool is_asleep;   /* the writer does not look by itself */
    int64_t retry_ms; /* to wait before the next try; 0: the last one went well */
    bool is_stopping;
    bool is_overflowing;      /* rows are being dropped; ends when the journal is half empty */
    uint64_t overflow_before; /* dropped when that began */
    uint64_t replay_until;    /* rows before it are of another process */
    uint64_t tried; /* position of the last write of this one, however it ended; 0: none */
    struct tars_analytics_counts counts;
    struct tars_err failure; /* words of the last one */
};

/* What was given before is in the sink; TARS_EUNAVAILABLE with the words of its failure when it is
 * not. */
TARS_MUST_USE tars_status tars_analytics_settle(struct tars_analytics *analytics,
                                                struct tars_err *err);

/* analytics_write.c: of the writer. Under the lock, which _ask() lets go of meanwhile: */
void tars_analytics_lose(struct tars_analytics *analytics, uint64_t n);
/* The sink has failed: later, and first ask what it has. */
void tars_analytics_put_off(struct tars_analytics *analytics, const struct tars_err *err);
/* Forget what has been written already. */
TARS_MUST_USE tars_status tars_analytics_ask(struct tars_analytics *analytics,
                                             struct tars_err *err);
/* Not under it: write n rows of the batch. Where rows among them will never be taken, in ever
 * smaller parts, so that only those are lost; after a part that went well the next is twice as
 * large. */
TARS_MUST_USE tars_status tars_analytics_write(struct tars_analytics *analytics, size_t n,
                                               struct tars_err *err);

#endif
