/* replicas - see replicas.h. */
#include "app/replicas.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "auth/quota.h"
#include "base/sys/clock.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "store/store_postgres_watch.h"

#define RETRY_MS 500 /* after a replay that failed */
#define WENT_BACK                                                                               \
    "The database went back to an earlier state than this server has seen; it must be started " \
    "again"
#define RIGHTS_MS 5000 /* that rights may take to be read, before this counts as cut off */
#define MS_PER_S  1000.0
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

struct tars_replicas {
    struct tars_replicas_config config;
    struct tars_store_watch *watch;
    pthread_t follower;
    pthread_t reader; /* of rights */
    bool is_following, is_reading;
    atomic_bool went_back; /* the store has not all that the index has seen; for good */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t some;
    uint64_t seq;            /* the last change that was heard of */
    int64_t behind_since_ms; /* monotonic; 0: the index has it */
    uint64_t told, read;     /* times that rights were said to have changed; of which we know */
    int64_t told_ms; /* monotonic: when the first of those that we do not know was; else 0 */
    bool stopping;

    /* The watch's thread: as was logged; its last look, and how far the index was then. */
    bool led;
    uint64_t looks, had;
};

/* ------------------------------------------------------------------- metrics */

static void set_gauge(struct tars_replicas *r, enum tars_metric metric, double value)
{
    static const char *const no_labels[] = {NULL};

    tars_series_set(tars_metrics_find(r->config.metrics, metric, no_labels), value);
}

/* Both threads say how far the index is. */
static void measure(struct tars_replicas *r)
{
    uint64_t have = tars_index_seq(r->config.index);
    int64_t now_ms = tars_clock_mono_ms();
    int64_t since_ms;
    uint64_t lag;

    pthread_mutex_lock(&r->lock);
    lag = r->config.follows && r->seq > have ? r->seq - have : 0;
    if (lag == 0) {
        r->behind_since_ms = 0;
    } else if (r->behind_since_ms == 0) {
        r->behind_since_ms = now_ms;
    }
    since_ms = r->behind_since_ms;
    pthread_mutex_unlock(&r->lock);
    set_gauge(r, TARS_METRIC_REPLICA_LAG_CHANGES, (double)lag);
    set_gauge(r, TARS_METRIC_REPLICA_LAG_SECONDS,
              since_ms ? (double)(now_ms - since_ms) / MS_PER_S : 0);
}

/* ----------------------------------------------------------------- following */

static void pause_for(struct tars_replicas *r, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    (void)pthread_cond_timedwait(&r->some, &r->lock, &until);
}

static bool is_behind(const struct tars_replicas *r)
{
    return r->config.follows && r->seq > tars_index_seq(r->config.index);
}

static void complain(struct tars_replicas *r, const struct tars_err *err, bool *complained)
{
    if (!*complained) {
        tars_log_error(r->config.log, "app", "the index does not follow the other servers: %s",
                       err->text[0] ? err->text : "unknown");
    }
    *complained = true;
}

