/* chroma_wire - see chroma_wire.h for the contract. */
#include "vectors/chroma_wire.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec/hex.h"
#include "base/codec/json_write.h"

#define NEIGHBOURS   16  /* of a vector in the graph */
#define EF_BUILD     200 /* candidates while it is built */
#define EF_SEARCH    200 /* and while it is searched, at least */
#define NUMBER_BYTES 24
#define FLOAT_DIGITS 9 /* that bring back every float */
#define VALUE_MAX    1e30

const char *tars_chroma_api_text(enum tars_chroma_api api)
{
    return api == TARS_CHROMA_V1 ? "v1" : "v2";
}

/* ------------------------------------------------------------------ requests */

/* The members of a JSON object that is not empty, without its braces. */
static void write_members(struct tars_buf *out, const char *object)
{
    size_t len = strlen(object);

    tars_buf_append(out, object + 1, len - 2);
}

void tars_chroma_write_collection(struct tars_buf *out, enum tars_chroma_api api, const char *name,
                                  const char *space, const char *metadata)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "name", name);
    tars_json_bool(&json, "get_or_create", true);
    if (api == TARS_CHROMA_V2) {
        tars_json_raw(&json, "metadata", metadata, strlen(metadata));
        tars_json_object(&json, "configuration");
        tars_json_object(&json, "hnsw");
        tars_json_text(&json, "space", space);
        tars_json_int(&json, "max_neighbors", NEIGHBOURS);
        tars_json_int(&json, "ef_construction", EF_BUILD);
        tars_json_int(&json, "ef_search", EF_SEARCH);
        tars_json_end(&json);
        tars_json_end(&json);
        tars_json_end(&json);
        return;
    }
    tars_buf_append_text(out, ",\"metadata\":{");
    write_members(out, metadata);
    tars_buf_appendf(out,
                     ",\"hnsw:space\":\"%s\",\"hnsw:M\":%d,\"hnsw:construction_ef\":%d,"
                     "\"hnsw:search_ef\":%d}}",
                     space, NEIGHBOURS, EF_BUILD, EF_SEARCH);
}

void tars_chroma_write_metadata(struct tars_buf *out, const char *metadata)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_raw(&json, "new_metadata", metadata, strlen(metadata));
    tars_json_end(&json);
}

static void write_vector(struct tars_json *json, const float *vector, size_t dim)
{
    char text[NUMBER_BYTES];

    tars_json_array(json, NULL);
    for (size_t i = 0; i < dim; i++) {
        int len = snprintf(text, sizeof(text), "%.*g", FLOAT_DIGITS, (double)vector[i]);

        tars_json_raw(json, NULL, text, (size_t)len);
    }
    tars_json_end(json);
}

void tars_chroma_write_rows(struct tars_buf *out, const struct tars_chroma_row *rows, size_t n,
                            size_t dim)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_array(&json, "ids");
    for (size_t i = 0; i < n; i++)
        tars_json_text(&json, NULL, rows[i].id);
    tars_json_end(&json);
    tars_json_array(&json, "embeddings");
    for (size_t i = 0; i < n; i++)
        write_vector(&json, rows[i].vector, dim);
    tars_json_end(&json);
    tars_json_array(&json, "metadatas");
    for (size_t i = 0; i < n; i++)
        tars_json_raw(&json, NULL, rows[i].metadata, strlen(rows[i].metadata));
    tars_json_end(&json);
    if (n > 0 && rows[0].text) {
        tars_json_array(&json, "documents");
        for (size_t i = 0; i < n; i++)
            tars_json_text_n(&json, NULL, rows[i].text, rows[i].text_len);
        tars_json_end(&json);
    }
    tars_json_end(&json);
}

static void write_choice(struct tars_json *json, const struct tars_chroma_wish *wish)
{
    if (wish->ids) {
        tars_json_array(json, "ids");
        for (size_t i = 0; i < wish->id_count; i++)
            tars_json_text(json, NULL, wish->ids[i]);
        tars_json_end(json);
    }
    if (wish->where)
        tars_json_raw(json, "where", wish->where, strlen(wish->where));
}

void tars_chroma_write_delete(struct tars_buf *out, const struct tars_chroma_wish *wish)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    write_choice(&json, wish);
    tars_json_end(&json);
}

