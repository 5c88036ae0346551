/* cache_redis_writer - the thread that sends what was set: many SETEX in one write, then as many
 * replies. See cache_redis.h.
 *
 * What cannot be sent is counted and forgotten: a cache may lose.
 */
#include <pthread.h>

#include "base/sys/clock.h"
#include "cache/cache_redis_internal.h"
#include "cache/redis_floats.h"

#define BATCH_ITEMS 256
#define BATCH_BYTES ((size_t)1 << 20)
#define WRITE_MS    1000 /* that a batch may take, unless callers wait longer for one value */
#define TRIES_MAX   3    /* of a value that a cluster sends elsewhere */
#define VALUE_BYTES ((size_t)32 << 20)

struct writer {
    struct tars_redis *redis;
    struct tars_buf text; /* of a value that is not sent as it is */
};

/* ------------------------------------------------------------------ one item */

static void lose(struct writer *writer, struct tars_redis_item *item)
{
    tars_redis_count_error(writer->redis, item->kind);
    tars_redis_queue_done(&writer->redis->queue, item);
}

/* Append its command; false where its value cannot be said. */
static bool say(struct writer *writer, const struct tars_redis_item *item, struct tars_buf *out)
{
    int64_t ttl_s = writer->redis->ttl_s[item->kind];
    struct tars_span value = tars_redis_item_value(item);

    if (item->kind == TARS_CACHE_EMBEDDING || item->kind == TARS_CACHE_RERANK) {
        tars_buf_clear(&writer->text);
        if (tars_redis_floats_write(value, &writer->text) != TARS_OK ||
            writer->text.status != TARS_OK)
            return false;
        value = tars_buf_span(&writer->text);
    }
    if (item->ask)
        tars_redis_say(out, "ASKING");
    tars_redis_command(out, ttl_s ? 4 : 3);
    tars_redis_arg(out, tars_span_of(ttl_s ? "SETEX" : "SET"));
    tars_redis_arg(out, tars_redis_item_name(item));
    if (ttl_s)
        tars_redis_arg_int(out, ttl_s);
    tars_redis_arg(out, value);
    return true;
}

/* Takes the item, which the server answered. */
static void hear(struct writer *writer, struct tars_redis_node *node, struct tars_redis_item *item,
                 const struct tars_redis_reply *reply)
{
    struct tars_redis *redis = writer->redis;
    struct tars_redis_node *next = NULL;
    bool is_ask = false;

    if (reply->type != TARS_REDIS_ERROR) {
        tars_redis_queue_done(&redis->queue, item);
    } else if (item->tries < TRIES_MAX &&
               tars_redis_map_follow(&redis->map, node, reply, &next, &is_ask)) {
        item->tries++;
        item->ask = is_ask ? next : NULL;
        tars_redis_queue_again(&redis->queue, item);
    } else {
        (void)tars_redis_refused(redis, node, reply);
        lose(writer, item);
    }
}

/* ---------------------------------------------------------------------- a batch */

static tars_status hear_all(struct writer *writer, struct tars_redis_node *node,
                            struct tars_redis_conn *conn, struct tars_redis_item **items,
                            int64_t deadline_ms)
{
    while (*items) {
        struct tars_redis_item *item = *items;
        struct tars_redis_reply *reply = NULL;
        tars_status status = TARS_OK;

        if (item->ask)
            status = tars_redis_conn_reply(conn, deadline_ms, &reply);
        if (status == TARS_OK)
            status = tars_redis_conn_reply(conn, deadline_ms, &reply);
        if (status != TARS_OK)
            return status;
        *items = item->next;
        hear(writer, node, item, reply);
    }
    return TARS_OK;
}

/* Takes all of items, which are for node. */
static void send_to(struct writer *writer, struct tars_redis_node *node,
                    struct tars_redis_item *items)
{
    int64_t wait_ms = writer->redis->timeout_ms > WRITE_MS ? writer->redis->timeout_ms : WRITE_MS;
    int64_t deadline_ms = tars_clock_mono_ms() + wait_ms;
    struct tars_redis_item **at = &items;
    struct tars_redis_conn *conn = NULL;
    tars_status status = TARS_EUNAVAILABLE;

    if (node)
        status = tars_redis_node_take(node, deadline_ms, &conn);
    if (status == TARS_OK) {
        tars_redis_conn_begin(conn);
        while (*at) {
            struct tars_redis_item *item = *at;

            if (say(writer, item, &conn->out)) {
                at = &item->next;
            } else {
                *at = item->next;
                lose(writer, item);
            }
        }
        if (items)
            status = tars_redis_conn_send(conn, deadline_ms);
        if (status == TARS_OK)
            status = hear_all(writer, node, conn, &items, deadline_ms);
        tars_redis_node_give(node, conn, status);
    }
    while (items) {
        struct tars_redis_item *next = items->next;

        lose(writer, items);
        items = next;
    }
}

static struct tars_redis_node *node_of(struct writer *writer, const struct tars_redis_item *item)
{
    if (item->ask)
        return item->ask;
    return tars_redis_map_node(&writer->redis->map, tars_redis_item_name(item));
}

/* Take the first of *batch and all that go to the same server, in their order. */
static struct tars_redis_item *split(struct writer *writer, struct tars_redis_item **batch,
                                     struct tars_redis_node **node)
{
    struct tars_redis_item *first = NULL;
    struct tars_redis_item **end = &first;
    struct tars_redis_item **at = batch;

    *node = node_of(writer, *batch);
    while (*at) {
        struct tars_redis_item *item = *at;

        /* The first goes along whatever the map says by now. */
        if (first && node_of(writer, item) != *node) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        item->next = NULL;
        *end = item;
        end = &item->next;
    }
    return first;
}

static void forget_void(struct writer *writer, struct tars_redis_item **batch)
{
    while (*batch) {
        struct tars_redis_item *item = *batch;

        if (item->is_void) {
            *batch = item->next;
            tars_redis_queue_done(&writer->redis->queue, item);
        } else {
            batch = &item->next;
        }
    }
}

void *tars_redis_write(void *ctx)
{
    struct writer writer = {.redis = ctx};
    struct tars_redis_item *batch;

    (void)pthread_setname_np(pthread_self(), "tars-redis-set");
    tars_buf_init(&writer.text, VALUE_BYTES);
    for (;;) {
        batch = tars_redis_queue_take(&writer.redis->queue, BATCH_ITEMS, BATCH_BYTES);
        if (!batch)
            break;
        forget_void(&writer, &batch);
        while (batch) {
            struct tars_redis_node *node;
            struct tars_redis_item *items = split(&writer, &batch, &node);

            send_to(&writer, node, items);
        }
    }
    tars_buf_release(&writer.text);
    return NULL;
}
