/* What the files of a model's folder say, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "model/config.h"
#include "support/faults.h"
#include "support/files.h"

#define BERT(more)                                                             \
    "{\"hidden_size\":384,\"num_hidden_layers\":6,\"num_attention_heads\":12," \
    "\"intermediate_size\":1536,\"max_position_embeddings\":512,\"vocab_size\":30522" more "}"

/* A folder named name, below a new one, with up to three files. */
struct files {
    const char *name[3];
    const char *text[3];
};

static void make(char *base, char *dir, const char *name, const struct files *files)
{
    char path[FILES_PATH_MAX];
    char pooling[FILES_PATH_MAX + 16];

    files_make_dir(base);
    assert_true(snprintf(dir, FILES_PATH_MAX, "%.3000s/%s", base, name) > 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(pooling, sizeof(pooling), "%s/1_Pooling", dir);
    assert_int_equal(mkdir(pooling, 0700), 0);
    for (size_t i = 0; i < 3 && files->name[i]; i++)
        files_write(dir, files->name[i], files->text[i], strlen(files->text[i]), path);
}

static const struct {
    const char *name;
    struct files files;
    size_t max_tokens;
    enum tars_model_pooling pooling;
    bool cased;
    const char *query;
    const char *passage;
} right[] = {
    {"plain", {{"config.json"}, {BERT("")}}, 512, TARS_POOLING_MEAN, false, "", ""},
    {"short-texts",
     {{"config.json", "sentence_bert_config.json"}, {BERT(""), "{\"max_seq_length\":256}"}},
     256,
     TARS_POOLING_MEAN,
     false,
     "",
     ""},
    {"long-texts",
     {{"config.json", "sentence_bert_config.json"}, {BERT(""), "{\"max_seq_length\":4096}"}},
     512,
     TARS_POOLING_MEAN,
     false,
     "",
     ""},
    {"cased",
     {{"config.json", "tokenizer_config.json"}, {BERT(""), "{\"do_lower_case\":false}"}},
     512,
     TARS_POOLING_MEAN,
     true,
     "",
     ""},
    {"bge-small-en-v1.5",
     {{"config.json", "1_Pooling/config.json"},
      {BERT(""), "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}"}},
     512,
     TARS_POOLING_CLS,
     false,
     "Represent this sentence for searching relevant passages: ",
     ""},
    {"e5-small-v2",
     {{"config.json"}, {BERT("")}},
     512,
     TARS_POOLING_MEAN,
     false,
     "query: ",
     "passage: "},
    {"renamed",
     {{"config.json"}, {BERT(",\"_name_or_path\":\"intfloat/E5-small\"")}},
     512,
     TARS_POOLING_MEAN,
     false,
     "query: ",
     "passage: "},
    {"gte-small", {{"config.json"}, {BERT("")}}, 512, TARS_POOLING_MEAN, false, "", ""},
    {"e5-with-prompts",
     {{"config.json", "config_sentence_transformers.json"},
      {BERT(""), "{\"prompts\":{\"query\":\"q> \",\"document\":\"d> \"}}"}},
     512,
     TARS_POOLING_MEAN,
     false,
     "q> ",
     "d> "},
    {"max",
     {{"config.json", "1_Pooling/config.json"}, {BERT(""), "{\"pooling_mode_max_tokens\":true}"}},
     512,
     TARS_POOLING_MAX,
     false,
     "",
     ""},
    {"outside",
     {{"config.json", "modules.json"},
      {BERT(""), "[{\"type\":\"Pooling\",\"path\":\"../../etc\"}]"}},
     512,
     TARS_POOLING_MEAN,
     false,
     "",
     ""},
};

static void folders_that_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct tars_model_config config;
        struct tars_err err = {""};
        char base[FILES_PATH_MAX];
        char dir[FILES_PATH_MAX];

        print_message("  %s\n", right[i].name);
        make(base, dir, right[i].name, &right[i].files);
        if (tars_model_config_read(dir, &config, &err) != TARS_OK) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(config.name, right[i].name);
        assert_int_equal(config.hidden, 384);
        assert_int_equal(config.vocab, 30522);
        assert_int_equal(config.max_tokens, right[i].max_tokens);
        assert_int_equal(config.pooling, right[i].pooling);
        assert_int_equal(config.cased, right[i].cased);
        assert_string_equal(config.query_prefix, right[i].query);
        assert_string_equal(config.passage_prefix, right[i].passage);
        files_remove_dir(base);
    }
}

