/* redis_slots - see redis_slots.h for the contract. */
#include "cache/redis_slots.h"

#include <string.h>

#define POLYNOMIAL 0x1021U /* x^16 + x^12 + x^5 + 1 */

/* Bit by bit: 80 bytes are 0.3 us, once a question to a cluster. */
static uint16_t crc16(struct tars_span bytes)
{
    unsigned crc = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned)(unsigned char)bytes.ptr[i] << 8U;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000U ? (crc << 1U) ^ POLYNOMIAL : crc << 1U;
    }
    return (uint16_t)crc;
}

uint16_t tars_redis_slot(struct tars_span key)
{
    const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    size_t rest = open ? (size_t)(key.ptr + key.len - open - 1) : 0;
    const char *close = rest ? memchr(open + 1, '}', rest) : NULL;

    if (close && close > open + 1)
        key = tars_span(open + 1, (size_t)(close - open - 1));
    return crc16(key) % TARS_REDIS_SLOTS;
}

static bool is_integer(const struct tars_redis_reply *reply, int64_t min, int64_t max)
{
    return reply->type == TARS_REDIS_INTEGER && reply->integer >= min && reply->integer <= max;
}

/* [host, port, ...]; the host may be empty or nil: that of who was asked. */
static bool read_node(const struct tars_redis_reply *node, const struct tars_redis_address *asked,
                      struct tars_redis_address *address)
{
    struct tars_span host;

    if (node->type != TARS_REDIS_ARRAY || node->count < 2 || !is_integer(node->items[1], 1, 65535))
        return false;
    host = node->items[0]->text;
    if (host.len == 0)
        host = tars_span_of(asked->host);
    return tars_redis_address_set(address, host, (int)node->items[1]->integer) == TARS_OK;
}

tars_status tars_redis_slots_read(const struct tars_redis_reply *reply,
                                  const struct tars_redis_address *asked, tars_redis_slots_fn *each,
                                  void *ctx)
{
    if (reply->type != TARS_REDIS_ARRAY)
        return TARS_EFORMAT;
    for (size_t i = 0; i < reply->count; i++) {
        const struct tars_redis_reply *range = reply->items[i];
        struct tars_redis_address master;
        tars_status status;

        if (range->type != TARS_REDIS_ARRAY || range->count < 3 ||
            !is_integer(range->items[0], 0, TARS_REDIS_SLOTS - 1) ||
            !is_integer(range->items[1], range->items[0]->integer, TARS_REDIS_SLOTS - 1) ||
            !read_node(range->items[2], asked, &master))
            continue;
        status = each(ctx, &master, (int)range->items[0]->integer, (int)range->items[1]->integer);
        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

bool tars_redis_redirect_read(const struct tars_redis_reply *reply, const char *host_asked,
                              struct tars_redis_address *address, uint16_t *slot, bool *is_ask)
{
    const char *at = reply->text.ptr;
    const char *end = at ? at + reply->text.len : NULL;
    unsigned number = 0;

    *is_ask = tars_redis_reply_is_error(reply, "ASK");
    if (!*is_ask && !tars_redis_reply_is_error(reply, "MOVED"))
        return false;
    at += *is_ask ? strlen("ASK") : strlen("MOVED");
    if (at == end || *at++ != ' ' || at == end || *at < '0' || *at > '9')
        return false;
    for (; at < end && *at >= '0' && *at <= '9' && number < TARS_REDIS_SLOTS; at++)
        number = number * 10 + (unsigned)(*at - '0');
    if (number >= TARS_REDIS_SLOTS || at == end || *at++ != ' ')
        return false;
    *slot = (uint16_t)number;
    return tars_redis_address_parse(tars_span(at, (size_t)(end - at)), host_asked, 0, address) ==
           TARS_OK;
}