static void *follow(void *ctx)
{
    struct tars_replicas *r = ctx;
    bool complained = false;
    struct tars_err err;

    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        uint64_t had = tars_index_seq(r->config.index);
        tars_status status;

        if (!is_behind(r)) {
            pthread_cond_wait(&r->some, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        err.text[0] = '\0';
        status = tars_ingest_replay(r->config.ingest, &err);
        if (status != TARS_OK) {
            complain(r, &err, &complained);
        } else {
            complained = false;
        }
        measure(r);
        pthread_mutex_lock(&r->lock);
        /* Also where it got no further: what was heard of is not to be seen in the store yet. */
        if ((status != TARS_OK || tars_index_seq(r->config.index) == had) && !r->stopping)
            pause_for(r, RETRY_MS);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ------------------------------------------------------------------- rights */

static tars_status read_rights(struct tars_replicas *r, struct tars_err *err)
{
    tars_status status = tars_auth_reload(r->config.auth, err);

    return status == TARS_OK ? tars_quota_reload(r->config.quota, err) : status;
}

/* On a thread of its own: however long it takes, the watch goes on to hear. */
static void *read_on(void *ctx)
{
    struct tars_replicas *r = ctx;
    bool complained = false;

    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        struct tars_err err = {{0}};
        uint64_t told = r->told;
        tars_status status;

        if (told == r->read) {
            pthread_cond_wait(&r->some, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        status = read_rights(r, &err);
        if (status != TARS_OK && !complained)
            tars_log_warning(r->config.log, "app", "rights that others changed: %s", err.text);
        complained = status != TARS_OK;
        pthread_mutex_lock(&r->lock);
        if (status == TARS_OK) {
            r->read = told;
            r->told_ms = r->told == told ? 0 : tars_clock_mono_ms();
        } else if (!r->stopping) {
            pause_for(r, RETRY_MS);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* How long what was said to have changed is not known. */
static int64_t unread_ms(struct tars_replicas *r)
{
    int64_t since_ms;

    pthread_mutex_lock(&r->lock);
    since_ms = r->told_ms;
    pthread_mutex_unlock(&r->lock);
    return since_ms ? tars_clock_mono_ms() - since_ms : 0;
}

/* ------------------------------------------------------------------- hearing */

/* What the index had at the look before was in the store then: now it must be there as well. */
static void check_past(struct tars_replicas *r, const struct tars_store_watch_state *state)
{
    if (!r->config.follows || state->looks == r->looks)
        return;
    r->looks = state->looks;
    if (state->seq < r->had && !atomic_exchange(&r->went_back, true)) {
        tars_ingest_hold_saves(r->config.ingest);
        tars_log_error(r->config.log, "app",
                       "the database went back to an earlier state (change %llu; the index has "
                       "seen %llu): nothing is answered any more; start this server again",
                       (unsigned long long)state->seq, (unsigned long long)r->had);
    }
    r->had = tars_index_seq(r->config.index);
}

static void on_look(void *ctx, const struct tars_store_watch_state *state)
{
    struct tars_replicas *r = ctx;

    check_past(r, state);
    pthread_mutex_lock(&r->lock);
    r->seq = state->seq;
    pthread_cond_broadcast(&r->some);
    pthread_mutex_unlock(&r->lock);
    measure(r);
    set_gauge(r, TARS_METRIC_REPLICAS, state->servers > 0 ? (double)state->servers : 1);
    set_gauge(r, TARS_METRIC_REPLICA_LEADER, state->is_leader);
    if (state->is_leader != r->led) {
        tars_log_info(r->config.log, "app", "this server leads %s",
                      state->is_leader ? "now" : "no more");
    }
    r->led = state->is_leader;
}

static tars_status on_access(void *ctx)
{
    struct tars_replicas *r = ctx;

    pthread_mutex_lock(&r->lock);
    r->told++;
    if (!r->told_ms)
        r->told_ms = tars_clock_mono_ms();
    pthread_cond_broadcast(&r->some);
    pthread_mutex_unlock(&r->lock);
    return TARS_OK;
}

static void on_revoked(void *ctx, const char *id, int64_t expires_us)
{
    struct tars_replicas *r = ctx;

    if (tars_auth_heard_revoked(r->config.auth, id, expires_us) != TARS_OK)
        tars_log_error(r->config.log, "app", "no room for a revoked token");
}

static void on_cancelled(void *ctx, int64_t job_id)
{
    struct tars_replicas *r = ctx;

    tars_ingest_heard_cancel(r->config.ingest, job_id);
}

/* ---------------------------------------------------------------- life cycle */

tars_status tars_replicas_open(const struct tars_replicas_config *config,
                               struct tars_replicas **replicas, struct tars_err *err)
{
    struct tars_replicas *made = calloc(1, sizeof(*made));
    const struct tars_store_watch_config watch = {.looked = on_look,
                                                  .access = on_access,
                                                  .revoked = on_revoked,
                                                  .cancelled = on_cancelled,
                                                  .ctx = made,
                                                  .may_lead = config->may_lead};
    tars_status status = TARS_OK;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to hear of other servers");
    made->config = *config;
    made->had = tars_index_seq(config->index);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->some, NULL);
    made->is_following = pthread_create(&made->follower, NULL, follow, made) == 0;
    made->is_reading = pthread_create(&made->reader, NULL, read_on, made) == 0;
    if (!made->is_following || !made->is_reading)
        status = tars_fail(TARS_ENOMEM, err, "no thread to follow other servers");
    if (status == TARS_OK)
        status = tars_store_watch_open(config->store, &watch, &made->watch, err);
    if (status != TARS_OK) {
        tars_replicas_close(made);
        return status;
    }
    *replicas = made;
    return TARS_OK;
}

void tars_replicas_close(struct tars_replicas *replicas)
{
    if (!replicas)
        return;
    tars_store_watch_close(replicas->watch);
    pthread_mutex_lock(&replicas->lock);
    replicas->stopping = true;
    pthread_cond_broadcast(&replicas->some);
    pthread_mutex_unlock(&replicas->lock);
    if (replicas->is_following)
        (void)pthread_join(replicas->follower, NULL);
    if (replicas->is_reading)
        (void)pthread_join(replicas->reader, NULL);
    pthread_cond_destroy(&replicas->some);
    pthread_mutex_destroy(&replicas->lock);
    free(replicas);
}

bool tars_replicas_leads(struct tars_replicas *replicas)
{
    return !replicas || tars_store_watch_leads(replicas->watch);
}

tars_status tars_replicas_health(struct tars_replicas *replicas, struct tars_err *err)
{
    struct tars_store_watch_state state;

    if (!replicas)
        return TARS_OK;
    if (atomic_load(&replicas->went_back))
        return tars_fail(TARS_EUNAVAILABLE, err, WENT_BACK);
    state = tars_store_watch_state(replicas->watch);
    if (state.is_connected && unread_ms(replicas) <= RIGHTS_MS)
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err, "%s",
                     state.is_connected  ? "rights that others changed cannot be read"
                     : state.why.text[0] ? state.why.text
                                         : "not connected yet");
}

bool tars_replicas_went_back(const struct tars_replicas *replicas)
{
    return replicas && atomic_load(&replicas->went_back);
}

tars_status tars_replicas_may_answer(struct tars_replicas *replicas, struct tars_err *err)
{
    struct tars_store_watch_state state;
    int64_t unread;
    int64_t ms;

    if (!replicas)
        return TARS_OK;
    if (atomic_load(&replicas->went_back))
        return tars_fail(TARS_EMISMATCH, err, WENT_BACK);
    if (!replicas->config.offline_ms)
        return TARS_OK;
    state = tars_store_watch_state(replicas->watch);
    unread = unread_ms(replicas);
    ms = unread > state.silent_ms ? unread : state.silent_ms;
    if (ms <= replicas->config.offline_ms)
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err,
                     "This server has not heard from the store for %lld seconds and no longer "
                     "relies on what it knew; ask another",
                     (long long)(ms / 1000));
}
