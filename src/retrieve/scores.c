/* scores - see scores.h for the contract. */
#include "retrieve/scores.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX ((size_t)1 << 20)

/* A chunk and where the caller has it. */
struct place {
    const char *id;
    size_t at;
};

struct scoring {
    const struct tars_scores_wish *wish;
    struct place *places; /* (wish->count,) by id */
};

/* Of one id given twice the first comes first, so the order is one. */
static int by_id(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    int order = strcmp(x->id, y->id);

    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static bool is_good(void *ctx, struct tars_span bytes)
{
    const struct scoring *scoring = ctx;

    if (bytes.len != scoring->wish->count * sizeof(float))
        return false;
    for (size_t i = 0; i < scoring->wish->count; i++) {
        float score;

        memcpy(&score, bytes.ptr + i * sizeof(score), sizeof(score));
        if (!(score >= 0 && score <= 1)) /* not a number is not in there either */
            return false;
    }
    return true;
}

static tars_status compute(void *ctx, struct tars_arena *arena, struct tars_cache_made *made,
                           struct tars_err *err)
{
    const struct scoring *scoring = ctx;
    size_t count = scoring->wish->count;
    float *given = tars_arena_calloc(arena, count, sizeof(*given));
    float *sorted = tars_arena_calloc(arena, count, sizeof(*sorted));
    bool is_whole = true;
    tars_status status;

    if (!given || !sorted)
        return TARS_ENOMEM;
    status = scoring->wish->score(scoring->wish->ctx, given, &is_whole, err);
    made->is_mine_alone = !is_whole;
    for (size_t i = 0; i < count; i++)
        sorted[i] = given[scoring->places[i].at];
    made->value = tars_span((const char *)sorted, count * sizeof(*sorted));
    return status;
}

static void make_key(struct tars_buf *key, const struct scoring *scoring)
{
    tars_buf_append_text(key, scoring->wish->model);
    tars_buf_append_char(key, '\n');
    tars_buf_append(key, scoring->wish->query.ptr, scoring->wish->query.len);
    tars_buf_append_text(key, "::");
    for (size_t i = 0; i < scoring->wish->count; i++) {
        if (i > 0)
            tars_buf_append_char(key, ',');
        tars_buf_append_text(key, scoring->places[i].id);
    }
}

/* A key that does not fit is none: the scores are made, and not kept. */
static struct tars_span key_of(const struct tars_buf *key)
{
    return key->status == TARS_OK ? tars_buf_span(key) : tars_span(NULL, 0);
}

tars_status tars_scores_fetch(struct tars_cache *cache, const struct tars_scores_wish *wish,
                              struct tars_arena *arena, float *scores,
                              enum tars_cache_source *source, struct tars_err *err)
{
    struct scoring scoring = {.wish = wish};
    struct tars_cache_wish wanted = {.kind = TARS_CACHE_RERANK,
                                     .wait_ms = wish->wait_ms,
                                     .compute = compute,
                                     .is_good = is_good,
                                     .ctx = &scoring};
    struct tars_span value;
    struct tars_buf key;
    tars_status status;

    if (wish->count == 0 || wish->count > TARS_SCORES_MAX)
        return tars_fail(TARS_EINVAL, err, "%zu passages to score", wish->count);
    scoring.places = tars_arena_calloc(arena, wish->count, sizeof(*scoring.places));
    if (!scoring.places)
        return TARS_ENOMEM;
    for (size_t i = 0; i < wish->count; i++)
        scoring.places[i] = (struct place){wish->chunk_ids[i], i};
    qsort(scoring.places, wish->count, sizeof(*scoring.places), by_id);
    tars_buf_init(&key, KEY_MAX);
    make_key(&key, &scoring);
    wanted.key = key_of(&key);
    status = tars_cache_fetch(cache, &wanted, arena, &value, source, err);
    tars_buf_release(&key);
    for (size_t i = 0; status == TARS_OK && i < wish->count; i++)
        memcpy(&scores[scoring.places[i].at], value.ptr + i * sizeof(*scores), sizeof(*scores));
    return status;
}
