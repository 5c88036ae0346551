/* judged - see judged.h for the contract. */
#include "eval/judged.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <zlib.h>

#include "base/mem/buf.h"

#define CHUNK 65536

struct judging {
    size_t query; /* place in the queries */
    struct tars_judgement judgement;
};

struct parse {
    struct tars_arena *arena;
    struct tars_err *err;
    struct tars_judged *out;
    size_t query_cap;
    size_t *by_id; /* (ordered,) places, by id */
    size_t ordered;
    bool asks_itself; /* there is no queries.jsonl: the questions are those of qa.jsonl */
    struct judging *judgings;
    size_t judging_count, judging_cap;
};

static tars_status no_memory(const struct parse *parse)
{
    return tars_fail(TARS_ENOMEM, parse->err, "no memory for the judged folder");
}

/* -------------------------------------------------------------------- lines */

typedef tars_status line_fn(struct parse *parse, struct tars_span line, size_t number);

/* Each line that is not blank, without its end. */
static tars_status each_line(struct parse *parse, struct tars_span text, line_fn *each)
{
    tars_status status = TARS_OK;
    size_t number = 0;

    while (text.len > 0 && status == TARS_OK) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t whole = end ? (size_t)(end - text.ptr) + 1 : text.len;
        struct tars_span line = {text.ptr, end ? whole - 1 : whole};

        number++;
        while (line.len > 0 && strchr(" \t\r", line.ptr[line.len - 1]) &&
               line.ptr[line.len - 1] != '\0')
            line.len--;
        if (line.len > 0)
            status = each(parse, line, number);
        text.ptr += whole;
        text.len -= whole;
    }
    return status;
}

/* The first of two names that object has: a text, or a whole number as text; "" for neither. */
static tars_status text_of(const struct parse *parse, const json_t *object, const char *a,
                           const char *b, const char **out)
{
    const json_t *value = json_object_get(object, a);

    if (!value)
        value = json_object_get(object, b);
    if (json_is_integer(value)) {
        *out = tars_arena_printf(parse->arena, "%lld", (long long)json_integer_value(value));
    } else {
        *out =
            tars_arena_strdup(parse->arena, json_is_string(value) ? json_string_value(value) : "");
    }
    return *out ? TARS_OK : no_memory(parse);
}

/* ------------------------------------------------------------------ queries */

static tars_status add_query(struct parse *parse, const char *id, const char *text)
{
    struct tars_judged *out = parse->out;
    void *queries = out->queries;
    tars_status status;

    if (out->count == TARS_JUDGED_QUERIES_MAX) {
        return tars_fail(TARS_ETOOBIG, parse->err, "more than %d questions",
                         TARS_JUDGED_QUERIES_MAX);
    }
    status = tars_arena_grow(parse->arena, &queries, &parse->query_cap, out->count + 1,
                             sizeof(*out->queries));
    if (status != TARS_OK)
        return no_memory(parse);
    out->queries = queries;
    out->queries[out->count++] = (struct tars_judged_query){.id = id, .text = text};
    return TARS_OK;
}

static tars_status take_query(struct parse *parse, struct tars_span line, size_t number)
{
    json_t *object = json_loadb(line.ptr, line.len, 0, NULL);
    const char *id = "";
    const char *text = "";
    tars_status status = text_of(parse, object, "_id", "id", &id);

    if (status == TARS_OK)
        status = text_of(parse, object, "text", "question", &text);
    json_decref(object);
    if (status != TARS_OK)
        return status;
    if (!id[0] || !text[0]) {
        return tars_fail(TARS_EFORMAT, parse->err,
                         "queries.jsonl, line %zu: expected {\"_id\",\"text\"}", number);
    }
    return add_query(parse, id, text);
}

static int by_query_id(const void *a, const void *b, void *queries)
{
    const struct tars_judged_query *all = queries;

    return strcmp(all[*(const size_t *)a].id, all[*(const size_t *)b].id);
}

static tars_status order_queries(struct parse *parse)
{
    size_t count = parse->out->count;

    parse->by_id = tars_arena_calloc(parse->arena, count + 1, sizeof(*parse->by_id));
    if (!parse->by_id)
        return no_memory(parse);
    for (size_t i = 0; i < count; i++)
        parse->by_id[i] = i;
    parse->ordered = count;
    qsort_r(parse->by_id, count, sizeof(*parse->by_id), by_query_id, parse->out->queries);
    return TARS_OK;
}

