/* bench/rights - what a search costs that may not see everything.
 *
 *     rights [PASSAGES]
 *
 * PASSAGES (50,000) made-up ones, each a document of its own, spread over collections of 0.1 %, 1
 * %, 10 % and the rest. Times are of the two searches alone, words and vectors, 100 hits each, as
 * retrieve asks for them: without a filter, and with the scope of each collection. Then what making
 * a scope costs: the first one, one more, with filters for the first time, kept, and after a
 * change.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "index/index.h"
#include "retrieve/scope.h"
#include "store/accounts.h"
#include "store/store_sqlite.h"

#define DIM        384
#define QUERIES    100
#define TOP        100
#define ROUNDS     3
#define BATCH      512
#define CENTRES    500
#define WORDS      20
#define VOCABULARY 5000

static const char *const keys[] = {"a", "b", "c", "d"};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void make_vector(uint64_t i, float *out)
{
    uint64_t own = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t centre = (next_random(&own) % CENTRES + 1) * UINT64_C(0xd1342543de82ef95);
    float norm = 0;

    for (int d = 0; d < DIM; d++) {
        out[d] = (float)(next_random(&centre) >> 40) / 16777216.0F - 0.5F +
                 0.8F * ((float)(next_random(&own) >> 40) / 16777216.0F - 0.5F);
        norm += out[d] * out[d];
    }
    for (int d = 0; d < DIM; d++)
        out[d] /= sqrtf(norm);
}

static uint32_t draw(uint64_t *state)
{
    double u = (double)(next_random(state) >> 11) / 9007199254740992.0;

    return (uint32_t)(VOCABULARY * u * u * u);
}

static const char *key_of(uint64_t id)
{
    uint64_t at = id / 50 * 617 % 1000; /* 50 neighbours are of one */

    return at < 1 ? keys[0] : at < 11 ? keys[1] : at < 111 ? keys[2] : keys[3];
}

static void die(const char *what, const struct tars_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static void index_one(struct tars_index *index, uint64_t id)
{
    struct tars_index_term terms[WORDS];
    char words[WORDS][16];
    float vector[DIM];
    uint64_t state = id * UINT64_C(0x9e3779b97f4a7c15) + 99;
    struct tars_index_passage add = {
        .id = id, .vectors = vector, .vector_count = 1, .terms = terms, .length = WORDS};

    make_vector(id, vector);
    for (size_t i = 0; i < WORDS; i++) {
        int len = snprintf(words[i], sizeof(words[i]), "w%u", draw(&state));
        bool again = false;

        for (size_t k = 0; k < add.term_count; k++)
            again = again || strcmp(terms[k].ptr, words[i]) == 0;
        if (!again)
            terms[add.term_count++] =
                (struct tars_index_term){words[i], (uint32_t)len, 1, TARS_INDEX_TEXT};
    }
    if (tars_index_add(index, &add))
        exit(1);
}

/* n documents of one passage each; ids of passages are 1.. in the order in which they are put. */
static void put(struct tars_store *store, struct tars_index *index, const char *key,
                const char *path, size_t n)
{
    static struct tars_store_document documents[BATCH];
    static struct tars_store_passage passages[BATCH];
    static struct tars_store_put puts[BATCH];
    static char ids[BATCH][16];
    struct tars_store_file file = {
        .collection = key, .path = path, .sha256 = "00", .size = 1, .indexed_us = 1};
    struct tars_store_batch batch = {.file = &file, .puts = puts, .put_count = n, .finish = true};
    struct tars_store_changes changes;
    struct tars_err err = {.text = ""};
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)64 << 20);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        documents[i] = (struct tars_store_document){.path = path,
                                                    .external_id = ids[i],
                                                    .file_name = "f",
                                                    .file_type = i % 2 ? "pdf" : "txt",
                                                    .metadata_json = "{\"year\":2024}"};
        passages[i] = (struct tars_store_passage){.text = "text", .text_len = 4};
        puts[i] = (struct tars_store_put){&documents[i], &passages[i], 1, false, NULL};
    }
    if (tars_store_put(store, &batch, &arena, &changes, &err))
        die("put", &err);
    for (size_t i = 0; i < changes.count; i++)
        index_one(index, changes.items[i].first);
    tars_index_publish(index, changes.items[changes.count - 1].seq);
    tars_arena_release(&arena);
}

