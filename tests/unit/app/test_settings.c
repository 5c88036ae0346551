/* Unit tests of app/settings: a row is the sources and what comes of one setting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/settings.h"
#include "support/faults.h"
#include "support/files.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* In the order in which a row reads. NOLINTNEXTLINE(clang-analyzer-optin*) */
struct row {
    const char *name;
    const char *dotenv;      /* or NULL */
    const char *environment; /* one "NAME=value", or NULL */
    const char *over_name;   /* command line, or NULL */
    const char *over_value;
    enum tars_setting id;
    const char *value; /* expected; NULL: the load fails */
    enum tars_setting_origin origin;
    const char *words; /* part of the message or of the warnings, or NULL */
};

static const struct row rows[] = {
    {"default", NULL, NULL, NULL, NULL, TARS_SET_RAG_TOP_K, "5", TARS_ORIGIN_DEFAULT, NULL},
    {"dotenv", "RAG_TOP_K=7\n", NULL, NULL, NULL, TARS_SET_RAG_TOP_K, "7", TARS_ORIGIN_DOTENV,
     NULL},
    {"environment beats dotenv", "RAG_TOP_K=7\n", "RAG_TOP_K=8", NULL, NULL, TARS_SET_RAG_TOP_K,
     "8", TARS_ORIGIN_ENVIRONMENT, NULL},
    {"command line beats all", "RAG_TOP_K=7\n", "RAG_TOP_K=8", "RAG_TOP_K", "9", TARS_SET_RAG_TOP_K,
     "9", TARS_ORIGIN_COMMAND_LINE, NULL},
    {"quotes, comments, export, CRLF", "# x\r\n\r\nexport LLM_MODEL_PATH = \"/a b\" # why\r\n",
     NULL, NULL, NULL, TARS_SET_LLM_MODEL_PATH, "/a b", TARS_ORIGIN_DOTENV, NULL},
    {"comment behind a bare value", "LLM_MODEL_PATH=/a#b # c\n", NULL, NULL, NULL,
     TARS_SET_LLM_MODEL_PATH, "/a#b", TARS_ORIGIN_DOTENV, NULL},
    {"alias", NULL, "API_PORT=81", NULL, NULL, TARS_SET_BACKEND_PORT, "81", TARS_ORIGIN_ENVIRONMENT,
     NULL},
    {"own name beats its alias", "API_PORT=81\nBACKEND_PORT=82\nAPI_PORT=83\n", NULL, NULL, NULL,
     TARS_SET_BACKEND_PORT, "82", TARS_ORIGIN_DOTENV, NULL},
    {"alias of a stronger source wins", "BACKEND_PORT=82\n", "API_PORT=83", NULL, NULL,
     TARS_SET_BACKEND_PORT, "83", TARS_ORIGIN_ENVIRONMENT, NULL},
    {"choice in any case", NULL, "LOG_LEVEL=debug", NULL, NULL, TARS_SET_LOG_LEVEL, "DEBUG",
     TARS_ORIGIN_ENVIRONMENT, NULL},
    {"wrong choice", NULL, "LLM_BACKEND=gpt", NULL, NULL, TARS_SET_LLM_BACKEND, NULL,
     TARS_ORIGIN_DEFAULT, "LLM_BACKEND is \"gpt\" (environment): expected one of auto,llama"},
    {"not a number", NULL, "RAG_TOP_K=many", NULL, NULL, TARS_SET_RAG_TOP_K, NULL,
     TARS_ORIGIN_DEFAULT, "expected a whole number from 1 to 20"},
    {"out of bounds", "HYBRID_ALPHA=1.5\n", NULL, NULL, NULL, TARS_SET_HYBRID_ALPHA, NULL,
     TARS_ORIGIN_DEFAULT, "HYBRID_ALPHA is \"1.5\" (.env): expected a number from 0 to 1"},
    {"empty number", NULL, "RAG_TOP_K=", NULL, NULL, TARS_SET_RAG_TOP_K, NULL, TARS_ORIGIN_DEFAULT,
     "RAG_TOP_K is \"\""},
    {"not a flag", NULL, "NAS_WATCH_ENABLED=maybe", NULL, NULL, TARS_SET_NAS_WATCH_ENABLED, NULL,
     TARS_ORIGIN_DEFAULT, "expected true or false"},
    {"a password within an address", NULL, "OPENAI_BASE_URL=http://me:hu:sh@host:1/v1", NULL, NULL,
     TARS_SET_OPENAI_BASE_URL, "http://me:********@host:1/v1", TARS_ORIGIN_ENVIRONMENT, NULL},
    {"two of them", NULL, "CORS_ORIGINS=http://a:b@c,https://d,ftp://e:f@g@h/i@j", NULL, NULL,
     TARS_SET_CORS_ORIGINS, "http://a:********@c,https://d,ftp://e:********@h/i@j",
     TARS_ORIGIN_ENVIRONMENT, NULL},
    {"an address without one", NULL, "OLLAMA_HOST=http://me@host:1/a:b@c", NULL, NULL,
     TARS_SET_OLLAMA_HOST, "http://me@host:1/a:b@c", TARS_ORIGIN_ENVIRONMENT, NULL},
    {"a secret stays secret", NULL, "JWT_SECRET_KEY=hush", NULL, NULL, TARS_SET_JWT_SECRET_KEY,
     "********", TARS_ORIGIN_ENVIRONMENT, NULL},
    {"near name in dotenv", "RAG_TOPK=3\n", NULL, NULL, NULL, TARS_SET_RAG_TOP_K, "5",
     TARS_ORIGIN_DEFAULT, "RAG_TOPK (.env) is not a setting; did you mean RAG_TOP_K?"},
    {"strange name in dotenv", "ZZZ_QQQ_XXX=3\n", NULL, NULL, NULL, TARS_SET_RAG_TOP_K, "5",
     TARS_ORIGIN_DEFAULT, "ZZZ_QQQ_XXX (.env) is not a setting\n"},
    {"names of other programs", "DOCKER_BUILDKIT=1\n", "PATH=/bin", NULL, NULL, TARS_SET_RAG_TOP_K,
     "5", TARS_ORIGIN_DEFAULT, ""},
    {"near name in environment", NULL, "TARS_DATAA=/x", NULL, NULL, TARS_SET_TARS_DATA, "",
     TARS_ORIGIN_DEFAULT, "did you mean TARS_DATA?"},
    {"unknown on the command line", NULL, NULL, "RAG_TOPK", "3", TARS_SET_RAG_TOP_K, NULL,
     TARS_ORIGIN_DEFAULT, "RAG_TOPK is not a setting; did you mean RAG_TOP_K?"},
    {"no equals sign", "RAG_TOP_K\n", NULL, NULL, NULL, TARS_SET_RAG_TOP_K, NULL,
     TARS_ORIGIN_DEFAULT, ".env line 1: expected NAME=value"},
};