/* Its place, or SIZE_MAX. */
static size_t find_query(const struct parse *parse, const char *id)
{
    size_t low = 0;
    size_t high = parse->ordered;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(id, parse->out->queries[parse->by_id[middle]].id);

        if (order == 0)
            return parse->by_id[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return SIZE_MAX;
}

/* -------------------------------------------------------------------- qrels */

/* The next field up to a tab or, where the line has none, white space. */
static struct tars_span next_field(struct tars_span *line, const char *between)
{
    struct tars_span field = {line->ptr, 0};

    while (line->len > 0 && strchr(between, *line->ptr) && *line->ptr) {
        line->ptr++;
        line->len--;
    }
    field.ptr = line->ptr;
    while (line->len > 0 && (!*line->ptr || !strchr(between, *line->ptr))) {
        line->ptr++;
        line->len--;
        field.len++;
    }
    return field;
}

static bool is_number(struct tars_span field, int *value)
{
    bool is_negative = field.len > 1 && field.ptr[0] == '-';
    size_t i = is_negative ? 1 : 0;
    int sum = 0;

    if (field.len == 0 || field.len - i > 6)
        return false;
    for (; i < field.len; i++) {
        if (field.ptr[i] < '0' || field.ptr[i] > '9')
            return false;
        sum = sum * 10 + (field.ptr[i] - '0');
    }
    *value = is_negative ? -sum : sum;
    return true;
}

static tars_status add_judging(struct parse *parse, size_t query, const char *document, int grade)
{
    void *judgings = parse->judgings;

    if (tars_arena_grow(parse->arena, &judgings, &parse->judging_cap, parse->judging_count + 1,
                        sizeof(*parse->judgings)) != TARS_OK)
        return no_memory(parse);
    parse->judgings = judgings;
    parse->judgings[parse->judging_count++] = (struct judging){query, {document, grade}};
    return TARS_OK;
}

static tars_status take_judgement(struct parse *parse, struct tars_span line, size_t number)
{
    const char *between = memchr(line.ptr, '\t', line.len) ? "\t" : " ";
    struct tars_span fields[4];
    size_t count = 0;
    const char *id;
    const char *document;
    size_t query;
    int grade = 0;

    while (count < 4 && line.len > 0) {
        fields[count] = next_field(&line, between);
        count += fields[count].len > 0;
    }
    if (count < 3 || !is_number(fields[count - 1], &grade)) {
        if (number == 1)
            return TARS_OK; /* the names of the columns */
        return tars_fail(TARS_EFORMAT, parse->err,
                         "qrels, line %zu: expected query-id, corpus-id, score", number);
    }
    id = tars_arena_strndup(parse->arena, fields[0].ptr, fields[0].len);
    document = tars_arena_strndup(parse->arena, fields[count - 2].ptr, fields[count - 2].len);
    if (!id || !document)
        return no_memory(parse);
    query = find_query(parse, id);
    return query == SIZE_MAX ? TARS_OK : add_judging(parse, query, document, grade);
}

/* The greatest grade first, where one document was judged twice. */
static int by_query_and_document(const void *a, const void *b)
{
    const struct judging *x = a;
    const struct judging *y = b;
    int order;

    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    order = strcmp(x->judgement.document, y->judgement.document);
    return order != 0 ? order : y->judgement.grade - x->judgement.grade;
}

static bool is_again(const struct judging *a, const struct judging *b)
{
    return a->query == b->query && strcmp(a->judgement.document, b->judgement.document) == 0;
}

/* Hand each query its judgements; of one document the greatest grade counts. */
static tars_status share_out(struct parse *parse)
{
    size_t count = parse->judging_count;
    struct tars_judgement *all = tars_arena_calloc(parse->arena, count + 1, sizeof(*all));
    size_t kept = 0;

    if (!all)
        return no_memory(parse);
    if (count > 0)
        qsort(parse->judgings, count, sizeof(*parse->judgings), by_query_and_document);
    for (size_t i = 0; i < count; i++) {
        struct tars_judged_query *query = &parse->out->queries[parse->judgings[i].query];

        if (i > 0 && is_again(&parse->judgings[i - 1], &parse->judgings[i]))
            continue;
        all[kept] = parse->judgings[i].judgement;
        if (query->judgement_count++ == 0)
            query->judgements = &all[kept];
        query->relevant += all[kept++].grade > 0;
    }
    return TARS_OK;
}

/* ----------------------------------------------------------------------- qa */

/* A text or an array of them. */
static tars_status take_texts(struct parse *parse, const json_t *value, const char *const **texts,
                              size_t *count)
{
    size_t n = json_is_array(value) ? json_array_size(value) : json_is_string(value) ? 1 : 0;
    const char **made = tars_arena_calloc(parse->arena, n + 1, sizeof(*made));

    if (!made)
        return no_memory(parse);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;

        if (!json_is_string(item))
            continue;
        made[*count] = tars_arena_strdup(parse->arena, json_string_value(item));
        if (!made[(*count)++])
            return no_memory(parse);
    }
    *texts = made;
    return TARS_OK;
}

