/* trace_context - see trace_context.h for the contract. */
#include "obs/trace_context.h"

#include <string.h>

#define VERSION_AT   0
#define TRACE_AT     3
#define SPAN_AT      36
#define FLAGS_AT     53
#define LENGTH       55 /* of version 00; later ones may go on behind a dash */
#define TRACE_DIGITS (TARS_TRACE_ID_BYTES - 1)
#define FLAG_SAMPLED 1U
#define MEMBERS_MAX  32
#define KEY_MAX      256
#define TENANT_MAX   241
#define SYSTEM_MAX   14
#define VALUE_MAX    256

/* ------------------------------------------------------------------ traceparent */

/* 0..15, or 16: no lower-case hex digit. */
static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* count digits into *value, the last 64 bits of it; *any says that some digit is not 0. */
static bool read_hex(const char *ptr, size_t count, uint64_t *value, bool *any)
{
    *value = 0;
    *any = false;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = digit_of(ptr[i]);

        if (digit > 15)
            return false;
        *value = *value << 4U | digit;
        *any = *any || digit;
    }
    return true;
}

static bool has_dashes(const char *ptr)
{
    return ptr[TRACE_AT - 1] == '-' && ptr[SPAN_AT - 1] == '-' && ptr[FLAGS_AT - 1] == '-';
}

bool tars_traceparent_parse(const char *ptr, size_t len, struct tars_trace *trace)
{
    uint64_t version;
    uint64_t low;
    uint64_t span;
    uint64_t flags;
    bool any;
    bool has_trace;
    bool has_span;

    if (len < LENGTH || !has_dashes(ptr))
        return false;
    if (!read_hex(ptr + VERSION_AT, 2, &version, &any) || version == 0xff)
        return false;
    if (version == 0 ? len != LENGTH : len > LENGTH && ptr[LENGTH] != '-')
        return false;
    if (!read_hex(ptr + TRACE_AT, TRACE_DIGITS, &low, &has_trace) || !has_trace ||
        !read_hex(ptr + SPAN_AT, TARS_SPAN_ID_DIGITS, &span, &has_span) || !has_span ||
        !read_hex(ptr + FLAGS_AT, 2, &flags, &any))
        return false;
    memcpy(trace->id, ptr + TRACE_AT, TRACE_DIGITS);
    trace->id[TRACE_DIGITS] = '\0';
    trace->span = span;
    trace->is_remote = true;
    trace->sampled = flags & FLAG_SAMPLED;
    return true;
}

void tars_trace_hex(char *out, uint64_t value)
{
    for (size_t i = TARS_SPAN_ID_DIGITS; i > 0; i--) {
        out[i - 1] = "0123456789abcdef"[value & 15U];
        value >>= 4U;
    }
}

bool tars_traceparent_write(const struct tars_trace *trace, char *out)
{
    if (!trace->id[0] || !trace->span)
        return false;
    out[0] = out[1] = '0'; /* the version */
    out[TRACE_AT - 1] = '-';
    memcpy(out + TRACE_AT, trace->id, TRACE_DIGITS);
    out[SPAN_AT - 1] = '-';
    tars_trace_hex(out + SPAN_AT, trace->span);
    memcpy(out + FLAGS_AT - 1, trace->sampled ? "-01" : "-00", 4);
    return true;
}

/* ------------------------------------------------------------------- tracestate */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_decimal(char c)
{
    return c >= '0' && c <= '9';
}

/* All of (ptr, len), of which the first may be a digit where a tenant is named. */
static bool is_name(const char *ptr, size_t len, size_t max, bool may_begin_with_digit)
{
    if (len == 0 || len > max)
        return false;
    if (!is_lower(ptr[0]) && !(may_begin_with_digit && is_decimal(ptr[0])))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!is_lower(ptr[i]) && !is_decimal(ptr[i]) && (!ptr[i] || !strchr("_-*/", ptr[i])))
            return false;
    }
    return true;
}

static bool is_key(const char *ptr, size_t len)
{
    const char *at = len ? memchr(ptr, '@', len) : NULL;
    size_t tenant = at ? (size_t)(at - ptr) : 0;

    if (!at)
        return is_name(ptr, len, KEY_MAX, false);
    return is_name(ptr, tenant, TENANT_MAX, true) &&
           is_name(at + 1, len - tenant - 1, SYSTEM_MAX, false);
}

static bool is_value(const char *ptr, size_t len)
{
    if (len == 0 || len > VALUE_MAX || ptr[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (ptr[i] < ' ' || ptr[i] > '~' || ptr[i] == ',' || ptr[i] == '=')
            return false;
    }
    return true;
}

static struct tars_span trim(const char *ptr, size_t len)
{
    while (len && (*ptr == ' ' || *ptr == '\t')) {
        ptr++;
        len--;
    }
    while (len && (ptr[len - 1] == ' ' || ptr[len - 1] == '\t'))
        len--;
    return tars_span(ptr, len);
}

static bool is_known(const struct tars_span *keys, size_t count, struct tars_span key)
{
    for (size_t i = 0; i < count; i++) {
        if (tars_span_equal(keys[i], key))
            return true;
    }
    return false;
}

/* A member that is not empty; its key goes to the keys. */
static bool take_member(struct tars_span member, struct tars_span *keys, size_t *count)
{
    const char *equals = memchr(member.ptr, '=', member.len);
    struct tars_span key = tars_span(member.ptr, equals ? (size_t)(equals - member.ptr) : 0);

    if (!equals || *count == MEMBERS_MAX || !is_key(key.ptr, key.len) ||
        is_known(keys, *count, key) || !is_value(equals + 1, member.len - key.len - 1))
        return false;
    keys[(*count)++] = key;
    return true;
}

bool tars_tracestate_is_good(const char *ptr, size_t len)
{
    struct tars_span keys[MEMBERS_MAX];
    size_t count = 0;

    if (len > TARS_TRACESTATE_MAX)
        return false;
    while (len) {
        const char *comma = memchr(ptr, ',', len);
        size_t piece = comma ? (size_t)(comma - ptr) : len;
        struct tars_span member = trim(ptr, piece);

        if (member.len && !take_member(member, keys, &count))
            return false;
        ptr += piece + (comma != NULL);
        len -= piece + (comma != NULL);
    }
    return count > 0;
}
