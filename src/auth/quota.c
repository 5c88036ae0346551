/* quota - see quota.h. */
#include "auth/quota.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/clock.h"
#include "store/accounts.h"

#define US_PER_DAY  (INT64_C(86400) * 1000000)
#define US_PER_S    INT64_C(1000000)
#define NS_PER_MS   INT64_C(1000000)
#define NS_PER_S    INT64_C(1000000000)
#define MS_PER_S    1000
#define LOAD_BYTES  ((size_t)1 << 30)
#define FIRST_COUNT 16

/* What is counted of a day and not written yet. */
struct count {
    int64_t day, questions;
};

struct tenant {
    char name[TARS_NAME_CHARS_MAX + 1];
    int64_t limit;        /* questions a day; 0: none */
    int64_t day, used;    /* questions of the day, written or not */
    struct count today;   /* of day */
    struct count earlier; /* of a day before; questions 0: none */
};

struct tars_quota {
    struct tars_quota_config config; /* with every default filled in */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t flush_lock; /* one writer at a time; taken before lock */
    pthread_mutex_t lock;       /* guards what follows */
    pthread_cond_t stops;       /* stopping was set */
    bool stopping;
    struct tenant *tenants; /* (count,) by name */
    size_t count, cap;
};

/* ------------------------------------------------------------------- table */

static size_t place_of(const struct tars_quota *quota, const char *name)
{
    size_t low = 0;
    size_t high = quota->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(quota->tenants[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Under the lock. The tenant's row, made when there is none; NULL without room. */
static struct tenant *find(struct tars_quota *quota, const char *name)
{
    size_t at = place_of(quota, name);

    if (at < quota->count && strcmp(quota->tenants[at].name, name) == 0)
        return &quota->tenants[at];
    if (quota->count == TARS_QUOTA_TENANTS_MAX || strlen(name) > TARS_NAME_CHARS_MAX)
        return NULL;
    if (quota->count == quota->cap) {
        size_t cap = quota->cap ? quota->cap * 2 : FIRST_COUNT;
        struct tenant *tenants = realloc(quota->tenants, cap * sizeof(*tenants));

        if (!tenants)
            return NULL;
        quota->tenants = tenants;
        quota->cap = cap;
    }
    memmove(quota->tenants + at + 1, quota->tenants + at,
            (quota->count - at) * sizeof(*quota->tenants));
    quota->count++;
    quota->tenants[at] = (struct tenant){.limit = 0};
    (void)snprintf(quota->tenants[at].name, sizeof(quota->tenants[at].name), "%s", name);
    return &quota->tenants[at];
}

/* Under the lock: a new day begins at nothing. */
static void turn_day(struct tenant *tenant, int64_t day)
{
    if (tenant->day == day)
        return;
    if (tenant->today.questions > 0 && tenant->earlier.questions == 0)
        tenant->earlier = tenant->today;
    tenant->day = day;
    tenant->used = 0;
    tenant->today = (struct count){.day = day};
}

int64_t tars_quota_today(struct tars_quota *quota, const char *tenant)
{
    struct tenant *found;
    int64_t used = 0;

    if (!quota)
        return 0;
    (void)pthread_mutex_lock(&quota->lock);
    found = find(quota, tenant ? tenant : TARS_TENANT);
    if (found) {
        turn_day(found, quota->config.now_us() / US_PER_DAY);
        used = found->used;
    }
    (void)pthread_mutex_unlock(&quota->lock);
    return used;
}

tars_status tars_quota_question(struct tars_quota *quota, const char *tenant,
                                int64_t *retry_after_s, struct tars_err *err)
{
    struct tenant *found;
    int64_t limit = 0;
    int64_t now;

    if (!quota)
        return TARS_OK;
    now = quota->config.now_us();
    (void)pthread_mutex_lock(&quota->lock);
    found = find(quota, tenant ? tenant : TARS_TENANT);
    if (found) {
        turn_day(found, now / US_PER_DAY);
        if (found->limit > 0 && found->used >= found->limit) {
            limit = found->limit;
        } else {
            found->used++;
            found->today.questions++;
        }
    }
    (void)pthread_mutex_unlock(&quota->lock);
    if (!limit)
        return TARS_OK;
    *retry_after_s = (US_PER_DAY - now % US_PER_DAY) / US_PER_S + 1;
    return tars_fail(TARS_EQUOTA, err, "%lld questions a day are allowed, and were asked today",
                     (long long)limit);
}

/* ------------------------------------------------------------------ writing */

/* Take one count out of the table; false when there is none from row *at on. */
static bool take_count(struct tars_quota *quota, size_t *at, char *name, struct count *out)
{
    bool found = false;

    (void)pthread_mutex_lock(&quota->lock);
    for (; !found && *at < quota->count; *at += !found) {
        struct tenant *tenant = &quota->tenants[*at];
        struct count *count = tenant->earlier.questions ? &tenant->earlier : &tenant->today;

        if (count->questions == 0)
            continue;
        found = true;
        *out = *count;
        count->questions = 0;
        memcpy(name, tenant->name, sizeof(tenant->name));
    }
    (void)pthread_mutex_unlock(&quota->lock);
    return found;
}

/* It could not be written: it counts again, if the day is still the same. */
static void give_back(struct tars_quota *quota, const char *name, const struct count *count)
{
    struct tenant *tenant;

    (void)pthread_mutex_lock(&quota->lock);
    tenant = find(quota, name);
    if (tenant && tenant->today.day == count->day)
        tenant->today.questions += count->questions;
    (void)pthread_mutex_unlock(&quota->lock);
}

tars_status tars_quota_flush(struct tars_quota *quota, struct tars_err *err)
{
    char name[TARS_NAME_CHARS_MAX + 1];
    struct count count;
    size_t at = 0;
    tars_status status = TARS_OK;

    (void)pthread_mutex_lock(&quota->flush_lock);
    while (!status && take_count(quota, &at, name, &count)) {
        status =
            tars_accounts_count_usage(quota->config.store, name, count.day, count.questions, err);
        if (status == TARS_ENOTFOUND) {
            status = TARS_OK; /* the tenant is gone, and so is what it has used */
        } else if (status) {
            give_back(quota, name, &count);
        }
    }
    (void)pthread_mutex_unlock(&quota->flush_lock);
    return status;
}

/* ------------------------------------------------------------------ reading */

static tars_status read_tenant(struct tars_quota *quota, const struct tars_tenant *from,
                               int64_t day, struct tars_err *err)
{
    struct tenant *tenant;
    int64_t written = 0;
    tars_status status = tars_accounts_usage(quota->config.store, from->name, day, &written, err);

    if (status)
        return status;
    (void)pthread_mutex_lock(&quota->lock);
    tenant = find(quota, from->name);
    if (tenant) {
        turn_day(tenant, day);
        tenant->limit = from->max_questions_day;
        tenant->used = written + tenant->today.questions;
    }
    (void)pthread_mutex_unlock(&quota->lock);
    return TARS_OK;
}

tars_status tars_quota_reload(struct tars_quota *quota, struct tars_err *err)
{
    int64_t day = quota->config.now_us() / US_PER_DAY;
    struct tars_access access = {0};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, LOAD_BYTES);
    (void)pthread_mutex_lock(&quota->flush_lock);
    status = tars_accounts_load(quota->config.store, &arena, &access, err);
    for (size_t i = 0; !status && i < access.tenant_count; i++)
        status = read_tenant(quota, &access.tenants[i], day, err);
    (void)pthread_mutex_unlock(&quota->flush_lock);
    tars_arena_release(&arena);
    return status;
}

/* --------------------------------------------------------------- life cycle */

/* True when it is time to stop. */
static bool nap(struct tars_quota *quota)
{
    struct timespec until;
    bool stopping;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += quota->config.flush_ms / MS_PER_S;
    until.tv_nsec += quota->config.flush_ms % MS_PER_S * NS_PER_MS;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_nsec -= NS_PER_S;
        until.tv_sec++;
    }
    (void)pthread_mutex_lock(&quota->lock);
    while (!quota->stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&quota->stops, &quota->lock, &until);
    stopping = quota->stopping;
    (void)pthread_mutex_unlock(&quota->lock);
    return stopping;
}

static void *keep(void *ctx)
{
    struct tars_quota *quota = ctx;
    int64_t since_ms = 0;

    while (!nap(quota)) {
        struct tars_err err = {.text = ""};
        tars_status status = tars_quota_flush(quota, &err);

        since_ms += quota->config.flush_ms;
        if (!status && since_ms >= TARS_QUOTA_RELOAD_MS) {
            status = tars_quota_reload(quota, &err);
            since_ms = 0;
        }
        if (status)
            tars_log_warning(quota->config.log, "quota", "%s", err.text);
    }
    return NULL;
}

static void init_locks(struct tars_quota *quota)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&quota->stops, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&quota->lock, NULL);
    (void)pthread_mutex_init(&quota->flush_lock, NULL);
}

