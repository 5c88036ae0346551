/* redis_wire - see redis_wire.h for the contract.
 *
 * hiredis' reader calls back for each thing that it found, with the array that it lies in, and
 * keeps the outermost until it is whole. Ours are made in an arena; freeing is left to that.
 */
#include "cache/redis_wire.h"

#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>

/* ----------------------------------------------------------------- commands */

void tars_redis_command(struct tars_buf *out, size_t count)
{
    tars_buf_append_char(out, '*');
    tars_buf_append_uint(out, count);
    tars_buf_append(out, "\r\n", 2);
}

void tars_redis_arg(struct tars_buf *out, struct tars_span arg)
{
    tars_buf_append_char(out, '$');
    tars_buf_append_uint(out, arg.len);
    tars_buf_append(out, "\r\n", 2);
    tars_buf_append(out, arg.ptr, arg.len);
    tars_buf_append(out, "\r\n", 2);
}

void tars_redis_arg_int(struct tars_buf *out, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)value);

    tars_redis_arg(out, tars_span(digits, (size_t)len));
}

void tars_redis_say_list(struct tars_buf *out, const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    tars_redis_command(out, count);
    for (size_t i = 0; i < count; i++)
        tars_redis_arg(out, tars_span_of(words[i]));
}

/* ------------------------------------------------------------------ replies */

struct tars_redis_reader {
    redisReader *parser; /* owned */
    size_t max_bytes;
    struct tars_arena *arena; /* borrowed while _next() runs */
};

static struct tars_redis_reply *make(const redisReadTask *task, enum tars_redis_type type)
{
    struct tars_redis_reader *reader = task->privdata;
    struct tars_redis_reply *reply = tars_arena_calloc(reader->arena, 1, sizeof(*reply));

    if (!reply)
        return NULL;
    reply->type = type;
    if (task->parent)
        ((struct tars_redis_reply *)task->parent->obj)->items[task->idx] = reply;
    return reply;
}

static enum tars_redis_type type_of(int type)
{
    switch (type) {
    case REDIS_REPLY_ERROR:
        return TARS_REDIS_ERROR;
    case REDIS_REPLY_STATUS:
        return TARS_REDIS_STATUS;
    default:
        return TARS_REDIS_TEXT;
    }
}

static void *make_text(const redisReadTask *task, char *ptr, size_t len)
{
    struct tars_redis_reader *reader = task->privdata;
    char *copy = tars_arena_strndup(reader->arena, ptr, len);
    struct tars_redis_reply *reply = copy ? make(task, type_of(task->type)) : NULL;

    if (reply)
        reply->text = tars_span(copy, len);
    return reply;
}

static void *make_array(const redisReadTask *task, int count)
{
    struct tars_redis_reader *reader = task->privdata;
    struct tars_redis_reply **items;
    struct tars_redis_reply *reply;

    if (count < 0 || (size_t)count > TARS_REDIS_ITEMS_MAX)
        return NULL;
    items = tars_arena_calloc(reader->arena, (size_t)count + 1, sizeof(struct tars_redis_reply *));
    reply = items ? make(task, TARS_REDIS_ARRAY) : NULL;
    if (!reply)
        return NULL;
    reply->items = items;
    reply->count = (size_t)count;
    return reply;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    struct tars_redis_reply *reply = make(task, TARS_REDIS_INTEGER);

    if (reply)
        reply->integer = value;
    return reply;
}

static void *make_nil(const redisReadTask *task)
{
    return make(task, TARS_REDIS_NIL);
}

static void leave_to_arena(void *reply)
{
    (void)reply;
}

/* Not const: the parser's interface does not promise it, though it only reads. */
static redisReplyObjectFunctions makers = {
    .createString = make_text,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = leave_to_arena,
};

tars_status tars_redis_reader_new(size_t max_bytes, struct tars_redis_reader **reader)
{
    struct tars_redis_reader *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->parser = redisReaderCreateWithFunctions(&makers);
    if (!made->parser) {
        free(made);
        return TARS_ENOMEM;
    }
    made->parser->privdata = made;
    made->max_bytes = max_bytes;
    *reader = made;
    return TARS_OK;
}

void tars_redis_reader_free(struct tars_redis_reader *reader)
{
    if (!reader)
        return;
    redisReaderFree(reader->parser);
    free(reader);
}

tars_status tars_redis_reader_feed(struct tars_redis_reader *reader, const char *ptr, size_t len)
{
    redisReader *parser = reader->parser;
    size_t kept = parser->len - parser->pos;

    if (len > reader->max_bytes || kept > reader->max_bytes - len)
        return TARS_ETOOBIG;
    return redisReaderFeed(parser, ptr, len) == REDIS_OK ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_redis_reader_next(struct tars_redis_reader *reader, struct tars_arena *arena,
                                   struct tars_redis_reply **reply)
{
    void *found = NULL;

    reader->arena = arena;
    if (redisReaderGetReply(reader->parser, &found) != REDIS_OK)
        return reader->parser->err == REDIS_ERR_OOM ? TARS_ENOMEM : TARS_EFORMAT;
    if (!found)
        return TARS_EAGAIN;
    *reply = found;
    return TARS_OK;
}

bool tars_redis_reader_is_empty(const struct tars_redis_reader *reader)
{
    return reader->parser->pos == reader->parser->len && reader->parser->ridx < 0;
}

bool tars_redis_reply_is(const struct tars_redis_reply *reply, const char *text)
{
    return (reply->type == TARS_REDIS_STATUS || reply->type == TARS_REDIS_TEXT) &&
           tars_span_is(reply->text, text);
}

bool tars_redis_reply_is_error(const struct tars_redis_reply *reply, const char *code)
{
    size_t len = strlen(code);

    return reply->type == TARS_REDIS_ERROR && reply->text.len >= len &&
           memcmp(reply->text.ptr, code, len) == 0 &&
           (reply->text.len == len || reply->text.ptr[len] == ' ');
}
