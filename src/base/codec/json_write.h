/* json_write - a sticky JSON writer (RFC 8259) over a buffer.
 *
 * Commas come by themselves; what fails (memory, ceiling, nesting over 32) is remembered in the
 * buffer. Compact by default; spaced writes ", " and ": ", as NDJSON lines of the wire contract
 * want (section 1.0). Strings must be valid UTF-8 and stay raw; bytes that are not become U+FFFD.
 * Numbers that JSON cannot say (NaN, infinity) become null.
 *
 *     tars_json_object(&w, NULL);            {"answer":"42","sources":[]}
 *     tars_json_text(&w, "answer", "42");
 *     tars_json_array(&w, "sources");
 *     tars_json_end(&w);
 *     tars_json_end(&w);
 *
 * key is NULL inside an array and at the top.
 */
#ifndef TARS_BASE_CODEC_JSON_WRITE_H
#define TARS_BASE_CODEC_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/buf.h"

#define TARS_JSON_DEPTH_MAX 32

struct tars_json {
    struct tars_buf *out; /* borrowed for the writer's life */
    int depth;            /* open containers */
    bool spaced;          /* ", " and ": " */
    bool ascii;           /* \uXXXX for all beyond ASCII */
    bool has_items[TARS_JSON_DEPTH_MAX + 1];
    char closer[TARS_JSON_DEPTH_MAX + 1];
};

/* Length of the valid UTF-8 sequence (RFC 3629) at the start of (text, len > 0), or 0. */
size_t tars_json_sequence(const char *text, size_t len);

void tars_json_init(struct tars_json *json, struct tars_buf *out);
void tars_json_object(struct tars_json *json, const char *key);
void tars_json_array(struct tars_json *json, const char *key);
void tars_json_end(struct tars_json *json);
void tars_json_text(struct tars_json *json, const char *key, const char *text); /* NULL: null */
void tars_json_text_n(struct tars_json *json, const char *key, const char *text, size_t len);
void tars_json_int(struct tars_json *json, const char *key, int64_t value);
/* Shortest text that reads back as value; always with a '.' or exponent. */
void tars_json_double(struct tars_json *json, const char *key, double value);
/* Rounded to places decimals, trailing zeros dropped ("2.0" stays "2.0"). */
void tars_json_fixed(struct tars_json *json, const char *key, double value, int places);
void tars_json_bool(struct tars_json *json, const char *key, bool value);
void tars_json_null(struct tars_json *json, const char *key);
/* (ptr, len) is one JSON value already. */
void tars_json_raw(struct tars_json *json, const char *key, const char *ptr, size_t len);

#endif
