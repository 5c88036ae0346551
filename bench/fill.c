/* bench/fill - a data folder of many passages, made of a few: for measuring searches of large
 * collections.
 *
 *     fill OUT PASSAGES SOURCE...
 *
 * SOURCE are data folders that `tars ingest` made. Passage i of OUT is 110 words of the source's
 * text, begun at another word each time the source comes round again, so that neighbours overlap;
 * its vector is that of the source's first window with noise of 0.35 of its length added, so that
 * vectors are spread as real ones are, and no two are equal. The first time round nothing is
 * changed. OUT gets its store, whose index the next start of the program builds; beside it
 * texts.jsonl
 * ({"id","text"}) and vectors.f32, float32 (n, 384), for whoever is measured against. Prints JSON.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "store/store.h"
#include "store/store_sqlite.h"
#include "text/analyzer.h"

#define WORDS        110
#define NOISE        0.35F
#define BATCH        256 /* documents of a transaction */
#define PER_DOCUMENT 4
#define READ_AT_ONCE 256
#define ARENA        ((size_t)4 << 30)
#define TEXT_MAX     ((size_t)64 << 10)

struct source {
    struct tars_span text;
    const float *vector;
};

struct fill {
    struct tars_arena sources_arena;
    struct source *sources;
    size_t count, cap, dim;
    struct tars_store_model model;
    struct tars_store *out;
    FILE *texts, *vectors;
    size_t made, wanted;
};

static void check(tars_status status, const struct tars_err *err)
{
    if (status == TARS_OK)
        return;
    (void)fprintf(stderr, "fill: %s: %s\n", tars_status_text(status), err->text);
    exit(EXIT_FAILURE);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Near enough to normal, of variance 1. */
static float noise(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 12; i++)
        sum += (float)(next_random(state) >> 40) / 16777216.0F;
    return sum - 6;
}

/* ------------------------------------------------------------------ sources */

static void keep(struct fill *fill, const struct tars_store_passage *passage)
{
    void *sources = fill->sources;
    struct tars_err err = {{0}};

    if (passage->window_count == 0 || !passage->vectors || passage->text_len == 0)
        return;
    check(tars_arena_grow(&fill->sources_arena, &sources, &fill->cap, fill->count + 1,
                          sizeof(*fill->sources)),
          &err);
    fill->sources = sources;
    fill->sources[fill->count++] =
        (struct source){tars_span(passage->text, passage->text_len), passage->vectors};
}

static void read_source(struct fill *fill, const char *dir)
{
    const struct tars_store_sqlite_config config = {.dir = dir};
    struct tars_store_passages some;
    struct tars_store *store;
    struct tars_err err = {{0}};
    uint64_t from = 1;

    check(tars_store_sqlite_open(&config, &store, &err), &err);
    check(tars_store_model(store, &fill->model, &err), &err);
    fill->dim = (size_t)fill->model.dim;
    do {
        check(tars_store_passage_range(store, from, UINT64_C(1) << 60U, READ_AT_ONCE,
                                       TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &fill->sources_arena,
                                       &some, &err),
              &err);
        for (size_t i = 0; i < some.count; i++)
            keep(fill, &some.items[i]);
        if (some.count > 0)
            from = some.items[some.count - 1].id + 1;
    } while (some.count > 0);
    tars_store_close(store);
}

/* ------------------------------------------------------------------- making */

/* WORDS words from word skip on, going round the text. */
static char *cut(struct tars_arena *arena, struct tars_span text, size_t skip)
{
    struct tars_buf out;
    size_t at = 0;
    char *copy;

    tars_buf_init(&out, TEXT_MAX);
    for (size_t word = 0; word < skip + WORDS; word++) {
        size_t start;

        while (at < text.len && text.ptr[at] <= ' ' && text.ptr[at] > 0)
            at++;
        if (at == text.len)
            at = 0;
        start = at;
        while (at < text.len && (text.ptr[at] > ' ' || text.ptr[at] < 0))
            at++;
        if (word < skip || at == start)
            continue;
        tars_buf_append(&out, text.ptr + start, at - start);
        tars_buf_append_char(&out, ' ');
    }
    copy = tars_arena_strndup(arena, out.ptr ? out.ptr : "", out.len);
    tars_buf_release(&out);
    return copy;
}

static float *shift(struct tars_arena *arena, const struct fill *fill, const float *from,
                    uint64_t number, bool is_first)
{
    float *out = tars_arena_calloc(arena, fill->dim, sizeof(*out));
    uint64_t random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    float length = 0;

    if (!out)
        abort();
    for (size_t d = 0; d < fill->dim; d++) {
        out[d] = from[d] + (is_first ? 0 : noise(&random) * NOISE / sqrtf((float)fill->dim));
        length += out[d] * out[d];
    }
    for (size_t d = 0; d < fill->dim; d++)
        out[d] /= sqrtf(length);
    return out;
}

