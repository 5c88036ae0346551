/* Unit tests of llm/llm_llama with the real library and a real small model:
 * ${XDG_CACHE_HOME:-~/.cache}/tars/models/SmolLM2-135M-Instruct.Q4_1.gguf, which scripts/deps gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef TARS_HAVE_LLAMA
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "llm/llm_llama.h"
#include "support/files.h"

#define MODEL "SmolLM2-135M-Instruct.Q4_1.gguf"

struct heard {
    char text[16384];
    size_t len;
    size_t pieces;
};

static bool hear(void *ctx, const char *ptr, size_t len)
{
    struct heard *heard = ctx;

    assert_true(heard->len + len < sizeof(heard->text));
    memcpy(heard->text + heard->len, ptr, len);
    heard->len += len;
    heard->text[heard->len] = '\0';
    heard->pieces++;
    return true;
}

static bool refuse(void *ctx, const char *ptr, size_t len)
{
    (void)ctx;
    (void)ptr;
    (void)len;
    return false;
}

/* The model's path, or the test is skipped. */
static void model_path(char *path)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (cache && *cache) {
        (void)snprintf(path, FILES_PATH_MAX, "%s/tars/models/%s", cache, MODEL);
    } else {
        (void)snprintf(path, FILES_PATH_MAX, "%s/.cache/tars/models/%s", home ? home : "", MODEL);
    }
    if (access(path, R_OK) != 0) {
        print_message("%s is missing; scripts/deps gets it\n", path);
        skip();
    }
}

static struct tars_llm *open_model(int context_tokens)
{
    char path[FILES_PATH_MAX];
    struct tars_llm_llama_config config = {.path = path, .context_tokens = context_tokens};
    struct tars_llm *llm = NULL;
    struct tars_err err;

    model_path(path);
    if (tars_llm_llama_open(&config, &llm, &err) != TARS_OK) {
        fail_msg("%s", err.text);
    }
    return llm;
}

static const char question[] =
    "Context:\n[Source 1: leave.txt]\nStaff may take 30 days of leave a year.\n\n"
    "Question: How many days of leave may staff take?\n\nAnswer:";

static void answers_from_the_context(void **state)
{
    struct tars_llm *llm = open_model(1024);
    const struct tars_llm_request request = {
        .system = "Answer from the context.", .prompt = question, .max_tokens = 40};
    struct heard first = {.len = 0};
    struct heard second = {.len = 0};
    const struct tars_llm_sink to_first = {hear, &first};
    const struct tars_llm_sink to_second = {hear, &second};
    struct tars_llm_result result;
    struct tars_err err;

    (void)state;
    assert_string_equal(llm->model, "SmolLM2-135M-Instruct.Q4_1");
    assert_int_equal(tars_llm_health(llm, NULL, &err), TARS_OK);
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &to_first, &result, &err), TARS_OK);
    print_message("%s\n", first.text);
    assert_non_null(strstr(first.text, "30"));
    assert_true(result.started && result.tokens == first.pieces && result.prompt_tokens > 20);
    /* Greedy, and with the kept beginning: the same again. */
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &to_second, &result, &err), TARS_OK);
    assert_string_equal(first.text, second.text);
    assert_int_equal(tars_llm_health(llm, NULL, &err), TARS_OK);
    tars_llm_free(llm);
}

static void seeds_decide(void **state)
{
    struct tars_llm *llm = open_model(1024);
    struct tars_llm_request request = {
        .prompt = "Write a story about a ship.", .max_tokens = 24, .temperature = 1.5F};
    static const uint32_t seeds[] = {7, 8, 7};
    struct heard heard[3];
    struct tars_llm_result result;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct tars_llm_sink sink = {hear, &heard[i]};

        heard[i].len = heard[i].pieces = 0;
        request.seed = seeds[i];
        assert_int_equal(tars_llm_generate(llm, &request, NULL, &sink, &result, NULL), TARS_OK);
        assert_true(result.tokens <= 24);
    }
    assert_string_equal(heard[0].text, heard[2].text);
    assert_string_not_equal(heard[0].text, heard[1].text);
    tars_llm_free(llm);
}

/* A brief text has no empty line, and begins with no white space; several threads write the same.
 */
static void brief_texts_are_one_paragraph(void **state)
{
    char path[FILES_PATH_MAX];
    struct heard heard[2];

    (void)state;
    model_path(path);
    for (int i = 0; i < 2; i++) {
        const struct tars_llm_llama_config config = {
            .path = path, .context_tokens = 1024, .threads = i + 1};
        const struct tars_llm_sink sink = {hear, &heard[i]};
        const struct tars_llm_request request = {.prompt = "Write three short paragraphs on rain.",
                                                 .max_tokens = 200,
                                                 .temperature = -1.0F,
                                                 .brief = true};
        struct tars_llm *llm = NULL;
        struct tars_llm_result result;

        heard[i].len = heard[i].pieces = 0;
        assert_int_equal(tars_llm_llama_open(&config, &llm, NULL), TARS_OK);
        assert_true(tars_llm_is_small(llm) && llm->parameters > 130000000);
        assert_int_equal(tars_llm_generate(llm, &request, NULL, &sink, &result, NULL), TARS_OK);
        assert_true(heard[i].len > 20 && heard[i].text[0] != ' ' && heard[i].text[0] != '\n');
        assert_null(strstr(heard[i].text, "\n\n"));
        tars_llm_free(llm);
    }
    assert_string_equal(heard[0].text, heard[1].text);
}

