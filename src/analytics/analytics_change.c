/* analytics_change - rows that are there already are removed, made anonymous, or come from the log
 * of another program: in small transactions, between those of the writer. */
#include <string.h>

#include "analytics/analytics_internal.h"
#include "base/crypto/hmac.h"

#define SOME_ROWS    500 /* in one transaction */
#define SOME_CLIENTS 200
#define ARENA_MAX    ((size_t)1 << 20)
#define NAME_DIGITS  16
#define NAME_PREFIX  "anon-"
#define NO_NAME      "anonymous"

/* TARS_EUNSUPPORTED for a back end that cannot do it. */
static tars_status unable(const struct tars_analytics *analytics, struct tars_err *err)
{
    return tars_fail(TARS_EUNAVAILABLE, err, "%s cannot do that", analytics->sink->ops->name);
}

static tars_status scrub(struct tars_analytics *analytics, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (!analytics->sink->ops->scrub)
        return TARS_OK;
    pthread_mutex_lock(&analytics->write_lock);
    status = analytics->sink->ops->scrub(analytics->sink, err);
    pthread_mutex_unlock(&analytics->write_lock);
    return status;
}

static bool is_over(struct tars_call *call)
{
    return call && tars_call_is_over(call);
}

static void add(struct tars_analytics_changed *sum, const struct tars_analytics_changed *some)
{
    sum->queries += some->queries;
    sum->accesses += some->accesses;
    sum->errors += some->errors;
}

/* One step of erasing or, with a name, of anonymizing. */
static tars_status change_some(struct tars_analytics *analytics,
                               const struct tars_analytics_who *who, const char *name,
                               struct tars_analytics_changed *some, struct tars_err *err)
{
    const struct tars_analytics_sink_ops *ops = analytics->sink->ops;
    tars_status status;

    *some = (struct tars_analytics_changed){0, 0, 0};
    pthread_mutex_lock(&analytics->write_lock);
    status = name ? ops->anonymize(analytics->sink, who, name, SOME_ROWS, some, err)
                  : ops->erase(analytics->sink, who, SOME_ROWS, some, err);
    pthread_mutex_unlock(&analytics->write_lock);
    return status;
}

static tars_status change_all(struct tars_analytics *analytics,
                              const struct tars_analytics_who *who, const char *name,
                              struct tars_call *call, struct tars_analytics_changed *sum,
                              struct tars_err *err)
{
    struct tars_analytics_changed some;
    tars_status status;

    do {
        if (is_over(call)) {
            return tars_fail(TARS_ECANCELED, err, "stopped: %lld questions were changed",
                             (long long)sum->queries);
        }
        status = change_some(analytics, who, name, &some, err);
        if (status == TARS_OK)
            add(sum, &some);
    } while (status == TARS_OK && some.queries + some.errors > 0);
    return status;
}

tars_status tars_analytics_clear(struct tars_analytics *analytics, const char *tenant,
                                 struct tars_err *err)
{
    tars_status status;
    size_t removed = 1;

    if (!analytics)
        return TARS_OK;
    status = tars_analytics_settle(analytics, err);
    while (status == TARS_OK && removed > 0) {
        pthread_mutex_lock(&analytics->write_lock);
        status = analytics->sink->ops->clear(analytics->sink, tenant, SOME_ROWS, &removed, err);
        pthread_mutex_unlock(&analytics->write_lock);
    }
    return status == TARS_OK ? scrub(analytics, err) : status;
}

tars_status tars_analytics_erase(struct tars_analytics *analytics,
                                 const struct tars_analytics_who *who, struct tars_call *call,
                                 struct tars_analytics_changed *removed, struct tars_err *err)
{
    tars_status status;

    *removed = (struct tars_analytics_changed){0, 0, 0};
    if (!analytics)
        return TARS_OK;
    if (!who->client_id)
        return tars_fail(TARS_EINVAL, err, "whose rows?");
    if (!analytics->sink->ops->erase)
        return unable(analytics, err);
    status = tars_analytics_settle(analytics, err);
    if (status == TARS_OK)
        status = change_all(analytics, who, NULL, call, removed, err);
    return status == TARS_OK ? scrub(analytics, err) : status;
}

