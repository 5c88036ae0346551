/* Unit tests of eval/plot. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eval/plot.h"
#include "support/faults.h"

#define MAX ((size_t)1 << 20)

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        count++;
    }
    return count;
}

static void draws_what_can_be_drawn(void **state)
{
    static const double x[] = {1, 10, 100, 0, 1000};
    static const double y[] = {0.5, 0.75, 1, 2, NAN};
    static const struct tars_plot_series series[] = {{"ours", x, y, 5}, {"none", x, y, 0}};
    static const struct tars_plot plot = {.title = "t",
                                          .x_name = "ms",
                                          .y_name = "share",
                                          .log_x = true,
                                          .series = series,
                                          .series_count = 2};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, MAX);
    tars_plot_svg(&plot, &out);
    assert_int_equal(out.status, TARS_OK);
    assert_true(strncmp(out.ptr, "<svg ", 5) == 0);
    assert_string_equal(out.ptr + out.len - 7, "</svg>\n");
    assert_non_null(strstr(out.ptr, "d=\"M70.0 268.8L")); /* 1 at the left, .5 of 0..2 */
    assert_int_equal(count_of(out.ptr, "L"), 2);          /* three points: two lines between */
    for (int power = 1; power <= 1000; power *= 10) {
        char mark[32];

        (void)snprintf(mark, sizeof(mark), ">%d</text>", power);
        assert_non_null(strstr(out.ptr, mark));
    }
    assert_null(strstr(out.ptr, "nan"));
    assert_null(strstr(out.ptr, "inf"));
    tars_buf_release(&out);
}

static void names_are_only_text(void **state)
{
    static const double one[] = {1};
    static const struct tars_plot_series series[] = {{"<b>&\"'\n", one, one, 1}};
    static const struct tars_plot plot = {.title = "</svg><script>",
                                          .x_name = "a<b",
                                          .y_name = "\x01",
                                          .series = series,
                                          .series_count = 1};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, MAX);
    tars_plot_svg(&plot, &out);
    assert_null(strstr(out.ptr, "<script"));
    assert_int_equal(count_of(out.ptr, "</svg>"), 1);
    assert_non_null(strstr(out.ptr, "&lt;b&gt;&amp;&quot;' </text>"));
    assert_null(strchr(out.ptr, '\x01'));
    tars_buf_release(&out);
}

static void nothing_at_all(void **state)
{
    static const double same[] = {-3, -3};
    static const struct tars_plot_series flat[] = {{"flat", same, same, 2}};
    static const struct tars_plot plots[] = {
        {.title = "", .x_name = "", .y_name = ""},
        {.title = "", .x_name = "", .y_name = "", .series = flat, .series_count = 1},
        {.title = "", .x_name = "", .y_name = "", .log_y = true, .series = flat, .series_count = 1},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct tars_buf out;

        tars_buf_init(&out, MAX);
        tars_plot_svg(&plots[i], &out);
        assert_int_equal(out.status, TARS_OK);
        assert_null(strstr(out.ptr, "nan"));
        assert_null(strstr(out.ptr, "inf"));
        tars_buf_release(&out);
    }
}

static void too_long_is_remembered(void **state)
{
    static const struct tars_plot plot = {.title = "", .x_name = "", .y_name = ""};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, 100);
    tars_plot_svg(&plot, &out);
    assert_int_equal(out.status, TARS_ETOOBIG);
    tars_buf_release(&out);
    tars_buf_init(&out, MAX);
    faults_fail_after(0);
    tars_plot_svg(&plot, &out);
    faults_fail_after(-1);
    assert_int_equal(out.status, TARS_ENOMEM);
    tars_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_what_can_be_drawn),
        cmocka_unit_test(names_are_only_text),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(too_long_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
