/* chroma_record - see chroma_record.h for the contract. */
#include "vectors/chroma_record.h"

#include <string.h>

#include <jansson.h>

#include "base/sys/clock.h"

#define CHUNK      "_chunk_"
#define ID_BYTES   1024
#define TEXT_BYTES 4096
#define NUMBER_MAX (INT64_C(1) << 53)

/* A text of the metadata, copied; "" where there is none. NULL: no memory. */
static const char *text_of(const json_t *root, const char *key, struct tars_arena *arena)
{
    const json_t *value = json_object_get(root, key);

    if (!json_is_string(value) || json_string_length(value) > TEXT_BYTES)
        return "";
    return tars_arena_strdup(arena, json_string_value(value));
}

static int64_t number_of(const json_t *root, const char *key)
{
    double value = json_number_value(json_object_get(root, key));

    return value >= 0 && value < (double)NUMBER_MAX ? (int64_t)value : 0;
}

/* As number_of(), of what is kept as an int. */
static int64_t small_of(const json_t *root, const char *key)
{
    int64_t value = number_of(root, key);

    return value <= INT32_MAX ? value : 0;
}

static int64_t time_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    int64_t us = 0;

    return text && tars_clock_parse(text, &us) ? us : 0;
}

/* The first of these that says something. */
static const char *first_of(const json_t *root, const char *const *keys, struct tars_arena *arena)
{
    for (; *keys; keys++) {
        const char *text = text_of(root, *keys, arena);

        if (!text || text[0])
            return text;
    }
    return "";
}

static bool is_sha(const char *text)
{
    return strlen(text) == TARS_CHROMA_RECORD_SHA &&
           strspn(text, "0123456789abcdef") == TARS_CHROMA_RECORD_SHA;
}

/* Where "<document>_chunk_<number>" is cut; the whole length where it is no such id. */
static size_t document_length(const char *row_id, int64_t *index)
{
    size_t len = strlen(row_id);
    size_t digits = 0;
    int64_t number = 0;

    while (digits < len && row_id[len - 1 - digits] >= '0' && row_id[len - 1 - digits] <= '9')
        digits++;
    if (digits == 0 || digits > 9 || len - digits <= sizeof(CHUNK) - 1 ||
        memcmp(row_id + len - digits - (sizeof(CHUNK) - 1), CHUNK, sizeof(CHUNK) - 1) != 0)
        return len;
    for (size_t i = len - digits; i < len; i++)
        number = number * 10 + (row_id[i] - '0');
    *index = number;
    return len - digits - (sizeof(CHUNK) - 1);
}

static tars_status name_document(const char *row_id, const json_t *root, struct tars_arena *arena,
                                 struct tars_chroma_record *out)
{
    size_t len = document_length(row_id, &out->chunk_index);

    if (json_is_integer(json_object_get(root, "chunk_index")))
        out->chunk_index = number_of(root, "chunk_index");
    out->document_id = text_of(root, "document_id", arena);
    out->is_said = (out->document_id && out->document_id[0]) || row_id[len] != '\0';
    if (out->document_id && !out->document_id[0])
        out->document_id = tars_arena_strndup(arena, row_id, len);
    return out->document_id ? TARS_OK : TARS_ENOMEM;
}

static tars_status name_file(const json_t *root, struct tars_arena *arena,
                             struct tars_chroma_record *out)
{
    static const char *const paths[] = {"file_path", "source", NULL};
    const char *slash;
    const char *dot;

    out->path = first_of(root, paths, arena);
    out->file_name = text_of(root, "file_name", arena);
    out->file_type = text_of(root, "file_type", arena);
    if (!out->path || !out->file_name || !out->file_type)
        return TARS_ENOMEM;
    slash = strrchr(out->path, '/');
    if (!out->file_name[0])
        out->file_name = slash ? slash + 1 : out->path;
    dot = strrchr(out->file_name, '.');
    if (!out->file_type[0] && dot && dot != out->file_name)
        out->file_type = dot + 1;
    if (out->file_type[0] == '.')
        out->file_type++;
    return TARS_OK;
}

static tars_status fill(const char *row_id, const json_t *root, struct tars_arena *arena,
                        struct tars_chroma_record *out)
{
    static const char *const sections[] = {"section_title", "section", NULL};
    tars_status status = name_document(row_id, root, arena, out);

    if (status == TARS_OK)
        status = name_file(root, arena, out);
    out->title = text_of(root, "title", arena);
    out->section = first_of(root, sections, arena);
    out->hash = text_of(root, "hash", arena);
    if (status != TARS_OK || !out->title || !out->section || !out->hash)
        return TARS_ENOMEM;
    if (!is_sha(out->hash))
        out->hash = "";
    out->file_size = number_of(root, "file_size");
    out->page_count = small_of(root, "page_count");
    out->page = small_of(root, "page_number");
    out->token_count = small_of(root, "token_count");
    out->created_us = time_of(root, "created_at");
    out->modified_us = time_of(root, "modified_at");
    out->indexed_us = time_of(root, "indexed_at");
    return TARS_OK;
}

tars_status tars_chroma_record_read(const char *row_id, const char *metadata,
                                    struct tars_arena *arena, struct tars_chroma_record *out,
                                    struct tars_err *err)
{
    json_t *root = json_loads(metadata ? metadata : "{}", 0, NULL);
    struct tars_chroma_record found = {.chunk_index = 0};
    tars_status status;

    if (!row_id[0] || strlen(row_id) > ID_BYTES) {
        json_decref(root);
        return tars_fail(TARS_EFORMAT, err, "an id of no bytes or of more than %d", ID_BYTES);
    }
    if (!root)
        return tars_fail(TARS_EFORMAT, err, "metadata that are no JSON");
    status = fill(row_id, root, arena, &found);
    json_decref(root);
    if (status == TARS_OK)
        *out = found;
    return status;
}
