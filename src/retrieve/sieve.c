/* sieve - see sieve.h. */
#include "retrieve/sieve.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/sys/clock.h"
#include "retrieve/filter.h"
#include "store/accounts.h"
#include "text/analyzer.h"

#define RANGES_MAX ((size_t)1 << 28)
#define STALE_SLACK \
    1024 /* ranges of documents that are gone; more, and twice the rest: made anew */

struct range {
    uint64_t first, last; /* passage ids, both included */
};

struct tars_sieve {
    struct range *ranges; /* (count,) ascending, apart */
    size_t count, cap;
    size_t whole; /* count after the last pass over all documents */
};

/* A document under evaluation. */
struct subject {
    const struct tars_store_document *document;
    json_t *metadata; /* of the document, or NULL; parsed when first asked for */
    bool metadata_parsed;
    char time[TARS_ISO8601_BYTES];
};

struct pass {
    struct tars_sieve *sieve;
    const struct tars_filter *filter;
    uint64_t after, upto; /* passages over after, not over upto */
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
        {"collection", tars_collection_name(document->collection)},
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

static tars_status add_range(struct tars_sieve *sieve, uint64_t first, uint64_t last)
{
    if (sieve->count == sieve->cap) {
        size_t cap = sieve->cap ? sieve->cap * 2 : 64;
        struct range *ranges;

        if (cap > RANGES_MAX)
            return TARS_ETOOBIG;
        ranges = realloc(sieve->ranges, cap * sizeof(*ranges));
        if (!ranges)
            return TARS_ENOMEM;
        sieve->ranges = ranges;
        sieve->cap = cap;
    }
    sieve->ranges[sieve->count++] = (struct range){first, last};
    return TARS_OK;
}

static bool consider(void *ctx, const struct tars_store_document *document)
{
    struct pass *pass = ctx;
    struct subject subject = {.document = document};
    uint64_t first = document->passage_first;

    if (document->chunk_count > 0 && first > pass->after && first <= pass->upto &&
        tars_filter_accepts(pass->filter, field_of, &subject))
        pass->status = add_range(pass->sieve, first, first + (uint64_t)document->chunk_count - 1);
    json_decref(subject.metadata);
    return pass->status == TARS_OK;
}

static int by_first(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

/* Sort what is new, and join ranges that touch. */
static void tidy(struct tars_sieve *sieve, size_t old)
{
    size_t kept = old;

    if (sieve->count > old + 1)
        qsort(sieve->ranges + old, sieve->count - old, sizeof(sieve->ranges[0]), by_first);
    for (size_t i = old; i < sieve->count; i++) {
        if (kept > 0 && sieve->ranges[kept - 1].last + 1 == sieve->ranges[i].first) {
            sieve->ranges[kept - 1].last = sieve->ranges[i].last;
        } else {
            sieve->ranges[kept++] = sieve->ranges[i];
        }
    }
    sieve->count = kept;
}

/* One pass over the documents of each collection, or over all. */
static tars_status pass_over(struct tars_store *store, const struct tars_visible *visible,
                             struct pass *pass, struct tars_err *err)
{
    struct tars_store_document_filter by = {.after_passage = pass->after};
    tars_status status = TARS_OK;

    if (visible->all)
        return tars_store_documents(store, &by, consider, pass, err);
    for (size_t i = 0; !status && !pass->status && i < visible->count; i++) {
        by.collection = visible->keys[i];
        status = tars_store_documents(store, &by, consider, pass, err);
    }
    return status;
}

/* The first range that ends at id or behind it; count when there is none. */
static size_t range_of(const struct tars_sieve *sieve, uint64_t id)
{
    size_t low = 0;
    size_t high = sieve->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (sieve->ranges[middle].last < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool tars_sieve_accepts(const struct tars_sieve *sieve, uint64_t id)
{
    size_t at = range_of(sieve, id);

    return at < sieve->count && sieve->ranges[at].first <= id;
}

bool tars_sieve_next(const struct tars_sieve *sieve, uint64_t from, uint64_t *first, uint64_t *last)
{
    size_t at = range_of(sieve, from);

    if (at >= sieve->count)
        return false;
    *first = sieve->ranges[at].first > from ? sieve->ranges[at].first : from;
    *last = sieve->ranges[at].last;
    return true;
}

/* --------------------------------------------------------------- life cycle */

/* The ranges of an older sieve, when it is worth going on from there. */
static tars_status start(struct tars_sieve *made, const struct tars_sieve *older, bool *whole)
{
    *whole = !older || older->count > 2 * older->whole + STALE_SLACK;
    if (*whole || older->count == 0)
        return TARS_OK;
    made->ranges = malloc(older->count * sizeof(*made->ranges));
    if (!made->ranges)
        return TARS_ENOMEM;
    memcpy(made->ranges, older->ranges, older->count * sizeof(*made->ranges));
    made->count = made->cap = older->count;
    made->whole = older->whole;
    return TARS_OK;
}

tars_status tars_sieve_new(const struct tars_sieve_config *config, struct tars_sieve **sieve,
                           struct tars_err *err)
{
    struct tars_filter *filter = NULL;
    struct tars_sieve *made = NULL;
    struct pass pass = {.upto = config->upto};
    bool whole = true;
    size_t old;
    tars_status status = tars_filter_parse(config->filters_json, &filter, err);

    if (status != TARS_OK)
        return status;
    made = calloc(1, sizeof(*made));
    status = made ? start(made, config->older, &whole) : TARS_ENOMEM;
    if (status != TARS_OK)
        goto out;
    old = made->count;
    pass.sieve = made;
    pass.filter = filter;
    pass.after = whole ? 0 : config->older_upto;
    status = pass_over(config->store, config->visible, &pass, err);
    if (status == TARS_OK)
        status = pass.status;
    if (status != TARS_OK)
        goto out;
    tidy(made, old);
    if (whole)
        made->whole = made->count;
    *sieve = made;
    made = NULL;
out:
    tars_filter_free(filter);
    tars_sieve_free(made);
    return status;
}

void tars_sieve_free(struct tars_sieve *sieve)
{
    if (!sieve)
        return;
    free(sieve->ranges);
    free(sieve);
}

size_t tars_sieve_bytes(const struct tars_sieve *sieve)
{
    return sizeof(*sieve) + sieve->cap * sizeof(sieve->ranges[0]);
}
