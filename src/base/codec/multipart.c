/* multipart - see multipart.h for the contract.
 *
 *     preamble CRLF --b CRLF  headers CRLF CRLF body CRLF --b CRLF ... CRLF --b-- epilogue
 *
 * A body ends at CRLF "--" boundary, wherever that stands: RFC 2046 forbids it in a body. The first
 * delimiter may stand at the very beginning, without its CRLF.
 */
#include "base/codec/multipart.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/codec/hex.h"

enum { START, PARTS, ENDED, BROKEN, TOO_BIG };

#define FILE_NAME_MAX 255 /* bytes, as file systems have it */

static struct tars_span skip(struct tars_span span, size_t n)
{
    return tars_span(span.ptr + n, span.len - n);
}

static struct tars_span trim(struct tars_span span)
{
    while (span.len && (span.ptr[0] == ' ' || span.ptr[0] == '\t'))
        span = skip(span, 1);
    while (span.len && (span.ptr[span.len - 1] == ' ' || span.ptr[span.len - 1] == '\t'))
        span.len--;
    return span;
}

static bool is_word(struct tars_span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp(span.ptr, text, span.len) == 0;
}

/* --------------------------------------------------------------- parameters */

static bool take_quoted(struct tars_span *rest, struct tars_span *value)
{
    size_t end = 1;

    while (end < rest->len && rest->ptr[end] != '"')
        end += rest->ptr[end] == '\\' && end + 1 < rest->len ? 2 : 1;
    if (end >= rest->len)
        return false;
    *value = tars_span(rest->ptr + 1, end - 1);
    *rest = skip(*rest, end + 1);
    return true;
}

/* Take the next "; name=value" off *rest. 1 there was one, 0 the end, -1 malformed. */
static int take_param(struct tars_span *rest, struct tars_span *name, struct tars_span *value)
{
    const char *equals;
    const char *end;

    *rest = trim(*rest);
    if (rest->len == 0)
        return 0;
    if (rest->ptr[0] != ';')
        return -1;
    *rest = trim(skip(*rest, 1));
    if (rest->len == 0)
        return 0;
    equals = memchr(rest->ptr, '=', rest->len);
    if (!equals)
        return -1;
    *name = tars_span(rest->ptr, (size_t)(equals - rest->ptr));
    *rest = skip(*rest, name->len + 1);
    if (rest->len && rest->ptr[0] == '"')
        return take_quoted(rest, value) ? 1 : -1;
    end = rest->len ? memchr(rest->ptr, ';', rest->len) : NULL;
    *value = trim(tars_span(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len));
    *rest = skip(*rest, end ? (size_t)(end - rest->ptr) : rest->len);
    return 1;
}

/* What stands before the first parameter. */
static struct tars_span take_word(struct tars_span *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, ';', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct tars_span word = trim(tars_span(rest->ptr, len));

    *rest = skip(*rest, len);
    return word;
}

static bool boundary_is_valid(struct tars_span boundary)
{
    if (boundary.len == 0 || boundary.len > TARS_MULTIPART_BOUNDARY_MAX)
        return false;
    for (size_t i = 0; i < boundary.len; i++) {
        char c = boundary.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c && strchr("'()+_,-./:=? ", c))))
            return false;
    }
    return boundary.ptr[boundary.len - 1] != ' ';
}

tars_status tars_multipart_boundary(struct tars_span content_type, struct tars_span *boundary)
{
    struct tars_span rest = content_type;
    struct tars_span name;
    struct tars_span value;

    if (!is_word(take_word(&rest), "multipart/form-data"))
        return TARS_EUNSUPPORTED;
    while (take_param(&rest, &name, &value) > 0) {
        if (!is_word(name, "boundary"))
            continue;
        if (!boundary_is_valid(value))
            return TARS_EFORMAT;
        *boundary = value;
        return TARS_OK;
    }
    return TARS_EFORMAT;
}

/* ------------------------------------------------------------------ headers */

