/* A vocabulary out of tokenizer.json, and what a cross-encoder's JSON files say: bytes that end at
 * a guard page, and each allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "model/cross_head.h"
#include "model/vocab.h"
#include "support/faults.h"
#include "support/guard.h"

#define GOOD                                                                                      \
    "{\"normalizer\":{\"lowercase\":false},\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"b\":1," \
    "\"a\":0,\"##c\":2}}}"

static const struct {
    const char *name, *json;
    tars_status status;
    const char *pieces, *part; /* of the message */
} rows[] = {
    {"good", GOOD, TARS_OK, "a\nb\n##c\n", ""},
    {"no type, as older ones", "{\"model\":{\"vocab\":{\"a\":0}}}", TARS_OK, "a\n", ""},
    {"empty", "", TARS_EFORMAT, "", "line"},
    {"cut", "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"b\":1", TARS_EFORMAT, "", "line"},
    {"another kind", "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", TARS_EUNSUPPORTED, "",
     "BPE"},
    {"Unigram has a list", "{\"model\":{\"vocab\":[[\"a\",0]]}}", TARS_EUNSUPPORTED, "",
     "WordPiece"},
    {"no model", "{}", TARS_EUNSUPPORTED, "", "unknown"},
    {"not an object", "[1]", TARS_EUNSUPPORTED, "", "unknown"},
    {"no pieces", "{\"model\":{\"vocab\":{}}}", TARS_EFORMAT, "", "0 pieces"},
    {"a hole", "{\"model\":{\"vocab\":{\"a\":0,\"b\":2}}}", TARS_EFORMAT, "", "'b'"},
    {"an id twice", "{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}", TARS_EFORMAT, "", "'b'"},
    {"below 0", "{\"model\":{\"vocab\":{\"a\":-1}}}", TARS_EFORMAT, "", "'a'"},
    {"not a number", "{\"model\":{\"vocab\":{\"a\":\"0\"}}}", TARS_EFORMAT, "", "'a'"},
    {"a real", "{\"model\":{\"vocab\":{\"a\":0.0}}}", TARS_EFORMAT, "", "'a'"},
    {"a line break", "{\"model\":{\"vocab\":{\"a\\nb\":0}}}", TARS_EFORMAT, "", "pieces"},
    {"an empty piece", "{\"model\":{\"vocab\":{\"\":0}}}", TARS_EFORMAT, "", "pieces"},
};

static void vocabularies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].json, strlen(rows[i].json));
        struct tars_err err = {""};
        bool cased = i != 0;
        struct tars_buf out;

        print_message("  %s\n", rows[i].name);
        tars_buf_init(&out, 1000);
        assert_int_equal(
            tars_vocab_of_json(tars_span(guard.ptr, strlen(rows[i].json)), &out, &cased, &err),
            rows[i].status);
        assert_non_null(strstr(err.text, rows[i].part));
        if (rows[i].status == TARS_OK)
            assert_string_equal(out.ptr, rows[i].pieces);
        assert_true(cased); /* the first says so, the others say nothing */
        tars_buf_release(&out);
        guard_free(&guard);
    }
}

static const struct {
    const char *name, *config, *tokenizer;
    tars_status status;
    bool is_sigmoid;
    size_t max_tokens;
} settings[] = {
    {"nothing said", "{}", "", TARS_OK, true, 0},
    {"all said", "{\"sentence_transformers\":{\"activation_fn\":\"x.Identity\"}}",
     "{\"model_max_length\":512}", TARS_OK, false, 512},
    {"the newer name wins",
     "{\"sentence_transformers\":{\"activation_fn\":\"x.Sigmoid\"},"
     "\"sbert_ce_default_activation_function\":\"x.Identity\"}",
     "{}", TARS_OK, true, 0},
    {"no end", "{}", "{\"model_max_length\":1000000000000000019884624838656}", TARS_OK, true, 0},
    {"nonsense", "{}", "{\"model_max_length\":-3}", TARS_OK, true, 0},
    {"not JSON", "{", "", TARS_EFORMAT, false, 0},
    {"the other is not", "{}", "{\"a\":", TARS_EFORMAT, false, 0},
    {"unknown", "{\"sbert_ce_default_activation_function\":\"x.ReLU\"}", "", TARS_EUNSUPPORTED,
     false, 0},
};

static void settings_of_a_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        size_t len = strlen(settings[i].config);
        size_t tokenizer_len = strlen(settings[i].tokenizer);
        struct guard config = guard_copy(settings[i].config, len);
        struct guard tokenizer = guard_copy(settings[i].tokenizer, tokenizer_len);
        struct tars_cross_settings out = {.max_tokens = 77};

        print_message("  %s\n", settings[i].name);
        assert_int_equal(tars_cross_settings_read(tars_span(config.ptr, len),
                                                  tars_span(tokenizer.ptr, tokenizer_len), &out,
                                                  NULL),
                         settings[i].status);
        if (settings[i].status == TARS_OK) {
            assert_int_equal(out.is_sigmoid, settings[i].is_sigmoid);
            assert_int_equal(out.max_tokens, settings[i].max_tokens);
        } else {
            assert_int_equal(out.max_tokens, 77);
        }
        guard_free(&tokenizer);
        guard_free(&config);
    }
}

static void read_both(void *ctx)
{
    (void)ctx;
    struct tars_cross_settings said;
    bool cased = false;
    struct tars_buf out;
    tars_status status;

    tars_buf_init(&out, 1000);
    status = tars_vocab_of_json(tars_span_of(GOOD), &out, &cased, NULL);
    assert_true(status == TARS_OK || faults_happened());
    status = tars_cross_settings_read(tars_span_of("{\"a\":[1,2]}"), tars_span_of("{\"b\":1}"),
                                      &said, NULL);
    assert_true(status == TARS_OK || faults_happened());
    tars_buf_release(&out);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(read_both, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies),
        cmocka_unit_test(settings_of_a_folder),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
