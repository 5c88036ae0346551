/* jsonl - a document a line: {"_id" or "id", "title", "text" or "content" or "body", ...}.
 *
 * The other fields become the document's metadata, as one JSON object. A line that cannot be read
 * is counted and passed over. Lines are streamed, so that memory is that of the longest one.
 */
#include "extract/formats/format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text/normalize.h"

#define LINE_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define READ_BYTES     ((size_t)256 * 1024)
#define DEPTH_MAX      64 /* of a line's nesting; the library itself takes 2,048 */

static const char *const id_names[] = {"_id", "id", "doc_id", NULL};
static const char *const title_names[] = {"title", NULL};
static const char *const text_names[] = {"text", "content", "body", "contents", NULL};

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    size_t at = 0;

    while (at < input->head.len && (input->head.ptr[at] == ' ' || input->head.ptr[at] == '\n' ||
                                    input->head.ptr[at] == '\r'))
        at++;
    return named && at < input->head.len ? TARS_SNIFF_SURE : TARS_SNIFF_NO;
}

struct reader {
    struct tars_sink *sink;
    uint64_t line;         /* number, from 1 */
    struct tars_buf bytes; /* the line so far */
    bool too_long;         /* the rest of the line is skipped */
};

/* First of the names that is a non-empty text; it is taken out of the object into *holder. */
static const char *take_text(json_t *object, const char *const *names, json_t **holder)
{
    for (size_t i = 0; names[i]; i++) {
        json_t *value = json_object_get(object, names[i]);

        if (json_is_string(value)) {
            *holder = json_incref(value);
            (void)json_object_del(object, names[i]);
            return json_string_value(*holder);
        }
    }
    return "";
}

/* The id may be a number. (text, 64) is where such a one is written. */
static bool take_id(json_t *object, json_t **holder, char *text, struct tars_span *id)
{
    for (size_t i = 0; id_names[i]; i++) {
        json_t *value = json_object_get(object, id_names[i]);

        if (!json_is_string(value) && !json_is_integer(value))
            continue;
        *holder = json_incref(value);
        (void)json_object_del(object, id_names[i]);
        if (json_is_string(*holder)) {
            *id = tars_span(json_string_value(*holder), json_string_length(*holder));
        } else {
            (void)snprintf(text, 64, "%lld", (long long)json_integer_value(*holder));
            *id = tars_span_of(text);
        }
        return true;
    }
    return false;
}

/* Text by its empty lines. */
static void write_paragraphs(struct tars_sink *sink, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t len = end ? (size_t)(end - text) : strlen(text);

        tars_sink_block(sink, TARS_BLOCK_PARAGRAPH, 0, 0, text, len);
        text += len;
        text += strspn(text, "\n");
    }
}

static void write_object(struct reader *reader, json_t *object)
{
    json_t *holders[3] = {NULL, NULL, NULL};
    char number[64];
    struct tars_sink_document document = {0};
    const char *title = take_text(object, title_names, &holders[0]);
    const char *text = take_text(object, text_names, &holders[1]);
    char *metadata = NULL;

    document.has_id = take_id(object, &holders[2], number, &document.external_id);
    document.title = tars_span_of(title);
    if (json_object_size(object) > 0)
        metadata = json_dumps(object, JSON_COMPACT);
    document.metadata = tars_span_of(metadata);
    write_paragraphs(reader->sink, text);
    /* Some collections have documents that are a title only. */
    if (reader->sink->blocks == 0)
        tars_sink_block(reader->sink, TARS_BLOCK_PARAGRAPH, 0, 0, title, strlen(title));
    if (reader->sink->blocks == 0 && reader->sink->status == TARS_OK)
        tars_sink_error(reader->sink, "line %llu: no text", (unsigned long long)reader->line);
    tars_sink_document(reader->sink, &document);
    free(metadata);
    for (size_t i = 0; i < 3; i++)
        json_decref(holders[i]);
}

/* Nesting beyond DEPTH_MAX is refused before the library recurses into it. */
static bool is_too_deep(const char *text, size_t len)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == '"') {
                quoted = false;
            }
            continue;
        }
        if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
        }
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

static void read_line(struct reader *reader)
{
    const char *text = reader->bytes.ptr;
    size_t len = reader->bytes.len;
    unsigned long long line = (unsigned long long)reader->line;
    json_error_t error = {0};
    json_t *object;

    if (reader->line == 1 && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        len -= 3;
    }
    while (len > 0 && strchr(" \t\r", text[len - 1]))
        len--;
    if (len == 0)
        return;
    if (is_too_deep(text, len)) {
        tars_sink_error(reader->sink, "line %llu: nested too deep", line);
        return;
    }
    object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(object)) {
        write_object(reader, object);
    } else {
        tars_sink_error(reader->sink, "line %llu: %s", line,
                        object ? "not a JSON object" : error.text);
    }
    json_decref(object);
}

static void end_line(struct reader *reader)
{
    reader->line++;
    if (reader->too_long || reader->bytes.status != TARS_OK) {
        tars_sink_error(reader->sink, "line %llu: longer than %zu MiB",
                        (unsigned long long)reader->line, LINE_MAX_BYTES / ((size_t)1024 * 1024));
    } else if (reader->bytes.len > 0) {
        read_line(reader);
    }
    reader->too_long = false;
    tars_buf_clear(&reader->bytes);
}

static void take(struct reader *reader, const char *bytes, size_t len)
{
    while (len > 0 && reader->sink->status == TARS_OK) {
        const char *end = memchr(bytes, '\n', len);
        size_t step = end ? (size_t)(end - bytes) : len;

        if (!reader->too_long)
            tars_buf_append(&reader->bytes, bytes, step);
        reader->too_long = reader->bytes.status != TARS_OK;
        if (end) {
            end_line(reader);
            step++;
        }
        bytes += step;
        len -= step;
    }
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct reader reader = {.sink = sink};
    char *bytes = malloc(READ_BYTES);
    tars_status status = TARS_OK;

    if (!bytes)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    tars_buf_init(&reader.bytes, LINE_MAX_BYTES);
    while (status == TARS_OK && sink->status == TARS_OK) {
        size_t n = 0;

        status = tars_input_read(input, bytes, READ_BYTES, &n);
        if (status == TARS_OK)
            take(&reader, bytes, n);
    }
    if (status == TARS_ENOTFOUND) {
        status = TARS_OK;
        if (reader.bytes.len > 0 || reader.too_long)
            end_line(&reader);
    } else if (status == TARS_EFORMAT) {
        (void)tars_fail(status, err, "damaged gzip data after line %llu",
                        (unsigned long long)reader.line);
    }
    tars_buf_release(&reader.bytes);
    free(bytes);
    return status;
}

const struct tars_format tars_format_jsonl = {.sniff = sniff, .parse = parse};
