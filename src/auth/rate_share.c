/* rate_share - see rate_share.h.
 *
 * A round is one write and its replies: TIME, then what we counted (HSET, and PEXPIRE for each hash
 * that was written), then HGETALL of the hashes that may have changed: of the present step and the
 * one before, or, for RECENT_MS after Redis came (back), of all that are not forgotten yet.
 */
#include "auth/rate_share.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec/hex.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "cache/redis_wire.h"

#define INTERVAL_MS  200
#define ROUND_MS     1000 /* that a round may take */
#define RECENT_MS    5000
#define PATIENCE_MS  3000 /* that Redis may take to be there at the start */
#define DRIFT_MS     250  /* that our clock may differ before it is set */
#define ROUND_COUNTS 4096
#define STEPS_KEPT   62 /* of a hash; 61 are read */
#define STEPS_READ   61
#define STEPS_RECENT 2
#define SERVER_BYTES 8
#define FIELD_BYTES  24
#define NAME_BYTES   192
#define NS_PER_MS    1000000

struct shared {
    const char *name;
    struct tars_rate_limit *limiter;
    int64_t (*clock_ms)(void);
    int64_t ahead_ms;
};

/* A hash that is read, in the order of the replies. */
struct reading {
    struct shared *of;
    int64_t step;
};

struct tars_rate_share {
    struct tars_rate_share_config config;
    struct shared limits[TARS_RATE_SHARES_MAX];
    size_t limit_count;
    char server[SERVER_BYTES + 1]; /* our name in the fields */
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;         /* guards what follows, to is_stopping */
    pthread_cond_t changed;       /* any of it has */
    uint64_t asked, begun, ended; /* rounds, by number */
    bool is_shared;
    bool is_stopping;
    /* The thread's own: */
    bool is_told;                   /* the log has it that they are not shared */
    int64_t started_ms, recent_ms;  /* until then all is read */
    struct tars_rate_count *counts; /* (ROUND_COUNTS,) owned */
    struct tars_rate_count *heard;  /* (heard_room,) owned */
    size_t heard_room;
    struct reading readings[TARS_RATE_SHARES_MAX * STEPS_READ];
    size_t reading_count;
    size_t written; /* commands before the readings */
};

/* --------------------------------------------------------------- life cycle */

tars_status tars_rate_share_new(const struct tars_rate_share_config *config,
                                struct tars_rate_share **share, struct tars_err *err)
{
    struct tars_rate_share *made = calloc(1, sizeof(*made));
    pthread_condattr_t attr;
    tars_status status = TARS_ENOMEM;

    if (made) {
        made->config = *config;
        if (!made->config.interval_ms)
            made->config.interval_ms = INTERVAL_MS;
        made->counts = calloc(ROUND_COUNTS, sizeof(*made->counts));
    }
    if (made && made->counts)
        status = tars_random_hex(made->server, SERVER_BYTES / 2);
    if (status != TARS_OK) {
        if (made)
            free(made->counts);
        free(made);
        return tars_fail(status, err, "rate limits cannot be shared: %s", tars_status_text(status));
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&made->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&made->lock, NULL);
    *share = made;
    return TARS_OK;
}

tars_status tars_rate_share_add(struct tars_rate_share *share, const char *name,
                                struct tars_rate_limit *limiter, int64_t (*clock_ms)(void))
{
    struct shared *limit;

    if (share->limit_count == TARS_RATE_SHARES_MAX)
        return TARS_ETOOBIG;
    limit = &share->limits[share->limit_count++];
    *limit = (struct shared){.name = name, .limiter = limiter, .clock_ms = clock_ms};
    limit->ahead_ms = tars_clock_wall_us() / 1000 - clock_ms();
    tars_rate_limit_set_clock(limiter, limit->ahead_ms);
    return TARS_OK;
}