static void write_for_peers(const struct fill *fill, const struct tars_store_passage *passage)
{
    struct tars_buf line;
    struct tars_json json;

    tars_buf_init(&line, 4 * TEXT_MAX);
    tars_json_init(&json, &line);
    tars_json_object(&json, NULL);
    tars_json_int(&json, "id", (int64_t)fill->made);
    tars_json_text_n(&json, "text", passage->text, passage->text_len);
    tars_json_end(&json);
    tars_buf_append_char(&line, '\n');
    if (fwrite(line.ptr, 1, line.len, fill->texts) != line.len ||
        fwrite(passage->vectors, sizeof(float), fill->dim, fill->vectors) != fill->dim)
        abort();
    tars_buf_release(&line);
}

static void make_passage(struct fill *fill, struct tars_arena *arena,
                         struct tars_store_passage *passage)
{
    const struct source *source = &fill->sources[fill->made % fill->count];
    size_t round = fill->made / fill->count;
    struct tars_store_window *window = tars_arena_calloc(arena, 1, sizeof(*window));
    char *text = cut(arena, source->text, round * 7);

    if (!text || !window)
        abort();
    *passage = (struct tars_store_passage){.text = text,
                                           .text_len = strlen(text),
                                           .section = "",
                                           .language = TARS_LANG_ENGLISH,
                                           .token_count = WORDS,
                                           .windows = window,
                                           .window_count = 1};
    window->len = (uint32_t)passage->text_len;
    passage->vectors = shift(arena, fill, source->vector, fill->made, round == 0);
    write_for_peers(fill, passage);
    fill->made++;
}

static void make_document(struct fill *fill, struct tars_arena *arena, struct tars_store_put *put)
{
    struct tars_store_document *document = tars_arena_calloc(arena, 1, sizeof(*document));
    struct tars_store_passage *passages = tars_arena_calloc(arena, PER_DOCUMENT, sizeof(*passages));
    char *id = tars_arena_printf(arena, "%zu", fill->made);
    char *sha = tars_arena_alloc(arena, TARS_STORE_SHA_BYTES);
    size_t n = 0;

    if (!document || !passages || !id || !sha || tars_sha256_hex(id, strlen(id), sha) != TARS_OK)
        abort();
    for (; n < PER_DOCUMENT && fill->made < fill->wanted; n++)
        make_passage(fill, arena, &passages[n]);
    *document = (struct tars_store_document){.collection = TARS_COLLECTION,
                                             .path = "/fill/corpus.jsonl",
                                             .external_id = id,
                                             .file_name = "corpus.jsonl",
                                             .file_type = "jsonl",
                                             .title = "",
                                             .language = TARS_LANG_ENGLISH,
                                             .sha256 = sha,
                                             .indexed_us = tars_clock_wall_us(),
                                             .metadata_json = ""};
    *put = (struct tars_store_put){.document = document, .passages = passages, .passage_count = n};
}

static void put_batch(struct fill *fill)
{
    const struct tars_store_file file = {.collection = TARS_COLLECTION,
                                         .path = "/fill/corpus.jsonl",
                                         .sha256 = "made by bench/fill",
                                         .indexed_us = tars_clock_wall_us()};
    struct tars_store_put puts[BATCH];
    struct tars_store_batch batch = {.file = &file, .puts = puts, .round = 1, .dim = fill->dim};
    struct tars_store_changes changes;
    struct tars_err err = {{0}};
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA);
    for (; batch.put_count < BATCH && fill->made < fill->wanted; batch.put_count++)
        make_document(fill, &arena, &puts[batch.put_count]);
    batch.finish = fill->made == fill->wanted;
    check(tars_store_put(fill->out, &batch, &arena, &changes, &err), &err);
    tars_arena_release(&arena);
}

static FILE *open_beside(const char *dir, const char *name)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "wbe");
    if (!file) {
        (void)fprintf(stderr, "fill: cannot write %s\n", path);
        exit(EXIT_FAILURE);
    }
    return file;
}

int main(int argc, char **argv)
{
    struct fill fill = {.count = 0};
    struct tars_store_sqlite_config config = {0};
    struct tars_err err = {{0}};
    int64_t start = tars_clock_mono_ms();

    if (argc < 4) {
        (void)fprintf(stderr, "usage: fill OUT PASSAGES SOURCE...\n");
        return 2;
    }
    fill.wanted = strtoull(argv[2], NULL, 10);
    tars_arena_init(&fill.sources_arena, ARENA);
    for (int i = 3; i < argc; i++)
        read_source(&fill, argv[i]);
    if (fill.count == 0) {
        (void)fprintf(stderr, "fill: the sources have no passage with a vector\n");
        return EXIT_FAILURE;
    }
    config.dir = argv[1];
    check(tars_store_sqlite_open(&config, &fill.out, &err), &err);
    check(tars_store_model_claim(fill.out, &fill.model, &err), &err);
    fill.texts = open_beside(argv[1], "texts.jsonl");
    fill.vectors = open_beside(argv[1], "vectors.f32");
    while (fill.made < fill.wanted)
        put_batch(&fill);
    check(tars_store_checkpoint(fill.out, &err), &err);
    tars_store_close(fill.out);
    if (fclose(fill.texts) != 0 || fclose(fill.vectors) != 0)
        return EXIT_FAILURE;
    (void)printf("{\"passages\":%zu,\"sources\":%zu,\"seconds\":%.1f}\n", fill.made, fill.count,
                 (double)(tars_clock_mono_ms() - start) / 1e3);
    tars_arena_release(&fill.sources_arena);
    return EXIT_SUCCESS;
}