static bool read_disposition(struct tars_span rest, struct tars_multipart_part *part)
{
    struct tars_span name;
    struct tars_span value;
    bool has_name = false;
    int got;

    if (!is_word(take_word(&rest), "form-data"))
        return false;
    while ((got = take_param(&rest, &name, &value)) > 0) {
        bool is_extended = is_word(name, "filename*");

        if (is_word(name, "name")) {
            if (has_name)
                return false;
            part->name = value;
            has_name = true;
        } else if (is_extended || (is_word(name, "filename") && !part->filename_is_extended)) {
            part->filename = value;
            part->has_filename = true;
            part->filename_is_extended = is_extended;
        }
    }
    return got == 0 && has_name;
}

/* One header line; *has_disposition becomes true with a good content-disposition. */
static bool read_line(struct tars_span line, struct tars_multipart_part *part,
                      bool *has_disposition)
{
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    struct tars_span name;
    struct tars_span value;

    if (!colon || memchr(line.ptr, '\0', line.len))
        return false;
    name = tars_span(line.ptr, (size_t)(colon - line.ptr));
    value = trim(skip(line, name.len + 1));
    if (is_word(name, "content-type"))
        part->content_type = value;
    if (!is_word(name, "content-disposition"))
        return true;
    if (*has_disposition || !read_disposition(value, part))
        return false;
    *has_disposition = true;
    return true;
}

/* The headers of a part, up to its empty line; *rest is behind that. */
static tars_status read_head(struct tars_span *rest, struct tars_multipart_part *part)
{
    size_t limit = rest->len < TARS_MULTIPART_HEAD_MAX ? rest->len : TARS_MULTIPART_HEAD_MAX;
    struct tars_span head = tars_span(rest->ptr, limit);
    bool has_disposition = false;

    for (;;) {
        const char *end = head.len ? memmem(head.ptr, head.len, "\r\n", 2) : NULL;
        struct tars_span line;

        if (!end)
            return limit < rest->len ? TARS_ETOOBIG : TARS_EFORMAT;
        line = tars_span(head.ptr, (size_t)(end - head.ptr));
        head = skip(head, line.len + 2);
        if (line.len == 0)
            break;
        if (!read_line(line, part, &has_disposition))
            return TARS_EFORMAT;
    }
    *rest = skip(*rest, (size_t)(head.ptr - rest->ptr));
    return has_disposition ? TARS_OK : TARS_EFORMAT;
}

/* ------------------------------------------------------------------- reader */

void tars_multipart_init(struct tars_multipart *reader, struct tars_span body,
                         struct tars_span boundary)
{
    assert(boundary.len <= TARS_MULTIPART_BOUNDARY_MAX);
    *reader = (struct tars_multipart){.rest = body, .state = START};
    memcpy(reader->delimiter, "\r\n--", 4);
    memcpy(reader->delimiter + 4, boundary.ptr, boundary.len);
    reader->delimiter_len = boundary.len + 4;
}

/* Where the next delimiter begins, in rest, or NULL. */
static const char *find_delimiter(const struct tars_multipart *reader, struct tars_span rest)
{
    return rest.len ? memmem(rest.ptr, rest.len, reader->delimiter, reader->delimiter_len) : NULL;
}

/* What follows a delimiter: 1 a part, 0 the end, -1 neither. Takes it off rest. */
static int after_delimiter(struct tars_multipart *reader)
{
    struct tars_span *rest = &reader->rest;

    if (rest->len >= 2 && memcmp(rest->ptr, "--", 2) == 0)
        return 0;
    while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
        *rest = skip(*rest, 1);
    if (rest->len < 2 || memcmp(rest->ptr, "\r\n", 2) != 0)
        return -1;
    *rest = skip(*rest, 2);
    return 1;
}

static bool find_first(struct tars_multipart *reader)
{
    size_t len = reader->delimiter_len;
    const char *at;

    if (reader->rest.len >= len - 2 &&
        memcmp(reader->rest.ptr, reader->delimiter + 2, len - 2) == 0) {
        reader->rest = skip(reader->rest, len - 2);
        return true;
    }
    at = find_delimiter(reader, reader->rest);
    if (!at)
        return false;
    reader->rest = skip(reader->rest, (size_t)(at - reader->rest.ptr) + len);
    return true;
}

