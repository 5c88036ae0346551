/* health - see health.h for the contract. */
#include "obs/health.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/clock.h"

/* A slow part, its thread, and what it said last. */
struct tars_health_watch {
    struct tars_health_part part;
    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t change; /* any of them; on the monotonic clock */
    pthread_t thread;
    bool has_thread, is_closing;
    bool is_wanted;     /* a check is to begin */
    bool is_under_way;  /* or has begun */
    int64_t began_ms;   /* that one */
    bool is_known;      /* the three below mean something */
    int64_t checked_ms; /* when the last one ended */
    tars_status status;
    struct tars_err words;
};

/* -------------------------------------------------------------------- watch */

/* With the lock, which is given up meanwhile. */
static void check(struct tars_health_watch *watch)
{
    struct tars_err words = {{0}};
    tars_status status;

    watch->is_wanted = false;
    pthread_mutex_unlock(&watch->lock);
    status = watch->part.check(watch->part.ctx, &words);
    pthread_mutex_lock(&watch->lock);
    watch->status = status;
    watch->words = words;
    watch->is_known = true;
    watch->is_under_way = false;
    watch->checked_ms = tars_clock_mono_ms();
    pthread_cond_broadcast(&watch->change);
}

static void *run(void *ctx)
{
    struct tars_health_watch *watch = ctx;

    pthread_mutex_lock(&watch->lock);
    while (!watch->is_closing) {
        if (watch->is_wanted) {
            check(watch);
        } else {
            pthread_cond_wait(&watch->change, &watch->lock);
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* Have a check begin where the last answer is too old and none is under way. With the lock. */
static void begin(struct tars_health_watch *watch, int64_t now_ms)
{
    if (watch->is_under_way ||
        (watch->is_known && now_ms - watch->checked_ms < TARS_HEALTH_FRESH_MS))
        return;
    if (!watch->has_thread)
        watch->has_thread = pthread_create(&watch->thread, NULL, run, watch) == 0;
    if (!watch->has_thread)
        return;
    watch->is_wanted = watch->is_under_way = true;
    watch->began_ms = now_ms;
    pthread_cond_broadcast(&watch->change);
}

static void wait_until(struct tars_health_watch *watch, int64_t until_ms)
{
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

    (void)pthread_cond_timedwait(&watch->change, &watch->lock, &until);
}

static tars_status ask(struct tars_health_watch *watch, struct tars_err *err)
{
    int64_t now_ms = tars_clock_mono_ms();
    tars_status status;

    pthread_mutex_lock(&watch->lock);
    begin(watch, now_ms);
    while (watch->is_under_way && now_ms < watch->began_ms + TARS_HEALTH_WAIT_MS) {
        wait_until(watch, watch->began_ms + TARS_HEALTH_WAIT_MS);
        now_ms = tars_clock_mono_ms();
    }
    if (watch->is_under_way) {
        status = tars_fail(TARS_ETIMEOUT, err, "has not answered for %lld ms",
                           (long long)(now_ms - watch->began_ms));
    } else if (!watch->is_known) {
        status = tars_fail(TARS_ENOMEM, err, "no thread to ask it on");
    } else {
        status = watch->status == TARS_OK ? TARS_OK
                                          : tars_fail(watch->status, err, "%s", watch->words.text);
    }
    pthread_mutex_unlock(&watch->lock);
    return status;
}

static struct tars_health_watch *new_watch(const struct tars_health_part *part)
{
    struct tars_health_watch *watch = calloc(1, sizeof(*watch));
    pthread_condattr_t attributes;

    if (!watch)
        return NULL;
    watch->part = *part;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->change, &attributes);
    pthread_condattr_destroy(&attributes);
    return watch;
}

static void free_watch(struct tars_health_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->is_closing = true;
    pthread_cond_broadcast(&watch->change);
    pthread_mutex_unlock(&watch->lock);
    if (watch->has_thread)
        pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->change);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* ----------------------------------------------------------------- registry */

tars_status tars_health_add(struct tars_health *health, const struct tars_health_part *part)
{
    struct tars_health_part *added = &health->parts[health->count];

    if (health->count == TARS_HEALTH_PARTS_MAX)
        return TARS_ETOOBIG;
    *added = *part;
    added->watch = NULL;
    if (part->slow && part->check) {
        added->watch = new_watch(part);
        if (!added->watch)
            return TARS_ENOMEM;
    }
    health->count++;
    return TARS_OK;
}

void tars_health_release(struct tars_health *health)
{
    for (size_t i = 0; i < health->count; i++)
        free_watch(health->parts[i].watch);
    health->count = 0;
}

void tars_health_begin(const struct tars_health *health)
{
    for (size_t i = 0; i < health->count; i++) {
        struct tars_health_watch *watch = health->parts[i].watch;

        if (!watch)
            continue;
        pthread_mutex_lock(&watch->lock);
        begin(watch, tars_clock_mono_ms());
        pthread_mutex_unlock(&watch->lock);
    }
}

tars_status tars_health_check(const struct tars_health *health, const char *name,
                              struct tars_err *err)
{
    for (size_t i = 0; i < health->count; i++) {
        const struct tars_health_part *part = &health->parts[i];

        if (strcmp(part->name, name) != 0)
            continue;
        if (part->watch)
            return ask(part->watch, err);
        return part->check ? part->check(part->ctx, err) : TARS_OK;
    }
    return tars_fail(TARS_ENOTFOUND, err, "no part is called %s", name);
}
