/* The encoder: against a slow truth in double precision on a small model, and against vectors of
 * sentence-transformers on the real one where it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/encoder.h"
#include "support/faults.h"
#include "support/files.h"
#include "tiny_model.h"

#define THREADS 4
#define ROUNDS  20

static struct tiny_model tiny;

struct folder {
    char dir[FILES_PATH_MAX];
};

static int make_folder(void **state)
{
    static struct folder folder;

    files_make_dir(folder.dir);
    tiny_make(&tiny);
    tiny_write(&tiny, folder.dir);
    *state = &folder;
    return 0;
}

static int remove_folder(void **state)
{
    files_remove_dir(((struct folder *)*state)->dir);
    return 0;
}

static struct tars_encoder *open_or_fail(const struct tars_encoder_config *config)
{
    struct tars_encoder *encoder = NULL;
    struct tars_err err = {""};

    if (tars_encoder_open(config, &encoder, &err) != TARS_OK) {
        fail_msg("%s", err.text);
    }
    return encoder;
}

/* Texts of these lengths, one after another, of ids that go round. */
static size_t make_ids(const size_t *lengths, size_t n, int32_t *ids, size_t *starts)
{
    size_t at = 0;

    starts[0] = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; t < lengths[i]; t++, at++)
            ids[at] = (int32_t)((at * 7 + i) % TINY_VOCAB);
        starts[i + 1] = at;
    }
    return at;
}

/* ---------------------------------------------------------------- small model */

static const size_t mixed[] = {1, 2, 48, 7, 33, 16, 17, 48, 3, 20, 31, 5};
#define MIXED (sizeof(mixed) / sizeof(mixed[0]))

static void agree_with_truth(const char *dir, enum tars_encoder_precision precision, char pooling,
                             double least_cosine, double most_difference)
{
    struct tars_encoder_config config = {.dir = dir, .precision = precision};
    struct tars_encoder *encoder = open_or_fail(&config);
    int32_t ids[MIXED * TINY_POSITIONS];
    size_t starts[MIXED + 1];
    float out[MIXED * TINY_HIDDEN];

    (void)make_ids(mixed, MIXED, ids, starts);
    assert_int_equal(tars_encoder_embed_ids(encoder, ids, starts, MIXED, out, NULL), TARS_OK);
    for (size_t i = 0; i < MIXED; i++) {
        double truth[TINY_HIDDEN];
        double cosine = 0;

        tiny_truth(&tiny, ids + starts[i], mixed[i], pooling, truth);
        for (size_t d = 0; d < TINY_HIDDEN; d++) {
            cosine += truth[d] * (double)out[i * TINY_HIDDEN + d];
            assert_true(fabs(truth[d] - (double)out[i * TINY_HIDDEN + d]) <= most_difference);
        }
        assert_true(cosine >= least_cosine);
    }
    tars_encoder_close(encoder);
}

static void fp32_is_the_truth(void **state)
{
    agree_with_truth(((struct folder *)*state)->dir, TARS_ENCODER_FP32, 'm', 0.999999, 1e-5);
}

static void int8_is_near(void **state)
{
    agree_with_truth(((struct folder *)*state)->dir, TARS_ENCODER_INT8, 'm', 0.998, 0.05);
}

static void bf16_is_near(void **state)
{
    agree_with_truth(((struct folder *)*state)->dir, TARS_ENCODER_BF16, 'm', 0.999, 0.03);
}

