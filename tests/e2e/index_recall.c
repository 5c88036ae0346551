/* index_recall - what the graph finds of what comparing all would find, on vectors of the real
 * encoder.
 *
 *     e2e_index_recall MODEL_FOLDER PASSAGES QUERIES [MAX_TOKENS [VECTORS.f32]]
 *
 * PASSAGES and QUERIES hold a text a line. The index is opened with its defaults, except that it
 * uses the graph from the first window on. Prints one JSON line. With VECTORS.f32 the vectors are
 * written there too, float (passages + queries, dim), for bench/index and its peer.
 *
 * Used by recall.py.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "index/index.h"
#include "model/encoder.h"

#define TOP       10
#define CALL      256 /* texts in one call of the encoder */
#define FILE_MAX  ((size_t)256 << 20U)
#define TIE       1e-5F /* of scores that are the same but for rounding */
#define KEPT_MIN  2     /* a filter keeps one passage of this many, and of */
#define KEPT_MAX  512   /* this many, and of the powers of four between them */
#define KEPT_STEP 4

struct texts {
    struct tars_buf buf;
    struct tars_span *line; /* (count,) in buf; owned */
    size_t count;
};

struct vectors {
    float *passages; /* (passage_count, dim) */
    float *queries;  /* (query_count, dim), behind passages in one block */
    size_t passage_count;
    size_t query_count;
    size_t dim;
};

static void must(tars_status status, const char *what, const struct tars_err *err)
{
    if (status == TARS_OK)
        return;
    (void)fprintf(stderr, "%s: %s %s\n", what, tars_status_text(status), err ? err->text : "");
    exit(EXIT_FAILURE);
}

static double seconds_since(int64_t start_ns)
{
    return (double)(tars_clock_mono_ns() - start_ns) / 1e9;
}

static void read_lines(struct texts *texts, const char *path)
{
    struct tars_err err = {""};
    size_t at = 0;

    *texts = (struct texts){0};
    tars_buf_init(&texts->buf, FILE_MAX);
    must(tars_file_read(path, &texts->buf, &err), path, &err);
    texts->line = calloc(texts->buf.len + 1, sizeof(*texts->line));
    must(texts->line ? TARS_OK : TARS_ENOMEM, path, NULL);
    while (at < texts->buf.len) {
        const char *ptr = texts->buf.ptr + at;
        const char *end = memchr(ptr, '\n', texts->buf.len - at);
        size_t len = end ? (size_t)(end - ptr) : texts->buf.len - at;

        texts->line[texts->count++] = tars_span(ptr, len);
        at += len + 1;
    }
}

static void free_lines(struct texts *texts)
{
    free(texts->line);
    tars_buf_release(&texts->buf);
}

static void embed(struct tars_encoder *encoder, enum tars_embed_kind kind,
                  const struct texts *texts, float *out)
{
    size_t dim = tars_encoder_info(encoder)->dim;
    struct tars_err err = {""};

    for (size_t i = 0; i < texts->count; i += CALL) {
        size_t n = texts->count - i < CALL ? texts->count - i : CALL;

        must(tars_encoder_embed(encoder, kind, texts->line + i, n, out + i * dim, &err),
             "embedding", &err);
    }
}

static struct vectors embed_all(const char *model, const char *const *paths, size_t max_tokens)
{
    const struct tars_encoder_config config = {
        .dir = model,
        .max_tokens = max_tokens,
        .threads = (size_t)sysconf(_SC_NPROCESSORS_ONLN),
    };
    struct tars_encoder *encoder = NULL;
    struct vectors vectors = {0};
    struct tars_err err = {""};
    struct texts texts[2];

    must(tars_encoder_open(&config, &encoder, &err), "the model", &err);
    for (size_t i = 0; i < 2; i++)
        read_lines(&texts[i], paths[i]);
    vectors.dim = tars_encoder_info(encoder)->dim;
    vectors.passage_count = texts[0].count;
    vectors.query_count = texts[1].count;
    vectors.passages =
        malloc((texts[0].count + texts[1].count) * vectors.dim * sizeof(*vectors.passages));
    must(vectors.passages ? TARS_OK : TARS_ENOMEM, "vectors", NULL);
    vectors.queries = vectors.passages + vectors.passage_count * vectors.dim;
    embed(encoder, TARS_EMBED_PASSAGE, &texts[0], vectors.passages);
    embed(encoder, TARS_EMBED_QUERY, &texts[1], vectors.queries);
    for (size_t i = 0; i < 2; i++)
        free_lines(&texts[i]);
    tars_encoder_close(encoder);
    return vectors;
}

/* ------------------------------------------------------------------- recall */

static bool is_kept(void *ctx, uint64_t id)
{
    return id % *(const uint64_t *)ctx == 0;
}

/* The score of the tenth best of those that one in `kept` is, by comparing all; below every score
 * when there are not ten. */
