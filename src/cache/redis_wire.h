/* redis_wire - what is said to Redis and what it answers: commands out, replies in (RESP2).
 *
 * Commands  Written by us, each argument with its length, so that no byte of a key or a value can
 *           be taken for an end.
 * Replies   Read by hiredis' parser, which is fed bytes as they come; what it finds is made in the
 *           caller's arena, so that nothing has to be freed singly, and a reply that was begun and
 *           never ended leaks nothing.
 * Bounds    max_bytes of a reply; TARS_REDIS_ITEMS_MAX items of an array; the parser's own depth of
 *           nesting (7); the arena's ceiling.
 * Threads   A reader belongs to one thread at a time.
 */
#ifndef TARS_CACHE_REDIS_WIRE_H
#define TARS_CACHE_REDIS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_REDIS_ITEMS_MAX ((size_t)1 << 20)

/* -------------------------------------------------------------- commands */

/* Begin a command of count arguments, its name included; append that many. */
void tars_redis_command(struct tars_buf *out, size_t count);
void tars_redis_arg(struct tars_buf *out, struct tars_span arg);
void tars_redis_arg_int(struct tars_buf *out, int64_t value);
/* A whole command of texts; the list ends in NULL. */
void tars_redis_say_list(struct tars_buf *out, const char *const *words);
#define tars_redis_say(out, ...) tars_redis_say_list(out, (const char *const[]){__VA_ARGS__, NULL})

/* --------------------------------------------------------------- replies */

enum tars_redis_type {
    TARS_REDIS_NIL,
    TARS_REDIS_TEXT,   /* a string, of any bytes */
    TARS_REDIS_STATUS, /* "OK" */
    TARS_REDIS_ERROR,  /* "ERR what was wrong" */
    TARS_REDIS_INTEGER,
    TARS_REDIS_ARRAY
};

struct tars_redis_reply {
    enum tars_redis_type type;
    int64_t integer;
    struct tars_span text;           /* of text, status and error; terminated too */
    struct tars_redis_reply **items; /* (count,) of an array; none is NULL */
    size_t count;
};

struct tars_redis_reader;

TARS_MUST_USE tars_status tars_redis_reader_new(size_t max_bytes,
                                                struct tars_redis_reader **reader);
void tars_redis_reader_free(struct tars_redis_reader *reader);
/* Bytes of the server. TARS_ETOOBIG: a reply is over max_bytes; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_redis_reader_feed(struct tars_redis_reader *reader, const char *ptr,
                                                 size_t len);
/* The next whole reply, in arena, which has to be the same until it is whole. TARS_EAGAIN: more
 * bytes are needed. TARS_EFORMAT: these are not replies. TARS_ENOMEM: the arena is full. After the
 * last two the reader is of no use any more. */
TARS_MUST_USE tars_status tars_redis_reader_next(struct tars_redis_reader *reader,
                                                 struct tars_arena *arena,
                                                 struct tars_redis_reply **reply);

/* True where no byte waits to be read as a reply. */
bool tars_redis_reader_is_empty(const struct tars_redis_reader *reader);

/* True for a status or text that is this. */
bool tars_redis_reply_is(const struct tars_redis_reply *reply, const char *text);
/* True for an error whose first word is this: "MOVED". */
bool tars_redis_reply_is_error(const struct tars_redis_reply *reply, const char *code);

#endif