static tars_status read_part(struct tars_multipart *reader, struct tars_multipart_part *part)
{
    struct tars_multipart_part found = {.has_filename = false};
    tars_status status = read_head(&reader->rest, &found);
    const char *end;

    if (status)
        return status;
    /* An empty body: the delimiter's CRLF is the one that ended the head. */
    found.body = tars_span(reader->rest.ptr - 2, reader->rest.len + 2);
    end = find_delimiter(reader, found.body);
    if (!end)
        return TARS_EFORMAT;
    if (end == found.body.ptr) {
        found.body = tars_span(reader->rest.ptr, 0);
    } else {
        found.body = tars_span(reader->rest.ptr, (size_t)(end - reader->rest.ptr));
    }
    reader->rest = skip(reader->rest, (size_t)(end - reader->rest.ptr) + reader->delimiter_len);
    *part = found;
    return TARS_OK;
}

static tars_status next(struct tars_multipart *reader, struct tars_multipart_part *part)
{
    int follows;

    if (reader->state == START && !find_first(reader))
        return TARS_EFORMAT;
    reader->state = PARTS;
    follows = after_delimiter(reader);
    if (follows < 0)
        return TARS_EFORMAT;
    if (follows == 0)
        return TARS_ENOTFOUND;
    if (reader->parts == TARS_MULTIPART_PARTS_MAX)
        return TARS_ETOOBIG;
    reader->parts++;
    return read_part(reader, part);
}

tars_status tars_multipart_next(struct tars_multipart *reader, struct tars_multipart_part *part)
{
    tars_status status;

    switch (reader->state) {
    case ENDED:
        return TARS_ENOTFOUND;
    case BROKEN:
        return TARS_EFORMAT;
    case TOO_BIG:
        return TARS_ETOOBIG;
    default:
        break;
    }
    status = next(reader, part);
    if (status == TARS_ENOTFOUND) {
        reader->state = ENDED;
    } else if (status == TARS_ETOOBIG) {
        reader->state = TOO_BIG;
    } else if (status) {
        reader->state = BROKEN;
    }
    return status;
}

/* --------------------------------------------------------------- file names */

/* Decode in place what browsers (%22, %0D, %0A), RFC 5987 (all %XX) and quoted-pair (\") escape. A
 * '%' that escapes nothing stands for itself in a plain name. */
static size_t unescape(char *name, size_t len, bool is_extended)
{
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len && name[i] == '%' ? tars_hex_value(name[i + 1]) : -1;
        int low = high >= 0 ? tars_hex_value(name[i + 2]) : -1;
        int byte = low >= 0 ? high * 16 + low : -1;

        if (byte >= 0 && (is_extended || byte == '"' || byte == '\r' || byte == '\n')) {
            name[out++] = (char)byte;
            i += 2;
        } else if (name[i] == '\\' && i + 1 < len && name[i + 1] == '"') {
            name[out++] = name[++i];
        } else {
            name[out++] = name[i];
        }
    }
    return out;
}

/* Cut "UTF-8'language'" off. */
static bool strip_charset(struct tars_span *name)
{
    const char *quote;

    if (name->len < 7 || strncasecmp(name->ptr, "utf-8'", 6) != 0)
        return false;
    *name = skip(*name, 6);
    quote = memchr(name->ptr, '\'', name->len);
    if (!quote)
        return false;
    *name = skip(*name, (size_t)(quote - name->ptr) + 1);
    return true;
}

tars_status tars_multipart_file_name(const struct tars_multipart_part *part,
                                     struct tars_arena *arena, char **name)
{
    struct tars_span raw = part->filename;
    size_t len;
    size_t base = 0;
    char *text;

    if (part->filename_is_extended && !strip_charset(&raw))
        return TARS_EFORMAT;
    text = tars_arena_strndup(arena, raw.len ? raw.ptr : "", raw.len);
    if (!text)
        return TARS_ENOMEM;
    len = unescape(text, raw.len, part->filename_is_extended);
    text[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '/' || text[i] == '\\') {
            base = i + 1;
        } else if ((unsigned char)text[i] < ' ' || text[i] == 127) {
            text[i] = '_';
        }
    }
    len -= base;
    text += base;
    if (len == 0 || len > FILE_NAME_MAX || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return TARS_EFORMAT;
    *name = text;
    return TARS_OK;
}