static float tenth(const struct vectors *vectors, const float *query, uint64_t kept)
{
    float best[TOP];

    for (int i = 0; i < TOP; i++)
        best[i] = -2;
    for (size_t v = 0; v < vectors->passage_count; v++) {
        float score = 0;

        if ((v + 1) % kept != 0)
            continue;
        for (size_t d = 0; d < vectors->dim; d++)
            score += vectors->passages[v * vectors->dim + d] * query[d];
        for (int i = 0; i < TOP && score > -2; i++) {
            float lower = score > best[i] ? best[i] : score;

            best[i] = score > best[i] ? score : best[i];
            score = lower;
        }
    }
    return best[TOP - 1];
}

/* Recall@10 of one passage in `kept`; seconds: what the searches took. */
static double recall(struct tars_index *index, const struct vectors *vectors, uint64_t kept,
                     double *seconds)
{
    const struct tars_index_filter filter = {is_kept, &kept, NULL};
    size_t there = vectors->passage_count / kept < TOP ? vectors->passage_count / kept : TOP;
    size_t right = 0;

    *seconds = 0;
    for (size_t q = 0; q < vectors->query_count; q++) {
        const float *query = vectors->queries + q * vectors->dim;
        float floor = tenth(vectors, query, kept);
        struct tars_index_hit hits[TOP];
        int64_t start = tars_clock_mono_ns();
        size_t n = 0;

        must(tars_index_search_vector(index, query, TOP, kept > 1 ? &filter : NULL, hits, &n),
             "searching", NULL);
        *seconds += seconds_since(start);
        for (size_t i = 0; i < n; i++)
            right += hits[i].score >= floor - TIE;
    }
    return (double)right / (double)(vectors->query_count * there);
}

static struct tars_index *build(const struct vectors *vectors, size_t exact_below)
{
    const struct tars_index_config config = {.dim = vectors->dim, .exact_below = exact_below};
    struct tars_index *index = NULL;
    struct tars_err err = {""};

    must(tars_index_open(&config, &index, &err), "the index", &err);
    for (size_t i = 0; i < vectors->passage_count; i++) {
        const struct tars_index_passage passage = {
            .id = i + 1, .vectors = vectors->passages + i * vectors->dim, .vector_count = 1};

        must(tars_index_add(index, &passage), "adding", NULL);
    }
    tars_index_publish(index, vectors->passage_count);
    return index;
}

static void report(const struct vectors *vectors, double embed_s)
{
    double least = 1;
    double graph_s;
    double scan_s;
    double filter_s;
    int64_t start = tars_clock_mono_ns();
    struct tars_index *graph = build(vectors, 1);
    double build_s = seconds_since(start);
    struct tars_index *scan = build(vectors, SIZE_MAX);
    double graph_recall = recall(graph, vectors, 1, &graph_s);
    double scan_recall = recall(scan, vectors, 1, &scan_s);

    for (uint64_t kept = KEPT_MIN; kept <= KEPT_MAX; kept *= KEPT_STEP) {
        double found = recall(graph, vectors, kept, &filter_s);

        least = found < least ? found : least;
    }
    (void)printf("{\"passages\":%zu,\"queries\":%zu,\"embed_s\":%.1f,\"build_s\":%.2f,"
                 "\"recall\":%.4f,\"graph_us\":%.1f,\"scan_recall\":%.4f,\"scan_us\":%.1f,"
                 "\"filtered_recall\":%.4f}\n",
                 vectors->passage_count, vectors->query_count, embed_s, build_s, graph_recall,
                 graph_s * 1e6 / (double)vectors->query_count, scan_recall,
                 scan_s * 1e6 / (double)vectors->query_count, least);
    tars_index_close(graph);
    tars_index_close(scan);
}

static void write_vectors(const struct vectors *vectors, const char *path)
{
    FILE *file = fopen(path, "wb");
    size_t rows = vectors->passage_count + vectors->query_count;
    bool ok = file && fwrite(vectors->passages, vectors->dim * sizeof(float), rows, file) == rows;

    if (file)
        ok = fclose(file) == 0 && ok;
    must(ok ? TARS_OK : TARS_EIO, path, NULL);
}

int main(int argc, char **argv)
{
    struct vectors vectors;
    int64_t start = tars_clock_mono_ns();

    if (argc < 4) {
        (void)fprintf(stderr,
                      "usage: index_recall MODEL PASSAGES QUERIES [MAX_TOKENS [VECTORS]]\n");
        return EXIT_FAILURE;
    }
    vectors = embed_all(argv[1], (const char *const *)argv + 2,
                        argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
    if (vectors.passage_count == 0 || vectors.query_count == 0)
        return EXIT_FAILURE;
    if (argc > 5)
        write_vectors(&vectors, argv[5]);
    report(&vectors, seconds_since(start));
    free(vectors.passages);
    return EXIT_SUCCESS;
}