static const struct {
    const char *name;
    struct files files;
    tars_status status;
    const char *part; /* of the message */
} wrong[] = {
    {"no config", {{NULL}, {NULL}}, TARS_ENOTFOUND, "scripts/deps"},
    {"not JSON", {{"config.json"}, {"{"}}, TARS_EFORMAT, "config.json: line 1"},
    {"empty", {{"config.json"}, {""}}, TARS_EFORMAT, "config.json"},
    {"no sizes", {{"config.json"}, {"{}"}}, TARS_EFORMAT, "hidden_size"},
    {"no layers",
     {{"config.json"}, {"{\"hidden_size\":8,\"num_hidden_layers\":0}"}},
     TARS_EFORMAT,
     "num_hidden_layers"},
    {"huge", {{"config.json"}, {"{\"hidden_size\":1000000000000}"}}, TARS_EFORMAT, "hidden_size"},
    {"heads do not divide",
     {{"config.json"},
      {"{\"hidden_size\":10,\"num_hidden_layers\":1,\"num_attention_heads\":3,"
       "\"intermediate_size\":8,\"max_position_embeddings\":8,\"vocab_size\":8}"}},
     TARS_EFORMAT,
     "num_attention_heads"},
    {"another family",
     {{"config.json"}, {BERT(",\"model_type\":\"roberta\"")}},
     TARS_EUNSUPPORTED,
     "roberta"},
    {"another activation",
     {{"config.json"}, {BERT(",\"hidden_act\":\"relu\"")}},
     TARS_EUNSUPPORTED,
     "relu"},
    {"other positions",
     {{"config.json"}, {BERT(",\"position_embedding_type\":\"relative_key\"")}},
     TARS_EUNSUPPORTED,
     "relative_key"},
    {"other pooling",
     {{"config.json", "1_Pooling/config.json"}, {BERT(""), "{}"}},
     TARS_EUNSUPPORTED,
     "1_Pooling/config.json"},
    {"damaged pooling",
     {{"config.json", "1_Pooling/config.json"}, {BERT(""), "{"}},
     TARS_EFORMAT,
     "1_Pooling/config.json"},
    {"damaged modules",
     {{"config.json", "modules.json"}, {BERT(""), "["}},
     TARS_EFORMAT,
     "modules.json"},
    {"damaged limits",
     {{"config.json", "sentence_bert_config.json"}, {BERT(""), "x"}},
     TARS_EFORMAT,
     "sentence_bert_config.json"},
    {"damaged case",
     {{"config.json", "tokenizer_config.json"}, {BERT(""), "x"}},
     TARS_EFORMAT,
     "tokenizer_config.json"},
    {"damaged prompts",
     {{"config.json", "config_sentence_transformers.json"}, {BERT(""), "x"}},
     TARS_EFORMAT,
     "config_sentence_transformers.json"},
};

static void folders_that_are_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tars_model_config config;
        struct tars_err err = {""};
        char base[FILES_PATH_MAX];
        char dir[FILES_PATH_MAX];

        print_message("  %s\n", wrong[i].name);
        make(base, dir, "model", &wrong[i].files);
        assert_int_equal(tars_model_config_read(dir, &config, &err), wrong[i].status);
        if (!strstr(err.text, wrong[i].part)) {
            fail_msg("'%s' does not say '%s'", err.text, wrong[i].part);
        }
        files_remove_dir(base);
    }
}

static void long_prefixes_are_refused(void **state)
{
    (void)state;
    static const struct files none = {{"config.json"}, {BERT("")}};
    struct tars_model_config config;
    char base[FILES_PATH_MAX];
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char text[1024];
    int len;

    make(base, dir, "model", &none);
    len = snprintf(text, sizeof(text), "{\"prompts\":{\"query\":\"%0*d\"}}", TARS_MODEL_PREFIX_MAX,
                   1);
    files_write(dir, "config_sentence_transformers.json", text, (size_t)len, path);
    assert_int_equal(tars_model_config_read(dir, &config, NULL), TARS_EFORMAT);
    files_remove_dir(base);
}

static void read_once(void *ctx)
{
    struct tars_model_config config;
    tars_status status = tars_model_config_read(ctx, &config, NULL);

    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const struct files one = {{"config.json", "modules.json"}, {BERT(""), "[]"}};
    char base[FILES_PATH_MAX];
    char dir[FILES_PATH_MAX];

    make(base, dir, "model", &one);
    assert_true(faults_each(read_once, dir) >= 2);
    files_remove_dir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_that_are_right),
        cmocka_unit_test(folders_that_are_wrong),
        cmocka_unit_test(long_prefixes_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
