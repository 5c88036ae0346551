/* wiring_vectors - vectors that are in a server: opened, kept in step with the store, watched.
 *
 * A server that is not fit for it (no pgvector in the database) ends the start, with the remedy:
 * the index of this process has no vectors then, so nothing else could be searched by meaning. One
 * that is only away costs the vectors until it is there.
 */
#include <stdio.h>

#include "app/vector_backends.h"
#include "app/wiring_internal.h"
#include "index/index.h"
#include "vectors/follow.h"
#include "vectors/vectors.h"

#define LOOK_MS  2000   /* a server that starts waits so long for the first look */
#define OWN_MS   600000 /* a command waits for its own writing while it moves, and so much longer */
#define STILL_MS 10000  /* the same for that of another process: maybe there is none */
#define TELL_MS  2000   /* of waiting, and it is said */

tars_status tars_wiring_open_vectors(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_err why = {{0}};
    const char *words;
    tars_status status;

    if (!tars_vector_backends_is_elsewhere(w->settings))
        return TARS_OK;
    status = tars_vector_backends_open(w->settings, &w->vectors, err);
    if (status != TARS_OK)
        return status;
    status = tars_vector_backends_check(w->vectors, &why);
    if (status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT || status == TARS_EIO) {
        words = tars_arena_printf(&w->arena, "searching by words only until %s is there: %s",
                                  w->vectors->ops->name, why.text);
        tars_wiring_warn(w, words ? words : "searching by words only");
    } else if (status != TARS_OK) {
        return tars_fail(status, err, "%s", why.text);
    }
    return TARS_OK;
}

/* As far as it has come, into the metrics; on the follower's thread alone. */
static void observe(void *ctx, const struct tars_follow_stats *stats)
{
    struct tars_wiring *w = ctx;
    const char *name = w->vectors->ops->name;

    tars_series_set(tars_metrics_series(w->metrics, TARS_METRIC_RAG_VECTORS_BEHIND, name),
                    stats->target > stats->seq ? (double)(stats->target - stats->seq) : 0);
    tars_series_add(tars_metrics_series(w->metrics, TARS_METRIC_RAG_VECTORS_WRITTEN, name),
                    stats->written - w->vectors_written);
    tars_series_add(tars_metrics_series(w->metrics, TARS_METRIC_RAG_VECTORS_REBUILDS, name),
                    stats->rebuilds - w->vectors_rebuilds);
    tars_series_add(tars_metrics_series(w->metrics, TARS_METRIC_RAG_BACKEND_FAILURES, name),
                    stats->failures - w->vectors_failures);
    w->vectors_written = stats->written;
    w->vectors_rebuilds = stats->rebuilds;
    w->vectors_failures = stats->failures;
}

static bool may_write(void *ctx)
{
    return tars_wiring_leads(ctx);
}

tars_status tars_wiring_open_follow(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_follow_config config = {
        .vectors = w->vectors,
        .store = w->store,
        .may_write = may_write,
        .may_write_ctx = w,
        .observe = observe,
        .observe_ctx = w,
        .log = w->log,
    };

    return w->vectors ? tars_follow_new(&config, &w->follow, err) : TARS_OK;
}

/* Who searches once and ends wants all of it; a server answers by words meanwhile. */
static void await_vectors(struct tars_wiring *w, const atomic_bool *stopping)
{
    uint64_t seq = tars_index_seq(w->index);
    bool writes = tars_wiring_leads(w);
    tars_status status = tars_follow_await_all(w->follow, seq, TELL_MS, stopping);

    if (status == TARS_ETIMEOUT) {
        (void)fprintf(stderr, "waiting until %s %s the vectors of all passages; Ctrl-C stops\n",
                      w->vectors->ops->name, writes ? "has" : "is given");
        status =
            tars_follow_await_all(w->follow, seq, writes ? OWN_MS : STILL_MS - TELL_MS, stopping);
    }
    if (status != TARS_OK)
        tars_wiring_warn(w, "not all vectors are in their server yet");
}

tars_status tars_wiring_start_follow(struct tars_wiring *w, const struct tars_wiring_config *config,
                                     struct tars_err *err)
{
    tars_status status;

    if (!w->follow)
        return TARS_OK;
    status = tars_follow_start(w->follow, err);
    if (status == TARS_OK && config->serves)
        tars_follow_await_look(w->follow, LOOK_MS);
    if (status == TARS_OK && !config->serves)
        await_vectors(w, config->stopping);
    return status;
}

static tars_status check_vectors(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;
    tars_status status = w->vectors->ops->health(w->vectors, err);

    return status == TARS_OK ? tars_follow_health(w->follow, err) : status;
}

tars_status tars_wiring_register_vectors(struct tars_wiring *w)
{
    const struct tars_health_part part = {
        .name = "vectors", .optional = true, .check = check_vectors, .ctx = w, .slow = true};

    return w->follow ? tars_health_add(&w->health, &part) : TARS_OK;
}

void tars_wiring_close_follow(struct tars_wiring *w)
{
    tars_follow_free(w->follow);
    w->follow = NULL;
}

void tars_wiring_close_vectors(struct tars_wiring *w)
{
    tars_vectors_close(w->vectors);
}
