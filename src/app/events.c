/* events - see events.h for the contract.
 *
 * Listeners are a list under one lock; each has a queue of copies, one allocation an event:
 *
 *     struct item | path NUL | document_id NUL | reason NUL
 */
#include "app/events.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/file.h"
#include "store/store.h"

struct item {
    struct item *next;
    struct tars_taken taken; /* texts point behind the struct */
};

struct tars_listener {
    struct tars_events *events;
    struct tars_listener *next;
    char *path;
    char *collection;
    struct item *first; /* owned queue, oldest first */
    struct item **last; /* where the next one is hung */
    size_t waiting;
    size_t ended;
};

struct tars_events {
    pthread_mutex_t lock; /* guards all below, and the queues of the listeners */
    pthread_cond_t some;  /* an event was queued; on the monotonic clock */
    struct tars_listener *listeners;
};

tars_status tars_events_new(struct tars_events **events)
{
    struct tars_events *made = calloc(1, sizeof(*made));
    pthread_condattr_t attributes;

    if (!made)
        return TARS_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->some, &attributes);
    pthread_condattr_destroy(&attributes);
    *events = made;
    return TARS_OK;
}

void tars_events_free(struct tars_events *events)
{
    if (!events)
        return;
    pthread_cond_destroy(&events->some);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

static enum tars_taken_outcome outcome_of(enum tars_ingest_outcome outcome)
{
    switch (outcome) {
    case TARS_INGEST_INDEXED:
        return TARS_TAKEN_INDEXED;
    case TARS_INGEST_UNCHANGED:
        return TARS_TAKEN_UNCHANGED;
    case TARS_INGEST_SKIPPED:
        return TARS_TAKEN_SKIPPED;
    case TARS_INGEST_FORGOTTEN:
        return TARS_TAKEN_FORGOTTEN;
    case TARS_INGEST_FAILED:
        break;
    }
    return TARS_TAKEN_FAILED;
}

/* Copy text behind *at and move it on. */
static const char *pack(char **at, const char *text, size_t len)
{
    char *copy = *at;

    memcpy(copy, text, len + 1);
    *at += len + 1;
    return copy;
}

static struct item *item_new(const struct tars_ingest_event *event)
{
    size_t path = strlen(event->path);
    size_t id = strlen(event->document_id);
    size_t reason = strlen(event->reason);
    struct item *item = malloc(sizeof(*item) + path + id + reason + 3);
    char *at = (char *)(item + 1);

    if (!item)
        return NULL;
    item->next = NULL;
    item->taken = (struct tars_taken){
        .path = pack(&at, event->path, path),
        .document_id = pack(&at, event->document_id, id),
        .reason = pack(&at, event->reason, reason),
        .outcome = outcome_of(event->outcome),
        .chunks = event->chunks,
        .ms = event->ms,
        .job_id = event->job_id,
    };
    return item;
}

static const char *collection_of(const char *collection)
{
    return collection && collection[0] ? collection : TARS_COLLECTION;
}

static bool hears(const struct tars_listener *listener, const struct tars_ingest_event *event)
{
    return strcmp(listener->collection, collection_of(event->collection)) == 0 &&
           tars_path_is_below(event->path, listener->path);
}

void tars_events_post(void *ctx, const struct tars_ingest_event *event)
{
    struct tars_events *events = ctx;

    pthread_mutex_lock(&events->lock);
    for (struct tars_listener *l = events->listeners; l; l = l->next) {
        struct item *item = NULL;

        if (!hears(l, event))
            continue;
        l->ended += event->job_id != 0;
        if (l->waiting < TARS_EVENTS_MAX)
            item = item_new(event);
        if (!item)
            continue;
        *l->last = item;
        l->last = &item->next;
        l->waiting++;
    }
    pthread_cond_broadcast(&events->some);
    pthread_mutex_unlock(&events->lock);
}

tars_status tars_events_listen(struct tars_events *events, const char *collection, const char *path,
                               struct tars_listener **listener)
{
    struct tars_listener *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->path = strdup(path);
    made->collection = strdup(collection_of(collection));
    if (!made->path || !made->collection) {
        free(made->path);
        free(made->collection);
        free(made);
        return TARS_ENOMEM;
    }
    made->events = events;
    made->last = &made->first;
    pthread_mutex_lock(&events->lock);
    made->next = events->listeners;
    events->listeners = made;
    pthread_mutex_unlock(&events->lock);
    *listener = made;
    return TARS_OK;
}

void tars_listener_free(struct tars_listener *listener)
{
    struct tars_listener **at;

    if (!listener)
        return;
    pthread_mutex_lock(&listener->events->lock);
    at = &listener->events->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    pthread_mutex_unlock(&listener->events->lock);
    while (listener->first) {
        struct item *next = listener->first->next;

        free(listener->first);
        listener->first = next;
    }
    free(listener->path);
    free(listener->collection);
    free(listener);
}

/* Under the lock: the oldest item, or NULL when none came in time. */
static struct item *take(struct tars_listener *listener, const struct timespec *until)
{
    struct tars_events *events = listener->events;
    struct item *item;

    while (!listener->first) {
        if (pthread_cond_timedwait(&events->some, &events->lock, until) != 0 && !listener->first)
            return NULL;
    }
    item = listener->first;
    listener->first = item->next;
    if (!listener->first)
        listener->last = &listener->first;
    listener->waiting--;
    return item;
}

tars_status tars_listener_next(struct tars_listener *listener, int64_t timeout_ms,
                               struct tars_arena *arena, struct tars_taken *taken)
{
    struct timespec until;
    struct item *item;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&listener->events->lock);
    item = take(listener, &until);
    pthread_mutex_unlock(&listener->events->lock);
    if (!item)
        return TARS_ETIMEOUT;
    *taken = item->taken;
    taken->path = tars_arena_strdup(arena, item->taken.path);
    taken->document_id = tars_arena_strdup(arena, item->taken.document_id);
    taken->reason = tars_arena_strdup(arena, item->taken.reason);
    free(item);
    return taken->path && taken->document_id && taken->reason ? TARS_OK : TARS_ENOMEM;
}

size_t tars_listener_ended(struct tars_listener *listener)
{
    size_t ended;

    pthread_mutex_lock(&listener->events->lock);
    ended = listener->ended;
    pthread_mutex_unlock(&listener->events->lock);
    return ended;
}
