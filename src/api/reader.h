/* reader - the fields of a JSON request body, or of a query string, read and checked as the wire
 * contract says.
 *
 * A field that is wrong becomes an entry of the 422 reply's detail list (contract 1.0: type, loc,
 * msg, input, ctx) and its getter returns the default, so that a handler reads all its fields first
 * and asks once whether something was wrong:
 *
 *     tars_reader_init(&reader, arena, body, content_type);
 *     query = tars_reader_text(&reader, "query", TARS_READER_REQUIRED);
 *     top_k = tars_reader_int(&reader, "top_k", 5, 1, 20);
 *     if (tars_reader_is_bad(&reader)) ... reply 422 with tars_reader_detail(&reader)
 *     tars_reader_release(&reader);
 *
 * Types bend as they do in the reference: "5", 5.0 and true are integers, "yes" and 1 are booleans.
 * A text is a number when it is decimal digits, with a sign and a point at most: openapi.json tells
 * the same.
 * Unknown fields are passed over; of two fields of one name the last counts.
 *
 * Bounds    TARS_READER_BODY_MAX bytes; nesting TARS_READER_DEPTH_MAX; what does not fit into the
 *           arena is a problem of its field, never absent. An input is echoed up to
 *           TARS_READER_ECHO_MAX bytes.
 * Memory    What getters return lives in the arena.
 * Threads   Not safe to share.
 */
#ifndef TARS_API_READER_H
#define TARS_API_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/codec/json_write.h"
#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"

#define TARS_READER_DEPTH_MAX 32
#define TARS_READER_ECHO_MAX  16384
#define TARS_READER_BODY_MAX \
    ((size_t)4 << 20) /* a thousand paths; parsed it takes up to 50 times */

#define TARS_READER_INT_MAX INT64_C(9007199254740991) /* 2^53 - 1: no bound lies beyond it */

enum tars_reader_need { TARS_READER_REQUIRED, TARS_READER_OPTIONAL };

struct tars_reader {
    struct tars_arena *arena; /* borrowed */
    const char *place;        /* first item of loc: "body" or "query"; static */
    json_t *root;             /* the body's object; NULL when it is none; owned */
    bool is_json;             /* the body was JSON, of whatever kind */
    const char *scope;        /* name of the field whose fields are read, or NULL: the body's */
    struct tars_buf detail;   /* the list under way */
    struct tars_json writer;  /* into detail */
    int problems;             /* entries of detail */
    const char *words;        /* of the first problem, or NULL */
};

/* Parse body. content_type may be empty; one that is not JSON is a problem, as is a body that is
 * empty, not JSON, or no object. */
void tars_reader_init(struct tars_reader *reader, struct tars_arena *arena, struct tars_span body,
                      struct tars_span content_type);
/* Read the name=value pairs of a URL's query string as fields that are strings; numbers and flags
 * bend out of them. A pair that is not UTF-8 in good percent-encoding is a problem. */
void tars_reader_init_query(struct tars_reader *reader, struct tars_arena *arena,
                            struct tars_span query);
void tars_reader_release(struct tars_reader *reader);

bool tars_reader_is_bad(const struct tars_reader *reader);
/* The JSON array of problems; nothing may be read afterwards. */
struct tars_span tars_reader_detail(struct tars_reader *reader);

/* A string, terminated; NULL when it is absent, null or wrong. */
const char *tars_reader_text(struct tars_reader *reader, const char *name,
                             enum tars_reader_need need);
int64_t tars_reader_int(struct tars_reader *reader, const char *name, int64_t absent, int64_t min,
                        int64_t max);
double tars_reader_real(struct tars_reader *reader, const char *name, double absent, double min,
                        double max);
bool tars_reader_flag(struct tars_reader *reader, const char *name, bool absent);
/* An object as compact JSON text, terminated; NULL when it is absent, null or wrong. */
const char *tars_reader_object(struct tars_reader *reader, const char *name);
/* A list of strings; *count of them. NULL when it is absent or wrong. */
const char *const *tars_reader_texts(struct tars_reader *reader, const char *name,
                                     enum tars_reader_need need, size_t *count);

/* A list of objects as compact JSON text, terminated; NULL when it is absent, null or wrong. */
const char *tars_reader_objects(struct tars_reader *reader, const char *name);

/* Read the fields of the object that field name is, until _leave(). What is no object, or absent,
 * is one problem, and its fields are then neither. One level; name is static. */
void tars_reader_enter(struct tars_reader *reader, const char *name);
void tars_reader_leave(struct tars_reader *reader);

/* A field that is null is absent: for clients that send all fields that they know. */
void tars_reader_drop_nulls(struct tars_reader *reader);
/* The first problem in words, "top_k: Input should be ..."; "" without one. In the arena. */
const char *tars_reader_words(struct tars_reader *reader);

/* Add a problem of the handler's own: type value_error, msg "Value error, <text>". */
void tars_reader_refuse(struct tars_reader *reader, const char *name, const char *text);

#endif