void tars_rate_share_free(struct tars_rate_share *share)
{
    if (!share)
        return;
    pthread_mutex_lock(&share->lock);
    share->is_stopping = true;
    pthread_cond_broadcast(&share->changed);
    pthread_mutex_unlock(&share->lock);
    if (share->is_started)
        pthread_join(share->thread, NULL);
    pthread_cond_destroy(&share->changed);
    pthread_mutex_destroy(&share->lock);
    free(share->counts);
    free(share->heard);
    free(share);
}

/* ------------------------------------------------------------------- telling */

static struct tars_span name_of(const struct tars_rate_share *share, const struct shared *limit,
                                int64_t step, char *room)
{
    int len = snprintf(room, NAME_BYTES, "%s:%s:%" PRId64, share->config.prefix, limit->name, step);

    return tars_span(room, len < NAME_BYTES ? (size_t)len : NAME_BYTES - 1);
}

static void say_count(const struct tars_rate_share *share, struct tars_span name,
                      const struct tars_rate_count *count, struct tars_buf *out)
{
    char field[FIELD_BYTES + 1];

    (void)snprintf(field, sizeof(field), "%s%016" PRIx64, share->server, count->key);
    tars_redis_command(out, 4);
    tars_redis_arg(out, tars_span_of("HSET"));
    tars_redis_arg(out, name);
    tars_redis_arg(out, tars_span(field, FIELD_BYTES));
    tars_redis_arg_int(out, count->count);
}

static void say_end(struct tars_span name, int64_t after_ms, struct tars_buf *out)
{
    tars_redis_command(out, 3);
    tars_redis_arg(out, tars_span_of("PEXPIRE"));
    tars_redis_arg(out, name);
    tars_redis_arg_int(out, after_ms);
}

/* What one limit counted; returns the number of commands. */
static size_t say_counts(struct tars_rate_share *share, const struct shared *limit,
                         struct tars_buf *out)
{
    size_t count = tars_rate_limit_collect(limit->limiter, share->counts, ROUND_COUNTS);
    int64_t step_ms = tars_rate_limit_step_ms(limit->limiter);
    int64_t first = INT64_MAX;
    uint64_t written = 0; /* steps from first on, a bit each */
    size_t commands = 0;
    char room[NAME_BYTES];

    for (size_t i = 0; i < count; i++)
        first = share->counts[i].step < first ? share->counts[i].step : first;
    for (size_t i = 0; i < count; i++) {
        int64_t step = share->counts[i].step;
        struct tars_span name = name_of(share, limit, step, room);

        say_count(share, name, &share->counts[i], out);
        commands++;
        /* One that is so much older has ended, or is about to. */
        if (step - first >= 64) {
            say_end(name, STEPS_KEPT * step_ms, out);
            commands++;
        } else {
            written |= UINT64_C(1) << (step - first);
        }
    }
    for (int64_t i = 0; i < 64; i++) {
        if (written >> i & 1) {
            say_end(name_of(share, limit, first + i, room), STEPS_KEPT * step_ms, out);
            commands++;
        }
    }
    return commands;
}

static void say_readings(struct tars_rate_share *share, struct shared *limit, bool all,
                         struct tars_buf *out)
{
    int64_t now = (limit->clock_ms() + limit->ahead_ms) / tars_rate_limit_step_ms(limit->limiter);
    char room[NAME_BYTES];

    for (int64_t back = (all ? STEPS_READ : STEPS_RECENT) - 1; back >= 0; back--) {
        tars_redis_command(out, 2);
        tars_redis_arg(out, tars_span_of("HGETALL"));
        tars_redis_arg(out, name_of(share, limit, now - back, room));
        share->readings[share->reading_count++] = (struct reading){limit, now - back};
    }
}

static size_t fill(void *ctx, struct tars_buf *out)
{
    struct tars_rate_share *share = ctx;
    bool all = !share->is_shared || tars_clock_mono_ms() < share->recent_ms;

    tars_redis_say(out, "TIME");
    share->written = 1;
    share->reading_count = 0;
    for (size_t i = 0; i < share->limit_count; i++)
        share->written += say_counts(share, &share->limits[i], out);
    for (size_t i = 0; i < share->limit_count; i++)
        say_readings(share, &share->limits[i], all, out);
    return share->written + share->reading_count;
}