static void poolings(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    char folder[FILES_PATH_MAX + 16];

    tiny_write_text(dir, "modules.json",
                    "[{\"path\":\"\",\"type\":\"x.Transformer\"},"
                    "{\"path\":\"2_Pooling\",\"type\":\"x.models.Pooling\"}]");
    (void)snprintf(folder, sizeof(folder), "%s/2_Pooling", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    tiny_write_text(folder, "config.json", "{\"pooling_mode_cls_token\":true}");
    agree_with_truth(dir, TARS_ENCODER_FP32, 'c', 0.999999, 1e-5);
    tiny_write_text(folder, "config.json", "{\"pooling_mode_max_tokens\":true}");
    agree_with_truth(dir, TARS_ENCODER_FP32, 'x', 0.999999, 1e-5);
}

static void texts_are_tokenised_with_prefix(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_encoder_config config = {.dir = dir, .precision = TARS_ENCODER_FP32};
    const struct tars_span text = tars_span_of("the cats sat");
    const int32_t query[] = {2, 10, 11, 5, 6, 13, 7, 3}; /* query : the cat ##s sat */
    const int32_t passage[] = {2, 5, 6, 13, 7, 3};
    const size_t query_starts[] = {0, 8};
    const size_t passage_starts[] = {0, 6};
    struct tars_encoder *encoder;
    float a[TINY_HIDDEN];
    float b[TINY_HIDDEN];

    tiny_write_text(dir, "config_sentence_transformers.json",
                    "{\"prompts\":{\"query\":\"query: \"}}");
    encoder = open_or_fail(&config);
    assert_string_equal(tars_encoder_info(encoder)->query_prefix, "query: ");
    assert_int_equal(tars_wordpiece_vocab_size(tars_encoder_wordpiece(encoder)), TINY_VOCAB);
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_QUERY, &text, 1, a, NULL), TARS_OK);
    assert_int_equal(tars_encoder_embed_ids(encoder, query, query_starts, 1, b, NULL), TARS_OK);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, &text, 1, a, NULL), TARS_OK);
    assert_int_equal(tars_encoder_embed_ids(encoder, passage, passage_starts, 1, b, NULL), TARS_OK);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_QUERY, NULL, 0, NULL, NULL), TARS_OK);
    tars_encoder_close(encoder);
}

static void long_texts_are_cut(void **state)
{
    const struct tars_encoder_config config = {
        .dir = ((struct folder *)*state)->dir, .precision = TARS_ENCODER_FP32, .max_tokens = 5};
    const struct tars_span texts[] = {tars_span_of("the cat sat on the mat"),
                                      tars_span_of("the cat sat a a a a")};
    const struct tars_span huge = {"", (size_t)1 << 30};
    struct tars_encoder *encoder = open_or_fail(&config);
    float out[2 * TINY_HIDDEN];

    assert_int_equal(tars_encoder_info(encoder)->max_tokens, 5);
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, 2, out, NULL), TARS_OK);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        assert_true(fabsf(out[i] - out[TINY_HIDDEN + i]) < 1e-6F);
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, &huge, 1, out, NULL),
                     TARS_ETOOBIG);
    tars_encoder_close(encoder);
}

static void many_texts_in_steps(void **state)
{
    enum { COUNT = 600 };
    const struct tars_encoder_config config = {
        .dir = ((struct folder *)*state)->dir, .precision = TARS_ENCODER_FP32, .threads = 2};
    struct tars_encoder *encoder = open_or_fail(&config);
    static struct tars_span texts[COUNT];
    static float out[COUNT * TINY_HIDDEN];

    for (size_t i = 0; i < COUNT; i++)
        texts[i] = tars_span_of(i % 2 ? "the cat sat on the mat . a cat" : "");
    assert_int_equal(tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, COUNT, out, NULL),
                     TARS_OK);
    for (size_t i = 2; i < COUNT; i++) {
        for (size_t d = 0; d < TINY_HIDDEN; d++)
            assert_true(fabsf(out[i * TINY_HIDDEN + d] - out[(i % 2) * TINY_HIDDEN + d]) < 1e-5F);
    }
    tars_encoder_close(encoder);
}