/* A prompt of about count words. */
static char *long_prompt(size_t count)
{
    static const char word[] = "leave ";
    char *text = malloc(count * (sizeof(word) - 1) + 1);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * (sizeof(word) - 1), word, sizeof(word));
    return text;
}

static void stops_in_time(void **state)
{
    struct tars_llm *llm = open_model(4096);
    char *prompt = long_prompt(3500);
    const struct tars_llm_request request = {.prompt = prompt};
    struct tars_call call = {.deadline_ms = 0};
    struct heard heard = {.len = 0};
    const struct tars_llm_sink sink = {hear, &heard};
    const struct tars_llm_sink deaf = {refuse, NULL};
    const struct tars_llm_request small = {.prompt = "Hello"};
    struct tars_llm_result result;
    struct tars_err err;
    int64_t start;

    (void)state;
    assert_true(tars_llm_count_tokens(llm, "hello", 5) >= 1); /* loads it */
    start = tars_clock_mono_ms();
    call.deadline_ms = start + 300;
    assert_int_equal(tars_llm_generate(llm, &request, &call, &sink, &result, &err), TARS_ETIMEOUT);
    assert_true(tars_clock_mono_ms() - start < 15000);
    assert_false(result.started);
    call.deadline_ms = 0;
    atomic_store(&call.cancelled, true);
    assert_int_equal(tars_llm_generate(llm, &request, &call, &sink, &result, &err), TARS_ECANCELED);
    assert_int_equal(tars_llm_generate(llm, &small, NULL, &deaf, &result, &err), TARS_ECANCELED);
    /* After all that it still writes. */
    assert_int_equal(tars_llm_generate(llm, &small, NULL, &sink, &result, &err), TARS_OK);
    assert_true(heard.len > 0);
    free(prompt);
    tars_llm_free(llm);
}

static void too_long_is_said(void **state)
{
    struct tars_llm *llm = open_model(512);
    char *prompt = long_prompt(600);
    struct tars_llm_request request = {.prompt = prompt};
    struct heard heard = {.len = 0};
    const struct tars_llm_sink sink = {hear, &heard};
    struct tars_llm_result result;
    struct tars_err err;

    (void)state;
    assert_int_equal(llm->context_tokens, 512);
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &sink, &result, &err), TARS_ETOOBIG);
    assert_non_null(strstr(err.text, "512"));
    /* The answer ends where the context does. */
    prompt[2400] = '\0';
    request.max_tokens = 4000;
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &sink, &result, &err), TARS_OK);
    assert_true(result.prompt_tokens + result.tokens <= 513);
    free(prompt);
    tars_llm_free(llm);
}

static void documents_cannot_speak_in_control_tokens(void **state)
{
    struct tars_llm *llm = open_model(512);

    (void)state;
    assert_true(tars_llm_count_tokens(llm, "<|im_end|>", 10) > 1);
    tars_llm_free(llm);
}

struct worker {
    struct tars_llm *llm;
    struct heard heard;
    tars_status status;
};

static void *work(void *ctx)
{
    struct worker *me = ctx;
    const struct tars_llm_request request = {.prompt = question, .max_tokens = 12};
    const struct tars_llm_sink sink = {hear, &me->heard};
    struct tars_llm_result result;

    me->status = tars_llm_generate(me->llm, &request, NULL, &sink, &result, NULL);
    return NULL;
}

static void threads_queue(void **state)
{
    struct tars_llm *llm = open_model(512);
    struct worker workers[3];
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        memset(&workers[i], 0, sizeof(workers[i]));
        workers[i].llm = llm;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(workers[i].status, TARS_OK);
        assert_string_equal(workers[i].heard.text, workers[0].heard.text);
    }
    tars_llm_free(llm);
}

static void bad_files_are_named(void **state)
{
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    struct tars_llm_llama_config config = {.path = path};
    struct tars_llm *llm;
    struct tars_err err;

    (void)state;
    files_make_dir(dir);
    files_write(dir, "x.gguf", "no model", 8, path);
    assert_int_equal(tars_llm_llama_open(&config, &llm, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "x.gguf"));
    files_write(dir, "y.gguf", "GGUF\x03\0\0\0garbage", 15, path);
    assert_int_equal(tars_llm_llama_open(&config, &llm, &err), TARS_EFORMAT);
    config.path = "/nonexistent/z.gguf";
    assert_int_equal(tars_llm_llama_open(&config, &llm, &err), TARS_ENOTFOUND);
    config.context_tokens = 3;
    assert_int_equal(tars_llm_llama_open(&config, &llm, &err), TARS_EINVAL);
    config = (struct tars_llm_llama_config){.path = path, .threads = -1};
    assert_int_equal(tars_llm_llama_open(&config, &llm, &err), TARS_EINVAL);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_from_the_context),
        cmocka_unit_test(seeds_decide),
        cmocka_unit_test(brief_texts_are_one_paragraph),
        cmocka_unit_test(stops_in_time),
        cmocka_unit_test(too_long_is_said),
        cmocka_unit_test(documents_cannot_speak_in_control_tokens),
        cmocka_unit_test(threads_queue),
        cmocka_unit_test(bad_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void built_without_llama(void **state)
{
    (void)state;
    print_message("built without llama.cpp; give TARS_LLAMA_DIR=$(scripts/llama)\n");
    skip();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(built_without_llama)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
