/* The cross-encoder: against transformers on a small model of random weights
 * (tests/golden/cross_encoder.json), its time, its folder's files. */
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
#include <unistd.h>

#include "base/sys/clock.h"
#include "model/cross_encoder.h"
#include "support/faults.h"
#include "support/files.h"
#include "tiny_model.h"

#define PAIRS_MAX 32
#define THREADS   4
#define ROUNDS    20

static struct tiny_model tiny;

struct folder {
    char dir[FILES_PATH_MAX];
    json_t *golden;
};

/* What is different from an encoder's folder. */
static void write_folder(const char *dir, const char *skip)
{
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    char path[FILES_PATH_MAX];

    tiny_write(&tiny, dir);
    files_write(dir, "model.safetensors", bytes,
                tiny_file(&tiny, "bert.", skip, bytes, sizeof(bytes)), path);
}

static int make_folder(void **state)
{
    static struct folder folder;

    files_make_dir(folder.dir);
    tiny_make(&tiny);
    tiny_add_head(&tiny);
    write_folder(folder.dir, NULL);
    folder.golden = json_load_file(TARS_SOURCE_DIR "/tests/golden/cross_encoder.json", 0, NULL);
    assert_non_null(folder.golden);
    *state = &folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;

    json_decref(folder->golden);
    files_remove_dir(folder->dir);
    return 0;
}

static struct tars_cross_encoder *open_or_fail(const struct tars_cross_encoder_config *config)
{
    struct tars_cross_encoder *encoder = NULL;
    struct tars_err err = {""};

    if (tars_cross_encoder_open(config, &encoder, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return encoder;
}

static const char *text_of(const json_t *pair, const char *key)
{
    return json_string_value(json_object_get(pair, key));
}

/* ---------------------------------------------------------------- the truth */

static float score_one(struct tars_cross_encoder *encoder, const char *question,
                       const char *passage)
{
    const struct tars_span told = tars_span_of(passage);
    const struct tars_cross_encoder_wish wish = {
        .question = tars_span_of(question), .passages = &told, .n = 1};
    size_t scored = 0;
    float score = NAN;

    assert_int_equal(tars_cross_encoder_score(encoder, &wish, &score, &scored, NULL), TARS_OK);
    assert_int_equal(scored, 1);
    return score;
}

static void agree_with_transformers(const struct folder *folder,
                                    enum tars_encoder_precision precision, double most)
{
    const struct tars_cross_encoder_config config = {.dir = folder->dir, .precision = precision};
    struct tars_cross_encoder *encoder;
    const json_t *pairs = json_object_get(folder->golden, "pairs");
    json_t *pair;
    size_t i;

    tiny_write_text(folder->dir, "config.json", tiny_config_identity);
    encoder = open_or_fail(&config);
    assert_false(tars_cross_encoder_info(encoder)->is_sigmoid);
    assert_true(json_array_size(pairs) >= 10);
    json_array_foreach(pairs, i, pair)
    {
        double logit = json_number_value(json_object_get(pair, "logit"));
        double ours =
            (double)score_one(encoder, text_of(pair, "question"), text_of(pair, "passage"));

        if (fabs(ours - logit) > most)
            fail_msg("pair %zu: %.6f, transformers %.6f", i, ours, logit);
    }
    tars_cross_encoder_close(encoder);
}

static void fp32_is_transformers(void **state)
{
    agree_with_transformers(*state, TARS_ENCODER_FP32, 1e-4);
}

static void int8_is_near(void **state)
{
    agree_with_transformers(*state, TARS_ENCODER_INT8, 0.25);
}

static void bf16_is_near(void **state)
{
    agree_with_transformers(*state, TARS_ENCODER_BF16, 0.25);
}

/* Passages of one question: end to end they say what they say alone, in as many batches as it
 * takes. */
static void batches(void **state)
{
    enum { COUNT = 40 };
    const struct folder *folder = *state;
    const struct tars_cross_encoder_config config = {.dir = folder->dir,
                                                     .precision = TARS_ENCODER_FP32};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    const json_t *pairs = json_object_get(folder->golden, "pairs");
    struct tars_span passages[COUNT];
    const struct tars_cross_encoder_wish wish = {
        .question = tars_span_of("the cat sat on a mat"), .passages = passages, .n = COUNT};
    float scores[COUNT];
    size_t scored = 0;

    for (size_t i = 0; i < COUNT; i++) {
        passages[i] =
            tars_span_of(text_of(json_array_get(pairs, i % json_array_size(pairs)), "passage"));
    }
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, scores, &scored, NULL), TARS_OK);
    assert_int_equal(scored, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        float alone = score_one(encoder, "the cat sat on a mat", passages[i].ptr);

        assert_true(fabsf(alone - scores[i]) < 1e-5F);
        assert_true(scores[i] > 0 && scores[i] < 1); /* a sigmoid, where the folder says nothing */
    }
    tars_cross_encoder_close(encoder);
}