static void bad_ids_are_refused(void **state)
{
    static const struct {
        const char *name;
        int32_t id;
        size_t starts[2];
    } rows[] = {{"id past the vocabulary", TINY_VOCAB, {0, 1}},
                {"negative id", -1, {0, 1}},
                {"no tokens", 1, {0, 0}},
                {"too many tokens", 1, {0, TINY_POSITIONS + 1}},
                {"starts go back", 1, {1, 0}}};
    const struct tars_encoder_config config = {.dir = ((struct folder *)*state)->dir};
    struct tars_encoder *encoder = open_or_fail(&config);
    float out[TINY_HIDDEN];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {""};

        print_message("  %s\n", rows[i].name);
        assert_int_equal(tars_encoder_embed_ids(encoder, &rows[i].id, rows[i].starts, 1, out, &err),
                         TARS_EINVAL);
        assert_true(err.text[0]);
    }
    tars_encoder_close(encoder);
}

/* -------------------------------------------------------------------- opening */

static const struct {
    const char *name;
    const char *file;
    const char *text; /* NULL: weights without the tensor named in part */
    const char *part; /* of the message */
    tars_status status;
} broken[] = {
    {"no weights", "model.safetensors", "", "too short", TARS_EFORMAT},
    {"no word table", "model.safetensors", NULL, "embeddings.word_embeddings.weight", TARS_EFORMAT},
    {"no bias", "model.safetensors", NULL, "encoder.layer.1.output.dense.bias", TARS_EFORMAT},
    {"no key", "model.safetensors", NULL, "encoder.layer.0.attention.self.key.weight",
     TARS_EFORMAT},
    {"no norm", "model.safetensors", NULL, "encoder.layer.1.output.LayerNorm.weight", TARS_EFORMAT},
    {"no positions", "model.safetensors", NULL, "embeddings.position_embeddings.weight",
     TARS_EFORMAT},
    {"vocabulary of another model", "vocab.txt",
     "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n", "vocab_size",
     TARS_EFORMAT},
    {"vocabulary without specials", "vocab.txt", "a\nb\n", "vocab.txt", TARS_EFORMAT},
    {"another shape", "config.json",
     "{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":2,\"intermediate_size\":40,\"max_position_embeddings\":48,"
     "\"vocab_size\":16}",
     "shape", TARS_EFORMAT},
};

static void broken_folders(void **state)
{
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_encoder_config config = {.dir = dir};

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct tars_encoder *encoder = NULL;
        struct tars_err err = {""};
        char path[FILES_PATH_MAX];

        print_message("  %s\n", broken[i].name);
        tiny_write(&tiny, dir);
        if (broken[i].text) {
            tiny_write_text(dir, broken[i].file, broken[i].text);
        } else {
            files_write(dir, broken[i].file, bytes,
                        tiny_file(&tiny, "", broken[i].part, bytes, sizeof(bytes)), path);
        }
        assert_int_equal(tars_encoder_open(&config, &encoder, &err), broken[i].status);
        assert_non_null(strstr(err.text, broken[i].part));
        assert_null(encoder);
    }
}

static void missing_files(void **state)
{
    static const char *const names[] = {"config.json", "vocab.txt", "model.safetensors"};
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_encoder_config config = {.dir = dir};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tars_encoder *encoder = NULL;
        struct tars_err err = {""};
        char path[FILES_PATH_MAX + 32];

        tiny_write(&tiny, dir);
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(tars_encoder_open(&config, &encoder, &err), TARS_ENOTFOUND);
        assert_non_null(strstr(err.text, names[i]));
    }
}

static void wrong_settings(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_encoder_config rows[] = {
        {.dir = NULL},
        {.dir = dir, .threads = TARS_ENCODER_THREADS_MAX + 1},
        {.dir = dir, .max_tokens = 2},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_encoder *encoder = NULL;

        assert_int_equal(tars_encoder_open(&rows[i], &encoder, NULL), TARS_EINVAL);
    }
    tars_encoder_close(NULL);
}

