/* fuzz_redis_reply - foreign bytes as replies of Redis, cut where the first byte says, and each
 * reply to all that reads one: slots, redirects, vectors, addresses. A vector that is read is
 * written and read again, bit for bit. */
#include <stdint.h>
#include <stdlib.h>

#include "cache/redis_floats.h"
#include "cache/redis_slots.h"
#include "cache/redis_wire.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define REPLIES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tars_status check_range(void *ctx, const struct tars_redis_address *master, int first,
                               int last)
{
    (void)ctx;
    if (first < 0 || last < first || last >= TARS_REDIS_SLOTS || !master->host[0] ||
        master->port < 1 || master->port > 65535)
        abort();
    return TARS_OK;
}

static void check_floats(struct tars_span text)
{
    struct tars_arena arena;
    struct tars_buf out;
    struct tars_span floats;
    struct tars_span again;

    tars_arena_init(&arena, ARENA_BYTES);
    tars_buf_init(&out, ARENA_BYTES);
    if (tars_redis_floats_read(text, &arena, &floats) == TARS_OK) {
        if (tars_redis_floats_write(floats, &out) != TARS_OK || out.status != TARS_OK)
            abort();
        if (tars_redis_floats_read(tars_buf_span(&out), &arena, &again) != TARS_OK ||
            !tars_span_equal(floats, again))
            abort();
    }
    tars_buf_release(&out);
    tars_arena_release(&arena);
}

static void read_reply(const struct tars_redis_reply *reply)
{
    const struct tars_redis_address asked = {"asked", 1};
    struct tars_redis_address address;
    uint16_t slot;
    bool is_ask;

    if (tars_redis_redirect_read(reply, asked.host, &address, &slot, &is_ask))
        (void)check_range(NULL, &address, slot, slot);
    if (tars_redis_slots_read(reply, &asked, check_range, NULL) == TARS_OK &&
        reply->type != TARS_REDIS_ARRAY)
        abort();
    if (reply->type == TARS_REDIS_TEXT || reply->type == TARS_REDIS_STATUS) {
        check_floats(reply->text);
        if (tars_redis_slot(reply->text) >= TARS_REDIS_SLOTS)
            abort();
        if (tars_redis_address_parse(reply->text, NULL, 0, &address) == TARS_OK)
            (void)check_range(NULL, &address, 0, 0);
    }
    for (size_t i = 0; i < reply->count; i++) {
        if (!reply->items[i])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_redis_reader *reader = NULL;
    struct tars_arena arena;
    tars_status status = TARS_EAGAIN;
    size_t step = size ? 1 + data[0] % 64U : 1;
    int replies = 0;

    if (tars_redis_reader_new(ARENA_BYTES, &reader) != TARS_OK)
        return 0;
    tars_arena_init(&arena, ARENA_BYTES);
    for (size_t at = 1; at < size && status == TARS_EAGAIN; at += step) {
        status = tars_redis_reader_feed(reader, (const char *)data + at,
                                        size - at < step ? size - at : step);
        while (status == TARS_OK) {
            struct tars_redis_reply *reply;

            status = tars_redis_reader_next(reader, &arena, &reply);
            if (status == TARS_OK)
                read_reply(reply);
            if (++replies == REPLIES_MAX)
                status = TARS_ECANCELED;
        }
    }
    tars_redis_reader_free(reader);
    tars_arena_release(&arena);
    return 0;
}
