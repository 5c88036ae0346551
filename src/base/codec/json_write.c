/* json_write - see json_write.h. */
#include "base/codec/json_write.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 512 /* a double in %f, whatever its exponent */

void tars_json_init(struct tars_json *json, struct tars_buf *out)
{
    *json = (struct tars_json){.out = out};
}

/* ------------------------------------------------------------------ strings */

static size_t sequence_length(const unsigned char *text, size_t len)
{
    unsigned char lead = text[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t want;

    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    want = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0;
    if (lead == 0xED)
        high = 0x9F;
    if (lead == 0xF0)
        low = 0x90;
    if (lead == 0xF4)
        high = 0x8F;
    if (want > len || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    return want;
}

size_t tars_json_sequence(const char *text, size_t len)
{
    return sequence_length((const unsigned char *)text, len);
}

static uint32_t decode(const unsigned char *text, size_t len)
{
    uint32_t code = len == 1 ? text[0] : text[0] & (0x7FU >> len);

    for (size_t i = 1; i < len; i++)
        code = code << 6 | (text[i] & 0x3FU);
    return code;
}

static void put_escaped(struct tars_buf *out, uint32_t code)
{
    if (code >= 0x10000) {
        code -= 0x10000;
        tars_buf_appendf(out, "\\u%04x\\u%04x", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
        return;
    }
    tars_buf_appendf(out, "\\u%04x", code);
}

static void put_special(struct tars_buf *out, unsigned char c)
{
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                 ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    if (c < sizeof(names) && names[c]) {
        tars_buf_append_char(out, '\\');
        tars_buf_append_char(out, names[c]);
    } else {
        put_escaped(out, c);
    }
}

/* What cannot stand as it is: a character that JSON escapes, a byte that is not UTF-8 (length 0),
 * or anything beyond ASCII in ascii mode. */
static void put_unplain(struct tars_json *json, const unsigned char *at, size_t length)
{
    if (length == 1) {
        put_special(json->out, *at);
    } else if (json->ascii) {
        put_escaped(json->out, length ? decode(at, length) : 0xFFFD);
    } else {
        tars_buf_append_text(json->out, "\xEF\xBF\xBD");
    }
}

static bool is_plain(const struct tars_json *json, const unsigned char *at, size_t length)
{
    if (length == 1)
        return *at >= 0x20 && *at != '"' && *at != '\\';
    return length > 1 && !json->ascii;
}

/* ASCII that stands as it is, at the start: most of what is written. */
static size_t plain_run(const unsigned char *bytes, size_t len)
{
    size_t i = 0;

    while (i < len && bytes[i] >= 0x20 && bytes[i] < 0x80 && bytes[i] != '"' && bytes[i] != '\\')
        i++;
    return i;
}

static void put_string(struct tars_json *json, const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0; /* start of the run that needs no escape */
    size_t i = 0;

    tars_buf_append_char(json->out, '"');
    for (i = plain_run(bytes, len); i < len; i += plain_run(bytes + i, len - i)) {
        size_t length = sequence_length(bytes + i, len - i);
        size_t step = length ? length : 1;

        if (!is_plain(json, bytes + i, length)) {
            tars_buf_append(json->out, text + plain, i - plain);
            put_unplain(json, bytes + i, length);
            plain = i + step;
        }
        i += step;
    }
    tars_buf_append(json->out, text + plain, len - plain);
    tars_buf_append_char(json->out, '"');
}

/* --------------------------------------------------------------- containers */

static void begin_value(struct tars_json *json, const char *key)
{
    if (json->has_items[json->depth])
        tars_buf_append_text(json->out, json->spaced ? ", " : ",");
    json->has_items[json->depth] = true;
    if (!key)
        return;
    put_string(json, key, strlen(key));
    tars_buf_append_text(json->out, json->spaced ? ": " : ":");
}

static void open_container(struct tars_json *json, const char *key, char opener, char closer)
{
    begin_value(json, key);
    if (json->depth == TARS_JSON_DEPTH_MAX) {
        json->out->status = TARS_ETOOBIG;
        return;
    }
    tars_buf_append_char(json->out, opener);
    json->depth++;
    json->has_items[json->depth] = false;
    json->closer[json->depth] = closer;
}

void tars_json_object(struct tars_json *json, const char *key)
{
    open_container(json, key, '{', '}');
}

void tars_json_array(struct tars_json *json, const char *key)
{
    open_container(json, key, '[', ']');
}

void tars_json_end(struct tars_json *json)
{
    if (json->depth == 0)
        return; /* only after a nesting that was refused */
    tars_buf_append_char(json->out, json->closer[json->depth]);
    json->depth--;
}

/* ------------------------------------------------------------------- values */

void tars_json_text_n(struct tars_json *json, const char *key, const char *text, size_t len)
{
    begin_value(json, key);
    put_string(json, text, len);
}

void tars_json_text(struct tars_json *json, const char *key, const char *text)
{
    if (!text) {
        tars_json_null(json, key);
        return;
    }
    tars_json_text_n(json, key, text, strlen(text));
}

void tars_json_raw(struct tars_json *json, const char *key, const char *ptr, size_t len)
{
    begin_value(json, key);
    tars_buf_append(json->out, ptr, len);
}

void tars_json_int(struct tars_json *json, const char *key, int64_t value)
{
    begin_value(json, key);
    if (value < 0)
        tars_buf_append_char(json->out, '-');
    tars_buf_append_uint(json->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void tars_json_double(struct tars_json *json, const char *key, double value)
{
    char text[NUMBER_BYTES];

    if (!isfinite(value)) {
        tars_json_null(json, key);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    begin_value(json, key);
    tars_buf_append_text(json->out, text);
    if (!strpbrk(text, ".e"))
        tars_buf_append_text(json->out, ".0");
}

void tars_json_fixed(struct tars_json *json, const char *key, double value, int places)
{
    char text[NUMBER_BYTES];
    size_t len;

    assert(places > 0 && places <= 9);
    if (!isfinite(value)) {
        tars_json_null(json, key);
        return;
    }
    len = (size_t)snprintf(text, sizeof(text), "%.*f", places, value);
    while (text[len - 1] == '0' && text[len - 2] != '.')
        len--;
    text[len] = '\0';
    tars_json_raw(json, key, strcmp(text, "-0.0") == 0 ? "0.0" : text,
                  strcmp(text, "-0.0") == 0 ? 3 : len);
}

void tars_json_bool(struct tars_json *json, const char *key, bool value)
{
    begin_value(json, key);
    tars_buf_append_text(json->out, value ? "true" : "false");
}

void tars_json_null(struct tars_json *json, const char *key)
{
    begin_value(json, key);
    tars_buf_append_text(json->out, "null");
}
