/* http1 - see http1.h for the contract.
 *
 * DESIGN
 *
 * Line by line: a line is looked at once, when its LF is there. What it says is written down as
 * offsets. The last line, an empty one, brings the rules that need the whole head.
 *
 *     GET /a?b HTTP/1.1 CRLF   name: value CRLF   name: val
 *     ^0                       ^                  ^line    ^scanned
 *
 * INVARIANTS
 *
 *   1. line <= scanned <= bytes fed so far, and never over max_head.
 *   2. Whether the limit is hit is decided by the first max_head bytes alone, and lines are looked
 * at in order, so that no cutting of the bytes changes the result.
 */
#include "net/http1.h"

#include <assert.h>
#include <string.h>

#include "base/codec/hex.h"

/* The characters of a token (RFC 9110, 5.6.2), a bit each. */
static const uint32_t token_bits[4] = {0, 0x03FF6CFAU, 0xC7FFFFFEU, 0x57FFFFFFU};

static bool is_token_char(unsigned char c)
{
    return c < 128 && (token_bits[c / 32] >> (c % 32) & 1U);
}

static bool is_value_char(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 127);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool tars_http1_is(struct tars_span span, const char *text)
{
    for (size_t i = 0; i < span.len; i++) {
        if (to_lower(span.ptr[i]) != text[i]) /* ends at the NUL of a shorter text */
            return false;
    }
    return text[span.len] == '\0';
}

bool tars_http1_name_is_valid(struct tars_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char((unsigned char)name.ptr[i]))
            return false;
    }
    return name.len > 0;
}

bool tars_http1_value_is_valid(struct tars_span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!is_value_char((unsigned char)value.ptr[i]))
            return false;
    }
    return true;
}

static tars_status refuse(struct tars_http1 *parser, int reject, const char *why)
{
    parser->reject = reject;
    parser->why = why;
    return reject == 414 || reject == 431 ? TARS_ETOOBIG : TARS_EFORMAT;
}

void tars_http1_init(struct tars_http1 *parser, size_t max_head_bytes)
{
    assert(max_head_bytes <= TARS_HTTP1_HEAD_MAX);
    /* All but the table, which is filled as far as header_count says. */
    memset(parser, 0, offsetof(struct tars_http1, headers));
    parser->reject = 0;
    parser->why = NULL;
    parser->max_head = (uint32_t)max_head_bytes;
}

/* ------------------------------------------------------------- request line */

static enum tars_http_method method_of(struct tars_span text)
{
#define X(name)                      \
    if (tars_span_is(text, #name)) { \
        return TARS_HTTP_##name;     \
    }
    TARS_HTTP_METHOD_LIST(X)
#undef X
    return TARS_HTTP_OTHER;
}

/* What a URL may have (RFC 3986), and the few more that browsers send as they are. */
static bool is_target_char(unsigned char c)
{
    return c > ' ' && c < 127 && c != '"' && c != '#' && c != '<' && c != '>' && c != '\\';
}

static bool target_is_valid(struct tars_span target)
{
    for (size_t i = 0; i < target.len; i++) {
        if (!is_target_char((unsigned char)target.ptr[i]))
            return false;
        if (target.ptr[i] == '%' && (target.len - i < 3 || tars_hex_value(target.ptr[i + 1]) < 0 ||
                                     tars_hex_value(target.ptr[i + 2]) < 0))
            return false;
    }
    return target.len > 0;
}

static tars_status read_version(struct tars_http1 *parser, struct tars_span text)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || !is_digit(text.ptr[5]) ||
        text.ptr[6] != '.' || !is_digit(text.ptr[7]))
        return refuse(parser, 400, "the request line has no valid version");
    if (text.ptr[5] != '1' || text.ptr[7] > '1')
        return refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    parser->minor = text.ptr[7] - '0';
    return TARS_OK;
}

static tars_status check_target(struct tars_http1 *parser, struct tars_span target)
{
    if (tars_span_is(target, "*") && parser->method == TARS_HTTP_OPTIONS)
        return TARS_OK;
    if (!target_is_valid(target) || target.ptr[0] != '/')
        return refuse(parser, 400, "the request target must be a path that begins with '/'");
    return TARS_OK;
}