static void fill(struct tars_store *store, struct tars_index *index, size_t n)
{
    char path[32];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct tars_collection collection = {.tenant = TARS_TENANT, .name = keys[i]};
        struct tars_err err = {.text = ""};

        if (tars_accounts_collection_add(store, &collection, &err))
            die("collection", &err);
    }
    for (size_t done = 0; done < n;) {
        size_t some = 1;

        /* Neighbours of one collection go together, at most a batch of them. */
        while (done + some < n && some < BATCH && key_of(done + some) == key_of(done))
            some++;
        (void)snprintf(path, sizeof(path), "/%zu", done);
        put(store, index, key_of(done), path, some);
        done += some;
    }
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void search(struct tars_index *index, const struct tars_index_filter *filter,
                   const char *name)
{
    static double vectors_us[QUERIES * ROUNDS];
    static double words_us[QUERIES * ROUNDS];
    struct tars_index_hit hits[TOP];
    size_t found = 0;
    size_t n;

    for (size_t i = 0; i < QUERIES * ROUNDS; i++) {
        struct tars_index_query_term terms[4];
        char words[4][16];
        float vector[DIM];
        uint64_t state = i % QUERIES * 7919 + 12345;
        int64_t start;

        make_vector(UINT64_C(900000000) + i % QUERIES, vector);
        for (size_t k = 0; k < 4; k++) {
            int len = snprintf(words[k], sizeof(words[k]), "w%u", draw(&state));

            terms[k] =
                (struct tars_index_query_term){words[k], (uint32_t)len, 1, 0, TARS_INDEX_TEXT};
        }
        start = tars_clock_mono_ns();
        if (tars_index_search_vector(index, vector, TOP, filter, hits, &n))
            exit(1);
        vectors_us[i] = (double)(tars_clock_mono_ns() - start) / 1000;
        found += n;
        start = tars_clock_mono_ns();
        if (tars_index_search_words(index, terms, 4, TOP, filter, hits, &n))
            exit(1);
        words_us[i] = (double)(tars_clock_mono_ns() - start) / 1000;
    }
    qsort(vectors_us, QUERIES * ROUNDS, sizeof(double), by_double);
    qsort(words_us, QUERIES * ROUNDS, sizeof(double), by_double);
    printf("%-34s vectors %8.0f us   words %8.0f us   (%.0f hits)\n", name,
           vectors_us[QUERIES * ROUNDS / 2], words_us[QUERIES * ROUNDS / 2],
           (double)found / (QUERIES * ROUNDS));
}

static struct tars_scope *timed_scope(struct tars_scopes *scopes,
                                      const struct tars_scope_wish *wish, struct tars_arena *arena,
                                      const char *name)
{
    struct tars_scope *scope = NULL;
    struct tars_err err = {.text = ""};
    int64_t start = tars_clock_mono_ns();

    if (tars_scope_new(scopes, wish, arena, &scope, &err))
        die("scope", &err);
    if (name)
        printf("%-34s %8.1f us\n", name, (double)(tars_clock_mono_ns() - start) / 1000);
    return scope;
}

static void measure_searches(struct tars_scopes *scopes, struct tars_index *index)
{
    static const char *const names[] = {"0.1 % of the passages", "1 %", "10 %", "88.9 %"};
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)64 << 20);
    search(index, NULL, "everything, no filter");
    for (size_t i = 0; i < 4; i++) {
        const struct tars_visible visible = {.keys = &keys[i], .count = 1};
        struct tars_scope_wish wish = {.visible = &visible, .seq = tars_index_seq(index)};
        struct tars_scope *scope = timed_scope(scopes, &wish, &arena, NULL);

        search(index, tars_scope_filter(scope), names[i]);
        wish.filters_json = "{\"file_type\":\"pdf\"}";
        scope = timed_scope(scopes, &wish, &arena, NULL);
        if (i == 2)
            search(index, tars_scope_filter(scope), "10 %, and a filter of half of it");
        tars_scope_release(scope);
    }
    {
        const struct tars_visible visible = {.keys = keys, .count = 4};
        const struct tars_scope_wish wish = {
            .visible = &visible, .seq = tars_index_seq(index), .exact = true};

        search(index, tars_scope_filter(timed_scope(scopes, &wish, &arena, NULL)),
               "everything, by a filter all the same");
    }
    tars_arena_release(&arena);
}

static void measure_scopes(struct tars_store *store, struct tars_index *index)
{
    const struct tars_visible some = {.keys = &keys[2], .count = 1};
    const struct tars_visible all = {.keys = keys, .count = 4};
    struct tars_scope_wish wish = {.visible = &some, .seq = tars_index_seq(index)};
    struct tars_scopes *scopes = NULL;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)64 << 20);
    if (tars_scopes_new(store, &scopes))
        exit(1);
    (void)timed_scope(scopes, &wish, &arena, "scope: the first of a process");
    (void)timed_scope(scopes, &wish, &arena, "scope: one more");
    wish.filters_json = "{\"file_type\":\"pdf\"}";
    tars_scope_release(timed_scope(scopes, &wish, &arena, "scope: filters on 10 %, first time"));
    tars_scope_release(timed_scope(scopes, &wish, &arena, "scope: filters, kept"));
    put(store, index, keys[2], "/new", 10);
    wish.seq = tars_index_seq(index);
    tars_scope_release(timed_scope(scopes, &wish, &arena, "scope: filters, 10 new documents"));
    wish = (struct tars_scope_wish){.visible = &all, .seq = wish.seq};
    (void)timed_scope(scopes, &wish, &arena, "scope: all there is");
    tars_scopes_free(scopes);
    tars_arena_release(&arena);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/tars-bench-XXXXXX";
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000;
    struct tars_store_sqlite_config config = {.dir = mkdtemp(dir)};
    struct tars_index_config index_config = {.dim = DIM};
    struct tars_scopes *scopes = NULL;
    struct tars_store *store = NULL;
    struct tars_index *index = NULL;
    struct tars_err err = {.text = ""};
    char command[64];

    if (tars_store_sqlite_open(&config, &store, &err) ||
        tars_index_open(&index_config, &index, &err) || tars_scopes_new(store, &scopes))
        die("open", &err);
    fill(store, index, n);
    printf("%zu passages of %d floats\n", n, DIM);
    measure_searches(scopes, index);
    measure_scopes(store, index);
    tars_scopes_free(scopes);
    tars_index_close(index);
    tars_store_close(store);
    (void)snprintf(command, sizeof(command), "%s/tars.db", dir);
    (void)unlink(command);
    (void)snprintf(command, sizeof(command), "%s/lock", dir);
    (void)unlink(command);
    (void)rmdir(dir);
    return 0;
}