static tars_status add_answers(struct parse *parse, const json_t *object, const char *id,
                               const char *question)
{
    size_t place = find_query(parse, id);
    const json_t *contexts = json_object_get(object, "context_ids");
    struct tars_judged_query *query;
    tars_status status = TARS_OK;

    if (place == SIZE_MAX) {
        if (!parse->asks_itself)
            return TARS_OK; /* of another split than queries.jsonl */
        status = add_query(parse, id, question);
        place = parse->out->count - 1;
    }
    if (status != TARS_OK)
        return status;
    query = &parse->out->queries[place];
    query->has_answers = true;
    status = take_texts(parse, json_object_get(object, "answers"), &query->answers,
                        &query->answer_count);
    if (status != TARS_OK)
        return status;
    return take_texts(parse, contexts ? contexts : json_object_get(object, "context_id"),
                      &query->contexts, &query->context_count);
}

static tars_status take_answers(struct parse *parse, struct tars_span line, size_t number)
{
    json_t *object = json_loadb(line.ptr, line.len, 0, NULL);
    const char *id = "";
    const char *question = "";
    tars_status status = text_of(parse, object, "id", "_id", &id);

    if (status == TARS_OK)
        status = text_of(parse, object, "question", "text", &question);
    if (status == TARS_OK && (!id[0] || !question[0])) {
        status =
            tars_fail(TARS_EFORMAT, parse->err,
                      "qa.jsonl, line %zu: expected {\"id\",\"question\",\"answers\"}", number);
    }
    if (status == TARS_OK)
        status = add_answers(parse, object, id, question);
    json_decref(object);
    return status;
}

/* -------------------------------------------------------------------- whole */

/* What the folder's judgements say nothing of is another split's. */
static void drop_unjudged(struct tars_judged *out, bool has_qrels)
{
    size_t kept = 0;

    for (size_t i = 0; i < out->count; i++) {
        const struct tars_judged_query *query = &out->queries[i];

        if (has_qrels && query->relevant == 0 && !query->has_answers)
            continue;
        out->relevant_count += query->relevant > 0;
        out->answers_count += query->has_answers;
        out->queries[kept++] = *query;
    }
    out->count = kept;
}

tars_status tars_judged_parse(const struct tars_judged_files *files, struct tars_arena *arena,
                              struct tars_judged *out, struct tars_err *err)
{
    struct tars_judged made = {0};
    struct parse parse = {.arena = arena, .err = err, .out = &made};
    tars_status status = each_line(&parse, files->queries, take_query);

    if (status == TARS_OK)
        status = order_queries(&parse);
    if (status == TARS_OK)
        status = each_line(&parse, files->qrels, take_judgement);
    if (status == TARS_OK)
        status = share_out(&parse);
    if (status == TARS_OK) {
        parse.asks_itself = made.count == 0;
        status = each_line(&parse, files->qa, take_answers);
    }
    if (status != TARS_OK)
        return status;
    drop_unjudged(&made, files->qrels.len > 0);
    *out = made;
    return TARS_OK;
}

/* -------------------------------------------------------------------- files */