static tars_status read_request_line(struct tars_http1 *parser, const char *base,
                                     struct tars_span line)
{
    const char *space = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
    const char *second;
    struct tars_span method;
    struct tars_span target;
    size_t left;
    tars_status status;

    if (!space)
        return refuse(parser, 400, "the request line is malformed");
    left = line.len - (size_t)(space - line.ptr) - 1;
    second = left ? memchr(space + 1, ' ', left) : NULL;
    if (!second)
        return refuse(parser, 400, "the request line is malformed");

    method = tars_span(line.ptr, (size_t)(space - line.ptr));
    target = tars_span(space + 1, (size_t)(second - space) - 1);
    if (!tars_http1_name_is_valid(method) || method.len > TARS_HTTP1_METHOD_MAX)
        return refuse(parser, 400, "the method is malformed");
    parser->method = method_of(method);
    status = check_target(parser, target);
    if (status)
        return status;
    status = read_version(parser, tars_span(second + 1, left - target.len - 1));
    if (status)
        return status;

    parser->method_text =
        (struct tars_http1_piece){(uint32_t)(method.ptr - base), (uint32_t)method.len};
    parser->target = (struct tars_http1_piece){(uint32_t)(target.ptr - base), (uint32_t)target.len};
    parser->has_request = true;
    return TARS_OK;
}

/* ------------------------------------------------------------------ headers */

static struct tars_span trim(struct tars_span text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static tars_status read_length(struct tars_http1 *parser, struct tars_span value)
{
    uint64_t length = 0;

    if (parser->has_length)
        return refuse(parser, 400, "content-length was sent twice");
    if (value.len == 0 || value.len > 18)
        return refuse(parser, 400, "content-length is not a number");
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.ptr[i]))
            return refuse(parser, 400, "content-length is not a number");
        length = length * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    parser->has_length = true;
    parser->content_length = length;
    return TARS_OK;
}

static tars_status read_coding(struct tars_http1 *parser, struct tars_span value)
{
    if (parser->has_coding)
        return refuse(parser, 400, "transfer-encoding was sent twice");
    parser->has_coding = true;
    if (value.len == 0)
        return refuse(parser, 400, "transfer-encoding has no value");
    if (!tars_http1_is(value, "chunked"))
        return refuse(parser, 501, "the only transfer coding known here is chunked");
    parser->is_chunked = true;
    return TARS_OK;
}

static bool is_host_char(char c)
{
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
           (c && strchr("-._~!$&'()*+,;=%:[]", c));
}

static tars_status read_host(struct tars_http1 *parser, struct tars_span value)
{
    if (parser->has_host)
        return refuse(parser, 400, "host was sent twice");
    if (value.len == 0)
        return refuse(parser, 400, "host is empty");
    for (size_t i = 0; i < value.len; i++) {
        if (!is_host_char(value.ptr[i]))
            return refuse(parser, 400, "host is malformed");
    }
    parser->has_host = true;
    return TARS_OK;
}

static tars_status read_connection(struct tars_http1 *parser, struct tars_span value)
{
    while (value.len) {
        const char *comma = memchr(value.ptr, ',', value.len);
        size_t len = comma ? (size_t)(comma - value.ptr) : value.len;
        struct tars_span word = trim(tars_span(value.ptr, len));

        parser->says_close |= tars_http1_is(word, "close");
        parser->says_keep_alive |= tars_http1_is(word, "keep-alive");
        parser->says_upgrade |= tars_http1_is(word, "upgrade");
        value.ptr += len + (comma ? 1 : 0);
        value.len -= len + (comma ? 1 : 0);
    }
    return TARS_OK;
}

static tars_status read_expect(struct tars_http1 *parser, struct tars_span value)
{
    if (!tars_http1_is(value, "100-continue"))
        return refuse(parser, 417, "the only expectation known here is 100-continue");
    parser->has_expect = true;
    return TARS_OK;
}

