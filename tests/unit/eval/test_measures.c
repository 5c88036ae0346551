/* Unit tests of eval/measures. The figures are those that pytrec_eval 0.5.11 (trec_eval 9.0.8)
 * gives for the same rankings; the drawn ones are from Python's random.Random(4). */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eval/measures.h"
#include "support/faults.h"

#define LONGEST 256

/* A digit a document: grades by place, and of all relevant documents. */
static const struct {
    const char *name, *gains, *ideal;
    double want[TARS_MEASURES];
} rows[] = {
    {"relevant first", "210", "21", {1, 1, 1, 1, 1}},
    {"nothing found", "000", "1", {0, 0, 0, 0, 0}},
    {"empty ranking", "", "11", {0, 0, 0, 0, 0}},
    {"one at ten", "0000000001", "1", {0.289064826317888, 0.1, 1, 1, 0.1}},
    {"one at eleven", "00000000001", "1", {0, 0, 0, 1, 0.0909090909090909}},
    {"one at a hundred and one",
     "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "00000001",
     "1",
     {0, 0, 0, 0, 0.0099009900990099}},
    {"grades upside down", "10203", "3211", {0.608673369237728, 1, 0.75, 0.75, 0.566666666666667}},
    {"drawn 1",
     "00200000001033001100303000032303000",
     "2133113332332332",
     {0.0749534547219075, 0.333333333333333, 0.0625, 0.75, 0.234260516038699}},
    {"drawn 2",
     "3102010000003313",
     "312133131233",
     {0.410830143057356, 1, 0.333333333333333, 0.666666666666667, 0.433043345543346}},
    {"drawn 3",
     "033100010000000330000201120200200002200000210210003020031130000000002002200000032033123001000"
     "000100100000033001000000",
     "3311332112222221213231132223233123111331",
     {0.303648189124704, 0.5, 0.1, 0.925, 0.391658621253578}},
    {"drawn 4",
     "020120101010",
     "21211111322",
     {0.365119909288309, 0.5, 0.454545454545455, 0.545454545454545, 0.297494424767152}},
    {"drawn 5",
     "0000000000002030000000010300300000101022332200000031000203203010232300000302200010302303",
     "2313311223322312323123233221323333",
     {0, 0, 0, 0.941176470588235, 0.257757356232897}},
};

static size_t read_digits(const char *text, int *out)
{
    size_t count = strlen(text);

    assert_true(count <= LONGEST);
    for (size_t i = 0; i < count; i++)
        out[i] = text[i] - '0';
    return count;
}

static void as_trec_eval_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int gains[LONGEST];
        int ideal[LONGEST];
        double got[TARS_MEASURES];
        const struct tars_ranking ranking = {gains, read_digits(rows[i].gains, gains), ideal,
                                             read_digits(rows[i].ideal, ideal)};

        assert_int_equal(tars_measures_of(&ranking, got), TARS_OK);
        for (size_t m = 0; m < TARS_MEASURES; m++) {
            if (!(fabs(got[m] - rows[i].want[m]) < 1e-9)) {
                fail_msg("%s, %s: %.12g, not %.12g", rows[i].name,
                         tars_measure_text((enum tars_measure)m), got[m], rows[i].want[m]);
            }
        }
    }
}

static void percentiles(void **state)
{
    static const struct {
        double share, want;
    } of_five[] = {{0, 1}, {0.2, 1}, {0.21, 2}, {0.5, 3}, {0.95, 5}, {1, 5}};
    double one[] = {7};

    (void)state;
    for (size_t i = 0; i < sizeof(of_five) / sizeof(of_five[0]); i++) {
        double values[] = {5, 3, 1, 2, 4};

        assert_true(tars_percentile(values, 5, of_five[i].share) == of_five[i].want);
    }
    assert_true(tars_percentile(one, 1, 0.5) == 7);
    assert_true(tars_percentile(NULL, 0, 0.5) == 0);
}

static void no_memory(void **state)
{
    const int grades[] = {1};
    const struct tars_ranking ranking = {grades, 1, grades, 1};
    double got[TARS_MEASURES] = {-1};

    (void)state;
    faults_fail_after(0);
    assert_int_equal(tars_measures_of(&ranking, got), TARS_ENOMEM);
    faults_fail_after(-1);
    assert_true(got[0] == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_trec_eval_counts),
        cmocka_unit_test(percentiles),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
