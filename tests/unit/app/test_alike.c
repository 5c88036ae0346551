/* Unit tests of app/alike: what servers on a store say, and in what it differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/alike.h"
#include "support/faults.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* Of settings that are as they are where nothing is set, but for a and b. */
static const char *text_with(const char *a, const char *b, struct tars_arena *arena)
{
    const char *const environment[] = {a, a ? b : NULL, NULL};
    const struct tars_settings_config config = {.environment = environment};
    struct tars_settings *settings;
    const char *text;

    assert_int_equal(tars_settings_load(&config, &settings, NULL, NULL), TARS_OK);
    text = tars_alike_text(settings, arena);
    tars_settings_free(settings);
    return text;
}

static const struct {
    const char *name, *a, *b; /* as set on the other server */
    const char *differences;
} sets[] = {
    {"alike", NULL, NULL, ""},
    {"precision", "EMBED_PRECISION=fp32", NULL, "EMBED_PRECISION is fp32 on h and int8 here"},
    {"written in another way", "SEMANTIC_CHUNK_MAX=0800", "USE_SEMANTIC_CHUNKING=1", ""},
    {"the largest chunk", "SEMANTIC_CHUNK_MAX=600", NULL,
     "SEMANTIC_CHUNK_MAX is 600 on h and 800 here"},
    {"two", "SEMANTIC_CHUNK_MIN=80", "CHUNK_OVERLAP=0",
     "SEMANTIC_CHUNK_MIN is 80 on h and 400 here, CHUNK_OVERLAP is 0 on h and 50 here"},
    {"windows", "EMBED_MAX_SEQ_LENGTH=128", NULL, "EMBED_MAX_SEQ_LENGTH is 128 on h and 256 here"},
    {"what is not in force", "CHUNK_SIZE=99", NULL, ""},
    {"another way of cutting", "USE_SEMANTIC_CHUNKING=false", "CHUNK_SIZE=99",
     "USE_SEMANTIC_CHUNKING is false on h and true here"},
    {"what documents do not depend on", "RAG_TOP_K=3", "LOG_LEVEL=DEBUG", ""},
};

static void what_differs_is_named(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ROWS(sets); i++) {
        const char *ours = text_with(NULL, NULL, &arena);
        const char *theirs = text_with(sets[i].a, sets[i].b, &arena);
        const char *found = tars_alike_differences(ours, theirs, "h", &arena);

        if (strcmp(found, sets[i].differences) != 0)
            print_message("%s: \"%s\"\n", sets[i].name, found);
        assert_string_equal(found, sets[i].differences);
    }
    tars_arena_release(&arena);
}

/* What another program says. */
static const struct {
    const char *ours, *theirs, *differences;
} texts[] = {
    {"", "", ""},
    {"A=1\n", "", ""},
    {"", "A=1\n", ""},
    {"A=1\n", "A=2", "A is 2 on h and 1 here"},
    {"A=1", "B=2\nA=\n", "A is  on h and 1 here"},
    {"A=1\n", "AA=2\nA\n", ""},
    {"A=1\nB=1\n", "\n\nB=2\n=3\n", "B is 2 on h and 1 here"},
    {"A=1\n", "A=1\nA=2\n", ""},
    {"A\n\n", "A=1\n", ""},
};

static void texts_of_other_programs_are_read(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ROWS(texts); i++) {
        assert_string_equal(tars_alike_differences(texts[i].ours, texts[i].theirs, "h", &arena),
                            texts[i].differences);
    }
    tars_arena_release(&arena);
}

static void use_all(void *ctx)
{
    const struct tars_settings *settings = ctx;
    struct tars_arena arena;
    const char *text;

    tars_arena_init(&arena, 1 << 20);
    text = tars_alike_text(settings, &arena);
    if (text) {
        const char *found = tars_alike_differences(text, "EMBED_PRECISION=bf16", "h", &arena);

        if (found)
            assert_string_equal(found, "EMBED_PRECISION is bf16 on h and int8 here");
    }
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    const struct tars_settings_config config = {.environment = NULL};
    struct tars_settings *settings;

    (void)state;
    assert_int_equal(tars_settings_load(&config, &settings, NULL, NULL), TARS_OK);
    assert_true(faults_each(use_all, settings) > 0);
    tars_settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_is_named),
        cmocka_unit_test(texts_of_other_programs_are_read),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("app/alike", tests, NULL, NULL);
}