/* The name that stands for a client: without the key, nobody can tell whose it is. */
static tars_status name_of(const struct tars_analytics *analytics, const char *client_id,
                           char *name, struct tars_err *err)
{
    const char *key = analytics->key;
    unsigned char digest[TARS_HMAC_BYTES];
    tars_status status;

    if (!key)
        return tars_fail(TARS_EUNAVAILABLE, err, "there is no key for names");
    status = tars_hmac_sha256(tars_span(key, strlen(key)), tars_span(client_id, strlen(client_id)),
                              digest);
    if (status != TARS_OK)
        return tars_fail(status, err, "a name for a client: %s", tars_status_text(status));
    memcpy(name, NAME_PREFIX, sizeof(NAME_PREFIX));
    name += sizeof(NAME_PREFIX) - 1;
    for (size_t i = 0; i < NAME_DIGITS; i++)
        name[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0U : 4U) & 15U];
    name[NAME_DIGITS] = '\0';
    return TARS_OK;
}

static tars_status anonymize_client(struct tars_analytics *analytics,
                                    const struct tars_analytics_who *who, const char *client_id,
                                    bool named, struct tars_call *call,
                                    struct tars_analytics_changed *sum, struct tars_err *err)
{
    char name[sizeof(NAME_PREFIX) + NAME_DIGITS] = NO_NAME;
    const struct tars_analytics_who one = {
        .tenant = who->tenant, .client_id = client_id, .before_us = who->before_us};
    tars_status status = named ? name_of(analytics, client_id, name, err) : TARS_OK;

    return status == TARS_OK ? change_all(analytics, &one, name, call, sum, err) : status;
}

static tars_status anonymize_clients(struct tars_analytics *analytics,
                                     const struct tars_analytics_who *who, bool named,
                                     struct tars_call *call, struct tars_analytics_changed *sum,
                                     struct tars_err *err)
{
    struct tars_analytics_sink *sink = analytics->sink;
    struct tars_arena arenas[2]; /* the last id of a page is needed for the next one */
    const char *after = NULL;
    size_t count = SOME_CLIENTS;
    tars_status status = TARS_OK;

    tars_arena_init(&arenas[0], ARENA_MAX);
    tars_arena_init(&arenas[1], ARENA_MAX);
    for (size_t page = 0; status == TARS_OK && count == SOME_CLIENTS; page++) {
        struct tars_arena *arena = &arenas[page % 2];
        const char **clients = NULL;

        tars_arena_clear(arena);
        status = sink->ops->clients(sink, who, after, SOME_CLIENTS, arena, &clients, &count, err);
        for (size_t i = 0; i < count && status == TARS_OK; i++) {
            status = anonymize_client(analytics, who, clients[i], named, call, sum, err);
            after = clients[i];
        }
    }
    tars_arena_release(&arenas[1]);
    tars_arena_release(&arenas[0]);
    return status;
}

tars_status tars_analytics_anonymize(struct tars_analytics *analytics,
                                     const struct tars_analytics_who *who, bool named,
                                     struct tars_call *call, struct tars_analytics_changed *changed,
                                     struct tars_err *err)
{
    tars_status status;

    *changed = (struct tars_analytics_changed){0, 0, 0};
    if (!analytics)
        return TARS_OK;
    if (!analytics->sink->ops->anonymize || !analytics->sink->ops->clients)
        return unable(analytics, err);
    status = tars_analytics_settle(analytics, err);
    if (status == TARS_OK)
        status = anonymize_clients(analytics, who, named, call, changed, err);
    return status == TARS_OK ? scrub(analytics, err) : status;
}

tars_status tars_analytics_import(struct tars_analytics *analytics,
                                  const struct tars_logged_query *rows, size_t n, size_t *added,
                                  struct tars_err *err)
{
    tars_status status;

    *added = 0;
    if (!analytics)
        return tars_fail(TARS_EUNAVAILABLE, err, "analytics are off");
    if (!analytics->sink->ops->import)
        return unable(analytics, err);
    pthread_mutex_lock(&analytics->write_lock);
    status = analytics->sink->ops->import(analytics->sink, rows, n, added, err);
    pthread_mutex_unlock(&analytics->write_lock);
    return status;
}
