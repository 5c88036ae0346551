/* import_line - see import_line.h for the contract. */
#include "analytics/import_line.h"

#include <math.h>
#include <string.h>

#define ID_BYTES_MAX    255 /* of query_id and client_id */
#define MODEL_BYTES_MAX 100
#define COUNT_MAX       1e9
#define NUMBER_MAX      1e12

/* Fields are read one after another; the first that is wrong stays. */
struct line {
    const json_t *object;
    struct tars_arena *arena;
    struct tars_err *err;
    tars_status status;
};

static void refuse(struct line *line, const char *name, const char *words)
{
    if (line->status == TARS_OK)
        line->status = tars_fail(TARS_EFORMAT, line->err, "%s %s", name, words);
}

/* NULL when it is absent or null. */
static const json_t *field(const struct line *line, const char *name)
{
    const json_t *value = json_object_get(line->object, name);

    return json_is_null(value) ? NULL : value;
}

static const char *read_text(struct line *line, const char *name, size_t max, const char *absent)
{
    const json_t *value = field(line, name);
    const char *copy;

    if (!value && !absent)
        refuse(line, name, "is missing");
    if (!value)
        return absent;
    if (!json_is_string(value)) {
        refuse(line, name, "is no text");
        return absent;
    }
    if (json_string_length(value) > max) {
        refuse(line, name, "is too long");
        return absent;
    }
    copy = tars_arena_strndup(line->arena, json_string_value(value), json_string_length(value));
    if (!copy && line->status == TARS_OK)
        line->status = tars_fail(TARS_ENOMEM, line->err, "no memory for a line");
    return copy;
}

static double read_number(struct line *line, const char *name, double max)
{
    const json_t *value = field(line, name);
    double number = value ? json_number_value(value) : 0;

    if (value && !json_is_number(value)) {
        refuse(line, name, "is no number");
    } else if (!isfinite(number) || number < 0 || number > max) {
        refuse(line, name, "is out of bounds");
    } else {
        return number;
    }
    return 0;
}

static int read_count(struct line *line, const char *name)
{
    return (int)read_number(line, name, COUNT_MAX);
}

static bool read_flag(struct line *line, const char *name, bool required)
{
    const json_t *value = field(line, name);

    if (!value && required)
        refuse(line, name, "is missing");
    if (value && !json_is_boolean(value))
        refuse(line, name, "is neither true nor false");
    return json_is_true(value);
}

static int64_t read_time(struct line *line, const char *name)
{
    const char *text = read_text(line, name, ID_BYTES_MAX, NULL);
    int64_t time_us = 0;

    if (text && !tars_clock_parse(text, &time_us))
        refuse(line, name, "is no time");
    return time_us;
}

static void read_query(struct line *line, struct tars_logged_query *out)
{
    struct tars_query_row *row = &out->row;
    bool success;
    const char *words;

    out->query_id = read_text(line, "query_id", ID_BYTES_MAX, NULL);
    row->time_us = read_time(line, "timestamp");
    row->client_id = read_text(line, "client_id", ID_BYTES_MAX, "anonymous");
    row->query_text = read_text(line, "query_text", TARS_IMPORT_LINE_MAX, NULL);
    out->query_length = read_count(line, "query_length");
    row->retrieval_time_ms = read_number(line, "retrieval_time_ms", NUMBER_MAX);
    row->generation_time_ms = read_number(line, "generation_time_ms", NUMBER_MAX);
    row->total_time_ms = read_number(line, "total_time_ms", NUMBER_MAX);
    out->sources_count = read_count(line, "sources_count");
    out->avg_relevance_score = read_number(line, "avg_relevance_score", NUMBER_MAX);
    out->max_relevance_score = read_number(line, "max_relevance_score", NUMBER_MAX);
    row->model_used = read_text(line, "model_used", MODEL_BYTES_MAX, "");
    row->tokens_generated = read_count(line, "tokens_generated");
    row->used_reranking = read_flag(line, "used_reranking", false);
    row->used_hybrid_search = read_flag(line, "used_hybrid_search", false);
    row->used_query_expansion = read_flag(line, "used_query_expansion", false);
    row->expansion_count = read_count(line, "expansion_count");
    success = read_flag(line, "success", true);
    words = read_text(line, "error_message", TARS_IMPORT_LINE_MAX, "");
    row->error_message = success ? NULL : words;
}

tars_status tars_import_object(const json_t *object, struct tars_arena *arena,
                               struct tars_logged_query *out, struct tars_err *err)
{
    struct line line = {.object = object, .arena = arena, .err = err, .status = TARS_OK};
    struct tars_logged_query made = {.query_id = NULL};

    if (!json_is_object(object))
        return tars_fail(TARS_EFORMAT, err, "is no JSON object");
    read_query(&line, &made);
    if (line.status == TARS_OK && !made.query_id[0])
        refuse(&line, "query_id", "is empty");
    if (line.status == TARS_OK)
        *out = made;
    return line.status;
}

tars_status tars_import_line(const char *ptr, size_t len, struct tars_arena *arena,
                             struct tars_logged_query *out, struct tars_err *err)
{
    json_error_t problem;
    json_t *object;
    tars_status status;

    if (len > TARS_IMPORT_LINE_MAX)
        return tars_fail(TARS_EFORMAT, err, "is longer than %zu bytes", TARS_IMPORT_LINE_MAX);
    object = json_loadb(ptr, len, 0, &problem);
    if (!object)
        return tars_fail(TARS_EFORMAT, err, "is no JSON: %s", problem.text);
    status = tars_import_object(object, arena, out, err);
    json_decref(object);
    return status;
}
