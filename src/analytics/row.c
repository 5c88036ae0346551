/* row - see row.h. One walk over the fields serves size, write and read, so that they agree. */
#include "analytics/row.h"

#include <string.h>

#define VERSION      1
#define TEXT_NONE    UINT32_MAX
#define ACCESSES_MAX 1000

enum way { MEASURE, WRITE, READ };

/* A walk. Sticky: after a failure the rest does nothing. */
struct walk {
    enum way way;
    const unsigned char *from; /* READ */
    unsigned char *to;         /* WRITE */
    size_t at;
    size_t len; /* of from or to */
    struct tars_arena *arena;
    tars_status status;
};

static void bytes(struct walk *walk, void *ptr, size_t len)
{
    if (walk->way != MEASURE && walk->len - walk->at < len)
        walk->status = TARS_EFORMAT;
    if (walk->status != TARS_OK)
        return;
    if (walk->way == READ)
        memcpy(ptr, walk->from + walk->at, len);
    if (walk->way == WRITE)
        memcpy(walk->to + walk->at, ptr, len);
    walk->at += len;
}

static void read_text(struct walk *walk, const char **value)
{
    uint32_t len = 0;

    bytes(walk, &len, sizeof(len));
    *value = NULL;
    if (walk->status != TARS_OK || len == TEXT_NONE)
        return;
    if (walk->len - walk->at <= len || walk->from[walk->at + len] != '\0') {
        walk->status = TARS_EFORMAT;
        return;
    }
    *value = (const char *)walk->from + walk->at;
    walk->at += (size_t)len + 1;
}

static void text(struct walk *walk, const char **value)
{
    uint32_t len = TEXT_NONE;

    if (walk->way == READ) {
        read_text(walk, value);
        return;
    }
    if (*value)
        len = (uint32_t)strlen(*value);
    bytes(walk, &len, sizeof(len));
    if (!*value)
        return;
    if (walk->way == WRITE && walk->len - walk->at <= len)
        walk->status = TARS_EFORMAT;
    if (walk->status != TARS_OK)
        return;
    if (walk->way == WRITE)
        memcpy(walk->to + walk->at, *value, (size_t)len + 1);
    walk->at += (size_t)len + 1;
}

/* A byte that is neither 0 nor 1 must not become a bool by itself. */
static void flag(struct walk *walk, bool *value)
{
    unsigned char byte = walk->way != READ && *value;

    bytes(walk, &byte, sizeof(byte));
    if (walk->way == READ)
        *value = byte != 0;
}

#define NUMBER(walk, field) bytes(walk, &(field), sizeof(field))

static void access_fields(struct walk *walk, struct tars_access_row *access)
{
    text(walk, &access->document_id);
    text(walk, &access->file_name);
    text(walk, &access->chunk_id);
    text(walk, &access->collection);
    NUMBER(walk, access->relevance_score);
    NUMBER(walk, access->rank);
}

static void read_accesses(struct walk *walk, struct tars_query_row *row)
{
    struct tars_access_row *made;
    size_t count = 0;

    NUMBER(walk, count);
    if (walk->status == TARS_OK && count > ACCESSES_MAX)
        walk->status = TARS_EFORMAT;
    if (walk->status != TARS_OK || count == 0)
        return;
    made = tars_arena_calloc(walk->arena, count, sizeof(*made));
    if (!made) {
        walk->status = TARS_ENOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++)
        access_fields(walk, &made[i]);
    row->accesses = made;
    row->access_count = count;
}

static void accesses(struct walk *walk, struct tars_query_row *row)
{
    size_t count = row->access_count < ACCESSES_MAX ? row->access_count : ACCESSES_MAX;

    if (walk->way == READ) {
        read_accesses(walk, row);
        return;
    }
    NUMBER(walk, count);
    for (size_t i = 0; i < count; i++) {
        struct tars_access_row one = row->accesses[i];

        access_fields(walk, &one);
    }
}

static void query(struct walk *walk, struct tars_query_row *row)
{
    NUMBER(walk, row->time_us);
    text(walk, &row->tenant);
    text(walk, &row->client_id);
    text(walk, &row->query_text);
    text(walk, &row->model_used);
    text(walk, &row->request_id);
    text(walk, &row->conversation_id);
    text(walk, &row->error_message);
    NUMBER(walk, row->retrieval_time_ms);
    NUMBER(walk, row->generation_time_ms);
    NUMBER(walk, row->total_time_ms);
    NUMBER(walk, row->tokens_generated);
    NUMBER(walk, row->expansion_count);
    flag(walk, &row->used_reranking);
    flag(walk, &row->used_hybrid_search);
    flag(walk, &row->used_query_expansion);
    flag(walk, &row->used_history);
    accesses(walk, row);
}

static void error(struct walk *walk, struct tars_error_row *row)
{
    NUMBER(walk, row->time_us);
    text(walk, &row->tenant);
    text(walk, &row->error_type);
    text(walk, &row->error_message);
    text(walk, &row->service);
    text(walk, &row->operation);
    text(walk, &row->client_id);
    text(walk, &row->request_id);
    text(walk, &row->severity);
}

static void row_fields(struct walk *walk, struct tars_row *row)
{
    unsigned char mark[2] = {VERSION, (unsigned char)row->kind};

    bytes(walk, mark, sizeof(mark));
    if (walk->status == TARS_OK && mark[0] != VERSION)
        walk->status = TARS_EFORMAT;
    if (walk->status != TARS_OK)
        return;
    switch (mark[1]) {
    case TARS_ROW_QUERY:
        query(walk, &row->as.query);
        break;
    case TARS_ROW_ERROR:
        error(walk, &row->as.error);
        break;
    case TARS_ROW_SYSTEM:
        NUMBER(walk, row->as.system);
        break;
    default:
        walk->status = TARS_EFORMAT;
    }
    row->kind = (enum tars_row_kind)mark[1];
}

size_t tars_row_size(const struct tars_row *row)
{
    struct tars_row copy = *row;
    struct walk walk = {.way = MEASURE};

    row_fields(&walk, &copy);
    return walk.at;
}

size_t tars_row_write(const struct tars_row *row, unsigned char *out, size_t max)
{
    struct tars_row copy = *row;
    struct walk walk = {.way = WRITE, .len = max};

    walk.to = out;
    row_fields(&walk, &copy);
    return walk.status == TARS_OK ? walk.at : 0;
}

tars_status tars_row_read(const unsigned char *ptr, size_t len, struct tars_arena *arena,
                          struct tars_row *row)
{
    struct walk walk = {.way = READ, .from = ptr, .len = len, .arena = arena};

    memset(row, 0, sizeof(*row));
    row_fields(&walk, row);
    if (walk.status == TARS_OK && walk.at != len)
        walk.status = TARS_EFORMAT;
    return walk.status;
}