/* folder/name, or folder/name.gz; NULL where neither is there. */
static const char *find_file(const char *folder, const char *name, struct tars_arena *arena)
{
    static const char *const endings[] = {"", ".gz"};

    for (size_t i = 0; i < 2; i++) {
        const char *path = tars_arena_printf(arena, "%s/%s%s", folder, name, endings[i]);

        if (path && access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

const char *tars_judged_corpus(const char *folder, struct tars_arena *arena)
{
    return find_file(folder, "corpus.jsonl", arena);
}

/* The whole file at path, unpacked; nothing for NULL. */
static tars_status read_file(const char *path, struct tars_buf *out, struct tars_err *err)
{
    gzFile file = path ? gzopen(path, "rbe") : NULL;
    int n = 1;

    if (!path)
        return TARS_OK;
    if (!file)
        return tars_fail(TARS_EIO, err, "cannot read %s: %s", path, strerror(errno));
    while (n > 0 && out->status == TARS_OK) {
        char *to = tars_buf_reserve(out, CHUNK);

        n = to ? gzread(file, to, CHUNK) : 0;
        if (n > 0)
            tars_buf_grew(out, (size_t)n);
    }
    (void)gzclose(file);
    if (out->status != TARS_OK)
        return tars_fail(out->status, err, "%s is too large", path);
    return n < 0 ? tars_fail(TARS_EFORMAT, err, "%s is damaged", path) : TARS_OK;
}

tars_status tars_judged_read(const char *folder, struct tars_arena *arena, struct tars_judged *out,
                             struct tars_err *err)
{
    const char *qrels = find_file(folder, "qrels.tsv", arena);
    const char *paths[3] = {find_file(folder, "queries.jsonl", arena), NULL,
                            find_file(folder, "qa.jsonl", arena)};
    struct tars_buf files[3];
    tars_status status = TARS_OK;

    paths[1] = qrels ? qrels : find_file(folder, "qrels/test.tsv", arena);
    if (!paths[0] && !paths[2]) {
        return tars_fail(TARS_ENOTFOUND, err, "%s has neither queries.jsonl nor qa.jsonl", folder);
    }
    for (size_t i = 0; i < 3; i++)
        tars_buf_init(&files[i], TARS_JUDGED_BYTES_MAX);
    for (size_t i = 0; i < 3 && status == TARS_OK; i++)
        status = read_file(paths[i], &files[i], err);
    if (status == TARS_OK) {
        const struct tars_judged_files bytes = {tars_buf_span(&files[0]), tars_buf_span(&files[1]),
                                                tars_buf_span(&files[2])};

        status = tars_judged_parse(&bytes, arena, out, err);
    }
    for (size_t i = 0; i < 3; i++)
        tars_buf_release(&files[i]);
    return status;
}

tars_status tars_judged_unpack(const char *path, const char *to, struct tars_err *err)
{
    gzFile from = gzopen(path, "rbe");
    FILE *file = from ? fopen(to, "wbe") : NULL;
    char bytes[CHUNK];
    bool ok = file != NULL;
    int n = 1;

    while (ok && n > 0) {
        n = gzread(from, bytes, sizeof(bytes));
        ok = n <= 0 || fwrite(bytes, 1, (size_t)n, file) == (size_t)n;
    }
    if (from)
        (void)gzclose(from);
    if (file && fclose(file) != 0)
        ok = false;
    if (!from || n < 0)
        return tars_fail(from ? TARS_EFORMAT : TARS_EIO, err, "%s cannot be unpacked", path);
    return ok ? TARS_OK : tars_fail(TARS_EIO, err, "cannot write %s: %s", to, strerror(errno));
}

/* ------------------------------------------------------------------- asking */

int tars_judged_grade(const struct tars_judged_query *query, const char *document)
{
    size_t low = 0;
    size_t high = query->judgement_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(document, query->judgements[middle].document);

        if (order == 0)
            return query->judgements[middle].grade;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return 0;
}

bool tars_judged_is_context(const struct tars_judged_query *query, const char *document)
{
    for (size_t i = 0; i < query->context_count; i++) {
        if (strcmp(query->contexts[i], document) == 0)
            return true;
    }
    return query->context_count == 0 && tars_judged_grade(query, document) > 0;
}