static void names_behind_a_prefix(void **state)
{
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    const char *dir = ((struct folder *)*state)->dir;
    char path[FILES_PATH_MAX];

    files_write(dir, "model.safetensors", bytes,
                tiny_file(&tiny, "bert.", NULL, bytes, sizeof(bytes)), path);
    agree_with_truth(dir, TARS_ENCODER_FP32, 'm', 0.999999, 1e-5);
}

static void identity_is_of_the_model_not_the_precision(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_encoder_config configs[] = {
        {.dir = dir, .precision = TARS_ENCODER_INT8, .cache_dir = dir},
        {.dir = dir, .precision = TARS_ENCODER_FP32, .cache_dir = dir},
        {.dir = dir, .max_tokens = 20}};
    char identity[3][TARS_ENCODER_IDENTITY_BYTES];

    for (size_t i = 0; i < 3; i++) {
        struct tars_encoder *encoder = open_or_fail(&configs[i]);

        memcpy(identity[i], tars_encoder_info(encoder)->identity, sizeof(identity[i]));
        assert_int_equal(strlen(identity[i]), 64);
        tars_encoder_close(encoder);
    }
    assert_string_equal(identity[0], identity[1]);
    assert_string_not_equal(identity[0], identity[2]);
}

static void open_and_embed(void *ctx)
{
    const struct tars_encoder_config config = {.dir = ctx, .threads = 2, .cache_dir = ctx};
    const struct tars_span texts[] = {tars_span_of("the cat"), tars_span_of("a mat .")};
    struct tars_encoder *encoder = NULL;
    float out[2 * TINY_HIDDEN];
    tars_status status = tars_encoder_open(&config, &encoder, NULL);

    if (status == TARS_OK)
        status = tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, 2, out, NULL);
    assert_true(status == TARS_OK || faults_happened());
    tars_encoder_close(encoder);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(open_and_embed, ((struct folder *)*state)->dir) > 20);
}

/* -------------------------------------------------------------------- threads */

struct caller {
    struct tars_encoder *encoder;
    const int32_t *ids;
    const size_t *starts;
    size_t n;
    const float *expected;
    bool same;
};

static void *call_often(void *ctx)
{
    struct caller *caller = ctx;
    float *out = malloc(caller->n * TINY_HIDDEN * sizeof(*out));

    caller->same = out != NULL;
    for (size_t round = 0; round < ROUNDS && caller->same; round++) {
        size_t n = round % 2 ? caller->n : 1 + round % 3;

        caller->same = tars_encoder_embed_ids(caller->encoder, caller->ids, caller->starts, n, out,
                                              NULL) == TARS_OK;
        /* A text's products are the same whatever stands beside it, up to rounding. */
        for (size_t i = 0; i < n * TINY_HIDDEN && caller->same; i++)
            caller->same = fabsf(out[i] - caller->expected[i]) < 1e-5F;
    }
    free(out);
    return NULL;
}

static void many_callers_share_it(void **state)
{
    enum { COUNT = 100 };
    const struct tars_encoder_config config = {
        .dir = ((struct folder *)*state)->dir, .precision = TARS_ENCODER_FP32, .threads = 2};
    struct tars_encoder *encoder = open_or_fail(&config);
    static size_t lengths[COUNT];
    static size_t starts[COUNT + 1];
    static int32_t ids[COUNT * TINY_POSITIONS];
    static float expected[COUNT * TINY_HIDDEN];
    struct caller callers[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < COUNT; i++)
        lengths[i] = 1 + i * 5 % TINY_POSITIONS;
    (void)make_ids(lengths, COUNT, ids, starts);
    assert_int_equal(tars_encoder_embed_ids(encoder, ids, starts, COUNT, expected, NULL), TARS_OK);
    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){encoder, ids, starts, COUNT, expected, false};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_true(callers[i].same);
    tars_encoder_close(encoder);
}

/* ----------------------------------------------------------------- real model */

