/* scope - see scope.h. */
#include "retrieve/scope.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/sys/clock.h"
#include "retrieve/filter.h"
#include "store/store.h"
#include "text/analyzer.h"

#define RANGES_MAX ((size_t)1 << 28)

struct range {
    uint64_t first, last; /* passage ids, both included */
};

struct tars_scope {
    struct range *ranges; /* (count,) ascending, apart */
    size_t count, cap;
    struct tars_index_filter filter;
};

/* A document under evaluation. */
struct subject {
    const struct tars_store_document *document;
    json_t *metadata; /* of the document, or NULL; parsed when first asked for */
    bool metadata_parsed;
    char time[TARS_ISO8601_BYTES];
};

struct pass {
    struct tars_scope *scope;
    const struct tars_filter *filter;
    tars_status status;
};

/* ------------------------------------------------------------------- fields */

static struct tars_field text_field(const char *text)
{
    return (struct tars_field){.kind = TARS_FIELD_TEXT, .text = text};
}

static struct tars_field number_field(double number)
{
    return (struct tars_field){.kind = TARS_FIELD_NUMBER, .number = number};
}

static struct tars_field metadata_field(struct subject *subject, const char *name)
{
    const json_t *value;

    if (!subject->metadata_parsed && subject->document->metadata_json[0])
        subject->metadata = json_loads(subject->document->metadata_json, 0, NULL);
    subject->metadata_parsed = true;
    value = json_object_get(subject->metadata, name);
    if (json_is_string(value))
        return text_field(json_string_value(value));
    if (json_is_number(value))
        return number_field(json_number_value(value));
    if (json_is_boolean(value))
        return (struct tars_field){.kind = TARS_FIELD_BOOL, .number = json_boolean_value(value)};
    return (struct tars_field){0};
}

static struct tars_field time_field(struct subject *subject, int64_t us)
{
    tars_clock_iso8601(us, subject->time);
    return text_field(subject->time);
}

static struct tars_field text_field_of(const struct tars_store_document *document, const char *name)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"document_id", document->document_id},
        {"file_name", document->file_name},
        {"file_path", document->path},
        {"path", document->path},
        {"file_type", document->file_type},
        {"collection", document->collection},
        {"title", document->title},
        {"external_id", document->external_id},
        {"hash", document->sha256},
        {"language", tars_language_name(document->language)},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(texts[i].name, name) == 0)
            return text_field(texts[i].text);
    }
    return (struct tars_field){0};
}

static struct tars_field field_of(void *ctx, const char *name)
{
    struct subject *subject = ctx;
    const struct tars_store_document *document = subject->document;
    struct tars_field field = text_field_of(document, name);

    if (field.kind != TARS_FIELD_NONE)
        return field;
    if (strcmp(name, "file_size") == 0)
        return number_field((double)document->file_size);
    if (strcmp(name, "page_count") == 0)
        return number_field((double)document->page_count);
    if (strcmp(name, "word_count") == 0)
        return number_field((double)document->word_count);
    if (strcmp(name, "indexed_at") == 0)
        return time_field(subject, document->indexed_us);
    if (strcmp(name, "modified_at") == 0)
        return time_field(subject, document->modified_us);
    if (strcmp(name, "created_at") == 0)
        return time_field(subject, document->created_us);
    return metadata_field(subject, name);
}

/* ------------------------------------------------------------------- ranges */

static tars_status add_range(struct tars_scope *scope, uint64_t first, uint64_t last)
{
    if (scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 64;
        struct range *ranges;

        if (cap > RANGES_MAX)
            return TARS_ETOOBIG;
        ranges = realloc(scope->ranges, cap * sizeof(*ranges));
        if (!ranges)
            return TARS_ENOMEM;
        scope->ranges = ranges;
        scope->cap = cap;
    }
    scope->ranges[scope->count++] = (struct range){first, last};
    return TARS_OK;
}

static bool consider(void *ctx, const struct tars_store_document *document)
{
    struct pass *pass = ctx;
    struct subject subject = {.document = document};

    if (document->chunk_count > 0 && tars_filter_accepts(pass->filter, field_of, &subject)) {
        pass->status = add_range(pass->scope, document->passage_first,
                                 document->passage_first + (uint64_t)document->chunk_count - 1);
    }
    json_decref(subject.metadata);
    return pass->status == TARS_OK;
}

static int by_first(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

static bool accepts(void *ctx, uint64_t id)
{
    const struct tars_scope *scope = ctx;
    size_t low = 0;
    size_t high = scope->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (scope->ranges[middle].last < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < scope->count && scope->ranges[low].first <= id;
}

/* --------------------------------------------------------------- life cycle */

tars_status tars_scope_new(struct tars_store *store, const char *filters_json,
                           struct tars_scope **scope, struct tars_err *err)
{
    struct tars_filter *filter = NULL;
    struct tars_scope *made = NULL;
    struct pass pass = {.status = TARS_OK};
    tars_status status = tars_filter_parse(filters_json, &filter, err);

    if (status != TARS_OK)
        return status;
    made = calloc(1, sizeof(*made));
    if (!made) {
        status = TARS_ENOMEM;
        goto out;
    }
    pass.scope = made;
    pass.filter = filter;
    status = tars_store_documents(store, NULL, consider, &pass, err);
    if (status == TARS_OK)
        status = pass.status;
    if (status != TARS_OK)
        goto out;
    if (made->count > 1)
        qsort(made->ranges, made->count, sizeof(made->ranges[0]), by_first);
    made->filter = (struct tars_index_filter){.accepts = accepts, .ctx = made};
    *scope = made;
    made = NULL;
out:
    tars_filter_free(filter);
    tars_scope_free(made);
    return status;
}

void tars_scope_free(struct tars_scope *scope)
{
    if (!scope)
        return;
    free(scope->ranges);
    free(scope);
}

const struct tars_index_filter *tars_scope_filter(const struct tars_scope *scope)
{
    return &scope->filter;
}