static tars_status load(const struct row *row, const char *dotenv_path,
                        struct tars_settings **settings, struct tars_buf *warnings,
                        struct tars_err *err)
{
    const struct tars_setting_override over = {row->over_name, row->over_value};
    const char *const environment[] = {row->environment, NULL};
    const struct tars_settings_config config = {
        .overrides = &over,
        .override_count = row->over_name != NULL,
        .environment = row->environment ? environment : NULL,
        .dotenv_path = dotenv_path,
    };

    return tars_settings_load(&config, settings, warnings, err);
}

static void row_holds(void **state)
{
    const struct row *row = *state;
    struct tars_settings *settings = NULL;
    struct tars_err err = {{0}};
    struct tars_buf warnings;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    tars_status status;

    files_make_dir(dir);
    tars_buf_init(&warnings, 65536);
    if (row->dotenv)
        files_write(dir, ".env", row->dotenv, strlen(row->dotenv), path);
    status = load(row, row->dotenv ? path : NULL, &settings, &warnings, &err);
    files_remove_dir(dir);
    if (!row->value) {
        assert_int_equal(status, TARS_EINVAL);
        assert_non_null(strstr(err.text, row->words));
    } else {
        assert_int_equal(status, TARS_OK);
        assert_string_equal(tars_settings_info(settings, row->id).value, row->value);
        assert_int_equal(tars_settings_origin(settings, row->id), row->origin);
        if (row->words && row->words[0]) {
            assert_non_null(strstr(warnings.ptr, row->words));
        } else {
            assert_int_equal(warnings.len, 0);
        }
    }
    tars_buf_release(&warnings);
    tars_settings_free(settings);
}

static void types_are_read(void **state)
{
    const char *const environment[] = {"BACKEND_PORT=0", "HYBRID_ALPHA=0.25",
                                       "NAS_WATCH_ENABLED=Yes", "REDIS_CACHE_TTL=5", NULL};
    const struct tars_settings_config config = {.environment = environment};
    struct tars_settings *s;

    (void)state;
    assert_int_equal(tars_settings_load(&config, &s, NULL, NULL), TARS_OK);
    assert_int_equal(tars_settings_int(s, TARS_SET_BACKEND_PORT), 0);
    assert_true(tars_settings_real(s, TARS_SET_HYBRID_ALPHA) == 0.25);
    assert_true(tars_settings_flag(s, TARS_SET_NAS_WATCH_ENABLED));
    assert_int_equal(tars_settings_int(s, TARS_SET_REDIS_EMBEDDING_TTL), 5);
    assert_int_equal(tars_settings_int(s, TARS_SET_REDIS_RERANKER_TTL), 5);
    assert_string_equal(tars_settings_text(s, TARS_SET_TARS_BIND), "127.0.0.1");
    assert_true(tars_settings_info(s, TARS_SET_APP_NAME).is_unused);
    tars_settings_free(s);
}

static void load_once(void *ctx)
{
    const struct row *row = ctx;
    struct tars_settings *settings = NULL;
    struct tars_buf warnings;

    tars_buf_init(&warnings, 65536);
    if (load(row, NULL, &settings, &warnings, NULL) == TARS_OK)
        tars_settings_free(settings);
    tars_buf_release(&warnings);
}

static void each_allocation_may_fail(void **state)
{
    struct row row = rows[19];

    (void)state;
    assert_true(faults_each(load_once, &row) >= 2);
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + 2];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(types_are_read);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(each_allocation_may_fail);
    return _cmocka_run_group_tests("app/settings", tests, n, NULL, NULL);
}