/* The headers that say where the request ends, and who may use the connection after it. */
static tars_status understand(struct tars_http1 *parser, const char *base,
                              const struct tars_http1_field *field)
{
    struct tars_span name = tars_http1_span(base, field->name);
    struct tars_span value = tars_http1_span(base, field->value);

    if (tars_http1_is(name, "content-length"))
        return read_length(parser, value);
    if (tars_http1_is(name, "transfer-encoding"))
        return read_coding(parser, value);
    if (tars_http1_is(name, "host"))
        return read_host(parser, value);
    if (tars_http1_is(name, "connection"))
        return read_connection(parser, value);
    if (tars_http1_is(name, "expect"))
        return read_expect(parser, value);
    if (tars_http1_is(name, "upgrade"))
        parser->upgrade = field->value;
    return TARS_OK;
}

static tars_status read_header(struct tars_http1 *parser, const char *base, struct tars_span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct tars_http1_field *field = &parser->headers[parser->header_count];
    struct tars_span name;
    struct tars_span value;

    if (parser->header_count == TARS_HTTP1_HEADERS_MAX)
        return refuse(parser, 431, "too many headers");
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return refuse(parser, 400, "a header is folded over two lines");
    if (!colon)
        return refuse(parser, 400, "a header has no colon");
    name = tars_span(line.ptr, (size_t)(colon - line.ptr));
    value = trim(tars_span(colon + 1, line.len - name.len - 1));
    if (!tars_http1_name_is_valid(name))
        return refuse(parser, 400, "the name of a header is malformed");
    if (!tars_http1_value_is_valid(value))
        return refuse(parser, 400, "the value of a header has a control character");

    field->name = (struct tars_http1_piece){(uint32_t)(name.ptr - base), (uint32_t)name.len};
    field->value = (struct tars_http1_piece){(uint32_t)(value.ptr - base), (uint32_t)value.len};
    parser->header_count++;
    return understand(parser, base, field);
}

/* The rules that need the whole head. */
static tars_status finish(struct tars_http1 *parser)
{
    if (parser->minor == 1 && !parser->has_host)
        return refuse(parser, 400, "host is missing");
    if (parser->has_coding && parser->has_length)
        return refuse(parser, 400, "content-length and transfer-encoding exclude each other");
    if (parser->has_coding && parser->minor == 0)
        return refuse(parser, 400, "HTTP/1.0 has no transfer-encoding");
    parser->keep_alive = !parser->says_close && (parser->minor == 1 || parser->says_keep_alive);
    parser->expects_continue = parser->has_expect && parser->minor == 1;
    parser->wants_upgrade = parser->says_upgrade && parser->upgrade.len > 0;
    return TARS_OK;
}

/* ---------------------------------------------------------------- the lines */

/* A complete line, without its CRLF. TARS_EAGAIN: go on with the next one. */
static tars_status read_line(struct tars_http1 *parser, const char *base, struct tars_span line)
{
    tars_status status;

    if (line.len == 0 && !parser->has_request) {
        if (parser->has_blank)
            return refuse(parser, 400, "the request line is empty");
        parser->has_blank = true;
        return TARS_EAGAIN;
    }
    if (line.len == 0) {
        parser->head_len = parser->scanned;
        return finish(parser);
    }
    status = parser->has_request ? read_header(parser, base, line)
                                 : read_request_line(parser, base, line);
    return status ? status : TARS_EAGAIN;
}

tars_status tars_http1_feed(struct tars_http1 *parser, const char *ptr, size_t len)
{
    size_t end = len < parser->max_head ? len : parser->max_head;
    tars_status status;

    if (parser->reject)
        return refuse(parser, parser->reject, parser->why);
    while (parser->scanned < end) {
        const char *lf = memchr(ptr + parser->scanned, '\n', end - parser->scanned);
        size_t line_end;

        if (!lf) {
            parser->scanned = (uint32_t)end;
            break;
        }
        line_end = (size_t)(lf - ptr);
        parser->scanned = (uint32_t)line_end + 1;
        if (line_end == parser->line || ptr[line_end - 1] != '\r')
            return refuse(parser, 400, "a line does not end in CRLF");
        status = read_line(parser, ptr, tars_span(ptr + parser->line, line_end - 1 - parser->line));
        if (status != TARS_EAGAIN)
            return status;
        parser->line = parser->scanned;
    }
    if (end < parser->max_head)
        return TARS_EAGAIN;
    return parser->has_request ? refuse(parser, 431, "the headers are too large")
                               : refuse(parser, 414, "the request target is too long");
}
