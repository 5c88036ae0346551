/* bench/index - build time, recall and speed of the index, on made-up data.
 *
 *     index [PASSAGES] [VECTORS.f32 [vectors] | words]
 *
 * The file: float (n, 384), n >= PASSAGES + 200, unit length; the last 200 used are the questions.
 * Both kinds are measured, or the one that is named. Without a file, vectors are clustered noise;
 * real ones are easier. Words are Zipf over 50,000.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "index/index.h"

#define DIM        384
#define QUERIES    200
#define TOP        10
#define ROUNDS     5
#define VOCABULARY 50000
#define WORDS      80
#define CENTRES    2000
#define EFS        7

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static float noise(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (float)(next_random(state) >> 40) / 16777216.0F - 0.5F;
    return sum;
}

static void make_vector(uint64_t i, float *out)
{
    uint64_t own = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t centre = (next_random(&own) % CENTRES + 1) * UINT64_C(0xd1342543de82ef95);
    float norm = 0;

    for (int d = 0; d < DIM; d++) {
        out[d] = noise(&centre) + 0.8F * noise(&own);
        norm += out[d] * out[d];
    }
    for (int d = 0; d < DIM; d++)
        out[d] /= sqrtf(norm);
}

static uint32_t draw(uint64_t *state)
{
    return (uint32_t)exp((double)(next_random(state) >> 11) / 9007199254740992.0 * log(VOCABULARY));
}

/* The words of one passage or, with few of them, question. */
static size_t make_terms(uint64_t i, size_t words, char (*text)[16], struct tars_index_term *terms)
{
    uint64_t random = (i + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t count = 0;

    for (size_t w = 0; w < words; w++) {
        (void)snprintf(text[count], 16, "w%u", draw(&random) % 1000000U);
        for (size_t t = 0; t <= count; t++) {
            if (t == count) {
                terms[count] = (struct tars_index_term){text[t], (uint32_t)strlen(text[t]), 1,
                                                        TARS_INDEX_TEXT};
                count++;
                break;
            }
            if (strcmp(text[t], text[count]) == 0) {
                terms[t].tf++;
                break;
            }
        }
    }
    return count;
}

static void build(struct tars_index *index, const float *vectors, size_t n, bool words)
{
    char text[WORDS + 1][16];
    struct tars_index_term terms[WORDS];
    int64_t start = tars_clock_mono_ns();

    for (size_t i = 0; i < n; i++) {
        struct tars_index_passage passage = {.id = i + 1, .length = WORDS, .terms = terms};

        if (words)
            passage.term_count = make_terms(i, WORDS, text, terms);
        if (vectors) {
            passage.vectors = vectors + i * DIM;
            passage.vector_count = 1;
        }
        if (tars_index_add(index, &passage) != TARS_OK)
            abort();
    }
    tars_index_publish(index, n);
    (void)printf("%s: %zu in %.2f s\n", words ? "words" : "graph", n,
                 (double)(tars_clock_mono_ns() - start) / 1e9);
}

static int by_time(const void *a, const void *b)
{
    return (*(const int64_t *)a > *(const int64_t *)b) -
           (*(const int64_t *)a < *(const int64_t *)b);
}

static void report(const char *what, int64_t *times, double recall)
{
    size_t middle = QUERIES / 2;
    size_t late = QUERIES * 95 / 100;

    qsort(times, QUERIES, sizeof(*times), by_time);
    (void)printf("%s: P50 %.0f us, P95 %.0f us", what, (double)times[middle] / 1e3,
                 (double)times[late] / 1e3);
    if (recall >= 0)
        (void)printf(", recall@10 %.4f", recall);
    (void)printf("\n");
}

/* The score of the tenth best, by comparing all. */
static float tenth(const float *vectors, size_t n, const float *query)
{
    float best[TOP];

    for (int i = 0; i < TOP; i++)
        best[i] = -2;
    for (size_t v = 0; v < n; v++) {
        float score = 0;

        for (int d = 0; d < DIM; d++)
            score += vectors[v * DIM + (size_t)d] * query[d];
        for (int i = 0; i < TOP; i++) {
            if (score > best[i]) {
                float swap = best[i];

                best[i] = score;
                score = swap;
            }
        }
    }
    return best[TOP - 1];
}

static void search_vectors(struct tars_index *index, const char *what, const float *queries,
                           const float *floors)
{
    int64_t times[QUERIES];
    size_t right = 0;

    for (size_t q = 0; q < QUERIES; q++) {
        struct tars_index_hit hits[TOP];
        int64_t start = tars_clock_mono_ns();
        size_t n = 0;

        if (tars_index_search_vector(index, queries + q * DIM, TOP, NULL, hits, &n) != TARS_OK)
            abort();
        times[q] = tars_clock_mono_ns() - start;
        for (size_t i = 0; i < n; i++)
            right += hits[i].score >= floors[q] - 1e-5F;
    }
    report(what, times, (double)right / (QUERIES * TOP));
}

static void bench_vectors(const float *vectors, size_t n)
{
    static const size_t efs[EFS] = {16, 24, 32, 48, 64, 96, 160};
    const char *dir = "/tmp/bench-index";
    const float *queries = vectors + n * DIM;
    float floors[QUERIES];
    struct tars_index_config config = {.dir = dir, .dim = DIM, .exact_below = 1};
    struct tars_index *index = NULL;
    int64_t start;
    char what[64];

    for (size_t q = 0; q < QUERIES; q++)
        floors[q] = tenth(vectors, n, queries + q * DIM);
    config.fresh = true;
    if (tars_index_open(&config, &index, NULL) != TARS_OK)
        abort();
    build(index, vectors, n, false);
    start = tars_clock_mono_ns();
    if (tars_index_save(index, NULL) != TARS_OK)
        abort();
    (void)printf("saved in %.2f s\n", (double)(tars_clock_mono_ns() - start) / 1e9);
    tars_index_close(index);
    config.fresh = false;
    for (size_t i = 0; i <= EFS; i++) {
        start = tars_clock_mono_ns();
        config.ef = i < EFS ? efs[i] : 0;
        config.exact_below = i < EFS ? 1 : SIZE_MAX;
        if (tars_index_open(&config, &index, NULL) != TARS_OK)
            abort();
        (void)snprintf(what, sizeof(what), "%s %zu (open %.2f ms)", i < EFS ? "ef" : "scan",
                       config.ef, (double)(tars_clock_mono_ns() - start) / 1e6);
        search_vectors(index, what, queries, floors);
        tars_index_close(index);
    }
}

/* The time of one question of the words that i draws. */
static int64_t time_question(const struct tars_index *index, uint64_t i)
{
    char text[8][16];
    struct tars_index_term words[8];
    struct tars_index_query_term terms[8];
    struct tars_index_hit hits[TOP];
    size_t count = make_terms(i, 6, text, words);
    int64_t start;
    size_t found;

    for (size_t t = 0; t < count; t++)
        terms[t] =
            (struct tars_index_query_term){words[t].ptr, words[t].len, 1, 0, TARS_INDEX_TEXT};
    start = tars_clock_mono_ns();
    if (tars_index_search_words(index, terms, count, TOP, NULL, hits, &found) != TARS_OK)
        abort();
    return tars_clock_mono_ns() - start;
}

/* Of each question the best of some rounds over all: a neighbour's load is not ours. */
static void bench_words(size_t n)
{
    const struct tars_index_config config = {.dim = 0};
    struct tars_index *index = NULL;
    int64_t times[QUERIES];

    if (tars_index_open(&config, &index, NULL) != TARS_OK)
        abort();
    build(index, NULL, n, true);
    for (size_t i = 0; i < (size_t)ROUNDS * QUERIES; i++) {
        int64_t time = time_question(index, n + i % QUERIES);

        if (i < QUERIES || time < times[i % QUERIES])
            times[i % QUERIES] = time;
    }
    report("words, 6 a question", times, -1);
    tars_index_close(index);
}

/* Vectors from the file at path, or made up when it is NULL. */
static bool bench_file(size_t n, const char *path)
{
    float *vectors = malloc((n + QUERIES) * DIM * sizeof(*vectors));
    FILE *file = path ? fopen(path, "rb") : NULL;
    bool ok = vectors && (file || !path);

    for (size_t i = 0; ok && !path && i < n + QUERIES; i++)
        make_vector(i, vectors + i * DIM);
    if (ok && path)
        ok = fread(vectors, DIM * sizeof(*vectors), n + QUERIES, file) == n + QUERIES;
    if (file)
        (void)fclose(file);
    if (ok)
        bench_vectors(vectors, n);
    free(vectors);
    return ok;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 36000;

    if (argc <= 2 || strcmp(argv[2], "words") != 0) {
        if (!bench_file(n, argc > 2 ? argv[2] : NULL))
            return EXIT_FAILURE;
    }
    if (argc <= 3 || strcmp(argv[3], "vectors") != 0)
        bench_words(n);
    return EXIT_SUCCESS;
}
