/* Unit tests of extract/formats/pdf_layout: pages whose numbers are no page's. The layout of real
 * pages is seen by test_pdf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <unistd.h>

#include <cmocka.h>

#include "extract/formats/pdf_layout.h"

#define WORDS   40
#define SECONDS 5 /* a page of forty words takes far less than a millisecond */

/* Two words a line; every other line is moved to far. */
static tars_status lay_out(float base, float far)
{
    struct tars_pdf_word words[WORDS];
    struct tars_pdf_rows rows = {0};
    struct tars_arena arena;
    tars_status status;

    for (size_t i = 0; i < WORDS; i++) {
        float x = base + (i % 2 ? far : 0.0F);
        size_t line = i / 2;
        float y = 12.0F * (float)line;

        words[i] = (struct tars_pdf_word){
            .text = "word", .len = 4, .x0 = x, .y0 = y, .x1 = x + 20, .y1 = y + 10, .size = 10};
    }
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_pdf_layout(&arena, words, WORDS, 1, &rows);
    assert_true(rows.count > 0 && rows.count <= WORDS);
    tars_arena_release(&arena);
    return status;
}

static void coordinates_do_not_cost_time(void **state)
{
    static const float rows[][2] = {{0, 300},      {0, 1e9F},     {0, 3e38F}, {1e9F, 300},
                                    {-3e38F, 300}, {0, INFINITY}, {0, NAN}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)alarm(SECONDS);
        assert_int_equal(lay_out(rows[i][0], rows[i][1]), TARS_OK);
        (void)alarm(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coordinates_do_not_cost_time),
    };

    return cmocka_run_group_tests_name("extract/formats/pdf_layout", tests, NULL, NULL);
}