static void sigmoid_and_identity(void **state)
{
    static const struct {
        const char *name, *more;
        bool is_sigmoid;
    } rows[] = {
        {"nothing said", "", true},
        {"new name, Identity",
         ",\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.linear.Identity\"}",
         false},
        {"new name, Sigmoid",
         ",\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"}",
         true},
        {"old name, Identity",
         ",\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\"", false},
    };
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config config = {.dir = dir, .precision = TARS_ENCODER_FP32};
    float logit = NAN;

    for (size_t i = sizeof(rows) / sizeof(rows[0]); i-- > 0;) {
        char text[sizeof(tiny_config) + 256];
        struct tars_cross_encoder *encoder;
        float score;

        print_message("  %s\n", rows[i].name);
        (void)snprintf(text, sizeof(text), "%.*s%s}", (int)strlen(tiny_config) - 1, tiny_config,
                       rows[i].more);
        tiny_write_text(dir, "config.json", text);
        encoder = open_or_fail(&config);
        assert_int_equal(tars_cross_encoder_info(encoder)->is_sigmoid, rows[i].is_sigmoid);
        score = score_one(encoder, "the cat", "a mat");
        if (!rows[i].is_sigmoid) {
            logit = score;
        } else if (!isnan(logit)) {
            assert_true(fabsf(1 / (1 + expf(-logit)) - score) < 1e-6F);
        }
        tars_cross_encoder_close(encoder);
    }
}

/* ----------------------------------------------------------------- the time */

static void no_time_no_scores(void **state)
{
    const struct folder *folder = *state;
    const struct tars_cross_encoder_config config = {.dir = folder->dir};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    const struct tars_span passages[] = {tars_span_of("a cat"), tars_span_of("a mat")};
    struct tars_cross_encoder_wish wish = {
        .question = tars_span_of("the cat"), .passages = passages, .n = 2, .until_ns = 1};
    atomic_bool cancelled = true;
    size_t scored = 7;
    float scores[2];

    assert_int_equal(tars_cross_encoder_score(encoder, &wish, scores, &scored, NULL), TARS_OK);
    assert_int_equal(scored, 0);
    wish.until_ns = tars_clock_mono_ns() + 3600000000000LL;
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, scores, &scored, NULL), TARS_OK);
    assert_int_equal(scored, 2);
    wish.cancelled = &cancelled;
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, scores, &scored, NULL), TARS_OK);
    assert_int_equal(scored, 0);
    wish.n = 0;
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, NULL, &scored, NULL), TARS_OK);
    tars_cross_encoder_close(encoder);
}

/* With too little time for all, the first ones are scored, and only those that fit: whatever the
 * machine, the call is not many times over its time. */
static void what_fits_is_scored(void **state)
{
    enum { COUNT = 3000 };
    const struct folder *folder = *state;
    const struct tars_cross_encoder_config config = {.dir = folder->dir,
                                                     .precision = TARS_ENCODER_FP32};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    static struct tars_span passages[COUNT];
    static float whole[COUNT];
    static float part[COUNT];
    struct tars_cross_encoder_wish wish = {
        .question = tars_span_of("the cat"), .passages = passages, .n = COUNT};
    int64_t start = tars_clock_mono_ns();
    int64_t all_ns;
    size_t scored = 0;

    for (size_t i = 0; i < COUNT; i++) {
        passages[i] = tars_span_of(i % 2 ? "a cat sat on the mat . a cat sat on the mat ."
                                         : "a mat . a mat on a mat . the cat sat");
    }
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, whole, &scored, NULL), TARS_OK);
    assert_int_equal(scored, COUNT);
    all_ns = tars_clock_mono_ns() - start;
    wish.until_ns = tars_clock_mono_ns() + all_ns / 50;
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, part, &scored, NULL), TARS_OK);
    assert_true(scored < COUNT);
    for (size_t i = 0; i < scored; i++)
        assert_true(fabsf(whole[i] - part[i]) < 1e-5F);
    tars_cross_encoder_close(encoder);
}

/* ---------------------------------------------------------------- the folder */