tars_status tars_quota_new(const struct tars_quota_config *config, struct tars_quota **quota,
                           struct tars_err *err)
{
    struct tars_quota *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to count questions");
    made->config = *config;
    if (!config->now_us)
        made->config.now_us = tars_clock_wall_us;
    if (!config->flush_ms)
        made->config.flush_ms = TARS_QUOTA_FLUSH_MS;
    init_locks(made);
    status = tars_quota_reload(made, err);
    if (!status && made->config.flush_ms > 0) {
        made->has_thread = pthread_create(&made->thread, NULL, keep, made) == 0;
        if (!made->has_thread)
            status = tars_fail(TARS_ENOMEM, err, "cannot start the thread that counts questions");
    }
    if (status) {
        tars_quota_free(made);
        return status;
    }
    *quota = made;
    return TARS_OK;
}

void tars_quota_free(struct tars_quota *quota)
{
    struct tars_err err = {.text = ""};

    if (!quota)
        return;
    (void)pthread_mutex_lock(&quota->lock);
    quota->stopping = true;
    (void)pthread_cond_signal(&quota->stops);
    (void)pthread_mutex_unlock(&quota->lock);
    if (quota->has_thread)
        (void)pthread_join(quota->thread, NULL);
    if (tars_quota_flush(quota, &err))
        tars_log_warning(quota->config.log, "quota", "%s", err.text);
    (void)pthread_cond_destroy(&quota->stops);
    (void)pthread_mutex_destroy(&quota->lock);
    (void)pthread_mutex_destroy(&quota->flush_lock);
    free(quota->tenants);
    free(quota);
}
