/* Unit tests of eval/stages, of what needs no model: tests/http/test_bench.py has the rest. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eval/stages.h"
#include "support/faults.h"
#include "text/wordpiece.h"

#define ARENA ((size_t)4 << 20)

static const struct tars_span texts[] = {{"one two", 7}, {"three", 5}};

static struct tars_wordpiece *make_wordpiece(void)
{
    const struct tars_wordpiece_config config = {
        .vocab_txt = tars_span_of("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")};
    struct tars_wordpiece *wordpiece = NULL;

    assert_int_equal(tars_wordpiece_new(&config, &wordpiece, NULL), TARS_OK);
    return wordpiece;
}

static struct tars_stages_config config_of(const struct tars_wordpiece *wordpiece)
{
    return (struct tars_stages_config){
        .wordpiece = wordpiece, .texts = texts, .text_count = 2, .stage_ms = 0};
}

static void parts_that_are_away_are_left_out(void **state)
{
    struct tars_wordpiece *wordpiece = make_wordpiece();
    struct tars_stages_config config = config_of(wordpiece);
    struct tars_stage stages[TARS_STAGES_MAX];
    struct tars_arena arena;
    size_t count = 0;

    (void)state;
    tars_arena_init(&arena, ARENA);
    assert_int_equal(tars_stages_run(&config, &arena, stages, &count, NULL), TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(stages[0].name, "tokenizer");
    assert_int_equal(stages[0].runs, TARS_STAGE_RUNS_MIN);
    assert_true(stages[0].p95_ms >= stages[0].p50_ms && stages[0].items_s > 0);
    tars_arena_release(&arena);
    tars_wordpiece_free(wordpiece);
}

static void stops_when_told(void **state)
{
    struct tars_wordpiece *wordpiece = make_wordpiece();
    struct tars_stages_config config = config_of(wordpiece);
    struct tars_stage stages[TARS_STAGES_MAX];
    atomic_bool stopping = true;
    struct tars_arena arena;
    size_t count = 7;

    (void)state;
    config.stopping = &stopping;
    tars_arena_init(&arena, ARENA);
    assert_int_equal(tars_stages_run(&config, &arena, stages, &count, NULL), TARS_ECANCELED);
    assert_int_equal(count, 7);
    tars_arena_release(&arena);
    tars_wordpiece_free(wordpiece);
}

static void figures_of_times(void **state)
{
    double times[] = {4, 1, 3, 2};
    struct tars_stage stage = {.name = "x"};
    struct tars_stage none = {.name = "y"};

    (void)state;
    tars_stage_fill(&stage, times, 4, 8, 20);
    assert_true(stage.p50_ms == 2 && stage.p95_ms == 4 && stage.cpu_ms == 2);
    assert_true(fabs(stage.items_s - 2000) < 1e-9); /* 20 in 10 ms */
    assert_true(stage.times[0] == 1 && stage.times[3] == 4);
    tars_stage_fill(&none, NULL, 0, 0, 0);
    assert_true(none.p50_ms == 0 && isnan(none.cpu_ms) && isnan(none.items_s));
}

static void run_once(void *ctx)
{
    struct tars_stages_config config = config_of(ctx);
    struct tars_stage stages[TARS_STAGES_MAX];
    struct tars_arena arena;
    size_t count;
    tars_status status;

    tars_arena_init(&arena, ARENA);
    status = tars_stages_run(&config, &arena, stages, &count, NULL);
    assert_true(status == TARS_OK || (status == TARS_ENOMEM && faults_happened()));
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    struct tars_wordpiece *wordpiece = make_wordpiece();

    (void)state;
    assert_true(faults_each(run_once, wordpiece) >= 2);
    tars_wordpiece_free(wordpiece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_are_away_are_left_out),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(figures_of_times),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