static const struct {
    const char *name;
    const char *file;
    const char *text; /* NULL: weights without the tensor named in part */
    const char *part; /* of the message */
    tars_status status;
} broken[] = {
    {"no pooler", "model.safetensors", NULL, "pooler.dense.weight", TARS_EFORMAT},
    {"no bias of the pooler", "model.safetensors", NULL, "pooler.dense.bias", TARS_EFORMAT},
    {"an encoder, not a cross-encoder", "model.safetensors", NULL, "classifier.weight",
     TARS_EFORMAT},
    {"no bias of the classifier", "model.safetensors", NULL, "classifier.bias", TARS_EFORMAT},
    {"no words", "model.safetensors", NULL, "embeddings.word_embeddings.weight", TARS_EFORMAT},
    {"another activation", "config.json",
     "{\"model_type\":\"bert\",\"hidden_size\":24,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":2,\"intermediate_size\":40,\"max_position_embeddings\":48,"
     "\"vocab_size\":16,\"sentence_transformers\":{\"activation_fn\":\"torch.nn.Tanh\"}}",
     "torch.nn.Tanh", TARS_EUNSUPPORTED},
    {"another family", "config.json", "{\"model_type\":\"xlm-roberta\"}", "xlm-roberta",
     TARS_EUNSUPPORTED},
    {"a damaged file", "tokenizer_config.json", "{", "tokenizer_config.json", TARS_EFORMAT},
    {"a vocabulary of another model", "vocab.txt",
     "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n", "vocab_size",
     TARS_EFORMAT},
    {"a vocabulary without specials", "vocab.txt", "a\nb\n", "vocabulary", TARS_EFORMAT},
};

static void broken_folders(void **state)
{
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config config = {.dir = dir};

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct tars_cross_encoder *encoder = NULL;
        struct tars_err err = {""};
        char path[FILES_PATH_MAX];

        print_message("  %s\n", broken[i].name);
        write_folder(dir, NULL);
        if (broken[i].text) {
            tiny_write_text(dir, broken[i].file, broken[i].text);
        } else {
            files_write(dir, broken[i].file, bytes,
                        tiny_file(&tiny, "bert.", broken[i].part, bytes, sizeof(bytes)), path);
        }
        assert_int_equal(tars_cross_encoder_open(&config, &encoder, &err), broken[i].status);
        assert_non_null(strstr(err.text, broken[i].part));
        assert_null(encoder);
        if (strcmp(broken[i].file, "tokenizer_config.json") == 0)
            tiny_write_text(dir, broken[i].file, "{}");
    }
}

static void missing_files(void **state)
{
    static const char *const names[] = {"config.json", "vocab.txt", "model.safetensors"};
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config config = {.dir = dir};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tars_cross_encoder *encoder = NULL;
        struct tars_err err = {""};
        char path[FILES_PATH_MAX + 32];

        write_folder(dir, NULL);
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(tars_cross_encoder_open(&config, &encoder, &err), TARS_ENOTFOUND);
        assert_non_null(strstr(err.text, names[i]));
    }
}

/* The same model, its pieces named by tokenizer.json. */
static void pieces_from_tokenizer_json(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config config = {.dir = dir, .precision = TARS_ENCODER_FP32};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    float expected = score_one(encoder, "the CATS", "sat on a mat");
    char path[FILES_PATH_MAX + 32];

    tars_cross_encoder_close(encoder);
    (void)snprintf(path, sizeof(path), "%s/vocab.txt", dir);
    assert_int_equal(unlink(path), 0);
    tiny_write_text(dir, "tokenizer.json",
                    "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true},\"model\":{"
                    "\"type\":\"WordPiece\",\"vocab\":{\".\":15,\"a\":14,\"##s\":13,\"passage\":12,"
                    "\":\":11,\"query\":10,\"mat\":9,\"on\":8,\"sat\":7,\"cat\":6,\"the\":5,"
                    "\"[MASK]\":4,\"[SEP]\":3,\"[CLS]\":2,\"[UNK]\":1,\"[PAD]\":0}}}");
    encoder = open_or_fail(&config);
    assert_true(fabsf(score_one(encoder, "the CATS", "sat on a mat") - expected) < 1e-6F);
    tars_cross_encoder_close(encoder);
}

static void longest_pair(void **state)
{
    static const struct {
        const char *name, *text;
        size_t asked, max;
    } rows[] = {{"the model's own", "{}", 0, 48},
                {"the tokenizer's", "{\"model_max_length\":40}", 0, 40},
                {"a tokenizer without end",
                 "{\"model_max_length\":1000000000000000019884624838656}", 0, 48},
                {"asked for", "{\"model_max_length\":40}", 12, 12},
                {"asked for more", "{\"model_max_length\":40}", 400, 40}};
    const char *dir = ((struct folder *)*state)->dir;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tars_cross_encoder_config config = {.dir = dir, .max_tokens = rows[i].asked};
        struct tars_cross_encoder *encoder;

        print_message("  %s\n", rows[i].name);
        tiny_write_text(dir, "tokenizer_config.json", rows[i].text);
        encoder = open_or_fail(&config);
        assert_int_equal(tars_cross_encoder_info(encoder)->max_tokens, rows[i].max);
        (void)score_one(encoder, "the cat sat on the mat . the cat sat on the mat",
                        "a cat sat on a mat . a cat sat on a mat");
        tars_cross_encoder_close(encoder);
    }
}