void tars_chroma_write_get(struct tars_buf *out, const struct tars_chroma_wish *wish)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    write_choice(&json, wish);
    if (wish->limit)
        tars_json_int(&json, "limit", (int64_t)wish->limit);
    if (wish->offset)
        tars_json_int(&json, "offset", (int64_t)wish->offset);
    tars_json_array(&json, "include");
    if (wish->include & TARS_CHROMA_VECTORS)
        tars_json_text(&json, NULL, "embeddings");
    if (wish->include & TARS_CHROMA_TEXTS)
        tars_json_text(&json, NULL, "documents");
    if (wish->include & TARS_CHROMA_METADATA)
        tars_json_text(&json, NULL, "metadatas");
    tars_json_end(&json);
    tars_json_end(&json);
}

void tars_chroma_write_query(struct tars_buf *out, const float *vector, size_t dim, size_t n,
                             const char *where)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_array(&json, "query_embeddings");
    write_vector(&json, vector, dim);
    tars_json_end(&json);
    tars_json_int(&json, "n_results", (int64_t)n);
    if (where)
        tars_json_raw(&json, "where", where, strlen(where));
    tars_json_array(&json, "include");
    tars_json_text(&json, NULL, "distances");
    tars_json_end(&json);
    tars_json_end(&json);
}

/* ------------------------------------------------------------------- replies */

static tars_status load(struct tars_span body, json_t **root, struct tars_err *err)
{
    json_error_t where;

    *root = json_loadb(body.len ? body.ptr : "", body.len,
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (*root)
        return TARS_OK;
    if (json_error_code(&where) == json_error_out_of_memory)
        return TARS_ENOMEM;
    return tars_fail(TARS_EFORMAT, err, "ChromaDB answered with something that is no JSON: %s",
                     where.text);
}

static tars_status strange(struct tars_err *err, const char *what)
{
    return tars_fail(TARS_EFORMAT, err, "ChromaDB answered with %s that is none", what);
}

/* The characters of a UUID, so that it can stand in a path. */
static bool is_uuid(const char *text, size_t len)
{
    if (len != TARS_CHROMA_UUID_BYTES - 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? text[i] != '-' : tars_hex_value(text[i]) < 0)
            return false;
    }
    return true;
}

/* A string without NULs, copied; NULL: it is none, or there is no memory (arena->failed). */
static const char *copy_name(const json_t *value, struct tars_arena *arena)
{
    size_t len = json_string_length(value);

    if (!json_is_string(value) || memchr(json_string_value(value), '\0', len))
        return NULL;
    return tars_arena_strndup(arena, json_string_value(value), len);
}

static const char *copy_object(const json_t *value, struct tars_arena *arena)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
    const char *copy = text ? tars_arena_strdup(arena, text) : NULL;

    free(text);
    return copy;
}

/* Where a server of either kind says how it measures. */
static const char *space_of(const json_t *root)
{
    const json_t *settings = json_object_get(root, "configuration_json");
    const char *of_index =
        json_string_value(json_object_get(json_object_get(settings, "hnsw"), "space"));
    const char *of_cloud =
        json_string_value(json_object_get(json_object_get(settings, "spann"), "space"));
    const char *of_v1 =
        json_string_value(json_object_get(json_object_get(root, "metadata"), "hnsw:space"));

    if (of_v1)
        return of_v1;
    if (of_index)
        return of_index;
    return of_cloud ? of_cloud : "";
}

static tars_status fill_collection(const json_t *root, struct tars_arena *arena,
                                   struct tars_chroma_collection *out, struct tars_err *err)
{
    const json_t *id = json_object_get(root, "id");
    const json_t *dim = json_object_get(root, "dimension");
    const json_t *metadata = json_object_get(root, "metadata");
    json_int_t length = json_is_integer(dim) ? json_integer_value(dim) : 0;
    struct tars_chroma_collection found = {.dim = 0};

    if (!json_is_string(id) || !is_uuid(json_string_value(id), json_string_length(id)) ||
        length < 0 || length > TARS_CHROMA_DIM_MAX)
        return strange(err, "a collection");
    memcpy(found.id, json_string_value(id), TARS_CHROMA_UUID_BYTES - 1);
    found.dim = (size_t)length;
    (void)snprintf(found.space, sizeof(found.space), "%s", space_of(root));
    found.metadata = json_is_object(metadata) ? copy_object(metadata, arena) : "{}";
    if (!found.metadata)
        return TARS_ENOMEM;
    *out = found;
    return TARS_OK;
}

tars_status tars_chroma_read_collection(struct tars_span body, struct tars_arena *arena,
                                        struct tars_chroma_collection *out, struct tars_err *err)
{
    json_t *root;
    tars_status status = load(body, &root, err);

    if (status != TARS_OK)
        return status;
    status = fill_collection(root, arena, out, err);
    json_decref(root);
    return status;
}

