/* redis_queue - see redis_queue.h for the contract. */
#include "cache/redis_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void tars_redis_queue_init(struct tars_redis_queue *queue, size_t max_bytes)
{
    pthread_condattr_t attr;

    *queue = (struct tars_redis_queue){.max_bytes = max_bytes};
    queue->end = &queue->oldest;
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void tars_redis_queue_release(struct tars_redis_queue *queue)
{
    while (queue->oldest) {
        struct tars_redis_item *next = queue->oldest->next;

        free(queue->oldest);
        queue->oldest = next;
    }
    (void)pthread_cond_destroy(&queue->changed);
    (void)pthread_mutex_destroy(&queue->lock);
}

/* Names end in digits of a digest, which are as good as a hash. */
static struct tars_redis_item **chain_of(struct tars_redis_queue *queue, struct tars_span name)
{
    uint64_t hash = 0;
    size_t len = name.len < sizeof(hash) ? name.len : sizeof(hash);

    if (len)
        memcpy(&hash, name.ptr + name.len - len, len);
    hash *= UINT64_C(0x9e3779b97f4a7c15); /* Knuth, The Art of Computer Programming 3, 6.4 */
    return &queue->chains[hash >> 54U & (TARS_REDIS_QUEUE_CHAINS - 1)];
}

static size_t item_bytes(const struct tars_redis_item *item)
{
    return sizeof(*item) + item->name_len + item->value_len;
}

/* Under the lock. */
static void append(struct tars_redis_queue *queue, struct tars_redis_item *item)
{
    item->next = NULL;
    *queue->end = item;
    queue->end = &item->next;
    (void)pthread_cond_broadcast(&queue->changed);
}

tars_status tars_redis_queue_push(struct tars_redis_queue *queue, enum tars_cache_kind kind,
                                  struct tars_span name, struct tars_span value)
{
    struct tars_redis_item **chain = chain_of(queue, name);
    struct tars_redis_item *item;
    size_t bytes = sizeof(*item) + name.len + value.len;
    bool is_full;

    if (value.len > queue->max_bytes)
        return TARS_EBUSY;
    item = malloc(bytes);
    if (!item)
        return TARS_ENOMEM;
    *item = (struct tars_redis_item){.kind = kind, .name_len = name.len, .value_len = value.len};
    memcpy(item->bytes, name.ptr, name.len);
    if (value.len)
        memcpy(item->bytes + name.len, value.ptr, value.len);
    (void)pthread_mutex_lock(&queue->lock);
    is_full = queue->is_stopping || bytes > queue->max_bytes - queue->bytes;
    if (!is_full) {
        item->chained = *chain;
        *chain = item;
        queue->count++;
        queue->bytes += bytes;
        append(queue, item);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    if (is_full)
        free(item);
    return is_full ? TARS_EBUSY : TARS_OK;
}

tars_status tars_redis_queue_find(struct tars_redis_queue *queue, struct tars_span name,
                                  struct tars_arena *arena, struct tars_span *value)
{
    struct tars_redis_item *item;
    tars_status status = TARS_ENOTFOUND;

    (void)pthread_mutex_lock(&queue->lock);
    for (item = *chain_of(queue, name); item; item = item->chained) {
        if (!item->is_dropped && tars_span_equal(tars_redis_item_name(item), name))
            break;
    }
    if (item) {
        struct tars_span found = tars_redis_item_value(item);
        char *copy = tars_arena_strndup(arena, found.ptr, found.len);

        status = copy ? TARS_OK : TARS_ENOMEM;
        if (copy)
            *value = tars_span(copy, found.len);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

bool tars_redis_queue_drop(struct tars_redis_queue *queue, struct tars_span name)
{
    bool was_there = false;

    (void)pthread_mutex_lock(&queue->lock);
    for (struct tars_redis_item *item = *chain_of(queue, name); item; item = item->chained) {
        if (item->is_dropped || !tars_span_equal(tars_redis_item_name(item), name))
            continue;
        item->is_dropped = true;
        was_there = true;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return was_there;
}

struct tars_redis_item *tars_redis_queue_take(struct tars_redis_queue *queue, size_t max_items,
                                              size_t max_bytes)
{
    struct tars_redis_item *first;
    struct tars_redis_item **at;
    size_t bytes = 0;

    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->oldest && !queue->is_stopping)
        (void)pthread_cond_wait(&queue->changed, &queue->lock);
    first = queue->is_stopping ? NULL : queue->oldest;
    at = &first;
    for (size_t n = 0; *at && n < max_items && (n == 0 || bytes < max_bytes); n++) {
        bytes += (*at)->value_len;
        (*at)->is_void = (*at)->is_dropped;
        at = &(*at)->next;
    }
    if (first) {
        queue->oldest = *at;
        *at = NULL;
        if (!queue->oldest)
            queue->end = &queue->oldest;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return first;
}

void tars_redis_queue_done(struct tars_redis_queue *queue, struct tars_redis_item *item)
{
    struct tars_redis_item **at = chain_of(queue, tars_redis_item_name(item));

    (void)pthread_mutex_lock(&queue->lock);
    while (*at != item)
        at = &(*at)->chained;
    *at = item->chained;
    queue->count--;
    queue->bytes -= item_bytes(item);
    if (queue->count == 0)
        (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->lock);
    free(item);
}

void tars_redis_queue_again(struct tars_redis_queue *queue, struct tars_redis_item *item)
{
    (void)pthread_mutex_lock(&queue->lock);
    append(queue, item);
    (void)pthread_mutex_unlock(&queue->lock);
}

bool tars_redis_queue_wait(struct tars_redis_queue *queue, int64_t deadline_ms)
{
    const struct timespec until = {.tv_sec = deadline_ms / 1000,
                                   .tv_nsec = deadline_ms % 1000 * 1000000};
    bool is_empty;
    int failed = 0;

    (void)pthread_mutex_lock(&queue->lock);
    while (queue->count > 0 && failed != ETIMEDOUT)
        failed = pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
    is_empty = queue->count == 0;
    (void)pthread_mutex_unlock(&queue->lock);
    return is_empty;
}

void tars_redis_queue_stop(struct tars_redis_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->is_stopping = true;
    (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->lock);
}