static void wrong_settings(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config rows[] = {
        {.dir = NULL}, {.dir = dir, .max_tokens = 4}, {.dir = dir, .precision = 9}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cross_encoder *encoder = NULL;

        assert_int_equal(tars_cross_encoder_open(&rows[i], &encoder, NULL), TARS_EINVAL);
    }
    tars_cross_encoder_close(NULL);
}

static void huge_texts_are_refused(void **state)
{
    const struct folder *folder = *state;
    const struct tars_cross_encoder_config config = {.dir = folder->dir};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    const struct tars_span huge = {"", (size_t)1 << 30};
    struct tars_cross_encoder_wish wish = {.question = huge, .passages = &huge, .n = 1};
    size_t scored = 0;
    float score;

    assert_int_equal(tars_cross_encoder_score(encoder, &wish, &score, &scored, NULL), TARS_ETOOBIG);
    wish.question = tars_span_of("a");
    assert_int_equal(tars_cross_encoder_score(encoder, &wish, &score, &scored, NULL), TARS_ETOOBIG);
    tars_cross_encoder_close(encoder);
}

static void identity_is_of_all_that_scores_depend_on(void **state)
{
    const char *dir = ((struct folder *)*state)->dir;
    const struct tars_cross_encoder_config configs[] = {
        {.dir = dir, .precision = TARS_ENCODER_FP32, .cache_dir = dir},
        {.dir = dir, .precision = TARS_ENCODER_FP32},
        {.dir = dir, .precision = TARS_ENCODER_FP32, .max_tokens = 20}};
    char identity[3][TARS_ENCODER_IDENTITY_BYTES];

    for (size_t i = 0; i < 3; i++) {
        struct tars_cross_encoder *encoder = open_or_fail(&configs[i]);

        memcpy(identity[i], tars_cross_encoder_info(encoder)->identity, sizeof(identity[i]));
        assert_int_equal(strlen(identity[i]), 64);
        assert_true(strlen(tars_cross_encoder_info(encoder)->name) > 0);
        tars_cross_encoder_close(encoder);
    }
    assert_string_equal(identity[0], identity[1]);
    assert_string_not_equal(identity[0], identity[2]);
}

static void open_and_score(void *ctx)
{
    const struct tars_cross_encoder_config config = {.dir = ctx, .cache_dir = ctx};
    const struct tars_span passages[] = {tars_span_of("the cat"), tars_span_of("a mat .")};
    const struct tars_cross_encoder_wish wish = {
        .question = tars_span_of("cats"), .passages = passages, .n = 2};
    struct tars_cross_encoder *encoder = NULL;
    float scores[2];
    size_t scored = 0;
    tars_status status = tars_cross_encoder_open(&config, &encoder, NULL);

    if (status == TARS_OK)
        status = tars_cross_encoder_score(encoder, &wish, scores, &scored, NULL);
    assert_true((status == TARS_OK && scored == 2) || faults_happened());
    tars_cross_encoder_close(encoder);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(open_and_score, ((struct folder *)*state)->dir) > 20);
}

/* ------------------------------------------------------------------- threads */

struct caller {
    struct tars_cross_encoder *encoder;
    float expected;
    bool same;
};

static void *call_often(void *ctx)
{
    struct caller *caller = ctx;

    caller->same = true;
    for (size_t round = 0; round < ROUNDS && caller->same; round++) {
        float score = score_one(caller->encoder, "the cats", "a cat sat on the mat");

        caller->same = fabsf(score - caller->expected) < 1e-6F;
    }
    return NULL;
}

static void many_callers_share_it(void **state)
{
    const struct folder *folder = *state;
    const struct tars_cross_encoder_config config = {.dir = folder->dir,
                                                     .precision = TARS_ENCODER_FP32};
    struct tars_cross_encoder *encoder = open_or_fail(&config);
    float expected = score_one(encoder, "the cats", "a cat sat on the mat");
    struct caller callers[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){encoder, expected, false};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_true(callers[i].same);
    tars_cross_encoder_close(encoder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fp32_is_transformers),
        TEST(int8_is_near),
        TEST(bf16_is_near),
        TEST(batches),
        TEST(sigmoid_and_identity),
        TEST(no_time_no_scores),
        TEST(what_fits_is_scored),
        TEST(broken_folders),
        TEST(missing_files),
        TEST(pieces_from_tokenizer_json),
        TEST(longest_pair),
        TEST(wrong_settings),
        TEST(huge_texts_are_refused),
        TEST(identity_is_of_all_that_scores_depend_on),
        TEST(every_allocation_may_fail),
        TEST(many_callers_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