tars_status tars_chroma_read_count(struct tars_span body, size_t *count, struct tars_err *err)
{
    json_t *root;
    tars_status status = load(body, &root, err);

    if (status != TARS_OK)
        return status;
    if (!json_is_integer(root) || json_integer_value(root) < 0) {
        status = strange(err, "a count");
    } else {
        *count = (size_t)json_integer_value(root);
    }
    json_decref(root);
    return status;
}

tars_status tars_chroma_read_limit(struct tars_span body, size_t *rows, struct tars_err *err)
{
    json_t *root;
    tars_status status = load(body, &root, err);
    const json_t *limit;

    if (status != TARS_OK)
        return status;
    limit = json_object_get(root, "max_batch_size");
    if (!json_is_object(root) ||
        (limit && (!json_is_integer(limit) || json_integer_value(limit) < 0))) {
        status = strange(err, "a limit");
    } else {
        *rows = (size_t)json_integer_value(limit);
    }
    json_decref(root);
    return status;
}

/* -------------------------------------------------------------------- vectors */

static bool copy_vector(const json_t *from, size_t dim, float *to)
{
    if (!json_is_array(from) || json_array_size(from) != dim)
        return false;
    for (size_t i = 0; i < dim; i++) {
        const json_t *value = json_array_get(from, i);

        if (!json_is_number(value) || !(fabs(json_number_value(value)) < VALUE_MAX))
            return false;
        to[i] = (float)json_number_value(value);
    }
    return true;
}

/* from: (count,) lists of one length, which is told. (count, dim) numbers. */
static tars_status copy_vectors(const json_t *from, size_t count, struct tars_arena *arena,
                                float **out, size_t *dim, struct tars_err *err)
{
    size_t length = json_array_size(json_array_get(from, 0));
    float *all;

    if (!json_is_array(from) || json_array_size(from) != count || length == 0 ||
        length > TARS_CHROMA_DIM_MAX)
        return strange(err, "a list of vectors");
    all = tars_arena_calloc(arena, count, length * sizeof(*all));
    if (!all)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!copy_vector(json_array_get(from, i), length, all + i * length))
            return strange(err, "a vector");
    }
    *out = all;
    *dim = length;
    return TARS_OK;
}

/* ----------------------------------------------------------------------- rows */

struct lists {
    const json_t *ids, *texts, *metadata; /* the last two NULL where they were not asked for */
    float *vectors;                       /* (n, dim) or NULL */
    size_t dim;
};

static tars_status copy_text(const json_t *text, struct tars_arena *arena,
                             struct tars_chroma_row *row, struct tars_err *err)
{
    if (!text || json_is_null(text))
        return TARS_OK;
    if (!json_is_string(text))
        return strange(err, "a text");
    row->text_len = json_string_length(text);
    row->text = tars_arena_strndup(arena, json_string_value(text), row->text_len);
    return row->text ? TARS_OK : TARS_ENOMEM;
}

static tars_status copy_row(const struct lists *lists, size_t i, struct tars_arena *arena,
                            struct tars_chroma_row *row, struct tars_err *err)
{
    const json_t *metadata = json_array_get(lists->metadata, i);
    tars_status status = TARS_OK;

    *row = (struct tars_chroma_row){.id = copy_name(json_array_get(lists->ids, i), arena)};
    if (!row->id)
        return arena->failed ? TARS_ENOMEM : strange(err, "an id of a row");
    if (lists->vectors)
        row->vector = lists->vectors + i * lists->dim;
    if (json_is_object(metadata)) {
        row->metadata = copy_object(metadata, arena);
        status = row->metadata ? TARS_OK : TARS_ENOMEM;
    } else if (metadata && !json_is_null(metadata)) {
        status = strange(err, "metadata");
    }
    return status ? status : copy_text(json_array_get(lists->texts, i), arena, row, err);
}

/* A list as long as the others, where it is wanted. */
static bool is_whole(const json_t *list, size_t count, bool wanted)
{
    return !wanted || (json_is_array(list) && json_array_size(list) == count);
}

static tars_status fill_rows(const json_t *root, size_t max, unsigned include,
                             struct tars_arena *arena, struct tars_chroma_rows *out,
                             struct tars_err *err)
{
    struct lists lists = {.ids = json_object_get(root, "ids")};
    size_t count = json_array_size(lists.ids);
    struct tars_chroma_row *rows;
    tars_status status = TARS_OK;