/* The folder of all-MiniLM-L6-v2, or the test is skipped with words. */
static void real_folder(char *dir)
{
    if (!files_model(dir)) {
        print_message("skipped: %s is not there; run scripts/deps, or set TARS_TEST_MODEL\n", dir);
        skip();
    }
}

static json_t *golden(void)
{
    json_error_t where;
    json_t *json = json_load_file(TARS_SOURCE_DIR "/tests/golden/encoder_minilm.json", 0, &where);

    if (!json) {
        fail_msg("encoder_minilm.json: %s", where.text);
    }
    return json;
}

/* The texts of the golden file through the tokenizer and the network, all in one batch. */
static void agree_with_golden(enum tars_encoder_precision precision, double least_cosine,
                              double most_difference)
{
    enum { TEXTS = 64, DIM = 384 };
    char dir[FILES_PATH_MAX];
    struct tars_span texts[TEXTS];
    static float out[TEXTS * DIM];
    struct tars_encoder_config config = {.dir = dir, .precision = precision, .threads = 2};
    struct tars_encoder *encoder;
    json_t *root;
    const json_t *rows;
    double lowest = 1;
    double highest = 0;

    real_folder(dir);
    root = golden();
    rows = json_object_get(root, "texts");
    encoder = open_or_fail(&config);
    assert_int_equal(tars_encoder_info(encoder)->dim, DIM);
    assert_int_equal(tars_encoder_info(encoder)->max_tokens, 256);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        texts[i] =
            tars_span_of(json_string_value(json_object_get(json_array_get(rows, i), "text")));
    }
    assert_int_equal(
        tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, json_array_size(rows), out, NULL),
        TARS_OK);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *vector = json_object_get(json_array_get(rows, i), "vector");
        double cosine = 0;

        for (size_t d = 0; d < DIM; d++) {
            double wanted = json_real_value(json_array_get(vector, d));

            cosine += wanted * (double)out[i * DIM + d];
            highest = fmax(highest, fabs(wanted - (double)out[i * DIM + d]));
        }
        lowest = fmin(lowest, cosine);
    }
    print_message("  %s: lowest cosine %.6f, largest difference %.2g\n",
                  tars_encoder_info(encoder)->implementation, lowest, highest);
    assert_true(lowest >= least_cosine);
    assert_true(highest <= most_difference);
    json_decref(root);
    tars_encoder_close(encoder);
}

static void minilm_fp32_within_1e_4(void **state)
{
    (void)state;
    agree_with_golden(TARS_ENCODER_FP32, 0.99999, 1e-4);
}

static void minilm_int8_cosine_over_099(void **state)
{
    (void)state;
    agree_with_golden(TARS_ENCODER_INT8, 0.99, 0.1);
}

static void minilm_bf16_cosine_over_0999(void **state)
{
    (void)state;
    agree_with_golden(TARS_ENCODER_BF16, 0.999, 0.1);
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(fp32_is_the_truth),
        WITH_FOLDER(int8_is_near),
        WITH_FOLDER(bf16_is_near),
        WITH_FOLDER(poolings),
        WITH_FOLDER(texts_are_tokenised_with_prefix),
        WITH_FOLDER(long_texts_are_cut),
        WITH_FOLDER(many_texts_in_steps),
        WITH_FOLDER(bad_ids_are_refused),
        WITH_FOLDER(broken_folders),
        WITH_FOLDER(missing_files),
        WITH_FOLDER(wrong_settings),
        WITH_FOLDER(names_behind_a_prefix),
        WITH_FOLDER(identity_is_of_the_model_not_the_precision),
        WITH_FOLDER(every_allocation_may_fail),
        WITH_FOLDER(many_callers_share_it),
        cmocka_unit_test(minilm_fp32_within_1e_4),
        cmocka_unit_test(minilm_int8_cosine_over_099),
        cmocka_unit_test(minilm_bf16_cosine_over_0999),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