/* ------------------------------------------------------------------- hearing */

/* Digits alone, at most of a count. */
static bool read_number(struct tars_span text, int64_t *number)
{
    int64_t found = 0;

    if (text.len == 0 || text.len > 12)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        found = found * 10 + (text.ptr[i] - '0');
    }
    *number = found;
    return true;
}

static tars_status hear_time(struct tars_rate_share *share, const struct tars_redis_reply *reply)
{
    int64_t s;
    int64_t us;

    if (reply->type != TARS_REDIS_ARRAY || reply->count != 2 ||
        !read_number(reply->items[0]->text, &s) || !read_number(reply->items[1]->text, &us))
        return TARS_EFORMAT;
    for (size_t i = 0; i < share->limit_count; i++) {
        struct shared *limit = &share->limits[i];
        int64_t ahead_ms = s * 1000 + us / 1000 - limit->clock_ms();

        if (ahead_ms - limit->ahead_ms > DRIFT_MS || limit->ahead_ms - ahead_ms > DRIFT_MS) {
            limit->ahead_ms = ahead_ms;
            tars_rate_limit_set_clock(limit->limiter, ahead_ms);
        }
    }
    return TARS_OK;
}

/* One field of another server's; false: it is ours, or none. */
static bool read_count(const struct tars_rate_share *share, struct tars_span field,
                       struct tars_span value, struct tars_rate_count *out)
{
    int64_t count;

    if (field.len != FIELD_BYTES || memcmp(field.ptr, share->server, SERVER_BYTES) == 0 ||
        !read_number(value, &count) || count > INT32_MAX)
        return false;
    out->key = 0;
    out->count = (uint32_t)count;
    for (size_t i = SERVER_BYTES; i < FIELD_BYTES; i++) {
        int digit = tars_hex_value(field.ptr[i]);

        if (digit < 0)
            return false;
        out->key = out->key << 4 | (uint64_t)digit;
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    uint64_t one = ((const struct tars_rate_count *)a)->key;
    uint64_t other = ((const struct tars_rate_count *)b)->key;

    return (one > other) - (one < other);
}

static void pass_on(struct tars_rate_share *share, struct tars_rate_limit *limiter, size_t count)
{
    struct tars_rate_count *heard = share->heard;

    if (count == 0)
        return;
    qsort(heard, count, sizeof(*heard), by_key);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && heard[i].key == heard[i - 1].key) {
            uint32_t sum = heard[i].count + heard[i - 1].count;

            heard[i].count = sum < INT32_MAX ? sum : INT32_MAX;
        } else {
            tars_rate_limit_heard(limiter, heard[i - 1]);
        }
    }
}

static tars_status hear(void *ctx, size_t at, const struct tars_redis_reply *reply)
{
    struct tars_rate_share *share = ctx;
    const struct reading *reading;
    size_t count = 0;

    if (at == 0)
        return hear_time(share, reply);
    if (at < share->written)
        return TARS_OK;
    if (reply->type != TARS_REDIS_ARRAY || reply->count % 2 != 0)
        return TARS_EFORMAT;
    if (reply->count / 2 > share->heard_room) {
        struct tars_rate_count *more =
            realloc(share->heard, reply->count / 2 * sizeof(*share->heard));

        if (!more)
            return TARS_ENOMEM;
        share->heard = more;
        share->heard_room = reply->count / 2;
    }
    reading = &share->readings[at - share->written];
    for (size_t i = 0; i < reply->count; i += 2) {
        struct tars_rate_count *next = &share->heard[count];

        next->step = reading->step;
        if (read_count(share, reply->items[i]->text, reply->items[i + 1]->text, next))
            count++;
    }
    pass_on(share, reading->of->limiter, count);
    return TARS_OK;
}