    if (include & TARS_CHROMA_TEXTS)
        lists.texts = json_object_get(root, "documents");
    if (include & TARS_CHROMA_METADATA)
        lists.metadata = json_object_get(root, "metadatas");
    if (!json_is_array(lists.ids) || count > max || count > TARS_CHROMA_ROWS_MAX ||
        !is_whole(lists.texts, count, include & TARS_CHROMA_TEXTS) ||
        !is_whole(lists.metadata, count, include & TARS_CHROMA_METADATA))
        return strange(err, "a page of rows");
    rows = tars_arena_calloc(arena, count ? count : 1, sizeof(*rows));
    if (!rows)
        return TARS_ENOMEM;
    if (count && include & TARS_CHROMA_VECTORS) {
        status = copy_vectors(json_object_get(root, "embeddings"), count, arena, &lists.vectors,
                              &lists.dim, err);
    }
    for (size_t i = 0; i < count && status == TARS_OK; i++)
        status = copy_row(&lists, i, arena, &rows[i], err);
    if (status == TARS_OK)
        *out = (struct tars_chroma_rows){rows, count, lists.dim};
    return status;
}

tars_status tars_chroma_read_rows(struct tars_span body, size_t max, unsigned include,
                                  struct tars_arena *arena, struct tars_chroma_rows *out,
                                  struct tars_err *err)
{
    json_t *root;
    tars_status status = load(body, &root, err);

    if (status != TARS_OK)
        return status;
    status = fill_rows(root, max, include, arena, out, err);
    json_decref(root);
    return status;
}

/* ----------------------------------------------------------------------- hits */

/* *kept: whether there is a distance. */
static tars_status copy_hit(const json_t *id, const json_t *distance, struct tars_arena *arena,
                            struct tars_chroma_hit *hit, size_t *kept, struct tars_err *err)
{
    const char *name;

    if (json_is_null(distance))
        return TARS_OK;
    name = copy_name(id, arena);
    if (!name && arena->failed)
        return TARS_ENOMEM;
    if (!name || !json_is_number(distance) || !(fabs(json_number_value(distance)) < VALUE_MAX))
        return strange(err, "a hit");
    *hit = (struct tars_chroma_hit){name, (float)json_number_value(distance)};
    (*kept)++;
    return TARS_OK;
}

static tars_status fill_hits(const json_t *root, size_t max, struct tars_arena *arena,
                             struct tars_chroma_hits *out, struct tars_err *err)
{
    const json_t *ids = json_array_get(json_object_get(root, "ids"), 0);
    const json_t *distances = json_array_get(json_object_get(root, "distances"), 0);
    size_t count = json_array_size(ids);
    struct tars_chroma_hit *hits;
    size_t kept = 0;
    tars_status status = TARS_OK;

    if (!json_is_array(ids) || !json_is_array(distances) || json_array_size(distances) != count ||
        count > max || json_array_size(json_object_get(root, "ids")) != 1)
        return strange(err, "a list of hits");
    hits = tars_arena_calloc(arena, count ? count : 1, sizeof(*hits));
    if (!hits)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        status = copy_hit(json_array_get(ids, i), json_array_get(distances, i), arena, &hits[kept],
                          &kept, err);
    }
    if (status == TARS_OK)
        *out = (struct tars_chroma_hits){hits, kept};
    return status;
}

tars_status tars_chroma_read_hits(struct tars_span body, size_t max, struct tars_arena *arena,
                                  struct tars_chroma_hits *out, struct tars_err *err)
{
    json_t *root;
    tars_status status = load(body, &root, err);

    if (status != TARS_OK)
        return status;
    status = fill_hits(root, max, arena, out, err);
    json_decref(root);
    return status;
}

/* ------------------------------------------------------------------- refusals */

/* Where servers of either kind put their words. */
static const json_t *words_of(const json_t *root)
{
    static const char *const names[] = {"message", "detail", "error"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *words = json_object_get(root, names[i]);

        if (json_is_string(words) && json_string_length(words) > 0)
            return words;
    }
    return NULL;
}

void tars_chroma_read_refusal(struct tars_span body, char *text, size_t size)
{
    json_t *root = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
    const json_t *words = words_of(root);
    struct tars_span said = body;
    size_t len = 0;

    if (words)
        said = tars_span(json_string_value(words), json_string_length(words));
    for (size_t i = 0; i < said.len && len + 1 < size; i++) {
        unsigned char c = (unsigned char)said.ptr[i];

        text[len++] = (char)(c < ' ' || c > '~' ? ' ' : c);
    }
    text[len] = '\0';
    json_decref(root);
}