/* ---------------------------------------------------------------- the thread */

static void tell_log(struct tars_rate_share *share, bool is_shared, tars_status status)
{
    struct tars_cache_state state = {0};
    int64_t now_ms = tars_clock_mono_ms();

    if (is_shared && share->is_told) {
        tars_log_info(share->config.log, "auth", "rate limits are counted by all servers again");
        share->is_told = false;
    }
    /* At the start it may take a moment to connect. */
    if (is_shared || share->is_told ||
        (share->recent_ms == 0 && now_ms - share->started_ms < PATIENCE_MS))
        return;
    tars_cache_state(share->config.redis, &state);
    tars_log_warning(share->config.log, "auth",
                     "each server counts its rate limits alone until Redis does it: %s",
                     state.error[0] ? state.error : tars_status_text(status));
    share->is_told = true;
}

static bool go_round(struct tars_rate_share *share)
{
    const struct tars_redis_round round = {.fill = fill, .hear = hear, .ctx = share};
    bool was_shared = share->is_shared;
    tars_status status = tars_cache_redis_round(
        share->config.redis, tars_span_of(share->config.prefix), &round, ROUND_MS);
    bool is_shared = status == TARS_OK;

    if (is_shared && !was_shared)
        share->recent_ms = tars_clock_mono_ms() + RECENT_MS;
    tell_log(share, is_shared, status);
    /* What was on its way may be there or not; what was there may be gone. */
    for (size_t i = 0; !is_shared && i < share->limit_count; i++)
        tars_rate_limit_tell_again(share->limits[i].limiter);
    if (share->config.observe)
        share->config.observe(share->config.observe_ctx, is_shared);
    return is_shared;
}

static struct timespec mono_at(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};
}

static void *run(void *ctx)
{
    struct tars_rate_share *share = ctx;

    (void)pthread_setname_np(pthread_self(), "tars-limits");
    pthread_mutex_lock(&share->lock);
    while (!share->is_stopping) {
        struct timespec until;
        bool is_shared;
        int failed = 0;

        share->begun++;
        pthread_mutex_unlock(&share->lock);
        is_shared = go_round(share);
        until = mono_at(tars_clock_mono_ms() + share->config.interval_ms);
        pthread_mutex_lock(&share->lock);
        share->is_shared = is_shared;
        share->ended = share->begun;
        pthread_cond_broadcast(&share->changed);
        while (!share->is_stopping && share->asked <= share->begun && failed == 0)
            failed = pthread_cond_timedwait(&share->changed, &share->lock, &until);
    }
    pthread_mutex_unlock(&share->lock);
    return NULL;
}

tars_status tars_rate_share_start(struct tars_rate_share *share, struct tars_err *err)
{
    share->started_ms = tars_clock_mono_ms();
    if (pthread_create(&share->thread, NULL, run, share))
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    share->is_started = true;
    return TARS_OK;
}

void tars_rate_share_settle(struct tars_rate_share *share, int64_t timeout_ms)
{
    struct timespec until;
    uint64_t wanted;
    int failed = 0;

    if (!share)
        return;
    until = mono_at(tars_clock_mono_ms() + timeout_ms);
    pthread_mutex_lock(&share->lock);
    wanted = share->begun + 1;
    if (share->asked < wanted)
        share->asked = wanted;
    pthread_cond_broadcast(&share->changed);
    while (share->is_shared && !share->is_stopping && share->ended < wanted && failed == 0)
        failed = pthread_cond_timedwait(&share->changed, &share->lock, &until);
    pthread_mutex_unlock(&share->lock);
}

bool tars_rate_share_is_shared(struct tars_rate_share *share)
{
    bool is_shared;

    pthread_mutex_lock(&share->lock);
    is_shared = share->is_shared;
    pthread_mutex_unlock(&share->lock);
    return is_shared;
}
